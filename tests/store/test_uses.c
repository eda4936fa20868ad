/* What was used, as it is found again. */
#include "stage.h"

#include "store/uses.h"

#define DAY_US (86400 * US_PER_SEC)

struct shown {
    char text[1024];
};

static void look(const struct store_answer *answer, void *owner)
{
    const struct use_row *rows = uses_told(answer);
    struct shown *shown = owner;
    size_t len = 0;

    for (size_t i = 0; i < answer->count; i++)
        len += (size_t)snprintf(
            shown->text + len, sizeof(shown->text) - len,
            "%.*s %.*s, %.*s %llu: %llu %llu %llu %llu %llu %llu %llu\n", SPAN_ARG(rows[i].kind),
            SPAN_ARG(rows[i].name), SPAN_ARG(rows[i].period),
            (unsigned long long)(rows[i].start_wall_us / DAY_US),
            (unsigned long long)rows[i].requests, (unsigned long long)rows[i].input_tokens,
            (unsigned long long)rows[i].cached_tokens, (unsigned long long)rows[i].output_tokens,
            (unsigned long long)rows[i].reasoning_tokens, (unsigned long long)rows[i].cost_nanousd,
            (unsigned long long)rows[i].unpriced);
}

static void expect(struct stage *stage, const char *period, uint64_t day, const char *text)
{
    struct shown shown = {.text = ""};
    struct reply reply = {.look = look, .owner = &shown};

    assert_int_equal(stage_done(stage, &reply,
                                uses_load(stage->store, reply_for(&reply), span_from_text(period),
                                          day * DAY_US)),
                     0);
    assert_string_equal(shown.text, text);
}

static struct use_row row_of(const char *kind, const char *name, const char *period, uint64_t day,
                             uint64_t requests)
{
    return (struct use_row){.kind = span_from_text(kind),
                            .name = span_from_text(name),
                            .period = span_from_text(period),
                            .start_wall_us = day * DAY_US,
                            .requests = requests,
                            .input_tokens = 2,
                            .cached_tokens = 3,
                            .output_tokens = 4,
                            .reasoning_tokens = 5,
                            .cost_nanousd = UINT64_C(1) << 62,
                            .unpriced = 7};
}

static int put(struct stage *stage, const struct use_row *rows, size_t count)
{
    struct reply reply = {0};

    return stage_done(stage, &reply, uses_put(stage->store, reply_for(&reply), rows, count));
}

static void sums_outlive_the_process(void **state)
{
    struct use_row rows[] = {
        row_of("key", "up/one", "day", 20, 1), row_of("client", "web", "day", 20, 1),
        row_of("client", "web", "day", 19, 8), row_of("client", "web", "all", 0, 9)};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, "day", 20, "");
    assert_int_equal(put(&stage, rows, 4), 0);
    rows[0].requests = 6;
    assert_int_equal(put(&stage, rows, 1), 0);
    stage_end(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, "day", 20,
           "client web, day 20: 1 2 3 4 5 4611686018427387904 7\n"
           "key up/one, day 20: 6 2 3 4 5 4611686018427387904 7\n");
    expect(&stage, "all", 0, "client web, all 0: 9 2 3 4 5 4611686018427387904 7\n");
    expect(&stage, "month", 0, "");
    assert_int_equal(uses_prune(stage.store, NULL, SPAN("day"), 20 * DAY_US), 0);
    stage_settle(&stage);
    expect(&stage, "day", 19, "");
    expect(&stage, "all", 0, "client web, all 0: 9 2 3 4 5 4611686018427387904 7\n");
    stage_close(&stage);
}

static void what_is_no_row_is_refused(void **state)
{
    struct use_row row = row_of("client", "", "day", 20, 1);
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(uses_put(stage.store, reply_for(&reply), &row, 1), ERR_RANGE);
    row = row_of("client", "web", "Day", 20, 1);
    assert_int_equal(uses_put(stage.store, reply_for(&reply), &row, 1), ERR_RANGE);
    row = row_of("client", "web", "day", 20, 1);
    assert_int_equal(uses_put(stage.store, reply_for(&reply), &row, 0), ERR_RANGE);
    assert_int_equal(uses_put(stage.store, reply_for(&reply), &row, USES_ROWS_MAX + 1), ERR_RANGE);
    assert_int_equal(uses_load(stage.store, reply_for(&reply), SPAN("a day"), 0), ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_outlive_the_process),
        cmocka_unit_test(what_is_no_row_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
