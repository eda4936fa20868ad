/* Sums of the day, the month and of all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/datetime.h"
#include "ledger/books.h"

static struct books books;

static uint64_t wall_of(const char *text)
{
    uint64_t wall_us;

    assert_int_equal(datetime_read_rfc3339(span_from_text(text), &wall_us), 0);
    return wall_us;
}

static int open_books(void **state)
{
    books_init(&books, wall_of("2026-11-21T10:00:00Z"));
    return 0;
}

static int close_books(void **state)
{
    books_fini(&books);
    return 0;
}

static void add(const char *client, const char *key, uint64_t nanousd)
{
    const struct use_of of = {span_from_text(client), SPAN("gpt"), SPAN("up"), span_from_text(key)};
    const struct use use = {.requests = 1, .input_tokens = 10, .cost_nanousd = nanousd};

    books_add(&books, &of, &use);
}

/* Of that name: requests and cost of the day, the month and all. */
static void expect(enum books_kind kind, const char *name, const char *text)
{
    const struct books_row *row = roll_find(&books.rows[kind], span_from_text(name));
    char shown[128] = "none ";
    size_t len = 0;

    for (enum books_period p = 0; row && p < BOOKS_PERIODS; p++)
        len += (size_t)snprintf(shown + len, sizeof(shown) - len, "%llu:%llu ",
                                (unsigned long long)row->sums[p].requests,
                                (unsigned long long)row->sums[p].cost_nanousd);
    assert_string_equal(shown, text);
}

/* The names that are to be written down, in their order. */
static void expect_changed(const char *text)
{
    struct books_row *row;
    char shown[256] = "";
    size_t len = 0;

    while ((row = books_take_changed(&books)))
        len += (size_t)snprintf(shown + len, sizeof(shown) - len, "%s %.*s, ",
                                books_kind_word(row->kind), SPAN_ARG(row->record.name));
    assert_string_equal(shown, text);
}

static void each_is_added_to_all_four(void **state)
{
    add("web", "one", 5);
    add("web", "two", 7);
    expect(BOOKS_CLIENT, "web", "2:12 2:12 2:12 ");
    expect(BOOKS_KEY, "up/one", "1:5 1:5 1:5 ");
    expect(BOOKS_KEY, "up/two", "1:7 1:7 1:7 ");
    expect(BOOKS_KEY, "one", "none ");
    expect(BOOKS_MODEL, "gpt", "2:12 2:12 2:12 ");
    expect(BOOKS_PROVIDER, "up", "2:12 2:12 2:12 ");
    assert_int_equal(books.whole[BOOKS_DAY].cost_nanousd, 12);
    assert_int_equal(books.whole[BOOKS_ALL].input_tokens, 20);
    expect_changed("key up/one, client web, model gpt, provider up, key up/two, ");
    expect_changed("");
    add("web", "two", 1);
    add("web", "two", 1);
    books_put_back(&books,
                   roll_find(&books.rows[BOOKS_KEY], SPAN("up/two"))); /* is in it already */
    expect_changed("key up/two, client web, model gpt, provider up, ");
}

static void days_and_months_begin_anew(void **state)
{
    add("web", "one", 5);
    assert_false(books_is_over(&books, wall_of("2026-11-21T23:59:59Z")));
    assert_true(books_is_over(&books, wall_of("2026-11-22T00:00:00Z")));
    books_turn(&books, wall_of("2026-11-22T00:00:00Z"));
    assert_false(books_is_over(&books, wall_of("2026-11-22T00:00:00Z")));
    expect(BOOKS_CLIENT, "web", "0:0 1:5 1:5 ");
    add("web", "one", 2);
    expect(BOOKS_CLIENT, "web", "1:2 2:7 2:7 ");
    assert_int_equal(books.whole[BOOKS_DAY].requests, 1);
    /* The clock is set back: nothing ends. */
    assert_false(books_is_over(&books, wall_of("2026-11-21T23:00:00Z")));
    books_turn(&books, wall_of("2026-11-21T23:00:00Z"));
    expect(BOOKS_CLIENT, "web", "1:2 2:7 2:7 ");
    books_turn(&books, wall_of("2026-12-01T00:00:00Z"));
    expect(BOOKS_CLIENT, "web", "0:0 0:0 2:7 ");
    assert_int_equal(books.start_us[BOOKS_MONTH], wall_of("2026-12-01"));
    assert_int_equal(books.start_us[BOOKS_ALL], 0);
}

static void what_was_written_down_counts_on(void **state)
{
    const struct use use = {.requests = 3, .cost_nanousd = 30};
    struct span web = SPAN("web");

    add("web", "one", 5);
    expect_changed("key up/one, client web, model gpt, provider up, ");
    books_give_back(&books, BOOKS_CLIENT, web, BOOKS_DAY, wall_of("2026-11-21"), &use);
    books_give_back(&books, BOOKS_CLIENT, web, BOOKS_DAY, wall_of("2026-11-20"), &use);
    books_give_back(&books, BOOKS_CLIENT, web, BOOKS_MONTH, wall_of("2026-11-01"), &use);
    books_give_back(&books, BOOKS_CLIENT, web, BOOKS_MONTH, wall_of("2026-10-01"), &use);
    books_give_back(&books, BOOKS_CLIENT, web, BOOKS_ALL, 0, &use);
    books_give_back(&books, BOOKS_CLIENT, SPAN("app"), BOOKS_ALL, 0, &use);
    expect(BOOKS_CLIENT, "web", "4:35 4:35 4:35 ");
    expect(BOOKS_CLIENT, "app", "0:0 0:0 3:30 ");
    assert_int_equal(books.whole[BOOKS_ALL].requests, 1);
    books_give_back(&books, BOOKS_PROVIDER, SPAN("up"), BOOKS_ALL, 0, &use);
    assert_int_equal(books.whole[BOOKS_ALL].requests, 4);
    expect_changed("");
}

static void names_past_the_most_are_other(void **state)
{
    char name[16];

    for (int i = 0; i < BOOKS_MAX + 5; i++) {
        snprintf(name, sizeof(name), "c%d", i);
        add(name, "one", 1);
    }
    expect(BOOKS_CLIENT, "c0", "1:1 1:1 1:1 ");
    expect(BOOKS_CLIENT, "other", "6:6 6:6 6:6 ");
    assert_int_equal(roll_count(&books.rows[BOOKS_CLIENT]), BOOKS_MAX);
    add("c1", "one", 1);
    expect(BOOKS_CLIENT, "c1", "2:2 2:2 2:2 ");
    add("", "", 1);
    expect(BOOKS_CLIENT, "other", "7:7 7:7 7:7 ");
    expect(BOOKS_KEY, "other", "1:1 1:1 1:1 ");
}

/* The store refuses whatever is written beside such a name. */
static void names_that_nobody_keeps_are_other(void **state)
{
    add("web\n", "one\x7f", 1);
    expect(BOOKS_CLIENT, "other", "1:1 1:1 1:1 ");
    expect_changed("key other, client other, model gpt, provider up, ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_is_added_to_all_four, open_books, close_books),
        cmocka_unit_test_setup_teardown(days_and_months_begin_anew, open_books, close_books),
        cmocka_unit_test_setup_teardown(what_was_written_down_counts_on, open_books, close_books),
        cmocka_unit_test_setup_teardown(names_past_the_most_are_other, open_books, close_books),
        cmocka_unit_test_setup_teardown(names_that_nobody_keeps_are_other, open_books, close_books),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
