/* More than one target: which is asked, by which name, and what they say together. */
#include "road.h"

#include "base/alloc.h"

static const char two_targets[] =
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "    keys: [{name: one, secret: key-one}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: two, secret: key-two}]}\n"
    "models: {m: {targets: [{to: up/m}], fallback: [other/n]}}\n"
    "clients: {open: true}\n";

static void chat_m(struct road *road, int client)
{
    road_post(road, client, "/v1/chat/completions", "", "{\"model\":\"m\",\"messages\":[]}");
}

/* The fallback hears its own name of the model. */
static void test_fallback(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, two_targets);
    client = road_connect(&road);
    chat_m(&road, client);
    upstream = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, upstream, 401, "", "{}");
    close(upstream);
    upstream = road_attempt(&road, 'b', -1, &heard);
    assert_non_null(strstr(heard, "Authorization: Bearer key-two\r\n"));
    assert_non_null(strstr(heard, "{\"model\":\"n\",\"messages\":[]}"));
    mem_free(heard);
    road_reply_ok(&road, upstream);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_string_equal(road_field(&answer, "x-bellwether-provider"), "other");
    assert_string_equal(road_field(&answer, "x-bellwether-model"), "n");
    road_answer_free(&answer);
    close(upstream);
    close(client);
    road_end(&road);
}

/* Nobody listens at the first: the second is asked at once, and that counts as a try. */
static void test_refused_with_fallback(void **state)
{
    struct road road;
    int client, upstream;

    (void)state;
    road_begin(&road, two_targets);
    road_unlisten(&road, 'a');
    client = road_connect(&road);
    chat_m(&road, client);
    wire_settle(road.loop);
    upstream = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    assert_int_equal(road_now_ms(&road), 0);
    close(upstream);
    close(client);
    road_end(&road);
}

/* A model that the one says it lacks is asked for elsewhere; where all say so, that is passed on.
 */
static void test_model_missing_everywhere(void **state)
{
    static const char body[] = "{\"error\":{\"message\":\"no\",\"code\":\"model_not_found\"}}";
    struct road road;
    int client, first, second;

    (void)state;
    road_begin(&road, two_targets);
    client = road_connect(&road);
    chat_m(&road, client);
    first = road_attempt_with(&road, 'a', -1, "key-one");
    road_reply(&road, first, 404, "", body);
    second = road_attempt_with(&road, 'b', -1, "key-two");
    road_reply(&road, second, 404, "", body);
    road_expect(&road, client, 404, body);
    close(first);
    close(second);
    close(client);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_refused_with_fallback),
        cmocka_unit_test(test_model_missing_everywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
