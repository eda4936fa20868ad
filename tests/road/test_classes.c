/* A class's turn: who waits for it, who is told at once, who leaves; the class a client picks;
 * windows; and other rules in the midst of it. */
#include "scene.h"

#include "base/alloc.h"

#include <stdlib.h>

#define UP                                                                                         \
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"          \
    "  timeouts: {first_byte: 1h, total: 1h}, keys: [{name: one, secret: key-one}]}}\n"

static const char one_place[] = UP "clients: {open: true}\n"
                                   "classes: {standard: {concurrent: 1, queue: 2, wait: 30s}}\n";

static const char three_places[] = UP "clients: {open: true}\n"
                                      "classes: {standard: {concurrent: 3, queue: 2, wait: 30s}}\n";

static const char no_classes[] = UP "clients: {open: true}\n";

static const char by_name[] =
    UP "clients: {keys: [{name: web, secret: web-key, limits: {concurrent: 2}},\n"
       "  {name: vip, secret: vip-key, class: critical}, {name: night, secret: n, class: batch},\n"
       "  {name: tight, secret: tight, limits: {rpm: 1}}, {name: many, secret: many},\n"
       "  {name: tight-vip, secret: tight-vip, class: critical, limits: {rpm: 1}}]}\n"
       "classes: {standard: {concurrent: 1, queue: 9, wait: 30s},\n"
       "  critical: {concurrent: 1, queue: 0}, batch: {concurrent: 1, queue: 0}}\n";

/* The road begins at 22:13:20 UTC: 2800 s before eleven. */
static const char at_night[] =
    UP "clients: {keys: [{name: night, secret: n, class: batch}]}\n"
       "classes: {batch: {windows: ['23:00-06:00 UTC'], queue: 2, wait: 1h}}\n";

static const char near_its_end[] =
    UP "clients: {keys: [{name: night, secret: n, class: batch}]}\n"
       "classes: {batch: {windows: ['23:00-06:00 UTC'], wait: 10m}}\n";

/* It is open for another 1000 s; then it is as at night. */
static const char two_windows[] = UP "clients: {keys: [{name: night, secret: n, class: batch}]}\n"
                                     "classes: {batch: {windows: ['22:00-22:30 UTC', '23:00-06:00 "
                                     "UTC'], concurrent: 1, wait: 1h}}\n";

static const char two_at_night[] =
    UP "clients: {keys: [{name: night, secret: n, class: batch},\n"
       "  {name: owl, secret: o, class: batch}]}\n"
       "classes: {batch: {windows: ['23:00-06:00 UTC'], queue: 2, wait: 1h}}\n";

static const char unlimited[] = UP "clients: {open: true}\n"
                                   "classes: {standard: {queue: 2}}\n";

static uint64_t of_class(struct road *road, const char *metric, const char *class)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_class_%s{class=\"%s\"}", metric, class);
    return road_metric(road, line);
}

static uint64_t refused(struct road *road, const char *reason)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_class_refused_total{class=\"standard\",reason=\"%s\"}",
             reason);
    return road_metric(road, line);
}

static int ask(struct road *road, const char *lines)
{
    int client = road_connect(road);

    road_post(road, client, "/v1/chat/completions", lines, "{\"model\":\"up/m\",\"messages\":[]}");
    return client;
}

static void expect_overloaded(struct road *road, int client, uint64_t ms, const char *why)
{
    struct road_answer answer;

    road_hear(road, client, &answer);
    assert_int_equal(answer.status, 503);
    assert_non_null(strstr(road_body(&answer), "\"code\":\"overloaded\""));
    assert_non_null(strstr(road_body(&answer), why));
    assert_int_equal(strtoull(road_field(&answer, "retry-after"), NULL, 10), (ms + 999) / 1000);
    assert_in_range(strtoull(road_field(&answer, "retry-after-ms"), NULL, 10), ms, ms + 2);
    road_answer_free(&answer);
    close(client);
}

static void serve(struct road *road, int client, int upstream)
{
    road_reply_ok(road, upstream);
    road_expect(road, client, 200, road_ok);
    close(client);
    close(upstream);
}

static void test_waits_for_its_turn(void **state)
{
    struct road road;
    int clients[2], upstream;
    char *log;

    (void)state;
    road_begin(&road, one_place);
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 5000);
    road_expect_no_attempt(&road, 'a', -1);
    assert_int_equal(of_class(&road, "running", "standard"), 1);
    assert_int_equal(of_class(&road, "waiting", "standard"), 1);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 1);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(of_class(&road, "waiting", "standard"), 0);
    assert_int_equal(road_metric(&road, "bellwether_waiting_requests"), 0);
    serve(&road, clients[1], upstream);
    assert_int_equal(of_class(&road, "running", "standard"), 0);
    assert_int_equal(of_class(&road, "wait_ms_count", "standard"), 2);
    log = road_log(&road);
    assert_int_equal(road_count(log, "\"waited_us\":5000000"), 1);
    mem_free(log);
    road_end(&road);
}

static void test_full_and_in_vain(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, one_place);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    expect_overloaded(&road, ask(&road, ""), 1000, "the class 'standard'");
    assert_int_equal(refused(&road, "full"), 1);
    road_pass_ms(&road, 29999);
    road_expect_silence(&road, clients[1]);
    road_pass_ms(&road, 1);
    expect_overloaded(&road, clients[1], 1000, "no turn within the wait");
    expect_overloaded(&road, clients[2], 1000, "no turn within the wait");
    assert_int_equal(refused(&road, "waited"), 2);
    assert_int_equal(of_class(&road, "waiting", "standard"), 0);
    serve(&road, clients[0], upstream);
    road_end(&road);
}

/* Once it is known how long a place is held, nobody waits in vain for that: he is told when. */
static void test_told_at_once(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, one_place);
    clients[0] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 25000);
    serve(&road, clients[0], upstream);
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    /* Its turn would be about 37 s away, and the next is at most 25. */
    road_pass_ms(&road, 1);
    {
        struct road_answer answer;
        int client = ask(&road, "");

        road_hear(&road, client, &answer);
        assert_int_equal(answer.status, 503);
        assert_in_range(strtoull(road_field(&answer, "retry-after-ms"), NULL, 10), 10000, 25001);
        road_answer_free(&answer);
        close(client);
    }
    assert_int_equal(refused(&road, "late"), 1);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

/* One leaves as its turn comes: the turn is the next one's. */
static void test_leaving(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, one_place);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    close(clients[1]);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask(&road, "");
    clients[0] = ask(&road, "");
    close(clients[1]);
    road_pass_ms(&road, 1000);
    assert_int_equal(of_class(&road, "waiting", "standard"), 1);
    serve(&road, clients[2], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[0], upstream);
    road_end(&road);
}

/* timeouts.total covers the wait: who cannot begin before it is over is told. */
static void test_deadline(void **state)
{
    static const char yaml[] =
        "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
        "  timeouts: {first_byte: 10s, total: 10s}, keys: [{name: one, secret: key-one}]}}\n"
        "clients: {open: true}\n"
        "classes: {standard: {concurrent: 1, queue: 2, wait: 30s}}\n";
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, yaml);
    clients[0] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_stream_head(&road, upstream);
    road_stream(&road, upstream, road_chunk);
    clients[1] = ask(&road, "");
    road_pass_ms(&road, 10000);
    road_expect_error(&road, clients[1], 504, "timeout");
    assert_int_equal(of_class(&road, "waiting", "standard"), 0);
    close(clients[0]);
    close(clients[1]);
    close(upstream);
    road_end(&road);
}

static void test_cut(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, one_place);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    exchange_host_cut(&road.host);
    for (int i = 0; i < 3; i++) {
        road_expect_error(&road, clients[i], 503, "shutting_down");
        close(clients[i]);
    }
    close(upstream);
    assert_int_equal(of_class(&road, "waiting", "standard"), 0);
    assert_int_equal(of_class(&road, "running", "standard"), 0);
    road.host.is_terminating = false;
    road_end(&road);
}

/* By its key, or by X-Priority, no higher; of no class that is known: standard. */
static void test_picking(void **state)
{
    struct road road;
    int web, vip, night, upstreams[3];
    char *log;

    (void)state;
    road_begin(&road, by_name);
    web = ask(&road, "Authorization: Bearer web-key\r\nX-Priority: critical\r\n");
    upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(of_class(&road, "running", "standard"), 1);
    vip = ask(&road, "Authorization: Bearer vip-key\r\n");
    upstreams[1] = road_attempt_with(&road, 'a', -1, "key-one");
    night = ask(&road, "Authorization: Bearer web-key\r\nx-priority: Batch\r\n");
    upstreams[2] = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(of_class(&road, "running", "batch"), 1);
    expect_overloaded(&road, ask(&road, "Authorization: Bearer n\r\nX-Priority: fast\r\n"), 1000,
                      "the class 'batch'");
    expect_overloaded(&road, ask(&road, "Authorization: Bearer vip-key\r\n"), 1000,
                      "the class 'critical'");
    serve(&road, web, upstreams[0]);
    serve(&road, night, upstreams[2]);
    web = ask(&road, "Authorization: Bearer vip-key\r\nX-Priority: fast\r\n");
    upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
    assert_int_equal(of_class(&road, "running", "standard"), 1);
    serve(&road, web, upstreams[0]);
    serve(&road, vip, upstreams[1]);
    log = road_log(&road);
    assert_int_equal(road_count(log, "\"class\":\"critical\""), 2);
    assert_int_equal(road_count(log, "\"class\":\"batch\""), 2);
    mem_free(log);
    road_end(&road);
}

/* Who is over a limit of its own is told at once, and stands in nobody's way. */
static void test_over_its_own_limit(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, by_name);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(&road, "Authorization: Bearer web-key\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_expect_error(&road, clients[2], 429, "rate_limit_exceeded");
    close(clients[2]);
    assert_int_equal(of_class(&road, "waiting", "standard"), 1);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

/* It displaces nobody from a full queue, and the class goes on knowing how long a place is held. */
static void test_over_its_limit_for_long(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, by_name);
    clients[0] = ask(&road, "Authorization: Bearer tight\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 21000);
    serve(&road, clients[0], upstream);
    for (int i = 0; i < 100; i++) {
        clients[0] = ask(&road, "Authorization: Bearer tight\r\n");
        road_expect_error(&road, clients[0], 429, "rate_limit_exceeded");
        close(clients[0]);
    }
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road, "Authorization: Bearer many\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    expect_overloaded(&road, ask(&road, "Authorization: Bearer many\r\n"), 21000,
                      "to have its turn in time");
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

/* Whom its class refuses at once has used nothing of its limits. */
static void test_refused_by_its_class(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, by_name);
    clients[0] = ask(&road, "Authorization: Bearer vip-key\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    clients[1] = ask(&road, "Authorization: Bearer tight-vip\r\n");
    expect_overloaded(&road, clients[1], 1000, "the class 'critical'");
    serve(&road, clients[0], upstream);
    clients[1] = ask(&road, "Authorization: Bearer tight-vip\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

static void test_held_until_the_window_opens(void **state)
{
    struct road road;
    int clients[2], upstreams[2];

    (void)state;
    road_begin(&road, at_night);
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road, "Authorization: Bearer n\r\n");
    expect_overloaded(&road, ask(&road, "Authorization: Bearer n\r\n"), 2800000,
                      "the class 'batch'");
    road_pass_ms(&road, 2799900);
    road_expect_no_attempt(&road, 'a', -1);
    assert_int_equal(of_class(&road, "waiting", "batch"), 2);
    road_pass_ms(&road, 200);
    for (int i = 0; i < 2; i++)
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    for (int i = 0; i < 2; i++)
        road_reply_ok(&road, upstreams[i]);
    for (int i = 0; i < 2; i++) {
        road_expect(&road, clients[i], 200, road_ok);
        close(clients[i]);
        close(upstreams[i]);
    }
    /* Within it nobody is held. */
    clients[0] = ask(&road, "Authorization: Bearer n\r\n");
    upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[0], upstreams[0]);
    road_end(&road);
}

/* Who is displaced while it is held is told when it would have gone on, as who finds the queue full
 * is. */
static void test_displaced_while_held(void **state)
{
    struct road road;
    int clients[3], upstreams[2];

    (void)state;
    road_begin(&road, two_at_night);
    for (int i = 0; i < 2; i++)
        clients[i] = ask(&road, "Authorization: Bearer n\r\n");
    road_pass_ms(&road, 100000);
    clients[2] = ask(&road, "Authorization: Bearer o\r\n");
    expect_overloaded(&road, clients[1], 2700000, "the class 'batch'");
    clients[1] = clients[2];
    road_pass_ms(&road, 2700100);
    for (int i = 0; i < 2; i++)
        upstreams[i] = road_attempt_with(&road, 'a', -1, "key-one");
    scene_serve_all(&road, clients, upstreams, 2);
    road_end(&road);
}

/* At a window's end those that stand in line are held again, until the next one opens. */
static void test_held_anew_as_the_window_closes(void **state)
{
    struct road road;
    int clients[3], upstream;

    (void)state;
    road_begin(&road, two_windows);
    for (int i = 0; i < 3; i++)
        clients[i] = ask(&road, "Authorization: Bearer n\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 1000100);
    serve(&road, clients[0], upstream);
    road_expect_no_attempt(&road, 'a', -1);
    assert_int_equal(of_class(&road, "waiting", "batch"), 2);
    road_pass_ms(&road, 1799800);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 200);
    for (int i = 1; i < 3; i++) {
        upstream = road_attempt_with(&road, 'a', -1, "key-one");
        serve(&road, clients[i], upstream);
    }
    road_end(&road);
}

/* A place is held for ten minutes each time, and 2000 s are left to those who are held as the
 * window opens: the fourth in line is told that its turn would not come, rather than wait in vain.
 */
static void test_late_as_the_window_opens(void **state)
{
    enum { HELD = 5 };
    struct road road;
    int clients[HELD], upstream;

    (void)state;
    road_begin(&road, two_windows);
    clients[0] = ask(&road, "Authorization: Bearer n\r\n");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_pass_ms(&road, 600000);
    serve(&road, clients[0], upstream);
    road_pass_ms(&road, 600000);
    for (int i = 0; i < HELD; i++)
        clients[i] = ask(&road, "Authorization: Bearer n\r\n");
    road_pass_ms(&road, 1599900);
    assert_int_equal(of_class(&road, "waiting", "batch"), HELD);
    road_pass_ms(&road, 200);
    expect_overloaded(&road, clients[HELD - 1], 600000, "to have its turn in time");
    assert_int_equal(of_class(&road, "waiting", "batch"), HELD - 2);
    for (int i = 0; i < HELD - 1; i++) {
        upstream = road_attempt_with(&road, 'a', -1, "key-one");
        serve(&road, clients[i], upstream);
    }
    road_end(&road);
}

/* The clock of the wall is what windows go by: set on, it lets go within a minute; set back, it
 * holds for as long as it says. */
static void test_clock_is_set(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, at_night);
    client = ask(&road, "Authorization: Bearer n\r\n");
    road_pass_ms(&road, 100000);
    loop_set_wall_on(road.loop, INT64_C(2700) * US_PER_SEC);
    road_pass_ms(&road, 60001);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, client, upstream);
    /* 22:59; and again 22:14. */
    loop_set_wall_on(road.loop, -INT64_C(120) * US_PER_SEC);
    client = ask(&road, "Authorization: Bearer n\r\n");
    loop_set_wall_on(road.loop, -INT64_C(2700) * US_PER_SEC);
    road_pass_ms(&road, 2700000);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 60100);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, client, upstream);
    road_end(&road);
}

/* The window is too far off: with a tenth of its wait left it runs all the same. */
static void test_held_until_its_time_is_near(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, near_its_end);
    client = ask(&road, "Authorization: Bearer n\r\n");
    road_pass_ms(&road, 539000);
    road_expect_no_attempt(&road, 'a', -1);
    road_pass_ms(&road, 1001);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, client, upstream);
    road_end(&road);
}

/* Rules of a new file hold for who waits by the old one. */
static void test_other_rules(void **state)
{
    static const char *const fresh[] = {three_places, no_classes};

    (void)state;
    for (size_t i = 0; i < sizeof(fresh) / sizeof(fresh[0]); i++) {
        struct road road;
        int clients[3], upstreams[3];

        road_begin(&road, one_place);
        for (int k = 0; k < 3; k++)
            clients[k] = ask(&road, "");
        upstreams[0] = road_attempt_with(&road, 'a', -1, "key-one");
        road_expect_no_attempt(&road, 'a', -1);
        road_reload(&road, fresh[i]);
        for (int k = 1; k < 3; k++)
            upstreams[k] = road_attempt_with(&road, 'a', -1, "key-one");
        for (int k = 0; k < 3; k++)
            road_reply_ok(&road, upstreams[k]);
        for (int k = 0; k < 3; k++) {
            road_expect(&road, clients[k], 200, road_ok);
            close(clients[k]);
            close(upstreams[k]);
        }
        road_end(&road);
    }
}

/* Those that run are counted on by the class of the same name. */
static void test_counters_carry_over(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, three_places);
    clients[0] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reload(&road, one_place);
    clients[1] = ask(&road, "");
    road_expect_no_attempt(&road, 'a', -1);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

/* Also of a class that had no limit so far. */
static void test_counts_without_a_limit(void **state)
{
    struct road road;
    int clients[2], upstream;

    (void)state;
    road_begin(&road, unlimited);
    clients[0] = ask(&road, "");
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reload(&road, one_place);
    clients[1] = ask(&road, "");
    road_expect_no_attempt(&road, 'a', -1);
    serve(&road, clients[0], upstream);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    serve(&road, clients[1], upstream);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waits_for_its_turn),
        cmocka_unit_test(test_full_and_in_vain),
        cmocka_unit_test(test_told_at_once),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_picking),
        cmocka_unit_test(test_over_its_own_limit),
        cmocka_unit_test(test_over_its_limit_for_long),
        cmocka_unit_test(test_refused_by_its_class),
        cmocka_unit_test(test_held_until_the_window_opens),
        cmocka_unit_test(test_held_until_its_time_is_near),
        cmocka_unit_test(test_displaced_while_held),
        cmocka_unit_test(test_held_anew_as_the_window_closes),
        cmocka_unit_test(test_late_as_the_window_opens),
        cmocka_unit_test(test_clock_is_set),
        cmocka_unit_test(test_other_rules),
        cmocka_unit_test(test_counters_carry_over),
        cmocka_unit_test(test_counts_without_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
