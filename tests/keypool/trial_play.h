/*
 * A pool with a key on trial, in the words that a test wants. The canary is the last of the
 * declared keys, so that nobody but the trial prefers it.
 */
#ifndef TESTS_KEYPOOL_TRIAL_PLAY_H
#define TESTS_KEYPOOL_TRIAL_PLAY_H

#include "keypool/trial.h"
#include "pool_play.h"

struct trial_play {
    struct play play;
    struct keypool_trial *trial;
    struct evidence_tick tick; /* of the last take */
    size_t canary;             /* its number */
};

static inline struct key *trial_find(struct trial_play *stage, size_t id)
{
    char name[24];
    struct key *key;

    snprintf(name, sizeof(name), "k%zu", id);
    key = keypool_find_key(stage->play.pool, span_from_text(name));
    assert_non_null(key);
    return key;
}

static inline void trial_wish(struct trial_play *stage, size_t id, enum key_wish wish)
{
    struct key *key = trial_find(stage, id);

    keypool_wish(stage->play.pool, key, wish, stage->play.now);
    key_unref(&key);
}

static inline void trial_weigh(struct trial_play *stage, size_t id, uint32_t weight_milli)
{
    struct key *key = trial_find(stage, id);

    keypool_weigh(stage->play.pool, key, weight_milli);
    key_unref(&key);
}

static inline void trial_start(struct trial_play *stage, uint32_t share_ppm)
{
    struct key *key = trial_find(stage, stage->canary);

    assert_int_equal(keypool_trial_begin(stage->play.pool, key, share_ppm, &stage->trial), 0);
    key_unref(&key);
}

/* That many old keys and a canary with that share. */
static inline void trial_begin(struct trial_play *stage, size_t olds, uint32_t share_ppm)
{
    memset(stage, 0, sizeof(*stage));
    play_start(&stage->play, olds + 1);
    stage->canary = olds;
    trial_start(stage, share_ppm);
}

static inline void trial_take(struct trial_play *stage)
{
    keypool_trial_take(stage->trial, &stage->tick);
}

static inline void trial_end(struct trial_play *stage)
{
    keypool_trial_end(&stage->trial, NULL);
    assert_null(stage->trial);
    play_end(&stage->play);
}

/* Requests until one was the canary's (or an old key's); it is under way. */
static inline struct keypool_grant trial_pick(struct trial_play *stage, bool is_canary,
                                              const char *model)
{
    for (int i = 0; i < 1000; i++) {
        struct keypool_grant grant = play_pick(&stage->play, model);

        if ((play_id(&grant) == stage->canary) == is_canary)
            return grant;
        play_finish(&stage->play, &grant, OUTCOME_CLIENT_GONE, 0);
    }
    fail_msg("a thousand picks and none of that arm");
    return (struct keypool_grant){.key = NULL};
}

/* How many of so many requests, one after the other, the canary got. */
static inline size_t trial_count(struct trial_play *stage, size_t requests)
{
    size_t count = 0;

    for (size_t i = 0; i < requests; i++)
        count += play_request(&stage->play, "m", OUTCOME_SUCCESS, 0) == stage->canary;
    return count;
}

#endif
