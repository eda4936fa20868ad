/* server/usage_watch, on virtual time, against a strict double of OpenAI's usage: a key that is
 * used beside the gateway is told of, once, and one that is explained is not. */
#include "../conf/fake.h"
#include "../rotation/double.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "exchange/registry.h"
#include "server/usage_watch.h"
#include "server/used_keys.h"

/* 2026-11-20T10:15:00Z, as the loop's clock is the wall's. */
#define START_US (UINT64_C(1795169700) * US_PER_SEC)
#define MINUTE   (60 * US_PER_SEC)
#define HOUR     (60 * MINUTE)

#define FIELDS     .fields = {"Authorization: Bearer sk-admin-0123456789"}
#define LINE(path) "GET /v1/organization/" path " HTTP/1.1"
#define USED(what, start)                                                                          \
    LINE("usage/" what "?start_time=" start "&bucket_width=1h&group_by%5B%5D=api_key_id"           \
         "&project_ids%5B%5D=proj_abc&limit=2")
#define NONE "{\"object\":\"page\",\"data\":[],\"has_more\":false,\"next_page\":null}"
#define USE(key, requests, tokens)                                                                 \
    "{\"api_key_id\":\"" key "\",\"num_model_requests\":" #requests ",\"input_tokens\":" #tokens   \
    ",\"output_tokens\":0}"
#define BUCKET(start, uses) "{\"start_time\":" start ",\"results\":[" uses "]}"
#define PAGE(buckets)       "{\"object\":\"page\",\"data\":[" buckets "],\"has_more\":false}"

#define ASK_KEYS                                                                                   \
    {                                                                                              \
        .line = LINE("projects/proj_abc/api_keys?limit=100"), FIELDS,                              \
        .answer = DOUBLE_JSON("200 OK", "{\"object\":\"list\",\"data\":[{\"id\":\"key_a\"},"       \
                                        "{\"id\":\"key_b\"},{\"id\":\"key_other\"}],"              \
                                        "\"has_more\":false,\"last_id\":\"key_other\"}")           \
    }
/* One question: the completions' page is what it is about. */
#define ASK(start, page)                                                                           \
    ASK_KEYS, {.line = USED("completions", start), FIELDS, .answer = DOUBLE_JSON("200 OK", page)}, \
    {                                                                                              \
        .line = USED("embeddings", start), FIELDS, .answer = DOUBLE_JSON("200 OK", NONE)           \
    }

struct stage {
    struct fake fake;
    struct double_server server;
    struct loop *loop;
    struct fetcher *fetcher;
    struct registry registry;
    struct snapshot *snapshot;
    struct keypool_view *view;
    struct usage_watch *watch;
    unsigned alerts;
    char key[ALERT_NAME_BYTES], reason[ALERT_REASON_BYTES];
};

static struct rotation *no_rotation(void *owner, struct span provider)
{
    (void)owner, (void)provider;
    return NULL;
}

static void note(void *owner, const struct alert *alert)
{
    struct stage *stage = owner;

    stage->alerts++;
    assert_int_equal(alert->kind, ALERT_USAGE_UNEXPLAINED);
    assert_span(alert->provider, "up");
    assert_true(alert->wall_us == loop_wall_us(stage->loop));
    alert_copy(stage->key, sizeof(stage->key), alert->key);
    alert_copy(stage->reason, sizeof(stage->reason), alert->reason);
}

static void load(struct stage *stage, const char *keys, const char *usage)
{
    struct snapshot *before = stage->snapshot;
    char yaml[1024], error[TLS_ERROR_BYTES];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: openai, base_url: 'http://127.0.0.1:9/v1', keys: %s,\n"
             "  selection: priority, health: {validate_new: false}, rotation: {issuer: {\n"
             "  kind: openai, url: 'http://127.0.0.1:%u', project: proj_abc%s,\n"
             "  admin_key: sk-admin-0123456789}}}}\n",
             keys, stage->server.port, usage);
    fake_must_load(&stage->fake, yaml);
    assert_int_equal(snapshot_new(&stage->registry, stage->fake.config, loop_now_us(stage->loop),
                                  START_US, error, &stage->snapshot),
                     0);
    stage->fake.config = NULL; /* the snapshot's */
    usage_watch_set(stage->watch, stage->snapshot);
    snapshot_unref(&before);
}

#define KEYS                                                                                       \
    "[{name: a, secret: sk-one-0123456789, id: key_a}, {name: b, secret: sk-two-0123456789,"       \
    " priority: 1, id: key_b}, sk-three-0123456789]"

static void begin(struct stage *stage, const struct double_step *script)
{
    struct usage_watch_options options = {
        .rotation = no_rotation, .on_alert = note, .owner = stage};

    memset(stage, 0, sizeof(*stage));
    double_open(&stage->server, script);
    fake_init(&stage->fake);
    stage->loop = options.loop = loop_new_virtual(START_US);
    stage->fetcher = options.fetcher = fetcher_new(stage->loop);
    assert_non_null(stage->fetcher);
    options.secrets = stage->fake.secrets;
    assert_int_equal(registry_init(&stage->registry, 1, stage->fake.secrets, NULL), 0);
    stage->watch = usage_watch_new(&options);
    assert_non_null(stage->watch);
    load(stage, KEYS, "");
    stage->view = keypool_view_new(provider_keys(stage->snapshot->providers[0].provider), 0, 0);
    assert_non_null(stage->view);
}

static void end(struct stage *stage)
{
    usage_watch_free(&stage->watch);
    keypool_view_free(&stage->view);
    snapshot_unref(&stage->snapshot);
    fetcher_free(&stage->fetcher);
    loop_free(&stage->loop);
    registry_fini(&stage->registry);
    fake_fini(&stage->fake);
    double_close(&stage->server);
}

/* So many requests on key a, each of 1000 tokens. */
static void spend(struct stage *stage, unsigned requests)
{
    const struct keypool_ask ask = {.model = SPAN("m")};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 1000};
    uint64_t now_us = loop_now_us(stage->loop);
    struct keypool_grant grant;

    for (unsigned i = 0; i < requests; i++) {
        assert_int_equal(keypool_select(stage->view, &ask, now_us, &grant).verdict, KEYPOOL_CHOSEN);
        assert_span(key_name(grant.key), "a");
        keypool_sent(stage->view, &grant, now_us);
        (void)keypool_end(stage->view, &grant, &end, now_us);
    }
}

/* Time creeps while the server is asked, which needs the world's. */
static void creep(struct stage *stage)
{
    usleep(100);
    assert_int_equal(loop_turn(stage->loop, US_PER_MS / 10), 0);
}

/* What was asked meanwhile has its answer. */
static void pass(struct stage *stage, uint64_t us)
{
    uint64_t end_us = loop_now_us(stage->loop) + us;

    while (loop_now_us(stage->loop) < end_us || !fetcher_is_idle(stage->fetcher)) {
        if (fetcher_is_idle(stage->fetcher))
            assert_int_equal(loop_turn(stage->loop, end_us - loop_now_us(stage->loop)), 0);
        else
            creep(stage);
    }
}

/* At the start, and a quarter of an hour after 11:00, 12:00 and 13:00. What is used in the hour
 * that had begun before the gateway is nobody's matter. */
static void a_key_used_beside_the_gateway(void **state)
{
    static const struct double_step script[] = {
        ASK("1795143600", PAGE(BUCKET("1795165200", USE("key_a", 500, 9000000)))),
        ASK("1795147200", PAGE(BUCKET("1795168800", USE("key_a", 500, 9000000)))),
        ASK("1795150800",
            PAGE(BUCKET("1795172400",
                        USE("key_a", 1000, 1000000) "," USE("key_b", 40, 700000) "," USE(
                            "key_other", 9999, 99999999)))),
        ASK("1795154400", PAGE(BUCKET("1795172400", USE("key_a", 1000, 1000000)) "," BUCKET(
                              "1795176000", USE("key_b", 40, 700000)))),
        {.line = NULL}};
    struct stage stage;

    (void)state;
    begin(&stage, script);
    pass(&stage, 65 * MINUTE); /* 11:20 */
    assert_int_equal(stage.server.asked, 6);
    spend(&stage, 1000);
    pass(&stage, 50 * MINUTE); /* 12:10 */
    assert_int_equal(stage.server.asked, 6);
    assert_int_equal(stage.alerts, 0);
    pass(&stage, 10 * MINUTE);
    assert_int_equal(stage.server.asked, 9);
    assert_int_equal(stage.alerts, 1);
    assert_string_equal(stage.key, "b");
    assert_string_equal(stage.reason, "700000 tokens in 40 requests at the provider, 0 in 0 here, "
                                      "in the hour from 2026-11-20T11:00:00Z on");
    pass(&stage, HOUR);
    assert_int_equal(stage.alerts, 1);
    end(&stage);
}

static void a_provider_that_refuses_is_asked_ever_more_seldom(void **state)
{
    static const struct double_step script[] = {
        {.line = LINE("projects/proj_abc/api_keys?limit=100"),
         FIELDS,
         .is_repeated = true,
         .answer = DOUBLE_JSON("403 Forbidden", "{\"error\":{\"message\":\"no\"}}")},
        {.line = NULL}};
    struct stage stage;

    (void)state;
    begin(&stage, script);
    pass(&stage, 5 * MINUTE); /* after 1, 2 and 4, each at the next look */
    assert_in_range(stage.server.asked, 2, 3);
    pass(&stage, 24 * HOUR);
    assert_in_range(stage.server.asked, 11, 15);
    assert_int_equal(stage.alerts, 0);
    end(&stage);
}

static void nobody_is_asked_in_vain(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    struct stage stage;

    (void)state;
    begin(&stage, script);
    load(&stage, "[sk-one-0123456789]", ""); /* whose use would be looked for? */
    pass(&stage, 24 * HOUR);
    load(&stage, KEYS, ", usage: {per: never}");
    pass(&stage, 24 * HOUR);
    end(&stage);
}

static void a_reload_ends_what_is_under_way(void **state)
{
    static const struct double_step script[] = {
        {.line = LINE("projects/proj_abc/api_keys?limit=100"), .answer = "wait"}, {.line = NULL}};
    struct stage stage;

    (void)state;
    begin(&stage, script);
    while (fetcher_is_idle(stage.fetcher))
        assert_int_equal(loop_turn(stage.loop, MINUTE), 0);
    while (!stage.server.asked)
        creep(&stage);
    load(&stage, KEYS, ", usage: {per: never}");
    pass(&stage, HOUR);
    end(&stage);
}

/* ---- keys that the issuer made: what it knows is their service account ---- */

static void count_gap(void *owner, struct span name, const struct use_gap *gap)
{
    assert_span(name, "a");
    assert_true(gap->theirs.requests == 30 && gap->theirs.tokens == 600000);
    (*(int *)owner)++;
}

static void look(struct stage *stage, struct used_keys *keys, const struct life *life,
                 uint64_t wall_us)
{
    used_keys_look(keys, stage->snapshot->providers[0].conf, life,
                   provider_keys(stage->snapshot->providers[0].provider), wall_us, wall_us);
}

static void keys_of_a_service_account(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    static const struct unexplained_rules rules = {.at_least = {10, 100000}};
    static struct life life;
    struct used_keys keys;
    struct stage stage;
    int gaps = 0;

    (void)state;
    begin(&stage, script);
    load(&stage, "[{name: a, secret: sk-one-0123456789}]", "");
    life_init(&life);
    life.count = 2;
    life.keys[0] = (struct life_key){.name = "a", .id = "svc_1"};
    life.keys[1] = (struct life_key){.name = "long-gone", .id = "svc_2"};
    used_keys_init(&keys, 3600);
    look(&stage, &keys, &life, START_US);
    assert_int_equal(roll_count(&keys.by_name), 1);
    look(&stage, &keys, &life, START_US + HOUR);
    used_keys_forget(&keys);
    used_keys_ops.on_key(&keys, SPAN("key_1"), SPAN("svc_1"));
    used_keys_ops.on_key(&keys, SPAN("key_1b"), SPAN("svc_1"));
    used_keys_ops.on_key(&keys, SPAN("key_2"), SPAN("svc_2"));
    used_keys_ops.on_key(&keys, SPAN("svc_1"), SPAN(""));
    look(&stage, &keys, &life, START_US + 2 * HOUR);
    used_keys_ops.on_use(&keys, SPAN("key_1"), START_US / US_PER_SEC + 3600, 20, 500000);
    used_keys_ops.on_use(&keys, SPAN("key_1b"), START_US / US_PER_SEC + 3600, 10, 100000);
    used_keys_ops.on_use(&keys, SPAN("key_2"), START_US / US_PER_SEC + 3600, 99, 999999);
    used_keys_ops.on_use(&keys, SPAN("svc_1"), START_US / US_PER_SEC + 3600, 99, 999999);
    used_keys_compare(&keys, &rules, (START_US + 2 * HOUR) / HOUR, count_gap, &gaps);
    assert_int_equal(gaps, 1);
    life.count = 0;
    look(&stage, &keys, &life, START_US + 2 * HOUR);
    assert_true(used_keys_is_empty(&keys));
    assert_int_equal(roll_count(&keys.aliases), 0);
    used_keys_fini(&keys);
    end(&stage);
}

static void without_memory(void **state)
{
    static const struct double_step script[] = {{.line = NULL}};
    bool is_pending = false;
    struct stage stage;

    (void)state;
    mem_fail_after(1L << 30);
    is_pending = !mem_fail_is_pending();
    mem_fail_after(-1);
    begin(&stage, script);
    for (long after = 0; !is_pending; after++) {
        struct used_keys keys;

        used_keys_init(&keys, 3600);
        mem_fail_after(after);
        look(&stage, &keys, NULL, START_US);
        used_keys_ops.on_key(&keys, SPAN("key_a"), SPAN(""));
        used_keys_ops.on_key(&keys, SPAN("key_b"), SPAN(""));
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        /* What found no memory comes with the next look. */
        look(&stage, &keys, NULL, START_US);
        assert_int_equal(roll_count(&keys.by_name), 2);
        used_keys_fini(&keys);
    }
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_used_beside_the_gateway),
        cmocka_unit_test(a_provider_that_refuses_is_asked_ever_more_seldom),
        cmocka_unit_test(nobody_is_asked_in_vain),
        cmocka_unit_test(a_reload_ends_what_is_under_way),
        cmocka_unit_test(keys_of_a_service_account),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
