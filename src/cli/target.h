/*
 * The running gateway that a command asks by its admin API: which one, with what token, what it
 * answers or refuses. Main thread.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "json/tree.h"

struct target;

/* What such a command can be told: `name`, with `least` to `most` words behind it. */
struct target_verb {
    const char *name;
    int least, most;
    const char *takes; /* the words behind it, as help names them */
    /* argv[0] is the name. The exit status. */
    int (*run)(const struct target *target, int argc, char **argv);
};

/* Runs the verb that the arguments name, of the gateway that the options name, wherever they stand
 * (--config FILE or --address ADDR; else CONFIG_PATH, or the usual address with the token of
 * ADMIN_TOKEN). verbs: a name of NULL ends them. The exit status; what goes wrong stands on stderr.
 */
int target_command(const char *name, const struct target_verb *verbs, int argc, char **argv);

/* One request (body: "" for none); its answer goes to `show`. The exit status; a refusal stands on
 * stderr. */
int target_ask(const struct target *target, const char *method, const char *path, const char *body,
               void (*show)(const yyjson_val *root));

/* The member as a number; 0 where it is none. */
double target_number(const yyjson_val *object, const char *name);

#endif
