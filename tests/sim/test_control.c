/* Control calls of a running simulator, on virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "play.h"

static void control(struct play *play, const char *path, const char *body, int status,
                    const char *wanted)
{
    struct reply reply;

    play_post(play, path, "", body, &reply);
    if (reply.status != status || !reply_has(&reply, wanted))
        fail_msg("%s: %d %s", path, reply.status, buf_text(&reply.body));
    reply_free(&reply);
}

static void control_calls_look_and_change(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "");
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"sk-1\":{\"state\":\"valid\"");
    control(&play, "/sim/keys/sk%2d1", NULL, 200, "\"statuses\":{\"200\":1}");
    control(&play, "/sim/keys/sk-2", NULL, 404, "error");
    control(&play, "/sim/keys/sk-1", "{\"state\": \"revoked\"}", 200, "\"ok\":true");
    assert_int_equal(play_ask(&play, "sk-1"), 401);
    control(&play, "/sim/keys/sk-1", "state: sleepy", 400, "key:1:8: 'sleepy' is none of");
    control(&play, "/sim/keys/sk-new", "latency: 1s", 200, "\"ok\":true");
    control(&play, "/sim/scenarios", NULL, 200, "\"peak-hours\"");
    control(&play, "/sim/scenario", "keys: {sk-1: {state: unpaid}}", 200, "\"ok\":true");
    assert_int_equal(play_ask(&play, "sk-1"), 402);
    control(&play, "/sim/scenario?name=flaky", "", 200, "\"ok\":true");
    assert_int_equal(play_ask(&play, "sk-1"), 401);
    control(&play, "/sim/scenario", "keys: 5", 400, "scenario:1:7: a map is wanted");
    control(&play, "/sim/reset", "", 200, "\"ok\":true");
    assert_int_equal(play_count(&play, "sk-sim-1", "requests"), 0);
    control(&play, "/sim/nowhere", NULL, 404, "there are GET stats");
    control(&play, "/sim/stats", "", 405, "there are GET stats");
    play_end(&play);
}

static void another_scenario_leaves_requests_under_way_alone(void **state)
{
    struct play play;
    struct caller caller;
    struct reply reply;

    (void)state;
    play_begin(&play, "defaults: {latency: 5s}");
    caller_chat(&caller, &play, play_plain);
    play_wait(&play, SECOND);
    control(&play, "/sim/scenario", "unknown_keys: refuse", 200, "\"ok\":true");
    caller_finish(&caller, 10 * SECOND, &reply);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.took_us, 5 * SECOND);
    reply_free(&reply);
    assert_int_equal(play_ask(&play, "sk-1"), 401);
    play_end(&play);
}

static void repeated_answers_are_counted(void **state)
{
    struct play play;

    (void)state;
    play_begin(&play, "count_repeats: true");
    assert_int_equal(play_ask(&play, "sk-1"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"repeats\":0");
    assert_int_equal(play_ask(&play, "sk-2"), 200);
    control(&play, "/sim/stats", NULL, 200, "\"repeats\":1");
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(control_calls_look_and_change),
        cmocka_unit_test(another_scenario_leaves_requests_under_way_alone),
        cmocka_unit_test(repeated_answers_are_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
