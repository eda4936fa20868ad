/* Media that exchanges have fetched: the control thread's part, with a server on a thread of its
 * own and nobody who waits. */
#include "house.h"

#include <sys/socket.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "exchange/host.h"
#include "exchange/media_errand.h"
#include "server/gateway_inner.h"

enum { URLS = 3, TURNS = 2000, TURN_US = 10000 };

struct stage {
    struct fake fake;
    struct gateway gateway;
    struct exchange_host host; /* as far as an errand that comes back needs it */
    int listener;
    uint16_t port;
    pthread_t server;
};

static void *serve(void *arg)
{
    static const char answer[] =
        "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n"
        "Content-Length: 11\r\nConnection: close\r\n\r\n\x89PNG\r\n\x1a\nabc";
    struct stage *stage = arg;
    char request[4096];
    int client;

    while ((client = accept(stage->listener, NULL, NULL)) >= 0) {
        if (read(client, request, sizeof(request)) > 0 &&
            write(client, answer, sizeof(answer) - 1) < 0)
            perror("write");
        close(client);
    }
    return NULL;
}

static void begin(struct stage *stage)
{
    struct gateway *gateway = &stage->gateway;

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    gateway->loop = loop_new();
    list_init(&gateway->rotors);
    assert_int_equal(registry_init(&gateway->registry, 1, stage->fake.secrets, NULL), 0);
    body_budget_init(&gateway->registry.bodies, 1 << 20);
    gateway->metrics = metrics_attach(gateway->registry.metrics);
    gateway->media_fetches = metrics_series(gateway->registry.metrics, METRIC_MEDIA_FETCHES, NULL);
    stage->host.loop = gateway->loop;
    parking_init(&stage->host.parking, 0);
    stage->listener = house_listen(&stage->port);
    assert_int_equal(pthread_create(&stage->server, NULL, serve, stage), 0);
}

static void end(struct stage *stage)
{
    struct gateway *gateway = &stage->gateway;

    gateway_drop_media(gateway);
    /* What is on its way to either side is read. */
    gateway->is_ending = true;
    assert_int_equal(loop_turn(gateway->loop, 0), 0);
    assert_int_equal(gateway->registry.bodies.shared.leased, 0);
    shutdown(stage->listener, SHUT_RDWR);
    pthread_join(stage->server, NULL);
    close(stage->listener);
    registry_fini(&gateway->registry);
    loop_free(&gateway->loop);
    fake_fini(&stage->fake);
}

static uint64_t count(const struct stage *stage, enum metric_media result)
{
    const struct gateway *gateway = &stage->gateway;

    return atomic_load(&gateway->metrics->shared.cells[gateway->media_fetches + result]);
}

static uint64_t count_all(const struct stage *stage)
{
    uint64_t all = 0;

    for (int i = 0; i < METRIC_MEDIA_COUNT; i++)
        all += count(stage, (enum metric_media)i);
    return all;
}

/* False without memory. */
static bool ask(struct stage *stage, bool is_private)
{
    char text[64];
    int len = snprintf(text, sizeof(text), "http://127.0.0.1:%u/x.png", stage->port);
    struct span urls[URLS];
    struct media_errand *errand;

    for (int i = 0; i < URLS; i++)
        urls[i] = span_of(text, (size_t)len);
    errand = media_errand_new(urls, URLS);
    if (!errand)
        return false;
    errand->host = &stage->host;
    errand->max_bytes = 1000;
    errand->timeout_us = 5 * US_PER_SEC;
    errand->is_private = is_private;
    gateway_fetch_media(&stage->gateway, errand);
    return true;
}

static void play_until(struct stage *stage, uint64_t fetches)
{
    for (int i = 0; i < TURNS && count_all(stage) < fetches; i++)
        assert_int_equal(loop_turn(stage->gateway.loop, TURN_US), 0);
    assert_int_equal(count_all(stage), fetches);
}

static void test_fetched(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage);
    for (int i = 0; i < 20; i++)
        assert_true(ask(&stage, true));
    play_until(&stage, 20 * URLS);
    assert_int_equal(count(&stage, METRIC_MEDIA_FETCHED), 20 * URLS);
    end(&stage);
}

static void test_private(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage);
    assert_true(ask(&stage, false));
    play_until(&stage, URLS);
    assert_int_equal(count(&stage, METRIC_MEDIA_PRIVATE), URLS);
    end(&stage);
}

/* At the end of the process some are under way, in line, and not even read. */
static void test_dropped(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage);
    for (int i = 0; i < 10; i++)
        assert_true(ask(&stage, true));
    assert_int_equal(loop_turn(stage.gateway.loop, 0), 0);
    assert_non_null(stage.gateway.media);
    assert_true(ask(&stage, true));
    end(&stage);
}

/* Bytes under way count against server.body_memory. */
static void test_no_room(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage);
    body_budget_init(&stage.gateway.registry.bodies, 1);
    assert_true(ask(&stage, true));
    play_until(&stage, URLS);
    assert_int_equal(count(&stage, METRIC_MEDIA_FAILED), URLS);
    end(&stage);
}

/* Whichever allocation fails: each URL ends, and the next errand goes well. */
static void test_without_memory(void **state)
{
    struct stage stage;
    bool is_over = false;

    (void)state;
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    for (long after = 0; !is_over; after++) {
        uint64_t sent;

        begin(&stage);
        mem_fail_after(after);
        sent = ask(&stage, true) ? URLS : 0;
        play_until(&stage, sent);
        is_over = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_true(ask(&stage, true));
        play_until(&stage, sent + URLS);
        assert_true(count(&stage, METRIC_MEDIA_FETCHED) >= URLS);
        end(&stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fetched),        cmocka_unit_test(test_private),
        cmocka_unit_test(test_dropped),        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
