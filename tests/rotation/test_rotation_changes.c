/* Secrets that somebody else changes, lived through a store and a pool in memory: those of the
 * file, which prove themselves while the one before serves on, and those in the store that were
 * changed while no process ran. */
#include "shop.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"

#define OLD "a-before-20261120-101501"

static struct shop *open_shop(void)
{
    struct shop *shop = shop_open();

    shop->has_file = true;
    shop_identity(SPAN("sk-1"), shop->file[0]);
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    return shop;
}

/* The secret of a key of the file, at that place, is another one now. */
static enum rotation_begun change(struct shop *shop, const char *name, uint8_t *file,
                                  const char *from, const char *to)
{
    uint8_t old_identity[LIFE_IDENTITY_BYTES];
    struct rotation_change change = {
        .name = span_from_text(name), .old_identity = old_identity, .identity = file};
    enum rotation_begun begun;

    shop_identity(span_from_text(from), old_identity);
    shop_identity(span_from_text(to), file);
    assert_int_equal(secret_new(shop->secrets, span_from_text(from), &change.old_secret), 0);
    begun = rotation_adopt(shop->rotation, &change);
    secret_unref(&change.old_secret);
    rotation_follow_file(shop->rotation);
    return begun;
}

static void expect_stand(const struct shop *shop, const char *name, enum life_standing standing)
{
    assert_int_equal(shop_stand(shop, name)->standing, standing);
}

static void restart(struct shop *shop)
{
    shop_stop(shop);
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
}

static void test_proof(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    assert_int_equal(change(shop, "a", shop->file[0], "sk-1", "sk-2"), ROTATION_BEGUN);
    /* At once, whatever the store says: the old one serves, the new one does not. */
    expect_stand(shop, OLD, LIFE_STANDS_FULL);
    assert_string_equal(shop_stand(shop, OLD)->secret, "sk-1");
    expect_stand(shop, "a", LIFE_STANDS_PROOF);
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    assert_int_equal(shop_stand(shop, "a")->share_ppm, 100000);
    assert_non_null(strstr(shop_entry(shop, OLD)->text, "\"sk-1\""));
    assert_null(shop_entry(shop, "a"));
    /* Both are there again after a restart. */
    restart(shop);
    assert_string_equal(shop_stand(shop, OLD)->secret, "sk-1");
    expect_stand(shop, OLD, LIFE_STANDS_FULL);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    while (rotation_canary(shop->rotation))
        assert_true(rotation_advance(shop->rotation));
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "active");
    assert_string_equal(shop_step(shop, OLD), "retired");
    shop_pass(shop, 8 * 24 * 3600 * US_PER_SEC);
    assert_string_equal(shop_step(shop, OLD), "revoked");
    assert_true(!shop_entry(shop, OLD) || !shop_entry(shop, OLD)->version);
    assert_int_equal(shop->key_count, 0); /* no issuer was asked */
    shop_close(&shop);
}

static void test_way_back(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop->validate_err = ERR_DENIED;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    shop_pass(shop, 600 * US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "rolled_back");
    expect_stand(shop, "a", LIFE_STANDS_OFF);
    restart(shop);
    expect_stand(shop, "a", LIFE_STANDS_OFF);
    assert_string_equal(shop_stand(shop, OLD)->secret, "sk-1");
    /* The next one is proven against the same. */
    shop->validate_err = 0;
    shop->settings.rules.has_ramp = false;
    assert_int_equal(rotation_set_settings(shop->rotation, &shop->settings), 0);
    assert_int_equal(change(shop, "a", shop->file[0], "sk-2", "sk-3"), ROTATION_BEGUN);
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "active");
    assert_string_equal(shop_step(shop, OLD), "retired");
    /* Promoted, and the file is back at the one before: that serves again. */
    assert_int_equal(change(shop, "a", shop->file[0], "sk-3", "sk-1"), ROTATION_GONE);
    expect_stand(shop, OLD, LIFE_STANDS_FULL);
    expect_stand(shop, "a", LIFE_STANDS_OFF);
    shop_close(&shop);
}

static void test_change_during_the_ramp(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    shop_pass(shop, 70 * US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    assert_int_equal(change(shop, "a", shop->file[0], "sk-2", "sk-3"), ROTATION_BEGUN);
    expect_stand(shop, "a", LIFE_STANDS_PROOF);
    shop_pass(shop, US_PER_SEC);
    assert_int_equal(shop_stand(shop, "a")->share_ppm, 100000); /* from the beginning */
    assert_string_equal(shop_stand(shop, OLD)->secret, "sk-1");
    /* The key leaves the file: so does what stood in for it. */
    memset(shop->file, 0, sizeof(shop->file));
    rotation_follow_file(shop->rotation);
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, OLD, LIFE_STANDS_OFF);
    assert_string_equal(shop_step(shop, "a"), "rolled_back");
    shop_close(&shop);
}

/* The pool is told of the secret that is to prove itself now, though it stands as the one before.
 */
static void test_change_during_the_proof(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop->validate_err = ERR_DENIED;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "validating");
    assert_int_equal(change(shop, "a", shop->file[0], "sk-2", "sk-3"), ROTATION_BEGUN);
    expect_stand(shop, "a", LIFE_STANDS_PROOF);
    assert_memory_equal(shop_stand(shop, "a")->identity, shop->file[0], LIFE_IDENTITY_BYTES);
    shop_close(&shop);
}

/* The answer about the secret before is waited for no more. */
static void test_change_while_a_provider_is_asked(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop_identity(SPAN("sk-b1"), shop->file[1]);
    shop->is_silent = true;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    change(shop, "b", shop->file[1], "sk-b1", "sk-b2");
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "validating");
    shop->is_silent = false;
    assert_int_equal(change(shop, "a", shop->file[0], "sk-2", "sk-3"), ROTATION_BEGUN);
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    expect_stand(shop, "b", LIFE_STANDS_PROOF);
    shop_close(&shop);
}

/* What stood in for one that was no good still does, where the file is back at it: nobody else
 * stands for the same secret. */
static void test_change_after_the_way_back(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop->validate_err = ERR_DENIED;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    shop_pass(shop, 600 * US_PER_SEC);
    assert_string_equal(shop_step(shop, "a"), "rolled_back");
    assert_int_equal(change(shop, "a", shop->file[0], "sk-2", "sk-1"), ROTATION_GONE);
    shop_pass(shop, 600 * US_PER_SEC);
    assert_int_equal(change(shop, "a", shop->file[0], "sk-1", "sk-3"), ROTATION_BEGUN);
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, OLD, LIFE_STANDS_FULL);
    expect_stand(shop, "a", LIFE_STANDS_PROOF);
    assert_int_equal(shop->stand_count, 2);
    shop_close(&shop);
}

/* One after the other: those that wait serve on with the secret before. */
static void test_two_at_once(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop_identity(SPAN("sk-b1"), shop->file[1]);
    assert_int_equal(change(shop, "a", shop->file[0], "sk-1", "sk-2"), ROTATION_BEGUN);
    assert_int_equal(change(shop, "b", shop->file[1], "sk-b1", "sk-b2"), ROTATION_BEGUN);
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    expect_stand(shop, "b", LIFE_STANDS_PROOF);
    expect_stand(shop, "b-before-20261120-101501", LIFE_STANDS_FULL);
    restart(shop);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    expect_stand(shop, "b", LIFE_STANDS_PROOF);
    while (!strcmp(shop_step(shop, "a"), "canary"))
        assert_true(rotation_advance(shop->rotation));
    shop_pass(shop, US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_FULL);
    expect_stand(shop, "b", LIFE_STANDS_SHARE);
    shop_close(&shop);
}

/* The secret before is nowhere: the new one is all there is. */
static void test_lost_secret(void **state)
{
    static const int errs[] = {0, ERR_DENIED};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct shop *shop = open_shop();

        shop->validate_err = errs[i];
        change(shop, "a", shop->file[0], "sk-1", "sk-2");
        shop_pass(shop, 600 * US_PER_SEC);
        shop_stop(shop);
        ((struct shop_entry *)(uintptr_t)shop_entry(shop, OLD))->version = 0;
        shop_start(shop);
        shop_pass(shop, US_PER_SEC);
        expect_stand(shop, OLD, LIFE_STANDS_OFF);
        assert_string_equal(shop_step(shop, "a"), errs[i] ? "rolled_back" : "active");
        assert_string_equal(shop->trouble, "");
        /* Where it had proven no good, it is as the file says all the same. */
        assert_int_equal(life_has_identity(life_find(
                             (struct life *)(uintptr_t)rotation_life(shop->rotation), SPAN("a"))),
                         !errs[i]);
        shop_close(&shop);
    }
}

/* Of a key that rotation made, while no process ran. */
static void test_entry_that_was_changed_meanwhile(void **state)
{
    static const char name[] = "key-20261120-101501";
    struct shop *shop = open_shop();
    uint8_t identity[LIFE_IDENTITY_BYTES];
    uint64_t id;

    (void)state;
    shop->settings.rules.has_ramp = false;
    assert_int_equal(rotation_set_settings(shop->rotation, &shop->settings), 0);
    rotation_begin(shop->rotation, &(struct rotation_order){.replaces = SPAN("a")}, &id);
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop_step(shop, name), "active");
    restart(shop);
    assert_string_equal(shop->taken, "");
    shop_stop(shop);
    shop_change(shop, name, "sk-another");
    shop_start(shop);
    shop_pass(shop, US_PER_SEC);
    assert_string_equal(shop->taken, name);
    assert_string_equal(shop_stand(shop, name)->secret, "sk-another");
    /* From now on it is that one: nothing is found to have changed once more. */
    shop_identity(SPAN("sk-another"), identity);
    assert_memory_equal(rotation_life(shop->rotation)->keys[1].identity, identity,
                        LIFE_IDENTITY_BYTES);
    shop->taken[0] = '\0';
    shop_change(shop, name, "sk-another");
    restart(shop);
    assert_string_equal(shop->taken, "");
    assert_int_equal(shop->changes, 0);
    shop_close(&shop);
}

/* The store is away: nothing begins, and nothing is taken away. */
static void test_store_is_away(void **state)
{
    struct shop *shop = open_shop();

    (void)state;
    shop->is_away = true;
    change(shop, "a", shop->file[0], "sk-1", "sk-2");
    shop_pass(shop, 600 * US_PER_SEC);
    expect_stand(shop, OLD, LIFE_STANDS_FULL);
    expect_stand(shop, "a", LIFE_STANDS_PROOF);
    shop->is_away = false;
    shop_pass(shop, 120 * US_PER_SEC);
    expect_stand(shop, "a", LIFE_STANDS_SHARE);
    assert_non_null(shop_entry(shop, OLD));
    shop_close(&shop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proof),
        cmocka_unit_test(test_way_back),
        cmocka_unit_test(test_change_during_the_ramp),
        cmocka_unit_test(test_change_during_the_proof),
        cmocka_unit_test(test_change_while_a_provider_is_asked),
        cmocka_unit_test(test_change_after_the_way_back),
        cmocka_unit_test(test_two_at_once),
        cmocka_unit_test(test_lost_secret),
        cmocka_unit_test(test_entry_that_was_changed_meanwhile),
        cmocka_unit_test(test_store_is_away),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
