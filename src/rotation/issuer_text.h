/*
 * Texts of the configuration with placeholders, and what stands there when they are put to use.
 * Pure; any thread.
 */
#ifndef ROTATION_ISSUER_TEXT_H
#define ROTATION_ISSUER_TEXT_H

#include "base/buf.h"
#include "base/span.h"

enum issuer_placeholder {
    ISSUER_PUT_NAME,
    ISSUER_PUT_TIME,
    ISSUER_PUT_ID,
    ISSUER_PUT_CURRENT_KEY,
    ISSUER_PUT_EXPIRES,
    ISSUER_PLACEHOLDERS,
};

/* What the placeholders stand for. A ptr of NULL: nothing that could be put there. */
struct issuer_words {
    struct span of[ISSUER_PLACEHOLDERS];
};

/* Which placeholders the text holds, as bits 1 << enum issuer_placeholder: 0; ERR_SYNTAX with the
 * word in braces that is none of them. */
int issuer_text_check(struct span text, unsigned *ret_used, struct span *ret_unknown);

/* The same of all the strings in a JSON text; besides ERR_SYNTAX where it is no JSON (the unknown
 * word is empty then), ERR_RANGE where it is nested too deep, ERR_FULL, ERR_NOMEM. */
int issuer_body_check(struct span json, unsigned *ret_used, struct span *ret_unknown);

/* Appends the text with its placeholders replaced; is_url: percent-coded (RFC 3986 2.1, all but
 * unreserved characters). ERR_NOTFOUND where a word is wanted that there is not; ERR_FULL or
 * ERR_NOMEM. */
int issuer_text_write(struct buf *out, struct span text, const struct issuer_words *words,
                      bool is_url);

/* Appends a JSON text with the placeholders in its strings replaced: as above, and the errors of
 * issuer_body_check. */
int issuer_body_write(struct buf *out, struct span json, const struct issuer_words *words);

/* Words (of TOKEN_WORDS_BYTES) that hold a part of a string of the body that looks like a
 * credential, rather than like words, become others. */
void issuer_body_guard(struct span json, char *why);

#endif
