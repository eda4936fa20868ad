/*
 * The command `bellwether sim [--listen ADDR] [--scenario FILE|NAME] [--seed N] [--time-scale F]
 * [--certificate FILE --private-key FILE]`. Called by the command line, which owns the process and
 * its signals.
 */
#ifndef SIM_SIM_RUN_H
#define SIM_SIM_RUN_H

#include "io/loop.h"

/* Runs until loop_stop (the caller's signal handler calls it). argv[0] is the command's name. When
 * ready it prints one line, "bellwether sim listens on http://ADDRESS". Returns the exit status: 0,
 * 1 where it could not run, 2 where the arguments are wrong; what went wrong stands on stderr. */
int sim_main(struct loop *loop, int argc, char **argv);

#endif
