/* What goes well: the request as the upstream hears it, the answer as the client hears it. */
#include "road.h"

#include "base/alloc.h"

static void test_plain(void **state)
{
    struct road road;
    int client, upstream;
    char *heard;

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat(&road, client);
    upstream = road_accept(&road, 'a');
    heard = road_request(&road, upstream);
    assert_string_equal(
        heard, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
               "Content-Type: application/json\r\nUser-Agent: bellwether/" BW_VERSION "\r\n"
               "Accept-Encoding: identity\r\nContent-Length: 60\r\n"
               "Authorization: Bearer key-one\r\n\r\n"
               "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
    mem_free(heard);
    road_expect_silence(&road, client);
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(client);
    close(upstream);
    road_end(&road);
}

/* Events leave as they come; the usage chunk that the gateway asked for is hidden; the connection
 * is kept for the next request. */
static void test_stream(void **state)
{
    struct road road;
    struct road_answer answer;
    int client, upstream;
    char *heard, whole[2048];

    (void)state;
    road_begin(&road, road_one_key);
    client = road_connect(&road);
    road_chat_stream(&road, client);
    upstream = road_accept(&road, 'a');
    heard = road_request(&road, upstream);
    assert_non_null(strstr(heard, "\"stream_options\":{\"include_usage\":true}"));
    mem_free(heard);
    road_stream_head(&road, upstream);
    road_expect_silence(&road, client);
    road_stream(&road, upstream, road_chunk);
    road_stream(&road, upstream, road_finish);
    road_stream(&road, upstream, road_usage);
    road_stream(&road, upstream, road_done);
    road_stream_end(&road, upstream);
    road_hear(&road, client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_int_equal(answer.end, WIRE_OPEN);
    assert_string_equal(road_field(&answer, "content-type"), "text/event-stream");
    assert_string_equal(road_field(&answer, "x-bellwether-provider"), "up");
    assert_string_equal(road_field(&answer, "x-bellwether-model"), "m");
    assert_string_equal(road_field(&answer, "x-bellwether-key"), "one");
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "1");
    snprintf(whole, sizeof(whole), "%s%s%s", road_chunk, road_finish, road_done);
    assert_string_equal(road_body(&answer), whole);
    road_answer_free(&answer);
    road_chat(&road, client);
    road_take(&road, upstream);
    road_reply_ok(&road, upstream);
    road_expect(&road, client, 200, road_ok);
    close(client);
    close(upstream);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
