/*
 * A declared HTTP request: kept as the configuration has it, and written out for one call. No I/O;
 * belongs to an issuer, one thread.
 */
#ifndef ROTATION_ISSUER_REQUEST_H
#define ROTATION_ISSUER_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/secret.h"
#include "rotation/issuer_settings.h"
#include "rotation/issuer_text.h"

struct issuer_kept_field {
    char *name;
    struct secret *value; /* NULL: empty */
};

/* One of an issuer's requests; zeroed: there is none. */
struct issuer_template {
    char *method;
    char *url; /* NULL: there is none */
    struct issuer_kept_field *fields;
    size_t field_count;
    struct secret *body; /* NULL: none */
    unsigned used;       /* placeholders, as bits */
    bool has_type, has_accept;
};

/* A request as it is sent; zeroed before its first use. */
struct issuer_message {
    struct buf url;
    struct buf lines;    /* of the fields, each with a NUL; wiped */
    const char **fields; /* into lines; ends with NULL */
    struct buf body;     /* wiped */
};

/* Keeps a request, `what` ("create") in complaints: 0; ERR_SYNTAX or ERR_RANGE with `why` (of
 * ISSUER_WHY_BYTES); ERR_NOMEM. issuer_template_fini is right in any case. */
int issuer_template_init(struct issuer_template *kept, const struct issuer_request *request,
                         const char *method, const char *what, char *why);
void issuer_template_fini(struct issuer_template *kept);

/* Writes it out. 0; ERR_NOTFOUND where a word is
 * wanted that there is not; ERR_FULL; ERR_NOMEM. issuer_message_fini is right in any case. */
int issuer_message_write(struct issuer_message *message, const struct issuer_template *kept,
                         const struct issuer_words *words);
void issuer_message_fini(struct issuer_message *message);

/* Words (of ISSUER_WHY_BYTES) that hold a part of what the request kept secret become others. */
void issuer_message_guard(const struct issuer_message *message, const struct issuer_template *kept,
                          const struct issuer_words *words, char *why);

#endif
