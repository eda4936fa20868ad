#include "secrets/sealed_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "secrets/seal_key.h"

enum { PIECE_BYTES = 1 << 16 };

static int fail(char *why, const char *path, int errno_value)
{
    snprintf(why, SECRET_WORDS_BYTES, "%s: %s", path, strerrordesc_np(errno_value));
    return err_from_errno(errno_value);
}

static struct sealed_identity identity_of(const struct stat *about)
{
    return (struct sealed_identity){.is_there = true,
                                    .dev = about->st_dev,
                                    .ino = about->st_ino,
                                    .size = about->st_size,
                                    .changed = about->st_mtim};
}

static bool is_same(const struct sealed_identity *a, const struct sealed_identity *b)
{
    return a->is_there == b->is_there && a->dev == b->dev && a->ino == b->ino &&
           a->size == b->size && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* ---- reading ---- */

static int read_all(int fd, const char *path, struct buf *out, char *why)
{
    for (;;) {
        int err = buf_reserve(out, PIECE_BYTES);
        ssize_t n;

        if (err) {
            snprintf(why, SECRET_WORDS_BYTES, "%s %s", path,
                     err == ERR_NOMEM ? "finds no memory" : "is too large");
            return err;
        }
        n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno != EINTR)
            return fail(why, path, errno);
        if (n == 0)
            return 0;
        out->len += n > 0 ? (size_t)n : 0;
    }
}

int sealed_disk_read(const char *path, struct buf *out, struct sealed_identity *ret_seen, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
    struct stat about;

    if (fd < 0)
        return fail(why, path, errno);
    err = fstat(fd, &about) ? fail(why, path, errno) : read_all(fd, path, out, why);
    close(fd);
    if (!err)
        *ret_seen = identity_of(&about);
    return err;
}

/* ---- writing ---- */

static int check_unchanged(const char *path, const struct sealed_identity *seen, char *why)
{
    struct sealed_identity now = {.is_there = false};
    struct stat about;

    if (stat(path, &about) == 0)
        now = identity_of(&about);
    else if (errno != ENOENT)
        return fail(why, path, errno);
    if (is_same(&now, seen))
        return 0;
    snprintf(why, SECRET_WORDS_BYTES,
             "%s was changed by somebody else since it was read: it is not written over", path);
    return ERR_DENIED;
}

/* 0, or -1 and errno. */
static int write_all(int fd, struct span bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = span_skip(bytes, (size_t)n);
    }
    return fsync(fd);
}

static int replace(const char *path, char *temporary, struct span bytes,
                   struct sealed_identity *seen, char *why)
{
    int fd = mkostemp(temporary, O_CLOEXEC), err = 0;
    struct stat about;

    if (fd < 0)
        return fail(why, temporary, errno);
    if (write_all(fd, bytes) || fstat(fd, &about))
        err = fail(why, temporary, errno);
    close(fd);
    if (!err)
        err = check_unchanged(path, seen, why);
    if (!err && rename(temporary, path))
        err = fail(why, path, errno);
    if (err) {
        unlink(temporary);
        return err;
    }
    *seen = identity_of(&about);
    err = seal_sync_folder(path);
    if (err)
        snprintf(why, SECRET_WORDS_BYTES, "the folder of %s cannot be written: %s", path,
                 err_text(err));
    return err;
}

int sealed_disk_replace(const char *path, struct span bytes, struct sealed_identity *seen,
                        char *why)
{
    struct buf name;
    int err;

    buf_init(&name, strlen(path) + sizeof(".XXXXXX"));
    err = buf_printf(&name, "%s.XXXXXX", path);
    if (err)
        snprintf(why, SECRET_WORDS_BYTES, "%s", err_text(err));
    else
        err = replace(path, name.data, bytes, seen, why);
    buf_fini(&name);
    return err;
}
