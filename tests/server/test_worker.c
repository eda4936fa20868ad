/* A worker by itself: orders that come when nobody is left to follow them. */
#include "../conf/fake.h"

#include "base/alloc.h"
#include "server/worker.h"

static const char yaml[] = "providers: {up: {kind: compatible, base_url: 'http://127.0.0.1:9/v1',\n"
                           "  keys: [{name: one, secret: s1}]}}\n"
                           "clients: {open: true}\n";

static void on_call(void *owner, uint32_t worker)
{
    fail();
}

static void on_want_probe(void *owner, struct provider *provider)
{
    fail();
}

static void on_fetch_media(void *owner, struct media_errand *errand)
{
    fail();
}

static void on_prepared(void *owner, uint32_t index, int err)
{
    fail();
}

static void on_committed(void *owner, uint32_t index)
{
    fail();
}

static void on_issued(void *owner, uint32_t index)
{
    fail();
}

static void on_drained(void *owner, uint32_t index)
{
    fail();
}

static const struct worker_ops ops = {on_call,      on_want_probe, on_fetch_media, on_prepared,
                                      on_committed, on_issued,     on_drained};

/* A reload may be asked for, or decided, at any moment until the worker is freed. */
static void test_orders_after_the_end(void **state)
{
    struct fake fake;
    struct registry registry;
    struct snapshot *snapshot;
    struct worker *worker = NULL;
    struct worker_options options = {.registry = &registry, .max_connections = 1};
    char error[TLS_ERROR_BYTES];

    (void)state;
    fake_init(&fake);
    fake_must_load(&fake, yaml);
    assert_int_equal(registry_init(&registry, 1, fake.secrets, NULL), 0);
    assert_int_equal(snapshot_new(&registry, fake.config, 1000000, 1000000, error, &snapshot), 0);
    fake.config = NULL; /* the snapshot's */
    options.snapshot = snapshot;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(worker_new(&options, &ops, NULL, &worker), 0);
        assert_int_equal(worker_start(worker), 0);
        worker_stop(worker);
        if (i == 0)
            worker_prepare(worker, snapshot);
        else
            worker_commit(worker, NULL);
        worker_look(worker);
        worker_drain(worker);
        worker_cut(worker);
        worker_free(&worker);
        assert_null(worker);
    }
    snapshot_unref(&snapshot);
    registry_fini(&registry);
    fake_fini(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders_after_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
