/* alerts/alerts: from what happens to what several webhooks are told, through storms, reloads and
 * an end. */
#include "stage.h"

#include "alerts/alerts.h"
#include "base/rand.h"

enum { HOOKS = 2 };

struct play {
    struct stage stage;
    struct hook hooks[HOOKS]; /* Slack's, and JSON */
    struct webhook_settings settings[HOOKS];
    struct alerts *alerts;
};

static const char *const always_ok[] = {HOOK_OK, NULL};

static struct play *open_play(const char *const *script)
{
    struct play *play = mem_zalloc(1, sizeof(*play));

    assert_non_null(play);
    stage_open(&play->stage);
    for (size_t i = 0; i < HOOKS; i++) {
        hook_open(&play->hooks[i], i == 0, script);
        play->settings[i] =
            (struct webhook_settings){.url = stage_url(&play->stage, play->hooks[i].port),
                                      .format = i == 0 ? ALERT_FORMAT_SLACK : ALERT_FORMAT_JSON};
    }
    play->alerts = alerts_new(&play->stage.surroundings);
    assert_non_null(play->alerts);
    assert_int_equal(alerts_set_webhooks(play->alerts, play->settings, HOOKS), 0);
    return play;
}

static void end_play(struct play *play)
{
    alerts_free(&play->alerts);
    assert_null(play->alerts);
    for (size_t i = 0; i < HOOKS; i++)
        secret_unref(&play->settings[i].url);
    stage_close(&play->stage);
    for (size_t i = 0; i < HOOKS; i++)
        hook_close(&play->hooks[i]);
    mem_free(play);
}

static void raise_as(struct play *play, enum alert_kind kind, const char *provider, bool is_over)
{
    const struct alert alert = {.kind = kind,
                                .is_over = is_over,
                                .provider = span_from_text(provider),
                                .key = SPAN("key-1"),
                                .reason = SPAN("for a reason"),
                                .wall_us = loop_wall_us(play->stage.loop)};

    alerts_raise(play->alerts, &alert);
}

static void raise(struct play *play, enum alert_kind kind)
{
    raise_as(play, kind, "openai", false);
}

static uint64_t sent(const struct play *play, const char *number)
{
    return stage_counted(&play->stage, number, METRIC_DELIVERY_SENT);
}

static void all_are_told(void **state)
{
    struct play *play = open_play(always_ok);

    (void)state;
    assert_true(alerts_is_idle(play->alerts));
    /* Of one turn: one message. */
    raise(play, ALERT_ROLLED_BACK);
    raise(play, ALERT_REVOKE_BY_HAND);
    assert_false(alerts_is_idle(play->alerts));
    stage_pass(&play->stage, S);
    assert_true(alerts_is_idle(play->alerts));
    for (size_t i = 0; i < HOOKS; i++) {
        assert_int_equal(play->hooks[i].taken, 1);
        assert_non_null(strstr(hook_body(&play->hooks[i]), "rolled_back"));
        assert_non_null(strstr(hook_body(&play->hooks[i]), "revoke_by_hand"));
    }
    assert_int_equal(sent(play, "1"), 2);
    assert_int_equal(sent(play, "2"), 2);
    raise_as(play, ALERT_STORE_UNREACHABLE, "openai", false);
    stage_pass(&play->stage, 10 * S);
    raise_as(play, ALERT_STORE_UNREACHABLE, "openai", true);
    raise_as(play, ALERT_STORE_UNREACHABLE, "openai", true);
    assert_int_equal(play->hooks[1].taken, 1);
    stage_pass(&play->stage, 60 * S);
    assert_int_equal(play->hooks[1].taken, 2);
    assert_non_null(strstr(hook_body(&play->hooks[0]), "OVER store_unreachable"));
    assert_int_equal(sent(play, "1"), 4);
    end_play(play);
}

/* A thousand in a second are a few messages, and every one is counted in them. */
static void storm(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 10; seed++) {
        struct play *play = open_play(always_ok);
        struct rand rand;
        char provider[16];

        rand_init(&rand, seed);
        for (unsigned i = 0; i < 1000; i++) {
            snprintf(provider, sizeof(provider), "p%u", (unsigned)rand_below(&rand, 30));
            raise_as(play, (enum alert_kind)rand_below(&rand, ALERT_KINDS), provider, false);
            stage_turn(&play->stage, US_PER_MS);
        }
        stage_pass(&play->stage, 120 * S);
        assert_true(alerts_is_idle(play->alerts));
        assert_in_range(play->hooks[0].taken, 2, 4);
        assert_int_equal(play->hooks[1].taken, play->hooks[0].taken);
        assert_int_equal(play->hooks[1].alerts, 1000);
        assert_int_equal(sent(play, "1"), 1000);
        assert_int_equal(sent(play, "2"), 1000);
        end_play(play);
    }
}

/* Nobody takes anything for a day: it is tried for an hour each, and counted. */
static void ill_for_a_day(void **state)
{
    static const char *const ill[] = {HOOK_SAYS("502 Bad Gateway", "", ""), NULL};
    struct play *play = open_play(ill);

    (void)state;
    for (unsigned i = 0; i < 24 * 12; i++) {
        raise(play, i % 2 ? ALERT_KEY_INVALID : ALERT_EXPIRING);
        stage_pass(&play->stage, 300 * S);
    }
    for (size_t i = 0; i < HOOKS; i++) {
        char number[2] = {(char)('1' + i), '\0'};

        assert_int_equal(sent(play, number), 0);
        assert_in_range(stage_counted(&play->stage, number, METRIC_DELIVERY_FAILED), 250, 287);
        assert_int_equal(stage_counted(&play->stage, number, METRIC_DELIVERY_DROPPED), 0);
    }
    end_play(play);
}

/* A webhook that stays keeps what waits, wherever it stands then. */
static void reload(void **state)
{
    static const char *const later[] = {
        HOOK_SAYS("503 Service Unavailable", "Retry-After: 60\r\n", ""), HOOK_OK, NULL};
    struct play *play = open_play(later);
    struct webhook_settings many[ALERTS_WEBHOOKS_MAX + 1];

    (void)state;
    raise(play, ALERT_ROTATION_FAILED);
    stage_pass(&play->stage, 5 * S);
    assert_int_equal(play->hooks[1].asked, 1);
    for (size_t i = 0; i < ALERTS_WEBHOOKS_MAX + 1; i++)
        many[i] = play->settings[0];
    assert_int_equal(alerts_set_webhooks(play->alerts, many, ALERTS_WEBHOOKS_MAX + 1), ERR_RANGE);
    /* The first goes, the second moves up. */
    assert_int_equal(alerts_set_webhooks(play->alerts, &play->settings[1], 1), 0);
    assert_false(alerts_is_idle(play->alerts));
    stage_pass(&play->stage, 120 * S);
    assert_true(alerts_is_idle(play->alerts));
    assert_int_equal(play->hooks[0].asked, 1);
    assert_int_equal(play->hooks[1].taken, 1);
    assert_int_equal(sent(play, "1"), 1);
    /* The same one twice is told twice. */
    many[0] = many[1] = play->settings[1];
    assert_int_equal(alerts_set_webhooks(play->alerts, many, 2), 0);
    raise(play, ALERT_PROMOTED);
    stage_pass(&play->stage, 60 * S);
    assert_int_equal(play->hooks[1].taken, 3);
    /* Nobody to tell. */
    assert_int_equal(alerts_set_webhooks(play->alerts, NULL, 0), 0);
    raise(play, ALERT_PROMOTED);
    stage_pass(&play->stage, 60 * S);
    assert_true(alerts_is_idle(play->alerts));
    end_play(play);
}

static void flush_at_the_end(void **state)
{
    struct play *play = open_play(always_ok);

    (void)state;
    alerts_flush(play->alerts);
    assert_true(alerts_is_idle(play->alerts));
    raise(play, ALERT_PROMOTED);
    stage_pass(&play->stage, 2 * S);
    raise(play, ALERT_EXPIRING);
    stage_pass(&play->stage, 2 * S);
    assert_int_equal(play->hooks[1].taken, 1);
    alerts_flush(play->alerts);
    stage_pass(&play->stage, 2 * S);
    assert_true(alerts_is_idle(play->alerts));
    assert_int_equal(play->hooks[1].taken, 2);
    end_play(play);
}

/* Wherever memory ends, what was raised is told later, and a reload that fails changes nothing. */
static void without_memory(void **state)
{
    (void)state;
    for (long after = 0; after < 60; after++) {
        struct play *play = open_play(always_ok);
        struct webhook_settings moved[HOOKS] = {play->settings[1], play->settings[0]};

        moved[0].ca_file = "/etc/ssl/own-ca.pem";
        raise(play, ALERT_ROTATION_FAILED);
        mem_fail_after(after);
        stage_pass(&play->stage, 30 * S);
        mem_fail_after(-1);
        stage_pass(&play->stage, 30 * S);
        assert_true(alerts_is_idle(play->alerts));
        assert_int_equal(sent(play, "1"), 1);
        assert_int_equal(sent(play, "2"), 1);
        mem_fail_after(after % 10);
        if (alerts_set_webhooks(play->alerts, moved, HOOKS)) {
            mem_fail_after(-1);
            raise(play, ALERT_PROMOTED);
            stage_pass(&play->stage, 60 * S);
            assert_int_equal(sent(play, "1"), 2);
            assert_int_equal(sent(play, "2"), 2);
        }
        mem_fail_after(-1);
        end_play(play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_told),     cmocka_unit_test(storm),
        cmocka_unit_test(ill_for_a_day),    cmocka_unit_test(reload),
        cmocka_unit_test(flush_at_the_end), cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
