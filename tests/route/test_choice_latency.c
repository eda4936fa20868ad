/* Models that choose others by latency. */
#include "shop.h"

/* What so many exchanges begin with, each answered after what its model takes. */
static void play(struct shop *shop, const uint64_t times[3], int exchanges, int ret_counts[3])
{
    const struct plan_ask ask = {.name = SPAN("soon")};

    memset(ret_counts, 0, 3 * sizeof(ret_counts[0]));
    for (int i = 0; i < exchanges; i++) {
        struct plan plan;
        int model;

        assert_int_equal(plan_make_for(shop->routes, &ask, &shop->rand, &plan), PLAN_OK);
        assert_int_equal(plan.count, 3);
        model = plan.targets[0].model.ptr[0] - 'a';
        ret_counts[model]++;
        pace_note(plan.targets[0].pace, times[model]);
    }
}

static void open_latencies(struct shop *shop)
{
    open_shop(shop);
    add_plain(shop, "a", LOCAL);
    add_plain(shop, "b", LOCAL);
    add_plain(shop, "c", LOCAL);
    add_best(shop, "soon", CONF_OPTIMISE_LATENCY, "a", "b", "c");
    compile(shop);
}

static void the_quickest_serves_and_others_are_looked_at(void **state)
{
    const uint64_t times[3] = {300000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, times, 9, counts);
    assert_in_range(counts[0], 2, 4);
    assert_in_range(counts[1], 2, 4);
    play(&shop, times, 10000, counts);
    assert_in_range(counts[1], 9400, 9600);
    assert_in_range(counts[0], 200, 300);
    assert_in_range(counts[2], 200, 300);
    close_shop(&shop);
}

/* Without a usable key: its plans begin with it, and another one answers. */
static void one_that_never_answers_is_not_in_front_for_ever(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct shop shop;
    struct plan plan;
    int fronts = 0;

    open_latencies(&shop);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.targets[0].model.ptr[0] == 'a')
            fronts++;
        else
            pace_note(plan.targets[0].pace, 1000);
    }
    /* PACE_TRIES, and half of one in CHOICE_EXPLORE. */
    assert_in_range(fronts, PACE_TRIES, PACE_TRIES + 50);
    close_shop(&shop);
}

static void the_known_targets_of_a_model_are_enough(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct shop shop;
    struct plan plan;
    struct pace *pace;
    int fronts = 0;

    open_latencies(&shop);
    forget(&shop);
    shop.targets[0][1] = (struct conf_target){&shop.providers[LOCAL], SPAN("a2"), 9};
    shop.models[0].targets.count = 2;
    compile(&shop);
    for (int i = 0; i < 3; i++) {
        const struct span names[3] = {SPAN("local/a"), SPAN("local/b"), SPAN("local/c")};

        assert_int_equal(pace_book_get(shop.paces, names[i], &pace), 0);
        for (int samples = 0; samples < PACE_KNOWN_FROM; samples++)
            pace_note(pace, i == 0 ? 900 : 100);
        pace_unref(&pace);
    }
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        fronts += plan.targets[0].model.ptr[0] == 'a';
    }
    assert_in_range(fronts, 5, 60);
    close_shop(&shop);
}

/* All goes to the new side: its answers tell how soon the model answers. */
static void a_migrated_model_is_measured(void **state)
{
    const struct plan_ask ask = {.name = SPAN("soon")};
    struct crossing_book *book = crossing_book_new(1);
    struct conf_migration migration = {0};
    struct shop shop;
    struct plan plan;
    struct pace *pace;
    int fronts = 0;

    open_latencies(&shop);
    forget(&shop);
    migration.from = shop.targets[0][0];
    migration.to = (struct conf_target){&shop.providers[OPENAI], SPAN("a-new"), 1};
    shop.models[0].migration = &migration;
    compile(&shop);
    assert_int_equal(routes_join(shop.routes, book), 0);
    crossing_set(routes_crossing(shop.routes, SPAN("a")), (struct crossing_stand){.has_new = true});
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.crossing)
            plan_cross(&plan, 0);
        fronts += plan.targets[0].model.ptr[0] == 'a';
        assert_non_null(plan.targets[0].pace);
        pace_note(plan.targets[0].pace, plan.targets[0].model.ptr[0] == 'a' ? 100 : 500);
    }
    assert_in_range(fronts, 900, 990);
    /* Without a usable key, though the old side was quick once. */
    assert_int_equal(pace_book_get(shop.paces, SPAN("local/a"), &pace), 0);
    for (int samples = 0; samples < PACE_KNOWN_FROM; samples++)
        pace_note(pace, 10);
    pace_unref(&pace);
    forget(&shop);
    migration.to.model = SPAN("a-newer");
    compile(&shop);
    assert_int_equal(routes_join(shop.routes, book), 0);
    crossing_set(routes_crossing(shop.routes, SPAN("a")), (struct crossing_stand){.has_new = true});
    fronts = 0;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(plan_make_for(shop.routes, &ask, &shop.rand, &plan), PLAN_OK);
        if (plan.targets[0].model.ptr[0] == 'a')
            fronts++;
        else
            pace_note(plan.targets[0].pace, 500);
    }
    assert_in_range(fronts, PACE_TRIES, PACE_TRIES + 60);
    close_shop(&shop);
    crossing_book_free(&book);
}

static void a_slow_one_that_recovers_is_found(void **state)
{
    const uint64_t before[3] = {300000, 100000, 200000}, after[3] = {50000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, before, 1000, counts);
    play(&shop, after, 1000, counts);
    play(&shop, after, 1000, counts);
    assert_in_range(counts[0], 900, 1000);
    close_shop(&shop);
}

static void failures_count_as_slow(void **state)
{
    const uint64_t before[3] = {100000, 200000, 300000};
    const uint64_t after[3] = {PACE_FAILED_US, 200000, 300000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, before, 200, counts);
    play(&shop, after, 200, counts);
    assert_in_range(counts[0], 1, 20);
    close_shop(&shop);
}

static void a_reload_forgets_nothing(void **state)
{
    const uint64_t times[3] = {300000, 100000, 200000};
    struct shop shop;
    int counts[3];

    open_latencies(&shop);
    play(&shop, times, 200, counts);
    /* As a load does it: the new routes are there before the old ones go. */
    struct routes *old = shop.routes;

    assert_int_equal(routes_new(&shop.config, shop.limiters, &shop.routes), 0);
    assert_int_equal(routes_measure(shop.routes, shop.paces), 0);
    routes_free(&old);
    pace_book_sweep(shop.paces);
    play(&shop, times, 200, counts);
    assert_in_range(counts[1], 180, 200);
    close_shop(&shop);
}

static void a_pace_nobody_holds_is_forgotten(void **state)
{
    struct pace_book *book = pace_book_new();
    struct pace *pace;

    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    for (int i = 0; i < PACE_KNOWN_FROM; i++) {
        assert_int_equal(pace_us(pace), 0);
        pace_note(pace, 800);
    }
    assert_int_equal(pace_us(pace), 800);
    pace_note(pace, 1600);
    assert_int_equal(pace_us(pace), 900);
    pace_note(pace, UINT64_MAX);
    assert_true(pace_us(pace) > 900);
    pace_book_sweep(book);
    pace_unref(&pace);
    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    assert_true(pace_us(pace) > 0);
    pace_unref(&pace);
    pace_book_sweep(book);
    assert_int_equal(pace_book_get(book, SPAN("a/b"), &pace), 0);
    assert_int_equal(pace_us(pace), 0);
    pace_unref(&pace);
    pace_book_free(&book);
}

/* ---- memory ---- */

static void memory_may_fail_at_any_place(void **state)
{
    struct shop shop;
    bool was_reached = true;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    mem_fail_after(-1);
    open_latencies(&shop);
    forget(&shop);
    for (long after = 0; was_reached && after < 1000; after++) {
        int err;

        mem_fail_after(after);
        err = routes_new(&shop.config, shop.limiters, &shop.routes);
        if (!err)
            err = routes_measure(shop.routes, shop.paces);
        was_reached = !mem_fail_is_pending();
        mem_fail_after(-1);
        assert_int_equal(err != 0, was_reached);
        routes_free(&shop.routes);
    }
    assert_false(was_reached);
    close_shop(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_quickest_serves_and_others_are_looked_at),
        cmocka_unit_test(one_that_never_answers_is_not_in_front_for_ever),
        cmocka_unit_test(the_known_targets_of_a_model_are_enough),
        cmocka_unit_test(a_migrated_model_is_measured),
        cmocka_unit_test(a_slow_one_that_recovers_is_found),
        cmocka_unit_test(failures_count_as_slow),
        cmocka_unit_test(a_reload_forgets_nothing),
        cmocka_unit_test(a_pace_nobody_holds_is_forgotten),
        cmocka_unit_test(memory_may_fail_at_any_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
