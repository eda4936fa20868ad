/*
 * What clients may ask for, from tables/inbound.def. Constant; any thread.
 */
#ifndef EXCHANGE_INBOUND_H
#define EXCHANGE_INBOUND_H

#include "base/arena.h"
#include "base/span.h"
#include "dialect/form.h"
#include "http/head.h"

enum inbound_kind {
#define INBOUND(kind, method, path, access, form, meaning) INBOUND_##kind,
#include "tables/inbound.def"
#undef INBOUND
    INBOUND_COUNT,
};

enum inbound_access { ACCESS_GENERATE, ACCESS_LIST, ACCESS_OPEN };

struct inbound_row {
    enum inbound_kind kind;
    enum http_method method;
    struct span path; /* without the '*' */
    bool is_prefix;
    enum inbound_access access;
    enum form form; /* FORM_COUNT: none */
};

/* A longer key in a query is not decoded. */
enum { INBOUND_KEY_BYTES = 512 };

enum inbound_verdict { INBOUND_FOUND, INBOUND_NO_PATH, INBOUND_NO_METHOD };

/* The row for a method (HEAD is taken as GET) and a path; *ret_row also with INBOUND_NO_METHOD, for
 * the Allow field. */
enum inbound_verdict inbound_find(enum http_method method, struct span path,
                                  const struct inbound_row **ret_row);

/* What a path says beside which row it is. */
struct inbound_facts {
    struct span model; /* that the path names, unescaped; empty: none */
    enum form form;
    bool is_streaming; /* by the path */
    bool is_array;     /* Gemini's stream as one JSON array: without alt=sse */
};

/* Reads the path of a row: true and *ret_facts (the model in the arena, or borrowed from the path),
 * or false where what it asks for is nothing that there is. */
bool inbound_read(const struct inbound_row *row, struct span path, struct span query,
                  struct arena *arena, struct inbound_facts *ret_facts);

/* The dialect in which to answer a request to that path, whether or not there is such a one. */
enum dialect_id inbound_dialect(const struct http_head *head, struct span path);

/* The key that the request shows, wherever its dialect puts it (Authorization, x-api-key, api-key,
 * x-goog-api-key, ?key=): its dialect's own place first. Empty where there is none. `room` holds
 * one that had to be decoded: whoever looked at it wipes that. */
struct span inbound_key(const struct http_head *head, enum dialect_id dialect, struct span query,
                        char room[INBOUND_KEY_BYTES]);

#endif
