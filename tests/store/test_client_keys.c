/* Client keys that were issued, as they are found again. */
#include "stage.h"

#include "store/client_keys.h"

struct shown {
    char text[4096];
};

static void look(const struct store_answer *answer, void *owner)
{
    const struct client_key_row *rows = client_keys_told(answer);
    struct shown *shown = owner;
    size_t len = 0;

    shown->text[0] = '\0';
    for (size_t i = 0; i < answer->count; i++) {
        const struct client_key_row *row = &rows[i];

        len += (size_t)snprintf(
            shown->text + len, sizeof(shown->text) - len,
            "%.*s %.*s %.*s %02x rpm %llu tpm %llu at once %llu burst %llu made %llu ends %llu "
            "revoked %llu:",
            SPAN_ARG(row->id), SPAN_ARG(row->name), SPAN_ARG(row->class_name), row->sha256[31],
            (unsigned long long)row->rpm, (unsigned long long)row->tpm,
            (unsigned long long)row->concurrent, (unsigned long long)row->burst,
            (unsigned long long)row->created_wall_us, (unsigned long long)row->expires_wall_us,
            (unsigned long long)row->revoked_wall_us);
        for (size_t m = 0; m < row->model_count; m++)
            len += (size_t)snprintf(shown->text + len, sizeof(shown->text) - len, " %.*s",
                                    SPAN_ARG(row->models[m]));
        len += (size_t)snprintf(shown->text + len, sizeof(shown->text) - len, "\n");
    }
}

static void expect(struct stage *stage, const char *text)
{
    static struct shown shown;
    struct reply reply = {.look = look, .owner = &shown};

    assert_int_equal(stage_done(stage, &reply, client_keys_load(stage->store, reply_for(&reply))),
                     0);
    assert_string_equal(shown.text, text);
}

static struct client_key_row row_of(const char *id, uint8_t digest, uint64_t created)
{
    struct client_key_row row = {.id = span_from_text(id),
                                 .name = SPAN("web"),
                                 .class_name = SPAN("standard"),
                                 .created_wall_us = created};

    row.sha256[31] = digest;
    return row;
}

static int put(struct stage *stage, const struct client_key_row *row)
{
    struct reply reply = {0};

    return stage_done(stage, &reply, client_keys_put(stage->store, reply_for(&reply), row));
}

static void keys_outlive_the_process(void **state)
{
    static const struct span models[] = {SPAN_INIT("gpt-4.1"), SPAN_INIT("deepseek-*")};
    struct client_key_row late = row_of("ck_2", 2, 20), early = row_of("ck_1", 1, 10);
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, "");
    late.models = models;
    late.model_count = 2;
    late.rpm = 600;
    late.tpm = 1u << 20;
    late.concurrent = 5;
    late.burst = 60;
    late.expires_wall_us = 99;
    assert_int_equal(put(&stage, &late), 0);
    assert_int_equal(put(&stage, &early), 0);
    stage_end(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, "ck_1 web standard 01 rpm 0 tpm 0 at once 0 burst 0 made 10 ends 0 revoked 0:\n"
                   "ck_2 web standard 02 rpm 600 tpm 1048576 at once 5 burst 60 made 20 ends 99 "
                   "revoked 0: gpt-4.1 deepseek-*\n");
    stage_close(&stage);
}

static void a_change_replaces_all_of_it(void **state)
{
    static const struct span models[] = {SPAN_INIT("a"), SPAN_INIT("b"), SPAN_INIT("c")};
    struct client_key_row row = row_of("ck_1", 1, 10);
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    row.models = models;
    row.model_count = 3;
    assert_int_equal(put(&stage, &row), 0);
    row.models = models + 2;
    row.model_count = 1;
    row.class_name = SPAN("batch");
    row.revoked_wall_us = 30;
    assert_int_equal(put(&stage, &row), 0);
    expect(&stage,
           "ck_1 web batch 01 rpm 0 tpm 0 at once 0 burst 0 made 10 ends 0 revoked 30: c\n");
    stage_close(&stage);
}

static void no_two_have_one_digest(void **state)
{
    struct client_key_row row = row_of("ck_1", 1, 10), twin = row_of("ck_2", 1, 20);
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(put(&stage, &row), 0);
    assert_int_equal(put(&stage, &twin), ERR_EXISTS);
    expect(&stage,
           "ck_1 web standard 01 rpm 0 tpm 0 at once 0 burst 0 made 10 ends 0 revoked 0:\n");
    stage_close(&stage);
}

static void one_is_forgotten(void **state)
{
    static const struct span models[] = {SPAN_INIT("a")};
    struct client_key_row row = row_of("ck_1", 1, 10), other = row_of("ck_2", 2, 20);
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    row.models = models;
    row.model_count = 1;
    assert_int_equal(put(&stage, &row), 0);
    assert_int_equal(put(&stage, &other), 0);
    for (size_t left = 1; left + 1 > 0; left--) {
        assert_int_equal(
            stage_done(&stage, &reply,
                       client_keys_forget(stage.store, reply_for(&reply), SPAN("ck_1"))),
            0);
        assert_int_equal(reply.count, left);
    }
    expect(&stage,
           "ck_2 web standard 02 rpm 0 tpm 0 at once 0 burst 0 made 20 ends 0 revoked 0:\n");
    stage_close(&stage);
}

static void what_is_no_name_is_refused(void **state)
{
    static const struct span models[] = {SPAN_INIT("a\nb")};
    struct client_key_row row = row_of("ck_1", 1, 10);
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    row.models = models;
    row.model_count = 1;
    assert_int_equal(client_keys_put(stage.store, reply_for(&reply), &row), ERR_RANGE);
    row.model_count = CLIENT_KEYS_MAX_MODELS + 1;
    assert_int_equal(client_keys_put(stage.store, reply_for(&reply), &row), ERR_RANGE);
    row.model_count = 0;
    row.name = SPAN("");
    assert_int_equal(client_keys_put(stage.store, reply_for(&reply), &row), ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_outlive_the_process),   cmocka_unit_test(a_change_replaces_all_of_it),
        cmocka_unit_test(no_two_have_one_digest),     cmocka_unit_test(one_is_forgotten),
        cmocka_unit_test(what_is_no_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
