/* An attempt by itself: how it gets a connection, what it sends, its time-outs, and how it ends. */
#include "../conf/fake.h"
#include "../io/wire.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http/head.h"
#include "io/tls.h"
#include "upstream/attempt.h"

/* Settings that change nothing here. */
#define USUAL  "health: {ttl: 60s}"
#define HEAD   "POST /v1/chat HTTP/1.1\r\nHost: up\r\nContent-Length: 7\r\n"
#define LINE   "Authorization: Bearer s\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

enum { NOT_FAILED = -1, TRIES = 2 };

/* What the owner of an attempt was told. */
struct
try {
    struct attempt attempt;
    unsigned sent;
    int status;
    char data[64];
    bool is_whole;
    int outcome; /* of on_fail */
};

struct stage {
    struct fake fake;
    struct loop *loop;
    struct resolver *resolver;
    struct http_head head_scratch;
    struct endpoint *endpoint;
    struct endpoint_pool *pool;
    struct secret *line;
    struct body_budget budget;
    struct body_lease lease;
    struct body *body;
    struct attempt_request request;
    struct try tries[TRIES];
    char path[64];
    int listener;
};

/* --- the owner --- */

static struct try *try_of(struct attempt *attempt)
{
    return container_of(attempt, struct try, attempt);
}

static void on_sent(struct attempt *attempt)
{
    try_of(attempt)->sent++;
}

static void on_head(struct attempt *attempt, const struct http_head *head)
{
    try_of(attempt)->status = head->status;
}

static void on_data(struct attempt *attempt, char *data, size_t len, bool is_last)
{
    struct try *try = try_of(attempt);
    size_t had = strlen(try->data);

    assert_true(had + len < sizeof(try->data));
    memcpy(try->data + had, data, len);
    if (is_last) {
        try->is_whole = true;
        attempt_end(attempt);
    }
}

static void on_fail(struct attempt *attempt, enum outcome outcome)
{
    assert_int_equal(try_of(attempt)->outcome, NOT_FAILED);
    try_of(attempt)->outcome = (int)outcome;
    attempt_end(attempt);
}

static const struct attempt_ops ops = {on_sent, on_head, on_data, on_fail};

/* --- the stage --- */

static void stage_listen(struct stage *stage)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", stage->path);
    stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(stage->listener >= 0);
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(stage->listener, 64), 0);
}

static void begin(struct stage *stage, const char *settings)
{
    const struct conf_provider *conf;
    char error[TLS_ERROR_BYTES], yaml[1024];

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    snprintf(stage->path, sizeof(stage->path), "/tmp/bellwether-attempt-%d", (int)getpid());
    unlink(stage->path);
    stage_listen(stage);
    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, keys: [s], base_url: 'http://unix:%s:/v1', %s}}\n"
             "clients: {open: true}\n",
             stage->path, settings);
    conf = &fake_must_load(&stage->fake, yaml)->providers.items[0];
    stage->loop = loop_new_virtual(1000000);
    stage->resolver = resolver_new(16);
    assert_int_equal(endpoint_new(conf, &conf->base_url, error, &stage->endpoint), 0);
    stage->pool =
        endpoint_pool_new(stage->endpoint, stage->loop, stage->resolver, &stage->head_scratch);
    assert_non_null(stage->pool);
    endpoint_pool_set_bounds(stage->pool, &conf->connections, conf->timeouts.connect_us);
    assert_int_equal(secret_new(stage->fake.secrets, SPAN(LINE), &stage->line), 0);
    body_budget_init(&stage->budget, 64 << 20);
    body_lease_init(&stage->lease, &stage->budget);
    stage->body = body_new(&stage->lease, 0);
    assert_int_equal(body_append(stage->body, SPAN("{\"a\":1}")), 0);
    stage->request = (struct attempt_request){
        .head = SPAN(HEAD),
        .lines = {stage->line, NULL},
        .body = stage->body,
        .send_us = 2 * US_PER_SEC,
        .first_byte_us = 3 * US_PER_SEC,
        .idle_us = 4 * US_PER_SEC,
    };
    for (int i = 0; i < TRIES; i++)
        attempt_init(&stage->tries[i].attempt, &ops);
}

static void end(struct stage *stage)
{
    uint64_t total;

    for (int i = 0; i < TRIES; i++)
        attempt_end(&stage->tries[i].attempt);
    endpoint_pool_free(&stage->pool);
    loop_free(&stage->loop);
    assert_int_equal(endpoint_connections(stage->endpoint, &total), 0);
    endpoint_unref(&stage->endpoint);
    resolver_free(&stage->resolver);
    body_unref(&stage->body);
    body_lease_fini(&stage->lease);
    secret_unref(&stage->line);
    close(stage->listener);
    unlink(stage->path);
    fake_fini(&stage->fake);
}

static struct try *start(struct stage *stage, int number)
{
    struct try *try = &stage->tries[number];

    try->sent = 0;
    try->status = 0;
    memset(try->data, 0, sizeof(try->data));
    try->is_whole = false;
    try->outcome = NOT_FAILED;
    attempt_begin(&try->attempt, stage->pool, stage->loop, &stage->request);
    return try;
}

static int accepted(struct stage *stage)
{
    wire_settle(stage->loop);
    return accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void expect_request(struct stage *stage, int hand)
{
    wire_expect(stage->loop, hand, HEAD LINE "\r\n{\"a\":1}", WIRE_OPEN);
}

static void expect_closed(struct stage *stage, int hand)
{
    wire_expect(stage->loop, hand, "", WIRE_EOF);
    close(hand);
}

/* A first request, answered: the connection is kept. */
static int keep_one(struct stage *stage)
{
    struct try *try = start(stage, 0);
    int hand = accepted(stage);

    expect_request(stage, hand);
    wire_say(stage->loop, hand, ANSWER);
    wire_settle(stage->loop);
    assert_true(try->is_whole);
    return hand;
}

/* Nothing yet, and after one more microsecond this. */
static void expect_end(struct stage *stage, const struct try *try, uint64_t after_us, int outcome)
{
    wire_pass(stage->loop, after_us - 1);
    assert_int_equal(try->outcome, NOT_FAILED);
    wire_pass(stage->loop, 1);
    assert_int_equal(try->outcome, outcome);
    assert_false(attempt_is_live(&try->attempt));
}

/* --- whole ones --- */

static void test_answered(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    assert_int_equal(try->sent, 0); /* nothing leaves before there is a connection */
    assert_true(attempt_is_live(&try->attempt));
    hand = accepted(&stage);
    assert_int_equal(try->sent, 1);
    expect_request(&stage, hand);
    wire_say(stage.loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    assert_int_equal(try->status, 200);
    assert_int_equal(try->attempt.sm.state, ATTEMPT_HELD);
    attempt_note_first_byte(&try->attempt);
    attempt_commit(&try->attempt);
    assert_int_equal(try->attempt.sm.state, ATTEMPT_RELAYING);
    wire_say(stage.loop, hand, "llo");
    assert_true(try->is_whole);
    assert_string_equal(try->data, "hello");
    assert_false(attempt_is_live(&try->attempt));
    /* The next goes on the same connection, at once. */
    try = start(&stage, 0);
    assert_int_equal(try->sent, 1);
    expect_request(&stage, hand);
    assert_int_equal(accepted(&stage), -1);
    wire_say(stage.loop, hand, ANSWER);
    assert_true(try->is_whole);
    close(hand);
    end(&stage);
}

/* The body is changed on its way; the one that is kept stays as it is. */
static void test_edited(void **state)
{
    const struct dialect_edit edit = {.offset = 5, .remove = 1, .insert = SPAN("23")};
    struct stage stage;
    int hand;

    begin(&stage, USUAL);
    stage.request.edits = &edit;
    stage.request.edit_count = 1;
    stage.request.lines[0] = NULL;
    start(&stage, 0);
    hand = accepted(&stage);
    wire_expect(stage.loop, hand, HEAD "\r\n{\"a\":23}", WIRE_OPEN);
    close(hand);
    end(&stage);
}

/* Ended in the middle: its owner hears no more, and the connection is used no more. */
static void test_given_up(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    hand = accepted(&stage);
    expect_request(&stage, hand);
    wire_say(stage.loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe");
    attempt_end(&try->attempt);
    attempt_end(&try->attempt);
    assert_int_equal(endpoint_pool_count(stage.pool), 0);
    expect_closed(&stage, hand);
    wire_pass(stage.loop, 60 * US_PER_SEC);
    assert_int_equal(try->outcome, NOT_FAILED);
    end(&stage);
}

/* --- no connection --- */

static void test_in_line(void **state)
{
    struct stage stage;
    struct try *first, *second;
    int hand;

    begin(&stage, "connections: {max: 1}");
    first = start(&stage, 0);
    hand = accepted(&stage);
    expect_request(&stage, hand);
    stage.request.wait_until_us = loop_now_us(stage.loop) + US_PER_SEC;
    second = start(&stage, 1);
    assert_true(attempt_is_waiting(&second->attempt));
    expect_end(&stage, second, US_PER_SEC, OUTCOME_NO_CONNECTION);
    /* Its own time may be shorter. */
    stage.request.wait_until_us = loop_now_us(stage.loop) + US_PER_SEC;
    stage.request.deadline_us = loop_now_us(stage.loop) + US_PER_SEC / 2;
    second = start(&stage, 1);
    expect_end(&stage, second, US_PER_SEC / 2, OUTCOME_TOTAL_TIMEOUT);
    assert_int_equal(second->sent, 0);
    /* The connection goes to who waits for it. */
    stage.request.deadline_us = 0;
    second = start(&stage, 1);
    wire_say(stage.loop, hand, ANSWER);
    assert_true(first->is_whole);
    assert_int_equal(second->sent, 1);
    expect_request(&stage, hand);
    wire_pass(stage.loop, US_PER_SEC); /* that it waited no longer counts */
    wire_say(stage.loop, hand, ANSWER);
    assert_true(second->is_whole);
    close(hand);
    end(&stage);
}

static void test_refused(void **state)
{
    struct stage stage;
    struct try *try;

    begin(&stage, USUAL);
    unlink(stage.path);
    try = start(&stage, 0);
    assert_int_equal(try->outcome, NOT_FAILED); /* not before it has begun */
    wire_settle(stage.loop);
    assert_int_equal(try->outcome, OUTCOME_CONNECT_FAILED);
    assert_int_equal(try->sent, 0);
    end(&stage);
}

/* --- time --- */

/* From the request's end to the first byte that counts; a head alone does not. */
static void test_first_byte(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    hand = accepted(&stage);
    expect_end(&stage, try, 3 * US_PER_SEC, OUTCOME_FIRST_BYTE_TIMEOUT);
    close(hand);
    try = start(&stage, 0);
    hand = accepted(&stage);
    wire_pass(stage.loop, 2 * US_PER_SEC);
    wire_say(stage.loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n: wait\n\n");
    assert_int_equal(try->status, 200);
    expect_end(&stage, try, US_PER_SEC, OUTCOME_FIRST_BYTE_TIMEOUT);
    close(hand);
    end(&stage);
}

/* Between bytes; a client that takes nothing is no pause of the upstream's. */
static void test_idle(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    hand = accepted(&stage);
    wire_say(stage.loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na");
    attempt_note_first_byte(&try->attempt);
    for (int i = 0; i < 3; i++) {
        wire_pass(stage.loop, 4 * US_PER_SEC - 1);
        wire_say(stage.loop, hand, "b");
        assert_int_equal(try->outcome, NOT_FAILED);
    }
    attempt_pause(&try->attempt);
    wire_pass(stage.loop, 60 * US_PER_SEC);
    attempt_resume(&try->attempt);
    wire_say(stage.loop, hand, "c");
    assert_string_equal(try->data, "abbbc");
    attempt_set_idle(&try->attempt, US_PER_SEC);
    expect_end(&stage, try, US_PER_SEC, OUTCOME_IDLE_TIMEOUT);
    close(hand);
    end(&stage);
}

/* Of all of it until the commit, and of nothing after it. */
static void test_deadline(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    stage.request.deadline_us = loop_now_us(stage.loop) + US_PER_SEC;
    try = start(&stage, 0);
    hand = accepted(&stage);
    expect_end(&stage, try, US_PER_SEC, OUTCOME_TOTAL_TIMEOUT);
    close(hand);
    for (int is_committed = 0; is_committed < 2; is_committed++) {
        stage.request.deadline_us = loop_now_us(stage.loop) + US_PER_SEC;
        try = start(&stage, 0);
        hand = accepted(&stage);
        wire_say(stage.loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\na");
        attempt_note_first_byte(&try->attempt);
        if (is_committed)
            attempt_commit(&try->attempt);
        expect_end(&stage, try, is_committed ? 4 * US_PER_SEC : US_PER_SEC,
                   is_committed ? OUTCOME_IDLE_TIMEOUT : OUTCOME_TOTAL_TIMEOUT);
        close(hand);
    }
    end(&stage);
}

/* An upstream that takes the request slowly has its time; one that takes nothing more has not. */
static void test_sending(void **state)
{
    enum { PIECE = 100000 };
    static char piece[PIECE];
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < 40; i++)
        assert_int_equal(body_append(stage.body, span_of(piece, sizeof(piece))), 0);
    try = start(&stage, 0);
    hand = accepted(&stage);
    for (int i = 0; i < 5; i++) {
        wire_pass(stage.loop, 2 * US_PER_SEC - 1);
        while (recv(hand, piece, sizeof(piece), 0) > 0)
            continue;
        assert_int_equal(try->outcome, NOT_FAILED);
        wire_settle(stage.loop);
    }
    /* Also where it takes less than would make room for more. */
    for (int i = 0; i < 4; i++) {
        wire_pass(stage.loop, 3 * US_PER_SEC / 2);
        assert_true(recv(hand, piece, sizeof(piece) / 2, 0) > 0);
        assert_int_equal(try->outcome, NOT_FAILED);
    }
    assert_false(try->attempt.is_request_sent);
    /* Progress was seen when the timer last looked: it looks twice. */
    wire_pass(stage.loop, 2 * US_PER_SEC - 1);
    assert_int_equal(try->outcome, NOT_FAILED);
    wire_pass(stage.loop, 2 * US_PER_SEC + 1);
    assert_int_equal(try->outcome, OUTCOME_SEND_TIMEOUT);
    close(hand);
    end(&stage);
}

/* --- connections that break --- */

/* A kept one that was dead already: the same request on a fresh one, and nobody hears of it; once.
 */
static void test_dead_connection(void **state)
{
    struct stage stage;
    struct try *try;
    int kept, hand;

    begin(&stage, USUAL);
    kept = keep_one(&stage);
    try = start(&stage, 0);
    expect_request(&stage, kept);
    close(kept);
    hand = accepted(&stage);
    assert_true(hand >= 0);
    expect_request(&stage, hand);
    assert_int_equal(try->outcome, NOT_FAILED);
    close(hand);
    wire_settle(stage.loop);
    assert_int_equal(try->outcome, OUTCOME_RESET);
    assert_int_equal(accepted(&stage), -1);
    end(&stage);
}

/* A fresh one was alive when the request was sent. */
static void test_reset(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    hand = accepted(&stage);
    expect_request(&stage, hand);
    close(hand);
    wire_settle(stage.loop);
    assert_int_equal(try->outcome, OUTCOME_RESET);
    assert_int_equal(try->sent, 1);
    assert_int_equal(accepted(&stage), -1);
    end(&stage);
}

/* One that had begun to answer was not dead: that is told, and nothing is sent again. */
static void test_cut(void **state)
{
    static const char *const said[] = {"HTTP/1.1 200",
                                       "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"};
    struct stage stage;
    struct try *try;

    begin(&stage, USUAL);
    for (int i = 0; i < 2; i++) {
        int kept = keep_one(&stage);

        try = start(&stage, 0);
        expect_request(&stage, kept);
        wire_say(stage.loop, kept, said[i]);
        close(kept);
        wire_settle(stage.loop);
        assert_int_equal(try->outcome, OUTCOME_CUT);
        assert_int_equal(try->sent, 1);
        assert_int_equal(accepted(&stage), -1);
    }
    end(&stage);
}

static void test_garbage(void **state)
{
    struct stage stage;
    struct try *try;
    int hand;

    begin(&stage, USUAL);
    try = start(&stage, 0);
    hand = accepted(&stage);
    expect_request(&stage, hand);
    wire_say(stage.loop, hand, "220 mail.example ESMTP\r\n");
    assert_int_equal(try->outcome, OUTCOME_GARBAGE);
    close(hand);
    end(&stage);
}

/* Whatever memory is short: it ends by itself, saying that nobody is to blame. */
static void test_without_memory(void **state)
{
    struct stage stage;
    struct try *try;
    bool was_short = true;

    if (!wire_can_fail())
        skip();
    begin(&stage, USUAL);
    for (long n = 0; was_short; n++) {
        int hand;

        stage.request.wait_until_us = loop_now_us(stage.loop) + US_PER_SEC;
        stage.request.deadline_us = loop_now_us(stage.loop) + 3600 * US_PER_SEC;
        mem_fail_after(n);
        try = start(&stage, 0);
        wire_settle(stage.loop);
        was_short = !mem_fail_is_pending();
        mem_fail_after(-1);
        hand = accepted(&stage);
        if (hand >= 0)
            wire_say(stage.loop, hand,
                     "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello");
        wire_pass(stage.loop, US_PER_SEC);
        assert_true(try->is_whole || try->outcome == OUTCOME_NO_CONNECTION);
        assert_true(try->is_whole || was_short);
        if (hand >= 0)
            close(hand);
    }
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answered), cmocka_unit_test(test_edited),
        cmocka_unit_test(test_given_up), cmocka_unit_test(test_in_line),
        cmocka_unit_test(test_refused),  cmocka_unit_test(test_first_byte),
        cmocka_unit_test(test_idle),     cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_sending),  cmocka_unit_test(test_dead_connection),
        cmocka_unit_test(test_reset),    cmocka_unit_test(test_cut),
        cmocka_unit_test(test_garbage),  cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
