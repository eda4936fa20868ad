/* Snapshots, what a reload takes over, and the worker's binding to them. */
#include "../conf/fake.h"

#include <stdio.h>

#include "base/alloc.h"
#include "exchange/binding.h"
#include "exchange/registry.h"
#include "exchange/snapshot.h"
#include "io/loop.h"
#include "io/tls.h"

struct stage {
    struct fake fake;
    struct registry registry;
    struct loop *loop;
    struct binding_home home;
    char error[TLS_ERROR_BYTES];
};

#define KEYS(url, keys)                                                                            \
    "providers:\n  up: {kind: openai, base_url: '" url "', keys: [" keys "]}\n"                    \
    "clients: {open: true}\n"

static const char one[] = KEYS("http://127.0.0.1:9/v1", "{name: k1, secret: s1}");

static void begin(struct stage *stage)
{
    fake_init(&stage->fake);
    assert_int_equal(registry_init(&stage->registry, 1, stage->fake.secrets, NULL), 0);
    stage->loop = loop_new_virtual(1000000);
    assert_non_null(stage->loop);
    binding_home_init(&stage->home, stage->loop, stage->registry.resolver, NULL, 0, NULL, NULL);
}

static void end(struct stage *stage)
{
    assert_true(list_is_empty(&stage->home.views));
    assert_true(list_is_empty(&stage->home.pools));
    loop_free(&stage->loop);
    registry_fini(&stage->registry);
    fake_fini(&stage->fake);
}

static int try_load(struct stage *stage, const char *yaml, struct snapshot **ret_snapshot)
{
    int err;

    fake_must_load(&stage->fake, yaml);
    err = snapshot_new(&stage->registry, stage->fake.config, 1000000, 1700000000000000,
                       stage->error, ret_snapshot);
    if (!err)
        stage->fake.config = NULL; /* the snapshot's now */
    return err;
}

static struct snapshot *load(struct stage *stage, const char *yaml)
{
    struct snapshot *snapshot = NULL;

    assert_int_equal(try_load(stage, yaml, &snapshot), 0);
    return snapshot;
}

static struct binding *bind_to(struct stage *stage, struct snapshot *snapshot)
{
    struct binding *binding = NULL;

    assert_int_equal(binding_new(&stage->home, snapshot, &binding), 0);
    return binding;
}

/* --- one snapshot --- */

static void test_rows(void **state)
{
    struct stage stage;
    struct snapshot *snapshot;
    const struct snapshot_provider *rows;

    (void)state;
    begin(&stage);
    snapshot =
        load(&stage, "server: {body_memory: 50MiB}\n"
                     "providers:\n"
                     "  a: {kind: openai, base_url: 'http://127.0.0.1:9/v1', keys: [s1],\n"
                     "    headers: {X-Team: search, X-Other: y}, forward_headers: [X-Trace]}\n"
                     "  b: {kind: compatible, base_url: 'http://127.0.0.1:9/v1', keys: [s2],\n"
                     "    forward_headers: [X-Trace, X-More]}\n"
                     "clients: {open: true}\n");
    rows = snapshot->providers;
    assert_int_equal(snapshot->provider_count, 2);
    assert_span(rows[0].conf->name, "a");
    assert_span(provider_name(rows[1].provider), "b");
    assert_span(secret_reveal(rows[0].fields), "X-Team: search\r\nX-Other: y\r\n");
    assert_null(rows[1].fields);
    assert_int_equal(rows[0].include_usage, INCLUDE_USAGE_YES);
    assert_int_equal(rows[1].include_usage, INCLUDE_USAGE_TRY);
    assert_int_not_equal(rows[0].attempts, rows[1].attempts);
    /* The same URL, but each provider has an endpoint of its own: one may fail alone. */
    assert_ptr_not_equal(rows[0].endpoint, rows[1].endpoint);
    assert_int_equal(snapshot->forward_fields.count, 3);
    assert_span(snapshot->forward_fields.items[0], "x-trace");
    assert_int_equal(atomic_load(&stage.registry.bodies.shared.max), 50 << 20);
    snapshot_unref(&snapshot);
    end(&stage);
}

/* What a request's text is made of is counted where something limits tokens, and only there. */
static void test_what_limits_tokens_is_seen(void **state)
{
    static const struct {
        const char *key, *provider;
        bool is_wanted;
    } cases[] = {
        {"limits: {rpm: 5}", "selection: least_used", false},
        {"limits: {tpm: 5}", "selection: least_used", true},
        {"model_limits: {a: {rpm: 5}, b: {concurrent: 5}}", "selection: least_used", false},
        {"model_limits: {a: {rpm: 5}, b: {tpm: 5}}", "selection: least_used", true},
        {"weight: 1", "selection: least_used, model_limits: {a: {rpm: 5}}", false},
        {"weight: 1", "selection: least_used, model_limits: {a: {rpm: 5}, b: {tpm: 5}}", true},
        {"weight: 1", "selection: headroom", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;
        struct snapshot *snapshot;
        char text[400];

        begin(&stage);
        snprintf(text, sizeof(text),
                 "providers: {a: {kind: openai, base_url: 'http://127.0.0.1:9/v1', %s,\n"
                 "    keys: [{secret: s1, %s}]}}\n"
                 "clients: {open: true}\n",
                 cases[i].provider, cases[i].key);
        snapshot = load(&stage, text);
        assert_int_equal(snapshot->counts_kinds, cases[i].is_wanted);
        snapshot_unref(&snapshot);
        end(&stage);
    }
}

/* --- reloads --- */

static void test_the_same_is_taken_over(void **state)
{
    struct stage stage;
    struct snapshot *old, *fresh;
    struct key *old_key, *key;

    (void)state;
    begin(&stage);
    old = load(&stage, one);
    fresh = load(&stage,
                 KEYS("http://127.0.0.1:9/v1", "{name: k0, secret: s0}, {name: k1, secret: s1}"));
    assert_ptr_equal(old->providers[0].provider, fresh->providers[0].provider);
    assert_ptr_equal(old->providers[0].endpoint, fresh->providers[0].endpoint);
    assert_int_equal(old->providers[0].attempts, fresh->providers[0].attempts);
    old_key = keypool_find_key(provider_keys(old->providers[0].provider), SPAN("k1"));
    snapshot_unref(&old);
    key = keypool_find_key(provider_keys(fresh->providers[0].provider), SPAN("k1"));
    assert_non_null(key);
    assert_ptr_equal(old_key, key);
    key_unref(&old_key);
    key_unref(&key);
    snapshot_unref(&fresh);
    end(&stage);
}

/* Another URL is another endpoint; who still holds the old snapshot keeps the old one. */
static void test_another_url(void **state)
{
    struct stage stage;
    struct snapshot *old, *fresh;

    (void)state;
    begin(&stage);
    old = load(&stage, one);
    fresh = load(&stage, KEYS("http://127.0.0.1:10/v1", "{name: k1, secret: s1}"));
    assert_ptr_equal(old->providers[0].provider, fresh->providers[0].provider);
    assert_ptr_not_equal(old->providers[0].endpoint, fresh->providers[0].endpoint);
    assert_span(endpoint_url(old->providers[0].endpoint), "http://127.0.0.1:9/v1");
    assert_span(endpoint_url(fresh->providers[0].endpoint), "http://127.0.0.1:10/v1");
    snapshot_unref(&old);
    snapshot_unref(&fresh);
    end(&stage);
}

/* A provider that the file no longer names is forgotten, and new when it comes back. */
static void test_provider_goes(void **state)
{
    struct stage stage;
    struct snapshot *old, *middle, *fresh;

    (void)state;
    begin(&stage);
    old = load(&stage, one);
    middle = load(&stage, "providers:\n  other: {kind: openai, base_url: 'http://127.0.0.1:9/v1',\n"
                          "    keys: [s1]}\nclients: {open: true}\n");
    assert_int_equal(stage.registry.providers.count, 1);
    assert_span(provider_name(old->providers[0].provider), "up");
    fresh = load(&stage, one);
    assert_ptr_not_equal(old->providers[0].provider, fresh->providers[0].provider);
    assert_int_equal(stage.registry.providers.count, 1);
    snapshot_unref(&old);
    snapshot_unref(&middle);
    snapshot_unref(&fresh);
    end(&stage);
}

static size_t count_keys(struct snapshot *snapshot)
{
    return keypool_totals(provider_keys(snapshot->providers[0].provider), 1000000).keys;
}

/* A configuration that is refused half-way through changes nothing of what is in force. */
static void test_refused(void **state)
{
    /* There while the file is checked, and gone when it is opened. */
    static const struct fake_pair files[] = {{"/nonexistent/ca.pem", "x"}, {NULL, NULL}};
    struct stage stage;
    struct snapshot *old, *fresh = NULL;

    (void)state;
    begin(&stage);
    stage.fake.files = files;
    old = load(&stage,
               KEYS("http://127.0.0.1:9/v1", "{name: k1, secret: s1}, {name: k2, secret: s2}"));
    assert_int_equal(count_keys(old), 2);
    assert_int_equal(
        try_load(&stage,
                 "providers:\n"
                 "  up: {kind: openai, base_url: 'http://127.0.0.1:10/v1', keys: [s3]}\n"
                 "  bad: {kind: openai, base_url: 'https://127.0.0.1:9/v1', keys: [s1],\n"
                 "    tls: {ca: /nonexistent/ca.pem}}\n"
                 "clients: {open: true}\n",
                 &fresh),
        ERR_TLS);
    assert_null(fresh);
    assert_non_null(strstr(stage.error, "ca.pem"));
    assert_non_null(stage.fake.config); /* still the caller's */
    assert_int_equal(stage.registry.providers.count, 1);
    assert_int_equal(count_keys(old), 2);
    fresh = load(&stage, one);
    assert_ptr_equal(old->providers[0].endpoint, fresh->providers[0].endpoint);
    assert_int_equal(count_keys(fresh), 1);
    snapshot_unref(&old);
    snapshot_unref(&fresh);
    end(&stage);
}

static void test_without_memory(void **state)
{
    struct stage stage;
    struct snapshot *old, *fresh = NULL;
    size_t known = 1;
    int err = ERR_NOMEM;

    (void)state;
    begin(&stage);
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    old = load(&stage, one);
    for (long n = 0; err; n++) {
        fake_must_load(&stage.fake,
                       "providers:\n"
                       "  up: {kind: openai, base_url: 'http://127.0.0.1:10/v1', keys: [s1, s2],\n"
                       "    headers: {X-A: b}, forward_headers: [X-C]}\n"
                       "  more: {kind: openai, base_url: 'http://127.0.0.1:9/v1', keys: [s1]}\n"
                       "models: {m: up/m, n: {targets: [{to: more/n}], fallback: [up/n]}}\n"
                       "clients: {keys: [{name: c, secret: abc, limits: {rpm: 5}}]}\n");
        mem_fail_after(n);
        err = snapshot_new(&stage.registry, stage.fake.config, 1000000, 1700000000000000,
                           stage.error, &fresh);
        if (err) {
            assert_int_equal(err, ERR_NOMEM);
            assert_int_equal(stage.registry.providers.count, known);
        } else if (!mem_fail_is_pending()) {
            /* A series less in the metrics: that is done without. */
            stage.fake.config = NULL;
            snapshot_unref(&fresh);
            known = 2;
            err = ERR_NOMEM;
        }
        mem_fail_after(-1);
    }
    stage.fake.config = NULL;
    assert_span(endpoint_url(old->providers[0].endpoint), "http://127.0.0.1:9/v1");
    snapshot_unref(&old);
    snapshot_unref(&fresh);
    end(&stage);
}

static bool is_on_page(const struct stage *stage, const char *text)
{
    struct buf page;
    bool is_there;

    buf_init(&page, 1 << 20);
    assert_int_equal(metrics_write(stage->registry.metrics, NULL, &page), 0);
    is_there = strstr(buf_text(&page), text) != NULL;
    buf_fini(&page);
    return is_there;
}

/* What is prepared shows nowhere until it is committed, and leaves nothing behind where it is not.
 */
static void test_prepared_for_nothing(void **state)
{
    static const char other[] =
        "providers:\n"
        "  up: {kind: openai, base_url: 'http://127.0.0.1:10/v1', keys: [{name: k2, secret: s2}]}\n"
        "  more: {kind: openai, base_url: 'http://127.0.0.1:9/v1', keys: [s1]}\n"
        "clients: {open: true}\n";
    struct stage stage;
    struct snapshot *old, *fresh;
    struct keypool *keys;
    struct key *key;

    (void)state;
    begin(&stage);
    old = load(&stage, one);
    keys = provider_keys(old->providers[0].provider);
    fake_must_load(&stage.fake, other);
    assert_int_equal(snapshot_prepare(&stage.registry, stage.fake.config, 1000000, 1700000000000000,
                                      stage.error, &fresh),
                     0);
    stage.fake.config = NULL;
    assert_null(keypool_find_key(keys, SPAN("k2")));
    key = keypool_find_key(keys, SPAN("k1"));
    assert_non_null(key);
    key_unref(&key);
    snapshot_refuse(&stage.registry, &fresh);
    assert_int_equal(stage.registry.providers.count, 1);
    assert_null(keypool_find_key(keys, SPAN("k2")));
    assert_true(is_on_page(&stage, "provider=\"up\""));
    assert_false(is_on_page(&stage, "provider=\"more\""));
    /* The endpoint is the one it was: the next configuration finds it. */
    fresh = load(&stage, one);
    assert_ptr_equal(fresh->providers[0].endpoint, old->providers[0].endpoint);
    snapshot_unref(&old);
    snapshot_unref(&fresh);
    end(&stage);
}

/* --- bindings --- */

/* What is the same goes over to the next binding; what nobody is bound to any more goes. */
static void test_binding(void **state)
{
    struct stage stage;
    struct snapshot *first, *second, *third;
    struct binding *old, *same, *moved;
    struct keypool_view *view;
    struct endpoint_pool *pool;

    (void)state;
    begin(&stage);
    first = load(&stage, one);
    second = load(&stage, KEYS("http://127.0.0.1:9/v1", "{name: k9, secret: s9}"));
    third = load(&stage, KEYS("http://127.0.0.1:10/v1", "{name: k1, secret: s1}"));
    old = bind_to(&stage, first);
    view = old->outlets[0].view;
    pool = old->outlets[0].sites[0].pool;
    same = bind_to(&stage, second);
    assert_ptr_equal(same->outlets[0].view, view);
    assert_ptr_equal(same->outlets[0].sites[0].pool, pool);
    assert_ptr_equal(same->outlets[0].row, &second->providers[0]);
    /* An exchange still holds the first. */
    binding_ref(old);
    binding_unref(&(struct binding *){old});
    moved = bind_to(&stage, third);
    assert_ptr_equal(moved->outlets[0].view, view);
    assert_ptr_not_equal(moved->outlets[0].sites[0].pool, pool);
    binding_unref(&same);
    assert_ptr_equal(old->outlets[0].sites[0].pool, pool);
    assert_int_equal(endpoint_pool_count(pool), 0);
    binding_unref(&old);
    assert_ptr_equal(stage.home.pools.next, stage.home.pools.prev); /* one is left */
    binding_unref(&moved);
    snapshot_unref(&first);
    snapshot_unref(&second);
    snapshot_unref(&third);
    end(&stage);
}

static void test_binding_without_memory(void **state)
{
    struct stage stage;
    struct snapshot *snapshot;
    struct binding *binding = NULL;
    int err = ERR_NOMEM;

    (void)state;
    begin(&stage);
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    snapshot = load(&stage, one);
    for (long n = 0; err; n++) {
        mem_fail_after(n);
        err = binding_new(&stage.home, snapshot, &binding);
        mem_fail_after(-1);
        if (err) {
            assert_int_equal(err, ERR_NOMEM);
            assert_true(list_is_empty(&stage.home.views));
            assert_true(list_is_empty(&stage.home.pools));
        }
    }
    binding_unref(&binding);
    snapshot_unref(&snapshot);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_what_limits_tokens_is_seen),
        cmocka_unit_test(test_the_same_is_taken_over),
        cmocka_unit_test(test_another_url),
        cmocka_unit_test(test_provider_goes),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_prepared_for_nothing),
        cmocka_unit_test(test_binding),
        cmocka_unit_test(test_binding_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
