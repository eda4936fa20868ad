/* What the log says of probes, once for each change, with its cause; and of a reload that workers
 * keep waiting. On virtual time, without workers. */
#include "../conf/fake.h"
#include "../io/wire.h"

#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "server/gateway_inner.h"

#define START_US UINT64_C(1000000000)

static const char yaml[] = "providers: {up: {kind: compatible,\n"
                           "  base_url: 'http://unix:/tmp/bellwether-nobody:/v1',\n"
                           "  keys: [{name: one, secret: key-one}]}}\n"
                           "clients: {open: true}\n";

/* The part of a gateway that probes, and nobody listens at the provider. */
struct stage {
    struct fake fake;
    struct fake_pair files[2];
    struct gateway gateway;
    char log_path[64];
};

static void begin(struct stage *stage)
{
    struct gateway *gateway = &stage->gateway;
    struct log_options options = {.level = LOG_LEVEL_INFO, .file = stage->log_path};
    char error[TLS_ERROR_BYTES];
    struct prober_plan *probes;

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    snprintf(stage->log_path, sizeof(stage->log_path), "/tmp/bellwether-news-%d", (int)getpid());
    fake_must_load(&stage->fake, yaml);
    stage->files[0] = (struct fake_pair){"/gateway.yaml", yaml};
    stage->fake.files = stage->files;
    gateway->options.source = &stage->fake.source;
    gateway->options.config_path = "/gateway.yaml";
    gateway->loop = loop_new_virtual(START_US);
    list_init(&gateway->rotors);
    assert_int_equal(addr_parse(SPAN("127.0.0.1:1"), &gateway->sockets.admin), 0);
    gateway->reader = config_reader_new(gateway->loop, &stage->fake.source);
    assert_non_null(gateway->reader);
    loop_timer_init(&gateway->reload_timer, gateway->loop, gateway_on_reload_timer);
    assert_int_equal(log_new(&options, &gateway->log), 0);
    assert_int_equal(registry_init(&gateway->registry, 1, stage->fake.secrets, gateway->log), 0);
    assert_int_equal(snapshot_new(&gateway->registry, stage->fake.config, START_US, START_US, error,
                                  &gateway->snapshot),
                     0);
    stage->fake.config = NULL; /* the snapshot's */
    gateway->metrics = metrics_attach(gateway->registry.metrics);
    gateway->reloads = metrics_series(gateway->registry.metrics, METRIC_RELOADS, NULL);
    gateway->prober =
        prober_new(gateway->loop, gateway->registry.resolver, &gateway_prober_ops, gateway);
    assert_int_equal(gateway_prepare_probes(gateway, gateway->snapshot, &probes), 0);
    prober_commit(&probes);
}

static void end(struct stage *stage)
{
    struct gateway *gateway = &stage->gateway;

    loop_timer_fini(&gateway->reload_timer);
    config_reader_free(&gateway->reader);
    gateway_drop_reload(gateway);
    prober_free(&gateway->prober);
    snapshot_unref(&gateway->snapshot);
    registry_fini(&gateway->registry);
    log_free(&gateway->log);
    loop_free(&gateway->loop);
    unlink(stage->log_path);
    fake_fini(&stage->fake);
}

/* All that was logged, freed by the caller. Ends the log. */
static char *read_log(struct stage *stage)
{
    char *text = mem_zalloc(1, 65536);
    FILE *file;

    stage->gateway.registry.log = NULL;
    log_free(&stage->gateway.log);
    file = fopen(stage->log_path, "r");
    assert_non_null(file);
    assert_true(fread(text, 1, 65535, file) > 0);
    fclose(file);
    return text;
}

/* Three probes that nobody answers put a new key on trial: no probe has told anything of it. */
static void test_trial(void **state)
{
    static const char line[] = "\"message\":\"key changed its state\",\"provider\":\"up\","
                               "\"key\":\"one\",\"state\":\"trial\",\"cause\":\"trial\"";
    struct stage stage;
    char *log, *first;

    (void)state;
    begin(&stage);
    wire_pass(stage.gateway.loop, 20 * US_PER_SEC);
    log = read_log(&stage);
    first = strstr(log, line);
    assert_non_null(first);
    assert_null(strstr(first + 1, line));
    assert_null(strstr(log, "key-one"));
    mem_free(log);
    end(&stage);
}

static unsigned count_lines(const char *log, const char *what)
{
    unsigned count = 0;

    for (; (log = strstr(log, what)); log++)
        count++;
    return count;
}

/* A worker that does not answer is told of once, and so is each reload that waits behind it. */
static void test_reload_waits(void **state)
{
    struct stage stage;
    char *log;

    (void)state;
    begin(&stage);
    gateway_reload(&stage.gateway);
    wire_pass(stage.gateway.loop, 4 * US_PER_SEC);
    gateway_note_prepared(&stage.gateway, ERR_NOMEM);
    /* This one was answered in time; the next is not. */
    gateway_reload(&stage.gateway);
    wire_pass(stage.gateway.loop, 4 * US_PER_SEC);
    gateway_reload(&stage.gateway);
    gateway_reload(&stage.gateway);
    wire_pass(stage.gateway.loop, 30 * US_PER_SEC);
    log = read_log(&stage);
    assert_int_equal(count_lines(log, "reload refused"), 1);
    assert_int_equal(count_lines(log, "reload waits for workers"), 1);
    assert_int_equal(count_lines(log, "a reload is under way"), 2);
    mem_free(log);
    end(&stage);
}

/* It is in force when the last worker goes by it, and told then; the next one waits for that. */
static void test_reload_is_told_once_all_have_it(void **state)
{
    struct stage stage;
    char *log, *told;

    (void)state;
    begin(&stage);
    stage.gateway.worker_count = 2;
    stage.gateway.reload.is_committing = true;
    gateway_note_committed(&stage.gateway);
    gateway_reload(&stage.gateway);
    assert_true(stage.gateway.reload.is_asked_again);
    stage.gateway.reload.is_asked_again = false;
    gateway_note_committed(&stage.gateway);
    assert_false(stage.gateway.reload.is_committing);
    log = read_log(&stage);
    told = strstr(log, "configuration reloaded");
    assert_non_null(told);
    assert_null(strstr(told + 1, "configuration reloaded"));
    assert_null(strstr(told, "a reload is under way"));
    mem_free(log);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trial),
        cmocka_unit_test(test_reload_waits),
        cmocka_unit_test(test_reload_is_told_once_all_have_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
