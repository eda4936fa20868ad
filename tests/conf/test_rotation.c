/* The life of a provider's keys: issuers of each kind, the ramp, and what seals secrets. */
#include "fake.h"

#include "base/alloc.h"
#include "conf/identity.h"

static const struct fake_pair variables[] = {
    {"ADMIN", "sk-TOPSECRET-admin"},
    {"HOST", "issuer.example.com"},
    {"PATH_OF", "TOPSECRET-path"},
    {"QUOTED", "TOPSECRET \"quoted\" \\ text"},
    {"BYTES", "\xff\xfe"},
    {"S0", "s0"},
    {"S1", "s1"},
    {"S2", "s2"},
    {"S3", "s3"},
    {"S4", "s4"},
    {"S5", "s5"},
    {"S6", "s6"},
    {"S7", "s7"},
    {"S8", "s8"},
    {"S9", "s9"},
    {NULL, NULL},
};
static const struct fake_pair files[] = {{"lines", "TOPSECRET-1\nTOPSECRET-2\n"}, {NULL, NULL}};

#define BEFORE                                                                                     \
    "providers:\n"                                                                                 \
    "  openai:\n"                                                                                  \
    "    keys: [sk-a]\n"                                                                           \
    "    rotation:\n"

static const char http[] =
    BEFORE "      name: team.a-{time}_x\n"
           "      overlap: 3d\n"
           "      max_keys: 2\n"
           "      validate: {attempts: 7, base_delay: 2s}\n"
           "      on: [secret_changed, leaked, expiry, error_rate]\n"
           "      canary: {initial: 2.5%, steps: 4, every: 5m, min_requests: 0,\n"
           "               max_error_rate: 1%, max_latency_ratio: 2.25}\n"
           "      issuer:\n"
           "        kind: http\n"
           "        timeout: 10s\n"
           "        life: 30d\n"
           "        create:\n"
           "          url: https://${env:HOST}/v1/keys?owner={name}\n"
           "          headers: {Authorization: \"Bearer ${env:ADMIN}\", X-Team: search}\n"
           "          body:\n"
           "            name: \"{name}\"\n"
           "            expires_in_days: 30\n"
           "            exact: -1.50e+3\n"
           "            text: \"30\"\n"
           "            odd: 0x1f\n"
           "            is_new: true\n"
           "            none: null\n"
           "            scopes: [a, \"${env:QUOTED}\", {}, []]\n"
           "            password: {deep: [plain, 7]}\n"
           "            dollar: a$${b}\n"
           "          key: /api_key\n"
           "          id: /key~1id\n"
           "          expires: /expires_at\n"
           "        revoke:\n"
           "          method: POST\n"
           "          url: https://api.example.com/${env:PATH_OF}/{id}\n"
           "        list:\n"
           "          url: http://127.0.0.1:81/keys\n"
           "          items: \"\"\n"
           "          name: /name\n"
           "          id: /id\n"
           "          expires: /end\n"
           "          paging: {parameter: after, cursor: /last, more: /has_more}\n";

static const char command[] = BEFORE "      canary: off\n"
                                     "      issuer:\n"
                                     "        kind: command\n"
                                     "        argv: [/usr/bin/issue, \"\", \"${env:PATH_OF}\"]\n"
                                     "        env:\n"
                                     "          TOKEN: \"${file:lines}\"\n"
                                     "          PLAIN: TOPSECRET-plain\n"
                                     "          EMPTY: \"\"\n"
                                     "        find: true\n"
                                     "        revoke: false\n";

static const char known[] =
    "providers:\n"
    "  openai:\n"
    "    keys: [sk-a]\n"
    "    rotation: {issuer: {kind: openai, project: proj_1, admin_key: \"${env:ADMIN}\",\n"
    "                        url: \"http://127.0.0.1:9/\"}}\n"
    "  openrouter:\n"
    "    keys: [sk-or-a]\n"
    "    rotation: {issuer: {kind: openrouter, provisioning_key: sk-TOPSECRET, limit: 2.50}}\n";

static const struct conf_rotation *load(struct fake *fake, const char *yaml)
{
    return fake_must_load(fake, yaml)->providers.items[0].rotation;
}

static const char *print(struct fake *fake)
{
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    return buf_text(&fake->text);
}

static void assert_secret(const struct secret *secret, const char *text)
{
    assert_non_null(secret);
    assert_span(secret_reveal(secret), text);
}

static void without_it_keys_are_only_watched(void **state)
{
    assert_null(load(*state, "providers: {openai: {keys: [sk-a]}}\n"));
}

static void every_default(void **state)
{
    const struct conf_rotation *rotation =
        load(*state, BEFORE "      issuer: {kind: http, create: {url: \"http://h/\", key: \"\"},\n"
                            "               revoke: {url: \"http://h/\"},\n"
                            "               list: {url: \"http://h/\", name: /n}}\n");
    const struct conf_issuer *issuer = rotation->issuer;

    assert_span(rotation->name, "auto-rotate-{time}");
    assert_int_equal(rotation->overlap_us, 7 * 86400000000ll);
    assert_int_equal(rotation->max_keys, 5);
    assert_int_equal(rotation->validate.attempts, 5);
    assert_int_equal(rotation->validate.base_delay_us, 1000000);
    assert_int_equal(rotation->on, 15);
    assert_int_equal(rotation->schedule.len, 0);
    assert_int_equal(rotation->max_age_us, 0);
    assert_int_equal(rotation->warn_before_us, 7 * 86400000000ll);
    assert_int_equal(rotation->rotate_before_us, 3 * 86400000000ll);
    assert_int_equal(rotation->refused_for_us, 10000000);
    assert_int_equal(rotation->error_rate.max_ppm, 500000);
    assert_int_equal(rotation->error_rate.min_requests, 10);
    assert_int_equal(rotation->error_rate.window_us, 600000000);
    assert_int_equal(rotation->error_rate.calm_us, 3600000000ll);
    assert_int_equal(rotation->error_rate.prune_after_us, 1800000000);
    assert_int_equal(rotation->canary.initial_ppm, 100000);
    assert_int_equal(rotation->canary.steps, 10);
    assert_int_equal(rotation->canary.every_us, 60000000);
    assert_int_equal(rotation->canary.min_requests, 100);
    assert_int_equal(rotation->canary.max_error_ppm, 50000);
    assert_int_equal(rotation->canary.max_latency_milli, 1500);
    assert_int_equal(issuer->timeout_us, 30000000);
    assert_int_equal(issuer->life_us, 0);
    assert_span(issuer->create->request.method, "POST");
    assert_span(issuer->revoke.request->method, "DELETE");
    assert_span(issuer->list->request.method, "GET");
    assert_null(issuer->create->request.body.json);
    assert_int_equal(issuer->create->request.headers.count, 0);
    /* The whole answer is the key; nothing is where the others stand. */
    assert_non_null(issuer->create->key.ptr);
    assert_int_equal(issuer->create->key.len, 0);
    assert_null(issuer->create->id.ptr);
    assert_null(issuer->create->expires.ptr);
    assert_null(issuer->list->items.ptr);
    assert_null(issuer->list->paging);
}

static void a_program_can_revoke_and_not_find_by_default(void **state)
{
    const struct conf_issuer *issuer =
        load(*state, BEFORE "      issuer: {kind: command, argv: [/x]}\n")->issuer;

    assert_true(issuer->revoke.is_able);
    assert_null(issuer->revoke.request);
    assert_false(issuer->can_find);
    assert_int_equal(issuer->environment.count, 0);
}

static void an_issuer_of_requests(void **state)
{
    const struct conf_rotation *rotation = load(*state, http);
    const struct conf_issuer *issuer = rotation->issuer;
    const struct conf_issuer_request *create = &issuer->create->request;

    assert_span(rotation->name, "team.a-{time}_x");
    assert_int_equal(rotation->overlap_us, 3 * 86400000000ll);
    assert_int_equal(rotation->max_keys, 2);
    assert_int_equal(rotation->validate.attempts, 7);
    assert_int_equal(rotation->canary.initial_ppm, 25000);
    assert_int_equal(rotation->canary.every_us, 300000000);
    assert_int_equal(rotation->canary.min_requests, 0);
    assert_int_equal(rotation->canary.max_latency_milli, 2250);
    assert_int_equal(issuer->kind, CONF_ISSUER_HTTP);
    assert_int_equal(issuer->timeout_us, 10000000);
    assert_int_equal(issuer->life_us, 30 * 86400000000ll);
    assert_span(create->url, "https://issuer.example.com/v1/keys?owner={name}");
    assert_int_equal(create->headers.count, 2);
    assert_span(create->headers.items[0].name, "Authorization");
    assert_secret(create->headers.items[0].value, "Bearer sk-TOPSECRET-admin");
    assert_span(issuer->create->key, "/api_key");
    assert_span(issuer->create->id, "/key~1id");
    assert_span(issuer->create->expires, "/expires_at");
    assert_span(issuer->revoke.request->method, "POST");
    assert_span(issuer->revoke.request->url, "https://api.example.com/TOPSECRET-path/{id}");
    assert_int_equal(issuer->list->items.len, 0);
    assert_span(issuer->list->name, "/name");
    assert_span(issuer->list->id, "/id");
    assert_span(issuer->list->expires, "/end");
    assert_span(issuer->list->paging->parameter, "after");
    assert_span(issuer->list->paging->cursor, "/last");
    assert_span(issuer->list->paging->more, "/has_more");
    assert_false(issuer->list->paging->is_count);
}

/* What stands without quotes is what JSON takes it for, and references are text. */
static void a_body_is_sent_as_json(void **state)
{
    assert_secret(load(*state, http)->issuer->create->request.body.json,
                  "{\"name\":\"{name}\",\"expires_in_days\":30,\"exact\":-1.50e+3,\"text\":\"30\","
                  "\"odd\":\"0x1f\",\"is_new\":true,\"none\":null,"
                  "\"scopes\":[\"a\",\"TOPSECRET \\\"quoted\\\" \\\\ text\",{},[]],"
                  "\"password\":{\"deep\":[\"plain\",7]},\"dollar\":\"a${b}\"}");
}

static void what_looks_like_a_number(void **state)
{
    assert_secret(load(*state, BEFORE
                       "      issuer: {kind: http, create: {url: \"http://h\", key: /k, body:\n"
                       "        {a: [0, -0, 10, 01, -x, 1., .5, 1.5, 1e, 1e5, 1E-5x, +1, 1_0,\n"
                       "             True, yes, ~]}}}\n")
                      ->issuer->create->request.body.json,
                  "{\"a\":[0,-0,10,\"01\",\"-x\",\"1.\",\".5\",1.5,\"1e\",1e5,\"1E-5x\",\"+1\","
                  "\"1_0\",\"True\",\"yes\",null]}");
}

static void an_issuer_that_is_a_program(void **state)
{
    const struct conf_rotation *rotation = load(*state, command);
    const struct conf_issuer *issuer = rotation->issuer;

    assert_int_equal(rotation->canary.steps, 0);
    assert_int_equal(issuer->kind, CONF_ISSUER_COMMAND);
    assert_int_equal(issuer->argv.count, 3);
    assert_string_equal(issuer->argv.items[0], "/usr/bin/issue");
    assert_string_equal(issuer->argv.items[1], "");
    assert_string_equal(issuer->argv.items[2], "TOPSECRET-path");
    assert_null(issuer->argv.items[3]);
    assert_int_equal(issuer->environment.count, 3);
    assert_span(issuer->environment.items[0].name, "TOKEN");
    assert_secret(issuer->environment.items[0].value, "TOPSECRET-1\nTOPSECRET-2");
    assert_secret(issuer->environment.items[1].value, "TOPSECRET-plain");
    assert_null(issuer->environment.items[2].value);
    assert_true(issuer->can_find);
    assert_false(issuer->revoke.is_able);
}

static void issuers_of_known_providers(void **state)
{
    const struct config *config = fake_must_load(*state, known);
    const struct conf_issuer *openai = config->providers.items[0].rotation->issuer;
    const struct conf_issuer *openrouter = config->providers.items[1].rotation->issuer;

    assert_int_equal(openai->kind, CONF_ISSUER_OPENAI);
    assert_span(openai->project, "proj_1");
    assert_span(openai->url, "http://127.0.0.1:9");
    assert_secret(openai->admin_key, "sk-TOPSECRET-admin");
    assert_int_equal(openrouter->kind, CONF_ISSUER_OPENROUTER);
    assert_secret(openrouter->provisioning_key, "sk-TOPSECRET");
    assert_span(openrouter->limit_usd, "2.50");
    assert_int_equal(openrouter->url.len, 0);
}

static void printed_with_masks(void **state)
{
    const char *text;

    fake_must_load(*state, http);
    text = print(*state);
    assert_non_null(strstr(
        text,
        "    rotation:\n"
        "      issuer:\n"
        "        kind: http\n"
        "        timeout: 10s\n"
        "        life: 30d\n"
        "        create:\n"
        "          method: POST\n"
        "          url: \"https://issuer.example.com/***\"\n"
        "          headers:\n"
        "            Authorization: \"***\"\n"
        "            X-Team: search\n"
        "          body: {\"name\": \"{name}\", \"expires_in_days\": 30, \"exact\": -1.50e+3, "
        "\"text\": \"30\", \"odd\": \"0x1f\", \"is_new\": true, \"none\": null, \"scopes\": "
        "[\"a\", \"***\", {}, []], \"password\": {\"deep\": [\"***\", \"***\"]}, \"dollar\": "
        "\"a$${b}\"}\n"
        "          key: /api_key\n"
        "          id: \"/key~1id\"\n"
        "          expires: /expires_at\n"
        "        revoke:\n"
        "          method: POST\n"
        "          url: \"https://api.example.com/***\"\n"
        "        list:\n"
        "          method: GET\n"
        "          url: http://127.0.0.1:81/keys\n"
        "          items: \"\"\n"
        "          name: /name\n"
        "          id: /id\n"
        "          expires: /end\n"
        "          paging:\n"
        "            parameter: after\n"
        "            cursor: /last\n"
        "            more: /has_more\n"
        "            count: false\n"
        "      name: \"team.a-{time}_x\"\n"
        "      keep_in: sealed\n"
        "      max_age: 0s\n"
        "      warn_before: 7d\n"
        "      rotate_before: 3d\n"
        "      refused_for: 10s\n"
        "      overlap: 3d\n"
        "      max_keys: 2\n"
        "      validate:\n"
        "        attempts: 7\n"
        "        base_delay: 2s\n"
        "      on: [expiry, leaked, error_rate, secret_changed]\n"
        "      error_rate:\n"
        "        max: 50%\n"
        "        min_requests: 10\n"
        "        window: 10m\n"
        "        calm: 1h\n"
        "        prune_after: 30m\n"
        "      canary:\n"
        "        initial: 2.5%\n"
        "        steps: 4\n"
        "        every: 5m\n"
        "        min_requests: 0\n"
        "        max_error_rate: 1%\n"
        "        max_latency_ratio: 2.25\n"));
    fake_must_load(*state, command);
    text = print(*state);
    assert_non_null(strstr(text, "        revoke: false\n"
                                 "        argv: [/usr/bin/issue, \"\", \"***\"]\n"
                                 "        env:\n"
                                 "          TOKEN: \"***\"\n"
                                 "          PLAIN: \"***\"\n"
                                 "          EMPTY: \"\"\n"
                                 "        find: true\n"));
    assert_non_null(strstr(text, "        steps: 0\n"));
    fake_must_load(*state, known);
    text = print(*state);
    assert_non_null(strstr(text, "        url: http://127.0.0.1:9\n"
                                 "        project: proj_1\n"
                                 "        admin_key: \"***\"\n"));
    assert_non_null(strstr(text, "        provisioning_key: \"***\"\n"
                                 "        limit: 2.50\n"));
}

#define ISSUER "      issuer: {kind: openrouter, provisioning_key: k}\n"

/* An age waits for the schedule; without one, it counts where somebody asked for it. */
static void schedule_and_age(void **state)
{
    const struct conf_rotation *rotation =
        load(*state, BEFORE ISSUER "      schedule: \"0 2 * * * Europe/Berlin\"\n");

    assert_span(rotation->schedule, "0 2 * * * Europe/Berlin");
    assert_int_equal(rotation->max_age_us, 30 * 86400000000ll);
    assert_false(rotation->on & CONF_ROTATION_AGE);
    assert_non_null(strstr(print(*state), "      schedule: \"0 2 * * * Europe/Berlin\"\n"
                                          "      max_age: 30d\n"));
    rotation = load(*state, BEFORE ISSUER "      max_age: 12h\n");
    assert_int_equal(rotation->max_age_us, 43200000000ll);
    assert_true(rotation->on & CONF_ROTATION_AGE);
    rotation = load(*state, BEFORE ISSUER "      on: [age, refused]\n");
    assert_int_equal(rotation->max_age_us, 30 * 86400000000ll);
    assert_int_equal(rotation->on, CONF_ROTATION_AGE | CONF_ROTATION_REFUSED);
    rotation = load(*state, BEFORE ISSUER "      on: []\n      max_age: 0s\n");
    assert_int_equal(rotation->on, 0);
}

/* Each mask replaced by a secret of its own, it reads back to what prints the same. */
static void what_is_printed_reads_back(void **state)
{
    static const char *const texts[] = {http, command, known};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct buf first, again;
        struct span rest;
        size_t at;

        buf_init(&first, 1 << 20);
        buf_init(&again, 1 << 20);
        fake_must_load(*state, texts[i]);
        buf_printf(&first, "%s", print(*state));
        assert_null(strstr(buf_text(&first), "TOPSECRET"));
        rest = buf_span(&first);
        for (int mask = 0; (at = span_find(rest, SPAN("***"))) != SIZE_MAX; mask++) {
            buf_append(&again, rest.ptr, at);
            buf_printf(&again, "${env:S%d}", mask);
            rest = span_skip(rest, at + 3);
        }
        buf_append_span(&again, rest);
        fake_must_load(*state, buf_text(&again));
        assert_string_equal(print(*state), buf_text(&first));
        buf_fini(&first);
        buf_fini(&again);
    }
}

static void where_secrets_are_sealed(void **state)
{
    struct fake *fake = *state;
    const struct config *config = fake_must_load(fake, "providers: {openai: {keys: [sk-a]}}\n");
    static const char moved[] = "providers: {openai: {keys: [sk-a]}}\n"
                                "secrets: {seal_key: \"file:run/${env:HOST}.key\"}\n";

    assert_span(config->secrets.seal_key, "bellwether.key");
    assert_span(config->secrets.sealed_file, "bellwether.sealed");
    config_free(&fake->config);
    assert_int_equal(config_load_text(&fake->source, SPAN("/etc/bw/b.yaml"), span_from_text(moved),
                                      &fake->complaints, &fake->config),
                     0);
    assert_span(fake->config->secrets.seal_key, "/etc/bw/run/issuer.example.com.key");
    assert_span(fake->config->secrets.sealed_file, "/etc/bw/run/bellwether.sealed");
    fake_expect(
        fake,
        "providers: {openai: {keys: [sk-a]}}\n"
        "secrets: {seal_key: vault:x, vault: {}, sealed: x}\n",
        "b.yaml:2:21: secrets.seal_key: the value names no file for the key; allowed: "
        "file:PATH, absolute or from the configuration's folder\n"
        "b.yaml:2:37: secrets.vault: the address is missing; allowed: address: "
        "https://host:8200\n"
        "b.yaml:2:37: secrets.vault: the token is missing; allowed: token or token_file\n"
        "b.yaml:2:41: secrets: unknown key 'sealed'; allowed: seal_key, vault, aws, google, "
        "azure, kubernetes, poll\n");
}

/* Whichever allocation fails, the load says so and leaves nothing behind (built with -Dfaults). */
static void memory_may_run_out_anywhere(void **state)
{
    static const char *const texts[] = {http, command, known};
    struct fake *fake = *state;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        bool is_reached = true;

        for (long after = 0; is_reached; after++) {
            int err;

            mem_fail_after(after);
            err = fake_load(fake, texts[i]);
            is_reached = !mem_fail_is_pending();
            mem_fail_after(-1);
            assert_true(err == 0 || err == ERR_NOMEM || err == ERR_SYNTAX);
            assert_true(is_reached || err == 0);
            assert_true((err == 0) == (fake->config != NULL));
        }
    }
}

static void identity_is_that_of_the_file(void **state)
{
    const struct config *config =
        fake_must_load(*state, "providers: {openai: {keys: [sk-a, sk-b]}}\n");
    const struct conf_key *keys = config->providers.items[0].keys.items;
    uint8_t identity[CONF_IDENTITY_BYTES];

    conf_key_identity(SPAN("openai"), SPAN("sk-b"), identity);
    assert_memory_equal(identity, keys[1].identity, sizeof(identity));
    assert_memory_not_equal(identity, keys[0].identity, sizeof(identity));
    conf_key_identity(SPAN("other"), SPAN("sk-b"), identity);
    assert_memory_not_equal(identity, keys[1].identity, sizeof(identity));
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_it_keys_are_only_watched),
        cmocka_unit_test(every_default),
        cmocka_unit_test(a_program_can_revoke_and_not_find_by_default),
        cmocka_unit_test(an_issuer_of_requests),
        cmocka_unit_test(a_body_is_sent_as_json),
        cmocka_unit_test(what_looks_like_a_number),
        cmocka_unit_test(an_issuer_that_is_a_program),
        cmocka_unit_test(issuers_of_known_providers),
        cmocka_unit_test(printed_with_masks),
        cmocka_unit_test(schedule_and_age),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(where_secrets_are_sealed),
        cmocka_unit_test(memory_may_run_out_anywhere),
        cmocka_unit_test(identity_is_that_of_the_file),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
