/*
 * One page of what the store keeps, under way: for the files that write them. Private to admin/.
 */
#ifndef ADMIN_LOOKUP_INNER_H
#define ADMIN_LOOKUP_INNER_H

#include "admin/lookup.h"
#include "store/store.h"

enum { LOOKUP_NAME_BYTES = 256, LOOKUP_LIMIT = 50 };

struct lookup {
    struct list link; /* in lookups->all */
    struct lookups *lookups;
    struct http_server_conn *conn;
    const struct lookup_kind *kind;
    struct store_ask ask;
    struct page page;
    struct json_writer writer;
    bool is_asking_again; /* the page goes on with another answer */

    /* What was asked for. Texts are empty where it was not; they stand in `texts`. */
    struct span provider, key, name;
    uint64_t before;
    size_t limit;
    char texts[3][LOOKUP_NAME_BYTES];
};

/* The store; NULL: there is none. */
struct store *lookup_store(const struct lookup *lookup);

/* What rotation has under way, as a member: of that provider, or (empty) of all. */
void page_put_rotations(const struct page_view *view, struct span wanted,
                        struct json_writer *writer);

#endif
