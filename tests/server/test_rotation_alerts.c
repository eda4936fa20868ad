/* server/rotation_alerts: which steps of a key's life are worth waking somebody for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "server/rotation_alerts.h"

static struct life life;

static struct life_key *key_at(const char *name, enum life_step step)
{
    struct life_key *key = &life.keys[life.count++];

    memset(key, 0, sizeof(*key));
    snprintf(key->name, sizeof(key->name), "%s", name);
    snprintf(key->reason, sizeof(key->reason), "because");
    key->step = step;
    key->rotation = 1;
    key->is_ours = true;
    return key;
}

static int forget(void **state)
{
    (void)state;
    life_init(&life);
    return 0;
}

static bool is_told(const struct life_key *key, enum life_step from, enum alert_kind kind)
{
    const struct rotation_news news = {.key = key, .from = from};
    struct alert alert = {.kind = ALERT_KINDS};
    bool is_told = rotation_alert_of_news(&life, &news, &alert);

    if (is_told)
        assert_true(span_is_equal(alert.key, span_from_text(key->name)));
    return is_told && alert.kind == kind && !alert.is_over;
}

static bool is_silent(const struct life_key *key, enum life_step from)
{
    const struct rotation_news news = {.key = key, .from = from};
    struct alert alert;

    return !rotation_alert_of_news(&life, &news, &alert);
}

static void a_good_life(void **state)
{
    struct life_key *key = key_at("new", LIFE_ISSUING);

    (void)state;
    assert_true(is_silent(key, LIFE_STEPS));
    for (enum life_step step = LIFE_ISSUED; step <= LIFE_CANARY; step++) {
        key->step = step;
        assert_true(is_silent(key, step - 1));
    }
    key->step = LIFE_ACTIVE;
    assert_true(is_told(key, LIFE_CANARY, ALERT_PROMOTED));
    assert_true(is_told(key, LIFE_VALIDATING, ALERT_PROMOTED)); /* without a ramp */
    assert_true(is_silent(key, LIFE_DRAINING));                 /* back again */
    assert_true(is_silent(key, LIFE_STEPS));                    /* as it was found at the start */
    key->step = LIFE_DRAINING;
    assert_true(is_silent(key, LIFE_ACTIVE));
    key->step = LIFE_RETIRED;
    assert_true(is_silent(key, LIFE_DRAINING));
    key->is_ours = false;
    assert_true(is_told(key, LIFE_DRAINING, ALERT_REVOKE_BY_HAND));
    key->step = LIFE_REVOKED;
    assert_true(is_silent(key, LIFE_RETIRED));
}

static void what_is_taken_back(void **state)
{
    struct life_key *key = key_at("new", LIFE_ROLLED_BACK), *next;

    (void)state;
    assert_true(is_told(key, LIFE_CANARY, ALERT_ROLLED_BACK));
    assert_true(is_told(key, LIFE_ACTIVE, ALERT_ROLLED_BACK));
    assert_true(is_told(key, LIFE_VALIDATING, ALERT_ROTATION_FAILED));
    assert_true(is_told(key, LIFE_ISSUING, ALERT_ROTATION_FAILED));
    assert_true(is_silent(key, LIFE_STEPS));
    /* The rotation goes on with another name. */
    next = key_at("new-2", LIFE_ISSUING);
    assert_true(is_silent(key, LIFE_ISSUING));
    next->rotation = 2;
    assert_true(is_told(key, LIFE_ISSUING, ALERT_ROTATION_FAILED));
}

static void a_leak_is_told_once(void **state)
{
    struct life_key *ours = key_at("ours", LIFE_RETIRED), *theirs = key_at("theirs", LIFE_RETIRED);
    struct alert alerts[ROTATION_LEAK_ALERTS];

    (void)state;
    assert_int_equal(rotation_alerts_of_leak(&life, SPAN("ours"), alerts), 0);
    ours->is_leaked = theirs->is_leaked = true;
    theirs->is_ours = false;
    assert_int_equal(rotation_alerts_of_leak(&life, SPAN("ours"), alerts), 1);
    assert_int_equal(alerts[0].kind, ALERT_KEY_LEAKED);
    assert_int_equal(rotation_alerts_of_leak(&life, SPAN("theirs"), alerts), 2);
    assert_int_equal(alerts[0].kind, ALERT_KEY_LEAKED);
    assert_int_equal(alerts[1].kind, ALERT_REVOKE_BY_HAND);
    assert_int_equal(rotation_alerts_of_leak(&life, SPAN("nobody"), alerts), 0);
    assert_true(is_silent(theirs, LIFE_ACTIVE));
    ours->step = LIFE_ROLLED_BACK;
    assert_true(is_silent(ours, LIFE_CANARY));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_good_life, forget),
        cmocka_unit_test_setup(what_is_taken_back, forget),
        cmocka_unit_test_setup(a_leak_is_told_once, forget),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
