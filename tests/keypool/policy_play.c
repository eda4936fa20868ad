#include "policy_play.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/map.h"
#include "base/rand.h"
#include "keypool/keypool.h"
#include "policy_provider.h"

enum {
    EXCHANGES = 8192,
    EVENTS = 4 * EXCHANGES,
    WAITS = 1 << 20,
    ROTATIONS = 16,
    OPENING_US = 100000,
    LOOKS = 4, /* that wait behind one that does not fit and are asked all the same */
    WAIT_US = 5 * 1000000,
    MEAN_TOKENS = 1040, /* of what draw_size draws */
};

static const struct policy policies[] = {
    {"headroom", CONF_SELECTION_HEADROOM, false, true},
    {"least_used", CONF_SELECTION_LEAST_USED, false, false},
    {"round_robin", CONF_SELECTION_ROUND_ROBIN, false, false},
    {"random", CONF_SELECTION_ROUND_ROBIN, true, false},
    {"least_used, limits learned", CONF_SELECTION_LEAST_USED, false, true},
};

unsigned policy_list(const struct policy **ret_policies)
{
    *ret_policies = policies;
    return sizeof(policies) / sizeof(policies[0]);
}

/* ---- the play ---- */

enum event_kind { CLIENT_COMES, REQUEST_ARRIVES, HEAD_COMES, ANSWER_ENDS, SOMEBODY_WAKES, MISHAP };

struct event {
    uint64_t at_us;
    enum event_kind kind;
    uint32_t exchange;
};

struct exchange_model {
    uint64_t came_us, prompt, out;
    uint64_t estimate; /* of the prompt */
    uint32_t rotations;
    bool is_refused, is_unknown;
    uint64_t hint_us;
    struct limits_told told;
    struct keypool_tried tried;
    struct keypool_grant grant;
};

struct stage {
    struct policy_question question;
    struct policy_result result;
    struct rand rand;
    uint64_t now_us, start_us;
    double client_gap_us;

    struct secret_arena *secrets;
    struct keypool *pool;
    struct keypool_view *view;
    struct conf_provider conf;
    struct conf_key keys[POLICY_KEYS];
    char names[POLICY_KEYS][8];

    struct policy_provider provider;
    struct event *events; /* a heap */
    uint32_t event_count;
    struct exchange_model *exchanges;
    uint32_t free_list[EXCHANGES], free_count;
    uint32_t waiting[EXCHANGES], waiting_count; /* in order */
    uint64_t wake_us;                           /* when the first of them asks again */
    uint64_t next_wake_us;                      /* the same, while they are asked */
    uint32_t *waits_ms;
    uint32_t wait_count;
};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void plan(struct stage *stage, uint64_t at_us, enum event_kind kind, uint32_t exchange)
{
    uint32_t at = stage->event_count++;

    must(at < EVENTS);
    while (at > 0 && stage->events[(at - 1) / 2].at_us > at_us) {
        stage->events[at] = stage->events[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    stage->events[at] = (struct event){at_us, kind, exchange};
}

static struct event next_event(struct stage *stage)
{
    struct event first = stage->events[0], last = stage->events[--stage->event_count];
    uint32_t at = 0;

    for (;;) {
        uint32_t child = 2 * at + 1;

        if (child >= stage->event_count)
            break;
        if (child + 1 < stage->event_count &&
            stage->events[child + 1].at_us < stage->events[child].at_us)
            child++;
        if (stage->events[child].at_us >= last.at_us)
            break;
        stage->events[at] = stage->events[child];
        at = child;
    }
    stage->events[at] = last;
    return first;
}

static double draw_exponential(struct stage *stage, double mean)
{
    return -log(1 - rand_unit(&stage->rand)) * mean;
}

static size_t key_number(const struct keypool_grant *grant)
{
    return (size_t)(key_name(grant->key).ptr[1] - '0');
}

static unsigned account_of(const struct keypool_grant *grant)
{
    return (unsigned)(key_number(grant) % POLICY_ACCOUNTS);
}

/* The second that it is, of those that are kept. */
static struct policy_second *this_second(struct stage *stage)
{
    static struct policy_second none;
    uint64_t second = (stage->now_us - stage->start_us) / US_PER_SEC;

    return stage->question.series && second < stage->question.seconds
               ? &stage->question.series[second]
               : &none;
}

static bool is_struck(const struct stage *stage, size_t key, enum policy_mishap mishap)
{
    return key == 0 && stage->question.mishap == mishap &&
           stage->now_us >= stage->start_us + stage->question.mishap_s * US_PER_SEC;
}

/* ---- clients ---- */

/* Short and long ones: most of a few hundred tokens, some of thousands. */
static void draw_size(struct stage *stage, struct exchange_model *x)
{
    double kind = rand_unit(&stage->rand);

    x->prompt = 50 + (uint64_t)draw_exponential(stage, kind < 0.7 ? 200 : 1500);
    if (x->prompt > 12000)
        x->prompt = 12000;
    x->out = 100 + rand_below(&stage->rand, 700);
    x->estimate = x->prompt * (95 + rand_below(&stage->rand, 11)) / 100;
}

static void release(struct stage *stage, uint32_t number)
{
    stage->free_list[stage->free_count++] = number;
}

static void refuse(struct stage *stage, uint32_t number)
{
    const struct exchange_model *x = &stage->exchanges[number];

    stage->result.client_refused++;
    stage->result.refused_early +=
        policy_provider_has_room(&stage->provider, (double)(x->prompt + x->out), stage->now_us);
    release(stage, number);
}

/* Chance prefers one key: all others are as if tried. */
static void prefer_one(struct stage *stage, struct keypool_tried *tried)
{
    struct keypool_row row;
    size_t at = 0, preferred = (size_t)rand_below(&stage->rand, POLICY_KEYS);

    for (size_t i = 0; keypool_describe(stage->pool, &at, stage->now_us, &row); i++) {
        if (i != preferred)
            keypool_tried_add(tried, row.key, false);
        key_unref(&row.key);
    }
}

static struct keypool_choice ask(struct stage *stage, struct exchange_model *x)
{
    struct keypool_tried tried = x->tried;
    const struct keypool_ask question = {
        .model = SPAN("gpt-4.1"),
        .tokens = x->estimate + x->out,
        .tokens_out = x->out,
        .wait_until_us = x->came_us + WAIT_US,
        .tried = &tried,
    };

    if (stage->question.policy.is_random)
        prefer_one(stage, &tried);
    return keypool_select(stage->view, &question, stage->now_us, &x->grant);
}

static void send_it(struct stage *stage, uint32_t number)
{
    keypool_sent(stage->view, &stage->exchanges[number].grant, stage->now_us);
    stage->result.sent++;
    this_second(stage)->sent++;
    plan(stage, stage->now_us + 10000 + rand_below(&stage->rand, 20000), REQUEST_ARRIVES, number);
}

enum asked { SENT, REFUSED, MUST_WAIT };

static enum asked try_to_send(struct stage *stage, uint32_t number)
{
    struct exchange_model *x = &stage->exchanges[number];
    struct keypool_choice choice = ask(stage, x);

    if (choice.verdict == KEYPOOL_CHOSEN) {
        send_it(stage, number);
        return SENT;
    }
    if (choice.verdict == KEYPOOL_NEVER || choice.free_at_us > x->came_us + WAIT_US) {
        refuse(stage, number);
        return REFUSED;
    }
    if (choice.free_at_us < stage->next_wake_us)
        stage->next_wake_us = choice.free_at_us;
    return MUST_WAIT;
}

/* In order; who does not fit lets a few pass. */
static void serve_waiting(struct stage *stage)
{
    uint32_t kept = 0, looked = 0;

    stage->next_wake_us = UINT64_MAX;
    for (uint32_t i = 0; i < stage->waiting_count; i++) {
        uint32_t number = stage->waiting[i];

        if (looked < LOOKS || stage->exchanges[number].came_us + WAIT_US <= stage->now_us) {
            if (try_to_send(stage, number) != MUST_WAIT)
                continue;
            looked++;
        }
        stage->waiting[kept++] = number;
    }
    stage->waiting_count = kept;
    if (stage->next_wake_us != UINT64_MAX && stage->next_wake_us != stage->wake_us)
        plan(stage, stage->next_wake_us, SOMEBODY_WAKES, 0);
    stage->wake_us = stage->next_wake_us;
}

static void queue(struct stage *stage, uint32_t number)
{
    must(stage->waiting_count < EXCHANGES);
    stage->waiting[stage->waiting_count++] = number;
    serve_waiting(stage);
}

static void client_comes(struct stage *stage)
{
    uint64_t end_us = stage->start_us + stage->question.seconds * US_PER_SEC;
    uint32_t number;
    struct exchange_model *x;

    if (stage->now_us >= end_us)
        return;
    plan(stage, stage->now_us + (uint64_t)draw_exponential(stage, stage->client_gap_us) + 1,
         CLIENT_COMES, 0);
    must(stage->free_count > 0);
    number = stage->free_list[--stage->free_count];
    x = &stage->exchanges[number];
    memset(x, 0, sizeof(*x));
    x->came_us = stage->now_us;
    draw_size(stage, x);
    stage->result.offered++;
    queue(stage, number);
}

/* ---- answers ---- */

/* Attempts that arrive as a window opens, or a moment later. */
static void note_opening(struct stage *stage, bool is_refused)
{
    if (policy_provider_opened_us(&stage->provider, stage->now_us) >= OPENING_US)
        return;
    stage->result.opening_sent++;
    stage->result.opening_refused += is_refused;
}

static void request_arrives(struct stage *stage, uint32_t number)
{
    struct exchange_model *x = &stage->exchanges[number];
    unsigned account = account_of(&x->grant);
    uint64_t first_us = 200000 + (uint64_t)draw_exponential(stage, 400000);
    uint64_t wait_us = 0;

    x->is_unknown = is_struck(stage, key_number(&x->grant), MISHAP_DEAD);
    if (!x->is_unknown)
        wait_us = policy_provider_take(&stage->provider, account, (double)(x->prompt + x->out),
                                       stage->now_us);
    x->is_refused = wait_us > 0;
    x->hint_us = wait_us + 1000;
    note_opening(stage, x->is_refused);
    if (x->is_refused || x->is_unknown)
        first_us = 30000;
    else if (is_struck(stage, key_number(&x->grant), MISHAP_SLOW))
        first_us *= 10;
    policy_provider_tell(&stage->provider, account, stage->now_us, &x->told);
    x->told.is_refused = x->is_refused;
    plan(stage, stage->now_us + first_us, HEAD_COMES, number);
}

/* Refused: another key, as often as allowed; then it waits. */
static void rotate(struct stage *stage, uint32_t number, enum outcome outcome)
{
    struct exchange_model *x = &stage->exchanges[number];
    const struct keypool_end end = {
        .outcome = outcome_row(outcome),
        .hint_us = outcome == OUTCOME_RATE_LIMITED ? x->hint_us : 0,
    };

    keypool_tried_add(&x->tried, x->grant.key, outcome != OUTCOME_RATE_LIMITED);
    keypool_end(stage->view, &x->grant, &end, stage->now_us);
    if (++x->rotations >= ROTATIONS)
        refuse(stage, number);
    else
        queue(stage, number);
}

static void head_comes(struct stage *stage, uint32_t number)
{
    struct exchange_model *x = &stage->exchanges[number];
    uint64_t waited_us = x->grant.sent_us - x->came_us;

    if (stage->question.policy.is_foreseen && !x->is_unknown)
        keypool_hear(stage->view, &x->grant, &x->told, stage->now_us);
    if (x->is_unknown) {
        rotate(stage, number, OUTCOME_INVALID_KEY);
        return;
    }
    if (x->is_refused) {
        stage->result.refused++;
        this_second(stage)->refused++;
        rotate(stage, number, OUTCOME_RATE_LIMITED);
        return;
    }
    keypool_good(stage->view, &x->grant, stage->now_us);
    stage->result.served++;
    this_second(stage)->answered++;
    if (stage->wait_count < WAITS)
        stage->waits_ms[stage->wait_count++] = (uint32_t)(waited_us / 1000);
    plan(stage, stage->now_us + x->out * 8000, ANSWER_ENDS, number);
}

static void answer_ends(struct stage *stage, uint32_t number)
{
    struct exchange_model *x = &stage->exchanges[number];
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS),
                                    .tokens = x->prompt + x->out};

    keypool_end(stage->view, &x->grant, &end, stage->now_us);
    release(stage, number);
    if (stage->waiting_count)
        serve_waiting(stage);
}

static int compare_waits(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

/* ---- setting up ---- */

static void open_pool(struct stage *stage)
{
    bool is_locked;

    stage->secrets = secret_arena_new(1 << 20, &is_locked);
    stage->pool = keypool_new(SPAN("play"), 1, stage->secrets);
    must(stage->secrets && stage->pool);
    for (size_t i = 0; i < POLICY_KEYS; i++) {
        static const char *const accounts[] = {"a", "b", "c", "d"};
        struct conf_key *key = &stage->keys[i];

        snprintf(stage->names[i], sizeof(stage->names[i]), "k%zu", i);
        *key = (struct conf_key){.name = span_from_text(stage->names[i]),
                                 .account = span_from_text(accounts[i % POLICY_ACCOUNTS]),
                                 .weight = 1};
        must(secret_new(stage->secrets, key->name, &key->secret) == 0);
        memcpy(key->identity, &i, sizeof(i));
        key->identity[31] = 1;
    }
    stage->conf = (struct conf_provider){
        .name = SPAN("play"),
        .kind = PROVIDER_OPENAI,
        .keys = {stage->keys, POLICY_KEYS},
        .selection = stage->question.policy.selection,
        .health = {.max_failures = 3, .cooldown_us = 60 * US_PER_SEC, .ttl_us = 60 * US_PER_SEC},
        .breaker = {5, 500000, 10 * US_PER_SEC, 30 * US_PER_SEC, 3},
    };
    must(keypool_apply(stage->pool, &stage->conf, NULL, stage->now_us, 0) == 0);
    stage->view = keypool_view_new(stage->pool, 0, 0);
    must(stage->view != NULL);
}

static void open_provider(struct stage *stage)
{
    policy_provider_init(&stage->provider, stage->question.has_windows, stage->question.is_whole,
                         stage->now_us);
    stage->client_gap_us = 60e6 / (policy_provider_allows(&stage->provider, MEAN_TOKENS) *
                                   stage->question.load_percent / 100);
}

static void close_stage(struct stage *stage)
{
    keypool_view_free(&stage->view);
    keypool_free(&stage->pool);
    for (size_t i = 0; i < POLICY_KEYS; i++)
        secret_unref(&stage->keys[i].secret);
    secret_arena_free(&stage->secrets);
    free(stage->events);
    free(stage->exchanges);
    free(stage->waits_ms);
    free(stage);
}

/* It happens; 5 s later counting begins, which lasts for 30 s. */
static void happen(struct stage *stage, uint32_t step)
{
    if (step == 0 && stage->question.mishap == MISHAP_HALVED)
        policy_provider_halve(&stage->provider, 0, stage->now_us);
    else if (step == 1)
        policy_provider_begin_count(&stage->provider);
    else if (step == 2)
        stage->result.recovered = policy_provider_counted(&stage->provider, 30, 0);
}

static void handle(struct stage *stage, struct event event)
{
    stage->now_us = event.at_us;
    switch (event.kind) {
    case CLIENT_COMES:
        client_comes(stage);
        break;
    case REQUEST_ARRIVES:
        request_arrives(stage, event.exchange);
        break;
    case HEAD_COMES:
        head_comes(stage, event.exchange);
        break;
    case ANSWER_ENDS:
        answer_ends(stage, event.exchange);
        break;
    case SOMEBODY_WAKES:
        if (event.at_us == stage->wake_us)
            serve_waiting(stage);
        break;
    case MISHAP:
        happen(stage, event.exchange);
        break;
    }
    this_second(stage)->waiting = stage->waiting_count;
}

static void finish(struct stage *stage)
{
    struct policy_result *result = &stage->result;

    qsort(stage->waits_ms, stage->wait_count, sizeof(*stage->waits_ms), compare_waits);
    if (stage->wait_count) {
        result->wait_p50_s = stage->waits_ms[stage->wait_count / 2] / 1e3;
        result->wait_p99_s = stage->waits_ms[stage->wait_count / 100 * 99] / 1e3;
    }
}

struct policy_result policy_play(const struct policy_question *question)
{
    struct stage *stage = calloc(1, sizeof(*stage));
    struct policy_result result;
    uint64_t end_us;
    bool is_counted = false;

    must(stage != NULL);
    stage->question = *question;
    stage->events = calloc(EVENTS, sizeof(*stage->events));
    stage->exchanges = calloc(EXCHANGES, sizeof(*stage->exchanges));
    stage->waits_ms = calloc(WAITS, sizeof(*stage->waits_ms));
    must(stage->events && stage->exchanges && stage->waits_ms);
    rand_init(&stage->rand, question->seed);
    stage->now_us = stage->start_us = 1000 * US_PER_SEC;
    end_us = stage->start_us + question->seconds * US_PER_SEC;
    for (uint32_t i = 0; i < EXCHANGES; i++)
        release(stage, i);
    open_pool(stage);
    open_provider(stage);
    plan(stage, stage->now_us, CLIENT_COMES, 0);
    if (question->mishap != MISHAP_NONE) {
        uint64_t at_us = stage->start_us + question->mishap_s * US_PER_SEC;

        plan(stage, at_us, MISHAP, 0);
        plan(stage, at_us + 5 * US_PER_SEC, MISHAP, 1);
        plan(stage, at_us + 35 * US_PER_SEC, MISHAP, 2);
    }
    while (stage->event_count) {
        if (!is_counted && stage->events[0].at_us >= end_us) {
            is_counted = true;
            if (question->mishap == MISHAP_NONE)
                stage->result.goodput = policy_provider_counted(
                    &stage->provider, (double)question->seconds, question->has_windows ? 0 : 1);
        }
        handle(stage, next_event(stage));
    }
    finish(stage);
    result = stage->result;
    close_stage(stage);
    return result;
}
