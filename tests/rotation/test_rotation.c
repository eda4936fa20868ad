/* A rotation lived through a store, an issuer and a pool in memory: the whole way, the ways back,
 * and processes that end in between. The life itself has tests of its own (test_life*.c). */
#include "shop.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#define FIRST "key-20261120-101500"

static void begin(struct shop *shop, const char *replaces)
{
    uint64_t id;

    assert_int_equal(rotation_begin(shop->rotation,
                                    &(struct rotation_order){.replaces = span_from_text(replaces)},
                                    &id),
                     ROTATION_BEGUN);
    assert_true(id > 0);
}

/* Each tick brings so many requests to both arms, and failures to the canary. */
static void set_traffic(struct shop *shop, uint32_t requests, uint32_t failures)
{
    memset(&shop->tick, 0, sizeof(shop->tick));
    shop->tick.canary = (struct evidence_arm){.requests = requests, .failures = failures};
    shop->tick.control = (struct evidence_arm){.requests = requests};
}

/* Somebody else does, of seven rotations and no key. */
static void write_other_state(struct shop *shop)
{
    struct shop_entry *entry;

    shop_change(shop, "state", "none");
    entry = (struct shop_entry *)(uintptr_t)shop_entry(shop, "state");
    entry->len = (size_t)snprintf(entry->text, sizeof(entry->text),
                                  "{\"life\":\"{\\\"version\\\":1,\\\"rotations\\\":7,\\\"ended_"
                                  "us\\\":5,\\\"keys\\\":[]}\"}");
}

static void test_whole_way(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    set_traffic(shop, 10, 0);
    begin(shop, "file");
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop->news, "active issuing issued stored validating canary");
    assert_int_equal(shop_stand(shop, "key-20261120-101501")->standing, LIFE_STANDS_SHARE);
    assert_int_equal(shop_stand(shop, "key-20261120-101501")->share_ppm, 100000);
    assert_string_equal(shop_stand(shop, "key-20261120-101501")->secret, "sk-key-20261120-101501");
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_FULL);
    /* The entry is what the contract says. */
    assert_non_null(strstr(shop_entry(shop, "key-20261120-101501")->text,
                           "{\"api_key\":\"sk-key-20261120-101501\",\"key_id\":\"id-1\","
                           "\"created_by\":\"bellwether\",\"created_at\":\"2026-11-20T10:15:01"));
    assert_null(strstr(shop_entry(shop, "state")->text, "sk-key"));
    shop_pass(shop, 300 * US_PER_SEC);
    assert_int_equal(shop_stand(shop, "key-20261120-101501")->share_ppm, 600000);
    shop_pass(shop, 301 * US_PER_SEC);
    assert_string_equal(shop_step(shop, "key-20261120-101501"), "active");
    assert_string_equal(shop_step(shop, "file"), "retired");
    assert_int_equal(shop_stand(shop, "key-20261120-101501")->standing, LIFE_STANDS_FULL);
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_OFF);
    assert_null(rotation_canary(shop->rotation));
    assert_string_equal(shop->trouble, "");
    shop_close(&shop);
}

/* Whoever changes the secret of a key that serves is noticed; the key goes on with its own. */
static void test_entry_that_somebody_changes(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop->settings.rules.has_ramp = false;
    shop_start(shop);
    shop_pass(shop, 0);
    begin(shop, "file");
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "active");
    assert_int_equal(shop->changes, 0); /* what it wrote itself is no change */
    shop_change(shop, FIRST, "sk-" FIRST);
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop->changes, 0);
    shop->is_away = true;
    shop_change(shop, FIRST, "sk-another");
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop->changes, 0); /* it cannot be read: the key that is known serves on */
    shop->is_away = false;
    shop_change(shop, FIRST, "sk-another");
    shop_change(shop, "file", "sk-of-nobody");
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop->changes, 1);
    assert_memory_equal(shop->changed, rotation_life(shop->rotation)->keys[1].identity,
                        LIFE_IDENTITY_BYTES);
    assert_string_equal(shop_stand(shop, FIRST)->secret, "sk-" FIRST);
    /* Once it serves no more nobody looks. */
    begin(shop, FIRST);
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "retired");
    shop_change(shop, FIRST, "sk-something-else");
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop->changes, 1);
    shop_close(&shop);
}

/* A key that is known already is nobody's successor, and is not revoked. */
static void test_issuer_gives_a_known_key(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop->settings.rules.has_ramp = false;
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    begin(shop, "file");
    shop_pass(shop, US_PER_SEC);
    shop->gives = "key-20261120-101501";
    assert_string_equal(shop_step(shop, shop->gives), "active");
    begin(shop, shop->gives);
    shop_pass(shop, 10 * US_PER_SEC);
    assert_string_equal(shop_step(shop, "key-20261120-101502"), "rolled_back");
    assert_string_equal(shop_step(shop, shop->gives), "active");
    assert_int_equal(shop_alive(shop), 2); /* the second is the first by another name */
    assert_int_equal(shop_stand(shop, shop->gives)->standing, LIFE_STANDS_FULL);
    /* Nor is one of the file, which was never spoken of. */
    shop->has_file = true;
    shop_identity(SPAN("sk-key-of-the-file"), shop->file[0]);
    shop->gives = "key-of-the-file";
    begin(shop, "key-20261120-101501");
    shop_pass(shop, 10 * US_PER_SEC);
    assert_string_equal(shop_step(shop, "key-20261120-101512"), "rolled_back");
    assert_int_equal(shop_alive(shop), 3);
    shop_close(&shop);
}

/* Another has written the state just then: a leak is put out all the same. */
static void test_leak_that_loses_the_race(void **state)
{
    struct shop *shop = shop_open();
    uint8_t identity[LIFE_IDENTITY_BYTES] = {7};
    struct rotation_order order = {
        .replaces = SPAN("file"), .identity = identity, .trigger = LIFE_BY_LEAK};
    uint64_t id;

    (void)state;
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    write_other_state(shop);
    assert_int_equal(rotation_begin(shop->rotation, &order, &id), ROTATION_BEGUN);
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_OFF);
    shop_pass(shop, 10 * US_PER_SEC);
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_OFF);
    assert_true(life_find((struct life *)(uintptr_t)rotation_life(shop->rotation), SPAN("file"))
                    ->is_leaked);
    assert_non_null(strstr(shop_entry(shop, "state")->text, "file"));
    shop_close(&shop);
}

/* A bad key is rolled back within moments, and revoked where it was made. */
static void test_bad_canary(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    begin(shop, "file");
    shop_pass(shop, 0);
    shop->is_drained = false;
    set_traffic(shop, 10, 3);
    shop_pass(shop, 2 * US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "rolled_back");
    assert_int_equal(shop_stand(shop, FIRST)->standing, LIFE_STANDS_OFF);
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_FULL);
    assert_int_equal(shop_alive(shop), 1); /* what it has under way ends first */
    shop->is_drained = true;
    shop_pass(shop, 2 * US_PER_SEC);
    assert_int_equal(shop_alive(shop), 0);
    assert_null(shop_entry(shop, FIRST));
    shop_close(&shop);
}

/* While the store is away a bad canary is out all the same; all else waits. */
static void test_store_is_away(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    begin(shop, "file");
    shop_pass(shop, 0);
    assert_string_equal(shop_step(shop, FIRST), "canary");
    shop->is_away = true;
    set_traffic(shop, 10, 3);
    shop_pass(shop, 2 * US_PER_SEC);
    assert_int_equal(shop_stand(shop, FIRST)->standing, LIFE_STANDS_OFF);
    assert_int_equal(shop_alive(shop), 1);
    assert_string_equal(shop->trouble, "nobody listens");
    assert_int_equal(shop->troubles, 1); /* news once */
    shop->is_away = false;
    shop_pass(shop, 60 * US_PER_SEC);
    assert_int_equal(shop_alive(shop), 0);
    assert_string_equal(shop->trouble, "");
    shop_close(&shop);
}

/* The process ends at each of the first hundred turns, and another goes on from the store. */
static void test_processes_end(void **state)
{
    (void)state;
    for (int turns = 0; turns < 100; turns++) {
        struct shop *shop = shop_open();

        shop_start(shop);
        shop_pass(shop, 0);
        set_traffic(shop, 10, 0);
        begin(shop, "file");
        for (int i = 0; i < turns; i++)
            assert_int_equal(loop_turn(shop->loop, 100 * US_PER_MS), 0);
        shop_stop(shop);
        shop_start(shop);
        shop_pass(shop, 1200 * US_PER_SEC);
        /* One key serves, however often it was begun; nothing is left alive beside it. */
        if (rotation_life(shop->rotation)->rotations == 0) {
            assert_int_equal(shop_alive(shop), 0);
        } else {
            assert_int_equal(shop_alive(shop), 1);
            assert_string_equal(shop_step(shop, "file"), "retired");
            assert_string_equal(shop_step(shop, shop->keys[shop->key_count - 1].name), "active");
            assert_int_equal(shop_stand(shop, shop->keys[shop->key_count - 1].name)->standing,
                             LIFE_STANDS_FULL);
            assert_true(shop_stand(shop, shop->keys[shop->key_count - 1].name)->secret[0]);
        }
        shop_close(&shop);
    }
}

/* A restart in mid-ramp resumes at the same step, with its evidence. */
static void test_ramp_goes_on(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    set_traffic(shop, 10, 0);
    begin(shop, "file");
    shop_pass(shop, 200 * US_PER_SEC);
    assert_int_equal(shop_stand(shop, FIRST)->share_ppm, 400000);
    shop_stop(shop);
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop_stand(shop, FIRST)->share_ppm, 400000);
    assert_true(rotation_canary(shop->rotation)->evidence.canary.requests > 1000);
    shop_close(&shop);
}

/* Nobody knows whether the first was made: it is found, revoked, and another takes its place. */
static void test_lost_answer(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    shop->is_lost = true;
    begin(shop, "file");
    for (int i = 0; i < 100 && shop->key_count == 0; i++)
        assert_int_equal(loop_turn(shop->loop, 0), 0);
    shop->is_lost = false;
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "rolled_back");
    assert_string_equal(shop_step(shop, FIRST "-2"), "canary");
    assert_int_equal(shop_alive(shop), 1);
    shop_close(&shop);
}

/* Another gateway has written the state meanwhile: theirs is gone on from. */
static void test_somebody_else(void **state)
{
    struct shop *shop = shop_open();
    struct shop_entry *entry = NULL;

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    begin(shop, "file");
    shop_pass(shop, 0);
    for (size_t i = 0; i < shop->entry_count; i++) {
        if (!strcmp(shop->entries[i].path, "up/state"))
            entry = &shop->entries[i];
    }
    assert_non_null(entry);
    entry->version = ++shop->versions;
    entry->len = (size_t)snprintf(entry->text, sizeof(entry->text),
                                  "{\"life\":\"{\\\"version\\\":1,\\\"rotations\\\":7,\\\"ended_"
                                  "us\\\":5,\\\"keys\\\":[]}\"}");
    assert_true(rotation_roll_back(shop->rotation, SPAN(FIRST), "by hand"));
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(rotation_life(shop->rotation)->rotations, 7);
    assert_int_equal(shop_stand(shop, FIRST)->standing, LIFE_STANDS_NONE);
    shop_close(&shop);
}

/* What cannot be understood is never written over. */
static void test_state_that_is_nonsense(void **state)
{
    struct shop *shop = shop_open();
    uint64_t id;

    (void)state;
    snprintf(shop->entries[0].path, sizeof(shop->entries[0].path), "up/state");
    shop->entries[0].len = (size_t)snprintf(shop->entries[0].text, sizeof(shop->entries[0].text),
                                            "{\"life\":\"nonsense\"}");
    shop->entries[0].version = ++shop->versions;
    shop->entry_count = 1;
    shop_start(shop);
    shop_pass(shop, 200 * US_PER_SEC);
    assert_int_equal(
        rotation_begin(shop->rotation, &(struct rotation_order){.replaces = SPAN("file")}, &id),
        ROTATION_AWAY);
    assert_non_null(strstr(shop->trouble, "the state of the keys cannot be read"));
    assert_int_equal(shop->writes, 0);
    assert_int_equal(shop->stand_count, 0);
    shop_close(&shop);
}

/* A pool that cannot follow is asked again; nothing is judged before it has. */
static void test_pool_that_cannot_follow(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    shop->refused_stands = 5;
    begin(shop, "file");
    shop_pass(shop, 5 * US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "canary");
    assert_int_equal(shop_stand(shop, FIRST)->standing, LIFE_STANDS_SHARE);
    shop_close(&shop);
}

static void test_unknown_to_its_provider(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    shop->validate_err = ERR_DENIED;
    begin(shop, "file");
    shop_pass(shop, 2 * US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "validating");
    shop_pass(shop, 2 * US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "rolled_back");
    assert_int_equal(shop_alive(shop), 0);
    shop_close(&shop);
}

/* The operator's hands on the ramp. */
static void test_by_hand(void **state)
{
    struct shop *shop = shop_open();

    (void)state;
    shop_start(shop);
    shop_pass(shop, 0);
    assert_false(rotation_advance(shop->rotation));
    set_traffic(shop, 10, 0);
    begin(shop, "file");
    shop_pass(shop, 0);
    assert_true(rotation_hold(shop->rotation, true));
    shop_pass(shop, 300 * US_PER_SEC);
    assert_int_equal(shop_stand(shop, FIRST)->share_ppm, 100000);
    for (int i = 0; i < 9; i++)
        assert_true(rotation_advance(shop->rotation));
    shop_pass(shop, 0);
    assert_int_equal(shop_stand(shop, FIRST)->share_ppm, 1000000);
    assert_true(rotation_advance(shop->rotation));
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, FIRST), "active");
    assert_true(rotation_roll_back(shop->rotation, SPAN(FIRST), "by hand"));
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop_stand(shop, "file")->standing, LIFE_STANDS_FULL);
    assert_int_equal(shop_alive(shop), 0);
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_way),
        cmocka_unit_test(test_entry_that_somebody_changes),
        cmocka_unit_test(test_issuer_gives_a_known_key),
        cmocka_unit_test(test_leak_that_loses_the_race),
        cmocka_unit_test(test_bad_canary),
        cmocka_unit_test(test_store_is_away),
        cmocka_unit_test(test_processes_end),
        cmocka_unit_test(test_ramp_goes_on),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_somebody_else),
        cmocka_unit_test(test_state_that_is_nonsense),
        cmocka_unit_test(test_pool_that_cannot_follow),
        cmocka_unit_test(test_unknown_to_its_provider),
        cmocka_unit_test(test_by_hand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
