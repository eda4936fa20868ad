/* A class's requests and tokens a minute: who waits for them, who is told when to come back, and
 * what is given back. */
#include "scene.h"

#include "base/alloc.h"

#include <stdlib.h>

#define UP                                                                                         \
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"          \
    "  timeouts: {first_byte: 1h, total: 1h}, keys: [{name: one, secret: key-one}]}}\n"

#define OPEN(class) UP "clients: {open: true}\nclasses: {standard: {" class "}}\n"

static const char six_a_minute[] = OPEN("queue: 2, wait: 30s, limits: {rpm: 6}");
static const char tokens[] = OPEN("queue: 2, wait: 30s, limits: {tpm: 6000}");

static uint64_t of_class(struct road *road, const char *gauge)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_class_%s{class=\"standard\"}", gauge);
    return road_metric(road, line);
}

static uint64_t refused(struct road *road, const char *reason)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_class_refused_total{class=\"standard\",reason=\"%s\"}",
             reason);
    return road_metric(road, line);
}

/* A request of some ten tokens that allows so many more. */
static int ask_for(struct road *road, const char *lines, unsigned max_tokens)
{
    int client = road_connect(road);
    char body[200];

    snprintf(body, sizeof(body),
             "{\"model\":\"up/m\",\"max_tokens\":%u,"
             "\"messages\":[{\"role\":\"user\",\"content\":\"Tell me of it.\"}]}",
             max_tokens);
    road_post(road, client, "/v1/chat/completions", lines, body);
    return client;
}

static int ask(struct road *road)
{
    return ask_for(road, "", 1);
}

static uint64_t number_of(const struct road_answer *answer, const char *field)
{
    return strtoull(road_field(answer, field), NULL, 10);
}

static void expect_limited(struct road *road, int client, const char *why, uint64_t limit,
                           uint64_t ms)
{
    struct road_answer answer;

    road_hear(road, client, &answer);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(road_body(&answer), "\"code\":\"rate_limit_exceeded\""));
    assert_non_null(strstr(road_body(&answer), why));
    assert_in_range(number_of(&answer, "retry-after-ms"), ms, ms + 2);
    assert_in_range(number_of(&answer, "retry-after"), ms / 1000, (ms + 1001) / 1000);
    assert_int_equal(number_of(&answer, "x-ratelimit-limit"), limit);
    road_answer_free(&answer);
    close(client);
}

static void serve(struct road *road, int client)
{
    int upstream = road_attempt_with(road, 'a', -1, "key-one");

    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    close(client);
    close(upstream);
}

static void test_waits_for_the_next_request(void **state)
{
    struct road road;
    int clients[2];
    char *log;

    (void)state;
    road_begin(&road, six_a_minute);
    serve(&road, ask(&road));
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road);
    assert_int_equal(of_class(&road, "waiting"), 2);
    assert_int_equal(of_class(&road, "running"), 0);
    expect_limited(&road, ask(&road), "The request limit of the class 'standard' is reached.", 6,
                   10000);
    road_pass_ms(&road, 9999);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1);
    serve(&road, clients[0]);
    road_pass_ms(&road, 9999);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1);
    serve(&road, clients[1]);
    assert_int_equal(road_now_ms(&road), 20000);
    assert_int_equal(of_class(&road, "waiting"), 0);
    assert_int_equal(of_class(&road, "running"), 0);
    assert_int_equal(of_class(&road, "wait_ms_count"), 3);
    assert_int_equal(refused(&road, "limit"), 1);
    assert_int_equal(refused(&road, "full"), 0);
    log = road_log(&road);
    assert_int_equal(road_count(log, "\"failure\":\"class_limit\""), 1);
    assert_int_equal(road_count(log, "\"waited_us\":20000000"), 1);
    mem_free(log);
    road_end(&road);
}

/* What the first did not use is there as soon as that is known. */
static void test_tokens_that_come_back_are_a_turn(void **state)
{
    struct road road;
    int clients[2];

    (void)state;
    road_begin(&road, tokens);
    clients[0] = ask_for(&road, "", 5000);
    road_pass_ms(&road, 100);
    clients[1] = ask_for(&road, "", 3000);
    assert_int_equal(of_class(&road, "waiting"), 1);
    road_pass_ms(&road, 900);
    assert_int_equal(of_class(&road, "waiting"), 1);
    serve(&road, clients[0]);
    serve(&road, clients[1]);
    assert_int_equal(road_now_ms(&road), 1000);
    /* Eight tokens each were used, of 6000. */
    serve(&road, ask_for(&road, "", 5950));
    assert_int_equal(road_now_ms(&road), 1000);
    road_end(&road);
}

/* One that announces a billion, and is refused upstream without a word of what it used: the class
 * is there for the others a minute later at the latest. */
static void test_one_that_announces_too_much(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, tokens);
    clients[0] = ask_for(&road, "", 1000000000);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask_for(&road, "", 1000000000);
    expect_limited(&road, clients[1], "The token limit of the class", 6000, 30000);
    road_reply(&road, upstream, 400, "", "{\"error\":{\"message\":\"no\"}}");
    road_expect(&road, clients[0], 400, NULL);
    close(clients[0]);
    close(upstream);
    road_pass_ms(&road, 31000);
    clients[0] = ask_for(&road, "", 100);
    assert_int_equal(of_class(&road, "running"), 1);
    serve(&road, clients[0]);
    road_end(&road);
}

/* Its turn would come after its time: it is told when to come back, and then is let in. */
static void test_late_for_tokens(void **state)
{
    struct road road;
    struct road_answer answer;
    uint64_t ms;
    int clients[2], upstreams[2];

    (void)state;
    road_begin(&road, tokens);
    clients[0] = ask_for(&road, "", 5980);
    upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask_for(&road, "", 5000);
    road_hear(&road, clients[1], &answer);
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(road_body(&answer), "The token limit of the class 'standard'"));
    assert_non_null(strstr(road_body(&answer), "\"type\":\"tokens\""));
    ms = number_of(&answer, "retry-after-ms");
    assert_in_range(ms, 19000, 21000);
    road_answer_free(&answer);
    close(clients[1]);
    road_pass_ms(&road, ms - 2);
    clients[1] = ask_for(&road, "", 5000);
    road_expect_error(&road, clients[1], 429, "rate_limit_exceeded");
    close(clients[1]);
    road_pass_ms(&road, 2);
    clients[1] = ask_for(&road, "", 5000);
    assert_int_equal(of_class(&road, "waiting"), 1);
    road_pass_ms(&road, 29900);
    assert_int_equal(of_class(&road, "waiting"), 1);
    road_pass_ms(&road, 100);
    assert_int_equal(of_class(&road, "waiting"), 0);
    upstreams[1] = road_attempt_with(&road, 'a', -1, "key-one");
    for (int i = 0; i < 2; i++) {
        road_reply_ok(&road, upstreams[i]);
        road_expect(&road, clients[i], 200, road_ok);
        close(clients[i]);
        close(upstreams[i]);
    }
    road_end(&road);
}

/* It is a plain limit then. Whom it refuses has used nothing of his own limits. */
static void test_without_a_queue(void **state)
{
    static const char yaml[] =
        UP "clients: {keys: [{name: web, secret: web-key, limits: {rpm: 3, burst: 3}}]}\n"
           "classes: {standard: {queue: 0, limits: {rpm: 60, burst: 2}}}\n";
    static const char web[] = "Authorization: Bearer web-key\r\n";
    struct road road;

    (void)state;
    road_begin(&road, yaml);
    for (int i = 0; i < 2; i++)
        serve(&road, ask_for(&road, web, 1));
    for (int i = 0; i < 5; i++)
        expect_limited(&road, ask_for(&road, web, 1), "the class 'standard'", 60, 1000);
    road_pass_ms(&road, 1000);
    serve(&road, ask_for(&road, web, 1));
    expect_limited(&road, ask_for(&road, web, 1), "limit of this API key", 3, 19000);
    road_end(&road);
}

/* Who leaves while he waits has used nothing, and the next one's turn is no later for it. */
static void test_leaving(void **state)
{
    struct road road;
    int clients[2];

    (void)state;
    road_begin(&road, six_a_minute);
    serve(&road, ask(&road));
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road);
    road_pass_ms(&road, 5000);
    close(clients[0]);
    road_pass_ms(&road, 5000);
    serve(&road, clients[1]);
    assert_int_equal(road_now_ms(&road), 10000);
    road_end(&road);
}

static void test_in_vain(void **state)
{
    static const char yaml[] = OPEN("queue: 2, wait: 30s, limits: {rpm: 2, tpm: 6000}");
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, yaml);
    clients[0] = ask_for(&road, "", 1);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask_for(&road, "", 1);
    road_pass_ms(&road, 29000);
    /* Ten thousand more than was thought. */
    road_reply(&road, upstream, 200, "",
               "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":["
               "{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},"
               "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,"
               "\"completion_tokens\":11990,\"total_tokens\":12000}}");
    road_expect(&road, clients[0], 200, NULL);
    road_pass_ms(&road, 1000);
    expect_limited(&road, clients[1], "The token limit of the class", 6000, 59000);
    assert_int_equal(refused(&road, "limit"), 1);
    close(clients[0]);
    close(upstream);
    road_end(&road);
}

/* What was used stays used under other numbers; without limits all go on. */
static void test_reload(void **state)
{
    static const char three_a_minute[] = OPEN("queue: 2, wait: 30s, limits: {rpm: 3}");
    static const char none[] = OPEN("queue: 2, wait: 30s");
    struct road road;
    int clients[2];

    (void)state;
    road_begin(&road, six_a_minute);
    serve(&road, ask(&road));
    road_reload(&road, three_a_minute);
    clients[0] = ask(&road);
    road_pass_ms(&road, 9999);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1);
    serve(&road, clients[0]);
    clients[0] = ask(&road);
    road_pass_ms(&road, 1000);
    clients[1] = ask(&road);
    road_expect_error(&road, clients[1], 429, "rate_limit_exceeded");
    close(clients[1]);
    road_reload(&road, none);
    serve(&road, clients[0]);
    serve(&road, ask(&road));
    assert_int_equal(road_now_ms(&road), 11000);
    road_end(&road);
}

/* Held ones have taken nothing; as the window opens they go as the limit allows. */
static void test_with_a_window(void **state)
{
    /* The road begins at 22:13:20 UTC: 2800 s before eleven. */
    static const char at_night[] =
        OPEN("windows: ['23:00-06:00 UTC'], queue: 2, wait: 1h, limits: {rpm: 6}");
    struct road road;
    int clients[2];

    (void)state;
    road_begin(&road, at_night);
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road);
    road_pass_ms(&road, 2799900);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 100);
    serve(&road, clients[0]);
    road_pass_ms(&road, 9900);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 100);
    serve(&road, clients[1]);
    road_end(&road);
}

/* A large one stands in line, and small ones behind it, for which there are tokens, as the window
 * closes: none of them goes at the day's prices. */
static void test_a_window_closes_before_a_line(void **state)
{
    /* The road begins at 22:13:20 UTC: 400 s before one closes, 2200 s before the other opens. */
    static const char evening[] = OPEN("windows: ['21:00-22:20 UTC', '22:50-23:50 UTC'],"
                                       "queue: 9, wait: 1h, limits: {tpm: 6000}");
    struct road road;
    int clients[4], upstream;

    (void)state;
    road_begin(&road, evening);
    road_pass_ms(&road, 390000);
    clients[0] = ask_for(&road, "", 5000);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask_for(&road, "", 5900);
    for (int i = 2; i < 4; i++)
        clients[i] = ask_for(&road, "", 100);
    assert_int_equal(of_class(&road, "waiting"), 3);
    road_pass_ms(&road, 20000);
    road_reply_ok(&road, upstream);
    road_expect(&road, clients[0], 200, road_ok);
    close(upstream);
    road_pass_ms(&road, 60000);
    road_expect_no_attempt(&road, 'a', -1);
    assert_int_equal(of_class(&road, "waiting"), 3);
    road_pass_ms(&road, 2200000 - road_now_ms(&road) - 1);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1);
    for (int i = 1; i < 4; i++) {
        road_pass_ms(&road, 1000);
        serve(&road, clients[i]);
    }
    close(clients[0]);
    road_end(&road);
}

/* One goes on though others are held, of the windows that the file had: it settles as any other. */
static void test_beside_held_ones(void **state)
{
    static const char at_night[] =
        OPEN("windows: ['23:00-06:00 UTC'], queue: 2, wait: 1h, limits: {tpm: 6000}");
    static const char always[] = OPEN("queue: 2, wait: 1h, limits: {tpm: 6000}");
    struct road road;
    int held;

    (void)state;
    road_begin(&road, at_night);
    held = ask(&road);
    road_reload(&road, always);
    serve(&road, ask_for(&road, "", 5000));
    serve(&road, ask_for(&road, "", 5900));
    assert_int_equal(road_now_ms(&road), 0);
    assert_int_equal(of_class(&road, "waiting"), 1);
    road_pass_ms(&road, 2800000);
    serve(&road, held);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_the_next_request),
        cmocka_unit_test(test_tokens_that_come_back_are_a_turn),
        cmocka_unit_test(test_one_that_announces_too_much),
        cmocka_unit_test(test_late_for_tokens),
        cmocka_unit_test(test_without_a_queue),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_in_vain),
        cmocka_unit_test(test_reload),
        cmocka_unit_test(test_with_a_window),
        cmocka_unit_test(test_a_window_closes_before_a_line),
        cmocka_unit_test(test_beside_held_ones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
