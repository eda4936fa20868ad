/*
 * What the configuration says of an issuer: plain values, borrowed from it. issuer_new copies what
 * it needs. Never changed once made; any thread.
 *
 * Values of header fields and environments, and bodies, are secrets, as an administrator's key
 * stands in them: issuer_new takes a reference. Where a text may hold placeholders, {name} is the
 * key's name, {time} the time (issuer_write_time), {expires} the end of life_us from now (RFC 3339,
 * UTC), {id} the issuer's name for the key (revoke), {current_key} a key that works now. Each is
 * escaped for where it stands: percent-coded in a URL, as JSON in a body's strings. {current_key}
 * is a secret and stands in header fields and bodies alone. Other words in braces are refused;
 * braces around anything else are themselves.
 */
#ifndef ROTATION_ISSUER_SETTINGS_H
#define ROTATION_ISSUER_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"

struct credential;
struct secret_store;

enum issuer_kind {
    ISSUER_HTTP,       /* declared requests */
    ISSUER_COMMAND,    /* a program of the operator's */
    ISSUER_OPENAI,     /* service accounts of a project */
    ISSUER_OPENROUTER, /* the keys API */
    ISSUER_GCP,        /* Google Cloud's API Keys, v2 */
    ISSUER_STORE,      /* somebody puts the next key into a secret store */
    ISSUER_KINDS,
};

/* A header field, or a variable of an environment. */
struct issuer_field {
    struct span name;
    struct secret *value; /* NULL: empty */
};

/* One declared request; url empty: there is none. */
struct issuer_request {
    struct span method; /* empty: POST to create, DELETE to revoke, GET to list */
    struct span url;    /* http or https */
    const struct issuer_field *fields;
    size_t field_count;
    struct secret *body; /* JSON; NULL: none */
};

/* How a list goes on. cursor: where in an answer the next page is named, which then stands in the
 * parameter; more: where it says whether there is one (empty: there is while there is a cursor).
 * With counts, the parameter is the number of items seen, until a page is empty. Neither: one page.
 */
struct issuer_paging {
    struct span parameter; /* of the query */
    struct span cursor;    /* JSON pointer into the answer */
    struct span more;      /* JSON pointer */
    bool is_count;
};

/* Pointers are JSON pointers (RFC 6901); "" is the whole. */
struct issuer_http_settings {
    struct issuer_request create, revoke, list;
    struct span key, id, expires;                 /* in create's answer; expires may be empty */
    struct span items;                            /* in list's: the array */
    struct span item_name, item_id, item_expires; /* in each of its items */
    struct issuer_paging paging;
};

/* The program reads one JSON object on its standard input: {"action": "create" | "revoke" | "find",
 * "name": .., "id": .. (revoke)}, writes one on its standard output (create: {"key", "id",
 * "expires"}; find: {"id", "expires"}, or {} where there is none), and ends with 0. Ended
 * otherwise, the first line of its standard error says why: with 2 it is a clear no, with 75
 * (EX_TEMPFAIL) nothing was made and a later try may go well; any other end leaves open whether a
 * key was made. It runs in "/" in a process group of its own, which is killed at the time-out. */
struct issuer_command_settings {
    const char *const *argv;                /* of a whole path first; ends with NULL */
    const struct issuer_field *environment; /* besides PATH; all that the program gets */
    size_t environment_count;
    bool can_find, can_revoke; /* the program knows these actions */
};

struct issuer_openai_settings {
    struct span url; /* empty: https://api.openai.com */
    struct span project;
    struct secret *admin_key;
};

struct issuer_openrouter_settings {
    struct span url; /* empty: https://openrouter.ai */
    struct secret *provisioning_key;
    struct span limit_usd; /* a decimal number: what the key may spend; empty: no limit */
};

struct issuer_gcp_settings {
    struct span url; /* empty: https://apikeys.googleapis.com */
    struct span project;
    const struct credential *credential; /* a service account's */
    struct secret *restrictions;         /* a JSON object, as the API has it; NULL: none */
};

struct issuer_store_settings {
    struct secret_store *store; /* outlives the issuer */
    struct span path;
};

struct issuer_settings {
    enum issuer_kind kind;
    uint64_t timeout_us; /* of one request, or of the program; 0: 30 s */
    uint64_t life_us;    /* that is asked for a new key, where the API takes one; 0: none */
    struct issuer_http_settings http;
    struct issuer_command_settings command;
    struct issuer_openai_settings openai;
    struct issuer_openrouter_settings openrouter;
    struct issuer_gcp_settings gcp;
    struct issuer_store_settings store;
};

#endif
