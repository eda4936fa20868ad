/* A configuration without a file. */
#include "fake.h"

static int load(struct fake *fake, const struct fake_pair *variables, const char *path)
{
    config_free(&fake->config);
    complaints_fini(&fake->complaints);
    complaints_init(&fake->complaints);
    fake->variables = variables;
    return config_load(&fake->source, path, &fake->complaints, &fake->config);
}

static void keys_come_from_variables(void **state)
{
    static const struct fake_pair variables[] = {
        {"OPENAI_API_KEY", "sk-o"},
        {"DEEPSEEK_API_KEYS", "sk-1,sk-2 sk-3"},
        {"DEEPSEEK_KEYS", "sk-4"},
        {"OPENROUTER_API_KEYS", "sk-or-1"},
        {"HEALTH_CHECK_INTERVAL", "45"},
        {"COOLDOWN_SECONDS", "90s"},
        {NULL, NULL},
    };
    struct fake *fake = *state;
    const struct conf_provider *openai, *deepseek;

    assert_int_equal(load(fake, variables, NULL), 0);
    assert_string_equal(fake_complaints(fake), "");
    assert_span(fake->config->file, "environment");
    assert_int_equal(fake->config->providers.count, 3);
    openai = config_find_provider(fake->config, SPAN("openai"));
    deepseek = config_find_provider(fake->config, SPAN("deepseek"));
    assert_int_equal(openai->keys.count, 1);
    assert_span(openai->keys.items[0].name, "openai-1");
    assert_int_equal(openai->health.probe_interval_us, 45000000);
    assert_int_equal(openai->health.cooldown_us, 90000000);
    assert_int_equal(deepseek->keys.count, 4);
    assert_span(deepseek->keys.items[3].name, "deepseek-4");
    assert_true(secret_is_equal(deepseek->keys.items[3].secret, SPAN("sk-4")));
    assert_true(fake->config->clients.is_open);
}

static void a_webhook_is_told(void **state)
{
    static const struct fake_pair variables[] = {
        {"OPENAI_API_KEY", "sk-o"}, {"ALERT_WEBHOOK", "https://h/x?y=z"}, {NULL, NULL}};
    struct fake *fake = *state;

    assert_int_equal(load(fake, variables, NULL), 0);
    assert_int_equal(fake->config->alerts.webhooks.count, 1);
    assert_true(
        secret_is_equal(fake->config->alerts.webhooks.items[0].url, SPAN("https://h/x?y=z")));
    assert_int_equal(fake->config->alerts.webhooks.items[0].format, CONF_ALERT_SLACK);
    assert_string_equal(fake_complaints(fake), "");
}

static void what_is_not_built_is_a_warning(void **state)
{
    static const struct fake_pair variables[] = {
        {"OPENAI_API_KEY", "sk-o"},  {"ANTHROPIC_API_KEY", "sk-ant-x"},
        {"GEMINI_API_KEYS", "AIza"}, {"REDIS_URL", "redis://user:pw@host"},
        {"VAULT_TOKEN", "hvs.x"},    {NULL, NULL},
    };
    struct fake *fake = *state;

    assert_int_equal(load(fake, variables, NULL), 0);
    assert_int_equal(fake->config->providers.count, 3);
    assert_string_equal(fake_complaints(fake),
                        "environment: warning: REDIS_URL: not built yet, so it is left alone\n"
                        "environment: warning: VAULT_TOKEN: not built yet, so it is left alone\n");
}

static void a_wrong_variable_is_named(void **state)
{
    static const struct fake_pair variables[] = {{"OPENAI_API_KEY", "sk-o"},
                                                 {"COOLDOWN_SECONDS", "soon"},
                                                 {"DEEPSEEK_KEYS", "sk-1,sk-1"},
                                                 {NULL, NULL}};
    struct fake *fake = *state;

    assert_int_equal(load(fake, variables, NULL), ERR_SYNTAX);
    assert_string_equal(
        fake_complaints(fake),
        "environment: providers.openai.health.cooldown: the value of ${env:COOLDOWN_SECONDS} is no "
        "duration; allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "environment: providers.deepseek.health.cooldown: the value of ${env:COOLDOWN_SECONDS} is "
        "no duration; allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "environment: providers.deepseek: key 'deepseek-2' has the secret of key 'deepseek-1'; "
        "allowed: each secret once\n");
}

static void nothing_at_all_is_told(void **state)
{
    static const struct fake_pair variables[] = {{"OPENAI_API_KEY", ""}, {NULL, NULL}};
    struct fake *fake = *state;

    assert_int_equal(load(fake, variables, NULL), ERR_SYNTAX);
    assert_string_equal(fake_complaints(fake),
                        "environment: no configuration file, and no variable that names a key; "
                        "allowed: --config FILE, CONFIG_PATH, or keys in OPENAI_API_KEY, "
                        "DEEPSEEK_API_KEYS and the like\n");
}

static void a_file_wins(void **state)
{
    static const struct fake_pair variables[] = {
        {"OPENAI_API_KEY", "sk-o"}, {"CONFIG_PATH", "/etc/one.yaml"}, {NULL, NULL}};
    static const struct fake_pair files[] = {
        {"/etc/one.yaml", "providers: {deepseek: {keys: [sk-d]}}\n"},
        {"/etc/two.yaml", "providers: {openrouter: {keys: [sk-or-r]}}\n"},
        {"/etc/closed.yaml", NULL},
        {NULL, NULL}};
    struct fake *fake = *state;

    fake->files = files;
    assert_int_equal(load(fake, variables, NULL), 0);
    assert_span(fake->config->file, "/etc/one.yaml");
    assert_span(fake->config->providers.items[0].name, "deepseek");
    assert_int_equal(load(fake, variables, "/etc/two.yaml"), 0);
    assert_span(fake->config->providers.items[0].name, "openrouter");
    assert_int_equal(load(fake, variables, "/etc/none.yaml"), ERR_SYNTAX);
    assert_string_equal(fake_complaints(fake), "/etc/none.yaml: there is no such file\n");
    assert_int_equal(load(fake, variables, "/etc/closed.yaml"), ERR_SYNTAX);
    assert_string_equal(fake_complaints(fake),
                        "/etc/closed.yaml: the file cannot be read, permission denied\n");
}

static int set_up(void **state)
{
    return fake_set_up(state, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_come_from_variables),
        cmocka_unit_test(a_webhook_is_told),
        cmocka_unit_test(what_is_not_built_is_a_warning),
        cmocka_unit_test(a_wrong_variable_is_named),
        cmocka_unit_test(nothing_at_all_is_told),
        cmocka_unit_test(a_file_wins),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
