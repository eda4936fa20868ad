/*
 * Bytes sealed under the seal key: XChaCha20-Poly1305 (libsodium) behind a header that says what
 * they are and under which key. The header is authenticated with them. No I/O, no state; any
 * thread.
 *
 *     8 bytes  what it is: "BWSEALF\n", a file of secrets; "BWSEALT\n", one text
 *     4        the version of the format, most significant byte first: 1
 *    16        the id of the key
 *    24        the nonce, random
 *     n        the sealed bytes
 *    16        the tag
 */
#ifndef SECRETS_SEALED_H
#define SECRETS_SEALED_H

#include "base/buf.h"
#include "base/span.h"
#include "secrets/seal_key.h"

enum {
    SEALED_HEADER_BYTES = 52,
    SEALED_TAG_BYTES = 16,
    SEALED_TEXT_MAX_BYTES = SECRET_MAX_BYTES, /* of one text that is sealed alone */
};

enum sealed_kind { SEALED_FILE, SEALED_TEXT };

/* Appends the sealed form of `plain`: 0, ERR_FULL or ERR_NOMEM. */
int sealed_close(const struct seal_key *key, enum sealed_kind kind, struct span plain,
                 struct buf *out);

/* Appends what is sealed in there to `out`, a secret buffer. 0; ERR_SYNTAX: it is no such thing, or
 * cut before its header ends; ERR_UNSUPPORTED: written by a newer version; ERR_DENIED: sealed under
 * another key; ERR_PROTO: damaged, or cut; ERR_FULL, ERR_NOMEM. With an error, `why`
 * (SECRET_WORDS_BYTES) goes on from "the file ...": "was damaged". */
int sealed_open(const struct seal_key *key, enum sealed_kind kind, struct span sealed,
                struct buf *out, char *why);

/* The same for one text, in a form that a configuration file can hold: "sealed:BASE64", one line.
 * `text` has at most SEALED_TEXT_MAX_BYTES: else ERR_RANGE. */
int sealed_text_close(const struct seal_key *key, struct span text, struct buf *out);
int sealed_text_open(const struct seal_key *key, struct span sealed, struct buf *out, char *why);

/* Begins as such a text does. */
bool sealed_text_is(struct span text);

#endif
