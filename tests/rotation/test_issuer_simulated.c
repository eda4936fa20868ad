/* A declared issuer and the simulated provider's own key API, in one loop. */
#include "stage.h"

#include "sim/sim.h"

static const struct double_step no_script[] = {{.line = NULL}};

struct scene {
    struct stage stage;
    struct sim *sim;
};

/* As docs/simulator.md has the API. */
static void declare(struct scene *scene, uint64_t timeout_us)
{
    struct stage *stage = &scene->stage;
    struct secret *bearer = stage_secret(stage, "Bearer sk-sim-admin");
    struct secret *body = stage_secret(
        stage, "{\"name\": \"{name}\", \"expires_in_days\": 30, \"rate_limit\": 10000}");
    const struct issuer_field field = {SPAN("Authorization"), bearer};
    struct issuer_request request = {.fields = &field, .field_count = 1};
    struct issuer_settings settings = {.kind = ISSUER_HTTP, .timeout_us = timeout_us};
    struct issuer_http_settings *http = &settings.http;
    char at[128], keys[192], one[192], page[192];

    addr_write(sim_addr(scene->sim), at);
    snprintf(keys, sizeof(keys), "http://%s/v1/keys", at);
    snprintf(one, sizeof(one), "http://%s/v1/keys/{id}", at);
    snprintf(page, sizeof(page), "http://%s/v1/keys?limit=2", at);
    http->create = http->revoke = http->list = request;
    http->create.url = span_from_text(keys);
    http->create.body = body;
    http->revoke.url = span_from_text(one);
    http->list.url = span_from_text(page);
    http->key = SPAN("/api_key");
    http->id = SPAN("/key_id");
    http->expires = SPAN("/expires_at");
    http->items = SPAN("/keys");
    http->item_name = SPAN("/name");
    http->item_id = SPAN("/key_id");
    http->paging = (struct issuer_paging){.parameter = SPAN("after"), .cursor = SPAN("/next")};
    assert_int_equal(stage_new_issuer(stage, &settings), 0);
    secret_unref(&bearer);
    secret_unref(&body);
}

static void open_scene(struct scene *scene, uint64_t timeout_us)
{
    const struct sim_options options = {.listen = SPAN("127.0.0.1:0"),
                                        .scenario = SPAN("unknown_keys: refuse")};
    struct buf complaints;

    stage_open(&scene->stage, no_script);
    buf_init(&complaints, 4096);
    assert_int_equal(sim_new(scene->stage.loop, &options, &complaints, &scene->sim), 0);
    buf_fini(&complaints);
    declare(scene, timeout_us);
}

static void close_scene(struct scene *scene)
{
    issuer_cancel(&scene->stage.ask);
    sim_free(&scene->sim);
    stage_close(&scene->stage);
}

static void expect_stats(struct scene *scene, const char *wanted)
{
    struct buf out;

    buf_init(&out, 4096);
    assert_int_equal(sim_write_issuing_stats(scene->sim, &out), 0);
    assert_string_equal(buf_text(&out), wanted);
    buf_fini(&out);
}

static void rule(struct scene *scene, const char *rules)
{
    struct buf complaints;

    buf_init(&complaints, 4096);
    assert_int_equal(sim_set_issuing(scene->sim, span_from_text(rules), &complaints), 0);
    buf_fini(&complaints);
}

static void made_found_and_revoked(void **state)
{
    struct scene scene;
    char id[ISSUER_ID_MAX_BYTES + 1];

    (void)state;
    open_scene(&scene, 20 * US_PER_SEC);
    for (int i = 0; i < 5; i++) {
        char name[16];

        snprintf(name, sizeof(name), "auto-%d", i);
        assert_int_equal(stage_create(&scene.stage, name), 0);
        assert_true(span_has_prefix(span_from_text(scene.stage.key), SPAN("sk-issued-")));
        assert_true(scene.stage.answer.issued.expires_wall_us >=
                    STAGE_START + 30 * 86400 * US_PER_SEC);
    }
    snprintf(id, sizeof(id), "%s", scene.stage.id);
    /* On the third page. */
    assert_int_equal(stage_find(&scene.stage, "auto-4"), 0);
    assert_string_equal(scene.stage.id, id);
    assert_int_equal(stage_revoke(&scene.stage, "auto-4", id), 0);
    assert_int_equal(stage_revoke(&scene.stage, "auto-4", id), 0);
    assert_int_equal(stage_find(&scene.stage, "auto-4"), ERR_NOTFOUND);
    expect_stats(&scene, "{\"issued\":5,\"revoked\":1,\"revoked_requests\":0}");
    close_scene(&scene);
}

/* However its answer is lost, the key is found by its name, and revoked: none is left alive. */
static void a_lost_key_is_found_again(void **state)
{
    static const struct {
        const char *rules;
        int err;
    } cases[] = {
        {"{fault: lost, first: 1}", ERR_TIMEOUT},
        {"{fault: cut, first: 1}", ERR_PROTO},
        {"{fault: late, first: 1}", ERR_AGAIN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene scene;

        open_scene(&scene, US_PER_SEC);
        rule(&scene, cases[i].rules);
        assert_int_equal(stage_create(&scene.stage, "auto-1"), cases[i].err);
        assert_true(scene.stage.answer.may_exist);
        assert_int_equal(stage_find(&scene.stage, "auto-1"), 0);
        assert_int_equal(stage_revoke(&scene.stage, "auto-1", scene.stage.id), 0);
        assert_int_equal(stage_find(&scene.stage, "auto-1"), ERR_NOTFOUND);
        assert_int_equal(stage_create(&scene.stage, "auto-2"), 0);
        expect_stats(&scene, "{\"issued\":2,\"revoked\":1,\"revoked_requests\":0}");
        close_scene(&scene);
    }
}

static void refused_without_a_trace(void **state)
{
    struct scene scene;

    (void)state;
    open_scene(&scene, 20 * US_PER_SEC);
    rule(&scene, "{fault: limit, first: 1}");
    assert_int_equal(stage_create(&scene.stage, "auto-1"), ERR_AGAIN);
    assert_true(scene.stage.answer.may_retry);
    assert_false(scene.stage.answer.may_exist);
    assert_true(scene.stage.answer.retry_after_us == US_PER_SEC);
    rule(&scene, "{fault: empty, first: 1}");
    assert_int_equal(stage_create(&scene.stage, "auto-1"), ERR_PROTO);
    assert_int_equal(stage_revoke(&scene.stage, "auto-1", scene.stage.id), 0);
    rule(&scene, "{admin_key: another}");
    assert_int_equal(stage_create(&scene.stage, "auto-1"), ERR_DENIED);
    assert_string_equal(scene.stage.told_why,
                        "HTTP 401: unauthorized: this is not the administrator's key");
    expect_stats(&scene, "{\"issued\":1,\"revoked\":1,\"revoked_requests\":0}");
    close_scene(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_found_and_revoked),
        cmocka_unit_test(a_lost_key_is_found_again),
        cmocka_unit_test(refused_without_a_trace),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
