/* Two regions of one provider: what one of them fails is asked of the other at once, the client
 * hears nothing of it, and a region that goes on failing is left alone and let back gently. */
#include "scene.h"

#include "base/alloc.h"
#include "keypool/key.h"
#include "regions/regions.h"

enum { NEAR, FAR, SITES };

#define REGIONS                                                                                    \
    "providers: {up: {kind: compatible, health: {validate_new: false},\n"                          \
    "  regions: {near: '@a', far: '@b'}, default_region: near,\n"                                  \
    "  timeouts: {first_byte: 5s}, keys: [{name: one, secret: key-one}]}}\n"                       \
    "clients: {open: true}\n"

struct play {
    struct road road;
    int client;
    int upstreams[SITES]; /* the connection of the last attempt there; -1: none */
};

static void begin_with(struct play *play, const char *yaml)
{
    road_begin(&play->road, yaml);
    play->client = road_connect(&play->road);
    play->upstreams[NEAR] = play->upstreams[FAR] = -1;
}

static void begin(struct play *play)
{
    begin_with(play, REGIONS);
}

static void drop(struct play *play, int site)
{
    if (play->upstreams[site] >= 0)
        close(play->upstreams[site]);
    play->upstreams[site] = -1;
}

static void end(struct play *play)
{
    drop(play, NEAR);
    drop(play, FAR);
    close(play->client);
    road_end(&play->road);
}

/* Something was said on that connection. */
static bool has_asked(struct play *play, int upstream)
{
    char *heard = wire_hear(play->road.loop, upstream, NULL);
    bool is_asked = *heard != '\0';

    mem_free(heard);
    return is_asked;
}

/* An attempt has come to that region, on the connection that it has or on a new one. */
static bool take_at(struct play *play, int site)
{
    int fresh;

    if (play->upstreams[site] >= 0 && has_asked(play, play->upstreams[site]))
        return true;
    fresh = road_try_accept(&play->road, (char)('a' + site));
    if (fresh < 0)
        return false;
    drop(play, site);
    play->upstreams[site] = fresh;
    assert_true(has_asked(play, fresh));
    return true;
}

/* The region to which the attempt comes; there must be one. */
static int take(struct play *play)
{
    int site = take_at(play, NEAR) ? NEAR : FAR;

    assert_true(site == NEAR || take_at(play, FAR));
    return site;
}

static void expect_answer(struct play *play, const char *region, const char *attempts)
{
    struct road_answer answer;

    road_hear(&play->road, play->client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-region"), region);
    assert_string_equal(road_field(&answer, "x-bellwether-attempts"), attempts);
    road_answer_free(&answer);
}

static struct region *const *regions_of(struct play *play)
{
    return play->road.snapshot->providers[0].regions;
}

static void expect_key_is_well(struct play *play)
{
    struct keypool_row row;
    size_t at = 0;

    assert_true(keypool_describe(provider_keys(play->road.snapshot->providers[0].provider), &at,
                                 loop_now_us(play->road.loop), &row));
    assert_true(row.is_healthy);
    assert_int_equal(row.failures, 0);
    key_unref(&row.key);
}

/* --- one exchange --- */

/* A way to fail; status 0: `body` is sent as it is, and the connection closed behind it. */
static const struct {
    const char *name;
    int status;
    const char *body;
} failings[] = {
    {"server error", 500, "{\"error\":{\"message\":\"oops\"}}"},
    {"bad gateway", 502, "<html>"},
    {"overloaded", 503, "{\"error\":{\"message\":\"busy\"}}"},
    {"no capacity for the model", 503,
     "{\"error\":{\"code\":503,\"message\":\"The model is overloaded. Please try again later.\","
     "\"status\":\"UNAVAILABLE\"}}"},
    {"error in a 200", 200, "{\"error\":{\"message\":\"broken\"}}"},
    {"no JSON in a 200", 200, "<html>hello</html>"},
    {"closed", 0, ""},
    {"no HTTP", 0, "SSH-2.0-OpenSSH_9.2\r\n"},
    {"cut in the head", 0, "HTTP/1.1 200 OK\r\nConte"},
    {"cut in the body", 0, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":"},
};

static void fail_near(struct play *play, size_t i)
{
    assert_true(take_at(play, NEAR));
    if (failings[i].status) {
        road_reply(&play->road, play->upstreams[NEAR], failings[i].status, "", failings[i].body);
        return;
    }
    wire_say(play->road.loop, play->upstreams[NEAR], failings[i].body);
    drop(play, NEAR);
    wire_settle(play->road.loop);
}

/* One key is all there is: with it the other region is asked, and no time passes in between. */
static void test_at_once(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(failings) / sizeof(failings[0]); i++) {
        struct play play;

        print_message("           %s\n", failings[i].name);
        begin(&play);
        road_chat(&play.road, play.client);
        fail_near(&play, i);
        play.upstreams[FAR] = road_attempt_with(&play.road, 'b', -1, "key-one");
        assert_int_equal(road_now_ms(&play.road), 0);
        road_reply_ok(&play.road, play.upstreams[FAR]);
        expect_answer(&play, "far", "2");
        assert_int_equal(road_now_ms(&play.road), 0);
        expect_key_is_well(&play);
        end(&play);
    }
}

/* A connection that nobody takes is no try: another region is asked where no other try is left. */
static void test_refused_connection(void **state)
{
    struct play play;

    (void)state;
    begin_with(&play, REGIONS "retry: {attempts: 1}\n");
    road_unlisten(&play.road, 'a');
    road_chat(&play.road, play.client);
    assert_true(take_at(&play, FAR));
    road_reply_ok(&play.road, play.upstreams[FAR]);
    expect_answer(&play, "far", "2");
    assert_int_equal(road_now_ms(&play.road), 0);
    expect_key_is_well(&play);
    end(&play);
}

/* What has begun upstream, and not for the client, is begun anew elsewhere: it gets one stream, of
 * the other region alone. */
static void test_a_stream(void **state)
{
    struct road_answer answer;
    struct play play;

    (void)state;
    begin(&play);
    road_chat_stream(&play.road, play.client);
    assert_true(take_at(&play, NEAR));
    road_stream_head(&play.road, play.upstreams[NEAR]);
    road_stream(&play.road, play.upstreams[NEAR], ": ping\n\n");
    road_expect_silence(&play.road, play.client);
    road_stream(&play.road, play.upstreams[NEAR],
                "data: {\"error\":{\"message\":\"broken\",\"type\":\"server_error\"}}\n\n");
    assert_true(take_at(&play, FAR));
    road_stream_head(&play.road, play.upstreams[FAR]);
    road_stream(&play.road, play.upstreams[FAR], road_chunk);
    road_stream(&play.road, play.upstreams[FAR], road_finish);
    road_stream(&play.road, play.upstreams[FAR], road_done);
    road_stream_end(&play.road, play.upstreams[FAR]);
    road_hear(&play.road, play.client, &answer);
    assert_int_equal(answer.status, 200);
    assert_true(answer.is_whole);
    assert_string_equal(road_field(&answer, "x-bellwether-region"), "far");
    assert_int_equal(road_count(road_body(&answer), "\"content\":\"Hi\""), 1);
    assert_null(strstr(road_body(&answer), "broken"));
    road_answer_free(&answer);
    assert_int_equal(road_now_ms(&play.road), 0);
    end(&play);
}

/* The silent region costs its time-out, and nothing more. */
static void test_time_out(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    road_chat(&play.road, play.client);
    assert_true(take_at(&play, NEAR));
    road_pass_ms(&play.road, 4999);
    assert_false(take_at(&play, FAR));
    road_pass_ms(&play.road, 1);
    assert_true(take_at(&play, FAR));
    road_reply_ok(&play.road, play.upstreams[FAR]);
    expect_answer(&play, "far", "2");
    assert_int_equal(road_now_ms(&play.road), 5000);
    end(&play);
}

/* Only once every region has failed it does an exchange wait before it asks again. */
static void test_all_regions_fail(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    road_chat(&play.road, play.client);
    fail_near(&play, 0);
    assert_true(take_at(&play, FAR));
    road_reply(&play.road, play.upstreams[FAR], 500, "", "{\"error\":{\"message\":\"oops\"}}");
    assert_false(take_at(&play, NEAR));
    assert_false(take_at(&play, FAR));
    road_pass_ms(&play.road, 250);
    road_reply_ok(&play.road, play.upstreams[take(&play)]);
    road_expect(&play.road, play.client, 200, road_ok);
    end(&play);
}

/* --- many exchanges --- */

/* As the control thread looks at the regions. */
static void look(struct play *play)
{
    const struct snapshot_provider *row = &play->road.snapshot->providers[0];

    regions_look(row->regions, row->site_count, row->conf->health.probe_interval_us,
                 loop_now_us(play->road.loop));
}

/* One exchange, of which the far region, if asked, makes a good answer; true where the near one was
 * asked, which fails if it should. */
static bool ask(struct play *play, bool is_near_failing)
{
    bool has_asked_near;

    road_chat(&play->road, play->client);
    has_asked_near = take(play) == NEAR;
    if (has_asked_near && is_near_failing) {
        road_reply(&play->road, play->upstreams[NEAR], 503, "",
                   "{\"error\":{\"message\":\"busy\"}}");
        assert_true(take_at(play, FAR));
    }
    road_reply_ok(&play->road, play->upstreams[has_asked_near && !is_near_failing ? NEAR : FAR]);
    road_expect(&play->road, play->client, 200, road_ok);
    return has_asked_near;
}

static unsigned ask_many(struct play *play, unsigned count, bool is_near_failing)
{
    unsigned near = 0;

    for (unsigned i = 0; i < count; i++) {
        near += ask(play, is_near_failing);
        road_pass_ms(&play->road, 10);
        look(play);
    }
    return near;
}

static void probe(struct play *play, uint64_t took_us)
{
    region_note_probe(regions_of(play)[NEAR], took_us, loop_now_us(play->road.loop));
    look(play);
}

/* No client hears of it; the region is asked five times, then not for half a minute, and not before
 * a probe goes well; then it has a tenth, and after a minute all but what keeps the other known. */
static void test_ejected_and_let_back(void **state)
{
    struct play play;

    (void)state;
    begin(&play);
    look(&play);
    assert_in_range(ask_many(&play, 50, false), 44, 50);
    assert_int_equal(ask_many(&play, 50, true), REGIONS_FAILURES);
    assert_int_equal(regions_of(&play)[NEAR]->state, REGION_EJECTED);
    assert_int_equal(regions_of(&play)[NEAR]->cause, REGION_FAILURES);
    road_pass_ms(&play.road, 29000);
    probe(&play, 1000);
    assert_int_equal(ask_many(&play, 20, false), 0);
    probe(&play, 0);
    road_pass_ms(&play.road, 2000);
    look(&play);
    assert_int_equal(ask_many(&play, 20, false), 0);
    probe(&play, 1000);
    assert_int_equal(regions_of(&play)[NEAR]->state, REGION_RETURNING);
    assert_in_range(ask_many(&play, 200, false), 6, 50);
    road_pass_ms(&play.road, 60000);
    look(&play);
    assert_in_range(ask_many(&play, 200, false), 180, 200);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),          cmocka_unit_test(test_refused_connection),
        cmocka_unit_test(test_a_stream),         cmocka_unit_test(test_time_out),
        cmocka_unit_test(test_all_regions_fail), cmocka_unit_test(test_ejected_and_let_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
