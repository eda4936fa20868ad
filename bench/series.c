#include "series.h"

#include <stdlib.h>
#include <string.h>

FILE *series_open(int argc, char **argv, const char *columns)
{
    FILE *csv;

    if (argc == 1)
        return NULL;
    if (argc != 3 || strcmp(argv[1], "--csv") != 0) {
        fprintf(stderr, "usage: %s [--csv FILE]\n", argv[0]);
        exit(2);
    }
    csv = fopen(argv[2], "w");
    if (!csv) {
        perror(argv[2]);
        exit(1);
    }
    fprintf(csv, "%s\n", columns);
    return csv;
}
