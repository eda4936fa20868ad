/* The audit trail, and the small values beside it. */
#include "stage.h"

#include "store/audit.h"
#include "store/meta.h"

struct page {
    size_t count;
    uint64_t last_seq;
    char text[65536];
};

static void look(const struct store_answer *answer, void *owner)
{
    const struct audit_line *lines = audit_told(answer);
    struct page *page = owner;
    size_t len = 0;

    page->count = answer->count;
    page->text[0] = '\0';
    for (size_t i = 0; i < answer->count; i++) {
        const struct audit_line *a = &lines[i];

        page->last_seq = a->seq;
        len += (size_t)snprintf(page->text + len, sizeof(page->text) - len,
                                "%llu %.*s@%.*s %.*s %.*s/%.*s: %.*s (%.*s)\n",
                                (unsigned long long)a->at_wall_us, SPAN_ARG(a->actor),
                                SPAN_ARG(a->origin), SPAN_ARG(a->action), SPAN_ARG(a->provider),
                                SPAN_ARG(a->key), SPAN_ARG(a->result), SPAN_ARG(a->detail));
    }
}

static int list(struct stage *stage, const struct audit_page *wanted, struct page *page)
{
    struct reply reply = {.look = look, .owner = page};

    return stage_done(stage, &reply, audit_list(stage->store, reply_for(&reply), wanted));
}

static struct audit_line line_of(uint64_t at, const char *provider, const char *key)
{
    return (struct audit_line){.at_wall_us = at,
                               .actor = SPAN("ops"),
                               .origin = SPAN("127.0.0.1:5000"),
                               .action = SPAN("rotate"),
                               .provider = span_from_text(provider),
                               .key = span_from_text(key),
                               .result = SPAN("done")};
}

static void who_did_what_is_read_again(void **state)
{
    struct audit_line line = line_of(7, "openai", "main");
    struct reply reply = {0};
    static struct page page;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    line.detail = SPAN("asked\r\nfor by hand");
    assert_int_equal(stage_done(&stage, &reply, audit_add(stage.store, reply_for(&reply), &line)),
                     0);
    line = (struct audit_line){.at_wall_us = 6, /* the clock went back: the order stays */
                               .actor = SPAN("rotation"),
                               .action = SPAN("revoke"),
                               .result = SPAN("failed")};
    assert_int_equal(audit_add(stage.store, NULL, &line), 0);
    stage_end(&stage);

    stage_begin(&stage, NULL);
    assert_int_equal(list(&stage, &(struct audit_page){.limit = 10}, &page), 0);
    assert_string_equal(page.text,
                        "6 rotation@ revoke /: failed ()\n"
                        "7 ops@127.0.0.1:5000 rotate openai/main: done (asked  for by hand)\n");
    stage_close(&stage);
}

static void lists_are_paged_and_told_apart_by_key(void **state)
{
    static const char *const keys[] = {"x", "y", ""};
    struct audit_page wanted = {.limit = 7};
    static struct page page;
    struct stage stage;
    size_t seen = 0;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (unsigned i = 0; i < 60; i++) {
        struct audit_line line = line_of(i + 1, i % 2 ? "a" : "b", keys[i % 3]);

        assert_int_equal(audit_add(stage.store, NULL, &line), 0);
    }
    do {
        assert_int_equal(list(&stage, &wanted, &page), 0);
        assert_int_equal(strtoull(page.text, NULL, 10), 60 - seen);
        seen += page.count;
        wanted.before_seq = page.last_seq;
    } while (page.count == wanted.limit);
    assert_int_equal(seen, 60);
    wanted = (struct audit_page){.provider = SPAN("a"), .limit = 500};
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 30);
    wanted.key = SPAN("y");
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 10);
    wanted.key = SPAN("z");
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 0);
    stage_close(&stage);
}

/* What somebody made up is written all the same, and found again under the name he used. */
static void odd_names_are_made_fit(void **state)
{
    static char much[400];
    struct audit_line line = line_of(1, "no\nsuch", "x");
    static struct page page;
    struct stage stage;

    memset(much, 'm', sizeof(much));
    stage_open(&stage);
    stage_begin(&stage, NULL);
    line.key = span_of(much, sizeof(much));
    line.result = SPAN("refused");
    assert_int_equal(audit_add(stage.store, NULL, &line), 0);
    assert_int_equal(list(&stage,
                          &(struct audit_page){.provider = SPAN("no\nsuch"),
                                               .key = span_of(much, sizeof(much)),
                                               .limit = 1},
                          &page),
                     0);
    assert_int_equal(page.count, 1);
    assert_non_null(strstr(page.text, "rotate no such/mmm"));
    assert_int_equal(strspn(strchr(page.text, '/') + 1, "m"), 256);
    stage_close(&stage);
}

static void old_lines_are_pruned(void **state)
{
    struct reply reply = {0};
    static struct page page;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (unsigned i = 1; i <= 10; i++) {
        struct audit_line line = line_of(i, "a", "x");

        assert_int_equal(audit_add(stage.store, NULL, &line), 0);
    }
    assert_int_equal(stage_done(&stage, &reply, audit_prune(stage.store, reply_for(&reply), 8)), 0);
    assert_int_equal(reply.count, 7);
    assert_int_equal(list(&stage, &(struct audit_page){.limit = 10}, &page), 0);
    assert_int_equal(page.count, 3);
    stage_close(&stage);
}

static void a_line_says_who_what_and_how_it_ended(void **state)
{
    struct audit_line line;
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    line = line_of(1, "a", "x");
    line.actor = SPAN("");
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &line), ERR_RANGE);
    line = line_of(1, "a", "x");
    line.action = SPAN("POST /rotate");
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &line), ERR_RANGE);
    line = line_of(1, "a", "x");
    line.result = SPAN("");
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &line), ERR_RANGE);
    line = line_of(1, "", "x"); /* a key of which provider? */
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &line), ERR_RANGE);
    assert_int_equal(audit_list(stage.store, reply_for(&reply),
                                &(struct audit_page){.key = SPAN("x"), .limit = 1}),
                     ERR_RANGE);
    assert_int_equal(audit_list(stage.store, reply_for(&reply), &(struct audit_page){.limit = 501}),
                     ERR_RANGE);
    stage_close(&stage);
}

/* ---- small values ---- */

static void look_at_value(const struct store_answer *answer, void *owner)
{
    const struct meta_value *value = meta_told(answer);
    struct page *page = owner;

    assert_int_equal(answer->count, 1);
    snprintf(page->text, sizeof(page->text), "%.*s=%.*s", SPAN_ARG(value->name),
             SPAN_ARG(value->value));
    page->last_seq = value->changed_wall_us;
}

static int get(struct stage *stage, struct span name, struct page *page)
{
    struct reply reply = {.look = look_at_value, .owner = page};

    return stage_done(stage, &reply, meta_get(stage->store, reply_for(&reply), name));
}

static void values_are_kept_by_name(void **state)
{
    static char much[513];
    struct reply reply = {0};
    static struct page page;
    struct stage stage;
    uint64_t before_us;

    memset(much, 'a', sizeof(much));
    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(get(&stage, SPAN("instance_id"), &page), ERR_NOTFOUND);
    before_us = loop_wall_us(stage.loop);
    assert_int_equal(meta_set_once(stage.store, NULL, SPAN("instance_id"), SPAN("4711")), 0);
    assert_int_equal(stage_done(&stage, &reply,
                                meta_set_once(stage.store, reply_for(&reply), SPAN("instance_id"),
                                              SPAN("another"))),
                     ERR_EXISTS);
    assert_int_equal(meta_set(stage.store, NULL, SPAN("last_backup"), SPAN("yesterday")), 0);
    assert_int_equal(meta_set(stage.store, NULL, SPAN("last_backup"), SPAN("")), 0);
    stage_end(&stage);

    stage_begin(&stage, NULL);
    assert_int_equal(get(&stage, SPAN("instance_id"), &page), 0);
    assert_string_equal(page.text, "instance_id=4711");
    assert_true(page.last_seq >= before_us);
    assert_int_equal(get(&stage, SPAN("last_backup"), &page), 0);
    assert_string_equal(page.text, "last_backup=");
    assert_int_equal(
        meta_set(stage.store, reply_for(&reply), SPAN("x"), span_of(much, sizeof(much))),
        ERR_RANGE);
    assert_int_equal(meta_set(stage.store, reply_for(&reply), SPAN("X"), SPAN("")), ERR_RANGE);
    assert_int_equal(meta_set(stage.store, reply_for(&reply), SPAN(""), SPAN("")), ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_did_what_is_read_again),
        cmocka_unit_test(lists_are_paged_and_told_apart_by_key),
        cmocka_unit_test(odd_names_are_made_fit),
        cmocka_unit_test(old_lines_are_pruned),
        cmocka_unit_test(a_line_says_who_what_and_how_it_ended),
        cmocka_unit_test(values_are_kept_by_name),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
