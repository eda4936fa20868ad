/* alerts/unexplained: a provider's own count against ours, span by span. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "alerts/unexplained.h"
#include "base/rand.h"

#define START UINT64_C(500000)

static const struct unexplained_rules rules = {
    .at_least = {10, 100000}, .requests_above = 0.01, .tokens_above = 0.1};

/* What is used in each of these spans, by us and in all. */
struct hour {
    struct use_count ours, theirs;
};

/* How often something is told, where the provider is asked once at the end of each span. */
static unsigned go(struct use_book *book, const struct hour *hours, size_t count,
                   struct use_gap *ret_gap)
{
    unsigned told = 0;

    use_book_count(book, START, (struct use_count){0});
    for (size_t i = 0; i < count; i++) {
        use_book_count(book, START + 1 + i, hours[i].ours);
        use_book_count(book, START + 2 + i, (struct use_count){0});
        use_book_forget(book);
        for (size_t j = 0; j <= i; j++)
            use_book_hear(book, START + 1 + j, hours[j].theirs);
        told += use_book_compare(book, &rules, START + 2 + i, ret_gap);
    }
    return told;
}

#define GO(book, ret_gap, ...)                                                                     \
    go((book), (const struct hour[]){__VA_ARGS__},                                                 \
       sizeof((const struct hour[]){__VA_ARGS__}) / sizeof(struct hour), (ret_gap))

static void what_went_through_here_is_explained(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(GO(&book, &gap, {{1000, 900000}, {1000, 900000}}, {{0, 0}, {0, 0}},
                        {{1000, 900000}, {990, 1}}),
                     0);
}

static void a_key_that_others_use_is_told(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(
        GO(&book, &gap, {{1000, 900000}, {1000, 900000}}, {{1000, 900000}, {1100, 1900000}}), 1);
    assert_true(gap.span == START + 2);
    assert_true(gap.ours.requests == 1000 && gap.theirs.tokens == 1900000);
}

static void one_that_rests_here_too(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(GO(&book, &gap, {{0, 0}, {0, 0}}, {{0, 0}, {10, 100000}}), 1);
}

static void little_is_not_told(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    /* Few requests; few tokens; a small share of requests; a small share of tokens. */
    assert_int_equal(GO(&book, &gap, {{0, 0}, {9, 9000000}}, {{0, 0}, {900, 99999}},
                        {{9000, 0}, {9090, 9000000}}, {{0, 9000000}, {900, 9900000}}),
                     0);
}

/* As where its usage is not known here, for clients left. */
static void tokens_alone_are_not_told(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(GO(&book, &gap, {{5000, 0}, {5000, 90000000}}), 0);
}

/* Long requests near the border of two spans. */
static void what_stands_in_the_span_beside_is_explained(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(GO(&book, &gap, {{100, 1000000}, {0, 0}}, {{0, 0}, {100, 1000000}}), 0);
    book = (struct use_book){.newest = 0};
    use_book_count(&book, START, (struct use_count){0});
    use_book_count(&book, START + 1, (struct use_count){0});
    use_book_count(&book, START + 2, (struct use_count){100, 1000000});
    use_book_hear(&book, START + 1, (struct use_count){100, 1000000});
    assert_false(use_book_compare(&book, &rules, START + 2, &gap));
    /* Used up by what stands there. */
    use_book_hear(&book, START + 2, (struct use_count){100, 1000000});
    assert_true(use_book_compare(&book, &rules, START + 2, &gap));
}

static void it_is_told_once_until_it_was_over(void **state)
{
    const struct hour well = {{1000, 900000}, {1000, 900000}};
    const struct hour bad = {{1000, 900000}, {2000, 1800000}};
    const struct hour hours[] = {well, bad, bad, bad, well, bad, bad};
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    assert_int_equal(go(&book, hours, 7, &gap), 2);
}

/* The span in which the process began, and what it is too late for. */
static void what_we_have_not_seen_whole_is_not_compared(void **state)
{
    const struct use_count much = {1000, 9000000};
    struct use_book book = {.newest = 0};
    struct use_gap gap;

    (void)state;
    use_book_count(&book, START, (struct use_count){0});
    use_book_hear(&book, START - 1, much);
    use_book_hear(&book, START, much);
    use_book_count(&book, START + 1, (struct use_count){0});
    assert_false(use_book_compare(&book, &rules, START + 1, &gap));
    use_book_hear(&book, START + 1, much); /* under way */
    use_book_hear(&book, START + 2, much);
    assert_false(use_book_compare(&book, &rules, START + 9, &gap));
    use_book_count(&book, START + 2, (struct use_count){0});
    assert_true(use_book_compare(&book, &rules, START + 2, &gap));
    assert_true(gap.span == START + 1);
}

static void a_clock_that_jumps_begins_anew(void **state)
{
    const struct use_count much = {1000, 9000000};
    const uint64_t jumps[] = {START - 30, START + 3, START + 4000};
    struct use_gap gap;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct use_book book = {.newest = 0};

        use_book_count(&book, START, (struct use_count){0});
        use_book_count(&book, START + 1, (struct use_count){0});
        use_book_count(&book, jumps[i], (struct use_count){0});
        use_book_hear(&book, jumps[i], much);
        use_book_hear(&book, jumps[i] - 1, much);
        use_book_count(&book, jumps[i] + 1, (struct use_count){0});
        assert_false(use_book_compare(&book, &rules, jumps[i] + 1, &gap));
    }
}

/* A year in which many requests are booked here a span later than there. */
static void shifted_requests_are_never_told(void **state)
{
    struct use_book book = {.newest = 0};
    struct use_count theirs[2] = {{0, 0}};
    struct use_gap gap;
    struct rand rand;

    (void)state;
    rand_init(&rand, 7);
    use_book_count(&book, START, (struct use_count){0});
    for (uint64_t span = START + 1; span < START + 8760; span++) {
        struct use_count ours = {0, 0};

        for (uint64_t i = rand_below(&rand, 200); i > 0; i--) {
            uint64_t tokens = rand_below(&rand, 100000);
            size_t where = i % 3 ? 1 : 0; /* a third was theirs a span before */

            ours.requests++;
            ours.tokens += tokens;
            theirs[where].requests++;
            theirs[where].tokens += tokens;
        }
        use_book_count(&book, span, ours);
        use_book_forget(&book);
        use_book_hear(&book, span - 1, theirs[0]);
        use_book_hear(&book, span, theirs[1]);
        assert_false(use_book_compare(&book, &rules, span, &gap));
        theirs[0] = theirs[1];
        theirs[1] = (struct use_count){0, 0};
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_went_through_here_is_explained),
        cmocka_unit_test(a_key_that_others_use_is_told),
        cmocka_unit_test(one_that_rests_here_too),
        cmocka_unit_test(little_is_not_told),
        cmocka_unit_test(tokens_alone_are_not_told),
        cmocka_unit_test(what_stands_in_the_span_beside_is_explained),
        cmocka_unit_test(it_is_told_once_until_it_was_over),
        cmocka_unit_test(what_we_have_not_seen_whole_is_not_compared),
        cmocka_unit_test(a_clock_that_jumps_begins_anew),
        cmocka_unit_test(shifted_requests_are_never_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
