/*
 * A keypool on virtual time, in the words that a test wants: declare keys, pick one, tell how it
 * went. One worker unless said otherwise.
 */
#ifndef TESTS_KEYPOOL_POOL_PLAY_H
#define TESTS_KEYPOOL_POOL_PLAY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/map.h"
#include "keypool/keypool.h"

#define SECONDS US_PER_SEC

enum { PLAY_WORKERS = 4, PLAY_KEYS = 10000 };

struct play {
    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *views[PLAY_WORKERS];
    uint64_t now;

    struct conf_provider conf;
    struct conf_key *keys;
    char (*names)[24];
    struct keypool_effect effect; /* of the last report */
};

static const uint64_t play_wall = 1700000000 * US_PER_SEC;

/* N of a key named "kN". */
static inline size_t play_number(struct span name)
{
    uint64_t number = 0;

    assert_int_equal(span_to_u64(span_skip(name, 1), &number), 0);
    return (size_t)number;
}

/* ---- declaring ---- */

static inline struct conf_key *play_key(struct play *play, size_t at)
{
    return &play->keys[at];
}

/* A key named "kN" with a secret of its own. */
static inline void play_declare(struct play *play, size_t at, size_t id)
{
    struct conf_key *key = &play->keys[at];
    char secret[32];

    secret_unref(&key->secret);
    snprintf(play->names[at], sizeof(play->names[at]), "k%zu", id);
    snprintf(secret, sizeof(secret), "sk-%zu", id);
    *key = (struct conf_key){.name = span_from_text(play->names[at]), .weight = 1};
    assert_int_equal(secret_new(play->secrets, span_from_text(secret), &key->secret), 0);
    memcpy(key->identity, &id, sizeof(id));
    key->identity[31] = 1;
}

/* `count` keys with the defaults of the file, not validated, to be applied by play_apply. */
static inline void play_init(struct play *play, size_t count)
{
    bool is_locked;

    memset(play, 0, sizeof(*play));
    play->now = 1000 * SECONDS;
    play->secrets = secret_arena_new(16 << 20, &is_locked);
    play->pool = keypool_new(SPAN("sim"), PLAY_WORKERS, play->secrets);
    assert_non_null(play->pool);
    play->keys = calloc(PLAY_KEYS, sizeof(*play->keys));
    play->names = calloc(PLAY_KEYS, sizeof(*play->names));
    assert_true(play->keys && play->names);
    play->conf = (struct conf_provider){
        .name = SPAN("sim"),
        .kind = PROVIDER_COMPATIBLE,
        .keys = {play->keys, count},
        .selection = CONF_SELECTION_ROUND_ROBIN,
        .health = {.max_failures = 3,
                   .cooldown_us = 60 * SECONDS,
                   .ttl_us = 60 * SECONDS,
                   .depleted_us = 600 * SECONDS,
                   .probe_interval_us = 30 * SECONDS},
        .breaker = {.failures = 5,
                    .ratio_ppm = 500000,
                    .window_us = 10 * SECONDS,
                    .open_us = 30 * SECONDS,
                    .half_open_calls = 3},
    };
    for (size_t i = 0; i < count; i++)
        play_declare(play, i, i);
}

static inline void play_apply(struct play *play)
{
    assert_int_equal(keypool_apply(play->pool, &play->conf, NULL, play->now, play_wall), 0);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++) {
        if (!play->views[i])
            play->views[i] = keypool_view_new(play->pool, i, 0);
        assert_non_null(play->views[i]);
    }
}

static inline void play_start(struct play *play, size_t count)
{
    play_init(play, count);
    play_apply(play);
}

static inline void play_end(struct play *play)
{
    for (uint32_t i = 0; i < PLAY_WORKERS; i++)
        keypool_view_free(&play->views[i]);
    keypool_free(&play->pool);
    for (size_t i = 0; i < PLAY_KEYS; i++)
        secret_unref(&play->keys[i].secret);
    free(play->keys);
    free(play->names);
    secret_arena_free(&play->secrets); /* aborts where a key leaked its secret */
}

/* ---- picking ---- */

static inline struct keypool_choice play_ask(struct play *play, const struct keypool_ask *ask,
                                             struct keypool_grant *grant)
{
    return keypool_select(play->views[0], ask, play->now, grant);
}

/* The grant for a plain request for that model; there must be one. */
static inline struct keypool_grant play_pick(struct play *play, const char *model)
{
    const struct keypool_ask ask = {.model = span_from_text(model)};
    struct keypool_grant grant;
    struct keypool_choice choice = play_ask(play, &ask, &grant);

    if (choice.verdict != KEYPOOL_CHOSEN)
        fail_msg("no key: %s", keypool_reason_text(choice.reason));
    return grant;
}

/* Why none is to be had; there must be none. */
static inline struct keypool_choice play_refused(struct play *play, const char *model)
{
    const struct keypool_ask ask = {.model = span_from_text(model)};
    struct keypool_grant grant;
    struct keypool_choice choice = play_ask(play, &ask, &grant);

    assert_int_not_equal(choice.verdict, KEYPOOL_CHOSEN);
    return choice;
}

/* Sent, if it was not yet: nobody but an endpoint that was not reached answers to what was not. */
static inline void play_finish(struct play *play, struct keypool_grant *grant, enum outcome outcome,
                               uint64_t hint_us)
{
    const struct keypool_end end = {.outcome = outcome_row(outcome), .hint_us = hint_us};

    if (!grant->sent_us && end.outcome->class != CLASS_CONNECT)
        keypool_sent(play->views[0], grant, play->now);
    play->effect = keypool_end(play->views[0], grant, &end, play->now);
}

/* One whole request: which key it went to. */
static inline size_t play_request(struct play *play, const char *model, enum outcome outcome,
                                  uint64_t hint_us)
{
    struct keypool_grant grant = play_pick(play, model);
    size_t id = play_number(key_name(grant.key));

    play_finish(play, &grant, outcome, hint_us);
    return id;
}

static inline size_t play_id(const struct keypool_grant *grant)
{
    return play_number(key_name(grant->key));
}

/* ---- looking ---- */

static inline struct keypool_row play_row(struct play *play, size_t id)
{
    struct keypool_row row;
    size_t at = 0;

    while (keypool_describe(play->pool, &at, play->now, &row)) {
        bool is_it = play_number(row.name) == id;

        key_unref(&row.key);
        if (is_it)
            return row;
    }
    fail_msg("no key k%zu", id);
    return row;
}

static inline enum key_health play_health(struct play *play, size_t id)
{
    return play_row(play, id).health;
}

#endif
