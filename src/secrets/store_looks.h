/*
 * Looks at what is watched in a store that tells of no changes itself: now and then, one entry
 * after another, so that a round costs one request at a time; a store that cannot be asked at all
 * is asked once a round. Embedded in the store; control thread.
 */
#ifndef SECRETS_STORE_LOOKS_H
#define SECRETS_STORE_LOOKS_H

#include "base/rand.h"
#include "secrets/secret_store_kind.h"

struct store_looks;

/* A watched entry; watch->work. */
struct store_look {
    struct list link;
    struct secret_watch *watch;
    struct store_looks *looks;
    void *work;    /* the kind's, while it looks */
    bool is_whole; /* the kind's: what is cheaper than reading the entry is forbidden */
};

struct store_looks_ops {
    /* Begins one: 0, with store_look_done later, or ERR_NOMEM. */
    int (*begin)(struct store_look *look);
    void (*cancel)(struct store_look *look);
};

struct store_looks {
    struct secret_store *store;
    const struct store_looks_ops *ops;
    uint64_t poll_us;
    struct rand rand;
    struct loop_timer timer; /* of the next round */
    struct loop_task next;   /* the next look of this one */
    struct loop_task tell;   /* our own changes, to who watches them */
    struct list due, rested;
    struct store_look *looking; /* at most one */
};

/* 0 or ERR_NOMEM; store_looks_fini is right in any case. */
int store_looks_init(struct store_looks *looks, struct secret_store *store,
                     const struct store_looks_ops *ops, uint64_t poll_us);

/* When nothing is watched any more. */
void store_looks_fini(struct store_looks *looks);

/* The kind's watch and unwatch. */
int store_looks_add(struct store_looks *looks, struct secret_watch *watch);
void store_looks_remove(struct store_looks *looks, struct secret_watch *watch);

/* What a look found: a number that differs where the entry does, or why there is none. is_lost: the
 * store cannot be asked, whatever the path. Tells; the store may have been changed after it. */
void store_look_done(struct store_look *look, uint64_t seen, int err, const char *why,
                     bool is_lost);

/* We have changed that entry ourselves: whoever watches it is told, a little later. */
void store_looks_changed(struct store_looks *looks, struct span path);

#endif
