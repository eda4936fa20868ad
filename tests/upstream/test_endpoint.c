/* A loop's connections to an endpoint. */
#include "../conf/fake.h"
#include "../io/wire.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http/head.h"
#include "io/tls.h"
#include "upstream/endpoint.h"

enum { ASKERS = 8 };

struct asker {
    struct uplink_asker base;
    struct stage *stage;
    struct uplink *uplink; /* what it got */
    int err;               /* or why it got none */
    unsigned turn;         /* the how manieth to be told */
};

struct stage {
    struct fake fake;
    struct loop *loop;
    struct resolver *resolver;
    struct http_head head;
    struct endpoint *endpoint;
    struct endpoint_pool *pool;
    char path[64];
    int listener;
    struct asker askers[ASKERS];
    unsigned told;
};

/* --- what a user of a connection is told --- */

static void on_head(void *user, const struct http_head *head)
{
    (void)user, (void)head;
}

static void on_data(void *user, char *data, size_t len, bool is_last)
{
    (void)user, (void)data, (void)len, (void)is_last;
}

static void on_room(void *user)
{
    (void)user;
}

static void on_user_fail(void *user, int err)
{
    ((struct asker *)user)->err = err;
}

static const struct uplink_ops user_ops = {on_head, on_data, on_room, on_user_fail, on_room};

static void on_uplink(struct uplink_asker *base, struct uplink *uplink)
{
    struct asker *asker = container_of(base, struct asker, base);

    uplink->user = asker;
    uplink->ops = &user_ops;
    asker->uplink = uplink;
    asker->turn = ++asker->stage->told;
}

static void on_no_uplink(struct uplink_asker *base, int err)
{
    struct asker *asker = container_of(base, struct asker, base);

    asker->err = err;
    asker->turn = ++asker->stage->told;
}

/* --- the stage --- */

static void stage_listen(struct stage *stage)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", stage->path);
    unlink(stage->path);
    stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(stage->listener >= 0);
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(stage->listener, 64), 0);
}

static void stage_unlisten(struct stage *stage)
{
    close(stage->listener);
    unlink(stage->path);
}

static const struct conf_provider *provider_of(struct stage *stage, const char *settings)
{
    char yaml[1024];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, keys: [s], base_url: 'http://unix:%s:/v1', %s}}\n"
             "clients: {open: true}\n",
             stage->path, settings);
    return &fake_must_load(&stage->fake, yaml)->providers.items[0];
}

static void begin(struct stage *stage, const char *settings)
{
    const struct conf_provider *conf;
    char error[TLS_ERROR_BYTES];

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    snprintf(stage->path, sizeof(stage->path), "/tmp/bellwether-endpoint-%d", (int)getpid());
    stage_listen(stage);
    conf = provider_of(stage, settings);
    stage->loop = loop_new_virtual(1000000);
    stage->resolver = resolver_new(16);
    assert_int_equal(endpoint_new(conf, &conf->base_url, error, &stage->endpoint), 0);
    stage->pool = endpoint_pool_new(stage->endpoint, stage->loop, stage->resolver, &stage->head);
    assert_non_null(stage->pool);
    endpoint_pool_set_bounds(stage->pool, &conf->connections, conf->timeouts.connect_us);
    for (int i = 0; i < ASKERS; i++) {
        stage->askers[i].stage = stage;
        stage->askers[i].base.on_uplink = on_uplink;
        stage->askers[i].base.on_no_uplink = on_no_uplink;
        list_init(&stage->askers[i].base.link);
    }
}

static void end(struct stage *stage)
{
    uint64_t total;

    endpoint_pool_free(&stage->pool);
    loop_free(&stage->loop);
    assert_int_equal(endpoint_connections(stage->endpoint, &total), 0);
    endpoint_unref(&stage->endpoint);
    resolver_free(&stage->resolver);
    stage_unlisten(stage);
    fake_fini(&stage->fake);
}

static bool ask(struct stage *stage, int number)
{
    struct asker *asker = &stage->askers[number];

    asker->uplink = NULL;
    asker->err = 0;
    asker->turn = 0;
    return endpoint_pool_ask(stage->pool, &asker->base);
}

/* A whole exchange of messages on it, so that it may be used again. */
static void use(struct stage *stage, int number, int hand)
{
    struct uplink *uplink = stage->askers[number].uplink;
    struct iovec iov = {(char *)(uintptr_t) "GET / HTTP/1.1\r\n\r\n", 18};
    char heard[64];

    http_client_begin(&uplink->http, false);
    assert_int_equal(http_client_send(&uplink->http, &iov, 1, true), 0);
    wire_settle(stage->loop);
    assert_int_equal(read(hand, heard, sizeof(heard)), 18);
    wire_say(stage->loop, hand, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    assert_true(http_client_is_reusable(&uplink->http));
}

static void give(struct stage *stage, int number)
{
    struct uplink *uplink = stage->askers[number].uplink;

    uplink->user = NULL;
    endpoint_pool_give(uplink);
    wire_settle(stage->loop);
}

/* The last connection is given back and closed, and that is all. */
static void end_with(struct stage *stage, int number, int hand)
{
    give(stage, number);
    close(hand);
    end(stage);
}

static int accepted(struct stage *stage)
{
    wire_settle(stage->loop);
    return accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

static void expect_closed(struct stage *stage, int hand)
{
    char byte;

    wire_settle(stage->loop);
    assert_int_equal(read(hand, &byte, 1), 0);
    close(hand);
}

/* --- connections --- */

/* Kept, used again (the last first), and closed once nobody wanted them for the time allowed. */
static void test_kept(void **state)
{
    struct stage stage;
    struct uplink *last;
    uint64_t total;
    int hands[2];

    (void)state;
    begin(&stage, "connections: {keepalive: 60s}");
    assert_null(endpoint_pool_take_idle(stage.pool, false));
    for (int i = 0; i < 2; i++) {
        assert_true(ask(&stage, i));
        hands[i] = accepted(&stage);
        assert_non_null(stage.askers[i].uplink);
        assert_true(stage.askers[i].uplink->is_fresh);
        use(&stage, i, hands[i]);
    }
    give(&stage, 0);
    wire_pass(stage.loop, 10000000);
    give(&stage, 1);
    last = stage.askers[1].uplink;
    assert_ptr_equal(endpoint_pool_take_idle(stage.pool, false), last);
    assert_false(last->is_fresh);
    endpoint_pool_give(last);
    assert_int_equal(endpoint_pool_count(stage.pool), 2);
    wire_pass(stage.loop, 49999999);
    assert_int_equal(endpoint_pool_count(stage.pool), 2);
    wire_pass(stage.loop, 1);
    assert_int_equal(endpoint_pool_count(stage.pool), 1);
    expect_closed(&stage, hands[0]);
    wire_pass(stage.loop, 10000000);
    expect_closed(&stage, hands[1]);
    assert_int_equal(endpoint_connections(stage.endpoint, &total), 0);
    assert_int_equal(total, 2);
    end(&stage);
}

static void test_idle_bound(void **state)
{
    struct stage stage;
    int hands[3];

    (void)state;
    begin(&stage, "connections: {idle: 2}");
    for (int i = 0; i < 3; i++) {
        ask(&stage, i);
        hands[i] = accepted(&stage);
        use(&stage, i, hands[i]);
    }
    for (int i = 0; i < 3; i++)
        give(&stage, i);
    assert_int_equal(endpoint_pool_count(stage.pool), 2);
    expect_closed(&stage, hands[2]);
    close(hands[0]);
    close(hands[1]);
    end(&stage);
}

/* One that was not used to the end is not kept. */
static void test_not_reusable(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    ask(&stage, 0);
    hand = accepted(&stage);
    http_client_begin(&stage.askers[0].uplink->http, false);
    give(&stage, 0);
    assert_int_equal(endpoint_pool_count(stage.pool), 0);
    expect_closed(&stage, hand);
    end(&stage);
}

/* What the other side does with an idle one ends it, quietly. */
static void test_idle_one_ends(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    for (int speaks = 0; speaks < 2; speaks++) {
        begin(&stage, "health: {ttl: 60s}");
        ask(&stage, 0);
        hand = accepted(&stage);
        use(&stage, 0, hand);
        give(&stage, 0);
        if (speaks)
            wire_say(stage.loop, hand, "HTTP/1.1 408 Too Late\r\n\r\n");
        else
            shutdown(hand, SHUT_WR);
        wire_settle(stage.loop);
        assert_null(endpoint_pool_take_idle(stage.pool, false));
        assert_int_equal(endpoint_pool_count(stage.pool), 0);
        close(hand);
        end(&stage);
    }
}

/* At `max`, in the order of asking; nobody who comes later is served first. */
static void test_in_line(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "connections: {max: 1}");
    assert_true(ask(&stage, 0));
    hand = accepted(&stage);
    for (int i = 1; i < 4; i++)
        assert_false(ask(&stage, i));
    endpoint_pool_unask(stage.pool, &stage.askers[2].base);
    endpoint_pool_unask(stage.pool, &stage.askers[2].base);
    for (int i = 0; i < 3; i++) {
        if (i == 2)
            continue;
        use(&stage, i, hand);
        stage.askers[i].uplink->user = NULL;
        endpoint_pool_give(stage.askers[i].uplink);
        assert_null(endpoint_pool_take_idle(stage.pool, false));
        wire_settle(stage.loop);
    }
    assert_int_equal(stage.askers[1].turn, 2);
    assert_null(stage.askers[2].uplink);
    assert_int_equal(stage.askers[3].turn, 3);
    assert_int_equal(accepted(&stage), -1);
    /* One that breaks makes room for a fresh one. */
    assert_false(ask(&stage, 4));
    http_client_close(&stage.askers[3].uplink->http);
    give(&stage, 3);
    close(hand);
    hand = accepted(&stage);
    assert_true(hand >= 0);
    assert_non_null(stage.askers[4].uplink);
    end_with(&stage, 4, hand);
}

/* Who asks as a spare one stands behind everybody else, whoever asked first. */
static void test_spare_ones_stand_last(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "connections: {max: 1}");
    stage.askers[0].base.is_spare = stage.askers[1].base.is_spare = true;
    assert_true(ask(&stage, 0));
    /* The connection that is being made for it is the other's. */
    assert_false(ask(&stage, 2));
    hand = accepted(&stage);
    assert_int_equal(stage.askers[2].turn, 1);
    assert_false(ask(&stage, 1));
    assert_false(ask(&stage, 3));
    for (int i = 2; i < 4; i++) {
        use(&stage, i, hand);
        stage.askers[i].uplink->user = NULL;
        endpoint_pool_give(stage.askers[i].uplink);
        assert_null(endpoint_pool_take_idle(stage.pool, true));
        wire_settle(stage.loop);
    }
    assert_int_equal(stage.askers[3].turn, 2);
    assert_int_equal(stage.askers[0].turn, 3);
    assert_null(stage.askers[1].uplink);
    /* Nor do those stand in the way of one that is kept. */
    use(&stage, 0, hand);
    stage.askers[0].uplink->user = NULL;
    endpoint_pool_give(stage.askers[0].uplink);
    stage.askers[4].uplink = endpoint_pool_take_idle(stage.pool, false);
    assert_non_null(stage.askers[4].uplink);
    endpoint_pool_unask(stage.pool, &stage.askers[1].base);
    end_with(&stage, 4, hand);
}

/* What was begun for a spare one fails for it alone. */
static void test_spare_ones_fail_alone(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "connections: {max: 1}");
    stage.askers[0].base.is_spare = true;
    stage_unlisten(&stage);
    assert_true(ask(&stage, 0));
    assert_false(ask(&stage, 1));
    stage_listen(&stage);
    hand = accepted(&stage);
    assert_int_not_equal(stage.askers[0].err, 0);
    assert_int_equal(stage.askers[1].err, 0);
    assert_non_null(stage.askers[1].uplink);
    end_with(&stage, 1, hand);
}

/* A connection that came for somebody who has left is kept for the next. */
static void test_asker_leaves(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    ask(&stage, 0);
    endpoint_pool_unask(stage.pool, &stage.askers[0].base);
    hand = accepted(&stage);
    assert_true(hand >= 0);
    assert_null(stage.askers[0].uplink);
    assert_int_equal(endpoint_pool_count(stage.pool), 1);
    stage.askers[0].uplink = endpoint_pool_take_idle(stage.pool, false);
    assert_non_null(stage.askers[0].uplink);
    assert_int_equal(accepted(&stage), -1);
    end_with(&stage, 0, hand);
}

/* --- no connection --- */

static void test_refused(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    stage_unlisten(&stage);
    ask(&stage, 0);
    assert_int_equal(stage.askers[0].err, 0); /* not before the question has returned */
    wire_settle(stage.loop);
    assert_int_not_equal(stage.askers[0].err, 0);
    assert_int_equal(endpoint_pool_count(stage.pool), 0);
    stage_listen(&stage);
    ask(&stage, 1);
    hand = accepted(&stage);
    assert_non_null(stage.askers[1].uplink);
    end_with(&stage, 1, hand);
}

/* The pool goes while connections are being made and asked for. */
static void test_freed_while_dialling(void **state)
{
    struct stage stage;
    int hand;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    ask(&stage, 0);
    endpoint_pool_unask(stage.pool, &stage.askers[0].base);
    endpoint_pool_free(&stage.pool);
    assert_null(stage.pool);
    endpoint_pool_free(&stage.pool);
    hand = accepted(&stage);
    if (hand >= 0)
        close(hand);
    end(&stage);
}

static void test_without_memory(void **state)
{
    struct stage stage;
    int hand;
    long n = 0;

    (void)state;
    if (!wire_can_fail())
        skip();
    begin(&stage, "connections: {max: 1}");
    for (; !stage.askers[0].uplink; n++) {
        mem_fail_after(n);
        ask(&stage, 0);
        wire_settle(stage.loop);
        mem_fail_after(-1);
        /* Told, or still waiting: then it takes its question back. */
        endpoint_pool_unask(stage.pool, &stage.askers[0].base);
    }
    assert_true(n >= 2);
    hand = accepted(&stage);
    assert_true(hand >= 0);
    end_with(&stage, 0, hand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kept),
        cmocka_unit_test(test_idle_bound),
        cmocka_unit_test(test_not_reusable),
        cmocka_unit_test(test_idle_one_ends),
        cmocka_unit_test(test_in_line),
        cmocka_unit_test(test_spare_ones_stand_last),
        cmocka_unit_test(test_spare_ones_fail_alone),
        cmocka_unit_test(test_asker_leaves),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_freed_while_dialling),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
