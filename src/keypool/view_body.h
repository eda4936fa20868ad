/*
 * The inside of a worker's view of a keypool: for the files of keypool/ alone. One worker, but for
 * what it reads of the shared words.
 */
#ifndef KEYPOOL_VIEW_BODY_H
#define KEYPOOL_VIEW_BODY_H

#include "keypool/key_body.h"
#include "keypool/lineup.h"
#include "keypool/pool_body.h"
#include "keypool/roster.h"

enum {
    VIEW_LINEUPS = 24, /* sets of keys that requests ask for, the least recently used goes out */
    VIEW_MEMO = 256,   /* models whose set of keys is remembered; a power of two */
    VIEW_GUESS_US =
        100000, /* when to look again at what ends by an event: a lost one costs no more */
};

/* A worker's part of one key, by place; first what each pick looks at. */
struct slot {
    struct key *key; /* holds a reference; NULL: nobody has this place */
    struct key_local *local;
    uint64_t pass;       /* how far its turns have come: grows by 1/weight a pick */
    uint64_t latency_us; /* until answers begin, on average; 0: unknown */
    uint32_t in_flight;
    uint32_t weight_milli; /* 0 for the canary of a trial */
    uint32_t tier;
    bool is_listed; /* false: gone from the roster, kept for what still runs on it */
    bool is_new;    /* came to others, and has had no turn: its pass says nothing of theirs */
    uint32_t group;
    uint32_t entry;    /* in the roster */
    uint64_t timed_us; /* when the last answer began that is in latency_us */
};

/* Which set of keys serves a model for a client's pool. */
struct view_memo {
    uint64_t model_hash; /* 0: unused */
    uint64_t pool;
    uint64_t signature;
};

struct keypool_view {
    struct keypool *pool; /* holds a reference */
    struct roster *roster;
    uint64_t seen_news;
    uint64_t picks;
    uint64_t shared_writes;
    uint64_t told_writes; /* of these, those that stand in the pool's sum */
    uint64_t seed;
    uint64_t quick_us; /* within which a quarter of all answers begin; 0: unknown */
    uint32_t worker;
    uint32_t weight_most;        /* the largest of its slots */
    uint32_t trial_number;       /* the pool's, when its trial was taken over */
    struct keypool_trial *trial; /* NULL: none. Holds a reference */
    struct turns turns;
    uint32_t places;  /* size of slots */
    uint32_t highest; /* lineups ever used: those above need not be looked at */
    struct slot *slots;
    struct lineup lineups[VIEW_LINEUPS];
    struct view_memo memo[VIEW_MEMO];
};

/* Takes over a new roster and the news of keys. */
void view_sync(struct keypool_view *view, uint64_t now_us);

/* The lineup for such a request: the model's own where it has one, else the common one. NULL where
 * no key serves it (*ret_err is 0) or without memory (ERR_NOMEM). */
struct lineup *view_find_lineup(struct keypool_view *view, struct span model, uint64_t model_hash,
                                uint64_t pool, uint64_t now_us, int *ret_err);

/* A lineup of the model's own beside the common one; NULL without memory. */
struct lineup *view_split_lineup(struct keypool_view *view, const struct lineup *common,
                                 uint64_t model_hash, uint64_t now_us);

/* Before a lineup goes: what its members have missed of its turns they have no claim on later. */
void view_keep_turns(struct keypool_view *view, const struct lineup *lineup);

/* Looks again at those in a lineup whose time has come. */
void view_wake(struct keypool_view *view, struct lineup *lineup, uint64_t now_us);

/* How a key stands now; with a model_hash other than 0, for that model. */
struct standing view_examine(const struct keypool_view *view, const struct slot *slot,
                             uint64_t model_hash, uint64_t now_us);

/* True where nothing stands against the key for that model but, maybe, what its provider has told
 * of its limits: such keys, which are most, need no more than this before they are taken. */
bool view_is_plain(const struct slot *slot, uint64_t model_hash, uint64_t now_us);

/* How the model stands with that key and its account. */
struct standing view_examine_model(const struct keypool_view *view, struct key *key,
                                   uint64_t model_hash, uint64_t now_us);

enum {
    VIEW_LEVELS = 64,
    VIEW_LEVEL_SHORT = VIEW_LEVELS * 3 / 4, /* from here on a key may have nothing for anybody */
};

/* How little is left of the place's scarcest limit, for `selection: headroom`: 0 (all, or nothing
 * is known) to VIEW_LEVELS - 1. */
uint8_t view_level(const struct keypool_view *view, const struct lineup *lineup,
                   const struct slot *slot, uint64_t now_us);

/* Looks again at the level of one place, the next in turn, so that those whose limits have come
 * back are found. */
void view_freshen(struct keypool_view *view, struct lineup *lineup, uint64_t now_us);

/* What is known of the key's limits for that model; NULL: nothing. One look where no key of the
 * pool is told anything. */
static inline struct heard *view_heard_of(const struct keypool_view *view, struct key *key,
                                          uint64_t model_hash)
{
    return atomic_load_explicit(&view->pool->shared.has_heard, memory_order_relaxed)
               ? key_heard_of(key, model_hash)
               : NULL;
}

/* An answer of the place's key has begun well after that time. */
void view_note_latency(struct keypool_view *view, struct slot *slot, uint64_t latency_us,
                       uint64_t now_us);

/* The place's rank among the ready, but for its level of headroom. */
uint64_t view_rank(const struct keypool_view *view, const struct slot *slot);

enum { VIEW_SETTLE_MAX = 256 };

/* The first of the ready by the ranks that they have now, or NULL. VIEW_SETTLE_MAX that stood by a
 * lower one are put right in a pick, which *settled counts: of so many keys the choice is exact.
 * Each pick leaves one to be put right in each of the other lineups, at most. */
const struct order_entry *view_first_ready(const struct keypool_view *view, struct lineup *lineup,
                                           uint32_t *settled);

/* The tier in a rank of the ready. */
uint32_t view_tier_of(uint64_t rank);

/* Puts a place where it stands now in one lineup. */
void view_place(struct keypool_view *view, struct lineup *lineup, uint32_t place, uint64_t now_us);

/* Gives back the tests that a grant holds, without a result. */
void view_drop_tests(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us);

/* Has the memory fetched that the next pick looks at first: of many keys it is cold by then. */
void view_fetch_next(const struct keypool_view *view, const struct lineup *lineup);

/* A pick from that lineup: the slot's turn and number under way have changed. is_settled: it was
 * the first by the ranks of now; else its turn is not that of the others there. */
void view_count_pick(struct keypool_view *view, struct lineup *lineup, uint32_t place,
                     bool is_settled);

/* Takes over the pool's trial, or that there is none any more. */
void view_take_trial(struct keypool_view *view);

/* The weight by which it is picked here, in thousandths. */
uint32_t view_weight(const struct keypool_view *view, const struct key *key);

/* The answer to a request of a trial has begun well; `is_timed`: just now. True where that is a
 * failure of the canary. */
bool trial_note_good(const struct keypool_view *view, const struct keypool_grant *grant,
                     bool is_timed, uint64_t now_us);

/* It ended without having begun well. True where that is a failure of the canary. */
bool trial_note_end(const struct keypool_view *view, const struct keypool_grant *grant,
                    enum outcome_trial meaning);

/* It was never sent: a turn of the canary's is given back. */
void trial_note_cancel(struct keypool_view *view, const struct keypool_grant *grant);

/* Adds this view's shared writes to the pool's sum. */
void view_tell_writes(struct keypool_view *view);

/* One fewer under way; frees a slot that has left the roster. */
void view_count_end(struct keypool_view *view, uint32_t place);

#endif
