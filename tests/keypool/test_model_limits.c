/* Declared limits of a key for single models, beside those of all its models together. */
#include "pool_play.h"

#include "base/alloc.h"
#include "base/map.h"

/* What keys declare of models; lives as long as the play. */
static struct conf_limits_of of_a[3], of_b[1], of_all[2];

static struct conf_limits_by_model declare(struct conf_limits_of *place, const char *model,
                                           struct conf_limits limits)
{
    *place = (struct conf_limits_of){.model = span_from_text(model), .limits = limits};
    return (struct conf_limits_by_model){place, 1};
}

/* Keys that each let so many requests a minute for "a" through. */
static void start(struct play *play, size_t count, uint32_t rpm)
{
    play_init(play, count);
    for (size_t i = 0; i < count; i++)
        play_key(play, i)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = rpm});
    play_apply(play);
}

static void request_times(struct play *play, const char *model, int times)
{
    for (int i = 0; i < times; i++)
        play_request(play, model, OUTCOME_SUCCESS, 0);
}

static const struct keypool_row_limit *find_limit(const struct keypool_row *row, const char *scope)
{
    for (size_t i = 0; i < row->limit_count; i++) {
        if (strcmp(row->limits[i].scope, scope) == 0)
            return &row->limits[i];
    }
    return NULL;
}

static uint64_t find_limit_left(struct play *play, size_t id, const char *scope)
{
    struct keypool_row row = play_row(play, id);

    assert_non_null(find_limit(&row, scope));
    return find_limit(&row, scope)->remaining;
}

static void test_they_hold_for_their_model_alone(void **state)
{
    struct keypool_choice choice;
    struct play play;

    (void)state;
    start(&play, 2, 2);
    request_times(&play, "a", 4);
    choice = play_refused(&play, "a");
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, 1059 * SECONDS, 1062 * SECONDS);
    request_times(&play, "b", 50);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play.now = choice.free_at_us;
    request_times(&play, "a", 1);
    play_end(&play);
}

/* More keys than a pick passes over. */
static void test_many_keys_are_at_their_limit(void **state)
{
    struct play play;

    (void)state;
    start(&play, 300, 1);
    request_times(&play, "a", 300);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    request_times(&play, "b", 300);
    play.now += 62 * SECONDS;
    request_times(&play, "a", 300);
    play_end(&play);
}

static void test_both_limits_hold(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 5};
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = 2});
    play_apply(&play);
    request_times(&play, "a", 2);
    /* Those that the model's limit refuses use up nothing of the key's. */
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    request_times(&play, "b", 3);
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_its_own_word_counts_before_its_providers(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 2);
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = 3});
    of_all[0] = (struct conf_limits_of){.model = SPAN("a"), .limits = {.rpm = 1}};
    of_all[1] = (struct conf_limits_of){.model = SPAN("b"), .limits = {.rpm = 1}};
    play.conf.model_limits = (struct conf_limits_by_model){of_all, 2};
    play_apply(&play);
    request_times(&play, "a", 4);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    request_times(&play, "b", 2);
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_keys_of_an_account_share_the_least(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 3);
    for (size_t i = 0; i < 3; i++) {
        play_key(&play, i)->account = SPAN("org-1");
        play_key(&play, i)->model_limits =
            declare(&of_a[i], "a", (struct conf_limits){.rpm = (uint32_t)(9 - i)});
    }
    play_apply(&play);
    request_times(&play, "a", 7);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* Each is found among as many as a file may name; those that a key does not serve are not its. */
static void test_many_models(void **state)
{
    enum { MODELS = 64 };
    static struct conf_limits_of many[MODELS];
    static char names[MODELS][8];
    struct span pattern = SPAN("m1*");
    struct play play;

    (void)state;
    play_init(&play, 3);
    for (int i = 0; i < MODELS; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        many[i] = (struct conf_limits_of){.model = span_from_text(names[i]), .limits = {.rpm = 1}};
    }
    play.conf.model_limits = (struct conf_limits_by_model){many, MODELS};
    play_key(&play, 0)->account = play_key(&play, 1)->account = SPAN("org-1");
    play_key(&play, 2)->models = (struct conf_strings){&pattern, 1};
    play_apply(&play);
    for (int i = 0; i < MODELS; i++) {
        request_times(&play, names[i], names[i][1] == '1' ? 2 : 1);
        assert_int_equal(play_refused(&play, names[i]).reason, KEYPOOL_AT_LIMIT);
    }
    assert_int_equal(play_row(&play, 0).limit_count, MODELS);
    assert_int_equal(play_row(&play, 2).limit_count, 11);
    play_end(&play);
}

/* A reload that brings new names again and again is refused at last, and what is in force stays. */
static void test_names_without_end(void **state)
{
    char name[16];
    struct play play;
    int err = 0;

    (void)state;
    start(&play, 1, 2);
    request_times(&play, "a", 2);
    for (int i = 0; !err; i++) {
        snprintf(name, sizeof(name), "m%d", i);
        play.conf.model_limits = declare(&of_b[0], name, (struct conf_limits){.rpm = 1});
        err = keypool_apply(play.pool, &play.conf, NULL, play.now, play_wall);
        assert_in_range(i, 0, 1023);
    }
    assert_int_equal(err, ERR_FULL);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* Shared writes of a request for b, and of one before it that is refused. */
static uint64_t writes_of(struct play *play, const struct keypool_ask *refused)
{
    uint64_t before = keypool_totals(play->pool, play->now).shared_writes;
    struct keypool_grant grant;

    if (refused)
        assert_int_equal(play_ask(play, refused, &grant).reason, KEYPOOL_AT_LIMIT);
    request_times(play, "b", 1);
    return keypool_totals(play->pool, play->now).shared_writes - before;
}

/* What its answers told leaves no room for a large request: nothing is taken of what is declared.
 */
static void test_what_is_told_is_asked_first(void **state)
{
    const struct keypool_ask large = {.model = SPAN("a"), .tokens = 900};
    struct limits_told told = {.account = {NULL, 0}};
    struct keypool_grant grant;
    uint64_t plain;
    struct play play;

    (void)state;
    start(&play, 1, 100);
    grant = play_pick(&play, "a");
    keypool_sent(play.views[0], &grant, play.now);
    told.items[LIMITS_TOKENS].limit = 1000;
    told.items[LIMITS_TOKENS].remaining = 500;
    told.items[LIMITS_TOKENS].reset_us = 30 * SECONDS;
    keypool_hear(play.views[0], &grant, &told, play.now);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    plain = writes_of(&play, NULL);
    assert_int_equal(writes_of(&play, &large) - plain, 1);
    request_times(&play, "a", 1);
    assert_int_equal(find_limit_left(&play, 0, "rpm:a"), 98);
    play_end(&play);
}

static void test_the_margin_is_kept_free(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = 10});
    play.conf.limits.margin_ppm = 200000;
    play_apply(&play);
    request_times(&play, "a", 8);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

static void test_a_place_comes_back(void **state)
{
    struct keypool_grant first, other;
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->model_limits =
        declare(&of_a[0], "a", (struct conf_limits){.concurrent = 1});
    play_apply(&play);
    first = play_pick(&play, "a");
    other = play_pick(&play, "b");
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    play_finish(&play, &other, OUTCOME_SUCCESS, 0);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_FULL);
    play_finish(&play, &first, OUTCOME_SUCCESS, 0);
    assert_int_equal(play.effect.wakes, 1);
    first = play_pick(&play, "a");
    play.effect = keypool_cancel(play.views[0], &first, play.now);
    request_times(&play, "a", 1);
    play_end(&play);
}

/* What was reserved and not used comes back, and wakes who waited for it. */
static void test_tokens_are_settled(void **state)
{
    const struct keypool_ask large = {.model = SPAN("a"), .tokens = 900};
    const struct keypool_ask small = {.model = SPAN("a"), .tokens = 500};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 400};
    struct keypool_grant grant, other;
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.tpm = 1000});
    play_apply(&play);
    assert_true(keypool_limits_tokens(play.views[0]));
    assert_int_equal(play_ask(&play, &large, &grant).verdict, KEYPOOL_CHOSEN);
    assert_true(keypool_counts_tokens(&grant));
    keypool_sent(play.views[0], &grant, play.now);
    assert_int_not_equal(play_ask(&play, &small, &other).verdict, KEYPOOL_CHOSEN);
    play.effect = keypool_end(play.views[0], &grant, &end, play.now);
    assert_int_not_equal(play.effect.wakes, 0);
    assert_int_equal(play_ask(&play, &small, &grant).verdict, KEYPOOL_CHOSEN);
    keypool_cancel(play.views[0], &grant, play.now);
    play_end(&play);
}

/* They count from when a request leaves, not from when its key was picked. */
static void test_they_count_what_was_sent(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    start(&play, 1, 1);
    grant = play_pick(&play, "a");
    play.now += 30 * SECONDS;
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    assert_in_range(play_refused(&play, "a").free_at_us, 1089 * SECONDS, 1092 * SECONDS);
    play_end(&play);
}

/* Who is too large for what is left of the model's tokens hears of that, and not of the place that
 * the key has not either. */
static void test_the_longest_wait_is_told(void **state)
{
    const struct keypool_ask large = {.model = SPAN("a"), .tokens = 900};
    const struct keypool_end end = {.outcome = outcome_row(OUTCOME_SUCCESS), .tokens = 900};
    struct keypool_grant grant, other;
    struct keypool_choice choice;
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.concurrent = 1};
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.tpm = 1000});
    play_apply(&play);
    assert_int_equal(play_ask(&play, &large, &grant).verdict, KEYPOOL_CHOSEN);
    keypool_sent(play.views[0], &grant, play.now);
    keypool_end(play.views[0], &grant, &end, play.now);
    other = play_pick(&play, "b");
    choice = play_ask(&play, &large, &grant);
    assert_int_equal(choice.reason, KEYPOOL_AT_LIMIT);
    assert_in_range(choice.free_at_us, 1059 * SECONDS, 1062 * SECONDS);
    play_finish(&play, &other, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* Whoever has more left of the model's limit goes first. */
static void test_headroom_looks_at_them(void **state)
{
    int counts[2] = {0, 0};
    struct play play;

    (void)state;
    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_HEADROOM;
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = 100});
    play_key(&play, 1)->model_limits = declare(&of_a[1], "a", (struct conf_limits){.rpm = 900});
    play_apply(&play);
    request_times(&play, "b", 100);
    for (int i = 0; i < 500; i++)
        counts[play_request(&play, "a", OUTCOME_SUCCESS, 0)]++;
    assert_in_range(counts[0], 30, 75);
    play_end(&play);
}

/* Models that nothing is declared of are served in one order: none is built for another of them. */
static void test_headroom_needs_no_order_for_the_others(void **state)
{
    struct play play;
    bool has_faults;
    int others = 0;

    (void)state;
    play_init(&play, 2);
    play.conf.selection = CONF_SELECTION_HEADROOM;
    play.conf.model_limits = declare(&of_all[0], "a", (struct conf_limits){.rpm = 100});
    play_apply(&play);
    request_times(&play, "a", 1);
    request_times(&play, "b", 1);
    mem_fail_after(0);
    has_faults = mem_fail_is_pending();
    for (int i = 0; others < 20; i++) {
        char name[16];

        snprintf(name, sizeof(name), "other-%d", i);
        if ((map_hash(span_from_text(name)) ^ map_hash(SPAN("a"))) % 64 == 0)
            continue; /* falls together with the one */
        request_times(&play, name, 1);
        others++;
    }
    assert_int_equal(mem_fail_is_pending(), has_faults);
    mem_fail_after(-1);
    play_end(&play);
}

static void test_a_reload_keeps_what_is_used(void **state)
{
    struct play play;

    (void)state;
    start(&play, 1, 5);
    request_times(&play, "a", 5);
    of_a[0].limits.rpm = 7;
    play_apply(&play);
    request_times(&play, "a", 2);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    /* Another model comes to the same key. */
    play.conf.model_limits = declare(&of_b[0], "b", (struct conf_limits){.rpm = 1});
    play_apply(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    request_times(&play, "b", 1);
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    /* It comes into an account. */
    play_key(&play, 0)->account = SPAN("org-1");
    play_apply(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    /* And out of it. */
    play_key(&play, 0)->account = (struct span){NULL, 0};
    play_apply(&play);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    /* Nothing is declared any more. */
    play_key(&play, 0)->model_limits = (struct conf_limits_by_model){NULL, 0};
    play_apply(&play);
    request_times(&play, "a", 20);
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* A grant of before the reload ends after it. */
static void test_a_reload_under_way(void **state)
{
    struct keypool_grant grant;
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->model_limits =
        declare(&of_a[0], "a", (struct conf_limits){.concurrent = 1, .tpm = 100});
    play_apply(&play);
    grant = play_pick(&play, "a");
    play_key(&play, 0)->model_limits = (struct conf_limits_by_model){NULL, 0};
    play_apply(&play);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_key(&play, 0)->model_limits =
        declare(&of_a[0], "a", (struct conf_limits){.concurrent = 1, .tpm = 100});
    play_apply(&play);
    grant = play_pick(&play, "a");
    play.conf.keys.count = 0;
    play_apply(&play);
    play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&play);
}

/* What is declared wins over what an answer tells of the model. */
static void test_declared_ones_win(void **state)
{
    struct limits_told told = {.account = {NULL, 0}};
    struct keypool_grant grant;
    struct play play;

    (void)state;
    start(&play, 1, 5);
    for (int i = 0; i < 2; i++) {
        const char *model = i ? "b" : "a";

        grant = play_pick(&play, model);
        keypool_sent(play.views[0], &grant, play.now);
        told.items[LIMITS_REQUESTS].limit = 100;
        told.items[LIMITS_REQUESTS].remaining = 0;
        told.items[LIMITS_REQUESTS].reset_us = 60 * SECONDS;
        keypool_hear(play.views[0], &grant, &told, play.now);
        play_finish(&play, &grant, OUTCOME_SUCCESS, 0);
    }
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    request_times(&play, "a", 4);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

/* Who stands in line is told its turn by the lesser of both. */
static void test_the_line_knows_them(void **state)
{
    const struct keypool_ask a = {.model = SPAN("a")}, b = {.model = SPAN("b")};
    struct play play;

    (void)state;
    play_init(&play, 1);
    play_key(&play, 0)->limits = (struct conf_limits){.rpm = 10};
    play_key(&play, 0)->model_limits = declare(&of_a[0], "a", (struct conf_limits){.rpm = 2});
    play_apply(&play);
    request_times(&play, "a", 2);
    request_times(&play, "b", 8);
    assert_in_range(keypool_supply_us(play.views[0], &b, 5, play.now), 1060 * SECONDS,
                    1062 * SECONDS);
    assert_in_range(keypool_supply_us(play.views[0], &a, 5, play.now), 1180 * SECONDS,
                    1187 * SECONDS);
    play_end(&play);
}

static void test_they_are_shown(void **state)
{
    struct keypool_row row;
    struct play play;

    (void)state;
    start(&play, 1, 5);
    request_times(&play, "a", 2);
    row = play_row(&play, 0);
    assert_non_null(find_limit(&row, "rpm:a"));
    assert_int_equal(find_limit(&row, "rpm:a")->limit, 5);
    assert_int_equal(find_limit(&row, "rpm:a")->remaining, 3);
    assert_null(find_limit(&row, "tpm:a"));
    play_end(&play);
}

static void test_without_memory_nothing_changes(void **state)
{
    struct play play;

    (void)state;
    start(&play, 1, 2);
    request_times(&play, "a", 2);
    play.conf.model_limits = declare(&of_b[0], "b", (struct conf_limits){.rpm = 1});
    for (long after = 0; after < 1000; after++) {
        int err;

        mem_fail_after(after);
        err = keypool_apply(play.pool, &play.conf, NULL, play.now, play_wall);
        mem_fail_after(-1);
        if (!err)
            break;
        assert_int_equal(err, ERR_NOMEM);
        request_times(&play, "b", 1);
    }
    request_times(&play, "b", 1);
    assert_int_equal(play_refused(&play, "b").reason, KEYPOOL_AT_LIMIT);
    assert_int_equal(play_refused(&play, "a").reason, KEYPOOL_AT_LIMIT);
    play_end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_they_hold_for_their_model_alone),
        cmocka_unit_test(test_many_keys_are_at_their_limit),
        cmocka_unit_test(test_both_limits_hold),
        cmocka_unit_test(test_its_own_word_counts_before_its_providers),
        cmocka_unit_test(test_keys_of_an_account_share_the_least),
        cmocka_unit_test(test_many_models),
        cmocka_unit_test(test_names_without_end),
        cmocka_unit_test(test_what_is_told_is_asked_first),
        cmocka_unit_test(test_the_margin_is_kept_free),
        cmocka_unit_test(test_a_place_comes_back),
        cmocka_unit_test(test_tokens_are_settled),
        cmocka_unit_test(test_they_count_what_was_sent),
        cmocka_unit_test(test_the_longest_wait_is_told),
        cmocka_unit_test(test_headroom_looks_at_them),
        cmocka_unit_test(test_headroom_needs_no_order_for_the_others),
        cmocka_unit_test(test_a_reload_keeps_what_is_used),
        cmocka_unit_test(test_a_reload_under_way),
        cmocka_unit_test(test_declared_ones_win),
        cmocka_unit_test(test_the_line_knows_them),
        cmocka_unit_test(test_they_are_shown),
        cmocka_unit_test(test_without_memory_nothing_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
