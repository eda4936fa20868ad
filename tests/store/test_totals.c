/* Sums of periods, as they are found again. */
#include "stage.h"

#include "store/totals.h"

#define DAY_US (86400 * US_PER_SEC)

struct shown {
    char text[1024];
};

static void look(const struct store_answer *answer, void *owner)
{
    const struct total *totals = totals_told(answer);
    struct shown *shown = owner;
    size_t len = 0;

    shown->text[0] = '\0';
    for (size_t i = 0; i < answer->count; i++)
        len += (size_t)snprintf(shown->text + len, sizeof(shown->text) - len,
                                "%.*s of %.*s, %.*s %llu: %llu\n", SPAN_ARG(totals[i].kind),
                                SPAN_ARG(totals[i].name), SPAN_ARG(totals[i].period),
                                (unsigned long long)(totals[i].start_wall_us / DAY_US),
                                (unsigned long long)totals[i].sum);
}

/* Of periods that began at those days. */
static void expect(struct stage *stage, uint64_t day, uint64_t too, const char *text)
{
    const uint64_t starts[TOTALS_STARTS] = {day * DAY_US, day * DAY_US, too * DAY_US, day * DAY_US};
    static struct shown shown;
    struct reply reply = {.look = look, .owner = &shown};

    shown.text[0] = '\0';
    assert_int_equal(
        stage_done(stage, &reply,
                   totals_load(stage->store, reply_for(&reply), SPAN(TOTAL_KEY_SPEND), starts)),
        0);
    assert_string_equal(shown.text, text);
}

static struct total total_of(const char *name, const char *period, uint64_t day, uint64_t sum)
{
    return (struct total){.kind = SPAN(TOTAL_KEY_SPEND),
                          .name = span_from_text(name),
                          .period = span_from_text(period),
                          .start_wall_us = day * DAY_US,
                          .sum = sum};
}

static int put(struct stage *stage, const struct total *totals, size_t count)
{
    struct reply reply = {0};

    return stage_done(stage, &reply, totals_put(stage->store, reply_for(&reply), totals, count));
}

static void sums_outlive_the_process(void **state)
{
    struct total totals[] = {total_of("up/one", "day", 20, 5), total_of("up/one", "month", 20, 70),
                             total_of("up/two", "day", 20, UINT64_C(1) << 60),
                             total_of("up/one", "day", 19, 3)};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, 20, 19, "");
    assert_int_equal(put(&stage, totals, 4), 0);
    totals[0].sum = 6;
    assert_int_equal(put(&stage, totals, 1), 0);
    totals[0].kind = SPAN("something_else");
    assert_int_equal(put(&stage, totals, 1), 0);
    stage_end(&stage);
    stage_begin(&stage, NULL);
    expect(&stage, 20, 18,
           "key_nanousd of up/one, day 20: 6\nkey_nanousd of up/one, month 20: 70\n"
           "key_nanousd of up/two, day 20: 1152921504606846976\n");
    expect(&stage, 18, 19, "key_nanousd of up/one, day 19: 3\n");
    assert_int_equal(totals_prune(stage.store, NULL, 20 * DAY_US), 0);
    stage_settle(&stage);
    expect(&stage, 20, 19,
           "key_nanousd of up/one, day 20: 6\nkey_nanousd of up/one, month 20: 70\n"
           "key_nanousd of up/two, day 20: 1152921504606846976\n");
    stage_close(&stage);
}

static void what_is_no_name_is_refused(void **state)
{
    static const uint64_t starts[TOTALS_STARTS];
    static char long_name[600];
    struct total total = total_of("", "day", 20, 5);
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(totals_put(stage.store, reply_for(&reply), &total, 1), ERR_RANGE);
    memset(long_name, 'a', sizeof(long_name) - 1);
    total.name = span_from_text(long_name);
    assert_int_equal(totals_put(stage.store, reply_for(&reply), &total, 1), ERR_RANGE);
    total = total_of("up/one", "Day", 20, 5);
    assert_int_equal(totals_put(stage.store, reply_for(&reply), &total, 1), ERR_RANGE);
    assert_int_equal(totals_put(stage.store, reply_for(&reply), &total, TOTALS_MAX + 1), ERR_RANGE);
    assert_int_equal(totals_load(stage.store, reply_for(&reply), SPAN("Not a word"), starts),
                     ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_outlive_the_process),
        cmocka_unit_test(what_is_no_name_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
