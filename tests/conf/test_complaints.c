/* Every kind of complaint, with its exact text and place. */
#include "fake.h"

#include <stdio.h>

static const struct fake_pair variables[] = {{"EMPTY", ""}, {"WORD", "many"}, {NULL, NULL}};
static const struct fake_pair files[] = {
    {"c.pem", "pem"}, {"closed.pem", NULL}, {"two.lines", "a\nb\n"}, {NULL, NULL}};

static void values_of_the_server(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server:\n"
        "  listen: [a, \"[::1]\", 127.0.0.1:99999, 127.0.0.1:1, 127.0.0.1:1, {}]\n"
        "  tls: true\n"
        "  workers: 0\n"
        "  max_body: 5XiB\n"
        "  body_memory: 1\n"
        "  max_connections: -1\n"
        "  timeouts: {header: 10, body: 1y, write: [], idle: 0s}\n"
        "  shutdown_delay:\n"
        "  half_close: never\n"
        "  trusted_proxies: 10.0.0.0/8\n"
        "  proxy_protocol: true\n"
        "  zone: a b\n",
        "b.yaml:3:12: server.listen: 'a' is no address; allowed: one or a list of host:port, "
        "[v6]:port or unix:/path\n"
        "b.yaml:3:15: server.listen: '[::1]' is no address; allowed: one or a list of "
        "host:port, [v6]:port or unix:/path\n"
        "b.yaml:3:24: server.listen: '127.0.0.1:99999' is no address; allowed: one or a list of "
        "host:port, [v6]:port or unix:/path\n"
        "b.yaml:3:54: server.listen: the same address again; allowed: each once\n"
        "b.yaml:3:67: server.listen: a map stands where a single value should; allowed: one or "
        "a list of host:port, [v6]:port or unix:/path\n"
        "b.yaml:4:8: server.tls: a single value stands where a map should; allowed: a map of "
        "certificate, private_key\n"
        "b.yaml:5:12: server.workers: '0' is out of range; allowed: auto, or a whole number "
        "from 1 to 1024\n"
        "b.yaml:6:13: server.max_body: '5XiB' is no size; allowed: a size such as 64KiB, 32MiB "
        "or 1GiB, from 1KiB to 1GiB\n"
        "b.yaml:7:16: server.body_memory: '1' is out of range; allowed: a size such as 64KiB, "
        "32MiB or 1GiB, from 1MiB to 1TiB\n"
        "b.yaml:8:20: server.max_connections: '-1' is no whole number; allowed: a whole number "
        "from 1 to 10000000\n"
        "b.yaml:9:22: server.timeouts.header: '10' is no duration; allowed: a duration such as "
        "250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "b.yaml:9:32: server.timeouts.body: '1y' is no duration; allowed: a duration such as "
        "250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "b.yaml:9:43: server.timeouts.write: a list stands where a single value should; "
        "allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "b.yaml:9:53: server.timeouts.idle: '0s' is out of range; allowed: a duration such as "
        "250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "b.yaml:10:3: server.shutdown_delay: nothing stands where a value should; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 0s to 1h\n"
        "b.yaml:11:15: server.half_close: 'never' is not known; allowed: abort, answer\n"
        "b.yaml:12:20: server.trusted_proxies: '10.0.0.0/8' stands where a list should; "
        "allowed: a list of at most 1000 addresses or networks such as 10.0.0.0/8\n"
        "b.yaml:13:19: server.proxy_protocol: 'true' is not built yet; allowed: false\n"
        "b.yaml:14:9: server.zone: 'a b' is no name; allowed: 1 to 64 letters, digits or any of . "
        "_ "
        ": @ -\n");
}

static void bounds_between_values(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server: {max_body: 2MiB, body_memory: 1MiB, tls: {certificate: c.pem}}\n"
        "retry: {base_delay: 2s, max_delay: 1s}\n",
        "b.yaml:2:20: server: max_body is more than body_memory; allowed: at most body_memory\n"
        "b.yaml:2:50: server.tls: one of certificate and private_key is missing; allowed: both "
        "or none\n"
        "b.yaml:3:21: retry: base_delay is more than max_delay; allowed: at most max_delay\n");
}

static void files_that_cannot_be_read(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server: {tls: {certificate: none.pem, private_key: closed.pem}}\n",
        "b.yaml:2:29: server.tls.certificate: there is no such file; allowed: a file that can "
        "be read\n"
        "b.yaml:2:52: server.tls.private_key: the file cannot be read, permission denied; "
        "allowed: a file that can be read\n");
}

static void addresses_that_others_reach(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server: {listen: \"[::]:8080\"}\n"
        "admin: {listen: 0.0.0.0:9090}\n",
        "b.yaml:2:18: server.listen: others than this machine can call, and there are no "
        "clients; allowed: clients.keys, clients.open: true, or a loopback address\n"
        "b.yaml:3:17: admin.listen: others than this machine can call, and there is no token; "
        "allowed: admin.token, or a loopback address\n");
}

static void one_address_for_both(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "admin: {listen: 127.0.0.1:8080}\n",
        "b.yaml:2:17: admin.listen: the address of server.listen; allowed: one of its own\n");
}

static void values_of_the_admin(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "admin: {listen: [127.0.0.1:1, 127.0.0.1:2], token: \"\"}\n",
        "b.yaml:2:17: admin.listen: a list holds too many; allowed: host:port, [v6]:port or "
        "unix:/path\n"
        "b.yaml:2:52: admin.token: the value is empty; allowed: a secret of at least one "
        "character\n");
}

static void clients(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "clients:\n"
        "  keys:\n"
        "    - name: a\n"
        "    - name: a\n"
        "      secret: s1\n"
        "    - name: b\n"
        "      secret: s1\n"
        "      sha256: zz\n"
        "    - {name: c/d, secret: s3, class: batsh, pool: x, limits: {burst: 3}, models: []}\n"
        "    - {secret: s4, budget: {usd: 1}, expires: tomorrow}\n"
        "    - not-a-map\n",
        "b.yaml:4:7: clients.keys[0]: the secret is missing; allowed: secret, or sha256 of it\n"
        "b.yaml:5:7: clients.keys[1]: a second client named 'a'; allowed: each name once\n"
        "b.yaml:7:7: clients.keys[2]: client 'b' has the secret of client 'a'; allowed: each "
        "secret once\n"
        "b.yaml:9:7: clients.keys[2]: sha256 beside secret; allowed: one of them\n"
        "b.yaml:9:15: clients.keys[2].sha256: the value is no SHA-256; allowed: 64 hexadecimal "
        "digits\n"
        "b.yaml:10:14: clients.keys[3].name: 'c/d' is no name; allowed: 1 to 64 letters, digits "
        "or any of . _ : @ -\n"
        "b.yaml:10:38: clients.keys[3].class: 'batsh' is not known; allowed: standard, critical, "
        "batch\n"
        "b.yaml:10:51: clients.keys[3].pool: 'x' is no pool of this file; allowed: a name that "
        "stands in pools\n"
        "b.yaml:10:63: clients.keys[3].limits: burst without rpm; allowed: beside rpm\n"
        "b.yaml:10:82: clients.keys[3].models: a list without a name allows nothing; allowed: a "
        "list of 1 to 10000 names of models, '*' for any text\n"
        "b.yaml:11:7: clients.keys[4]: the name is missing; allowed: 1 to 64 letters, digits or "
        "any of . _ : @ -\n"
        "b.yaml:11:47: clients.keys[4].expires: 'tomorrow' is no point in time; allowed: a date "
        "such as 2027-01-01, or a time such as 2027-01-01T12:00:00Z\n"
        "b.yaml:12:7: clients.keys[5]: a single value stands where a map should; allowed: a map "
        "of name, secret, sha256, models, class, pool, limits, budget, expires\n");
}

static void nobody_can_call(void **state)
{
    fake_expect(*state,
                "providers: {openai: {keys: [sk-a]}}\n"
                "clients: {open: false}\n",
                "b.yaml:2:11: warning: clients: not open, and without keys: nobody can call\n");
}

static void values_of_retry_and_log(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "retry: {attempts: 0, on: [connect, sometimes], base_delay: 2h, hedge: fast}\n"
        "log: {level: loud, format: text, access: 1}\n",
        "b.yaml:2:19: retry.attempts: '0' is out of range; allowed: a whole number from 1 to 100\n"
        "b.yaml:2:36: retry.on: 'sometimes' is not known; allowed: a list of connect, timeout, "
        "rate_limit, overloaded, server_error, bad_key, depleted\n"
        "b.yaml:2:60: retry.base_delay: '2h' is out of range; allowed: a duration such as 250ms, "
        "30s, 5m, 2h or 30d, from 0s to 1h\n"
        "b.yaml:2:71: retry.hedge: a single value stands where a map should; allowed: a map of "
        "after, "
        "budget\n"
        "b.yaml:3:14: log.level: 'loud' is not known; allowed: error, warn, info, debug\n"
        "b.yaml:3:28: log.format: 'text' is not known; allowed: json\n"
        "b.yaml:3:42: log.access: '1' is neither true nor false; allowed: true or false\n");
}

static void values_of_hedges(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "retry: {hedge: {after: p30, budget: 0%, delay: 1s}}\n",
        "b.yaml:2:24: retry.hedge.after: 'p30' is out of range; allowed: a quantile from p50 to "
        "p99, or "
        "a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 1h\n"
        "b.yaml:2:37: retry.hedge.budget: '0%' is out of range; allowed: a share such as 5%, from "
        "0.0001% to 100%\n"
        "b.yaml:2:41: retry.hedge: unknown key 'delay'; allowed: after, budget\n");
    fake_expect(
        *state, "providers: {openai: {keys: [sk-a]}}\nretry: {hedge: {after: soon}}\n",
        "b.yaml:2:24: retry.hedge.after: 'soon' is neither a quantile nor a duration; allowed: a "
        "quantile from p50 to p99, or a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to "
        "1h\n");
}

static void what_is_not_built(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "store: postgres://user:TOPSECRET@db/bellwether\n"
        "shared: x\n"
        "pools: {p: {budget: {}}}\n",
        "b.yaml:2:8: store: the value names a server of PostgreSQL, which is not built yet; "
        "allowed: sqlite:PATH, absolute or from the configuration's folder, or none\n"
        "b.yaml:3:1: shared: not built yet; allowed: to leave it out\n"
        "b.yaml:4:21: pools.p.budget: usd is missing; allowed: an amount of USD such as 100\n");
}

static void classes(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "classes:\n"
        "  gold: {concurrent: 1}\n"
        "  standard: {concurrent: 0, wait: 2d}\n"
        "  batch: {windows: ['22:00-06:00 UTC', '22:00-06:00 Mars', 8]}\n",
        "b.yaml:3:3: classes.gold: there is no such class; allowed: critical, standard or batch\n"
        "b.yaml:4:26: classes.standard.concurrent: '0' is out of range; allowed: a whole number "
        "from 1 "
        "to 10000000\n"
        "b.yaml:4:35: classes.standard.wait: '2d' is out of range; allowed: a duration such as "
        "250ms, "
        "30s, 5m, 2h or 30d, from 0s to 24h\n"
        "b.yaml:5:40: classes.batch.windows: '22:00-06:00 Mars' are no hours of the day; allowed: "
        "a list of at most 16 hours of the day, with a zone of the system, such as "
        "\"22:00-06:00 UTC\"\n"
        "b.yaml:5:60: classes.batch.windows: '8' are no hours of the day; allowed: a list of at "
        "most 16 hours of the day, with a zone of the system, such as \"22:00-06:00 UTC\"\n");
}

static void limits_of_classes(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "classes:\n"
        "  standard: {limits: {rpm: 0, tpm: 1.5, burst: 3}}\n"
        "  critical: {limits: {burst: 3}, rpm: 3}\n"
        "  batch: {limits: {concurrent: 5, rmp: 3}}\n",
        "b.yaml:3:28: classes.standard.limits.rpm: '0' is out of range; allowed: a whole number "
        "from 1 to 4000000000\n"
        "b.yaml:3:36: classes.standard.limits.tpm: '1.5' is no whole number; allowed: a whole "
        "number from 1 to 1000000000000000\n"
        "b.yaml:4:23: classes.critical.limits: burst without rpm; allowed: beside rpm\n"
        "b.yaml:4:34: classes.critical: unknown key 'rpm'; here it is limits.rpm of a client, key, "
        "model or class\n"
        "b.yaml:5:20: classes.batch.limits: unknown key 'concurrent'; here it is limits.concurrent "
        "of a client, key or model, and classes.NAME.concurrent\n"
        "b.yaml:5:35: classes.batch.limits: unknown key 'rmp'; the nearest is 'rpm'\n");
}

static void prices(void **state)
{
    fake_expect(*state,
                "providers: {openai: {keys: [sk-a]}}\n"
                "prices:\n"
                "  a: {input: -1, output: 1.2345678, long: {input: 1, output: 1}}\n"
                "  b: {input: 1}\n"
                "  c d: {input: 1, output: 1}\n"
                "currency: {second: CNY}\n",
                "b.yaml:3:14: prices.a.input: '-1' is no such amount; allowed: an amount of USD "
                "from 0 to 1000000, such as 0.28, with up to 6 decimals\n"
                "b.yaml:3:26: prices.a.output: '1.2345678' is no such amount; allowed: an amount "
                "of USD from 0 to 1000000, such as 0.28, with up to 6 decimals\n"
                "b.yaml:3:43: prices.a.long: above is missing; allowed: a number of tokens\n"
                "b.yaml:4:3: prices.b: output is missing; allowed: USD per million tokens\n"
                "b.yaml:5:3: prices.c d: this is no name of a model; allowed: 1 to 256 characters "
                "without spaces\n"
                "b.yaml:6:11: currency: second and rate belong together; allowed: both\n");
}

static void references(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  compatible:\n"
        "    base_url: http://host/v1\n"
        "    keys:\n"
        "      - ${env:}\n"
        "      - ${env:A-B}\n"
        "      - ${env:EMPTY}\n"
        "      - ${env:NOPE}\n"
        "      - ${file:/nope}\n"
        "      - ${file:closed.pem}\n"
        "      - ${vault:a#b}\n"
        "      - ${what:a}\n"
        "      - ${env:X\n"
        "      - \"a\\nb\"\n"
        "      - \" a\"\n"
        "      - \"\"\n"
        "      - ${file:two.lines}\n",
        "b.yaml:5:9: providers.compatible.keys[0]: ${env:} names no variable; allowed: letters, "
        "digits and '_', as in ${env:NAME}\n"
        "b.yaml:6:9: providers.compatible.keys[1]: ${env:A-B} names no variable; allowed: "
        "letters, digits and '_', as in ${env:NAME}\n"
        "b.yaml:7:9: providers.compatible.keys[2]: ${env:EMPTY} is empty; allowed: a value of "
        "at least one character\n"
        "b.yaml:8:9: providers.compatible.keys[3]: ${env:NOPE} is not set; allowed: a variable "
        "of the environment that is\n"
        "b.yaml:9:9: providers.compatible.keys[4]: ${file:/nope} is not there; allowed: a file "
        "that can be read\n"
        "b.yaml:10:9: providers.compatible.keys[5]: ${file:closed.pem} cannot be read, "
        "permission denied; allowed: a file that can be read\n"
        "b.yaml:11:9: providers.compatible.keys[6]: ${vault:a#b} names no secret; allowed: a "
        "path and a member, as in ${vault:secret/data/llm/openai#api_key}, "
        "${aws:llm/openai#api_key}\n"
        "b.yaml:12:9: providers.compatible.keys[7]: ${what:a} is no known reference; allowed: "
        "${env:NAME}, ${file:/path}, ${sealed:NAME}, ${vault:PATH#MEMBER}, and as that aws, "
        "google, azure, "
        "k8s\n"
        "b.yaml:13:9: providers.compatible.keys[8]: a '${' without its '}'; allowed: ${env:NAME}, "
        "${file:/path}, ${sealed:NAME}, ${vault:PATH#MEMBER}, and as that aws, google, azure, k8s, "
        "or $${ for itself\n"
        "b.yaml:14:9: providers.compatible.keys[9]: the value holds a control character, such "
        "as a line break; allowed: one line of text\n"
        "b.yaml:15:9: providers.compatible.keys[10]: the value starts or ends with a space; "
        "allowed: the secret alone\n"
        "b.yaml:16:9: providers.compatible.keys[11]: the value is empty; allowed: a secret of "
        "at least one character\n"
        "b.yaml:17:9: providers.compatible.keys[12]: the value holds a control character, such "
        "as a line break; allowed: one line of text\n");
}

static void references_elsewhere(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server: {workers: \"${env:WORD}\", listen: \"${env:NOPE}\"}\n",
        "b.yaml:2:19: server.workers: the value of ${env:WORD} is no whole number; allowed: "
        "auto, or a whole number from 1 to 1024\n"
        "b.yaml:2:42: server.listen: ${env:NOPE} is not set; allowed: a variable of the "
        "environment that is\n");
}

static void names_of_other_tools(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  openai:\n"
        "    keys: [sk-a]\n"
        "    api_key: sk-b\n"
        "    rotation_strategy: round_robin\n"
        "    health: {health_check_interval_seconds: 30, max_key_failures: 3, cooldown_seconds: "
        "60}\n"
        "    breaker: {failure_threshold: 5, recovery_timeout: 30}\n"
        "    rotation_interval_days: 30\n"
        "retry: {fallback_delay_ms: 3, num_retries: 3, Max-Retries: 3}\n"
        "clients: {key: []}\n",
        "b.yaml:4:5: providers.openai: unknown key 'api_key'; here it is providers.NAME.keys, a "
        "list\n"
        "b.yaml:5:5: providers.openai: unknown key 'rotation_strategy'; here it is "
        "providers.NAME.selection\n"
        "b.yaml:6:14: providers.openai.health: unknown key 'health_check_interval_seconds'; "
        "here it is providers.NAME.health.probe_interval, a duration such as 30s\n"
        "b.yaml:6:49: providers.openai.health: unknown key 'max_key_failures'; here it is "
        "providers.NAME.health.max_failures\n"
        "b.yaml:6:70: providers.openai.health: unknown key 'cooldown_seconds'; here it is "
        "providers.NAME.health.cooldown, a duration such as 60s\n"
        "b.yaml:7:15: providers.openai.breaker: unknown key 'failure_threshold'; here it is "
        "providers.NAME.breaker.failures\n"
        "b.yaml:7:37: providers.openai.breaker: unknown key 'recovery_timeout'; here it is "
        "providers.NAME.breaker.open, a duration such as 30s\n"
        "b.yaml:8:5: providers.openai: unknown key 'rotation_interval_days'; here it is "
        "providers.NAME.rotation.max_age, a duration such as 30d\n"
        "b.yaml:9:9: retry: unknown key 'fallback_delay_ms'; here it is retry.base_delay, a "
        "duration such as 100ms\n"
        "b.yaml:9:31: retry: unknown key 'num_retries'; here it is retry.attempts, which counts "
        "the first try too\n"
        "b.yaml:9:47: retry: unknown key 'Max-Retries'; here it is retry.attempts, which counts "
        "the first try too\n"
        "b.yaml:10:11: clients: unknown key 'key'; the nearest is 'keys'\n");
}

static void slips_of_the_fingers(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "retyr: {}\n"
        "max_body: 3\n"
        "server: {wrokers: 3, listne: x, timeout: {}}\n"
        "zzzzzz: 1\n"
        "sk-abcdefghijklmnop: 1\n",
        "b.yaml:2:1: unknown key 'retyr'; the nearest is 'retry'\n"
        "b.yaml:3:1: unknown key 'max_body'; it stands in server.max_body\n"
        "b.yaml:4:10: server: unknown key 'wrokers'; the nearest is 'workers'\n"
        "b.yaml:4:22: server: unknown key 'listne'; the nearest is 'listen'\n"
        "b.yaml:4:33: server: unknown key 'timeout'; the nearest is 'timeouts'\n"
        "b.yaml:5:1: unknown key 'zzzzzz'; allowed: secrets, server, admin, pools, clients, "
        "providers, "
        "models, names, retry, log, store, alerts, classes, prices, catalogue, currency\n"
        "b.yaml:6:1: unknown key (not shown); allowed: secrets, server, admin, pools, clients, "
        "providers, models, names, retry, log, store, alerts, classes, prices, catalogue, "
        "currency\n");
}

static void duplicates(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "server:\n"
        "  workers: 1\n"
        "  workers: 2\n"
        "server: {}\n",
        "b.yaml:4:3: duplicate key 'workers'; allowed: each once, and line 3 has it already\n"
        "b.yaml:5:1: duplicate key 'server'; allowed: each once, and line 2 has it already\n");
}

static void nothing(void **state)
{
    fake_expect(
        *state, "",
        "b.yaml:1:1: providers: missing; allowed: at least one, such as openai with its keys\n");
}

static void no_providers(void **state)
{
    fake_expect(
        *state, "providers:\n",
        "b.yaml:1:1: providers: empty; allowed: at least one, such as openai with its keys\n");
}

static void no_map(void **state)
{
    fake_expect(*state, "- a\n",
                "b.yaml:1:1: a list stands where a map should; allowed: a map with providers\n");
}

/* Where `secrets` is wrong, it is unknown where the key is that opens what was sealed. */
static void sealed_secrets_without_their_key(void **state)
{
    static const struct {
        const char *secrets, *told;
    } cases[] = {
        {"[x]", "b.yaml:1:10: secrets: a list stands where a map should; allowed: a map of "
                "seal_key, vault, aws, google, azure, kubernetes, poll\n"},
        {"{seal_key: {}}", "b.yaml:1:21: secrets.seal_key: a map stands where a single value "
                           "should; allowed: file:PATH, absolute or from the configuration's "
                           "folder\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[200], told[1000];

        snprintf(text, sizeof(text),
                 "secrets: %s\n"
                 "providers: {openai: {keys: [\"${sealed:a}\", \"${sealed:QldTRUFMVAAA}\"]}}\n",
                 cases[i].secrets);
        snprintf(told, sizeof(told),
                 "%s"
                 "b.yaml:2:29: providers.openai.keys[0]: ${sealed:a} cannot be read: it is not "
                 "known where the key of sealed secrets is; allowed: to mend `secrets` first\n"
                 "b.yaml:2:44: providers.openai.keys[1]: ${sealed:QldTRUFMVAAA} cannot be read: it "
                 "is not known where the key of sealed secrets is; allowed: to mend `secrets` "
                 "first\n",
                 cases[i].told);
        fake_expect(*state, text, told);
    }
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_of_the_server),
        cmocka_unit_test(bounds_between_values),
        cmocka_unit_test(files_that_cannot_be_read),
        cmocka_unit_test(addresses_that_others_reach),
        cmocka_unit_test(one_address_for_both),
        cmocka_unit_test(values_of_the_admin),
        cmocka_unit_test(clients),
        cmocka_unit_test(nobody_can_call),
        cmocka_unit_test(values_of_retry_and_log),
        cmocka_unit_test(values_of_hedges),
        cmocka_unit_test(what_is_not_built),
        cmocka_unit_test(classes),
        cmocka_unit_test(limits_of_classes),
        cmocka_unit_test(prices),
        cmocka_unit_test(references),
        cmocka_unit_test(references_elsewhere),
        cmocka_unit_test(names_of_other_tools),
        cmocka_unit_test(slips_of_the_fingers),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(nothing),
        cmocka_unit_test(no_providers),
        cmocka_unit_test(no_map),
        cmocka_unit_test(sealed_secrets_without_their_key),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
