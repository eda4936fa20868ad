/* Keys that come and go while the configuration stays, and stay while that changes. */
#include "base/alloc.h"
#include "keypool/kept.h"
#include "pool_play.h"

enum { MOST = 4 };

/* Keys beside the file: declared at the end of the play's room, where the file never looks. */
struct beside {
    struct play play;
    struct keypool_extra items[MOST];
    struct keypool_extras extras;
};

static struct keypool_extra *add(struct beside *beside, size_t id)
{
    size_t at = PLAY_KEYS - 1 - beside->extras.count;
    struct keypool_extra *extra = &beside->items[beside->extras.count++];

    play_declare(&beside->play, at, id);
    *extra = (struct keypool_extra){.key = *play_key(&beside->play, at), .weight_milli = 1000};
    beside->extras.items = beside->items;
    return extra;
}

static int try_apply(struct beside *beside)
{
    struct play *play = &beside->play;

    return keypool_apply(play->pool, &play->conf, &beside->extras, play->now, play_wall);
}

static void apply(struct beside *beside)
{
    assert_int_equal(try_apply(beside), 0);
}

static void start(struct beside *beside, size_t count)
{
    memset(beside, 0, sizeof(*beside));
    play_start(&beside->play, count);
}

static struct key *find(struct beside *beside, size_t id)
{
    char name[24];

    snprintf(name, sizeof(name), "k%zu", id);
    return keypool_find_key(beside->play.pool, span_from_text(name));
}

static bool is_there(struct beside *beside, size_t id)
{
    struct key *key = find(beside, id);
    bool is_found = key != NULL;

    key_unref(&key);
    return is_found;
}

static void wish(struct beside *beside, size_t id, enum key_wish wish)
{
    struct key *key = find(beside, id);

    keypool_wish(beside->play.pool, key, wish, beside->play.now);
    key_unref(&key);
}

static void count_picks(struct beside *beside, int requests, size_t counts[])
{
    for (int i = 0; i < requests; i++)
        counts[play_request(&beside->play, "m", OUTCOME_SUCCESS, 0)]++;
}

/* ---- coming ---- */

static void test_a_key_comes_and_the_others_notice_nothing(void **state)
{
    struct beside beside;
    struct keypool_grant grant;
    size_t counts[4] = {0};
    struct key *key;

    start(&beside, 3);
    grant = play_pick(&beside.play, "m");
    play_request(&beside.play, "m", OUTCOME_INVALID_KEY, 0);
    key = find(&beside, 2);
    keypool_weigh(beside.play.pool, key, 1500);
    key_unref(&key);
    add(&beside, 3);
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 0).in_flight, 1);
    assert_int_equal(play_health(&beside.play, 1), KEY_INVALID);
    assert_int_equal(play_row(&beside.play, 2).weight_milli, 1500);
    count_picks(&beside, 30, counts);
    assert_in_range(counts[3], 9, 11);
    play_finish(&beside.play, &grant, OUTCOME_SUCCESS, 0);
    play_end(&beside.play);
}

/* In thousandths, and with the wish that it was given; what an operator does later stays. */
static void test_weight_and_wish(void **state)
{
    struct beside beside;
    struct keypool_extra *extra;
    struct key *key;
    size_t counts[3] = {0};

    start(&beside, 1);
    extra = add(&beside, 1);
    extra->weight_milli = 250;
    extra->wish = KEY_DISABLED;
    beside.play.conf.selection = CONF_SELECTION_WEIGHTED;
    apply(&beside);
    count_picks(&beside, 10, counts);
    assert_int_equal(counts[1], 0);
    wish(&beside, 1, KEY_ENABLED);
    apply(&beside);
    count_picks(&beside, 1000, counts);
    assert_in_range(counts[1], 198, 202);
    key = find(&beside, 1);
    keypool_weigh(beside.play.pool, key, 700);
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 1).weight_milli, 700);
    extra->weight_milli = 300; /* something else is said */
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 1).weight_milli, 300);
    key_unref(&key);
    play_end(&beside.play);
}

/* One that is probed and gets no traffic is to be proven, whatever is said of other new keys. */
static void test_one_to_be_proven_is_new(void **state)
{
    struct beside beside;
    uint64_t until_us;
    struct key *key;

    start(&beside, 1);
    assert_false(beside.play.conf.health.validate_new);
    add(&beside, 1)->wish = KEY_DRAINED;
    add(&beside, 2);
    apply(&beside);
    key = find(&beside, 1);
    assert_int_equal(key_health(key, &until_us), KEY_NEW);
    key_unref(&key);
    key = find(&beside, 2);
    assert_int_equal(key_health(key, &until_us), KEY_TRIAL);
    key_unref(&key);
    play_end(&beside.play);
}

/* What was kept of it from before a restart does not bring back one that came to be off. */
static void test_one_that_is_off_stays_so(void **state)
{
    struct kept_key kept = {.wish = KEY_ENABLED, .weight_milli = 1000, .said_milli = 1000};
    struct keypool_effect effect;
    struct beside beside;
    struct key *key;

    start(&beside, 1);
    add(&beside, 1)->wish = KEY_DISABLED;
    apply(&beside);
    key = find(&beside, 1);
    memcpy(kept.identity, key_digest(key), sizeof(kept.identity));
    kept.name = key_name(key);
    kept.health = KEY_HEALTHY;
    assert_true(keypool_restore(beside.play.pool, &kept, beside.play.now, &effect));
    assert_int_equal(key_wish(key), KEY_DISABLED);
    key_unref(&key);
    play_end(&beside.play);
}

static void test_a_reload_keeps_them(void **state)
{
    struct beside beside;

    start(&beside, 2);
    add(&beside, 7);
    apply(&beside);
    while (play_request(&beside.play, "m", OUTCOME_SUCCESS, 0) != 7)
        ;
    /* The file has other keys now, and other rules. */
    play_declare(&beside.play, 1, 3);
    beside.play.conf.selection = CONF_SELECTION_PRIORITY;
    apply(&beside);
    assert_true(is_there(&beside, 0) && is_there(&beside, 3) && is_there(&beside, 7));
    assert_false(is_there(&beside, 1));
    assert_int_equal(play_row(&beside.play, 7).requests, 1);
    assert_int_equal(play_health(&beside.play, 7), KEY_HEALTHY);
    play_end(&beside.play);
}

/* The file's words hold for a key that it has as well. */
static void test_in_the_file_too(void **state)
{
    struct beside beside;
    struct keypool_row row;

    start(&beside, 2);
    add(&beside, 1)->weight_milli = 400;
    beside.items[0].key.name = SPAN("k9");
    beside.items[0].key.priority = 5;
    apply(&beside);
    assert_int_equal(keypool_totals(beside.play.pool, beside.play.now).keys, 2);
    assert_false(is_there(&beside, 9));
    row = play_row(&beside.play, 1);
    assert_int_equal(row.priority, 0);
    assert_int_equal(row.weight_milli, 400);
    /* Nothing is known beside the file any more. */
    beside.extras.count = 0;
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 1).weight_milli, 1000);
    play_end(&beside.play);
}

/* What was issued at run time is written into the file later, and the other way round. */
static void test_into_the_file_and_out_of_it(void **state)
{
    struct beside beside;

    start(&beside, 1);
    add(&beside, 1);
    apply(&beside);
    wish(&beside, 0, KEY_DRAINED);
    play_request(&beside.play, "m", OUTCOME_SUCCESS, 0);
    play_declare(&beside.play, 1, 1);
    beside.play.conf.keys.count = 2;
    beside.extras.count = 0;
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 1).requests, 1);
    beside.extras.count = 1;
    beside.play.conf.keys.count = 1;
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 1).requests, 1);
    assert_int_equal(play_row(&beside.play, 0).wish, KEY_DRAINED);
    play_end(&beside.play);
}

static void test_of_two_alike_the_first_counts(void **state)
{
    struct beside beside;

    start(&beside, 1);
    add(&beside, 5)->weight_milli = 100;
    add(&beside, 5)->weight_milli = 900;
    apply(&beside);
    assert_int_equal(keypool_totals(beside.play.pool, beside.play.now).keys, 2);
    assert_int_equal(play_row(&beside.play, 5).weight_milli, 100);
    play_end(&beside.play);
}

/* One whose secret is not known (yet) may be spoken of all the same; nothing is sent without. */
static void test_without_a_secret(void **state)
{
    struct beside beside;

    start(&beside, 1);
    add(&beside, 0)->weight_milli = 300;
    add(&beside, 1);
    beside.items[0].key.secret = beside.items[1].key.secret = NULL;
    apply(&beside);
    assert_int_equal(play_row(&beside.play, 0).weight_milli, 300);
    assert_false(is_there(&beside, 1));
    play_end(&beside.play);
}

/* It is drained until it has been validated: asked by a probe, and by nobody else. */
static void test_a_drained_key_is_validated(void **state)
{
    struct beside beside;
    struct key *key;
    uint64_t next;

    start(&beside, 1);
    while ((key = keypool_probe_take(beside.play.pool, beside.play.now, &next)) != NULL)
        keypool_probe_end(beside.play.pool, &key, PROBE_KNOWN, beside.play.now);
    beside.play.conf.health.validate_new = true;
    add(&beside, 1)->wish = KEY_DRAINED;
    apply(&beside);
    assert_int_equal(play_health(&beside.play, 1), KEY_NEW);
    key = keypool_probe_take(beside.play.pool, beside.play.now, &next);
    assert_non_null(key);
    assert_int_equal(play_number(key_name(key)), 1);
    keypool_probe_end(beside.play.pool, &key, PROBE_KNOWN, beside.play.now);
    assert_int_equal(play_health(&beside.play, 1), KEY_HEALTHY);
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_request(&beside.play, "m", OUTCOME_SUCCESS, 0), 0);
    play_end(&beside.play);
}

/* ---- going ---- */

static bool is_drained(struct beside *beside, struct key *key)
{
    return keypool_is_drained(beside->play.pool, key, beside->play.now);
}

static void catch_up(struct beside *beside)
{
    for (uint32_t i = 0; i < PLAY_WORKERS; i++)
        keypool_view_catch_up(beside->play.views[i], beside->play.now);
}

static void test_drained_then_gone(void **state)
{
    struct beside beside;
    struct keypool_grant grant;
    struct key *key;

    start(&beside, 2);
    grant = play_pick(&beside.play, "m");
    assert_int_equal(play_id(&grant), 0);
    key = find(&beside, 0);
    assert_int_equal(key_in_flight(key), 1);
    assert_false(is_drained(&beside, key)); /* it is enabled */
    wish(&beside, 0, KEY_DRAINED);
    catch_up(&beside);
    assert_false(is_drained(&beside, key)); /* one is under way */
    play_finish(&beside.play, &grant, OUTCOME_SUCCESS, 0);
    assert_int_equal(key_in_flight(key), 0);
    assert_true(is_drained(&beside, key));
    /* The file still has it, and will for long. */
    add(&beside, 0)->is_gone = true;
    apply(&beside);
    assert_false(is_there(&beside, 0));
    apply(&beside);
    assert_false(is_there(&beside, 0));
    assert_true(is_drained(&beside, key));
    for (int i = 0; i < 10; i++)
        assert_int_equal(play_request(&beside.play, "m", OUTCOME_SUCCESS, 0), 1);
    key_unref(&key);
    play_end(&beside.play);
}

/* A probe is a request too: one that is under way when a key goes keeps it from being revoked. */
static void test_a_probe_under_way(void **state)
{
    struct beside beside;
    struct key *key, *probed;
    uint64_t next;

    (void)state;
    start(&beside, 1);
    while ((key = keypool_probe_take(beside.play.pool, beside.play.now, &next)) != NULL)
        keypool_probe_end(beside.play.pool, &key, PROBE_KNOWN, beside.play.now);
    beside.play.conf.health.validate_new = true;
    add(&beside, 1)->wish = KEY_DRAINED;
    apply(&beside);
    probed = keypool_probe_take(beside.play.pool, beside.play.now, &next);
    assert_non_null(probed);
    key = find(&beside, 1);
    assert_ptr_equal(probed, key);
    wish(&beside, 1, KEY_DISABLED);
    catch_up(&beside);
    assert_false(is_drained(&beside, key));
    keypool_probe_end(beside.play.pool, &probed, PROBE_REFUSED, beside.play.now);
    assert_true(is_drained(&beside, key));
    /* Nor is it asked about again, bad as it is. */
    beside.play.now += UINT64_C(3600000000);
    while ((probed = keypool_probe_take(beside.play.pool, beside.play.now, &next)) != NULL) {
        assert_ptr_not_equal(probed, key);
        keypool_probe_end(beside.play.pool, &probed, PROBE_KNOWN, beside.play.now);
    }
    key_unref(&key);
    play_end(&beside.play);
}

/* A view that has not heard of it might be about to pick the key; one that is idle is not. */
static void test_views_that_have_not_heard_of_it(void **state)
{
    struct beside beside;
    struct key *key;

    start(&beside, 1);
    key = find(&beside, 0);
    wish(&beside, 0, KEY_DISABLED);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++) {
        assert_false(is_drained(&beside, key));
        keypool_view_catch_up(beside.play.views[i], beside.play.now);
    }
    assert_true(is_drained(&beside, key));
    wish(&beside, 0, KEY_ENABLED);
    wish(&beside, 0, KEY_DRAINED);
    assert_false(is_drained(&beside, key));
    beside.play.now += KEYPOOL_DRAIN_GRACE_US;
    assert_true(is_drained(&beside, key));
    /* A worker without a view has nothing to hear. */
    wish(&beside, 0, KEY_DRAINED);
    for (uint32_t i = 0; i < PLAY_WORKERS; i++)
        keypool_view_free(&beside.play.views[i]);
    assert_true(is_drained(&beside, key));
    key_unref(&key);
    play_end(&beside.play);
}

static void test_taken_out_with_requests_under_way(void **state)
{
    struct beside beside;
    struct keypool_grant grant;

    start(&beside, 1);
    add(&beside, 1);
    apply(&beside);
    do {
        grant = play_pick(&beside.play, "m");
        if (play_id(&grant) != 1)
            play_finish(&beside.play, &grant, OUTCOME_SUCCESS, 0);
    } while (!grant.key || play_id(&grant) != 1);
    beside.extras.count = 0;
    apply(&beside);
    assert_int_equal(play_request(&beside.play, "m", OUTCOME_SUCCESS, 0), 0);
    assert_non_null(keypool_line(&grant));
    play_finish(&beside.play, &grant, OUTCOME_INVALID_KEY, 0);
    play_end(&beside.play);
}

/* Nobody is asked without a key where the file has some, and all are gone. */
static void test_all_are_gone(void **state)
{
    struct beside beside;
    struct keypool_choice choice;
    size_t counts[2] = {0};

    start(&beside, 1);
    add(&beside, 0)->is_gone = true;
    apply(&beside);
    choice = play_refused(&beside.play, "m");
    assert_int_equal(choice.verdict, KEYPOOL_NEVER);
    assert_int_equal(choice.reason, KEYPOOL_DISABLED);
    assert_int_equal(keypool_totals(beside.play.pool, beside.play.now).keys, 0);
    add(&beside, 1);
    apply(&beside);
    count_picks(&beside, 5, counts);
    assert_int_equal(counts[1], 5);
    play_end(&beside.play);
}

/* A provider without keys in the file may have them beside it, and then has no nameless one. */
static void test_a_file_without_keys(void **state)
{
    struct beside beside;
    struct keypool_grant grant;

    start(&beside, 0);
    grant = play_pick(&beside.play, "m");
    assert_null(keypool_line(&grant));
    add(&beside, 1);
    apply(&beside);
    play_finish(&beside.play, &grant, OUTCOME_SUCCESS, 0);
    for (int i = 0; i < 5; i++)
        assert_int_equal(play_request(&beside.play, "m", OUTCOME_SUCCESS, 0), 1);
    beside.items[0].is_gone = true;
    apply(&beside);
    assert_int_equal(play_refused(&beside.play, "m").reason, KEYPOOL_DISABLED);
    play_end(&beside.play);
}

/* ---- what fails changes nothing ---- */

static void test_without_memory(void **state)
{
    struct beside beside;
    int err = ERR_NOMEM;

    start(&beside, 2);
    add(&beside, 1)->is_gone = true;
    add(&beside, 2)->weight_milli = 300;
    for (int i = 0; err; i++) {
        mem_fail_after(i);
        err = try_apply(&beside);
        mem_fail_after(-1);
        assert_true(i < 100 && (err == 0 || err == ERR_NOMEM));
        assert_int_equal(is_there(&beside, 1), err != 0);
        assert_int_equal(is_there(&beside, 2), err == 0);
    }
    play_end(&beside.play);
}

static void test_too_many(void **state)
{
    static struct keypool_extra many[KEYPOOL_MAX_KEYS + 1];
    struct beside beside;

    start(&beside, 1);
    add(&beside, 1);
    for (size_t i = 0; i < KEYPOOL_MAX_KEYS + 1; i++)
        many[i] = beside.items[0];
    beside.extras = (struct keypool_extras){many, KEYPOOL_MAX_KEYS + 1};
    assert_int_equal(try_apply(&beside), ERR_FULL);
    assert_false(is_there(&beside, 1));
    beside.extras.count = KEYPOOL_MAX_KEYS; /* all the same key */
    apply(&beside);
    assert_int_equal(keypool_totals(beside.play.pool, beside.play.now).keys, 2);
    play_end(&beside.play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_key_comes_and_the_others_notice_nothing),
        cmocka_unit_test(test_weight_and_wish),
        cmocka_unit_test(test_one_to_be_proven_is_new),
        cmocka_unit_test(test_one_that_is_off_stays_so),
        cmocka_unit_test(test_a_reload_keeps_them),
        cmocka_unit_test(test_in_the_file_too),
        cmocka_unit_test(test_into_the_file_and_out_of_it),
        cmocka_unit_test(test_of_two_alike_the_first_counts),
        cmocka_unit_test(test_without_a_secret),
        cmocka_unit_test(test_a_drained_key_is_validated),
        cmocka_unit_test(test_drained_then_gone),
        cmocka_unit_test(test_a_probe_under_way),
        cmocka_unit_test(test_views_that_have_not_heard_of_it),
        cmocka_unit_test(test_taken_out_with_requests_under_way),
        cmocka_unit_test(test_all_are_gone),
        cmocka_unit_test(test_a_file_without_keys),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
