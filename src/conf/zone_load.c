/* A zone from the system's files: the one part of zones that asks the system for anything. */
#include "conf/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '+' || c == '-';
}

bool zone_name_is_good(struct span name)
{
    bool is_after_slash = true;

    if (name.len >= ZONE_NAME_BYTES)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (name.ptr[i] == '/' ? is_after_slash : !is_name_byte(name.ptr[i]))
            return false;
        is_after_slash = name.ptr[i] == '/';
    }
    return !is_after_slash;
}

/* At most len bytes, all that there are. */
static int read_all(int fd, char *bytes, size_t len, size_t *ret_len)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = read(fd, bytes + done, len - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_from_errno(errno);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    *ret_len = done;
    return 0;
}

static int load_file(const char *path, struct zone **ret_zone)
{
    char *bytes = NULL;
    struct stat stat;
    size_t len = 0;
    int err, fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return errno == ENOTDIR ? ERR_NOTFOUND : err_from_errno(errno);
    /* "Europe" is a folder. */
    err = fstat(fd, &stat) ? err_from_errno(errno) : S_ISREG(stat.st_mode) ? 0 : ERR_NOTFOUND;
    if (err)
        goto out;
    bytes = mem_alloc(ZONE_FILE_MAX_BYTES + 1);
    err = bytes ? read_all(fd, bytes, ZONE_FILE_MAX_BYTES + 1, &len) : ERR_NOMEM;
    if (err == 0)
        err = zone_read(span_of(bytes, len), ret_zone);
out:
    mem_free(bytes);
    close(fd);
    return err;
}

int zone_load(struct span name, struct zone **ret_zone)
{
    const char *folder = secure_getenv("TZDIR");
    char path[4096];
    int len;

    if (!zone_name_is_good(name))
        return ERR_RANGE;
    if (span_is_equal(name, SPAN("UTC"))) {
        *ret_zone = NULL;
        return 0;
    }
    len = snprintf(path, sizeof(path), "%s/%.*s",
                   folder && folder[0] ? folder : "/usr/share/zoneinfo", SPAN_ARG(name));
    if (len < 0 || (size_t)len >= sizeof(path))
        return ERR_NOTFOUND;
    return load_file(path, ret_zone);
}
