#include "spending_play.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "access/purse.h"
#include "base/clock.h"
#include "base/rand.h"
#include "ledger/budget.h"

enum { LIVE = 1024, DAY_S = 86400, MEAN_COST_NANOUSD = 4000000, MEAN_LASTS_S = 20 };

/* What each client wants of each day, in dollars. */
static const double wanted_usd[SPENDING_DAYS][SPENDING_CLIENTS] = {{50, 30}, {120, 30}, {100, 80}};

/* A Monday, at midnight in UTC. */
static const uint64_t start_wall_us = UINT64_C(1795996800) * US_PER_SEC;

struct live {
    uint64_t cost; /* 0: free */
    uint64_t end_us;
    unsigned client;
};

struct stage {
    struct spending_result *result;
    struct rand rand;
    uint64_t start_us, now_us;
    struct purse_book *book;
    struct purse *purses[SPENDING_PURSES]; /* of app nobody is told a ceiling */
    struct budget budgets[SPENDING_PURSES];
    bool is_spent[SPENDING_PURSES];
    struct live live[LIVE];
};

static const uint64_t limits[SPENDING_PURSES] = {SPENDING_WEB_LIMIT, 0, SPENDING_POOL_LIMIT};

static void must(bool claim)
{
    if (!claim)
        abort();
}

static double draw_exponential(struct stage *stage, double mean)
{
    return -log(1 - rand_unit(&stage->rand)) * mean;
}

static uint64_t second_of(const struct stage *stage)
{
    return (stage->now_us - stage->start_us) / US_PER_SEC;
}

static struct spending_day *today(struct stage *stage)
{
    return &stage->result->days[second_of(stage) / DAY_S];
}

/* ---- budgets ---- */

/* As the gateway does it once a second. */
static void look(struct stage *stage, enum spending_purse which)
{
    uint64_t wall_us = start_wall_us + (stage->now_us - stage->start_us), until_wall_us;
    struct budget *budget = &stage->budgets[which];

    (void)budget_look(budget, BUDGET_DAY, limits[which], purse_spent(stage->purses[which]), wall_us,
                      &until_wall_us);
    if (limits[which])
        purse_set(stage->purses[which], budget->spent_before + limits[which],
                  stage->now_us + (until_wall_us - wall_us));
}

static bool is_of(const struct live *live, enum spending_purse which)
{
    return live->cost && (which == SPENDING_POOL || live->client == (unsigned)which);
}

/* It has just been spent: what is under way may pass it, and what has just ended may have. */
static void note_spent(struct stage *stage, enum spending_purse which)
{
    uint64_t wait_us, *under_way = &today(stage)->under_way[which];
    bool is_spent = purse_is_spent(stage->purses[which], stage->now_us, &wait_us);

    if (is_spent && !stage->is_spent[which]) {
        *under_way =
            purse_spent(stage->purses[which]) - stage->budgets[which].spent_before - limits[which];
        for (size_t i = 0; i < LIVE; i++)
            *under_way += is_of(&stage->live[i], which) ? stage->live[i].cost : 0;
    }
    stage->is_spent[which] = is_spent;
}

/* ---- exchanges ---- */

static bool is_refused(const struct stage *stage, unsigned client)
{
    uint64_t wait_us;

    return purse_is_spent(stage->purses[client], stage->now_us, &wait_us) ||
           purse_is_spent(stage->purses[SPENDING_POOL], stage->now_us, &wait_us);
}

static void begin_exchange(struct stage *stage, unsigned client)
{
    struct live *live = stage->live;

    while (live < stage->live + LIVE && live->cost)
        live++;
    must(live < stage->live + LIVE);
    *live = (struct live){
        .cost = 1 + (uint64_t)draw_exponential(stage, MEAN_COST_NANOUSD),
        .end_us = stage->now_us + (uint64_t)draw_exponential(stage, MEAN_LASTS_S * 1e6),
        .client = client,
    };
}

static void come(struct stage *stage, unsigned client)
{
    struct spending_step *step = &stage->result->steps[second_of(stage) / SPENDING_STEP_S];
    struct spending_client *count = &today(stage)->clients[client];
    uint64_t in_day_us = second_of(stage) % DAY_S * US_PER_SEC;

    count->came++;
    step->came[client]++;
    if (!is_refused(stage, client)) {
        count->served_us = count->served_us ? count->served_us : in_day_us;
        begin_exchange(stage, client);
        return;
    }
    count->refused_us = count->refused_us ? count->refused_us : in_day_us;
    count->refused++;
    step->refused[client]++;
}

/* What it has cost is known now, and not before. */
static void end_exchange(struct stage *stage, struct live *live)
{
    unsigned client = live->client;

    purse_add(stage->purses[client], live->cost);
    purse_add(stage->purses[SPENDING_POOL], live->cost);
    live->cost = 0;
    note_spent(stage, (enum spending_purse)client);
    note_spent(stage, SPENDING_POOL);
}

/* Most ask in the early afternoon, few at night. */
static double rate_of(const struct stage *stage, unsigned client)
{
    double hour = (double)(second_of(stage) % DAY_S) / 3600;
    double mean = wanted_usd[second_of(stage) / DAY_S][client] * 1e9 / MEAN_COST_NANOUSD / DAY_S;

    return mean * (1 - 0.8 * cos((hour - 2) / 12 * acos(-1)));
}

static void play_second(struct stage *stage)
{
    for (size_t i = 0; i < LIVE; i++) {
        if (stage->live[i].cost && stage->live[i].end_us <= stage->now_us)
            end_exchange(stage, &stage->live[i]);
    }
    for (unsigned client = 0; client < SPENDING_CLIENTS; client++) {
        double rate = rate_of(stage, client);

        for (; rate > 0; rate -= 1) {
            if (rand_unit(&stage->rand) < rate)
                come(stage, client);
        }
    }
    for (int which = 0; which < SPENDING_PURSES; which++)
        look(stage, (enum spending_purse)which);
}

/* ---- the play ---- */

static void begin(struct stage *stage)
{
    static const struct {
        enum purse_kind kind;
        struct span name;
    } names[SPENDING_PURSES] = {{PURSE_CLIENT, SPAN_INIT("web")},
                                {PURSE_CLIENT, SPAN_INIT("app")},
                                {PURSE_POOL, SPAN_INIT("search")}};

    stage->book = purse_book_new();
    must(stage->book != NULL);
    for (int which = 0; which < SPENDING_PURSES; which++) {
        must(purse_book_get(stage->book, names[which].kind, names[which].name,
                            &stage->purses[which]) == 0);
        look(stage, (enum spending_purse)which);
    }
}

static void note_step(struct stage *stage)
{
    struct spending_step *step = &stage->result->steps[second_of(stage) / SPENDING_STEP_S];
    struct spending_day *day = today(stage);

    for (int which = 0; which < SPENDING_PURSES; which++)
        step->spent[which] = day->spent[which] = stage->budgets[which].spent;
}

void spending_play(uint64_t seed, struct spending_result *result)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    must(stage != NULL);
    memset(result, 0, sizeof(*result));
    stage->result = result;
    rand_init(&stage->rand, seed);
    stage->now_us = stage->start_us = 1000 * US_PER_SEC;
    begin(stage);
    for (uint64_t second = 0; second < (uint64_t)SPENDING_DAYS * DAY_S; second++) {
        stage->now_us = stage->start_us + second * US_PER_SEC;
        play_second(stage);
        if ((second + 1) % SPENDING_STEP_S == 0)
            note_step(stage);
    }
    for (int which = 0; which < SPENDING_PURSES; which++)
        purse_unref(&stage->purses[which]);
    purse_book_free(&stage->book);
    free(stage);
}
