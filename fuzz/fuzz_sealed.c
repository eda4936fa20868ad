/*
 * What lies sealed on a disk: a first byte that says what the rest is. As it may be found there, it
 * opens only where we sealed it; as the text inside, it is a store's entries or refused, and what
 * was read is written and read again the same.
 */
#include <stdlib.h>

#include "base/err.h"
#include "secrets/sealed.h"
#include "secrets/sealed_entries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_arena *secrets;
static struct seal_key key;

static void must(bool claim)
{
    if (!claim)
        abort();
}

/* Nobody finds the tag by chance. */
static void open_file(struct span bytes)
{
    char why[SECRET_WORDS_BYTES];
    struct buf plain;

    buf_init(&plain, 1 << 20);
    must(sealed_open(&key, SEALED_FILE, bytes, &plain, why) != 0);
    must(plain.len == 0 && *why);
    buf_fini(&plain);
}

static void open_text(struct span bytes)
{
    char why[SECRET_WORDS_BYTES];
    struct buf plain;

    buf_init(&plain, 1 << 20);
    must(sealed_text_open(&key, bytes, &plain, why) != 0 && *why);
    buf_fini(&plain);
}

/* Sealed by us it is opened; with a byte changed it is not. */
static void seal_and_open(struct span bytes)
{
    char why[SECRET_WORDS_BYTES];
    struct buf sealed, plain;

    buf_init(&sealed, 1 << 20);
    buf_init(&plain, 1 << 20);
    must(sealed_close(&key, SEALED_FILE, bytes, &sealed) == 0);
    must(sealed_open(&key, SEALED_FILE, buf_span(&sealed), &plain, why) == 0);
    must(span_is_equal(buf_span(&plain), bytes));
    sealed.data[bytes.len ? (unsigned char)bytes.ptr[0] % sealed.len : 0] ^= 0x40;
    must(sealed_open(&key, SEALED_FILE, buf_span(&sealed), &plain, why) != 0);
    buf_fini(&sealed);
    buf_fini(&plain);
}

static size_t read_entries(struct span text, struct buf *out)
{
    struct sealed_entries entries;
    size_t count = 0;

    sealed_entries_init(&entries, secrets);
    if (sealed_entries_read(&entries, text) == 0) {
        const struct sealed_slot *slot;
        size_t at = 0;

        while ((slot = map_next(&entries.slots, &at, NULL))) {
            must(secret_path_is_good(span_of(slot->path, slot->path_len)));
            must(slot->kept.version && slot->kept.version <= entries.last_version);
        }
        count = entries.slots.count + 1;
        must(sealed_entries_write(&entries, out) == 0);
    }
    sealed_entries_fini(&entries);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t bytes[SEAL_KEY_BYTES] = {1, 2, 3};
    struct buf first, second;
    struct span rest;
    bool is_locked;
    size_t count;

    if (!secrets) {
        secrets = secret_arena_new(32 << 20, &is_locked);
        must(secrets && seal_key_init(&key, secrets, bytes) == 0);
    }
    if (size == 0 || size > 1 << 16)
        return 0;
    rest = span_of((const char *)data + 1, size - 1);
    if (data[0] == 'f')
        open_file(rest);
    if (data[0] == 't')
        open_text(rest);
    if (data[0] == 's')
        seal_and_open(rest);
    if (data[0] != 'e')
        return 0;
    buf_init(&first, 8 << 20);
    buf_init(&second, 8 << 20);
    count = read_entries(rest, &first);
    if (count) {
        must(read_entries(buf_span(&first), &second) == count);
        must(first.len == second.len);
    }
    buf_fini(&first);
    buf_fini(&second);
    return 0;
}
