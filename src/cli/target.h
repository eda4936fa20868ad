/*
 * The running gateway that a command asks by its admin API: which one, with what token, what it
 * answers or refuses. Main thread.
 */
#ifndef CLI_TARGET_H
#define CLI_TARGET_H

#include "json/tree.h"

struct target;

/* Takes the options off the front (--config FILE or --address ADDR; else CONFIG_PATH, or the usual
 * address with the token of ADMIN_TOKEN), and runs what is left: argv[0] is the first word behind
 * the options. The exit status; what goes wrong stands on stderr. */
int target_command(const char *name, int argc, char **argv,
                   int (*run)(const struct target *target, int argc, char **argv));

/* One request (body: "" for none); its answer goes to `show`. The exit status; a refusal stands on
 * stderr. */
int target_ask(const struct target *target, const char *method, const char *path, const char *body,
               void (*show)(const yyjson_val *root));

/* The member as a number; 0 where it is none. */
double target_number(const yyjson_val *object, const char *name);

#endif
