#include "conf/files.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/err.h"

enum { FILE_MAX_BYTES = 1 << 20 };

/* SHA-256: see conf/identity.c. */
void conf_content_digest(struct span content, uint8_t ret_digest[CONF_SHA256_BYTES])
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)content.ptr, content.len);
    crypto_hash_sha256_final(&state, ret_digest);
}

void conf_names_digest(const char *const *names, size_t count,
                       uint8_t ret_digest[CONF_SHA256_BYTES])
{
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    for (size_t i = 0; i < count; i++)
        crypto_hash_sha256_update(&state, (const unsigned char *)names[i], strlen(names[i]) + 1);
    crypto_hash_sha256_final(&state, ret_digest);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

size_t conf_names_count(const struct buf *listing)
{
    size_t count = 0;

    for (size_t i = 0; i < listing->len; i++)
        count += listing->data[i] == '\0';
    return count;
}

void conf_names_sort(const struct buf *listing, const char **names, size_t count)
{
    for (size_t i = 0, at = 0; i < count; i++, at += strlen(names[i - 1]) + 1)
        names[i] = listing->data + at;
    if (count)
        qsort(names, count, sizeof(*names), compare_names);
}

static int digest_folder(const struct buf *listing, uint8_t ret_digest[CONF_SHA256_BYTES])
{
    size_t count = conf_names_count(listing);
    const char **names = mem_zalloc(count + 1, sizeof(*names));

    if (!names)
        return ERR_NOMEM;
    conf_names_sort(listing, names, count);
    conf_names_digest(names, count, ret_digest);
    mem_free(names);
    return 0;
}

int conf_file_digest(const struct conf_system *system, const char *path, bool is_folder,
                     uint8_t ret_digest[CONF_SHA256_BYTES])
{
    struct buf text;
    int err;

    memset(ret_digest, 0, CONF_SHA256_BYTES);
    buf_init(&text, FILE_MAX_BYTES);
    text.is_secret = true;
    err = is_folder ? system->list_folder(system->ctx, path, &text)
                    : system->read_file(system->ctx, path, &text);
    if (!err && is_folder)
        err = digest_folder(&text, ret_digest);
    else if (!err)
        conf_content_digest(buf_span(&text), ret_digest);
    buf_fini(&text);
    return err == ERR_NOMEM ? err : 0;
}
