#include "cli/demo_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int demo_folder_make(char ret_path[DEMO_FOLDER_BYTES])
{
    const char *parent = getenv("TMPDIR");
    int len = snprintf(ret_path, DEMO_FOLDER_BYTES, "%s/bellwether-demo-XXXXXX",
                       parent && parent[0] ? parent : "/tmp");

    if (len < 0 || len >= DEMO_FOLDER_BYTES) {
        ret_path[0] = '\0';
        errno = ENAMETOOLONG;
        return -1;
    }
    if (mkdtemp(ret_path))
        return 0;
    ret_path[0] = '\0';
    return -1;
}

void demo_folder_remove(const char *path)
{
    DIR *folder = path[0] ? opendir(path) : NULL;
    const struct dirent *entry;

    if (!folder)
        return;
    while ((entry = readdir(folder)))
        (void)unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    (void)rmdir(path);
}
