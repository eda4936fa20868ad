#include "secrets/seal_key.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/rand.h"

static int fail(char *why, const char *path, int errno_value)
{
    snprintf(why, SECRET_WORDS_BYTES, "%s: %s", path, strerrordesc_np(errno_value));
    return err_from_errno(errno_value);
}

/* ---- in memory ---- */

int seal_key_init(struct seal_key *key, struct secret_arena *arena, const uint8_t *bytes)
{
    static const unsigned char what[] = "bellwether seal key id";
    int err = secret_new(arena, span_of((const char *)bytes, SEAL_KEY_BYTES), &key->bytes);

    if (!err)
        crypto_generichash(key->id, sizeof(key->id), what, sizeof(what) - 1, bytes, SEAL_KEY_BYTES);
    return err;
}

void seal_key_fini(struct seal_key *key)
{
    secret_unref(&key->bytes);
}

/* ---- the file ---- */

static int check_owner(const char *path, const struct stat *about, char *why)
{
    if (!S_ISREG(about->st_mode)) {
        snprintf(why, SECRET_WORDS_BYTES, "%s is no plain file", path);
        return ERR_SYNTAX;
    }
    if (about->st_uid != geteuid() && about->st_uid != 0) {
        snprintf(why, SECRET_WORDS_BYTES, "%s belongs to another user", path);
        return ERR_DENIED;
    }
    if (about->st_mode & (S_IRWXG | S_IRWXO)) {
        snprintf(why, SECRET_WORDS_BYTES,
                 "others than its owner have rights to %s (mode %04o): chmod 600 it", path,
                 (unsigned)about->st_mode & 07777);
        return ERR_DENIED;
    }
    if (about->st_size != SEAL_KEY_BYTES) {
        snprintf(why, SECRET_WORDS_BYTES, "%s has %lld bytes, and a seal key %d", path,
                 (long long)about->st_size, SEAL_KEY_BYTES);
        return ERR_SYNTAX;
    }
    return 0;
}

static int read_bytes(int fd, const char *path, uint8_t *bytes, char *why)
{
    ssize_t n;

    do
        n = pread(fd, bytes, SEAL_KEY_BYTES, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return fail(why, path, errno);
    if (n == SEAL_KEY_BYTES)
        return 0;
    snprintf(why, SECRET_WORDS_BYTES, "%s was cut while it was read", path);
    return ERR_SYNTAX;
}

int seal_key_read(const char *path, struct secret_arena *arena, struct seal_key *ret_key, char *why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), err;
    struct seal_key key = {0};
    uint8_t bytes[SEAL_KEY_BYTES];
    struct stat about;

    if (fd < 0)
        return fail(why, path, errno);
    err = fstat(fd, &about) ? fail(why, path, errno) : check_owner(path, &about, why);
    if (!err)
        err = read_bytes(fd, path, bytes, why);
    close(fd);
    if (!err) {
        err = seal_key_init(&key, arena, bytes);
        if (err)
            snprintf(why, SECRET_WORDS_BYTES, "no room for the seal key: %s", err_text(err));
    }
    secret_wipe(bytes, sizeof(bytes));
    if (!err)
        *ret_key = key;
    return err;
}

int seal_sync_folder(const char *path)
{
    char *copy = mem_strdup(path, strlen(path));
    int fd, err = 0;

    if (!copy)
        return ERR_NOMEM;
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mem_free(copy);
    if (fd < 0)
        return err_from_errno(errno);
    /* Some file systems know no such thing. */
    if (fsync(fd) && errno != EINVAL)
        err = err_from_errno(errno);
    close(fd);
    return err;
}

static int write_bytes(int fd, const uint8_t *bytes)
{
    ssize_t n;

    do
        n = write(fd, bytes, SEAL_KEY_BYTES);
    while (n < 0 && errno == EINTR);
    if (n >= 0 && n != SEAL_KEY_BYTES)
        errno = ENOSPC;
    return n == SEAL_KEY_BYTES && fsync(fd) == 0 ? 0 : -1;
}

int seal_key_make(const char *path, struct secret_arena *arena, struct seal_key *ret_key, char *why)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err = 0;
    struct seal_key key = {0};
    uint8_t bytes[SEAL_KEY_BYTES];

    if (fd < 0)
        return fail(why, path, errno);
    rand_fill_secure(bytes, sizeof(bytes));
    if (write_bytes(fd, bytes))
        err = fail(why, path, errno);
    close(fd);
    if (!err) {
        err = seal_sync_folder(path);
        if (!err)
            err = seal_key_init(&key, arena, bytes);
        if (err)
            snprintf(why, SECRET_WORDS_BYTES, "%s cannot be made: %s", path, err_text(err));
    }
    secret_wipe(bytes, sizeof(bytes));
    if (err) {
        /* Half a key would be in the way of a whole one. */
        unlink(path);
        return err;
    }
    *ret_key = key;
    return 0;
}
