/* What check-config shows: the effective configuration, which reads back, and no secret. */
#include "fake.h"

static const struct fake_pair variables[] = {
    {"SECRET", "sk-TOPSECRET-env"},
    {"LIST", "sk-TOPSECRET-l1,sk-TOPSECRET-l2"},
    /* What stands for the masks of a printed configuration. */
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
    {"S10", "s10"},
    {"S11", "s11"},
    {NULL, NULL},
};
static const struct fake_pair files[] = {
    {"c.pem", "TOPSECRET-pem"},           {"k.pem", "TOPSECRET-pem"},
    {"/run/keys/one", "sk-TOPSECRET-d1"}, {"/run/keys/three", "sk-TOPSECRET-d2"},
    {"s", "sk-TOPSECRET-file\n"},         {NULL, NULL},
};

static const char small[] = "providers:\n"
                            "  compatible:\n"
                            "    base_url: http://host:81/v1/\n"
                            "    keys: [TOPSECRET-1]\n";

static const char large[] =
    "server:\n"
    "  listen: [127.0.0.1:8080, \"[::1]:8081\"]\n"
    "  tls: {certificate: c.pem, private_key: k.pem}\n"
    "  trusted_proxies: [10.0.0.0/8, \"fd00::/8\"]\n"
    "admin: {listen: \"0.0.0.0:9090\", token: \"${env:SECRET}\"}\n"
    "pools: {search: {budget: {usd: 500.50, per: month}}, none: {}}\n"
    "clients:\n"
    "  keys:\n"
    "    - {name: web, secret: TOPSECRET-web, models: [\"gpt-*\", '\"odd\"'], limits: {rpm: 60},"
    " budget: {usd: 7}}\n"
    "    - {name: hash, sha256: "
    "\"00000000000000000000000000000000000000000000000000000000000000aa\","
    " pool: search, expires: 2027-01-01T01:02:03.5Z}\n"
    "providers:\n"
    "  openai:\n"
    "    keys:\n"
    "      - ${env:SECRET}\n"
    "      - {name: two, secret: \"${file:s}\", priority: -5, weight: 0, account: org,"
    " limits: {tpm: 5}, models: [a], pool: search, expires: 2027-01-01,"
    " model_limits: {a: {rpm: 5, tpm: 6, concurrent: 7}, \"b/c:d\": {tpm: 8}}}\n"
    "    keys_from: [\"${env:LIST}\", \"dir:/run/keys\"]\n"
    "    headers: {X-Team: \"a: b # $${c}\", X-Org: \"${env:SECRET}\", X-Auth-Token: TOPSECRET-h}\n"
    "    forward_headers: [X-Trace]\n"
    "    timeouts: {first_byte: {streamed: 1.5s, whole: 90s}}\n"
    "    breaker: {ratio: 33.3333%}\n"
    "  other:\n"
    "    kind: compatible\n"
    "    base_url: http://unix:/run/llm.sock:/v1\n"
    "    keys: [TOPSECRET-o]\n"
    "    tls: {ca: c.pem}\n"
    "    model_limits: {\"true\": {concurrent: 1}, \"odd#\\\"${x}\": {rpm: 9}, \"1.5\": {tpm: "
    "2}}\n"
    "models:\n"
    "  plain: openai/gpt\n"
    "  \"true\": other/x\n"
    "  \"a${b}$${c}\": other/x\n"
    "  \"a:b\": {targets: [{to: openai/m/n, weight: 3}, other/y], fallback: [other/z],"
    " limits: {concurrent: 2}, shadow: {to: openai/x, key: k1, budget: {usd: 0.50, per: month}}}\n"
    "names: {unknown: plain, limits: {rpm: 5}}\n"
    "retry: {on: [timeout], hedge: {after: 1500ms}}\n"
    "log: {file: /var/log/b.log}\n";

static const char *print(struct fake *fake)
{
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    return buf_text(&fake->text);
}

static void every_default_is_filled_in(void **state)
{
    fake_must_load(*state, small);
    assert_string_equal(print(*state),
                        "secrets:\n"
                        "  seal_key: file:bellwether.key\n"
                        "  poll: 30s\n"
                        "server:\n"
                        "  listen: 127.0.0.1:8080\n"
                        "  workers: auto\n"
                        "  max_body: 32MiB\n"
                        "  body_memory: 1GiB\n"
                        "  max_connections: 65536\n"
                        "  timeouts:\n"
                        "    header: 10s\n"
                        "    body: 60s\n"
                        "    write: 60s\n"
                        "    idle: 75s\n"
                        "  media:\n"
                        "    max: 20MiB\n"
                        "    timeout: 10s\n"
                        "    private: false\n"
                        "  shutdown_delay: 0s\n"
                        "  shutdown_grace: 30s\n"
                        "  half_close: abort\n"
                        "  trusted_proxies: []\n"
                        "  proxy_protocol: false\n"
                        "admin:\n"
                        "  listen: 127.0.0.1:9090\n"
                        "clients:\n"
                        "  open: true\n"
                        "providers:\n"
                        "  compatible:\n"
                        "    kind: compatible\n"
                        "    base_url: http://host:81/v1/\n"
                        "    keys:\n"
                        "      - name: compatible-1\n"
                        "        secret: \"***\"\n"
                        "        priority: 0\n"
                        "        weight: 1\n"
                        "    selection: headroom\n"
                        "    health:\n"
                        "      max_failures: 3\n"
                        "      cooldown: 60s\n"
                        "      ttl: 60s\n"
                        "      depleted: 10m\n"
                        "      probe_interval: 30s\n"
                        "      validate_new: true\n"
                        "    probe:\n"
                        "      method: GET\n"
                        "      path: /models\n"
                        "      timeout: 5s\n"
                        "    breaker:\n"
                        "      failures: 5\n"
                        "      ratio: 50%\n"
                        "      window: 10s\n"
                        "      open: 30s\n"
                        "      half_open_calls: 3\n"
                        "    limits:\n"
                        "      margin: 0%\n"
                        "    timeouts:\n"
                        "      connect: 5s\n"
                        "      send: 30s\n"
                        "      first_byte:\n"
                        "        streamed: 60s\n"
                        "        whole: 10m\n"
                        "      idle: 5m\n"
                        "      total: 10m\n"
                        "    connections:\n"
                        "      max: 4096\n"
                        "      idle: 256\n"
                        "      keepalive: 60s\n"
                        "    tls:\n"
                        "      verify: true\n"
                        "names:\n"
                        "  direct: true\n"
                        "  unknown: refuse\n"
                        "  absent: refuse\n"
                        "retry:\n"
                        "  attempts: 3\n"
                        "  rotations: 16\n"
                        "  base_delay: 100ms\n"
                        "  max_delay: 60s\n"
                        "  wait: 5s\n"
                        "  on: [connect, timeout, rate_limit, overloaded, server_error, bad_key, "
                        "depleted]\n"
                        "  timeouts: 1\n"
                        "  budget: 20%\n"
                        "log:\n"
                        "  level: info\n"
                        "  format: json\n"
                        "  access: true\n"
                        "  file: stderr\n"
                        "store: sqlite:bellwether.db\n");
}

/* The text with each mask replaced by a secret of its own. */
static void unmask(struct span text, struct buf *out)
{
    int secrets = 0;

    for (;;) {
        size_t at = span_find(text, SPAN("***"));

        if (at == SIZE_MAX)
            break;
        buf_append(out, text.ptr, at);
        buf_printf(out, "${env:S%d}", secrets++);
        text = span_skip(text, at + 3);
    }
    buf_append_span(out, text);
    assert_int_equal(out->err, 0);
    assert_true(secrets > 0);
}

static void what_is_printed_reads_back(void **state)
{
    static const char *const texts[] = {small, large};

    for (size_t i = 0; i < 2; i++) {
        struct buf first, again;

        buf_init(&first, 1 << 20);
        buf_init(&again, 1 << 20);
        fake_must_load(*state, texts[i]);
        buf_printf(&first, "%s", print(*state));
        unmask(buf_span(&first), &again);
        fake_must_load(*state, buf_text(&again));
        assert_string_equal(print(*state), buf_text(&first));
        buf_fini(&first);
        buf_fini(&again);
    }
}

/* What the file says of models stands where it stood, the key's at the key, and no more. */
static void limits_of_a_key_for_one_model_are_shown(void **state)
{
    const char *text;

    fake_must_load(
        *state, "providers:\n"
                "  gemini:\n"
                "    keys:\n"
                "      - {secret: AIza-1, model_limits: {gemini-2.5-pro: {tpm: 250000, rpm: 5}}}\n"
                "      - AIza-2\n"
                "    model_limits:\n"
                "      gemini-2.5-pro: {rpm: 150, tpm: 2000000}\n"
                "      x/y:z: {concurrent: 2}\n");
    text = print(*state);
    assert_non_null(strstr(text, "    keys:\n"
                                 "      - name: gemini-1\n"
                                 "        secret: \"***\"\n"
                                 "        priority: 0\n"
                                 "        weight: 1\n"
                                 "        model_limits:\n"
                                 "          gemini-2.5-pro:\n"
                                 "            rpm: 5\n"
                                 "            tpm: 250000\n"
                                 "      - name: gemini-2\n"
                                 "        secret: \"***\"\n"
                                 "        priority: 0\n"
                                 "        weight: 1\n"
                                 "    selection: headroom\n"));
    assert_non_null(strstr(text, "      margin: 0%\n"
                                 "    model_limits:\n"
                                 "      gemini-2.5-pro:\n"
                                 "        rpm: 150\n"
                                 "        tpm: 2000000\n"
                                 "      x/y:z:\n"
                                 "        concurrent: 2\n"
                                 "    timeouts:\n"));
}

/* The one limit does not bring the other with it, nor does reading back what was printed. */
static void either_adaptive_limit_stands_alone(void **state)
{
    static const struct {
        const char *adaptive, *printed;
    } cases[] = {
        {"{concurrency: {min: 30}}", "    adaptive:\n"
                                     "      backoff: 0.5\n"
                                     "      growth: 1.1\n"
                                     "      concurrency:\n"
                                     "        initial: 30\n"
                                     "        min: 30\n"
                                     "        max: 1000\n"},
        {"{}", "    adaptive:\n"
               "      initial_rpm: 60\n"
               "      min_rpm: 10\n"
               "      max_rpm: 500\n"
               "      backoff: 0.5\n"
               "      growth: 1.1\n"},
        {"{max_rpm: 50, concurrency: }", "    adaptive:\n"
                                         "      initial_rpm: 50\n"
                                         "      min_rpm: 10\n"
                                         "      max_rpm: 50\n"
                                         "      backoff: 0.5\n"
                                         "      growth: 1.1\n"
                                         "      concurrency:\n"
                                         "        initial: 20\n"
                                         "        min: 1\n"
                                         "        max: 1000\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf text;

        buf_init(&text, 1 << 20);
        buf_printf(&text, "%s    adaptive: %s\n", small, cases[i].adaptive);
        for (int again = 0; again < 2; again++) {
            fake_must_load(*state, buf_text(&text));
            buf_clear(&text);
            unmask(span_from_text(print(*state)), &text);
            if (!strstr(buf_text(&text), cases[i].printed))
                fail_msg("%s is printed otherwise: %s", cases[i].adaptive, buf_text(&text));
        }
        buf_fini(&text);
    }
}

static void odd_text_is_printed_so_that_it_reads_back(void **state)
{
    const char *text;

    fake_must_load(*state, large);
    text = print(*state);
    assert_non_null(strstr(text, "X-Team: \"a: b # $${c}\"\n"));
    assert_non_null(strstr(text, "models: [\"gpt-*\", \"\\\"odd\\\"\"]\n"));
    assert_non_null(strstr(text, "- \"[::1]:8081\"\n"));
    assert_non_null(strstr(text, "ratio: 33.3333%\n"));
    assert_non_null(strstr(text, "expires: 2027-01-01T01:02:03.500Z\n"));
    assert_non_null(strstr(text, "none: {}\n"));
    assert_non_null(strstr(text, "  search:\n    budget:\n      usd: 500.5\n      per: month\n"));
    assert_non_null(strstr(text, "      budget:\n        usd: 7\n        per: day\n"));
    assert_non_null(strstr(text, "to: openai/m/n\n"));
    assert_non_null(strstr(text, "X-Org: \"***\"\n"));
    assert_non_null(strstr(text, "X-Auth-Token: \"***\"\n"));
}

static void no_secret_is_printed(void **state)
{
    fake_must_load(*state, large);
    assert_null(strstr(print(*state), "TOPSECRET"));
    assert_null(strstr(fake_complaints(*state), "TOPSECRET"));
}

/* Wherever a key is pasted by mistake, no complaint shows it. */
static void no_complaint_shows_a_secret(void **state)
{
    static const char *const texts[] = {
        "sk-TOPSECRET: 1\n",
        "providers: sk-TOPSECRET\n",
        "providers: {openai: sk-TOPSECRET}\n",
        "providers: {openai: {keys: sk-TOPSECRET}}\n",
        "providers: {openai: {keys: {sk-TOPSECRET: 1}}}\n",
        "providers: {openai: {keys: [{sk-TOPSECRET: 1}]}}\n",
        "providers: {openai: {keys: [{secret: [sk-TOPSECRET]}]}}\n",
        "providers: {openai: {keys: [\"TOPSECRET\\n\"]}}\n",
        "providers: {openai: {keys: [TOPSECRET, TOPSECRET]}}\n",
        "providers: {openai: {keys: [TOPSECRET]}}\n",
        "providers: {openai: {keys: [\"${env:sk-TOPSECRET}\"]}}\n",
        "providers: {openai: {keys: [\"${sk-TOPSECRET}\"]}}\n",
        "providers: {openai: {keys: [\"${sk-TOPSECRET\"]}}\n",
        "providers: {openai: {keys_from: sk-TOPSECRET}}\n",
        "providers: {openai: {keys_from: [{sk-TOPSECRET: 1}]}}\n",
        "providers: {openai: {base_url: sk-TOPSECRET}}\n",
        "providers: {openai: {base_url: \"http://u:TOPSECRET@host/v1\"}}\n",
        "providers: {openai: {base_url: \"http://host/v1?key=TOPSECRET\"}}\n",
        "providers: {openai: {headers: [TOPSECRET]}}\n",
        "providers: {openai: {headers: {Authorization: TOPSECRET}}}\n",
        "providers: {openai: {headers: {X-A: \"TOPSECRET\\n\"}}}\n",
        "providers: {openai: {probe: {path: \"${env:SECRET}\"}}}\n",
        "providers: {openai: {selection: \"${env:SECRET}\"}}\n",
        "providers: {openai: {api_key: TOPSECRET}}\n",
        "providers: {openai: {sk-TOPSECRET: x, sk-TOPSECRET: y}}\n",
        "providers: {sk-TOPSECRET/x: {}}\n",
        "providers: {openai: {rotation: sk-TOPSECRET}}\n",
        "providers: {openai: {rotation: {name: sk-TOPSECRET}}}\n",
        "providers: {openai: {rotation: {canary: sk-TOPSECRET}}}\n",
        "providers: {openai: {rotation: {issuer: sk-TOPSECRET}}}\n",
        "providers: {openai: {rotation: {issuer: {kind: sk-TOPSECRET}}}}\n",
        "providers: {openai: {rotation: {issuer: {admin_key: [TOPSECRET]}}}}\n",
        "providers: {openai: {rotation: {issuer: {url: \"http://host?TOPSECRET\"}}}}\n",
        "providers: {openai: {rotation: {issuer: {env: [TOPSECRET]}}}}\n",
        "providers: {openai: {rotation: {issuer: {env: {A: [TOPSECRET]}}}}}\n",
        "providers: {openai: {rotation: {issuer: {argv: TOPSECRET}}}}\n",
        "providers: {openai: {rotation: {issuer: {argv: [TOPSECRET]}}}}\n",
        "providers: {openai: {rotation: {issuer: {create: {body: TOPSECRET}}}}}\n",
        "providers: {openai: {rotation: {issuer: {create: {url: TOPSECRET}}}}}\n",
        "providers: {openai: {rotation: {issuer: {create: {url: \"http://h/?TOPSECRET #\"}}}}}\n",
        "providers: {openai: {rotation: {issuer: {create: {headers: {X: \"TOPSECRET\\n\"}}}}}}\n",
        "providers: {openai: {rotation: {issuer: {create: {key: sk-TOPSECRET}}}}}\n",
        "secrets: {seal_key: TOPSECRET}\n",
        "clients: {keys: [TOPSECRET]}\n",
        "clients: {keys: {web: TOPSECRET}}\n",
        "clients: {keys: [{name: a, secret: [TOPSECRET]}]}\n",
        "clients: {keys: [{name: a, sha256: TOPSECRET}]}\n",
        "clients: {keys: [{name: a, secret: TOPSECRET}, {name: b, secret: TOPSECRET}]}\n",
        "admin: {token: {TOPSECRET: 1}}\n",
        "admin: {token: \" TOPSECRET\"}\n",
        "admin: {listen: sk-TOPSECRET}\n",
        "models: {a: sk-TOPSECRET}\n",
        "a: *sk-TOPSECRET\n",
        "a: !sk-TOPSECRET x\n",
        "a: \"TOPSECRET\n",
        "TOPSECRET\n",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        fake_load(*state, texts[i]);
        if (strstr(fake_complaints(*state), "TOPSECRET"))
            fail_msg("shown for %s: %s", texts[i], fake_complaints(*state));
    }
}

static void every_setting_is_listed(void **state)
{
    struct fake *fake = *state;
    const char *text;

    buf_clear(&fake->text);
    assert_int_equal(config_schema_print(&fake->text), 0);
    text = buf_text(&fake->text);
    assert_non_null(strstr(
        text, "server.max_body\tsize\t32MiB\ta size such as 64KiB, 32MiB or 1GiB, from 1KiB to "
              "1GiB\tof a request; larger: 413\n"));
    assert_non_null(strstr(text, "providers.NAME.keys[].weight\tnumber\t1\t"));
    assert_non_null(strstr(text, "models.NAME.targets[].to\tPROVIDER/MODEL\t\t"));
    assert_non_null(strstr(text, "shared\tnot built yet\t\t\t"));
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_default_is_filled_in),
        cmocka_unit_test(what_is_printed_reads_back),
        cmocka_unit_test(limits_of_a_key_for_one_model_are_shown),
        cmocka_unit_test(either_adaptive_limit_stands_alone),
        cmocka_unit_test(odd_text_is_printed_so_that_it_reads_back),
        cmocka_unit_test(no_secret_is_printed),
        cmocka_unit_test(no_complaint_shows_a_secret),
        cmocka_unit_test(every_setting_is_listed),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
