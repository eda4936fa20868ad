#include "session_play.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fnv.h"
#include "base/rand.h"
#include "keypool/keypool.h"

enum {
    SESSIONS = 1000,
    KEYS_EVER = SESSION_PLAY_KEYS + 1,
    LIVE = 4096,
    TICK_US = 100000,
    GAP_S = 60,    /* between two requests of a session, in the mean */
    REQUESTS = 20, /* of a session, in the mean */
    NOT_YET = UINT8_MAX,
};

#define MINUTE_US   (60 * US_PER_SEC)
#define CACHED_US   (5 * MINUTE_US)
#define BETWEEN_MIN 5

/* Who asks; when it ends another one has its place. */
struct session {
    uint64_t id, next_us;
    uint64_t used_us[KEYS_EVER]; /* when each key had its prompt last; 0: never */
    uint8_t key;                 /* of its last request */
};

/* A session's key at some moment. */
struct memory {
    uint64_t id;
    uint8_t key;
};

struct stage {
    struct session_result result;
    struct rand rand;
    uint64_t now_us, start_us, next_id;
    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *view;
    struct conf_provider conf;
    struct conf_key keys[KEYS_EVER];
    struct secret *secrets_of[KEYS_EVER]; /* by number, wherever the key stands in the file */
    char names[KEYS_EVER][8];
    struct session sessions[SESSIONS];
    struct memory before[SESSIONS];
    struct {
        struct keypool_grant grant;
        uint64_t end_us; /* 0: free */
    } live[LIVE];
    uint64_t limited_us; /* until when the first key refuses; 0: it does not */
    uint32_t asked[KEYS_EVER];
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static double draw_exponential(struct stage *stage, double mean)
{
    return -log(1 - rand_unit(&stage->rand)) * mean;
}

static uint64_t minute_of(const struct stage *stage)
{
    return (stage->now_us - stage->start_us) / MINUTE_US;
}

/* ---- sessions ---- */

static void begin_session(struct stage *stage, struct session *session)
{
    *session = (struct session){.id = ++stage->next_id, .key = NOT_YET};
}

static void plan_next(struct stage *stage, struct session *session)
{
    if (rand_below(&stage->rand, REQUESTS) == 0)
        begin_session(stage, session);
    session->next_us = stage->now_us + (uint64_t)draw_exponential(stage, GAP_S * 1e6);
}

static void note(struct stage *stage, struct session *session, size_t key)
{
    struct session_minute *minute = &stage->result.minutes[minute_of(stage)];
    uint64_t used_us = session->used_us[key];

    if (session->key != NOT_YET) {
        minute->again++;
        minute->stayed += session->key == key;
        minute->warm += used_us && stage->now_us - used_us < CACHED_US;
    }
    session->key = (uint8_t)key;
    session->used_us[key] = stage->now_us;
}

static bool is_limited(const struct stage *stage, size_t key)
{
    return key == 0 && stage->now_us < stage->limited_us;
}

static void hold(struct stage *stage, const struct keypool_grant *grant)
{
    size_t at = 0;

    while (at < LIVE && stage->live[at].end_us)
        at++;
    must(at < LIVE);
    stage->live[at].grant = *grant;
    stage->live[at].end_us = stage->now_us + 2 * US_PER_SEC + rand_below(&stage->rand, 4000000);
}

/* Refused at the one key, it goes to another. */
static void ask(struct stage *stage, struct session *session)
{
    struct keypool_tried tried = {.count = 0};
    const struct keypool_ask question = {
        .model = SPAN("m"), .session = hash_mix(session->id), .tried = &tried};

    for (;;) {
        struct keypool_grant grant;
        size_t key;

        must(keypool_select(stage->view, &question, stage->now_us, &grant).verdict ==
             KEYPOOL_CHOSEN);
        key = (size_t)(key_name(grant.key).ptr[1] - '0');
        stage->asked[key]++;
        keypool_sent(stage->view, &grant, stage->now_us);
        if (!is_limited(stage, key)) {
            note(stage, session, key);
            hold(stage, &grant);
            return;
        }
        keypool_tried_add(&tried, grant.key, false);
        keypool_end(stage->view, &grant,
                    &(struct keypool_end){.outcome = outcome_row(OUTCOME_RATE_LIMITED),
                                          .hint_us = stage->limited_us - stage->now_us},
                    stage->now_us);
    }
}

static void end_due(struct stage *stage, uint64_t now_us)
{
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS)};

    for (size_t i = 0; i < LIVE; i++) {
        if (!stage->live[i].end_us || stage->live[i].end_us > now_us)
            continue;
        keypool_good(stage->view, &stage->live[i].grant, stage->now_us);
        keypool_end(stage->view, &stage->live[i].grant, &end, stage->now_us);
        stage->live[i].end_us = 0;
    }
}

/* ---- what happens ---- */

static void apply(struct stage *stage)
{
    must(keypool_apply(stage->pool, &stage->conf, NULL, stage->now_us, 0) == 0);
}

static void remember(struct stage *stage)
{
    for (size_t i = 0; i < SESSIONS; i++)
        stage->before[i] = (struct memory){stage->sessions[i].id, stage->sessions[i].key};
}

/* Of the sessions that are still there and had asked before. */
static double moved_percent(const struct stage *stage)
{
    size_t same = 0, moved = 0;

    for (size_t i = 0; i < SESSIONS; i++) {
        if (stage->before[i].id != stage->sessions[i].id || stage->before[i].key == NOT_YET)
            continue;
        if (stage->before[i].key == stage->sessions[i].key)
            same++;
        else
            moved++;
    }
    return 100.0 * (double)moved / (double)(same + moved);
}

static void note_shares(struct stage *stage)
{
    uint64_t all = 0;

    for (size_t i = 0; i < SESSION_PLAY_KEYS; i++)
        all += stage->asked[i];
    stage->result.lowest_percent = 100;
    for (size_t i = 0; i < SESSION_PLAY_KEYS; i++) {
        uint32_t percent = (uint32_t)(stage->asked[i] * UINT64_C(100) / all);

        if (percent < stage->result.lowest_percent)
            stage->result.lowest_percent = percent;
        if (percent > stage->result.highest_percent)
            stage->result.highest_percent = percent;
    }
}

/* The last of the first keys goes; a new one has its place in the file. */
static void happen(struct stage *stage, uint64_t minute)
{
    struct session_moves *moves = &stage->result.moves;

    switch (minute) {
    case SESSION_PLAY_GONE:
        note_shares(stage);
        remember(stage);
        stage->conf.keys.count = SESSION_PLAY_KEYS - 1;
        apply(stage);
        break;
    case SESSION_PLAY_GONE + BETWEEN_MIN:
        moves->gone = moved_percent(stage);
        break;
    case SESSION_PLAY_NEW:
        remember(stage);
        stage->keys[SESSION_PLAY_KEYS - 1] = stage->keys[SESSION_PLAY_KEYS];
        stage->conf.keys.count = SESSION_PLAY_KEYS;
        apply(stage);
        break;
    case SESSION_PLAY_NEW + BETWEEN_MIN:
        moves->came = moved_percent(stage);
        break;
    case SESSION_PLAY_LIMITED:
        remember(stage);
        stage->limited_us = stage->now_us + SESSION_PLAY_LIMITED_FOR * MINUTE_US;
        break;
    case SESSION_PLAY_LIMITED + SESSION_PLAY_LIMITED_FOR:
        moves->limited = moved_percent(stage);
        break;
    case SESSION_PLAY_LIMITED + SESSION_PLAY_LIMITED_FOR + BETWEEN_MIN:
        moves->after = moved_percent(stage);
        break;
    }
}

/* ---- the play ---- */

static void begin(struct stage *stage, enum conf_selection selection, uint64_t seed)
{
    bool is_locked;

    rand_init(&stage->rand, seed);
    stage->now_us = stage->start_us = 1000 * US_PER_SEC;
    stage->secrets = secret_arena_new(1 << 20, &is_locked);
    stage->pool = keypool_new(SPAN("play"), 1, stage->secrets);
    must(stage->secrets && stage->pool);
    for (size_t i = 0; i < KEYS_EVER; i++) {
        snprintf(stage->names[i], sizeof(stage->names[i]), "k%zu", i);
        stage->keys[i] = (struct conf_key){.name = span_from_text(stage->names[i]), .weight = 1};
        must(secret_new(stage->secrets, stage->keys[i].name, &stage->secrets_of[i]) == 0);
        stage->keys[i].secret = stage->secrets_of[i];
        memcpy(stage->keys[i].identity, &i, sizeof(i));
        stage->keys[i].identity[31] = 1;
    }
    stage->conf = (struct conf_provider){
        .name = SPAN("play"),
        .kind = PROVIDER_COMPATIBLE,
        .keys = {stage->keys, SESSION_PLAY_KEYS},
        .selection = selection,
        .health = {.max_failures = 3, .cooldown_us = 60 * US_PER_SEC, .ttl_us = 60 * US_PER_SEC},
        .breaker = {5, 500000, 10 * US_PER_SEC, 30 * US_PER_SEC, 3},
    };
    apply(stage);
    stage->view = keypool_view_new(stage->pool, 0, 0);
    must(stage->view != NULL);
    for (size_t i = 0; i < SESSIONS; i++) {
        begin_session(stage, &stage->sessions[i]);
        stage->sessions[i].next_us = stage->now_us + (uint64_t)draw_exponential(stage, GAP_S * 1e6);
    }
}

static void end(struct stage *stage)
{
    end_due(stage, UINT64_MAX);
    keypool_view_free(&stage->view);
    keypool_free(&stage->pool);
    for (size_t i = 0; i < KEYS_EVER; i++)
        secret_unref(&stage->secrets_of[i]);
    secret_arena_free(&stage->secrets);
    free(stage);
}

struct session_result session_play(enum conf_selection selection, uint64_t seed)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct session_result result;

    must(stage != NULL);
    begin(stage, selection, seed);
    for (uint64_t tick = 0; tick < SESSION_PLAY_MINUTES * MINUTE_US / TICK_US; tick++) {
        stage->now_us = stage->start_us + tick * TICK_US;
        if (tick % (MINUTE_US / TICK_US) == 0)
            happen(stage, minute_of(stage));
        end_due(stage, stage->now_us);
        for (size_t i = 0; i < SESSIONS; i++) {
            if (stage->sessions[i].next_us > stage->now_us)
                continue;
            ask(stage, &stage->sessions[i]);
            plan_next(stage, &stage->sessions[i]);
        }
    }
    for (size_t i = 0; i < SESSION_PLAY_MINUTES; i++) {
        const struct session_minute *minute = &stage->result.minutes[i];

        stage->result.whole.again += minute->again;
        stage->result.whole.warm += minute->warm;
        stage->result.whole.stayed += minute->stayed;
    }
    result = stage->result;
    end(stage);
    return result;
}
