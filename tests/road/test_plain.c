/* What goes well: the request as the upstream hears it, the answer as the client hears it. */
#include "scene.h"

#include "base/alloc.h"

static void test_plain(void **state)
{
    struct scene scene;
    char *heard;

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat(&scene);
    scene.upstream = road_accept(&scene.road, 'a');
    heard = road_request(&scene.road, scene.upstream);
    assert_string_equal(
        heard, "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
               "Content-Type: application/json\r\nUser-Agent: bellwether/" BW_VERSION "\r\n"
               "Accept-Encoding: identity\r\nContent-Length: 60\r\n"
               "Authorization: Bearer key-one\r\n\r\n"
               "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}");
    mem_free(heard);
    road_expect_silence(&scene.road, scene.client);
    scene_serve(&scene);
    scene_end(&scene);
}

/* Events leave as they come; the usage chunk that the gateway asked for is hidden; the connection
 * is kept for the next request. */
static void test_stream(void **state)
{
    struct scene scene;
    struct road_answer answer;
    char *heard, whole[2048];

    (void)state;
    scene_begin(&scene, road_one_key);
    scene_chat_stream(&scene);
    scene.upstream = road_accept(&scene.road, 'a');
    heard = road_request(&scene.road, scene.upstream);
    assert_non_null(strstr(heard, "\"stream_options\":{\"include_usage\":true}"));
    mem_free(heard);
    scene_stream_head(&scene);
    road_expect_silence(&scene.road, scene.client);
    scene_stream(&scene, road_chunk);
    scene_stream(&scene, road_finish);
    scene_stream(&scene, road_usage);
    scene_stream(&scene, road_done);
    scene_stream_end(&scene);
    road_hear(&scene.road, scene.client, &answer);
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
    scene_chat(&scene);
    road_take(&scene.road, scene.upstream);
    scene_serve(&scene);
    scene_end(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_stream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
