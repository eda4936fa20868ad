#include "secrets/token_answer.h"

#include <stdio.h>

#include "base/err.h"
#include "base/percent.h"
#include "json/tree.h"

enum {
    TREE_MAX_BYTES = 1 << 20,
    /* As long as a UUID, which Microsoft's descriptions hold; longer ones may be credentials. */
    RUN_MAX_BYTES = 36,
    /* So much of a secret in a row is no chance. */
    PART_BYTES = 8,
};

/* ---- words ---- */

static bool may_be_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           span_find_byte(SPAN("-_.~+="), c) != SIZE_MAX;
}

static size_t run_of_token(struct span text)
{
    size_t len = 0;

    while (len < text.len && may_be_token(text.ptr[len]))
        len++;
    return len;
}

static size_t put(char *words, size_t at, struct span text)
{
    size_t room = TOKEN_WORDS_BYTES - 1 - at, len = text.len < room ? text.len : room;

    memcpy(words + at, text.ptr, len);
    return at + len;
}

void token_words(struct span text, char *words)
{
    size_t at = 0;

    while (text.len && at < TOKEN_WORDS_BYTES - 1) {
        size_t run = run_of_token(text);
        bool is_plain = text.ptr[0] > ' ' && text.ptr[0] < 0x7f;

        if (run > RUN_MAX_BYTES)
            at = put(words, at, SPAN("(not shown)"));
        else if (run)
            at = put(words, at, span_of(text.ptr, run));
        else if (is_plain)
            at = put(words, at, span_of(text.ptr, 1));
        else if (at && words[at - 1] != ' ')
            at = put(words, at, SPAN(" "));
        text = span_skip(text, run ? run : 1);
    }
    while (at && words[at - 1] == ' ')
        at--;
    words[at] = '\0';
}

static bool holds_part(struct span words, struct span secret)
{
    size_t part = secret.len < PART_BYTES ? secret.len : PART_BYTES;

    for (size_t i = 0; part && i + part <= secret.len; i++) {
        if (span_find(words, span_of(secret.ptr + i, part)) != SIZE_MAX)
            return true;
    }
    return false;
}

void token_words_guard(char *words, struct span secret)
{
    struct span text = span_from_text(words);
    char decoded[TOKEN_WORDS_BYTES];

    if (holds_part(text, secret) ||
        holds_part(span_of(decoded, percent_read(text, decoded)), secret))
        snprintf(words, TOKEN_WORDS_BYTES, "refused, in words that hold our own secret");
}

static void add_words(struct token_answer *answer, struct span text)
{
    char words[TOKEN_WORDS_BYTES];
    size_t at = strlen(answer->words);

    token_words(text, words);
    if (!*words)
        return;
    at = put(answer->words, at, SPAN(": "));
    at = put(answer->words, at, span_from_text(words));
    answer->words[at] = '\0';
}

/* "HTTP 400: invalid_client: AADSTS7000215: ..." out of whatever there is. */
static void tell_refusal(int status, yyjson_val *root, struct token_answer *answer)
{
    yyjson_val *error = yyjson_obj_get(root, "error");
    /* OAuth's own are two strings; Anthropic's and Google's API errors are objects. */
    struct span code = json_tree_text(error), text = json_tree_string(root, "error_description");

    snprintf(answer->words, sizeof(answer->words), "HTTP %d", status);
    if (yyjson_is_obj(error)) {
        code = json_tree_string(error, "type");
        if (!code.len)
            code = json_tree_string(error, "status");
        text = json_tree_string(error, "message");
    }
    add_words(answer, code);
    add_words(answer, text);
}

/* ---- tokens ---- */

/* RFC 6750 2.1, and a little more: what can stand behind "Bearer " and end there. */
static bool is_token(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len > 0 && text.len <= TOKEN_MAX_BYTES;
}

/* Seconds as a number, or as the string that older servers of Microsoft write. */
static int read_life(yyjson_val *value, uint64_t *ret_life_us)
{
    uint64_t most = TOKEN_MAX_LIFE_US / 1000000, seconds = 0;

    if (!value || yyjson_is_null(value)) {
        *ret_life_us = TOKEN_UNTOLD_LIFE_US;
        return 0;
    }
    if (yyjson_is_uint(value))
        seconds = yyjson_get_uint(value);
    else if (yyjson_is_real(value) && yyjson_get_real(value) > 0)
        seconds = yyjson_get_real(value) < (double)most ? (uint64_t)yyjson_get_real(value) : most;
    else if (span_to_u64(json_tree_text(value), &seconds))
        return ERR_SYNTAX;
    if (!seconds)
        return ERR_SYNTAX;
    *ret_life_us = (seconds < most ? seconds : most) * 1000000;
    return 0;
}

static int refuse(struct token_answer *answer, const char *words)
{
    token_words(span_from_text(words), answer->words);
    return ERR_SYNTAX;
}

static int read_token(yyjson_val *root, struct secret_arena *arena, struct token_answer *answer)
{
    struct span token = json_tree_string(root, "access_token");
    struct span type = json_tree_string(root, "token_type");

    if (!token.ptr)
        return refuse(answer, "the answer holds no access_token");
    if (!is_token(token))
        return refuse(answer, "the access_token is none that a header could carry");
    if (type.len && !span_is_equal_nocase(type, SPAN("Bearer")))
        return refuse(answer, "the token is no bearer token");
    if (read_life(yyjson_obj_get(root, "expires_in"), &answer->life_us))
        return refuse(answer, "expires_in is no number of seconds");
    return secret_new(arena, token, &answer->token);
}

int token_answer_read(int status, struct span body, struct secret_arena *arena,
                      struct token_answer *ret_answer)
{
    struct token_answer answer = {.token = NULL};
    struct json_tree tree;
    yyjson_val *root = NULL;
    int err = json_tree_read(&tree, body, TREE_MAX_BYTES);

    if (!err)
        root = yyjson_doc_get_root(tree.doc);
    if (status < 200 || status > 299) {
        tell_refusal(status, root, &answer);
        err = ERR_SYNTAX;
    } else if (!yyjson_is_obj(root)) {
        err = refuse(&answer, "the answer is no JSON object");
    } else {
        err = read_token(root, arena, &answer);
    }
    json_tree_fini(&tree);
    secret_wipe(tree.own, sizeof(tree.own));
    *ret_answer = answer;
    return err;
}
