#include "cli/option.h"

#include <string.h>

bool option_take(int *argc, char **argv, const char *name, const char **value)
{
    size_t len = strlen(name);
    int kept = 1;

    for (int i = 1; i < *argc; i++) {
        if (!strncmp(argv[i], name, len) && argv[i][len] == '=') {
            *value = argv[i] + len + 1;
        } else if (strcmp(argv[i], name) != 0) {
            argv[kept++] = argv[i];
        } else if (i + 1 < *argc) {
            *value = argv[++i];
        } else {
            return false;
        }
    }
    *argc = kept;
    return true;
}
