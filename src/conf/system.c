#include "conf/system.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static const char *process_variable(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

/* ERR_FULL is kept for files that are too large. */
static int system_error(int errno_value)
{
    int err = err_from_errno(errno_value);

    return err == ERR_FULL ? ERR_IO : err;
}

/* Reads into the room that is there, and one byte beyond it to see whether the file fitted. */
static int read_all(int fd, struct buf *out)
{
    char beyond;

    for (;;) {
        size_t room = out->cap - out->len;
        ssize_t n = read(fd, room ? out->data + out->len : &beyond, room ? room : 1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? system_error(errno) : 0;
        if (!room)
            return ERR_FULL;
        out->len += (size_t)n;
    }
}

static int process_read_file(void *ctx, const char *path, struct buf *out)
{
    struct stat info;
    int fd, err;

    (void)ctx;
    /* All room at once: growing would leave copies of a secret behind. */
    err = buf_reserve(out, out->max - out->len);
    if (err)
        return err;
    /* O_NONBLOCK: a named pipe must not hang a start or a reload. */
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return system_error(errno);
    if (fstat(fd, &info))
        err = system_error(errno);
    else if (S_ISDIR(info.st_mode))
        err = ERR_UNSUPPORTED;
    else
        err = read_all(fd, out);
    close(fd);
    return err;
}

static bool is_plain_file(int folder, const char *name)
{
    struct stat info;

    return name[0] != '.' && fstatat(folder, name, &info, 0) == 0 && S_ISREG(info.st_mode);
}

static int process_list_folder(void *ctx, const char *path, struct buf *out)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    int err = 0;

    (void)ctx;
    if (!folder)
        return system_error(errno);
    errno = 0;
    while (!err && (entry = readdir(folder))) {
        if (is_plain_file(dirfd(folder), entry->d_name))
            err = buf_append(out, entry->d_name, strlen(entry->d_name) + 1);
        errno = 0;
    }
    if (!err && errno)
        err = system_error(errno);
    closedir(folder);
    return err;
}

const struct conf_system conf_system_process = {
    .variable = process_variable,
    .read_file = process_read_file,
    .list_folder = process_list_folder,
};
