/* What a held exchange costs: the prices of the hour in which it goes upstream, not of that in
 * which it came. The road begins at 22:13:20 UTC, 2800 s before eleven. */
#include "scene.h"

#include "base/alloc.h"

#define UP                                                                                         \
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"          \
    "  timeouts: {first_byte: 1h, total: 1h}, keys: [{name: one, secret: key-one}]}}\n"

#define DEAR_BEFORE_ELEVEN                                                                         \
    "{input: 2, output: 10, peak: {hours: ['22:00-23:00'], input: 20, output: 100}}"

#define CLASSES(windows)                                                                           \
    "clients: {keys: [{name: web, secret: w}, {name: night, secret: n, class: batch}]}\n"          \
    "classes: {batch: {" windows "}}\n"

static const char until_eleven[] = UP "models: {m: up/m}\nprices: {up/m: " DEAR_BEFORE_ELEVEN
                                      "}\n" CLASSES("windows: ['23:00-06:00 UTC'], wait: 1h");

static const char too_short[] = UP "models: {m: up/m}\nprices: {up/m: " DEAR_BEFORE_ELEVEN
                                   "}\n" CLASSES("windows: ['23:00-06:00 UTC'], wait: 10m");

/* Until eleven the one is dear, from then on the other. */
static const char the_cheaper[] =
    UP "models: {m: {optimise: cost, among: [up/night, up/day]}}\n"
       "prices:\n"
       "  up/night: " DEAR_BEFORE_ELEVEN "\n"
       "  up/day: {input: 5, output: 20}\n" CLASSES("windows: ['23:00-06:00 UTC'], wait: 1h");

static int ask(struct road *road, const char *key, const char *model)
{
    int client = road_connect(road);
    char lines[64], body[64];

    snprintf(lines, sizeof(lines), "Authorization: Bearer %s\r\n", key);
    snprintf(body, sizeof(body), "{\"model\":\"%s\",\"messages\":[]}", model);
    road_post(road, client, "/v1/chat/completions", lines, body);
    return client;
}

/* Three tokens of prompt and five of answer, at this cost: the client hears it. */
static void serve(struct road *road, int client, const char *model, const char *cost)
{
    struct road_answer answer;
    char *request, line[64];
    int upstream = road_attempt(road, 'a', -1, &request);

    snprintf(line, sizeof(line), "{\"model\":\"%s\",", model);
    assert_non_null(strstr(request, line));
    mem_free(request);
    road_reply_ok(road, upstream);
    road_hear(road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-cost-usd"), cost);
    road_answer_free(&answer);
    close(client);
    close(upstream);
}

static void expect_logged(struct road *road, const char *cost)
{
    char line[64], *log = road_log(road);

    snprintf(line, sizeof(line), "\"cost_usd\":%s,", cost);
    assert_int_equal(road_count(log, line), 1);
    mem_free(log);
}

static void test_held_until_it_is_cheap(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, until_eleven);
    client = ask(&road, "w", "m");
    serve(&road, client, "m", "0.00056");
    client = ask(&road, "n", "m");
    road_pass_ms(&road, 2799000);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1100);
    serve(&road, client, "m", "0.000056");
    expect_logged(&road, "0.000056");
    road_end(&road);
}

/* Nine of its ten minutes later it goes, dear as it is. */
static void test_held_for_too_short(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, too_short);
    client = ask(&road, "n", "m");
    road_pass_ms(&road, 540100);
    serve(&road, client, "m", "0.00056");
    expect_logged(&road, "0.00056");
    road_end(&road);
}

/* Of two models the one that is cheaper when its turn comes. */
static void test_the_cheaper_one_by_then(void **state)
{
    struct road road;
    int client;

    (void)state;
    road_begin(&road, the_cheaper);
    client = ask(&road, "w", "m");
    serve(&road, client, "day", "0.000115");
    client = ask(&road, "n", "m");
    road_pass_ms(&road, 2800100);
    serve(&road, client, "night", "0.000056");
    expect_logged(&road, "0.000056");
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_held_until_it_is_cheap),
        cmocka_unit_test(test_held_for_too_short),
        cmocka_unit_test(test_the_cheaper_one_by_then),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
