/*
 * The inside of secrets/secret_store.h, for the files that are a kind of store: what each kind
 * offers, and what all of them share. Control thread.
 */
#ifndef SECRETS_SECRET_STORE_KIND_H
#define SECRETS_SECRET_STORE_KIND_H

#include "base/buf.h"
#include "base/map.h"
#include "json/tree.h"
#include "secrets/secret_store.h"

enum secret_act { SECRET_READ, SECRET_WRITE, SECRET_REMOVE, SECRET_LIST, SECRET_VERSIONS };

/* What is asked; borrowed for the call, and checked. */
struct secret_request {
    enum secret_act act;
    struct span path; /* SECRET_LIST: may be empty */
    struct span text; /* SECRET_WRITE */
    uint64_t expected;
    struct span version; /* SECRET_READ: of an older one; empty: the current one */
};

struct secret_store_ops {
    const char *kind;
    /* SECRET_VERSIONS and versions are asked of it; else those are answered for it. */
    bool has_versions;
    /* 0, and secret_ask_finish later; or ERR_NOMEM with nothing under way. */
    int (*begin)(struct secret_store *store, struct secret_ask *ask,
                 const struct secret_request *request);
    /* The ask goes: nothing of it is touched any more. */
    void (*cancel)(struct secret_ask *ask);
    /* Another watch, which stands in store->watches already: 0 or ERR_NOMEM. May be NULL. */
    int (*watch)(struct secret_store *store, struct secret_watch *watch);
    void (*unwatch)(struct secret_watch *watch);       /* may be NULL */
    bool (*is_busy)(const struct secret_store *store); /* may be NULL */
    /* The last call; there are no asks and no watches any more. */
    void (*free)(struct secret_store *store);
};

/* The first member of each kind's own struct. */
struct secret_store {
    const struct secret_store_ops *ops;
    struct loop *loop;
    struct list asks;
    struct list watches;
};

void secret_store_init(struct secret_store *store, const struct secret_store_ops *ops,
                       struct loop *loop);

/* Ends an ask; ask->work is the kind's no more. Last of all, as the store may be gone then. */
void secret_ask_finish(struct secret_ask *ask, const struct secret_answer *answer);

/* The same for a failure: why may be NULL, which gives err's own words. */
void secret_ask_fail(struct secret_ask *ask, int err, const char *why);

/* Notes what a look at a watched entry found: a number that differs from that of the last look
 * where the entry does; or, with err, why it could not be looked at. secret_watch_tell tells it. */
void secret_watch_note(struct secret_watch *watch, uint64_t seen, int err, const char *why);

/* Notes a change of that path for all who watch it. */
void secret_watch_note_path(struct secret_store *store, struct span path);

/* Tells all that is noted. */
void secret_watch_tell(struct secret_store *store);

struct span secret_watch_path(const struct secret_watch *watch);

/* The version of a content, for places that count none: never 0 or SECRET_ANY, equal for equal
 * bytes in this process, and telling nothing of them. */
uint64_t secret_version_of(struct span text);

/* {"api_key":"<key>"} appended: 0, ERR_SYNTAX where a header line could not carry the key, ERR_FULL
 * or ERR_NOMEM. */
int secret_entry_from_key(struct span key, struct buf *out);

/* json_tree_fini for a text that holds secrets: no copy of it is left behind. */
void secret_tree_fini(struct json_tree *tree);

/* Names gathered for the answer of a list: each once, sorted, in one text. */
struct secret_names {
    char **names; /* each of its own, NUL behind it */
    size_t count, cap;
    size_t bytes;
    struct map known; /* those names */
};

/* Adds one: 0, ERR_FULL (SECRET_LIST_MAX_BYTES in all) or ERR_NOMEM. */
int secret_names_add(struct secret_names *names, struct span name);

/* Adds what of the path stands right below the folder, if anything does. */
int secret_names_add_below(struct secret_names *names, struct span folder, struct span path);

/* Sorts, and writes them out as secret_answer.names has it: 0, ERR_FULL or ERR_NOMEM. */
int secret_names_write(struct secret_names *names, struct buf *out);

void secret_names_fini(struct secret_names *names);

#endif
