/* The file of what happened when, for programs that take no other argument than "--csv FILE". */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdio.h>

/* Opened for writing, with its columns named; NULL where none is asked for. Ends the program where
 * the arguments are others, or the file cannot be written. */
FILE *series_open(int argc, char **argv, const char *columns);

#endif
