/*
 * What a sealed file holds: entries by their path, each with its version, in locked memory; and how
 * they are written as JSON, the text that is sealed:
 *
 *     {"last_version":7,"entries":{"openai/pool-a":{"version":7,"entry":{"api_key":"sk-.."}}}}
 *
 * Versions are counted over the whole file, so that none comes back, even of what was removed.
 * Changes are made on trial, and kept or dropped together once it is known what became of the file.
 * One thread; while no changes are made, a helper thread may write them out too.
 */
#ifndef SECRETS_SEALED_ENTRIES_H
#define SECRETS_SEALED_ENTRIES_H

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "secrets/secret_store_kind.h"

/* An entry's text, in pieces that fit into locked memory. Never changed; counted by one thread. */
struct sealed_body {
    unsigned refs;
    size_t count;
    struct secret *pieces[];
};

/* 0, ERR_FULL (the arena) or ERR_NOMEM. */
int sealed_body_new(struct secret_arena *secrets, struct span text, struct sealed_body **ret_body);
struct sealed_body *sealed_body_ref(struct sealed_body *body);
void sealed_body_unref(struct sealed_body **body);

/* Appends the text: 0, ERR_FULL or ERR_NOMEM. */
int sealed_body_write(const struct sealed_body *body, struct buf *out);

struct sealed_entry {
    struct sealed_body *body; /* NULL: none is there */
    uint64_t version;
};

struct sealed_slot {
    struct sealed_entry kept;  /* what readers see */
    struct sealed_entry trial; /* what follows; where is_changing */
    bool is_changing;
    struct list link; /* of the changing ones */
    size_t path_len;
    char path[];
};

struct sealed_entries {
    struct map slots;
    struct list changing;
    struct secret_arena *secrets;
    uint64_t last_version;       /* of what is kept */
    uint64_t trial_last_version; /* with what is on trial */
};

void sealed_entries_init(struct sealed_entries *entries, struct secret_arena *secrets);
void sealed_entries_fini(struct sealed_entries *entries);

/* Reads the text: 0; ERR_PROTO: it is no such text; ERR_FULL; ERR_NOMEM. After an error only
 * sealed_entries_fini is right. */
int sealed_entries_read(struct sealed_entries *entries, struct span text);

/* Appends the text of what is on trial: 0, ERR_FULL or ERR_NOMEM. */
int sealed_entries_write(const struct sealed_entries *entries, struct buf *out);

/* What is kept there; version 0 where nothing is. */
struct sealed_entry sealed_entries_find(const struct sealed_entries *entries, struct span path);

/* One change on trial, seen by the next: 0 and the version it will have (0: removed); ERR_EXISTS:
 * another one is there than was expected; ERR_FULL, ERR_NOMEM. The body gets a
 * reference of its own; NULL removes what is there. */
int sealed_entries_try(struct sealed_entries *entries, struct span path, struct sealed_body *body,
                       uint64_t expected, uint64_t *ret_version);

/* Ends the trial: all of it is kept, or nothing. */
void sealed_entries_keep(struct sealed_entries *entries);
void sealed_entries_drop(struct sealed_entries *entries);

#endif
