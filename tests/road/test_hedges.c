/* A second attempt beside a slow one: who wins, who goes on, what is told and counted. */
#include "scene.h"

#include "base/alloc.h"
#include "exchange/away.h"
#include "keypool/trial.h"
#include "limits/estimates.h"
#include "migration/crossing.h"

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
static void race_begin(struct race *race, const char *yaml, bool is_streaming)
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

static void race_end(struct race *race)
{
    if (race->second >= 0)
        close(race->second);
    scene_end(&race->scene);
}

static void stream_whole(struct road *road, int upstream)
{
    road_stream(road, upstream, road_finish);
    road_stream(road, upstream, road_usage);
    road_stream(road, upstream, road_done);
    road_stream_end(road, upstream);
}

static uint64_t hedges(struct road *road, const char *result)
{
    char line[128];

    snprintf(line, sizeof(line), "bellwether_hedges_total{provider=\"up\",result=\"%s\"}", result);
    return road_metric(road, line);
}

/* One hedge came to this, and nothing else was counted. */
static void expect_hedge(struct road *road, const char *result)
{
    static const char *const results[] = {"won",       "lost",   "failed",       "cut",
                                          "no_budget", "no_key", "no_connection"};

    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        assert_int_equal(hedges(road, results[i]), strcmp(results[i], result) == 0);
}

static void expect_answer(struct scene *scene, const char *key, const char *attempts)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), key);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), attempts);
    road_answer_free(&answer);
}

/* --- who wins --- */

/* The hedge's answer streams to the client; the first attempt is cancelled upstream, and billed: an
 * estimate of its prompt. */
static void test_hedge_wins(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    char *log;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    road_expect_closed(road, race.scene.upstream);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    assert_int_equal(road_attempts(road, "success"), 1);
    assert_int_equal(road_attempts(road, "client_gone"), 1);
    assert_true(
        road_metric(road, "bellwether_hedge_tokens_total{provider=\"up\",kind=\"prompt\"}") > 0);
    assert_true(road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}") > 0);
    log = road_log(road);
    assert_non_null(strstr(log, "\"hedge\":\"won\""));
    assert_non_null(strstr(log, "\"key\":\"two\""));
    assert_non_null(strstr(log, "\"attempts\":2"));
    assert_null(strstr(log, "\"retries\""));
    mem_free(log);
    race_end(&race);
}

/* What the loser costs stands in the exchange's own cost, for the client too: 3 tokens in and 5 out
 * of the winner, at one USD each, and the prompt of the other. */
static void test_both_are_billed(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    uint64_t lost, all;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    road_expect(road, race.scene.client, 200, NULL);
    lost = road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}");
    all = road_metric(road, "bellwether_client_cost_usd_total{client=\"anonymous\"}");
    assert_true(lost > 0);
    assert_int_equal(all, 8 + lost);
    race_end(&race);
}

static void test_first_wins(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, road_chunk);
    road_expect_closed(road, race.second);
    stream_whole(road, race.scene.upstream);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "lost");
    race_end(&race);
}

/* Whole answers race as well; the loser's head and half of its body have come already. */
static void test_whole_answers(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    wire_say(road->loop, race.scene.upstream,
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
             "Content-Length: 4000\r\n\r\n{\"id\":");
    road_reply_ok(road, race.second);
    road_expect_closed(road, race.scene.upstream);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    race_end(&race);
}

/* A head and pings are no answer: the other's first event is. Then pings stand in nobody's way. */
static void test_pings_do_not_win(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, ": queued\n\n");
    road_stream_head(road, race.second);
    road_stream(road, race.second, ": queued too\n\n");
    road_expect_silence(road, race.scene.client);
    road_stream(road, race.second, road_chunk);
    road_expect_closed(road, race.scene.upstream);
    stream_whole(road, race.second);
    road_hear(road, race.scene.client, &answer);
    assert_non_null(strstr(road_body(&answer), ": queued too"));
    assert_null(strstr(road_body(&answer), ": queued\n"));
    road_answer_free(&answer);
    expect_hedge(road, "won");
    race_end(&race);
}

/* Pings that were held for 15 s go out, whoever's event came last; that commits. */
static void test_held_pings_commit(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, ": first\n\n");
    road_pass_ms(road, 5000);
    road_stream_head(road, race.second);
    road_stream(road, race.second, ": second\n\n");
    road_pass_ms(road, 9999);
    road_expect_silence(road, race.scene.client);
    road_pass_ms(road, 1);
    road_expect_closed(road, race.second);
    scene_stream(&race.scene, road_chunk);
    stream_whole(road, race.scene.upstream);
    road_hear(road, race.scene.client, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), ": first"));
    road_answer_free(&answer);
    expect_hedge(road, "lost");
    race_end(&race);
}

/* Both answers are read in one turn: one goes to the client, whole and once. */
static void test_both_in_one_turn(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    char raw[1024];

    (void)state;
    race_begin(&race, after_a_second, false);
    snprintf(raw, sizeof(raw),
             "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(road_ok), road_ok);
    assert_int_equal(write(race.scene.upstream, raw, strlen(raw)), strlen(raw));
    assert_int_equal(write(race.second, raw, strlen(raw)), strlen(raw));
    wire_settle(road->loop);
    road_expect(road, race.scene.client, 200, road_ok);
    assert_int_equal(hedges(road, "won") + hedges(road, "lost"), 1);
    assert_int_equal(road_attempts(road, "success"), 1);
    assert_int_equal(road_attempts(road, "client_gone"), 1);
    race_end(&race);
}

/* Answers that are told anew race as well: each has a translator of its own. */
static void test_told_answers(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;
    char *heard;

    (void)state;
    scene_begin(&race.scene,
                "providers: {up: {kind: anthropic, base_url: '@a', selection: priority,\n"
                "  health: {validate_new: false},\n"
                "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
                "clients: {open: true}\n" AFTER_A_SECOND);
    scene_chat_stream(&race.scene);
    scene_expect_attempt(&race.scene, 'a', "x-api-key: key-one", "/v1/messages");
    road_pass_ms(road, 1000);
    race.second = road_attempt(road, 'a', -1, &heard);
    assert_non_null(strstr(heard, "x-api-key: key-two"));
    assert_non_null(strstr(heard, "Hello"));
    mem_free(heard);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    road_stream_head(road, race.second);
    road_stream(
        road, race.second,
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\","
        "\"role\":\"assistant\",\"content\":[],\"model\":\"m\",\"usage\":{\"input_tokens\":3,"
        "\"output_tokens\":1}}}\n\n"
        "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,"
        "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n"
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,"
        "\"delta\":{\"type\":\"text_delta\",\"text\":\"Hello\"}}\n\n"
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":"
        "\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n"
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
    road_stream_end(road, race.second);
    road_expect_closed(road, race.scene.upstream);
    road_hear(road, race.scene.client, &answer);
    assert_true(answer.is_whole);
    assert_non_null(strstr(road_body(&answer), "Hello"));
    assert_non_null(strstr(road_body(&answer), "[DONE]"));
    road_answer_free(&answer);
    expect_hedge(road, "won");
    race_end(&race);
}

/* A large answer is whole when it goes to a helper thread, with what the request said: the other
 * attempt ends then, and the client has the answer when the helper has read it. */
static void test_large_answers(void **state)
{
    enum { TEXT_BYTES = AWAY_LARGE_BYTES + 50000, HEARD_MAX = 4 << 20 };
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;
    struct buf body, heard;

    (void)state;
    scene_begin(&race.scene, after_a_second);
    road_post(road, race.scene.client, "/v1/messages", "",
              "{\"model\":\"m\",\"max_tokens\":9,\"messages\":[{\"role\":\"user\",\"content\":"
              "\"Hi\"}]}");
    scene_attempt(&race.scene, "key-one");
    road_pass_ms(road, 1000);
    race.second = road_attempt_with(road, 'a', -1, "key-two");
    buf_init(&body, HEARD_MAX);
    buf_printf(&body, "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":"
                      "[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"");
    for (size_t i = 0; i < TEXT_BYTES; i++)
        buf_append_byte(&body, "lorem ipsum "[i % 12]);
    buf_printf(&body, "\"},\"finish_reason\":\"stop\"}]}");
    road_reply(road, race.second, 200, "", buf_text(&body));
    buf_fini(&body);
    assert_int_equal(road_jobs(road), 1);
    road_expect_closed(road, race.scene.upstream);
    road_expect_silence(road, race.scene.client);
    road_help(road);
    buf_init(&heard, HEARD_MAX);
    scene_hear_all(&race.scene, &heard);
    road_read_answer(buf_span(&heard), &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), "two");
    assert_in_range(answer.body.len, TEXT_BYTES, TEXT_BYTES + 1000);
    road_answer_free(&answer);
    buf_fini(&heard);
    expect_hedge(road, "won");
    race_end(&race);
}

/* --- who fails --- */

/* A failure of one is booked with its key, and the other goes on: no retry, no wait. */
static void test_first_fails(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_reply(&race.scene, 401, "", "{\"error\":{\"code\":\"invalid_api_key\"}}");
    road_expect_silence(road, race.scene.client);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    expect_hedge(road, "won");
    assert_int_equal(road_attempts(road, "invalid_key"), 1);
    assert_int_equal(road_metric(road, "bellwether_hedge_cost_usd_total{provider=\"up\"}"), 0);
    /* Its key is out. */
    scene_chat(&race.scene);
    close(road_attempt_with(road, 'a', race.second, "key-two"));
    race.second = -1;
    race_end(&race);
}

static void test_hedge_fails(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_reply(road, race.second, 503, "", "{\"error\":{\"message\":\"busy\"}}");
    road_expect_silence(road, race.scene.client);
    scene_stream_head(&race.scene);
    scene_stream(&race.scene, road_chunk);
    stream_whole(road, race.scene.upstream);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "failed");
    race_end(&race);
}

/* Only when both have failed is there a retry, and it counts both: of three attempts one is left,
 * and no further hedge. */
static void test_both_fail(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;
    struct road_answer answer;

    (void)state;
    race_begin(&race, after_a_second, false);
    road_reply(road, race.second, 500, "", "{\"error\":{\"message\":\"second\"}}");
    road_expect_silence(road, race.scene.client);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_pass_ms(road, 1000);
    race.scene.upstream = road_attempt_with(road, 'a', race.scene.upstream, "key-one");
    road_pass_ms(road, 1500);
    assert_int_equal(road_try_accept(road, 'a'), -1);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"third\"}}");
    road_hear(road, race.scene.client, &answer);
    assert_int_equal(answer.status, 500);
    assert_non_null(strstr(road_body(&answer), "third"));
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), "3");
    road_answer_free(&answer);
    expect_hedge(road, "failed");
    race_end(&race);
}

/* The first that fails may be the first attempt: then the hedge is the last hope, and what comes
 * after it is tried on its connection's place. */
static void test_both_fail_the_other_way(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_reply(road, race.second, 500, "", "{\"error\":{\"message\":\"second\"}}");
    road_pass_ms(road, 1000);
    race.second = road_attempt_with(road, 'a', race.second, "key-one");
    road_reply_ok(road, race.second);
    road_expect(road, race.scene.client, 200, road_ok);
    expect_hedge(road, "failed");
    race_end(&race);
}

/* retry.timeouts is 1: the first attempt takes it, and when the hedge hangs too that is the end. */
static void test_both_time_out(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race,
               "providers: {up: {kind: compatible, base_url: '@a', selection: priority,\n"
               "  health: {validate_new: false}, timeouts: {first_byte: 5s, total: 60s},\n"
               "  keys: [{name: one, secret: key-one}, {name: two, secret: key-two}]}}\n"
               "clients: {open: true}\nmodels: {m: up/m}\n"
               "retry: {timeouts: 1, hedge: {after: 1s, budget: 100%}}\n",
               false);
    road_pass_ms(road, 4000);
    road_expect_closed(road, race.scene.upstream);
    road_expect_silence(road, race.scene.client);
    road_pass_ms(road, 1000);
    road_expect_closed(road, race.second);
    road_expect_error(road, race.scene.client, 504, "timeout");
    assert_int_equal(road_attempts(road, "first_byte_timeout"), 2);
    expect_hedge(road, "failed");
    race_end(&race);
}

static const char no_such_file[] = "{\"error\":{\"message\":\"no such file\"}}";

static void expect_refusal(struct scene *scene, const char *key)
{
    struct road_answer answer;

    road_hear(&scene->road, scene->client, &answer);
    assert_int_equal(answer.status, 400);
    assert_string_equal(road_body(&answer), no_such_file);
    assert_string_equal(road_field(&answer, "x-bellwether-key"), key);
    road_answer_free(&answer);
}

/* That the request itself is wrong is the answer: the other would be told the same. */
static void test_a_refusal_is_final(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 400, "", no_such_file);
    road_expect_closed(road, race.second);
    expect_refusal(&race.scene, "one");
    expect_hedge(road, "lost");
    race_end(&race);
}

/* But what the request names may be the first key's alone: a file, an earlier answer. That the
 * hedge's account does not know it is not told. */
static void test_a_refusal_of_the_hedge_is_not(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    road_reply(road, race.second, 400, "", no_such_file);
    road_expect_silence(road, race.scene.client);
    scene_reply(&race.scene, 200, "", road_ok);
    expect_answer(&race.scene, "one", "2");
    expect_hedge(road, "failed");
    race_end(&race);
}

/* Where the first attempt has failed before, it is all that there is. */
static void test_a_refusal_of_the_hedge_alone(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, false);
    scene_reply(&race.scene, 500, "", "{\"error\":{\"message\":\"first\"}}");
    road_reply(road, race.second, 400, "", no_such_file);
    expect_refusal(&race.scene, "two");
    expect_hedge(road, "won");
    race_end(&race);
}

/* How soon a target answers is told from the first attempt's sending on, whoever answers: three
 * times five seconds, of which the hedge was under way for four. */
static void test_latency_is_that_of_both(void **state)
{
    struct pace *pace;
    struct scene scene;

    (void)state;
    scene_begin(&scene, BARE "models: {m: {optimise: latency, among: [up/m]}}\n" AFTER_A_SECOND);
    assert_int_equal(pace_book_get(scene.road.registry.paces, SPAN("up/m"), &pace), 0);
    for (int i = 0; i < PACE_KNOWN_FROM; i++) {
        int second;

        road_post(&scene.road, scene.client, "/v1/chat/completions", "",
                  "{\"model\":\"m\",\"stream\":true,\"messages\":[]}");
        scene_attempt(&scene, "key-one");
        road_pass_ms(&scene.road, 1000);
        second = road_attempt_with(&scene.road, 'a', -1, "key-two");
        road_pass_ms(&scene.road, 4000);
        scene_stream_head(&scene);
        scene_stream(&scene, road_chunk);
        road_expect_closed(&scene.road, second);
        stream_whole(&scene.road, scene.upstream);
        expect_answer(&scene, "one", "2");
        close(second);
    }
    assert_in_range(pace_us(pace), 4999000, 5001000);
    pace_unref(&pace);
    scene_end(&scene);
}

/* --- the end of it all --- */

static void test_client_leaves(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    scene_leave(&race.scene);
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    expect_hedge(road, "cut");
    assert_int_equal(road_metric(road, "bellwether_requests_cancelled_total{by=\"client\"}"), 1);
    race_end(&race);
}

static void test_deadline(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, KEYS "retry: {timeouts: 0, hedge: {after: 1s, budget: 100%}}\n", false);
    road_pass_ms(road, 59000);
    road_expect_error(road, race.scene.client, 504, "timeout");
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    expect_hedge(road, "cut");
    race_end(&race);
}

static void test_shutdown(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    exchange_host_cut(&road->host);
    road_expect_closed(road, race.scene.upstream);
    road_expect_closed(road, race.second);
    road_expect_error(road, race.scene.client, 503, "shutting_down");
    expect_hedge(road, "cut");
    race_end(&race);
}

/* A configuration without hedging, or without the second key, leaves what is under way as it is. */
static void test_reload_meanwhile(void **state)
{
    struct race race;
    struct road *road = &race.scene.road;

    (void)state;
    race_begin(&race, after_a_second, true);
    road_reload(road, road_one_key);
    road_stream_head(road, race.second);
    road_stream(road, race.second, road_chunk);
    stream_whole(road, race.second);
    expect_answer(&race.scene, "two", "2");
    race_end(&race);
}

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
        cmocka_unit_test(test_hedge_wins),
        cmocka_unit_test(test_both_are_billed),
        cmocka_unit_test(test_first_wins),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_pings_do_not_win),
        cmocka_unit_test(test_held_pings_commit),
        cmocka_unit_test(test_both_in_one_turn),
        cmocka_unit_test(test_told_answers),
        cmocka_unit_test(test_large_answers),
        cmocka_unit_test(test_first_fails),
        cmocka_unit_test(test_hedge_fails),
        cmocka_unit_test(test_both_fail),
        cmocka_unit_test(test_both_fail_the_other_way),
        cmocka_unit_test(test_both_time_out),
        cmocka_unit_test(test_a_refusal_is_final),
        cmocka_unit_test(test_a_refusal_of_the_hedge_is_not),
        cmocka_unit_test(test_a_refusal_of_the_hedge_alone),
        cmocka_unit_test(test_latency_is_that_of_both),
        cmocka_unit_test(test_client_leaves),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_shutdown),
        cmocka_unit_test(test_reload_meanwhile),
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
