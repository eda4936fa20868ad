/* Pages of what the durable store keeps, and what is told of orders. */
#include "play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/audit.h"
#include "store/rotations.h"

static const char yaml[] = "providers:\n"
                           "  sim: {kind: compatible, base_url: http://127.0.0.1:9/v1, "
                           "keys: [sk-hidden-1, sk-hidden-2]}\n";

static void begin(struct play *play)
{
    struct store_options options = {.path = ":memory:"};

    play_begin(play, yaml, true);
    options.loop = play->loop;
    play->store = store_new(&options);
    assert_non_null(play->store);
}

/* What is under way is dropped with the address, before the store goes. */
static void end(struct play *play)
{
    admin_free(&play->admin);
    store_free(&play->store);
    play_end(play);
}

static void settle(struct play *play)
{
    play_settle(play);
    /* As often as a page asks. */
    for (int i = 0; i < 3; i++) {
        assert_true(store_await(play->store, 60 * US_PER_SEC));
        play_settle(play);
    }
}

static void say(struct play *play, int fd, const char *target)
{
    char text[1024];

    snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", target);
    play_say(play, fd, text);
}

static const char *get(struct play *play, const char *target)
{
    int fd = play_call(play);

    say(play, fd, target);
    if (play->store)
        settle(play);
    play_hear(play, fd);
    close(fd);
    play_settle(play);
    return buf_text(&play->heard);
}

static void without_a_store(void **state)
{
    struct play play;
    const char *answer;

    play_begin(&play, yaml, true);
    answer = get(&play, "/v1/admin/audit");
    play_expect_status(answer, 409);
    stage_expect_part(answer, "\"code\":\"store_not_configured\"");
    answer = get(&play, "/v1/admin/rotations");
    play_expect_status(answer, 200);
    stage_expect_part(answer, "\r\n\r\n{\"rotations\":[],\"history\":null}\n");
    play_expect_status(get(&play, "/v1/admin/rotations/sim-1"), 409);
    play_end(&play);
}

static void add_lines(struct play *play, int count)
{
    for (int i = 0; i < count; i++) {
        const struct audit_line line = {.at_wall_us = STAGE_WALL_US,
                                        .actor = SPAN("admin"),
                                        .origin = SPAN("10.0.0.1:7"),
                                        .action = SPAN("drain"),
                                        .provider = SPAN("sim"),
                                        .key = i % 2 ? SPAN("odd") : SPAN("even"),
                                        .result = SPAN("done"),
                                        .detail = SPAN("\"quoted\"")};

        assert_int_equal(audit_add(play->store, NULL, &line), 0);
    }
}

static void the_audit_trail(void **state)
{
    struct play play;
    const char *answer;

    begin(&play);
    add_lines(&play, 3);
    answer = get(&play, "/v1/admin/audit?limit=1");
    play_expect_status(answer, 200);
    stage_expect_part(answer, "\r\n\r\n{\"audit\":[{\"seq\":3,\"at\":\"2025-10-09T08:53:20.000Z\","
                              "\"actor\":\"admin\",\"from\":\"10.0.0.1:7\",\"action\":\"drain\","
                              "\"provider\":\"sim\",\"key\":\"even\",\"result\":\"done\","
                              "\"detail\":\"\\\"quoted\\\"\"}]}\n");
    answer = get(&play, "/v1/admin/audit?provider=sim&key=%6fdd");
    stage_expect_part(answer, "\"seq\":2");
    stage_expect_no_part(answer, "\"seq\":1");
    answer = get(&play, "/v1/admin/audit?&before=3&");
    stage_expect_part(answer, "\"seq\":2");
    stage_expect_part(answer, "\"seq\":1");
    stage_expect_no_part(answer, "\"seq\":3");
    end(&play);
}

static void rotations_and_their_moves(void **state)
{
    struct rotation_row row = {.id = SPAN("sim-1"),
                               .provider = SPAN("sim"),
                               .predecessor = SPAN("old"),
                               .successor = SPAN("new"),
                               .cause = SPAN("operator"),
                               .state = SPAN("issuing"),
                               .started_wall_us = STAGE_WALL_US};
    struct play play;
    const char *answer;

    begin(&play);
    assert_int_equal(rotations_add(play.store, NULL, &row), 0);
    row.state = SPAN("rolled_back");
    row.reason = SPAN("by an operator");
    row.ended_wall_us = STAGE_WALL_US + US_PER_SEC;
    assert_int_equal(rotations_update(play.store, NULL, &row, row.ended_wall_us), 0);
    answer = get(&play, "/v1/admin/rotations?provider=sim");
    stage_expect_part(answer, "{\"rotations\":[],\"history\":[{\"seq\":1,\"id\":\"sim-1\","
                              "\"provider\":\"sim\",\"name\":\"new\",\"replaces\":\"old\","
                              "\"trigger\":\"operator\",\"step\":\"rolled_back\","
                              "\"reason\":\"by an operator\",");
    answer = get(&play, "/v1/admin/rotations/sim-1");
    stage_expect_part(answer, "\"moves\":[{\"at\":\"2025-10-09T08:53:20.000Z\",\"from\":null,"
                              "\"to\":\"issuing\",\"reason\":null},{\"at\":"
                              "\"2025-10-09T08:53:21.000Z\",\"from\":\"issuing\","
                              "\"to\":\"rolled_back\",\"reason\":\"by an operator\"}]}\n");
    answer = get(&play, "/v1/admin/rotations/sim-2");
    play_expect_status(answer, 404);
    stage_expect_part(answer, "\"code\":\"rotation_not_found\"");
    end(&play);
}

static void what_cannot_be_asked(void **state)
{
    static const char *const targets[] = {
        "/v1/admin/audit?limit=0", "/v1/admin/audit?limit=501", "/v1/admin/audit?limit",
        "/v1/admin/audit?key=k",   "/v1/admin/audit?before=-1", "/v1/admin/audit?x=1",
    };
    char target[400] = "/v1/admin/rotations/";
    struct play play;

    begin(&play);
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        play_expect_status(get(&play, targets[i]), 400);
    memset(target + strlen(target), 'x', 300);
    play_expect_status(get(&play, target), 400);
    end(&play);
}

/* Whoever leaves before the answer is not missed, and others are answered. */
static void a_client_that_leaves(void **state)
{
    struct play play;
    int gone, here;

    begin(&play);
    add_lines(&play, 1);
    gone = play_call(&play);
    here = play_call(&play);
    say(&play, gone, "/v1/admin/audit");
    say(&play, here, "/v1/admin/audit");
    close(gone);
    play_settle(&play);
    settle(&play);
    stage_expect_part(play_hear(&play, here), "{\"audit\":[{\"seq\":1");
    /* One more is under way as the address closes. */
    say(&play, here, "/v1/admin/rotations/sim-1");
    end(&play);
    close(here);
}

static void orders_are_told_of(void **state)
{
    struct play play;

    play_begin(&play, yaml, true);
    play_ask(&play, "PATCH /v1/admin/keys/sim/sim-1 HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 15\r\n\r\n{\"weight\": 2.5}");
    assert_string_equal(play.noted, "weight sim/sim-1 done weight 2.5");
    play_ask(&play, "POST /v1/admin/keys/sim/nobody/drain HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 0\r\n\r\n");
    assert_string_equal(play.noted, "drain sim/nobody refused key_not_found");
    play_ask(&play, "POST /v1/admin/keys/sim/sim-1/rotate HTTP/1.1\r\nHost: localhost\r\n"
                    "Content-Length: 16\r\n\r\n{\"leaked\": true}");
    assert_string_equal(play.noted, "rotate sim/sim-1 refused rotation_not_configured");
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_store),           cmocka_unit_test(the_audit_trail),
        cmocka_unit_test(rotations_and_their_moves), cmocka_unit_test(what_cannot_be_asked),
        cmocka_unit_test(a_client_that_leaves),      cmocka_unit_test(orders_are_told_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
