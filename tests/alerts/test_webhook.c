/* alerts/webhook: one webhook, on real sockets, against strict doubles on this machine. */
#include "stage.h"

struct play {
    struct stage stage;
    struct hook hook;
    struct webhook *webhook;
};

static struct play *open_play(bool is_slack, const char *const *script)
{
    struct webhook_settings settings = {.format =
                                            is_slack ? ALERT_FORMAT_SLACK : ALERT_FORMAT_JSON};
    struct play *play = mem_zalloc(1, sizeof(*play));

    assert_non_null(play);
    hook_open(&play->hook, is_slack, script);
    stage_open(&play->stage);
    settings.url = stage_url(&play->stage, play->hook.port);
    assert_int_equal(webhook_new(&play->stage.surroundings, &settings, 1, &play->webhook), 0);
    secret_unref(&settings.url);
    return play;
}

/* The webhook goes; what was logged can be read then. */
static void end_play(struct play *play)
{
    webhook_free(&play->webhook);
    assert_null(play->webhook);
    stage_close(&play->stage);
    hook_close(&play->hook);
}

static struct alert_message *message_of(uint64_t alerts, const char *reason)
{
    struct alert_message *message = mem_zalloc(1, sizeof(*message) + sizeof(message->lines[0]));

    assert_non_null(message);
    message->refs = 1;
    message->total = message->lines[0].count = alerts;
    message->line_count = 1;
    message->lines[0].kind = ALERT_ROTATION_FAILED;
    alert_copy(message->lines[0].last.reason, ALERT_REASON_BYTES, span_from_text(reason));
    return message;
}

static void push(struct play *play, uint64_t alerts, const char *reason)
{
    struct alert_message *message = message_of(alerts, reason);

    webhook_push(play->webhook, message);
    alert_message_unref(&message);
}

/* Until so many requests were asked, and answered. */
static void wait_asked(struct play *play, int asked)
{
    uint64_t give_up_us = clock_now_us() + 60 * S;

    while (play->hook.asked < asked || !fetcher_is_idle(play->stage.fetcher)) {
        stage_turn(&play->stage, 86400 * S);
        if (clock_now_us() > give_up_us)
            fail_msg("asked %d times, not %d", play->hook.asked, asked);
    }
}

static uint64_t counted(const struct play *play, enum metric_delivery result)
{
    return stage_counted(&play->stage, "1", result);
}

static void told_at_once(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};
    struct play *play = open_play(true, script);

    (void)state;
    assert_true(webhook_is_idle(play->webhook));
    push(play, 3, "no quota");
    assert_false(webhook_is_idle(play->webhook));
    wait_asked(play, 1);
    assert_true(webhook_is_idle(play->webhook));
    assert_non_null(strstr(hook_body(&play->hook), "{\"text\":\"Bellwether gw-1: 3 alerts\\n"));
    assert_non_null(strstr(hook_body(&play->hook), "no quota"));
    assert_true(loop_now_us(play->stage.loop) < STAGE_START + 60 * S);
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 3);
    assert_int_equal(counted(play, METRIC_DELIVERY_FAILED), 0);
    end_play(play);
    assert_string_equal(play->stage.log_text, "");
    mem_free(play);
}

/* Slack wants a second between two. */
static void a_second_apart(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};
    struct play *play = open_play(false, script);
    uint64_t begun_us = loop_now_us(play->stage.loop);

    (void)state;
    for (unsigned i = 0; i < 5; i++)
        push(play, 1, "");
    wait_asked(play, 5);
    assert_true(loop_now_us(play->stage.loop) >= begun_us + 4 * S);
    assert_int_equal(play->hook.alerts, 5);
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 5);
    end_play(play);
    mem_free(play);
}

/* A server that is ill for a while: each time a little later, and none is lost. */
static void tried_again(void **state)
{
    static const char *const script[] = {
        HOOK_SAYS("500 Internal Server Error", "", "rollup_error"),
        HOOK_SAYS("500 Internal Server Error", "", "rollup_error"),
        "",
        HOOK_SAYS("503 Service Unavailable", "", "<html>out of order</html>"),
        HOOK_SAYS("408 Request Timeout", "", ""),
        HOOK_OK,
        NULL,
    };
    struct play *play = open_play(true, script);
    uint64_t last_us = 0;

    (void)state;
    push(play, 1, "one");
    for (int i = 1; i <= 6; i++) {
        uint64_t now_us;

        wait_asked(play, i);
        now_us = loop_now_us(play->stage.loop);
        /* At least half of 1, 2, 4, ... s, and no less than a second. */
        if (i > 1)
            assert_true(now_us - last_us >= (S << (i - 2)) / 2 && now_us - last_us >= S - S / 10);
        last_us = now_us;
        assert_int_equal(webhook_is_idle(play->webhook), i == 6);
    }
    assert_int_equal(play->hook.taken, 1);
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 1);
    end_play(play);
    /* A line for each reason that is new, and one for the end of it. */
    assert_int_equal(stage_logged(&play->stage, "a webhook does not take alerts"), 4);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 500: rollup_error\""), 1);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 503\""), 1);
    assert_int_equal(stage_logged(&play->stage, "a webhook takes alerts again"), 1);
    mem_free(play);
}

static void retry_after_is_kept(void **state)
{
    static const char *const script[] = {
        HOOK_SAYS("429 Too Many Requests", "Retry-After: 300\r\n", "rate_limited"), HOOK_OK, NULL};
    struct play *play = open_play(true, script);

    (void)state;
    push(play, 1, "one");
    wait_asked(play, 1);
    /* What comes meanwhile waits too. */
    push(play, 1, "two");
    stage_pass(&play->stage, 299 * S);
    assert_int_equal(play->hook.asked, 1);
    wait_asked(play, 3);
    assert_true(loop_now_us(play->stage.loop) < STAGE_START + 400 * S);
    assert_int_equal(play->hook.taken, 2);
    end_play(play);
    mem_free(play);
}

/* Slack's refusals are for good, and told in its own words; what comes next is tried. */
static void refused(void **state)
{
    static const char *const script[] = {HOOK_SAYS("404 Not Found", "", "no_service"),
                                         HOOK_SAYS("403 Forbidden", "", "invalid_token"),
                                         HOOK_SAYS("302 Found", "Location: /login\r\n", ""),
                                         HOOK_OK, NULL};
    struct play *play = open_play(true, script);

    (void)state;
    push(play, 2, "one");
    push(play, 3, "two");
    push(play, 4, "three");
    wait_asked(play, 3);
    assert_true(webhook_is_idle(play->webhook));
    assert_int_equal(counted(play, METRIC_DELIVERY_FAILED), 9);
    push(play, 1, "four");
    wait_asked(play, 4);
    assert_non_null(strstr(hook_body(&play->hook), "9 earlier alerts could not be sent here"));
    push(play, 1, "five");
    wait_asked(play, 5);
    assert_null(strstr(hook_body(&play->hook), "earlier"));
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 2);
    end_play(play);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 404: no_service\",\"alerts\":2"),
                     1);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 403: invalid_token\""), 1);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 302\""), 1);
    mem_free(play);
}

/* A server may echo what it was asked, or say anything: stage_close looks at the log. */
static void echoes_are_not_repeated(void **state)
{
    static const char *const script[] = {
        HOOK_SAYS("404 Not Found", "", "no such path: " HOOK_PATH),
        HOOK_SAYS("404 Not Found", "", HOOK_TOKEN),
        HOOK_SAYS("404 Not Found", "", "abcdefgh"), /* a part of the token */
        HOOK_SAYS("404 Not Found", "", "Plain_words_of_others"), NULL};
    struct play *play = open_play(true, script);

    (void)state;
    for (int i = 1; i <= 4; i++)
        push(play, 1, "");
    wait_asked(play, 4);
    end_play(play);
    assert_int_equal(stage_logged(&play->stage, "\"why\":\"HTTP 404\""), 4);
    assert_int_equal(stage_logged(&play->stage, "abcdefgh"), 0);
    mem_free(play);
}

/* However long the answer is, it was one. */
static void long_answers_are_answers(void **state)
{
    static char page[300000];
    static const char *const script[] = {page, NULL};
    struct play *play;
    size_t head = (size_t)snprintf(page, sizeof(page), "%s", HOOK_OK);

    (void)state;
    memset(page + head, 'x', sizeof(page) - head - 1);
    play = open_play(false, script);
    push(play, 1, "");
    wait_asked(play, 1);
    assert_true(webhook_is_idle(play->webhook));
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 1);
    end_play(play);
    mem_free(play);
}

/* Nobody listens: an hour, and not for ever. What came later is tried still. */
static void an_hour_of_silence(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};
    struct play *play = open_play(false, script);
    struct webhook_settings settings = {.format = ALERT_FORMAT_JSON};
    struct hook gone;

    (void)state;
    hook_open(&gone, false, script);
    hook_close(&gone);
    webhook_free(&play->webhook);
    settings.url = stage_url(&play->stage, gone.port);
    assert_int_equal(webhook_new(&play->stage.surroundings, &settings, 1, &play->webhook), 0);
    secret_unref(&settings.url);
    push(play, 7, "one");
    stage_pass(&play->stage, 1800 * S);
    push(play, 5, "two");
    stage_pass(&play->stage, 1700 * S);
    assert_int_equal(counted(play, METRIC_DELIVERY_FAILED), 0);
    stage_pass(&play->stage, 500 * S);
    assert_int_equal(counted(play, METRIC_DELIVERY_FAILED), 7);
    assert_false(webhook_is_idle(play->webhook));
    stage_pass(&play->stage, 2000 * S);
    assert_int_equal(counted(play, METRIC_DELIVERY_FAILED), 12);
    assert_true(webhook_is_idle(play->webhook));
    end_play(play);
    assert_int_equal(stage_logged(&play->stage, "a webhook does not take alerts"), 1);
    assert_int_equal(stage_logged(&play->stage, "connection refused\",\"alerts\":7"), 1);
    mem_free(play);
}

/* Too many wait: the oldest become a number, but for the one that is under way. */
static void line_is_bounded(void **state)
{
    static const char *const script[] = {
        HOOK_SAYS("429 Too Many Requests", "Retry-After: 60\r\n", ""), HOOK_OK, NULL};
    struct play *play = open_play(false, script);

    (void)state;
    push(play, 1, "under way");
    for (unsigned i = 0; i < WEBHOOK_QUEUE_MAX + 3; i++)
        push(play, 10, "");
    assert_int_equal(counted(play, METRIC_DELIVERY_DROPPED), 40);
    wait_asked(play, 1);
    push(play, 10, "");
    assert_int_equal(counted(play, METRIC_DELIVERY_DROPPED), 41);
    wait_asked(play, 1 + WEBHOOK_QUEUE_MAX);
    assert_true(webhook_is_idle(play->webhook));
    assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 160);
    assert_int_equal(play->hook.alerts, 160);
    /* Told once. */
    assert_int_equal(play->hook.missed, 41);
    end_play(play);
    mem_free(play);
}

/* What is dropped while a message is under way stands in the next one, not in none. */
static void dropped_meanwhile(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};
    struct play *play = open_play(false, script);

    (void)state;
    push(play, 1, "under way");
    for (unsigned i = 0; i < WEBHOOK_QUEUE_MAX + 3; i++)
        push(play, 10, "");
    wait_asked(play, WEBHOOK_QUEUE_MAX);
    assert_int_equal(play->hook.alerts, 151);
    assert_int_equal(play->hook.missed, 40);
    end_play(play);
    mem_free(play);
}

static void gone_while_under_way(void **state)
{
    static const char *const script[] = {"wait", NULL};
    struct play *play = open_play(true, script);

    (void)state;
    push(play, 1, "one");
    push(play, 1, "two");
    for (int i = 0; i < 10 || !play->hook.asked; i++)
        stage_turn(&play->stage, S);
    end_play(play);
    mem_free(play);
}

static void same_settings(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};
    struct play *play = open_play(true, script);
    struct webhook_settings settings = {.format = ALERT_FORMAT_SLACK};

    (void)state;
    settings.url = stage_url(&play->stage, play->hook.port);
    assert_true(webhook_is_of(play->webhook, &settings));
    settings.format = ALERT_FORMAT_JSON;
    assert_false(webhook_is_of(play->webhook, &settings));
    settings.format = ALERT_FORMAT_SLACK;
    settings.ca_file = "/etc/ssl/own-ca.pem";
    assert_false(webhook_is_of(play->webhook, &settings));
    settings.ca_file = NULL;
    secret_unref(&settings.url);
    settings.url = stage_url(&play->stage, 1);
    assert_false(webhook_is_of(play->webhook, &settings));
    secret_unref(&settings.url);
    end_play(play);
    mem_free(play);
}

/* Wherever memory ends, nothing is lost: it is tried again. */
static void without_memory(void **state)
{
    static const char *const script[] = {HOOK_OK, NULL};

    (void)state;
    for (long after = 0; after < 40; after++) {
        struct play *play = open_play(true, script);
        struct alert_message *message = message_of(1, "");

        mem_fail_after(after);
        webhook_push(play->webhook, message);
        mem_fail_after(-1);
        alert_message_unref(&message);
        wait_asked(play, 1);
        assert_true(webhook_is_idle(play->webhook));
        assert_int_equal(counted(play, METRIC_DELIVERY_SENT), 1);
        end_play(play);
        mem_free(play);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(told_at_once),
        cmocka_unit_test(a_second_apart),
        cmocka_unit_test(tried_again),
        cmocka_unit_test(retry_after_is_kept),
        cmocka_unit_test(refused),
        cmocka_unit_test(echoes_are_not_repeated),
        cmocka_unit_test(long_answers_are_answers),
        cmocka_unit_test(an_hour_of_silence),
        cmocka_unit_test(line_is_bounded),
        cmocka_unit_test(dropped_meanwhile),
        cmocka_unit_test(gone_while_under_way),
        cmocka_unit_test(same_settings),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
