#include "secrets/token_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"

static int read_all(int fd, struct buf *out)
{
    /* All the room first, so that the bytes are never moved. */
    int err = buf_reserve(out, out->max - out->len);

    while (!err) {
        char end;
        bool is_full = out->len == out->max;
        ssize_t n =
            read(fd, is_full ? &end : out->data + out->len, is_full ? 1 : out->max - out->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err = err_from_errno(errno);
        else if (n == 0)
            break;
        else if (is_full)
            err = ERR_FULL;
        else
            out->len += (size_t)n;
    }
    return err;
}

int token_file_read(const char *path, struct buf *out)
{
    /* Not to wait for the other end of a pipe. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
    struct stat about;

    if (fd < 0)
        return err_from_errno(errno);
    if (fstat(fd, &about))
        err = err_from_errno(errno);
    else
        err = S_ISREG(about.st_mode) ? read_all(fd, out) : ERR_UNSUPPORTED;
    close(fd);
    while (!err && out->len && (unsigned char)out->data[out->len - 1] <= ' ')
        out->len--;
    return err;
}
