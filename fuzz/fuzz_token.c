/*
 * A token server's answer: a first byte that picks the status, then a body. Whatever it says, a
 * token can stand in a header line, its life keeps its bounds, and the words told of a refusal are
 * one line of plain characters.
 */
#include "fuzz.h"

#include "base/err.h"
#include "secrets/service_account.h"
#include "secrets/token_answer.h"

static void check_words(const char *words)
{
    size_t len = strnlen(words, TOKEN_WORDS_BYTES);

    must(len < TOKEN_WORDS_BYTES);
    for (size_t i = 0; i < len; i++)
        must(words[i] >= ' ' && words[i] < 0x7f);
}

static void check_token(const struct token_answer *answer)
{
    struct span token = secret_reveal(answer->token);

    must(token.len > 0 && token.len <= TOKEN_MAX_BYTES);
    for (size_t i = 0; i < token.len; i++)
        must(token.ptr[i] > ' ' && token.ptr[i] < 0x7f);
    must(answer->life_us >= 1000000 && answer->life_us <= TOKEN_MAX_LIFE_US);
}

static void read_key_file(struct span text)
{
    struct service_account account;
    const char *why = NULL;

    if (service_account_read(text, &account, &why) == ERR_SYNTAX)
        must(why != NULL);
    service_account_fini(&account);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct secret_arena *arena;
    static const int statuses[] = {200, 204, 302, 400, 401, 429, 500};
    struct token_answer answer;
    bool is_locked;
    struct span body;
    int err;

    if (!arena)
        arena = secret_arena_new(1 << 20, &is_locked);
    if (!arena || size == 0)
        return 0;
    body = span_of((const char *)data + 1, size - 1);
    err = token_answer_read(statuses[data[0] % (sizeof(statuses) / sizeof(statuses[0]))], body,
                            arena, &answer);
    must((err == 0) == (answer.token != NULL));
    if (answer.token)
        check_token(&answer);
    token_words_guard(answer.words, body);
    check_words(answer.words);
    secret_unref(&answer.token);
    read_key_file(body);
    return 0;
}
