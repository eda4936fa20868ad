/* Alerts in the file: webhooks, whose URLs are secrets, and rules. */
#include "fake.h"

static const struct fake_pair variables[] = {
    {"HOOK", "https://hooks.example.com/services/T0/B0/TOPSECRET"},
    {"QUERY", "https://example.com/flow?sig=TOPSECRET&v=1"},
    {"ODD", "ftp://TOPSECRET.example.com/"},
    {"SOCKET", "http://unix:/run/TOPSECRET.sock:/x"},
    {NULL, NULL},
};
static const struct fake_pair files[] = {{"ca.pem", "x"}, {NULL, NULL}};

#define BEFORE "providers: {openai: {keys: [sk-a]}}\n"

static const char whole[] =
    BEFORE "alerts:\n"
           "  webhooks:\n"
           "    - \"${env:HOOK}\"\n"
           "    - {url: \"${env:QUERY}\", format: json, ca: ca.pem}\n"
           "  rules: {active_keys_below: 2, overhead_p95_above: 100ms,\n"
           "          canary_error_rate_above: 5%, rotation_errors_above: 0, for: 10m}\n";

static void a_whole_one(void **state)
{
    const struct conf_alerts *alerts = &fake_must_load(*state, whole)->alerts;
    const struct conf_webhook *hooks = alerts->webhooks.items;

    assert_int_equal(alerts->webhooks.count, 2);
    assert_true(secret_is_equal(hooks[0].url, span_from_text(variables[0].value)));
    assert_int_equal(hooks[0].format, CONF_ALERT_SLACK);
    assert_int_equal(hooks[0].ca.len, 0);
    assert_true(secret_is_equal(hooks[1].url, span_from_text(variables[1].value)));
    assert_int_equal(hooks[1].format, CONF_ALERT_JSON);
    assert_span(hooks[1].ca, "ca.pem");
    assert_int_equal(alerts->rules->active_keys, 2);
    assert_int_equal(alerts->rules->overhead_p95_us, 100000);
    assert_int_equal(alerts->rules->canary_error_ppm, 50000);
    assert_int_equal(alerts->rules->rotation_errors_from, 1);
    assert_int_equal(alerts->rules->for_us, 600000000);
}

static void nothing_is_watched_that_the_file_does_not_say(void **state)
{
    const struct config *config = fake_must_load(*state, BEFORE);

    assert_int_equal(config->alerts.webhooks.count, 0);
    assert_null(config->alerts.rules);
    config = fake_must_load(*state, BEFORE "alerts: {rules: {}}\n");
    assert_int_equal(config->alerts.rules->active_keys, 0);
    assert_int_equal(config->alerts.rules->overhead_p95_us, 0);
    assert_int_equal(config->alerts.rules->canary_error_ppm, 0);
    assert_int_equal(config->alerts.rules->rotation_errors_from, 0);
    assert_int_equal(config->alerts.rules->for_us, 300000000);
}

static void urls_are_masked(void **state)
{
    static const char expected[] = "alerts:\n"
                                   "  webhooks:\n"
                                   "    - url: \"***\"\n"
                                   "      format: slack\n"
                                   "    - url: \"***\"\n"
                                   "      format: json\n"
                                   "      ca: ca.pem\n"
                                   "  rules:\n"
                                   "    active_keys_below: 2\n"
                                   "    overhead_p95_above: 100ms\n"
                                   "    canary_error_rate_above: 5%\n"
                                   "    rotation_errors_above: 0\n"
                                   "    for: 10m\n";
    struct fake *fake = *state;
    const char *text;

    fake_must_load(fake, whole);
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    text = strstr(buf_text(&fake->text), "alerts:\n");
    assert_non_null(text);
    assert_memory_equal(text, expected, sizeof(expected) - 1);
}

static void complaints(void **state)
{
    fake_expect(*state,
                BEFORE "alerts:\n"
                       "  webhooks:\n"
                       "    - \"${env:ODD}\"\n"
                       "    - \"${env:SOCKET}\"\n"
                       "    - {format: teams}\n"
                       "    - url: \"https://h/a b\"\n"
                       "  rules: {active_keys_below: 0, overhead_p95_above: 2s,\n"
                       "          canary_error_rate_above: 0%, rotation_errors_above: -1, for: 5,\n"
                       "          zzzzzz: 1%}\n",
                "b.yaml:4:7: alerts.webhooks[0]: the value is no URL; allowed: an http or "
                "https URL, best as ${env:NAME}\n"
                "b.yaml:5:7: alerts.webhooks[1]: the value names a socket; allowed: an http or "
                "https URL, best as ${env:NAME}\n"
                "b.yaml:6:7: alerts.webhooks[2]: the url is missing; allowed: url, best as "
                "${env:NAME}\n"
                "b.yaml:6:16: alerts.webhooks[2].format: 'teams' is not known; allowed: slack, "
                "json\n"
                "b.yaml:7:12: alerts.webhooks[3].url: the value is no URL; allowed: an http or "
                "https URL, best as ${env:NAME}\n"
                "b.yaml:8:30: alerts.rules.active_keys_below: '0' is out of range; allowed: a "
                "whole number from 1 to 16384\n"
                "b.yaml:8:53: alerts.rules.overhead_p95_above: '2s' is out of range; allowed: "
                "a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 1s\n"
                "b.yaml:9:36: alerts.rules.canary_error_rate_above: '0%' is out of range; "
                "allowed: a share such as 5%, from 0.0001% to 100%\n"
                "b.yaml:9:63: alerts.rules.rotation_errors_above: '-1' is no whole number; "
                "allowed: a whole number from 0 to 1000000\n"
                "b.yaml:9:72: alerts.rules.for: '5' is no duration; allowed: a duration such "
                "as 250ms, 30s, 5m, 2h or 30d, from 1s to 24h\n"
                "b.yaml:10:11: alerts.rules: unknown key 'zzzzzz'; allowed: "
                "active_keys_below, overhead_p95_above, canary_error_rate_above, "
                "rotation_errors_above, for\n");
}

static void too_many_webhooks(void **state)
{
    fake_expect(*state,
                BEFORE
                "alerts: {webhooks: [http://h/1, http://h/2, http://h/3, http://h/4,\n"
                "  http://h/5, http://h/6, http://h/7, http://h/8, http://h/9, http://h/10,\n"
                "  http://h/11, http://h/12, http://h/13, http://h/14, http://h/15,\n"
                "  http://h/16, http://h/17]}\n",
                "b.yaml:2:9: alerts: 17 webhooks are too many; allowed: at most 16\n");
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one),
        cmocka_unit_test(nothing_is_watched_that_the_file_does_not_say),
        cmocka_unit_test(urls_are_masked),
        cmocka_unit_test(complaints),
        cmocka_unit_test(too_many_webhooks),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
