/*
 * The options of a command, which may stand anywhere among its words. Main thread.
 */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>

/* Takes `--name VALUE` and `--name=VALUE` out of the arguments behind argv[0], which close up.
 * *value keeps what it was where there is none; of several the last counts. False: it has no value.
 */
bool option_take(int *argc, char **argv, const char *name, const char **value);

#endif
