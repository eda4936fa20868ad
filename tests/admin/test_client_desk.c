/* The desk that issues client keys: durable first, then known to the workers, then answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "admin/client_desk.h"
#include "admin/client_form.h"
#include "base/clock.h"
#include "base/err.h"
#include "io/loop.h"

struct office {
    char folder[64], path[96];
    struct loop *loop;
    struct store *store;
    struct metrics_schema *metrics;
    struct client_desk *desk;
    struct issued *public; /* what the workers go by */
    struct issued *coming; /* what they were given, and have not said to have */
    int tables;
    bool is_slow; /* they say so when told */
};

/* What somebody asked for. */
struct asking {
    struct client_change change;
    int calls, err;
    char why[CLIENT_DESK_WORDS_BYTES];
    char id[64], name[64];
};

static void take_over(struct office *office)
{
    issued_unref(&office->public);
    office->public = office->coming;
    office->coming = NULL;
    client_desk_published(office->desk);
}

static int publish(void *owner, struct issued *issued)
{
    struct office *office = owner;

    assert_null(office->coming);
    office->coming = issued_ref(issued);
    office->tables++;
    return 0;
}

/* Until nothing is under way; the writer is a thread of its own. */
static void settle(struct office *office)
{
    for (int i = 0; i < 2000; i++) {
        loop_turn(office->loop, 1000);
        if (office->coming && !office->is_slow)
            take_over(office);
        if (i > 2 && store_is_idle(office->store) && !office->coming)
            break;
    }
}

static void begin(struct office *office)
{
    const struct client_desk_options options = {
        .loop = office->loop, .metrics = office->metrics, .publish = publish, .owner = office};
    const struct store_options store = {.loop = office->loop, .path = office->path};

    office->store = store_new(&store);
    assert_non_null(office->store);
    assert_int_equal(client_desk_new(&options, &office->desk), 0);
    client_desk_open(office->desk, office->store, "");
    settle(office);
}

static void end(struct office *office)
{
    client_desk_close(office->desk);
    issued_unref(&office->public);
    issued_unref(&office->coming);
    client_desk_free(&office->desk);
    store_free(&office->store);
}

static void open_office(struct office *office)
{
    *office = (struct office){.folder = "/tmp/bellwether-desk-XXXXXX"};
    assert_non_null(mkdtemp(office->folder));
    snprintf(office->path, sizeof(office->path), "%s/store.db", office->folder);
    office->loop = loop_new();
    office->metrics = metrics_schema_new();
    begin(office);
}

static void close_office(struct office *office)
{
    static const char *const files[] = {"store.db", "store.db-wal", "store.db-shm"};
    char path[128];

    end(office);
    metrics_schema_free(&office->metrics);
    loop_free(&office->loop);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", office->folder, files[i]);
        unlink(path);
    }
    snprintf(path, sizeof(path), "%s/store.db.lock", office->folder);
    unlink(path);
    rmdir(office->folder);
}

static void on_done(struct client_change *change, int err, const char *why)
{
    struct asking *asking = container_of(change, struct asking, change);

    asking->calls++;
    asking->err = err;
    snprintf(asking->why, sizeof(asking->why), "%s", why);
    if (err)
        return;
    snprintf(asking->id, sizeof(asking->id), "%.*s", SPAN_ARG(change->client->facts.id));
    snprintf(asking->name, sizeof(asking->name), "%.*s", SPAN_ARG(change->client->facts.name));
}

static struct client_change *ask(struct asking *asking)
{
    *asking = (struct asking){.change = {.on_done = on_done}};
    return &asking->change;
}

static struct issued_facts facts_of(const char *id, const char *name)
{
    struct issued_facts facts = {.id = span_from_text(id),
                                 .name = span_from_text(name),
                                 .class_name = SPAN("standard"),
                                 .created_wall_us = 1000};

    crypto_hash_sha256(facts.sha256, (const unsigned char *)id, strlen(id));
    return facts;
}

static int issue(struct office *office, struct asking *asking, const char *id, const char *name)
{
    struct issued_facts facts = facts_of(id, name);

    return client_desk_issue(office->desk, ask(asking), &facts);
}

/* What a worker makes of that secret, which is its id here. */
static const struct issued_client *known(const struct office *office, const char *id)
{
    uint8_t sha256[CONF_SHA256_BYTES];
    const struct client *client;

    crypto_hash_sha256(sha256, (const unsigned char *)id, strlen(id));
    client = office->public ? issued_find(office->public, sha256) : NULL;
    return client ? issued_of(client) : NULL;
}

/* ---- */

static void test_a_key_is_answered_once_all_know_it(void **state)
{
    struct office office;
    struct asking asking;

    open_office(&office);
    assert_true(client_desk_is_ready(office.desk));
    office.is_slow = true;
    assert_int_equal(issue(&office, &asking, "ck_1", "web"), 0);
    settle(&office);
    assert_int_equal(asking.calls, 0); /* written and given to the workers */
    assert_null(known(&office, "ck_1"));
    assert_non_null(office.coming);
    take_over(&office);
    assert_int_equal(asking.calls, 1);
    assert_int_equal(asking.err, 0);
    assert_string_equal(asking.id, "ck_1");
    assert_non_null(known(&office, "ck_1"));
    assert_non_null(client_desk_find(office.desk, SPAN("ck_1")));
    assert_non_null(client_desk_find_name(office.desk, SPAN("web")));
    close_office(&office);
}

static void test_what_is_asked_at_once_is_published_at_once(void **state)
{
    struct asking askings[50];
    struct office office;
    char id[16];
    int before;

    open_office(&office);
    before = office.tables;
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "ck_%d", i);
        assert_int_equal(issue(&office, &askings[i], id, id), 0);
    }
    settle(&office);
    for (int i = 0; i < 50; i++)
        assert_int_equal(askings[i].calls, 1);
    assert_true(office.tables - before <= 3);
    close_office(&office);
}

static void test_names_are_taken_once(void **state)
{
    struct asking first, second;
    struct office office;

    open_office(&office);
    assert_int_equal(issue(&office, &first, "ck_1", "web"), 0);
    assert_int_equal(issue(&office, &second, "ck_2", "web"), ERR_EXISTS); /* not done yet */
    settle(&office);
    assert_int_equal(issue(&office, &second, "ck_2", "web"), ERR_EXISTS);
    assert_int_equal(client_desk_revoke(office.desk, ask(&first), SPAN("ck_1")), 0);
    settle(&office);
    assert_int_equal(issue(&office, &second, "ck_2", "web"), 0);
    settle(&office);
    assert_int_equal(second.err, 0);
    assert_null(client_desk_find(office.desk, SPAN("ck_1")));
    close_office(&office);
}

static void test_a_revoked_key_is_known_as_such(void **state)
{
    struct office office;
    struct asking asking;

    open_office(&office);
    assert_int_equal(issue(&office, &asking, "ck_1", "web"), 0);
    settle(&office);
    office.is_slow = true;
    assert_int_equal(client_desk_revoke(office.desk, ask(&asking), SPAN("ck_1")), 0);
    assert_int_equal(client_desk_revoke(office.desk, &asking.change, SPAN("ck_1")), ERR_NOTFOUND);
    settle(&office);
    assert_int_equal(asking.calls, 0);
    take_over(&office);
    office.is_slow = false;
    settle(&office);
    assert_int_equal(asking.calls, 1);
    assert_int_equal(asking.err, 0);
    assert_int_not_equal(known(&office, "ck_1")->facts.revoked_wall_us, 0);
    end(&office);
    begin(&office);
    assert_int_not_equal(known(&office, "ck_1")->facts.revoked_wall_us, 0);
    assert_null(client_desk_find(office.desk, SPAN("ck_1")));
    close_office(&office);
}

static void test_keys_outlive_the_process(void **state)
{
    struct span models[] = {SPAN("gpt-*")};
    struct issued_facts facts = facts_of("ck_1", "web");
    const struct issued_client *client;
    struct office office;
    struct asking asking;
    size_t at = 0;

    open_office(&office);
    facts.models = (struct conf_strings){models, 1};
    facts.limits = (struct conf_limits){.rpm = 7, .tpm = 8, .concurrent = 9, .burst = 1};
    facts.class_name = SPAN("batch");
    facts.expires_wall_us = 5000;
    assert_int_equal(client_desk_issue(office.desk, ask(&asking), &facts), 0);
    settle(&office);
    end(&office);
    begin(&office);
    client = client_desk_next(office.desk, &at);
    assert_non_null(client);
    assert_true(span_is_equal(client->facts.name, SPAN("web")));
    assert_true(span_is_equal(client->client.class_name, SPAN("batch")));
    assert_true(client_may_use(&client->client, SPAN("gpt-4.1")));
    assert_false(client_may_use(&client->client, SPAN("o3")));
    assert_int_equal(client->facts.limits.rpm, 7);
    assert_int_equal(client->facts.limits.concurrent, 9);
    assert_int_equal(client->facts.expires_wall_us, 5000);
    assert_ptr_equal(known(&office, "ck_1"), client);
    assert_null(client_desk_next(office.desk, &at));
    assert_int_equal(issue(&office, &asking, "ck_2", "web"), ERR_EXISTS);
    close_office(&office);
}

static void test_an_update_keeps_who_it_is(void **state)
{
    struct issued_facts facts = facts_of("ck_other", "other");
    struct office office;
    struct asking asking, second;

    open_office(&office);
    assert_int_equal(issue(&office, &asking, "ck_1", "web"), 0);
    settle(&office);
    issued_note_use(known(&office, "ck_1"), 77 * US_PER_SEC);
    facts.limits.rpm = 5;
    assert_int_equal(client_desk_update(office.desk, ask(&asking), SPAN("ck_1"), &facts), 0);
    assert_int_equal(client_desk_update(office.desk, ask(&second), SPAN("ck_1"), &facts),
                     ERR_AGAIN);
    assert_int_equal(client_desk_update(office.desk, ask(&second), SPAN("ck_9"), &facts),
                     ERR_NOTFOUND);
    settle(&office);
    assert_int_equal(asking.calls, 1);
    assert_string_equal(asking.name, "web");
    assert_int_equal(known(&office, "ck_1")->facts.limits.rpm, 5);
    assert_int_equal(issued_last_use(known(&office, "ck_1")), 77 * US_PER_SEC);
    assert_null(known(&office, "ck_other"));
    close_office(&office);
}

static void test_without_a_store_nothing_is_issued(void **state)
{
    struct office office;
    struct asking asking;

    open_office(&office);
    end(&office);
    snprintf(office.path, sizeof(office.path), "%s/nowhere/store.db", office.folder);
    begin(&office);
    assert_false(client_desk_is_ready(office.desk));
    assert_int_equal(issue(&office, &asking, "ck_1", "web"), ERR_AGAIN);
    assert_non_null(strstr(client_desk_why(office.desk), "could not be read"));
    assert_int_equal(client_desk_revoke(office.desk, ask(&asking), SPAN("ck_1")), ERR_AGAIN);
    close_office(&office);
}

static void test_what_is_under_way_at_the_end_is_told(void **state)
{
    struct office office;
    struct asking asking;

    open_office(&office);
    assert_int_equal(issue(&office, &asking, "ck_1", "web"), 0);
    client_desk_close(office.desk);
    assert_int_equal(asking.calls, 1);
    assert_int_equal(asking.err, ERR_AGAIN);
    assert_non_null(strstr(asking.why, "ending"));
    assert_int_equal(issue(&office, &asking, "ck_2", "web"), ERR_AGAIN);
    end(&office);
    begin(&office);
    assert_null(known(&office, "ck_1")); /* its secret was told to nobody */
    close_office(&office);
}

/* ---- the form ---- */

static void read_form(struct client_form *form, const char *text, const struct issued_facts *before,
                      const char *complaint)
{
    static struct json_tree tree;
    int err;

    json_tree_fini(&tree);
    assert_int_equal(json_tree_read(&tree, span_from_text(text), 1 << 20), 0);
    err = client_form_read(form, yyjson_doc_get_root(tree.doc), before, 1000000);
    assert_int_equal(err, complaint ? ERR_SYNTAX : 0);
    if (complaint && !strstr(form->why, complaint))
        fail_msg("%s: %s", text, form->why);
}

static void test_the_form_takes_what_it_says(void **state)
{
    static const char *const bad[][2] = {
        {"{}", "'name' is missing"},
        {"{\"name\": 1}", "'name' is no name"},
        {"{\"name\": \"a b\"}", "'name' is no name"},
        {"{\"name\": \"a\", \"colour\": 1}", "'colour' is not taken"},
        {"{\"name\": \"a\", \"expires_in_days\": 0}", "expires_in_days"},
        {"{\"name\": \"a\", \"expires_in_days\": -1}", "expires_in_days"},
        {"{\"name\": \"a\", \"expires_in_days\": 1e300}", "expires_in_days"},
        {"{\"name\": \"a\", \"expires_at\": \"soon\"}", "expires_at"},
        {"{\"name\": \"a\", \"rate_limit\": -5}", "rate_limit"},
        {"{\"name\": \"a\", \"rate_limit\": 1.5}", "rate_limit"},
        {"{\"name\": \"a\", \"rate_limit\": 99999999999}", "rate_limit"},
        {"{\"name\": \"a\", \"limits\": []}", "limits"},
        {"{\"name\": \"a\", \"limits\": {\"rps\": 1}}", "unknown member"},
        {"{\"name\": \"a\", \"models\": \"gpt\"}", "models"},
        {"{\"name\": \"a\", \"models\": [\"a b\"]}", "models"},
        {"{\"name\": \"a\", \"class\": \"\"}", "class"},
        {"{\"name\": \"a\", \"class\": \"gold\"}", "class"},
    };
    struct issued_facts before = facts_of("ck_1", "web");
    struct client_form form;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        read_form(&form, bad[i][0], NULL, bad[i][1]);
    read_form(
        &form,
        "{\"name\": \"web\", \"expires_in_days\": 0.5, \"rate_limit\": 600, \"class\": "
        "\"batch\", \"models\": [\"a\", \"b*\"], \"limits\": {\"concurrent\": 3, \"tpm\": 9}}",
        NULL, NULL);
    assert_int_equal(form.facts.expires_wall_us, 1000000 + 43200 * US_PER_SEC);
    assert_int_equal(form.facts.limits.rpm, 600);
    assert_int_equal(form.facts.limits.concurrent, 3);
    assert_int_equal(form.facts.limits.tpm, 9);
    assert_int_equal(form.facts.models.count, 2);
    before.limits.rpm = 5;
    before.expires_wall_us = 8;
    read_form(&form, "{\"name\": \"other\"}", &before, "'name' is not taken");
    read_form(&form, "{\"limits\": {\"concurrent\": 2}}", &before, NULL);
    assert_int_equal(form.facts.limits.rpm, 5);
    assert_int_equal(form.facts.limits.concurrent, 2);
    read_form(&form, "{\"rate_limit\": null, \"expires_at\": null, \"models\": null}", &before,
              NULL);
    assert_int_equal(form.facts.limits.rpm, 0);
    assert_int_equal(form.facts.expires_wall_us, 0);
    read_form(&form, "{}", &before, NULL);
    assert_int_equal(form.facts.expires_wall_us, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_is_answered_once_all_know_it),
        cmocka_unit_test(test_what_is_asked_at_once_is_published_at_once),
        cmocka_unit_test(test_names_are_taken_once),
        cmocka_unit_test(test_a_revoked_key_is_known_as_such),
        cmocka_unit_test(test_keys_outlive_the_process),
        cmocka_unit_test(test_an_update_keeps_who_it_is),
        cmocka_unit_test(test_without_a_store_nothing_is_issued),
        cmocka_unit_test(test_what_is_under_way_at_the_end_is_told),
        cmocka_unit_test(test_the_form_takes_what_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
