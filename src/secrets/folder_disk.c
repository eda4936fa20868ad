#include "secrets/folder_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rand.h"
#include "secrets/secret_store_kind.h"

enum { TEMPORARY_BYTES = SECRET_PATH_MAX_BYTES + 32 };

static int fail(const struct folder_place *place, const char *name, int errno_value, char *why)
{
    snprintf(why, SECRET_WORDS_BYTES, "%.128s%s%s: %s", place->path, *name ? "/" : "", name,
             strerrordesc_np(errno_value));
    return err_from_errno(errno_value);
}

static int say(const struct folder_place *place, const char *name, int err, const char *words,
               char *why)
{
    snprintf(why, SECRET_WORDS_BYTES, "%.128s/%.128s %s", place->path, name, words);
    return err;
}

/* ---- the place ---- */

int folder_place_open(struct folder_place *place, const char *path, char *why)
{
    place->path = path;
    place->base = -1;
    place->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->root < 0)
        return fail(place, "", errno, why);
    place->base = openat(place->root, "..data", O_PATH | O_DIRECTORY | O_CLOEXEC);
    place->is_mounted = place->base >= 0;
    if (place->is_mounted)
        return 0;
    if (errno == ENOENT)
        place->base = openat(place->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (place->base < 0) {
        int err = fail(place, "..data", errno, why);

        folder_place_close(place);
        return err;
    }
    return 0;
}

void folder_place_close(struct folder_place *place)
{
    if (place->base >= 0)
        close(place->base);
    if (place->root >= 0)
        close(place->root);
    place->base = place->root = -1;
}

bool folder_place_is_current(const struct folder_place *place)
{
    struct stat opened, now;

    if (!place->is_mounted)
        return true;
    return fstat(place->base, &opened) == 0 && fstatat(place->root, "..data", &now, 0) == 0 &&
           opened.st_dev == now.st_dev && opened.st_ino == now.st_ino;
}

/* ---- reading ---- */

static bool is_nothing(int errno_value)
{
    return errno_value == ENOENT || errno_value == ENOTDIR;
}

/* All of the file, up to a byte more than fits: 0 or an errno. */
static int read_bytes(int fd, off_t size, struct buf *out)
{
    while (out->len < out->max) {
        size_t left = out->max - out->len;
        /* As much as there should be, and the end. */
        size_t want = out->len == 0 && (size_t)size < left ? (size_t)size + 1 : left;
        ssize_t n;

        if (out->len == out->cap && buf_reserve(out, want))
            return ENOMEM;
        n = read(fd, out->data + out->len, out->cap - out->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            break;
        out->len += (size_t)n;
    }
    return 0;
}

static struct span without_newline(struct span text)
{
    if (span_has_suffix(text, SPAN("\n")))
        text.len--;
    if (span_has_suffix(text, SPAN("\r")))
        text.len--;
    return text;
}

/* The file's content as an entry. */
static int read_entry(const struct folder_place *place, const char *name, struct span content,
                      struct buf *out, char *why)
{
    const char *words = "is larger than 128 KiB";
    int err;

    content = without_newline(content);
    if (content.len > SECRET_ENTRY_MAX_BYTES)
        return say(place, name, ERR_SYNTAX, words, why);
    if (content.len && content.ptr[0] == '{') {
        err = secret_entry_check(content, &words);
        return err ? say(place, name, err, words, why) : buf_append_span(out, content);
    }
    err = secret_entry_from_key(content, out);
    if (err == ERR_SYNTAX)
        words = content.len ? "holds a key with control characters" : "is empty";
    else if (err == ERR_NOMEM)
        words = err_text(err);
    return err ? say(place, name, err == ERR_NOMEM ? err : ERR_SYNTAX, words, why) : 0;
}

static int read_plain(const struct folder_place *place, const char *name, int fd, struct buf *out,
                      uint64_t *ret_version, char *why)
{
    size_t before = out->len;
    struct buf content;
    struct stat about;
    int error, err;

    if (fstat(fd, &about))
        return fail(place, name, errno, why);
    /* Other entries stand below it. */
    if (S_ISDIR(about.st_mode)) {
        *ret_version = 0;
        return 0;
    }
    if (!S_ISREG(about.st_mode))
        return say(place, name, ERR_SYNTAX, "is no plain file", why);
    /* A newline, and a byte more than fits. */
    buf_init(&content, SECRET_ENTRY_MAX_BYTES + 3);
    content.is_secret = true;
    error = read_bytes(fd, about.st_size, &content);
    err = error ? fail(place, name, error, why)
                : read_entry(place, name, buf_span(&content), out, why);
    buf_fini(&content);
    if (!err)
        *ret_version = secret_version_of(span_skip(buf_span(out), before));
    return err;
}

int folder_read(const struct folder_place *place, const char *name, struct buf *out,
                uint64_t *ret_version, char *why)
{
    int fd, err;

    /* Not to wait for the other end of a pipe. */
    fd = openat(place->base, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 && is_nothing(errno)) {
        *ret_version = 0;
        return 0;
    }
    if (fd < 0)
        return fail(place, name, errno, why);
    err = read_plain(place, name, fd, out, ret_version, why);
    close(fd);
    return err;
}

/* ---- changes ---- */

static int check_version(const struct folder_place *place, const char *name, uint64_t expected,
                         char *why)
{
    struct buf entry;
    uint64_t version = 0;
    int err;

    if (place->is_mounted)
        return say(place, name, ERR_UNSUPPORTED, "is mounted: it is changed where it comes from",
                   why);
    if (expected == SECRET_ANY)
        return 0;
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    err = folder_read(place, name, &entry, &version, why);
    buf_fini(&entry);
    if (err)
        return err;
    return version == expected
               ? 0
               : say(place, name, ERR_EXISTS, "has another version than was expected", why);
}

/* The folder that the file stands in, opened; made where it is wanted. -1 and errno. */
static int open_parent(const struct folder_place *place, const char *name, bool is_made)
{
    char path[SECRET_PATH_MAX_BYTES + 1];
    size_t len = strlen(name), end = 0;

    snprintf(path, sizeof(path), "%s", name);
    for (size_t i = 0; i < len; i++) {
        if (path[i] != '/')
            continue;
        path[i] = '\0';
        if (is_made && mkdirat(place->base, path, 0700) && errno != EEXIST)
            return -1;
        path[i] = '/';
        end = i;
    }
    path[end] = '\0';
    return openat(place->base, end ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static const char *last_part(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

/* 0 or an errno. */
static int write_bytes(int fd, struct span bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        bytes = span_skip(bytes, (size_t)n);
    }
    return 0;
}

/* A new file under a name that is no entry's, then in the other's place: 0 or an errno. */
static int replace(int parent, const char *name, struct span text)
{
    char temporary[TEMPORARY_BYTES];
    uint64_t chance;
    int fd, error;

    rand_fill_secure(&chance, sizeof(chance));
    snprintf(temporary, sizeof(temporary), ".bellwether-%016llx", (unsigned long long)chance);
    fd = openat(parent, temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    error = write_bytes(fd, text);
    if (!error)
        error = write_bytes(fd, SPAN("\n"));
    if (!error && fsync(fd))
        error = errno;
    close(fd);
    if (!error && renameat(parent, temporary, parent, name))
        error = errno;
    if (error)
        unlinkat(parent, temporary, 0);
    else if (fsync(parent) && errno != EINVAL)
        error = errno;
    return error;
}

int folder_write(const struct folder_place *place, const char *name, struct span text,
                 uint64_t expected, uint64_t *ret_version, char *why)
{
    int err = check_version(place, name, expected, why), parent, error;

    if (err)
        return err;
    parent = open_parent(place, name, true);
    if (parent < 0)
        return fail(place, name, errno, why);
    error = replace(parent, last_part(name), text);
    close(parent);
    if (error)
        return fail(place, name, error, why);
    *ret_version = secret_version_of(text);
    return 0;
}

int folder_remove(const struct folder_place *place, const char *name, uint64_t expected, char *why)
{
    int err = check_version(place, name, expected, why), parent, error = 0;

    if (err)
        return err;
    parent = open_parent(place, name, false);
    if (parent < 0)
        return is_nothing(errno) ? 0 : fail(place, name, errno, why);
    if (unlinkat(parent, last_part(name), 0))
        error = is_nothing(errno) ? 0 : errno;
    else if (fsync(parent) && errno != EINVAL)
        error = errno;
    close(parent);
    return error ? fail(place, name, error, why) : 0;
}

/* ---- names ---- */

/* Links are followed: they say what they lead to. */
static int add_name(DIR *dir, const char *name, struct secret_names *names)
{
    char with_slash[NAME_MAX + 2];
    struct stat about;

    if (!secret_path_is_good(span_from_text(name)) || fstatat(dirfd(dir), name, &about, 0))
        return 0;
    if (S_ISREG(about.st_mode))
        return secret_names_add(names, span_from_text(name));
    if (!S_ISDIR(about.st_mode))
        return 0;
    snprintf(with_slash, sizeof(with_slash), "%s/", name);
    return secret_names_add(names, span_from_text(with_slash));
}

int folder_list(const struct folder_place *place, const char *name, struct buf *out, char *why)
{
    int fd = openat(place->base, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), err = 0;
    struct secret_names names = {0};
    struct dirent *entry;
    DIR *dir;

    if (fd < 0)
        return is_nothing(errno) ? 0 : fail(place, name, errno, why);
    dir = fdopendir(fd);
    if (!dir) {
        err = fail(place, name, errno, why);
        close(fd);
        return err;
    }
    while (!err && (errno = 0, entry = readdir(dir)))
        err = add_name(dir, entry->d_name, &names);
    if (!err && errno)
        err = fail(place, name, errno, why);
    else if (err || (err = secret_names_write(&names, out)))
        say(place, name, err, err_text(err), why);
    closedir(dir);
    secret_names_fini(&names);
    return err;
}
