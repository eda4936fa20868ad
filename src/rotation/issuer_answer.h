/*
 * What issuers answer, read without trust: a key that could not stand in a header line is none,
 * what is told of a refusal is one line of plain characters, and the memory in which an answer was
 * read is wiped. No state; any thread.
 */
#ifndef ROTATION_ISSUER_ANSWER_H
#define ROTATION_ISSUER_ANSWER_H

#include <stdbool.h>
#include <stdint.h>

#include <yyjson.h>

#include "base/secret.h"
#include "base/span.h"
#include "rotation/issuer_inner.h"

enum { ISSUER_DOC_MAX_BYTES = 1 << 20 };

/* A JSON text that may hold secrets, as a tree: in one block of memory, which is wiped. Embedded;
 * zeroed before its first use. Numbers stand as they were spelled (json_tree_number). */
struct issuer_doc {
    yyjson_val *root; /* NULL: nothing was read */
    void *block;
    size_t block_bytes;
};

/* 0; ERR_SYNTAX; ERR_FULL (over ISSUER_DOC_MAX_BYTES); ERR_NOMEM. issuer_doc_fini is right in any
 * case. */
int issuer_doc_read(struct issuer_doc *doc, struct span text);
void issuer_doc_fini(struct issuer_doc *doc);

/* The text is a JSON pointer (RFC 6901): "" or "/a/0/b~1c". */
bool issuer_pointer_is_sound(struct span pointer);

/* Where it leads; NULL: nowhere, or to null. */
const yyjson_val *issuer_point(const yyjson_val *root, struct span pointer);

/* Where a key stands in the answer that tells it; JSON pointers. */
struct issuer_shape {
    struct span key;
    struct span id;      /* empty: no id is told */
    struct span expires; /* empty: no expiry is told */
};

/* Reads a new key: 0 with the result's key, id and expiry; else the result's error is set too, and
 * the id where there is one. ERR_PROTO: key, id or expiry is none; ERR_FULL (the arena);
 * ERR_NOMEM. */
int issuer_read_key(const yyjson_val *root, const struct issuer_shape *shape,
                    struct secret_arena *secrets, struct issuer_result *result);

/* The id and the expiry alone, of a key in a list: 0 or ERR_PROTO, told in the result. */
int issuer_read_listed(const yyjson_val *item, const struct issuer_shape *shape,
                       struct issuer_result *result);

/* RFC 3339, or seconds of Unix, as a number or in digits: 0 or ERR_SYNTAX. */
int issuer_read_time(const yyjson_val *value, uint64_t *ret_wall_us);

/* ": " and the text, cleaned, behind words of ISSUER_WHY_BYTES; nothing where nothing is left. */
void issuer_add_words(char *words, struct span text);

/* Whether an HTTP status says that it was done. Where not, the result's error is set: the words are
 * the server's, from the forms of error in use, or its text where the type is plain. */
bool issuer_status_is_done(int status, const yyjson_val *root, enum issuer_call call,
                           struct issuer_result *result);

/* The same of an exchange that brought no answer: an error of secrets/fetch.h. */
void issuer_result_unanswered(struct issuer_result *result, int err, const char *why);

#endif
