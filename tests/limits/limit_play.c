#include "limit_play.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "limits/foreseen.h"

enum { FLIGHTS = 16384, PASSES = 16384, SENDS = 64 /* a step */ };

#define PATIENCE_US (5 * US_PER_SEC)
#define FLOOR_US    (100 * US_PER_MS) /* no hint is honoured as less */
#define ONE_WAY_US  (20 * US_PER_MS)
#define WALL_US     UINT64_C(1700000000250000) /* some time of day, in no whole second */

struct flight {
    uint64_t sent_us, arrives_us, answers_us; /* answers_us 0: not there yet */
    struct foreseen_stamp stamp;
    struct foreseen_told told;
    uint64_t hint_us;
    bool is_test;
};

struct play {
    struct limit_question question;
    struct limit_result result;
    struct rand rand;
    uint64_t now_us, start_us, step_us;

    /* The provider. */
    double level; /* of a bucket */
    uint64_t level_us;
    uint64_t end_us, used; /* of a window */
    uint64_t passes[PASSES], first_pass, pass_count;

    /* The gateway. */
    struct foreseen foreseen;
    uint64_t rest_until_us; /* 0: none */
    bool is_testing;

    double demand;            /* clients, and the part of the next */
    uint64_t comings[PASSES]; /* of those who wait */
    uint64_t first, last;
    struct flight flights[FLIGHTS];
    uint64_t flight_count;
};

/* ---- the provider ---- */

static void provider_turn(struct play *play)
{
    const struct limit_question *q = &play->question;
    double back = (double)q->limit * (double)(play->now_us - play->level_us) / (double)q->period_us;

    play->level = fmin((double)q->limit, play->level + back);
    play->level_us = play->now_us;
    while (play->pass_count &&
           play->passes[play->first_pass % PASSES] + q->period_us <= play->now_us)
        play->first_pass++, play->pass_count--;
    if (play->now_us < play->end_us)
        return;
    play->used = 0;
    if (q->kind == LIMIT_ALIGNED)
        play->end_us = play->now_us + q->period_us - (play->now_us - play->start_us) % q->period_us;
}

static uint64_t left(const struct play *play)
{
    const struct limit_question *q = &play->question;

    switch (q->kind) {
    case LIMIT_BUCKET:
        return (uint64_t)play->level;
    case LIMIT_FIXED:
    case LIMIT_ALIGNED:
        return q->limit - play->used;
    case LIMIT_SLIDING:
        return q->limit - play->pass_count;
    case LIMIT_KINDS:
        break;
    }
    return 0;
}

static void pass(struct play *play)
{
    const struct limit_question *q = &play->question;

    if (q->kind == LIMIT_FIXED && play->now_us >= play->end_us)
        play->end_us = play->now_us + q->period_us;
    play->level -= 1;
    play->used++;
    play->passes[(play->first_pass + play->pass_count++) % PASSES] = play->now_us;
}

/* Until the whole limit is there, and until one more may pass. */
static uint64_t reset_of(const struct play *play)
{
    const struct limit_question *q = &play->question;

    switch (q->kind) {
    case LIMIT_BUCKET:
        return (uint64_t)(((double)q->limit - play->level) / (double)q->limit *
                          (double)q->period_us);
    case LIMIT_FIXED:
    case LIMIT_ALIGNED:
        return play->end_us > play->now_us ? play->end_us - play->now_us : 0;
    case LIMIT_SLIDING:
        return play->pass_count ? play->passes[(play->first_pass + play->pass_count - 1) % PASSES] +
                                      q->period_us - play->now_us
                                : 0;
    case LIMIT_KINDS:
        break;
    }
    return 0;
}

static uint64_t next_of(const struct play *play)
{
    const struct limit_question *q = &play->question;

    if (q->kind == LIMIT_BUCKET)
        return (uint64_t)((1 - play->level) / (double)q->limit * (double)q->period_us) + 1000;
    if (q->kind == LIMIT_SLIDING)
        return play->passes[play->first_pass % PASSES] + q->period_us - play->now_us + 1000;
    return reset_of(play) + 1000;
}

static uint64_t whole(uint64_t us, uint64_t up)
{
    return (us + up) / US_PER_SEC * US_PER_SEC;
}

static uint64_t told_reset(const struct play *play, uint64_t reset_us)
{
    uint64_t wall_us = WALL_US + play->now_us, then_us = wall_us + reset_us;

    switch (play->question.form) {
    case FORM_EXACT:
        return reset_us;
    case FORM_MS:
        return (reset_us + 999) / 1000 * 1000;
    case FORM_UP:
        return whole(reset_us, US_PER_SEC - 1);
    case FORM_DOWN:
        return whole(reset_us, 0);
    case FORM_NEAREST:
        return whole(reset_us, US_PER_SEC / 2);
    case FORM_EPOCH_UP:
        return whole(then_us, US_PER_SEC - 1) - wall_us;
    case FORM_EPOCH_DOWN:
        then_us = whole(then_us, 0);
        return then_us > wall_us ? then_us - wall_us : 0;
    case LIMIT_FORMS:
        break;
    }
    return 0;
}

static void arrive(struct play *play, struct flight *flight)
{
    bool is_in;

    provider_turn(play);
    is_in = left(play) > 0;
    if (is_in)
        pass(play);
    play->result.passed += is_in;
    play->result.refused += !is_in;
    flight->told = (struct foreseen_told){
        .limit = play->question.limit,
        .remaining = left(play),
        .reset_us = told_reset(play, reset_of(play)),
        .is_whole = play->question.form >= FORM_UP,
        .is_refused = !is_in,
    };
    flight->hint_us = play->question.is_silent ? flight->told.reset_us : next_of(play);
    flight->answers_us =
        play->now_us + ONE_WAY_US + (is_in ? rand_below(&play->rand, 400 * US_PER_MS) : 0);
}

/* ---- the gateway ---- */

static void answer(struct play *play, struct flight *flight)
{
    /* What an epoch says counts from when it is read. */
    if (play->question.form >= FORM_EPOCH_UP) {
        uint64_t since_us = play->now_us - (flight->answers_us - ONE_WAY_US);

        flight->told.reset_us -=
            since_us < flight->told.reset_us ? since_us : flight->told.reset_us;
    }
    if (play->question.learns)
        foreseen_hear(&play->foreseen, &flight->told, &flight->stamp, flight->sent_us,
                      play->now_us);
    if (flight->is_test)
        play->is_testing = false;
    if (flight->told.is_refused) {
        uint64_t hint_us = flight->hint_us > FLOOR_US ? flight->hint_us : FLOOR_US;
        uint64_t until_us = play->now_us + hint_us;

        play->rest_until_us = until_us > play->rest_until_us ? until_us : play->rest_until_us;
    } else if (flight->is_test) {
        play->rest_until_us = 0;
    }
}

static bool may_send(struct play *play)
{
    if (play->rest_until_us && (play->is_testing || play->now_us < play->rest_until_us))
        return false;
    return !play->question.learns || foreseen_wait_us(&play->foreseen, 1, 0, play->now_us) == 0;
}

static void send_one(struct play *play)
{
    struct flight *flight = &play->flights[play->flight_count];

    if (play->flight_count++ == FLIGHTS)
        abort();
    *flight = (struct flight){
        .sent_us = play->now_us,
        .arrives_us = play->now_us + ONE_WAY_US / 2 + rand_below(&play->rand, ONE_WAY_US),
        .is_test = play->rest_until_us != 0,
    };
    play->is_testing = flight->is_test;
    if (play->question.learns)
        flight->stamp = foreseen_take(&play->foreseen, 1, play->now_us);
    play->first++;
    play->result.sent++;
}

static void clients_come(struct play *play)
{
    const struct limit_question *q = &play->question;

    play->demand += 1.5 * (double)q->limit * (double)play->step_us / (double)q->period_us;
    for (; play->demand >= 1; play->demand -= 1)
        play->comings[play->last++ % PASSES] = play->now_us;
    if (play->last - play->first >= PASSES)
        abort();
    while (play->first < play->last &&
           play->comings[play->first % PASSES] + PATIENCE_US < play->now_us)
        play->first++;
}

static void turn(struct play *play)
{
    for (uint64_t i = 0; i < play->flight_count;) {
        struct flight *flight = &play->flights[i];

        if (!flight->answers_us && flight->arrives_us <= play->now_us)
            arrive(play, flight);
        if (flight->answers_us && flight->answers_us <= play->now_us) {
            answer(play, flight);
            *flight = play->flights[--play->flight_count];
        } else {
            i++;
        }
    }
    clients_come(play);
    for (int i = 0; i < SENDS && play->first < play->last && may_send(play); i++)
        send_one(play);
}

struct limit_result limit_play(const struct limit_question *question)
{
    struct play *play = calloc(1, sizeof(*play));
    struct limit_result result;
    uint64_t end_us;

    if (!play)
        abort();
    play->question = *question;
    play->level = (double)question->limit;
    rand_init(&play->rand, question->seed);
    foreseen_init(&play->foreseen);
    play->now_us = play->level_us = 1000 * US_PER_SEC + rand_below(&play->rand, US_PER_SEC);
    play->start_us = play->now_us - rand_below(&play->rand, question->period_us);
    play->step_us = question->period_us > 20 * US_PER_SEC ? 10 * US_PER_MS : 2 * US_PER_MS;
    end_us = play->now_us + question->periods * question->period_us;
    for (; play->now_us < end_us; play->now_us += play->step_us)
        turn(play);
    result = play->result;
    result.goodput = (double)result.passed / (double)(question->periods * question->limit);
    free(play);
    return result;
}
