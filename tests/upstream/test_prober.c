/* Probes as they go over the wire, on virtual time: when, with which key, and what follows. */
#include "../conf/fake.h"
#include "../io/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/alloc.h"
#include "io/tls.h"
#include "upstream/prober.h"

#define START_US UINT64_C(1000000000)

struct stage {
    struct fake fake;
    struct loop *loop;
    struct resolver *resolver;
    struct provider *provider;
    struct endpoint *endpoint;
    struct prober *prober;
    struct prober_target target;
    char path[64];
    int listener, hand; /* hand: the probe's connection, -1: none */
    unsigned results[3], wakes, lists;
};

static void on_result(void *owner, struct provider *provider, enum probe_result result)
{
    struct stage *stage = owner;

    assert_ptr_equal(provider, stage->provider);
    stage->results[result]++;
}

static void on_effect(void *owner, const struct probe_report *report)
{
    struct stage *stage = owner;

    assert_ptr_equal(report->provider, stage->provider);
    stage->wakes += report->effect.wakes > 0;
}

static void on_models(void *owner, struct provider *provider)
{
    struct stage *stage = owner;

    assert_ptr_equal(provider, stage->provider);
    stage->lists++;
}

static const struct prober_ops prober_ops = {on_result, on_effect, on_models};

static void set_anew(struct stage *stage)
{
    struct prober_plan *plan;

    assert_int_equal(prober_prepare(stage->prober, &stage->target, 1, &plan), 0);
    prober_commit(&plan);
}

static void begin_kind(struct stage *stage, const char *kind, const char *base,
                       const char *settings)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char yaml[1024], error[TLS_ERROR_BYTES];
    const struct config *config;

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    stage->hand = -1;
    snprintf(stage->path, sizeof(stage->path), "/tmp/bellwether-prober-%d", (int)getpid());
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", stage->path);
    unlink(stage->path);
    stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_int_equal(bind(stage->listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(stage->listener, 64), 0);
    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: %s, base_url: 'http://unix:%s:%s', %s}}\n"
             "clients: {open: true}\n",
             kind, stage->path, base, settings);
    config = fake_must_load(&stage->fake, yaml);
    stage->loop = loop_new_virtual(START_US);
    stage->resolver = resolver_new(16);
    stage->provider = provider_new(SPAN("up"), 1, stage->fake.secrets);
    assert_non_null(stage->provider);
    assert_int_equal(keypool_apply(provider_keys(stage->provider), &config->providers.items[0],
                                   NULL, START_US, 1700000000000000),
                     0);
    assert_int_equal(endpoint_new(&config->providers.items[0], &config->providers.items[0].base_url,
                                  error, &stage->endpoint),
                     0);
    stage->prober = prober_new(stage->loop, stage->resolver, &prober_ops, stage);
    stage->target = (struct prober_target){.conf = &config->providers.items[0],
                                           .provider = stage->provider,
                                           .endpoint = stage->endpoint};
    set_anew(stage);
}

static void begin(struct stage *stage, const char *settings)
{
    begin_kind(stage, "compatible", "/v1", settings);
}

static void end(struct stage *stage)
{
    if (stage->hand >= 0)
        close(stage->hand);
    prober_free(&stage->prober);
    endpoint_unref(&stage->endpoint);
    provider_unref(&stage->provider);
    loop_free(&stage->loop);
    resolver_free(&stage->resolver);
    close(stage->listener);
    unlink(stage->path);
    fake_fini(&stage->fake);
}

/* The probe that comes now, on the connection at hand or on a new one; "" where there is none.
 * Freed by the caller. */
static char *next_probe(struct stage *stage)
{
    int fd;

    wire_settle(stage->loop);
    fd = accept4(stage->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0 && stage->hand >= 0)
        close(stage->hand);
    if (fd >= 0)
        stage->hand = fd;
    return stage->hand < 0 ? mem_strdup("", 0) : wire_hear(stage->loop, stage->hand, NULL);
}

static void expect_probe(struct stage *stage, const char *key)
{
    char *heard = next_probe(stage), line[64];

    snprintf(line, sizeof(line), "\r\nAuthorization: Bearer %s\r\n", key);
    assert_int_equal(strncmp(heard, "GET /v1/models HTTP/1.1\r\n", 25), 0);
    assert_non_null(strstr(heard, line));
    mem_free(heard);
}

static void expect_none(struct stage *stage)
{
    char *heard = next_probe(stage);

    assert_string_equal(heard, "");
    mem_free(heard);
}

static void answer_with(struct stage *stage, int status, const char *body)
{
    char text[256];

    snprintf(text, sizeof(text), "HTTP/1.1 %d Word\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    wire_say(stage->loop, stage->hand, text);
}

static void answer(struct stage *stage, int status)
{
    answer_with(stage, status, "{}");
}

static enum key_health health_of(struct stage *stage, const char *name)
{
    struct key *key = keypool_find_key(provider_keys(stage->provider), span_from_text(name));
    uint64_t until_us;
    enum key_health health;

    assert_non_null(key);
    health = key_health(key, &until_us);
    key_unref(&key);
    return health;
}

static void pass_ms(struct stage *stage, uint64_t ms)
{
    wire_pass(stage->loop, ms * 1000);
}

/* A new key is validated at once. */
static void test_valid(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    assert_int_equal(health_of(&stage, "k1"), KEY_NEW);
    expect_probe(&stage, "s1");
    assert_int_equal(stage.wakes, 0);
    answer(&stage, 200);
    assert_int_equal(health_of(&stage, "k1"), KEY_HEALTHY);
    assert_int_equal(stage.results[PROBE_KNOWN], 1);
    assert_int_equal(stage.wakes, 1);
    /* News of it are fresh for health.ttl. */
    pass_ms(&stage, 59999);
    expect_none(&stage);
    pass_ms(&stage, 1);
    expect_probe(&stage, "s1");
    end(&stage);
}

/* Refused: probed again at once (was the answer wrong?), then every probe_interval, until cured. */
static void test_refused_and_cured(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    expect_probe(&stage, "s1");
    answer(&stage, 401);
    assert_int_equal(health_of(&stage, "k1"), KEY_INVALID);
    assert_int_equal(stage.results[PROBE_REFUSED], 1);
    pass_ms(&stage, 29999);
    expect_none(&stage);
    pass_ms(&stage, 1);
    expect_probe(&stage, "s1");
    answer(&stage, 401);
    pass_ms(&stage, 30000);
    expect_probe(&stage, "s1");
    answer(&stage, 200);
    assert_int_equal(health_of(&stage, "k1"), KEY_HEALTHY);
    assert_int_equal(stage.wakes, 1);
    end(&stage);
}

/* Google's 400 to the usual question means the key; to one of the operator's own it may mean that.
 */
static void test_bad_request_of_google(void **state)
{
    static const struct {
        const char *probe;
        enum probe_result result;
    } cases[] = {{"", PROBE_REFUSED}, {", probe: {path: /v1beta/models/m}", PROBE_KNOWN}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char settings[128], *heard;
        struct stage stage;

        snprintf(settings, sizeof(settings), "keys: [{name: k1, secret: s1}]%s", cases[i].probe);
        begin_kind(&stage, "gemini", "", settings);
        heard = next_probe(&stage);
        assert_non_null(strstr(heard, "x-goog-api-key: s1\r\n"));
        mem_free(heard);
        answer(&stage, 400);
        wire_settle(stage.loop);
        assert_int_equal(stage.results[cases[i].result], 1);
        end(&stage);
    }
}

/* No answer, five tries at 1, 2, 4, 8 and 16 s; after three silent ones it goes on trial. */
static void test_silent(void **state)
{
    static const uint64_t at_ms[] = {0, 1000, 2000, 4000, 8000, 16000};
    struct stage stage;
    uint64_t now_ms = 0;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    for (int i = 0; i < 6; i++) {
        if (at_ms[i] > now_ms + 1) {
            pass_ms(&stage, at_ms[i] - now_ms - 1);
            expect_none(&stage);
            now_ms = at_ms[i] - 1;
        }
        pass_ms(&stage, at_ms[i] - now_ms);
        now_ms = at_ms[i];
        expect_probe(&stage, "s1");
        assert_int_equal(health_of(&stage, "k1"), i < 3 ? KEY_NEW : KEY_TRIAL);
        /* A broken connection and a 5xx are alike. */
        if (i > 0)
            answer(&stage, 503);
        else
            close(stage.hand), stage.hand = -1;
        wire_settle(stage.loop);
    }
    assert_int_equal(stage.results[PROBE_SILENT], 6);
    end(&stage);
}

/* A probe takes five seconds at most, whatever the upstream does. */
static void test_stalled(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    expect_probe(&stage, "s1");
    wire_say(stage.loop, stage.hand, "HTTP/1.1 200 OK\r\nContent-Le");
    pass_ms(&stage, 4999);
    assert_int_equal(stage.results[PROBE_SILENT], 0);
    pass_ms(&stage, 1);
    assert_int_equal(stage.results[PROBE_SILENT], 1);
    end(&stage);
}

/* A status whose body never ends has been told all the same. */
static void test_endless_body(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    expect_probe(&stage, "s1");
    wire_say(stage.loop, stage.hand, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{");
    pass_ms(&stage, 5000);
    assert_int_equal(health_of(&stage, "k1"), KEY_HEALTHY);
    end(&stage);
}

/* All keys of a provider, side by side; what is set for its probes; the operator's wish. */
static void test_many(void **state)
{
    struct stage stage;
    struct key *key;
    int hands[3], count = 0;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}, {name: k2, secret: s2}, {name: k3, secret: s3}],"
                  " headers: {X-Team: search}, probe: {method: HEAD, path: /status, timeout: 2s}");
    wire_settle(stage.loop);
    while (count < 3 && (hands[count] = accept4(stage.listener, NULL, NULL,
                                                SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        char *heard = wire_hear(stage.loop, hands[count], NULL);

        assert_int_equal(strncmp(heard, "HEAD /v1/status HTTP/1.1\r\n", 26), 0);
        mem_free(heard);
        wire_say(stage.loop, hands[count], "HTTP/1.1 404 None\r\nContent-Length: 9\r\n\r\n");
        close(hands[count++]);
    }
    assert_int_equal(count, 3);
    assert_int_equal(stage.results[PROBE_KNOWN], 3);
    key = keypool_find_key(provider_keys(stage.provider), SPAN("k2"));
    keypool_wish(provider_keys(stage.provider), key, KEY_DISABLED, loop_now_us(stage.loop));
    key_unref(&key);
    pass_ms(&stage, 60000);
    for (count = 0; count < 3; count++) {
        hands[count] = accept4(stage.listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (hands[count] < 0)
            break;
        close(hands[count]);
    }
    assert_int_equal(count, 2);
    end(&stage);
}

/* As many failures as open its breaker. */
static void break_endpoint(struct stage *stage, struct endpoint_health *health)
{
    struct breaker_settings settings = breaker_settings_from(&stage->target.conf->breaker);
    uint64_t now_us = loop_now_us(stage->loop), free_at_us;

    for (int i = 0; i < 5; i++) {
        struct endpoint_pass pass;

        assert_int_equal(
            endpoint_health_enter(health, &settings, false, now_us, &pass, &free_at_us),
            ENDPOINT_PASS);
        endpoint_health_leave(health, &settings, NULL, &pass, BREAKER_BAD, now_us);
    }
}

/* An open endpoint is probed without any key; any answer of its own closes it. */
static void test_endpoint(void **state)
{
    struct stage stage;
    struct endpoint_health *health;
    char *heard;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}], health: {validate_new: false}");
    expect_none(&stage);
    health = endpoint_health_of(stage.endpoint);
    break_endpoint(&stage, health);
    assert_int_equal(endpoint_health_state(health, loop_now_us(stage.loop)), BREAKER_OPEN);
    prober_kick(stage.prober, stage.provider);
    heard = next_probe(&stage);
    assert_int_equal(strncmp(heard, "GET /v1/models HTTP/1.1\r\n", 25), 0);
    assert_null(strstr(heard, "Authorization"));
    mem_free(heard);
    answer(&stage, 401);
    assert_int_equal(endpoint_health_state(health, loop_now_us(stage.loop)), BREAKER_CLOSED);
    assert_true(stage.wakes > 0);
    end(&stage);
}

/* Another configuration gives up what is under way; the key may be probed again. */
static void test_set_anew(void **state)
{
    struct stage stage;
    int old;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    expect_probe(&stage, "s1");
    old = stage.hand;
    stage.hand = -1;
    set_anew(&stage);
    wire_settle(stage.loop);
    assert_int_equal(read(old, (char[1]){0}, 1), 0);
    close(old);
    pass_ms(&stage, 1000);
    expect_probe(&stage, "s1");
    answer(&stage, 200);
    assert_int_equal(health_of(&stage, "k1"), KEY_HEALTHY);
    end(&stage);
}

/* On the way it learns what the provider serves, where that is wanted. */
static void test_models(void **state)
{
    struct stage stage;
    struct model_list *models;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    expect_probe(&stage, "s1");
    close(stage.hand);
    stage.hand = -1;
    stage.target.wants_models = true;
    set_anew(&stage);
    pass_ms(&stage, 1000);
    expect_probe(&stage, "s1");
    answer_with(&stage, 200, "{\"data\":[{\"id\":\"m\"}]}");
    assert_int_equal(stage.lists, 1);
    models = provider_models(stage.provider);
    assert_non_null(model_list_find(models, SPAN("m")));
    model_list_unref(&models);
    end(&stage);
}

/* However often it is given up for a new configuration, that tells nothing of the key. */
static void test_given_up_is_not_silent(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    for (int i = 0; i < 2 * PROBE_SILENT_BEFORE_TRIAL; i++) {
        expect_probe(&stage, "s1");
        close(stage.hand);
        stage.hand = -1;
        set_anew(&stage);
        assert_int_equal(health_of(&stage, "k1"), KEY_NEW);
    }
    assert_int_equal(stage.results[PROBE_SILENT], 0);
    expect_probe(&stage, "s1");
    answer(&stage, 200);
    assert_int_equal(health_of(&stage, "k1"), KEY_HEALTHY);
    end(&stage);
}

/* Nor does a probe that could not be sent; it is tried again in a while. */
static void test_without_memory(void **state)
{
    struct stage stage;
    struct prober_plan *plan;
    bool is_short = true;
    long n = 0;
    int fd;

    (void)state;
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    while (is_short) {
        assert_int_equal(prober_prepare(stage.prober, &stage.target, 1, &plan), 0);
        mem_fail_after(n++);
        prober_commit(&plan);
        is_short = !mem_fail_is_pending();
        mem_fail_after(-1);
        if (is_short) {
            wire_settle(stage.loop);
            assert_int_equal(stage.results[PROBE_SILENT], 0);
            assert_int_equal(health_of(&stage, "k1"), KEY_NEW);
        }
    }
    assert_true(n > PROBE_SILENT_BEFORE_TRIAL);
    /* What can be done without let some of them go on. */
    while ((fd = accept(stage.listener, NULL, NULL)) >= 0)
        close(fd);
    assert_int_equal(prober_prepare(stage.prober, &stage.target, 1, &plan), 0);
    mem_fail_after(0);
    prober_commit(&plan);
    mem_fail_after(-1);
    pass_ms(&stage, 999);
    expect_none(&stage);
    assert_int_equal(health_of(&stage, "k1"), KEY_NEW);
    pass_ms(&stage, 1);
    expect_probe(&stage, "s1");
    end(&stage);
}

/* The connection alone shows that the endpoint is back: nobody waits for the answer. */
static void test_endpoint_is_back(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "keys: [{name: k1, secret: s1}]");
    endpoint_health_refused(endpoint_health_of(stage.endpoint), loop_now_us(stage.loop));
    expect_probe(&stage, "s1");
    assert_int_equal(stage.wakes, 1);
    answer(&stage, 200);
    assert_int_equal(stage.wakes, 2); /* the key */
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),
        cmocka_unit_test(test_refused_and_cured),
        cmocka_unit_test(test_bad_request_of_google),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_stalled),
        cmocka_unit_test(test_endless_body),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_endpoint),
        cmocka_unit_test(test_set_anew),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_given_up_is_not_silent),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_endpoint_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
