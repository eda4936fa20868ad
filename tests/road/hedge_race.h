/* An exchange with two attempts under way, one beside the other, in the words that a test wants. */
#ifndef TESTS_ROAD_HEDGE_RACE_H
#define TESTS_ROAD_HEDGE_RACE_H

#include "scene.h"

#define BARE                                                                                       \
    "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"                    \
    "  health: {validate_new: false}, timeouts: {first_byte: 60s, total: 60s},\n"                  \
    "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"                     \
    "clients: {open: true}\nprices: {up/m: {input: 1000000, output: "                              \
    "1000000}}\n"

#define KEYS           BARE "models: {m: up/m}\n"
#define AFTER_A_SECOND "retry: {hedge: {after: 1s, budget: 100%}}\n"

static const char after_a_second[] = KEYS AFTER_A_SECOND;

struct race {
    struct scene scene;
    int second; /* the hedge's connection */
};

/* The client has asked, a second has passed, and both attempts are under way. */
static inline void race_begin(struct race *race, const char *yaml, bool is_streaming)
{
    struct road *road = &race->scene.road;

    if (is_streaming)
        scene_open_stream(&race->scene, yaml);
    else
        scene_open(&race->scene, yaml);
    road_pass_ms(road, 999);
    assert_int_equal(road_try_accept(road, 'a'), -1);
    road_pass_ms(road, 1);
    race->second = road_attempt_with(road, 'a', -1, "key-two");
}

static inline void race_end(struct race *race)
{
    if (race->second >= 0)
        close(race->second);
    scene_end(&race->scene);
}

static inline void stream_whole(struct road *road, int upstream)
{
    road_stream(road, upstream, road_finish);
    road_stream(road, upstream, road_usage);
    road_stream(road, upstream, road_done);
    road_stream_end(road, upstream);
}

static inline uint64_t hedges(struct road *road, const char *result)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_hedges_total{provider=\"up\",result=\"%s\"}", result);
    return road_metric(road, line);
}

/* One hedge came to this, and nothing else was counted. */
static inline void expect_hedge(struct road *road, const char *result)
{
    static const char *const results[] = {"won",       "lost",   "failed",       "cut",
                                          "no_budget", "no_key", "no_connection"};

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        assert_int_equal(hedges(road, results[i]), strcmp(results[i], result) == 0);
}

static inline void expect_answer(struct scene *scene, const char *key, const char *attempts)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), key);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), attempts);
    road_answer_free(&answer);
}

#endif
