/*
 * One pick of a key under way: shared by the files that make it up (select.c decides, take.c
 * takes, verdict.c says why there is none). Lives on the stack of keypool_select. Internal to
 * keypool/. One worker.
 */
#ifndef KEYPOOL_PICK_H
#define KEYPOOL_PICK_H

#include "keypool/view_body.h"

/* Places that one pick may pass over: those tried, and some for the model's or the tokens' sake. */
enum { SKIP_MAX = KEYPOOL_MAX_TRIED + 96 };

struct pick {
    struct keypool_view *view;
    struct lineup *lineup;
    const struct keypool_ask *ask;
    struct keypool_grant *grant;
    uint64_t model_hash;
    uint64_t now_us;
    struct standing later; /* the first that becomes free of those passed over; else LINEUP_OUT */
    bool has_tried;        /* passed over because this exchange has tried it */
    bool lacks_model;
    bool is_stood_in; /* it was the canary's turn, which lacks what is asked for */
    uint32_t for_model, for_tokens;
    uint32_t stale;   /* found with less left than their rank says */
    uint32_t settled; /* found to stand by a lower rank than theirs (view_first_ready) */
    /* Places taken out of the lineup for the time of this pick; put back at its end. */
    uint32_t skip_count;
    struct {
        uint32_t place;
        bool is_second_choice;
    } skips[SKIP_MAX];
};

enum taking {
    TAKEN,
    LOST, /* another worker was faster: look again */
    TOO_MANY_TOKENS,
    TOKENS_RESERVED, /* the same, but requests under way are about to give as many back */
};

/* Takes all that a request needs of the key at that place, or nothing: *ret_wait_us with the last
 * two. `is_early`: it is the last way, and is tested before its time. */
enum taking pick_take(struct pick *pick, uint32_t place, bool is_early, uint64_t *ret_wait_us);

/* The tokens that are left are reserved by requests under way: how a key with such stands. */
struct standing pick_stand_reserved(const struct pick *pick, uint64_t wait_us);

/* The first that comes back of those that something else than our own distrust stands against;
 * LINEUP_OUT where none does. */
struct standing pick_first_barred(const struct pick *pick);

/* Looks again at those that would come back first: what stands against them may have become another
 * thing since they were put there, and the answer to the client depends on it. */
void pick_refresh(struct pick *pick);

/* Why nothing was picked; before the passed over are put back. */
struct keypool_choice pick_explain(const struct pick *pick);

/* The verdicts that none is to be had now, and that none ever is. */
struct keypool_choice pick_later(const struct pick *pick, enum keypool_reason reason,
                                 uint64_t until_us);
struct keypool_choice pick_never(enum keypool_reason reason);

/* What this exchange knows of a key; tried may be NULL. */
enum trial { NOT_TRIED, TRIED, TRIED_FOR_GOOD };

/* While the pool has a trial. Takes the canary where it is its turn: false where it is not, or the
 * canary may not be picked now. */
bool pick_turn(struct pick *pick, uint32_t *ret_place);

/* The keys that the session of this request prefers; none where the provider's selection, or the
 * request, knows of no sessions, or memory is short. Before anything is passed over. */
struct sticky_choice pick_preferred(const struct pick *pick);

/* The grant is there: marks it as one that counts, and the turn as taken. */
void pick_note_turn(struct pick *pick);

/* The grant is there: the key has one more request. */
void pick_count_request(struct keypool_view *view, struct keypool_grant *grant, uint64_t now_us);

enum trial keypool_tried_find(const struct keypool_tried *tried, const struct key *key);

/* Whether it has tried a key of that one's account. */
bool keypool_tried_account(const struct keypool_tried *tried, const struct key *key);

#endif
