/*
 * What a Vault answers: a first byte that says what was asked, a second that picks the status, then
 * the body. Whatever it says, a token could stand in a header line and its life keeps its bounds,
 * an entry is one that every store takes, names are parts of paths, and words are one line of plain
 * characters.
 */
#include <stdlib.h>

#include "base/err.h"
#include "secrets/token_answer.h"
#include "secrets/vault_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct secret_arena *secrets;

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void read_token(struct span body)
{
    struct vault_token token = {.token = NULL};

    if (vault_answer_token(body, secrets, &token) == 0) {
        struct span text = secret_reveal(token.token);

        must(text.len > 0 && text.len <= TOKEN_MAX_BYTES);
        for (size_t i = 0; i < text.len; i++)
            must(text.ptr[i] > ' ' && text.ptr[i] < 0x7f);
        must(token.lease_us <= VAULT_MAX_LEASE_US);
    }
    secret_unref(&token.token);
    if (vault_answer_lookup(body, &token) == 0)
        must(!token.token && token.lease_us <= VAULT_MAX_LEASE_US);
}

static void read_entry(int status, struct span body)
{
    for (unsigned kv = 1; kv <= 2; kv++) {
        struct vault_found found = {0};
        const char *why = NULL;
        struct buf entry;
        int err;

        buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
        entry.is_secret = true;
        err = vault_answer_entry(kv, status, body, &entry, &found, &why);
        must(why != NULL);
        must(err != ERR_SYNTAX || *why);
        if (!err && found.version && !found.is_deleted)
            must(secret_entry_check(buf_span(&entry), &why) == 0);
        buf_fini(&entry);
    }
}

static void read_names(struct span body)
{
    struct buf names;

    buf_init(&names, SECRET_LIST_MAX_BYTES);
    if (vault_answer_names(body, &names) == 0) {
        struct span rest = buf_span(&names), name;

        must(!names.len || names.data[names.len - 1] == '\n');
        while (rest.len && span_next_token(&rest, '\n', &name) && name.len) {
            if (span_has_suffix(name, SPAN("/")))
                name.len--;
            must(secret_path_is_good(name) && span_find_byte(name, '/') == SIZE_MAX);
        }
    }
    buf_fini(&names);
}

static void read_words(int status, struct span body)
{
    char words[TOKEN_WORDS_BYTES];
    size_t len;

    vault_answer_words(status, body, words);
    len = strnlen(words, TOKEN_WORDS_BYTES);
    must(len > 0 && len < TOKEN_WORDS_BYTES);
    for (size_t i = 0; i < len; i++)
        must(words[i] >= ' ' && words[i] < 0x7f);
    must(!vault_answer_is_mismatch(status, body) || status == 400);
    must(!vault_answer_wants_version(status, body) || status == 400);
}

static void read_numbers(struct span body)
{
    uint64_t number = 0;
    unsigned kv = 0;

    if (vault_answer_mount(body, &kv) == 0)
        must(kv == 1 || kv == 2);
    if (vault_answer_written(body, &number) == 0)
        must(number != 0 && number != SECRET_ANY);
    if (vault_answer_stamp(body, &number) == 0)
        must(number != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 204, 307, 400, 403, 404, 412, 473, 500, 503};
    struct span body;
    bool is_locked;
    int status;

    if (!secrets)
        secrets = secret_arena_new(1 << 20, &is_locked);
    if (!secrets || size < 2)
        return 0;
    status = statuses[data[1] % (sizeof(statuses) / sizeof(statuses[0]))];
    body = span_of((const char *)data + 2, size - 2);
    if (data[0] == 't')
        read_token(body);
    else if (data[0] == 'e')
        read_entry(data[1] % 2 ? 404 : 200, body);
    else if (data[0] == 'l')
        read_names(body);
    else if (data[0] == 'w')
        read_words(status, body);
    else
        read_numbers(body);
    return 0;
}
