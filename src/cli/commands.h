/*
 * The commands of the program. Each gets its own arguments (argv[0] is its name) and returns the
 * exit status of the process. Main thread.
 */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

enum { COMMAND_OK = 0, COMMAND_FAILED = 1, COMMAND_BAD_USAGE = 2 };

struct command {
    const char *name, *usage, *summary;
    const char *details; /* whole lines, or "" */
    int (*run)(int argc, char **argv);
};

/* The exit status: COMMAND_OK, COMMAND_FAILED or COMMAND_BAD_USAGE; what went wrong stands on
 * stderr. */
int command_serve(int argc, char **argv);
int command_check_config(int argc, char **argv);
int command_sim(int argc, char **argv);
int command_demo(int argc, char **argv);
int command_healthcheck(int argc, char **argv);
int command_keys(int argc, char **argv);
int command_clients(int argc, char **argv);
int command_costs(int argc, char **argv);
int command_shadow(int argc, char **argv);
int command_regions(int argc, char **argv);
int command_migrate(int argc, char **argv);
int command_secrets(int argc, char **argv);
int command_catalogue(int argc, char **argv);
int command_help(int argc, char **argv);

/* Every setting of the configuration file, from its table. */
int command_help_config(void);

/* Says what is wrong with the arguments; returns COMMAND_BAD_USAGE. */
int command_bad_usage(const char *name, const char *why);

#endif
