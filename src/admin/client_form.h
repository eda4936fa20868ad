/*
 * What the body of an order says of a client key: `name`, `expires_in_days` or `expires_at`,
 * `rate_limit` (requests a minute), `limits`, `models`, `class`. Pure; any thread.
 */
#ifndef ADMIN_CLIENT_FORM_H
#define ADMIN_CLIENT_FORM_H

#include "access/issued.h"
#include "json/tree.h"

enum { CLIENT_FORM_MODELS = 64, CLIENT_FORM_WORDS_BYTES = 256, CLIENT_FORM_MAX_DAYS = 36500 };

struct client_form {
    struct issued_facts facts; /* texts borrowed from the body and from `before` */
    struct span models[CLIENT_FORM_MODELS];
    char why[CLIENT_FORM_WORDS_BYTES]; /* with ERR_SYNTAX: what is wrong, and what is allowed */
};

/* Reads an object. before: what holds where it says nothing, and its name is not asked for; NULL:
 * it is a new key. Null takes a limit or an end away. 0 or ERR_SYNTAX. Never moved afterwards. */
int client_form_read(struct client_form *form, const yyjson_val *body,
                     const struct issued_facts *before, uint64_t wall_us);

#endif
