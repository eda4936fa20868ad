/* What the file says, and what it leaves out, as the tree has it. */
#include "fake.h"
#include "limits/priority.h"

#include <sodium.h>

#include "base/alloc.h"

static const struct fake_pair variables[] = {
    {"DEEPSEEK_KEY_1", "sk-one"}, {"MORE_KEYS", "sk-four, sk-five\nsk-six"},
    {"WEB_KEY", "web-secret"},    {"ADMIN_TOKEN", "admin-secret"},
    {"HOST", "api.example.com"},  {NULL, NULL},
};
static const struct fake_pair files[] = {
    {"cert.pem", "pem"},
    {"key.pem", "pem"},
    {"/etc/ssl/own-ca.pem", "pem"},
    {"/run/keys/zeta", "sk-z\n"},
    {"/run/keys/alpha", "sk-a\r\n"},
    {"nightly", "sk-two\n"},
    {NULL, NULL},
};

/* The listing of the design, as far as it is built. */
static const char whole[] =
    "server:\n"
    "  listen: [127.0.0.1:8080, \"[::1]:8081\", unix:/run/b.sock]\n"
    "  tls: {certificate: cert.pem, private_key: key.pem}\n"
    "  workers: 3\n"
    "  max_body: 16MiB\n"
    "  body_memory: 512MiB\n"
    "  max_connections: 1000\n"
    "  timeouts: {header: 1s, body: 2s, write: 3s, idle: 4s}\n"
    "  media: {max: 5MiB, timeout: 3s, private: true}\n"
    "  shutdown_delay: 5s\n"
    "  shutdown_grace: 6s\n"
    "  half_close: answer\n"
    "  trusted_proxies: [10.0.0.0/8]\n"
    "  proxy_protocol: false\n"
    "admin:\n"
    "  listen: 0.0.0.0:9090\n"
    "  token: ${env:ADMIN_TOKEN}\n"
    "pools: {search: {}, other: }\n"
    "clients:\n"
    "  open: true\n"
    "  keys:\n"
    "    - name: web\n"
    "      secret: ${env:WEB_KEY}\n"
    "      models: [gpt-4.1, \"deepseek-*\"]\n"
    "      class: standard\n"
    "      pool: search\n"
    "      limits: {rpm: 600, tpm: 200000, concurrent: 50, burst: 61}\n"
    "      expires: 2027-01-01\n"
    "    - name: batch\n"
    "      sha256: 6E340B9CFFB37A989CA544E6BB780A2C78901D3FB33738768511A30617AFA01D\n"
    "      limits: {rpm: 7}\n"
    "providers:\n"
    "  deepseek:\n"
    "    kind: deepseek\n"
    "    base_url: https://${env:HOST}/v1/\n"
    "    keys:\n"
    "      - ${env:DEEPSEEK_KEY_1}\n"
    "      - name: nightly\n"
    "        secret: ${file:nightly}\n"
    "        priority: -1\n"
    "        weight: 10\n"
    "        account: org-1\n"
    "        limits: {rpm: 60, tpm: 100000, concurrent: 20}\n"
    "        model_limits: {deepseek/deepseek-chat: {rpm: 5, tpm: 250000, concurrent: 2},\n"
    "          deepseek-r1:8b: {concurrent: 10000000}}\n"
    "        models: [\"deepseek-*\"]\n"
    "        pool: search\n"
    "        expires: 2027-01-01T00:00:00Z\n"
    "      - sk-three\n"
    "    keys_from: [\"${env:MORE_KEYS}\", \"dir:/run/keys\"]\n"
    "    selection: weighted\n"
    "    health: {max_failures: 4, cooldown: 61s, ttl: 62s, depleted: 11m, probe_interval: 31s, "
    "validate_new: false}\n"
    "    probe: {method: HEAD, path: /ping, timeout: 6s}\n"
    "    breaker: {failures: 6, ratio: 51%, window: 11s, open: 31s, half_open_calls: 4}\n"
    "    adaptive: {initial_rpm: 61, min_rpm: 11, max_rpm: 501, backoff: 0.6, growth: 1.2, "
    "concurrency: {initial: 21, min: 2, max: 1001}}\n"
    "    limits: {margin: 1%}\n"
    "    model_limits: {deepseek-flash: {rpm: 4000000000, tpm: 1000000000000000}}\n"
    "    timeouts: {connect: 6s, send: 31s, first_byte: 61s, idle: 6m, total: 11m}\n"
    "    connections: {max: 100, idle: 10, keepalive: 61s}\n"
    "    tls: {verify: false, ca: /etc/ssl/own-ca.pem, certificate: cert.pem, private_key: "
    "key.pem}\n"
    "    headers: {X-Team: search, X-Org: \"${env:HOST}\"}\n"
    "    forward_headers: [X-Trace]\n"
    "  openai:\n"
    "    keys: [sk-o]\n"
    "models:\n"
    "  gpt-4.1: openai/gpt-4.1\n"
    "  deepseek-v3.2:\n"
    "    targets:\n"
    "      - {to: deepseek/deepseek-flash, weight: 95}\n"
    "      - openai/meta/llama\n"
    "    fallback: [openai/gpt-4.1]\n"
    "    limits: {rpm: 800, tpm: 50000}\n"
    "names: {direct: false, unknown: gpt-4.1, absent: openai/x, limits: {rpm: 1000}}\n"
    "retry: {attempts: 4, rotations: 17, base_delay: 101ms, max_delay: 61s, wait: 6s, "
    "on: [connect, depleted], timeouts: 2, budget: 21%, hedge: {after: p97, budget: 4%}}\n"
    "classes: {batch: {concurrent: 10, queue: 10001, wait: 10m, limits: {rpm: 600, tpm: 200000}, "
    "windows: [\"22:00-06:00 UTC\"]}, critical: , standard: {limits: {rpm: 60, burst: 60}}}\n"
    "log: {level: debug, format: json, access: false, file: logs/b.log}\n";

static void the_whole_file_is_read(void **state)
{
    const struct config *config = fake_must_load(*state, whole);

    assert_span(config->file, "b.yaml");
    assert_int_equal(config->server.listen.count, 3);
    assert_span(config->server.listen.items[1].host, "::1");
    assert_int_equal(config->server.listen.items[1].port, 8081);
    assert_true(config->server.listen.items[2].is_unix);
    assert_span(config->server.tls.certificate, "cert.pem");
    assert_int_equal(config->server.workers, 3);
    assert_int_equal(config->server.max_body, 16 << 20);
    assert_int_equal(config->server.body_memory, 512 << 20);
    assert_int_equal(config->server.max_connections, 1000);
    assert_int_equal(config->server.timeouts.header_us, 1000000);
    assert_int_equal(config->server.timeouts.idle_us, 4000000);
    assert_int_equal(config->server.media.max, 5 << 20);
    assert_int_equal(config->server.media.timeout_us, 3000000);
    assert_true(config->server.media.is_private);
    assert_int_equal(config->server.shutdown_delay_us, 5000000);
    assert_int_equal(config->server.shutdown_grace_us, 6000000);
    assert_int_equal(config->server.half_close, CONF_HALF_CLOSE_ANSWER);
    assert_int_equal(config->server.trusted_proxies.count, 1);
    assert_true(secret_is_equal(config->admin.token, SPAN("admin-secret")));
    assert_int_equal(config->pools.count, 2);
    assert_false(config->names.direct);
    assert_span(config->names.unknown, "gpt-4.1");
    assert_span(config->names.absent, "openai/x");
    assert_int_equal(config->names.limits.rpm, 1000);
    assert_int_equal(config->classes.count, 3);
    assert_span(config->classes.items[0].name, "batch");
    assert_int_equal(config->classes.items[0].priority, PRIORITY_BATCH);
    assert_int_equal(config->classes.items[0].concurrent, 10);
    assert_int_equal(config->classes.items[0].queue, 10001);
    assert_int_equal(config->classes.items[0].wait_us, 600000000);
    assert_int_equal(config->classes.items[0].windows.count, 1);
    assert_span(config->classes.items[0].windows.items[0], "22:00-06:00 UTC");
    assert_int_equal(config->classes.items[0].limits.rpm, 600);
    assert_int_equal(config->classes.items[0].limits.burst, 60);
    assert_int_equal(config->classes.items[0].limits.tpm, 200000);
    assert_int_equal(config->classes.items[1].priority, PRIORITY_CRITICAL);
    assert_int_equal(config->classes.items[1].limits.rpm, 0);
    assert_int_equal(config->classes.items[1].concurrent, 0);
    assert_int_equal(config->classes.items[1].queue, 1000);
    assert_int_equal(config->classes.items[1].wait_us, 30000000);
    assert_int_equal(config->classes.items[2].limits.burst, 60);
    assert_int_equal(config->classes.items[2].limits.tpm, 0);
    assert_int_equal(config->retry.attempts, 4);
    assert_int_equal(config->retry.base_delay_us, 101000);
    assert_int_equal(config->retry.on, CONF_RETRY_CONNECT | CONF_RETRY_DEPLETED);
    assert_int_equal(config->retry.budget_ppm, 210000);
    assert_int_equal(config->retry.hedge->after.percent, 97);
    assert_int_equal(config->retry.hedge->budget_ppm, 40000);
    assert_int_equal(config->log.level, CONF_LOG_DEBUG);
    assert_false(config->log.access);
    assert_span(config->log.file, "logs/b.log");
}

static void clients_are_read(void **state)
{
    const struct config *config = fake_must_load(*state, whole);
    const struct conf_client *web = &config->clients.keys.items[0], *batch = web + 1;
    unsigned char hash[CONF_SHA256_BYTES];

    assert_true(config->clients.is_open);
    assert_int_equal(config->clients.keys.count, 2);
    assert_span(web->name, "web");
    crypto_hash_sha256(hash, (const unsigned char *)"web-secret", 10);
    assert_memory_equal(web->sha256, hash, sizeof(hash));
    assert_int_equal(web->models.count, 2);
    assert_true(conf_strings_match(&web->models, SPAN("deepseek-v3.2")));
    assert_false(conf_strings_match(&web->models, SPAN("gpt-4.1-mini")));
    assert_span(web->class_name, "standard");
    assert_span(web->pool, "search");
    assert_int_equal(web->limits.rpm, 600);
    assert_int_equal(web->limits.tpm, 200000);
    assert_int_equal(web->limits.concurrent, 50);
    assert_int_equal(web->limits.burst, 61);
    assert_int_equal(web->expires_wall_us, 1798761600000000);
    /* The hash of one zero byte, as the file has it. */
    crypto_hash_sha256(hash, (const unsigned char *)"", 1);
    assert_memory_equal(batch->sha256, hash, sizeof(hash));
    assert_int_equal(batch->limits.burst, 1);
    assert_true(conf_strings_match(&batch->models, SPAN("anything")));
}

static void keys_are_named_in_their_order(void **state)
{
    static const struct {
        const char *name, *secret;
    } rows[] = {
        {"deepseek-1", "sk-one"},  {"nightly", "sk-two"},     {"deepseek-2", "sk-three"},
        {"deepseek-3", "sk-four"}, {"deepseek-4", "sk-five"}, {"deepseek-5", "sk-six"},
        {"alpha", "sk-a"},         {"zeta", "sk-z"},
    };
    const struct config *config = fake_must_load(*state, whole);
    const struct conf_provider *provider = config_find_provider(config, SPAN("deepseek"));

    assert_non_null(provider);
    assert_int_equal(provider->keys.count, sizeof(rows) / sizeof(rows[0]));
    for (size_t i = 0; i < provider->keys.count; i++) {
        const struct conf_key *key = &provider->keys.items[i];

        assert_span(key->name, rows[i].name);
        assert_true(secret_is_equal(key->secret, span_from_text(rows[i].secret)));
        assert_int_equal(key->weight, i == 1 ? 10 : 1);
    }
}

static void providers_are_read(void **state)
{
    const struct config *config = fake_must_load(*state, whole);
    const struct conf_provider *provider = config_find_provider(config, SPAN("deepseek"));
    const struct conf_key *nightly = &provider->keys.items[1];

    assert_int_equal(provider->kind, PROVIDER_DEEPSEEK);
    assert_span(provider->base_url.host, "api.example.com");
    assert_span(provider->base_url.path, "/v1");
    assert_int_equal(nightly->priority, -1);
    assert_span(nightly->account, "org-1");
    assert_int_equal(nightly->limits.tpm, 100000);
    assert_span(nightly->pool, "search");
    assert_int_equal(nightly->expires_wall_us, 1798761600000000);
    assert_int_equal(provider->selection, CONF_SELECTION_WEIGHTED);
    assert_int_equal(provider->health.max_failures, 4);
    assert_int_equal(provider->health.depleted_us, 660000000);
    assert_false(provider->health.validate_new);
    assert_span(provider->probe.method, "HEAD");
    assert_span(provider->probe.path, "/ping");
    assert_int_equal(provider->breaker.ratio_ppm, 510000);
    assert_int_equal(provider->breaker.half_open_calls, 4);
    assert_int_equal(provider->adaptive->initial_rpm, 61);
    assert_int_equal(provider->adaptive->min_rpm, 11);
    assert_int_equal(provider->adaptive->max_rpm, 501);
    assert_int_equal(provider->adaptive->backoff_milli, 600);
    assert_int_equal(provider->adaptive->growth_milli, 1200);
    assert_int_equal(provider->adaptive->concurrency->initial, 21);
    assert_int_equal(provider->adaptive->concurrency->min, 2);
    assert_int_equal(provider->adaptive->concurrency->max, 1001);
    assert_int_equal(provider->limits.margin_ppm, 10000);
    assert_int_equal(provider->timeouts.first_byte.streamed_us, 61000000);
    assert_int_equal(provider->timeouts.first_byte.whole_us, 61000000);
    assert_int_equal(provider->timeouts.total_us, 660000000);
    assert_int_equal(provider->connections.max, 100);
    assert_false(provider->tls.verify);
    assert_span(provider->tls.client.private_key, "key.pem");
    assert_int_equal(provider->headers.count, 2);
    assert_span(provider->headers.items[0].name, "X-Team");
    assert_true(secret_is_equal(provider->headers.items[0].value, SPAN("search")));
    assert_false(provider->headers.items[0].is_masked);
    assert_true(provider->headers.items[1].is_masked);
    assert_span(provider->forward_headers.items[0], "x-trace");
}

static void assert_limits_of(const struct conf_limits_of *of, const char *model, uint64_t rpm,
                             uint64_t tpm, uint64_t concurrent)
{
    assert_span(of->model, model);
    assert_int_equal(of->limits.rpm, rpm);
    assert_int_equal(of->limits.tpm, tpm);
    assert_int_equal(of->limits.concurrent, concurrent);
    assert_int_equal(of->limits.burst, 0);
}

/* What a key says stands at the key, what the provider says of all its keys at the provider alone:
 * who asks looks at both. */
static void limits_of_a_key_for_one_model_are_read(void **state)
{
    const struct config *config = fake_must_load(*state, whole);
    const struct conf_provider *deepseek = config_find_provider(config, SPAN("deepseek"));
    const struct conf_provider *openai = config_find_provider(config, SPAN("openai"));
    const struct conf_limits_by_model *nightly = &deepseek->keys.items[1].model_limits;

    assert_int_equal(nightly->count, 2);
    assert_limits_of(&nightly->items[0], "deepseek/deepseek-chat", 5, 250000, 2);
    assert_limits_of(&nightly->items[1], "deepseek-r1:8b", 0, 0, 10000000);
    assert_int_equal(deepseek->model_limits.count, 1);
    assert_limits_of(&deepseek->model_limits.items[0], "deepseek-flash", 4000000000,
                     1000000000000000, 0);
    for (size_t i = 0; i < deepseek->keys.count; i++)
        assert_int_equal(deepseek->keys.items[i].model_limits.count, i == 1 ? 2 : 0);
    assert_int_equal(openai->model_limits.count, 0);
}

/* A map of as many models as one may hold, and of one more. */
static void so_many_models_have_limits(void **state)
{
    enum { MODELS_MAX = 64 };
    struct fake *fake = *state;
    struct buf yaml;

    for (int count = MODELS_MAX; count <= MODELS_MAX + 1; count++) {
        buf_init(&yaml, 1 << 20);
        buf_printf(&yaml, "providers:\n  openai:\n    keys: [sk-a]\n    model_limits:\n");
        for (int i = 0; i < count; i++)
            buf_printf(&yaml, "      m%d: {rpm: %d}\n", i, i + 1);
        if (count == MODELS_MAX) {
            fake_must_load(fake, buf_text(&yaml));
            assert_int_equal(fake->config->providers.items[0].model_limits.count, count);
            assert_limits_of(&fake->config->providers.items[0].model_limits.items[63], "m63", 64, 0,
                             0);
        } else {
            fake_expect(fake, buf_text(&yaml),
                        "b.yaml:5:7: providers.openai.model_limits: a map holds too many; allowed: "
                        "a map by name, each a map of rpm, tpm, concurrent; at most 64 of them\n");
        }
        buf_fini(&yaml);
    }
}

static void models_are_read(void **state)
{
    const struct config *config = fake_must_load(*state, whole);
    const struct conf_model *plain = config_find_model(config, SPAN("gpt-4.1"));
    const struct conf_model *model = config_find_model(config, SPAN("deepseek-v3.2"));

    assert_int_equal(plain->targets.count, 1);
    assert_ptr_equal(plain->targets.items[0].provider,
                     config_find_provider(config, SPAN("openai")));
    assert_span(plain->targets.items[0].model, "gpt-4.1");
    assert_int_equal(plain->targets.items[0].weight, 1);
    assert_int_equal(model->targets.count, 2);
    assert_int_equal(model->targets.items[0].weight, 95);
    assert_span(model->targets.items[1].model, "meta/llama");
    assert_int_equal(model->targets.items[1].weight, 1);
    assert_int_equal(model->fallback.count, 1);
    assert_int_equal(model->limits.rpm, 800);
    assert_null(config_find_model(config, SPAN("gpt")));
}

static void defaults_are_filled_in(void **state)
{
    const struct config *config = fake_must_load(*state, "providers: {openai: {keys: [sk-a]}}\n");
    const struct conf_provider *provider = &config->providers.items[0];

    assert_int_equal(config->server.listen.count, 1);
    assert_span(config->server.listen.items[0].text, "127.0.0.1:8080");
    assert_span(config->admin.listen.items[0].text, "127.0.0.1:9090");
    assert_null(config->admin.token);
    assert_int_equal(config->server.workers, 0);
    assert_int_equal(config->server.max_body, 32 << 20);
    assert_int_equal(config->server.timeouts.idle_us, 75000000);
    assert_int_equal(config->server.media.max, 20 << 20);
    assert_int_equal(config->server.media.timeout_us, 10000000);
    assert_false(config->server.media.is_private);
    assert_true(config->clients.is_open);
    assert_true(config->names.direct);
    assert_int_equal(config->names.unknown.len, 0);
    assert_int_equal(config->models.count, 0);
    assert_int_equal(config->retry.attempts, 3);
    assert_int_equal(config->retry.rotations, 16);
    assert_int_equal(config->retry.on, 0x7f);
    assert_null(config->retry.hedge);
    assert_int_equal(provider->kind, PROVIDER_OPENAI);
    assert_span(provider->base_url.text, "https://api.openai.com/v1");
    assert_span(provider->probe.path, "/models");
    assert_int_equal(provider->selection, CONF_SELECTION_HEADROOM);
    assert_int_equal(provider->timeouts.first_byte.streamed_us, 60000000);
    assert_int_equal(provider->timeouts.first_byte.whole_us, 600000000);
    assert_int_equal(provider->breaker.ratio_ppm, 500000);
    assert_true(provider->tls.verify);
    assert_span(config->log.file, "stderr");
}

static void clients_are_open_only_where_nobody_else_comes_in(void **state)
{
    static const char provider[] = "providers: {openai: {keys: [sk-a]}}\n";
    static const struct {
        const char *rest;
        bool is_open, is_direct;
    } rows[] = {
        {"server: {listen: unix:/run/b}\n", true, true},
        {"clients: {open: true}\nserver: {listen: \"0.0.0.0:1\"}\n", true, true},
        {"clients: {keys: [{name: a, secret: b}]}\n", false, false},
        {"clients: {keys: [{name: a, secret: b}]}\nnames: {direct: true}\n", false, true},
        {"clients: {open: true, keys: [{name: a, secret: b}]}\n", true, true},
        {"clients: {keys: [{name: a, secret: b}]}\nserver: {listen: \"0.0.0.0:1\"}\n", false,
         false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct config *config;
        char yaml[256];

        snprintf(yaml, sizeof(yaml), "%s%s", provider, rows[i].rest);
        config = fake_must_load(*state, yaml);
        assert_int_equal(config->clients.is_open, rows[i].is_open);
        assert_int_equal(config->names.direct, rows[i].is_direct);
    }
}

static void references_stand_anywhere_in_a_string(void **state)
{
    const struct config *config =
        fake_must_load(*state, "providers:\n"
                               "  compatible:\n"
                               "    base_url: http://${env:HOST}:81/$x/$${y}\n"
                               "    keys: [\"a-${env:HOST}-${file:nightly}\"]\n");
    const struct conf_provider *provider = &config->providers.items[0];

    assert_span(provider->base_url.text, "http://api.example.com:81/$x/${y}");
    assert_true(secret_is_equal(provider->keys.items[0].secret, SPAN("a-api.example.com-sk-two")));
}

static void files_start_at_the_folder_of_the_configuration(void **state)
{
    static const struct fake_pair there[] = {
        {"/etc/b/cert.pem", "pem"}, {"/etc/b/key.pem", "pem"}, {"/etc/b/k", "sk-k"}, {NULL, NULL}};
    struct fake *fake = *state;

    fake->files = there;
    config_free(&fake->config);
    assert_int_equal(
        config_load_text(&fake->source, SPAN("/etc/b/b.yaml"),
                         SPAN("server: {tls: {certificate: cert.pem, private_key: key.pem}}\n"
                              "providers:\n  openai:\n    keys:\n      - ${file:k}\n"),
                         &fake->complaints, &fake->config),
        0);
    assert_span(fake->config->server.tls.certificate, "/etc/b/cert.pem");
    fake->files = files;
}

static void a_key_is_the_same_by_provider_and_secret(void **state)
{
    struct fake *fake = *state;
    uint8_t identity[CONF_IDENTITY_BYTES];
    const struct config *config;

    config = fake_must_load(fake, "providers: {openai: {keys: [sk-a]}}\n");
    memcpy(identity, config->providers.items[0].keys.items[0].identity, sizeof(identity));
    config = fake_must_load(fake, "providers: {openai: {keys: [sk-b, {name: n, secret: sk-a}]}}\n");
    assert_memory_equal(config->providers.items[0].keys.items[1].identity, identity,
                        sizeof(identity));
    assert_memory_not_equal(config->providers.items[0].keys.items[0].identity, identity,
                            sizeof(identity));
    config = fake_must_load(fake, "providers: {deepseek: {keys: [sk-a]}}\n");
    assert_memory_not_equal(config->providers.items[0].keys.items[0].identity, identity,
                            sizeof(identity));
}

static void where_what_outlives_a_restart_is_kept(void **state)
{
    static const char providers[] = "providers: {openai: {keys: [sk-a]}}\n";
    static const char *const refused[] = {"\"sqlite:\"", "x.db", "\"sqlite::memory:\"",
                                          "sqlite:run/", "mysql://host/x"};
    struct fake *fake = *state;
    const struct config *config = fake_must_load(fake, providers);
    char text[256], expected[512];

    assert_span(config->store.path, "bellwether.db");
    assert_false(config->store.is_given);
    config_free(&fake->config);
    snprintf(text, sizeof(text), "%sstore: sqlite:run/x.db\n", providers);
    assert_int_equal(config_load_text(&fake->source, SPAN("/etc/bw/b.yaml"), span_from_text(text),
                                      &fake->complaints, &fake->config),
                     0);
    assert_span(fake->config->store.path, "/etc/bw/run/x.db");
    assert_true(fake->config->store.is_given);
    config_free(&fake->config);
    snprintf(text, sizeof(text), "%sstore: none\n", providers);
    config = fake_must_load(fake, text);
    assert_int_equal(config->store.path.len, 0);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(text, sizeof(text), "%sstore: %s\n", providers, refused[i]);
        snprintf(expected, sizeof(expected),
                 "b.yaml:2:8: store: the value names no file of SQLite; allowed: sqlite:PATH, "
                 "absolute or from the configuration's folder, or none\n");
        fake_expect(fake, text, expected);
    }
}

static void what_needs_a_restart_is_named(void **state)
{
    static const struct {
        const char *text;
        const char *names[CONFIG_RESTART_SETTINGS];
    } cases[] = {
        {"", {NULL}},
        {"server: {workers: 2}\n", {"server.workers"}},
        {"server: {listen: 127.0.0.1:81}\n", {"server.listen"}},
        {"server: {max_connections: 7}\n", {"server.max_connections"}},
        {"admin: {listen: 127.0.0.1:81}\n", {"admin.listen"}},
        {"secrets: {seal_key: \"file:other.key\"}\n", {"secrets.seal_key"}},
        {"store: sqlite:other.db\n", {"store"}},
        {"store: none\n", {"store"}},
        {"server: {listen: 127.0.0.1:81, workers: 2, max_connections: 7,\n"
         "  tls: {certificate: c.pem, private_key: k.pem}}\n"
         "admin: {listen: 127.0.0.1:82}\n",
         {"server.listen", "server.workers", "server.max_connections", "server.tls",
          "admin.listen"}},
    };
    static const struct fake_pair pems[] = {{"c.pem", ""}, {"k.pem", ""}, {NULL, NULL}};
    struct fake *fake = *state;
    struct config *first;

    fake->files = pems;
    fake_must_load(fake, "providers: {openai: {keys: [sk-a]}}\n");
    first = fake->config;
    fake->config = NULL;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *names[CONFIG_RESTART_SETTINGS];
        size_t count, wanted = 0;
        char yaml[512];

        snprintf(yaml, sizeof(yaml), "providers: {openai: {keys: [sk-b]}}\n%s", cases[i].text);
        count = config_needs_restart(first, fake_must_load(fake, yaml), names);
        while (wanted < CONFIG_RESTART_SETTINGS && cases[i].names[wanted])
            wanted++;
        assert_int_equal(count, wanted);
        for (size_t n = 0; n < count; n++)
            assert_string_equal(names[n], cases[i].names[n]);
    }
    config_free(&first);
    fake->files = files;
}

static void a_file_that_is_too_large_is_refused(void **state)
{
    struct fake *fake = *state;
    struct span text = {NULL, CONF_FILE_MAX_BYTES + 1};

    config_free(&fake->config);
    complaints_fini(&fake->complaints);
    complaints_init(&fake->complaints);
    assert_int_equal(
        config_load_text(&fake->source, SPAN("b.yaml"), text, &fake->complaints, &fake->config),
        ERR_SYNTAX);
    assert_string_equal(fake_complaints(fake),
                        "b.yaml: the file is too large; allowed: at most 4 MiB\n");
}

static void too_many_secrets_are_told(void **state)
{
    struct fake *fake = *state;
    bool is_locked;
    struct secret_arena *tiny = secret_arena_new(4096, &is_locked), *roomy = fake->secrets;
    struct buf yaml;

    buf_init(&yaml, 4096);
    buf_printf(&yaml, "providers:\n  compatible:\n    base_url: http://h\n    keys:\n");
    for (int i = 0; i < 65; i++)
        buf_printf(&yaml, "      - k%d\n", i);
    fake->source.secrets = tiny;
    assert_int_equal(fake_load(fake, buf_text(&yaml)), ERR_SYNTAX);
    assert_string_equal(fake_complaints(fake),
                        "b.yaml:69:9: providers.compatible.keys[64]: there is no room left for "
                        "secrets; allowed: fewer of them, those of the running configuration "
                        "included\n");
    fake->source.secrets = roomy;
    buf_fini(&yaml);
    secret_arena_free(&tiny);
}

/* Loading is linear: ten thousand of each take well under a second even with the sanitizers. */
static void ten_thousand_of_each_are_read(void **state)
{
    enum { COUNT = 10000 };
    struct fake *fake = *state;
    const struct config *config;
    struct buf yaml;

    buf_init(&yaml, CONF_FILE_MAX_BYTES);
    buf_printf(&yaml, "providers:\n  openai:\n    keys:\n");
    for (int i = 0; i < COUNT; i++)
        buf_printf(&yaml, "      - {name: k%d, secret: sk-%d, account: a%d}\n", i, i, i);
    buf_printf(&yaml, "clients:\n  keys:\n");
    for (int i = 0; i < COUNT; i++)
        buf_printf(&yaml, "    - {name: c%d, secret: s%d, limits: {rpm: 10}}\n", i, i);
    buf_printf(&yaml, "models:\n");
    for (int i = 0; i < COUNT; i++)
        buf_printf(&yaml, "  m%d: {targets: [{to: openai/m%d, weight: 1}]}\n", i, i);
    config = fake_must_load(fake, buf_text(&yaml));
    assert_int_equal(config->providers.items[0].keys.count, COUNT);
    assert_int_equal(config->clients.keys.count, COUNT);
    assert_int_equal(config->models.count, COUNT);
    assert_span(config_find_model(config, SPAN("m9999"))->targets.items[0].model, "m9999");
    buf_fini(&yaml);
}

/* Whichever allocation fails, the load says so and leaves nothing behind (built with -Dfaults). */
static void memory_may_run_out_anywhere(void **state)
{
    struct fake *fake = *state;
    bool is_reached = true;

    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    for (long after = 0; is_reached; after++) {
        int err;

        mem_fail_after(after);
        err = fake_load(fake, whole);
        is_reached = !mem_fail_is_pending();
        mem_fail_after(-1);
        assert_true(err == 0 || err == ERR_NOMEM || err == ERR_SYNTAX);
        assert_true(is_reached || err == 0);
        assert_true((err == 0) == (fake->config != NULL));
    }
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_file_is_read),
        cmocka_unit_test(clients_are_read),
        cmocka_unit_test(keys_are_named_in_their_order),
        cmocka_unit_test(providers_are_read),
        cmocka_unit_test(limits_of_a_key_for_one_model_are_read),
        cmocka_unit_test(so_many_models_have_limits),
        cmocka_unit_test(models_are_read),
        cmocka_unit_test(defaults_are_filled_in),
        cmocka_unit_test(clients_are_open_only_where_nobody_else_comes_in),
        cmocka_unit_test(references_stand_anywhere_in_a_string),
        cmocka_unit_test(files_start_at_the_folder_of_the_configuration),
        cmocka_unit_test(a_key_is_the_same_by_provider_and_secret),
        cmocka_unit_test(where_what_outlives_a_restart_is_kept),
        cmocka_unit_test(what_needs_a_restart_is_named),
        cmocka_unit_test(a_file_that_is_too_large_is_refused),
        cmocka_unit_test(too_many_secrets_are_told),
        cmocka_unit_test(ten_thousand_of_each_are_read),
        cmocka_unit_test(memory_may_run_out_anywhere),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
