/* When there is a second attempt beside a slow one, and when there is none. */
#include "hedge_race.h"

#include "keypool/trial.h"
#include "limits/estimates.h"
#include "migration/crossing.h"

/* --- when there is one --- */

static void expect_no_hedge(struct scene *scene, unsigned after_ms)
{
    road_pass_ms(&scene->road, after_ms);
    assert_int_equal(road_try_accept(&scene->road, 'a'), -1);
}

static void test_off_by_default(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, KEYS);
    expect_no_hedge(&scene, 10000);
    scene_serve(&scene);
    assert_int_equal(hedges(&scene.road, "no_key"), 0);
    scene_end(&scene);
}

static void test_an_answer_disarms(void **state)
{
    struct scene scene;

    (void)state;
    scene_open_stream(&scene, after_a_second);
    road_pass_ms(&scene.road, 999);
    scene_stream_head(&scene);
    scene_stream(&scene, road_chunk);
    expect_no_hedge(&scene, 5000);
    stream_whole(&scene.road, scene.upstream);
    road_expect(&scene.road, scene.client, 200, NULL);
    scene_end(&scene);
}

/* Where nothing streams the first byte disarms; a stream's head alone does not. */
static void test_first_bytes(void **state)
{
    struct scene scene;
    int second;

    (void)state;
    scene_open(&scene, after_a_second);
    wire_say(scene.road.loop, scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Content-Length: 4000\r\n\r\n");
    expect_no_hedge(&scene, 5000);
    scene_end(&scene);
    scene_open_stream(&scene, after_a_second);
    scene_stream_head(&scene);
    road_pass_ms(&scene.road, 1000);
    second = road_attempt_with(&scene.road, 'a', -1, "key-two");
    close(second);
    scene_end(&scene);
}

static void test_budget(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, KEYS "retry: {hedge: {after: 1s}}\n");
    expect_no_hedge(&scene, 1000);
    expect_hedge(&scene.road, "no_budget");
    scene_serve(&scene);
    scene_end(&scene);
}

static void test_no_other_key(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, "providers: {up: {kind: compatible, base_url: '@a',\n"
                       "  health: {validate_new: false},\n"
                       "  keys: [{name: one, secret: key-one},\n"
                       "    {name: two, secret: key-two, models: [other]}]}}\n"
                       "clients: {open: true}\nretry: {hedge: {after: 1s, budget: 100%}}\n");
    expect_no_hedge(&scene, 1000);
    expect_hedge(&scene.road, "no_key");
    scene_serve(&scene);
    scene_end(&scene);
}

/* Answers of that model have 600 tokens, as is learned: the second key's limit of 1000 has no room
 * to spare for one, though the request names no max_tokens. */
static void test_no_tokens_for_the_answer(void **state)
{
    static const char counted[] =
        "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":600,\"total_tokens\":609}}";
    struct scene scene;

    (void)state;
    scene_begin(&scene, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                        "  health: {validate_new: false},\n"
                        "  keys: [{name: one, secret: key-one, limits: {tpm: 1000000}},\n"
                        "    {name: two, secret: key-two, limits: {tpm: 1000}}]}}\n"
                        "clients: {open: true}\nmodels: {m: up/m}\n" AFTER_A_SECOND);
    for (int i = 0; i < 40; i++) {
        scene_chat(&scene);
        scene_attempt(&scene, "key-one");
        scene_reply(&scene, 200, "", counted);
        road_expect(&scene.road, scene.client, 200, counted);
    }
    estimates_learn(scene.road.registry.estimates);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    expect_no_hedge(&scene, 1000);
    expect_hedge(&scene.road, "no_key");
    scene_serve(&scene);
    scene_end(&scene);
}

/* At connections.max nobody is made to wait for a hedge, and none waits. */
static void test_no_connection(void **state)
{
    struct scene scene;

    (void)state;
    scene_open(&scene, "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
                       "  health: {validate_new: false}, connections: {max: 1},\n"
                       "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                       "clients: {open: true}\nretry: {hedge: {after: 1s, budget: 100%}}\n");
    expect_no_hedge(&scene, 1000);
    expect_hedge(&scene.road, "no_connection");
    scene_serve(&scene);
    assert_int_equal(road_attempts(&scene.road, "success"), 1);
    scene_end(&scene);
}

/* --- the p95 --- */

/* A hundred answers after 200 ms, of which the last are slower: the next is hedged at the p95,
 * which is known to an eighth. */
static void test_after_p95(void **state)
{
    struct scene scene;
    int second;

    (void)state;
    scene_begin(&scene, KEYS "retry: {hedge: {budget: 100%}}\n");
    for (int i = 0; i < 100; i++) {
        scene_chat_stream(&scene);
        scene_attempt(&scene, "key-one");
        expect_no_hedge(&scene, i < 90 ? 200 : 400);
        scene_stream_head(&scene);
        scene_stream(&scene, road_chunk);
        stream_whole(&scene.road, scene.upstream);
        road_expect(&scene.road, scene.client, 200, NULL);
    }
    /* Whole answers have times of their own: nothing is known of them. */
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    expect_no_hedge(&scene, 5000);
    scene_serve(&scene);
    scene_chat_stream(&scene);
    scene_attempt(&scene, "key-one");
    expect_no_hedge(&scene, 399);
    road_pass_ms(&scene.road, 51);
    second = road_attempt_with(&scene.road, 'a', -1, "key-two");
    close(second);
    scene_end(&scene);
}

/* Answers that take 0.1 to 2 s, evenly spread, unless they are hedged. What the slowest fifth would
 * have taken is never seen: it is known to be longer, so that the p80 stays where it is. */
static void test_winning_does_not_move_the_quantile(void **state)
{
    struct scene scene;
    unsigned hedged = 0;

    (void)state;
    scene_begin(&scene, KEYS "retry: {hedge: {after: p80, budget: 100%}}\n");
    for (unsigned i = 0; i < 800; i++) {
        unsigned ticks = 2 + i * 7 % 20 * 2; /* of 50 ms */
        int second = -1;

        scene_chat_stream(&scene);
        scene_attempt(&scene, "key-one");
        for (unsigned k = 0; k < ticks && second < 0; k++) {
            road_pass_ms(&scene.road, 50);
            second = road_try_accept(&scene.road, 'a');
        }
        if (second >= 0)
            road_take(&scene.road, second);
        else
            second = scene.upstream;
        road_stream_head(&scene.road, second);
        road_stream(&scene.road, second, road_chunk);
        stream_whole(&scene.road, second);
        road_expect(&scene.road, scene.client, 200, NULL);
        if (second == scene.upstream)
            continue;
        close(scene.upstream);
        scene.upstream = second;
        hedged += i >= 400;
    }
    assert_in_range(hedged, 50, 90);
    scene_end(&scene);
}

/* --- where evidence is gathered --- */

static void expect_no_hedge_of_m(struct scene *scene)
{
    road_post(&scene->road, scene->client, "/v1/chat/completions", "",
              "{\"model\":\"m\",\"messages\":[]}");
    scene_attempt(scene, "key-one");
    expect_no_hedge(scene, 5000);
    assert_int_equal(hedges(&scene->road, "no_key") + hedges(&scene->road, "no_budget"), 0);
    scene_serve(scene);
}

/* Requests that a shadow compares are not hedged. */
static void test_not_what_is_compared(void **state)
{
    struct scene scene;

    (void)state;
    scene_begin(&scene, BARE AFTER_A_SECOND
                "models: {m: {targets: [{to: up/m}], shadow: {to: 'up/n', share: 100%}}}\n");
    expect_no_hedge_of_m(&scene);
    scene_end(&scene);
}

/* Nor are those counted in a migration. */
static void test_not_in_a_migration(void **state)
{
    static const struct crossing_stand all_old = {1, true, true}; /* but one in a million */
    struct scene scene;

    (void)state;
    scene_begin(&scene, BARE AFTER_A_SECOND
                "models: {m: {targets: [{to: up/m}], migration: {to: up/n, from: up/m}}}\n");
    crossing_set(routes_crossing(scene.road.snapshot->routes, SPAN("m")), all_old);
    expect_no_hedge_of_m(&scene);
    scene_end(&scene);
}

/* Nor is what counts in the trial of a key, whichever key it is. */
static void test_not_in_a_trial(void **state)
{
    struct keypool_trial *trial;
    struct evidence_tick tick;
    struct keypool *pool;
    struct scene scene;
    struct key *key;

    (void)state;
    scene_begin(&scene, after_a_second);
    pool = provider_keys(scene.road.snapshot->providers[0].provider);
    key = keypool_find_key(pool, SPAN("two"));
    assert_int_equal(keypool_trial_begin(pool, key, 1, &trial), 0);
    scene_chat(&scene);
    scene_attempt(&scene, "key-one");
    expect_no_hedge(&scene, 5000);
    assert_int_equal(hedges(&scene.road, "no_key") + hedges(&scene.road, "no_budget"), 0);
    scene_serve(&scene);
    keypool_trial_end(&trial, &tick);
    key_unref(&key);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_by_default),
        cmocka_unit_test(test_an_answer_disarms),
        cmocka_unit_test(test_first_bytes),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_no_other_key),
        cmocka_unit_test(test_no_tokens_for_the_answer),
        cmocka_unit_test(test_no_connection),
        cmocka_unit_test(test_after_p95),
        cmocka_unit_test(test_winning_does_not_move_the_quantile),
        cmocka_unit_test(test_not_what_is_compared),
        cmocka_unit_test(test_not_in_a_migration),
        cmocka_unit_test(test_not_in_a_trial),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
