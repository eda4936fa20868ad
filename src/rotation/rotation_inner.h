/*
 * What the parts of a rotation share: rotation.c goes on from where it stands,
 * rotation_orders.c begins and takes back, errand.c does the tasks, recall.c reads what was written
 * down, entry_watch.c sees whether others change it. Private to rotation/.
 */
#ifndef ROTATION_ROTATION_INNER_H
#define ROTATION_ROTATION_INNER_H

#include "rotation/rotation.h"

enum {
    ROTATION_PATH_BYTES = SECRET_PATH_MAX_BYTES + 1,
    ROTATION_FOLDER_BYTES = 128,
    ROTATION_NAME_BYTES = 96,
    ROTATION_BY_BYTES = 96,
    ROTATION_WORDS_BYTES = SECRET_WORDS_BYTES,
};

/* How a key stands in the pool, as far as that was followed. */
struct rotation_standing {
    enum life_standing standing;
    uint32_t share_ppm;
};

/* What the news have told of a place. */
struct rotation_seen {
    char name[LIFE_NAME_BYTES];
    enum life_step step;
};

/* An entry that is watched for changes by others. */
struct entry_watch {
    struct rotation *rotation;
    struct secret_watch watch;
    struct secret_ask ask;
    char name[LIFE_NAME_BYTES]; /* of the key; empty: none is watched */
    bool is_due;                /* it changed while it was being read */
};

/* A leak that is not written down yet. */
struct rotation_leak {
    char name[LIFE_NAME_BYTES];
    uint8_t identity[LIFE_IDENTITY_BYTES]; /* zeroes: not known */
};

struct rotation {
    struct loop *loop;
    struct secret_arena *secrets;
    struct secret_store *store;
    struct issuer *issuer;
    const struct rotation_ops *ops;
    void *owner;
    struct rotation_settings settings; /* its texts stand in the three arrays */
    char folder[ROTATION_FOLDER_BYTES], name[ROTATION_NAME_BYTES], created_by[ROTATION_BY_BYTES];

    struct life life;
    /* Beside life.keys, by place. */
    struct secret *secrets_of[LIFE_KEYS_MAX];
    struct rotation_standing stands[LIFE_KEYS_MAX];
    struct rotation_seen seen[LIFE_KEYS_MAX];
    struct entry_watch entries[LIFE_KEYS_MAX];
    bool is_stand_due; /* the pool has not followed yet */

    struct canary canary;
    bool has_canary;
    uint64_t noted_us; /* when its state was last written down */

    /* Put out again where the state that told of them was lost to another's. */
    struct rotation_leak leaks[LIFE_KEYS_MAX];
    uint32_t leak_count;

    struct list errands; /* tasks under way */
    bool is_going;       /* rotation_go_on is on the stack */
    uint32_t drains;     /* how many of them wait for exchanges to end */
    struct loop_timer timer;

    /* The state in the store. */
    struct secret_ask load;
    uint64_t version; /* of the entry `state`; 0: there is none */
    bool is_loaded;
    uint32_t loads; /* that failed in a row */
    uint64_t load_us;
    uint64_t
        unread_us; /* when secrets are asked for again that could not be read; UINT64_MAX: none */
    char trouble[ROTATION_SIDES][ROTATION_WORDS_BYTES]; /* as told last; empty: none */
};

/* A task on its way, or the reading of a secret. */
struct errand {
    struct rotation *rotation;
    struct list link; /* in rotation->errands */
    struct life_task task;
    struct issuer_ask issuer;
    struct secret_ask store;
    bool is_reading;             /* the secret of its key, which the state told of: no task */
    char reads[LIFE_NAME_BYTES]; /* that key's name */
};

static inline uint64_t rotation_now_us(const struct rotation *rotation)
{
    return loop_now_us(rotation->loop);
}

static inline uint64_t rotation_wall_us(const struct rotation *rotation)
{
    return loop_wall_us(rotation->loop);
}

/* Goes on: what can be done now is begun, and the timer is set. */
void rotation_go_on(struct rotation *rotation);

/* Tells the owner what has changed since this was last called. */
void rotation_tell_news(struct rotation *rotation);

/* Tells the owner of trouble whose words are new; NULL: it is over. */
void rotation_trouble(struct rotation *rotation, enum rotation_side side, const char *why);

/* An errand of the rotation's, with its task zeroed; NULL without memory. It ends and frees itself,
 * or by errand_free. */
struct errand *errand_new(struct rotation *rotation);
void errand_free(struct errand *errand);

/* The one that does that act for the key of that name; NULL. */
struct errand *errand_find(struct rotation *rotation, enum life_act act, struct span name);

/* Where the entry of that name stands in the store; empty where it does not fit. */
struct span rotation_path(const struct rotation *rotation, const char *name,
                          char ret_path[ROTATION_PATH_BYTES]);

static inline uint32_t rotation_place(const struct rotation *rotation, const struct life_key *key)
{
    return (uint32_t)(key - rotation->life.keys);
}

/* Puts out anew what leaked and was not written down. */
void rotation_repeat_leaks(struct rotation *rotation);

/* Releases the keys of the file that it has no more. */
void rotation_release_gone(struct rotation *rotation);

/* Reads the state, and the secrets of the keys that are to serve; then goes on. */
void rotation_load(struct rotation *rotation);

/* Asks for the secrets of keys that are to serve and whose time has come. */
void rotation_read_secrets(struct rotation *rotation);

/* It could not be read: again later. */
void rotation_load_again(struct rotation *rotation, const char *why);

/* Begins a task; life_end follows, now or later. */
void rotation_do(struct rotation *rotation, const struct life_task *task);

/* Ends the tasks of keys on which nothing is under way any more. */
void rotation_look_at_drains(struct rotation *rotation);

/* Ends all of them untold. */
void rotation_drop_errands(struct rotation *rotation);

/* The entries of the keys that serve now are watched, and no others. */
void rotation_watch_entries(struct rotation *rotation);
void rotation_stop_watching(struct rotation *rotation);

#endif
