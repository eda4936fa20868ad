/*
 * Places where secrets are kept: a sealed file of our own, a folder of files, HashiCorp Vault, ...
 * One struct for all of them; each kind has a header of its own that opens one. An entry stands
 * under a path of segments joined by '/' ("openai/pool-a"), and is a JSON object:
 *
 *     {"api_key":"sk-..","key_id":"..","created_by":"..","created_at":"..","expires_at":".."}
 *
 * of which only the name "api_key" means anything here. A store, its asks and its watches belong to
 * the control thread, whose loop never waits for any of them.
 *
 * What is told of a failure is one line of plain words that holds no secret.
 */
#ifndef SECRETS_SECRET_STORE_H
#define SECRETS_SECRET_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/secret.h"
#include "base/span.h"
#include "io/loop.h"

struct secret_store;

enum {
    SECRET_PATH_MAX_BYTES = 256,
    SECRET_ENTRY_MAX_BYTES = 128 << 10,
    SECRET_LIST_MAX_BYTES = 4 << 20,
    SECRET_WORDS_BYTES = 320,
    SECRET_VERSION_MAX_BYTES = 128,
};

/* In place of an expected version: whatever is there, or is not. */
#define SECRET_ANY UINT64_MAX

/* What stands under a path. Versions of one path are compared for equality only, and mean something
 * to the store that told them, as long as it is open. */
struct secret_entry {
    struct span text; /* the JSON object, borrowed for the call; in memory that is wiped */
    uint64_t version; /* 0: there is none, and no text; never SECRET_ANY */
};

/* What came of an ask; borrowed for the call.
 *
 * err: 0; ERR_EXISTS: another version is there than the one expected, and nothing was changed;
 * ERR_DENIED: the store forbids it; ERR_SYNTAX: what stands there is no entry; ERR_UNSUPPORTED: a
 * store of this kind, or that place, cannot; ERR_FULL; ERR_NOMEM; any other: the store is out of
 * reach or broken, and it is unknown whether a change was made. */
struct secret_answer {
    int err;
    const char *why;           /* with err; else "" */
    struct secret_entry entry; /* of a read; of a write: its version alone */
    /* Of a list: sorted, a '\n' behind each; folders end in '/'. Of versions: the newest first. */
    struct span names;
};

/* One question. Embedded in its owner; zeroed before its first use, and between two. */
struct secret_ask {
    struct secret_store *store; /* NULL: not under way */
    /* Called once, never before the call that began it has returned; the ask may then begin anew,
     * and the store be freed. */
    void (*on_done)(struct secret_ask *ask, const struct secret_answer *answer);
    struct list link;      /* the store's */
    struct loop_task task; /* the store's */
    void *work;            /* the store's */
};

/* Each begins one: 0, with on_done to come; else nothing is under way: ERR_NOMEM; ERR_SYNTAX for a
 * path or an entry that no store takes (secret_path_is_good, secret_entry_check). Path and text are
 * borrowed for the call. Several may be under way at once, in no
 * order: who needs one waits for the answer. */

/* An entry that is not there is no error: its version is 0. */
int secret_store_read(struct secret_store *store, struct secret_ask *ask, struct span path);

/* Puts an entry in the place of what is there, whole. expected: SECRET_ANY; 0: there must be none;
 * or the version that must be there. Once it is told, it has been kept durably. */
int secret_store_write(struct secret_store *store, struct secret_ask *ask, struct span path,
                       struct span text, uint64_t expected);

/* Removing what is not there is no error, but where a version is expected. */
int secret_store_remove(struct secret_store *store, struct secret_ask *ask, struct span path,
                        uint64_t expected);

/* The names right below a folder; empty: the store's own. A folder that is not there has none. */
int secret_store_list(struct secret_store *store, struct secret_ask *ask, struct span folder);

/* The versions of an entry that can still be read, the newest first, a line for each: its name, and
 * behind a space when it was made, where that is known ("3 2026-11-21T10:15:00.000Z"). An entry
 * that is not there has none. ERR_UNSUPPORTED where the store keeps none. */
int secret_store_versions(struct secret_store *store, struct secret_ask *ask, struct span path);

/* One of them, by its name (ERR_SYNTAX where it can be none, secret_version_is_good); of AWS also
 * by a staging label: "AWSPENDING". One that is not there, or no more, is no error: its version is
 * 0. */
int secret_store_read_version(struct secret_store *store, struct secret_ask *ask, struct span path,
                              struct span version);

/* Ends it untold; a change may be made all the same. Harmless where nothing is under way. */
void secret_ask_cancel(struct secret_ask *ask);

/* Wants to know of changes. Embedded in its owner; zeroed before its first use. */
struct secret_watch {
    struct secret_store *store; /* NULL: not watching */
    /* Something there may have changed, by whomever: read it again. Told a little late and perhaps
     * too often, never too seldom. It may cancel any watch, and must not free the store. */
    void (*on_change)(struct secret_watch *watch);
    /* Why the store cannot be looked at, when those words are others than last time; NULL: it can
     * be again. May be NULL. */
    void (*on_trouble)(struct secret_watch *watch, const char *why);
    struct list link; /* what follows is the store's */
    void *work;
    size_t path_len;
    char path[SECRET_PATH_MAX_BYTES];
    uint64_t seen; /* the version, or another number that differs where it does; where was_seen */
    bool was_seen, is_due, has_trouble, is_trouble_news;
    char why[SECRET_WORDS_BYTES]; /* of the trouble */
};

/* From the next change after this on, and perhaps once at first for nothing. 0, ERR_NOMEM or
 * ERR_SYNTAX. */
int secret_store_watch(struct secret_store *store, struct secret_watch *watch, struct span path);

/* Harmless where it is not watching. */
void secret_watch_cancel(struct secret_watch *watch);

/* "sealed file", "vault", ...: for people. */
const char *secret_store_kind(const struct secret_store *store);

/* A helper thread is at work for it: who is about to end lets the loop turn until none is, so that
 * what was begun is on the disk. */
bool secret_store_is_busy(const struct secret_store *store);

/* Ends all asks and watches untold. What a helper thread is at work on goes when it has come back
 * to the loop. Accepts a pointer to NULL. */
void secret_store_free(struct secret_store **store);

/* 1 to SECRET_PATH_MAX_BYTES in segments of letters, digits, '-', '_' and '.', none of which is
 * empty or begins or ends with a '.': what every kind can hold. */
bool secret_path_is_good(struct span path);

/* 1 to SECRET_VERSION_MAX_BYTES letters, digits, '-', '_' and '.': a version's name. */
bool secret_version_is_good(struct span version);

/* 0 where the text is a JSON object of at most SECRET_ENTRY_MAX_BYTES, none of its names twice,
 * whose api_key, if there is one, is a string that is not empty and could stand in a header line;
 * else ERR_SYNTAX or ERR_NOMEM and *ret_why, a static text. */
int secret_entry_check(struct span text, const char **ret_why);

/* A member of an entry as a secret of its own: 0; ERR_NOTFOUND, also where it is no string;
 * ERR_SYNTAX; ERR_RANGE, ERR_FULL, ERR_NOMEM. */
int secret_entry_member(struct span text, const char *name, struct secret_arena *arena,
                        struct secret **ret_secret);

#endif
