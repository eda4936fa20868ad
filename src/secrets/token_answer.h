/*
 * What a token server answers (RFC 6749 5.1 and 5.2, and what Microsoft, Google and Anthropic make
 * of it), read without trust: a token that could not stand in a header line is none, and what is
 * told of a refusal holds neither control characters nor anything that looks like a token. No
 * state; any thread.
 */
#ifndef SECRETS_TOKEN_ANSWER_H
#define SECRETS_TOKEN_ANSWER_H

#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"

enum {
    TOKEN_MAX_BYTES = 15 << 10, /* a header line of it fits a secret */
    TOKEN_WORDS_BYTES = 256,
};

/* How long a token lives whose server does not say; and the longest that is believed. */
#define TOKEN_UNTOLD_LIFE_US (UINT64_C(300) * 1000000)
#define TOKEN_MAX_LIFE_US    (UINT64_C(86400) * 1000000)

struct token_answer {
    struct secret *token;          /* a reference of the caller's; NULL: refused */
    uint64_t life_us;              /* from the moment that it was asked for */
    char words[TOKEN_WORDS_BYTES]; /* why there is none; else "" */
};

/* Reads an answer of that status. 0; ERR_SYNTAX where it holds no token; ERR_FULL (the arena) or
 * ERR_NOMEM. */
int token_answer_read(int status, struct span body, struct secret_arena *arena,
                      struct token_answer *ret_answer);

/* Text as it may stand in a log: one line of plain characters, cut to fit, runs that could be a
 * token left out. `words` has TOKEN_WORDS_BYTES. */
void token_words(struct span text, char *words);

/* Words that hold a part of that secret, as it is or as a form has it, become others: a server may
 * echo what it was sent. */
void token_words_guard(char *words, struct span secret);

#endif
