/*
 * What secret stores told of the entries that configurations refer to. A load takes values from
 * here and never asks a store itself: one that it has no value for is noted as wanted, and whoever
 * loads asks the stores (server/stored_reader.h) and then loads again. So the last good value of
 * everything is here while its store cannot be reached. Belongs to the thread that loads.
 */
#ifndef CONF_STORED_H
#define CONF_STORED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/secret.h"
#include "conf/place.h"
#include "secrets/secret_store.h"

enum { CONF_STORED_WHY_BYTES = 400, CONF_STORED_MEMBER_BYTES = 128 };

/* One member of an entry that something refers to. */
struct conf_stored_member {
    struct list link;
    struct secret *value; /* NULL: the entry has none, or there is no entry */
    bool is_known;        /* it was told once; what was told last stands */
    size_t name_len;
    char name[];
};

struct conf_stored_entry {
    struct list link;
    struct conf_place place; /* its texts are the entry's */
    bool is_folder;          /* the names right below the place are wanted, and no members */
    bool is_used;            /* by the last load */
    bool is_wanted;          /* a load waits until it is asked for */
    bool is_known;           /* names were told once; what was told last stands */
    struct list members;     /* struct conf_stored_member */
    struct buf names;        /* of a folder: sorted, a '\n' behind each */
    char why[CONF_STORED_WHY_BYTES]; /* the last ask failed; else "" */
    bool is_foreign;                 /* it failed as what stands there is no entry */
    void *reader;                    /* of whoever asks the stores */
    char text[];
};

struct conf_stored {
    struct list entries;           /* struct conf_stored_entry */
    struct map by_text, by_folder; /* the same, by the text of the place */
    bool is_wanting;               /* the last load wanted what is not known */
};

void conf_stored_init(struct conf_stored *stored);
/* Nobody may read any of it any more. */
void conf_stored_fini(struct conf_stored *stored);

/* A load begins: nothing is used so far, and nothing wanted. */
void conf_stored_begin(struct conf_stored *stored);

/* A member of an entry: 0, with NULL where there is no such entry or member; ERR_AGAIN: wanted from
 * now on; ERR_IO: it could not be told, and *ret_why says why; ERR_SYNTAX: as ERR_IO, for what
 * stands there is no entry; ERR_RANGE: the name is too long; ERR_NOMEM. Borrowed until control
 * returns to the loop. */
int conf_stored_find(struct conf_stored *stored, const struct conf_place *place, struct span member,
                     const struct secret **ret_value, const char **ret_why);

/* The names below a folder, as secret_store_list tells them; the rest as above. */
int conf_stored_list(struct conf_stored *stored, const struct conf_place *place,
                     struct span *ret_names, const char **ret_why);

/* What a store told of an entry, or of a folder. *ret_is_news is set where anything is another than
 * it was. 0, or an error that leaves what it concerns as it was: ERR_RANGE: a member is too large;
 * ERR_FULL: the arena is; ERR_SYNTAX: what stands there is no entry; ERR_NOMEM. */
int conf_stored_take_entry(struct conf_stored_entry *entry, const struct secret_entry *told,
                           struct secret_arena *arena, bool *ret_is_news);
int conf_stored_take_names(struct conf_stored_entry *entry, struct span names, bool *ret_is_news);

/* All of it is to be asked for again by the next load that uses it. */
void conf_stored_doubt(struct conf_stored *stored);

/* Forgets one entry, which nobody reads any more. */
void conf_stored_drop(struct conf_stored *stored, struct conf_stored_entry *entry);

#endif
