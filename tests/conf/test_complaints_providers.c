/* Complaints about providers, their keys and models, with their exact text and place. */
#include "fake.h"

static const struct fake_pair variables[] = {{"EMPTY", ""}, {"WORD", "many"}, {NULL, NULL}};
static const struct fake_pair files[] = {
    {"c.pem", "pem"}, {"closed.pem", NULL}, {"two.lines", "a\nb\n"}, {NULL, NULL}};

#define KINDS                                                                                      \
    "openai, anthropic, gemini, azure, deepseek, openrouter, compatible, mistral, groq, "          \
    "together, "                                                                                   \
    "vllm, ollama"

static void kinds(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  a/b: {keys: [x]}\n"
        "  other: {keys: [x]}\n"
        "  anthropic: {keys: [sk-ant-x]}\n"
        "  azure: {kind: azure, keys: [x]}\n"
        "  local: {kind: compatible, keys: [x]}\n"
        "  odd: {kind: nope, keys: x}\n",
        "b.yaml:2:3: providers.a/b: this is no name; allowed: 1 to 64 letters, digits or any of "
        ". _ : @ -\n"
        "b.yaml:2:3: providers.a/b: the kind is missing, and the name is none that is well "
        "known; allowed: kind: " KINDS "\n"
        "b.yaml:3:3: providers.other: the kind is missing, and the name is none that is well "
        "known; allowed: kind: " KINDS "\n"
        "b.yaml:5:3: providers.azure: the base_url is missing, and kind azure has none of its "
        "own; allowed: a URL such as https://host/v1\n"
        "b.yaml:6:3: providers.local: the base_url is missing, and kind compatible has none of "
        "its own; allowed: a URL such as https://host/v1\n"
        "b.yaml:7:15: providers.odd.kind: 'nope' is no kind of provider; allowed: " KINDS "\n"
        "b.yaml:7:27: providers.odd.keys: a single value stands where a list should; allowed: a "
        "list, each a secret, best as ${env:NAME}, or a map with secret and name\n");
}

static void base_urls(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  a: {kind: compatible, base_url: \"ftp://x\", keys: [x]}\n"
        "  b: {kind: compatible, base_url: \"http://user:pw@host/v1\", keys: [x]}\n"
        "  c: {kind: compatible, base_url: \"http://host/v1?key=x\", keys: [x]}\n"
        "  d: {kind: compatible, base_url: \"http://host/v1\"}\n",
        "b.yaml:2:35: providers.a.base_url: this is no base URL: it starts with neither http:// "
        "nor https://; allowed: https://host, http://host:port/path, or "
        "http://unix:/path/to/socket:/path\n"
        "b.yaml:3:35: providers.b.base_url: this is no base URL: it holds a user or password, "
        "which belong into keys or headers; allowed: https://host, http://host:port/path, or "
        "http://unix:/path/to/socket:/path\n"
        "b.yaml:4:35: providers.c.base_url: this is no base URL: it holds a query or a fragment; "
        "allowed: https://host, http://host:port/path, or http://unix:/path/to/socket:/path\n"
        "b.yaml:5:3: providers.d: there is no key; allowed: at least one in keys or keys_from (any "
        "word where the provider wants none)\n");
}

static void keys(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  compatible:\n"
        "    base_url: http://host/v1\n"
        "    keys:\n"
        "      - {name: one, secret: s1, weight: -1, priority: 1.5, account: \"a b\"}\n"
        "      - {name: one, secret: s1}\n"
        "      - {name: two, budget: {per: year}, limits: {rpm: 0, burst: 3}}\n"
        "      -\n"
        "      - {name: x/y, secret: s2, pool: none, models: [\"a b\"]}\n",
        "b.yaml:5:41: providers.compatible.keys[0].weight: '-1' is no whole number; allowed: a "
        "whole number from 0 to 1000000\n"
        "b.yaml:5:55: providers.compatible.keys[0].priority: '1.5' is no whole number; allowed: "
        "a whole number from -1000000 to 1000000\n"
        "b.yaml:5:69: providers.compatible.keys[0].account: 'a b' is no name; allowed: 1 to 64 "
        "letters, digits or any of . _ : @ -\n"
        "b.yaml:6:9: providers.compatible: a second key named 'one'; allowed: each name once\n"
        "b.yaml:6:9: providers.compatible: key 'one' has the secret of key 'one'; allowed: each "
        "secret once\n"
        "b.yaml:7:9: providers.compatible.keys[2]: the secret is missing; allowed: secret: "
        "${env:NAME}, or one of azure_entra, google_service_account, anthropic_federation\n"
        "b.yaml:7:29: providers.compatible.keys[2].budget: usd is missing; allowed: an amount of "
        "USD such as 100\n"
        "b.yaml:7:35: providers.compatible.keys[2].budget.per: 'year' is not known; allowed: "
        "hour, day, week, month\n"
        "b.yaml:7:56: providers.compatible.keys[2].limits.rpm: '0' is out of range; allowed: a "
        "whole number from 1 to 4000000000\n"
        "b.yaml:7:59: providers.compatible.keys[2].limits: unknown key 'burst'; it stands in "
        "clients.keys.limits.burst\n"
        "b.yaml:8:7: providers.compatible.keys[3]: nothing stands where a map should; allowed: "
        "a list, each a secret, best as ${env:NAME}, or a map with secret and name\n"
        "b.yaml:9:16: providers.compatible.keys[4].name: 'x/y' is no name; allowed: 1 to 64 "
        "letters, digits or any of . _ : @ -\n"
        "b.yaml:9:39: providers.compatible.keys[4].pool: 'none' is no pool of this file; "
        "allowed: a name that stands in pools\n"
        "b.yaml:9:54: providers.compatible.keys[4].models: 'a b' is no name of a model; "
        "allowed: a list of 1 to 10000 names of models, '*' for any text\n");
}

static void limits_for_one_model(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  compatible:\n"
        "    base_url: http://host/v1\n"
        "    keys:\n"
        "      - {secret: s1, model_limits: {a: {rpm: 0, tpm: 1.5, concurrent: 10000001}}}\n"
        "      - {secret: s2, model_limits: {b-*: {rpm: 5}, \"a b\": {rpm: 5}, \"\": {rpm: 5}}}\n"
        "      - {secret: s3, model_limits: {c: {}, d: , e: 5, f: {rpm: 1, burst: 2}}}\n"
        "      - {secret: s4, model_limits: {g: {rpm: 1}, h: {rpm: 1}, g: {rpm: 2}}}\n"
        "      - {secret: s5, model_limits: [g]}\n"
        "      - {secret: s6, model_limit: {g: {rpm: 1}}}\n"
        "      - {secret: s7, model_limits: {}}\n"
        "      - {secret: s8, limits: {model_rpm_limit: {g: 5}}}\n"
        "    model_limits:\n"
        "      \"*\": {rpm: 4000000001}\n"
        "      i: {rps: 1, concurrency: 5}\n"
        "      compatible/j: {rpm: 1}\n",
        "b.yaml:5:46: providers.compatible.keys[0].model_limits.a.rpm: '0' is out of range; "
        "allowed: a whole number from 1 to 4000000000\n"
        "b.yaml:5:54: providers.compatible.keys[0].model_limits.a.tpm: '1.5' is no whole number; "
        "allowed: a whole number from 1 to 1000000000000000\n"
        "b.yaml:5:71: providers.compatible.keys[0].model_limits.a.concurrent: '10000001' is out of "
        "range; allowed: a whole number from 1 to 10000000\n"
        "b.yaml:6:37: providers.compatible.keys[1].model_limits.b-*: a pattern; allowed: a model's "
        "name in full, as the provider has it\n"
        "b.yaml:6:52: providers.compatible.keys[1].model_limits.a b: this is no name of a model; "
        "allowed: 1 to 256 characters without spaces\n"
        "b.yaml:6:69: providers.compatible.keys[1].model_limits.: this is no name of a model; "
        "allowed: 1 to 256 characters without spaces\n"
        "b.yaml:7:37: providers.compatible.keys[2].model_limits.c: there is no limit; allowed: at "
        "least one of rpm, tpm, concurrent\n"
        "b.yaml:7:44: providers.compatible.keys[2].model_limits.d: there is no limit; allowed: at "
        "least one of rpm, tpm, concurrent\n"
        "b.yaml:7:52: providers.compatible.keys[2].model_limits.e: a single value stands where a "
        "map should; allowed: a map of rpm, tpm, concurrent\n"
        "b.yaml:7:67: providers.compatible.keys[2].model_limits.f: unknown key 'burst'; it stands "
        "in clients.keys.limits.burst\n"
        "b.yaml:8:63: duplicate key 'g'; allowed: each once, and line 8 has it already\n"
        "b.yaml:9:36: providers.compatible.keys[4].model_limits: a list stands where a map should; "
        "allowed: a map by name, each a map of rpm, tpm, concurrent; at most 64 of them\n"
        "b.yaml:10:22: providers.compatible.keys[5]: unknown key 'model_limit'; the nearest is "
        "'model_limits'\n"
        "b.yaml:12:31: providers.compatible.keys[7].limits: unknown key 'model_rpm_limit'; here it "
        "is rpm of a model in model_limits of a provider or a key\n"
        "b.yaml:14:7: providers.compatible.model_limits.*: a pattern; allowed: a model's name in "
        "full, as the provider has it\n"
        "b.yaml:14:18: providers.compatible.model_limits.*.rpm: '4000000001' is out of range; "
        "allowed: a whole number from 1 to 4000000000\n"
        "b.yaml:15:11: providers.compatible.model_limits.i: unknown key 'rps'; the nearest is "
        "'rpm'\n"
        "b.yaml:15:19: providers.compatible.model_limits.i: unknown key 'concurrency'; the nearest "
        "is 'concurrent'\n"
        "b.yaml:16:7: warning: providers.compatible.model_limits.compatible/j: a model is named as "
        "the provider has it, and this one begins with the provider's own name; allowed: the name "
        "without 'compatible/'\n");
}

/* OpenRouter has models that begin with its own name. */
static void a_model_of_openrouter_may_begin_with_its_name(void **state)
{
    fake_expect(*state,
                "providers:\n"
                "  openrouter:\n"
                "    keys: [sk-or-1]\n"
                "    model_limits: {openrouter/auto: {rpm: 5}, deepseek/deepseek-chat: {rpm: 5}}\n",
                "");
}

static void keys_from(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  compatible:\n"
        "    base_url: http://host/v1\n"
        "    keys_from: [\"vault:x\", \" , \", \"dir:/nope\", \"${env:NOPE}\", "
        "\"dir:/run/keys\"]\n",
        "b.yaml:4:17: providers.compatible.keys_from[0]: this names one entry, not a "
        "folder; allowed: \"vault:MOUNT/data/PATH/*\", \"${vault:MOUNT/data/PATH#MEMBER}\"\n"
        "b.yaml:4:28: providers.compatible.keys_from[1]: this list is empty; allowed: keys with "
        "commas or spaces between them\n"
        "b.yaml:4:35: providers.compatible.keys_from[2]: the folder cannot be read, not found; "
        "allowed: a folder of files with one key each\n"
        "b.yaml:4:48: providers.compatible.keys_from[3]: ${env:NOPE} is not set; allowed: a "
        "variable of the environment that is\n"
        "b.yaml:4:63: providers.compatible.keys_from[4]: the folder cannot be read, not found; "
        "allowed: a folder of files with one key each\n");
}

static void twins_across_lists(void **state)
{
    fake_expect(*state,
                "providers:\n"
                "  compatible:\n"
                "    base_url: http://host/v1\n"
                "    keys: [s1, s2]\n"
                "    keys_from: [\"s3,s1\"]\n",
                "b.yaml:5:16: warning: providers.compatible: key 'compatible-4' has the secret of "
                "key 'compatible-1', and is left out\n");
}

static void unusual_keys(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  deepseek:\n"
        "    keys: [a1, sk-b, a2, a3, a4, a5, a6, a7]\n",
        "b.yaml:3:12: warning: providers.deepseek: key 'deepseek-1' has an unusual look; keys "
        "of deepseek start with 'sk-'\n"
        "b.yaml:3:22: warning: providers.deepseek: key 'deepseek-3' has an unusual look; keys "
        "of deepseek start with 'sk-'\n"
        "b.yaml:3:26: warning: providers.deepseek: key 'deepseek-4' has an unusual look; keys "
        "of deepseek start with 'sk-'\n"
        "b.yaml:3:30: warning: providers.deepseek: key 'deepseek-5' has an unusual look; keys "
        "of deepseek start with 'sk-'\n"
        "b.yaml:3:34: warning: providers.deepseek: key 'deepseek-6' has an unusual look; keys "
        "of deepseek start with 'sk-'\n"
        "b.yaml:3:42: warning: providers.deepseek: 2 further keys have an unusual look\n");
}

static void values_of_a_provider(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  openai:\n"
        "    keys: [sk-a]\n"
        "    selection: random\n"
        "    health: {max_failure: 3}\n"
        "    breaker: {ratio: 0.5}\n"
        "    regions: {}\n"
        "    headers: {Host: x, Authorization: y, \"X Y\": z, X-a: 1, x-A: 2}\n"
        "    forward_headers: [Cookie, X-Trace]\n"
        "    connections: {max: 5, idle: 9}\n"
        "    limits: {margin: 95%}\n"
        "    timeouts: {first_byte: soon}\n"
        "    probe: {method: POST, path: models}\n",
        "b.yaml:4:16: providers.openai.selection: 'random' is not known; allowed: headroom, "
        "least_used, round_robin, weighted, priority, sticky\n"
        "b.yaml:5:14: providers.openai.health: unknown key 'max_failure'; the nearest is "
        "'max_failures'\n"
        "b.yaml:6:22: providers.openai.breaker.ratio: '0.5' is no share; allowed: a share such as "
        "5%, from 0% to 100%\n"
        "b.yaml:7:14: providers.openai.regions: a map is empty; allowed: a map of 1 to 64 regions "
        "and "
        "their base URLs, such as us-east: https://host/v1\n"
        "b.yaml:8:15: providers.openai.headers.Host: a header field that cannot be set; allowed: "
        "letters, digits and '-', and none that frames the message or belongs to the connection\n"
        "b.yaml:8:24: providers.openai.headers: this field carries the key; allowed: to put the "
        "key into keys\n"
        "b.yaml:8:42: providers.openai.headers.X Y: a header field that cannot be set; allowed: "
        "letters, digits and '-', and none that frames the message or belongs to the connection\n"
        "b.yaml:8:60: providers.openai.headers.x-A: the same field again; allowed: each once\n"
        "b.yaml:9:23: providers.openai.forward_headers: 'Cookie' cannot be forwarded; allowed: a "
        "list of at most 100 names of header fields, but for credentials, cookies and those that "
        "belong to a connection\n"
        "b.yaml:10:33: providers.openai.connections: idle is more than max; allowed: at most max\n"
        "b.yaml:11:22: providers.openai.limits.margin: '95%' is out of range; allowed: a share "
        "such as 5%, from 0% to 90%\n"
        "b.yaml:12:28: providers.openai.timeouts.first_byte: 'soon' is no duration; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 24h\n"
        "b.yaml:13:21: providers.openai.probe.method: 'POST' is not known; allowed: GET, HEAD\n"
        "b.yaml:13:33: providers.openai.probe.path: 'models' is no path of a URL; allowed: a path "
        "such as /models\n");
}

static void models(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "models:\n"
        "  a: openai/gpt\n"
        "  b: nope/gpt\n"
        "  c: gpt\n"
        "  \"d e\": openai/x\n"
        "  e: {}\n"
        "  f: {targets: [{to: openai/x, weight: 0}, {weight: 1}]}\n"
        "  g: {targets: [{to: openai/x, weight: 0}]}\n"
        "  h: {by_size: []}\n"
        "  i: {targets: [openai/x], fallback: [openai/y, z]}\n"
        "  j: [openai/x]\n"
        "  k: openai/\n"
        "names: {unknown: nope, absent: a, direct: maybe}\n",
        "b.yaml:4:6: models.b: 'nope/gpt' names a provider that is not in providers; allowed: "
        "PROVIDER/MODEL, where PROVIDER stands in providers\n"
        "b.yaml:5:6: models.c: 'gpt' is no PROVIDER/MODEL; allowed: PROVIDER/MODEL, where PROVIDER "
        "stands in providers\n"
        "b.yaml:6:3: models.d e: this is no name of a model; allowed: 1 to 256 characters without "
        "spaces\n"
        "b.yaml:7:3: models.e: there is no target; allowed: PROVIDER/MODEL, a list of targets, "
        "by_size or optimise\n"
        "b.yaml:8:44: models.f.targets[1]: the target is missing; allowed: to: PROVIDER/MODEL\n"
        "b.yaml:9:16: models.g: the weight of every target is 0; allowed: at least one above it\n"
        "b.yaml:10:16: models.h: by_size has no rows; allowed: at least one with use\n"
        "b.yaml:11:49: models.i.fallback: 'z' is no PROVIDER/MODEL; allowed: a list of "
        "PROVIDER/MODEL, where PROVIDER stands in providers\n"
        "b.yaml:12:6: models.j: a list stands where a map should; allowed: a map of targets, "
        "fallback, limits, shadow, migration, set, by_size, optimise, among\n"
        "b.yaml:13:6: models.k: 'openai/' names no model behind its slash; allowed: "
        "PROVIDER/MODEL, where PROVIDER stands in providers\n"
        "b.yaml:14:18: names.unknown: 'nope' is no model of this file; allowed: refuse, a name "
        "that stands in models, or PROVIDER/MODEL\n"
        "b.yaml:14:43: names.direct: 'maybe' is neither true nor false; allowed: true or false\n");
}

/* Models that choose others. */
static void choices(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "models:\n"
        "  m: openai/gpt\n"
        "  a: {by_size: [{below: 200, use: m}, {below: 200, use: m}, {use: nope}]}\n"
        "  b: {by_size: [{use: m}, {below: 5, use: openai/x}]}\n"
        "  c: {by_size: [{below: 5}, {use: d}]}\n"
        "  d: {optimise: cost, among: [m, c]}\n"
        "  e: {optimise: price, among: [m]}\n"
        "  f: {optimise: latency}\n"
        "  g: {among: [m], targets: [openai/x]}\n"
        "  h: {optimise: cost, among: [h, other/x]}\n"
        "  i: {by_size: [{use: m}], optimise: cost, among: [m], limits: {rpm: 5}}\n"
        "  j: {optimise: cost, among: []}\n",
        "b.yaml:4:39: models.a: below is 200, and the row before has 200; allowed: rising bounds\n"
        "b.yaml:4:67: models.a: 'nope' is no model of this file; allowed: a name that stands in "
        "models, or PROVIDER/MODEL\n"
        "b.yaml:5:17: models.b: below is missing, so that no row behind this one is reached; "
        "allowed: a number of characters\n"
        "b.yaml:5:27: models.b: the last row of by_size takes all that is longer; allowed: a last "
        "row with use alone\n"
        "b.yaml:6:17: models.c.by_size[0]: use is missing; allowed: a name that stands in models, "
        "or PROVIDER/MODEL\n"
        "b.yaml:6:35: models.c: 'd' leads back to 'c'; allowed: a model that does not use this "
        "one\n"
        "b.yaml:7:34: models.d: 'c' leads back to 'd'; allowed: a model that does not use this "
        "one\n"
        "b.yaml:8:17: models.e.optimise: 'price' is not known; allowed: cost, latency\n"
        "b.yaml:9:3: models.f: optimise without among; allowed: among, a list of models\n"
        "b.yaml:10:3: models.g: among without optimise; allowed: optimise: cost or latency\n"
        "b.yaml:10:19: models.g: targets beside by_size or optimise; allowed: with the models that "
        "it uses\n"
        "b.yaml:11:31: models.h: 'h' leads back to 'h'; allowed: a model that does not use this "
        "one\n"
        "b.yaml:11:34: models.h: 'other/x' is no model of this file; allowed: a name that stands "
        "in models, or PROVIDER/MODEL\n"
        "b.yaml:12:7: models.i: by_size beside optimise; allowed: one of them\n"
        "b.yaml:12:56: models.i: limits beside by_size or optimise; allowed: with the models that "
        "it uses\n"
        "b.yaml:13:30: models.j.among: a list is empty; allowed: a list of up to 16, each a name "
        "that stands in models, or PROVIDER/MODEL\n");
}

static void additions(void **state)
{
    fake_expect(*state,
                "providers: {openai: {keys: [sk-a]}}\n"
                "models:\n"
                "  a: {targets: [openai/x], set: {max_tokens: 0, temperature: 2.5, top_p: 1.0, "
                "seed: 1.5}}\n"
                "  b: {targets: [openai/x], set: {max_tokens: many, presence_penalty: -2, "
                "frequency_penalty: -2.1, max_token: 5, reasoning_effort: huge}}\n"
                "catalogue:\n"
                "  openai/x: {context: 0, tools: perhaps, size: 5}\n"
                "  openai/y: {successor: 'gpt-5*'}\n",
                "b.yaml:3:46: models.a.set.max_tokens: '0' is out of range; allowed: a whole "
                "number from 1 to 1000000000\n"
                "b.yaml:3:62: models.a.set.temperature: '2.5' is out of range; allowed: a number "
                "from 0 to 2\n"
                "b.yaml:3:85: models.a.set.seed: '1.5' is no such number; allowed: a whole number "
                "from 0 to 2147483647\n"
                "b.yaml:4:46: models.b.set.max_tokens: 'many' is no such number; allowed: a whole "
                "number from 1 to 1000000000\n"
                "b.yaml:4:93: models.b.set.frequency_penalty: '-2.1' is out of range; allowed: a "
                "number from -2 to 2\n"
                "b.yaml:4:99: models.b.set: unknown key 'max_token'; the nearest is 'max_tokens'\n"
                "b.yaml:4:131: models.b.set.reasoning_effort: 'huge' is not known; allowed: none, "
                "minimal, low, medium, high, xhigh, max\n"
                "b.yaml:6:23: catalogue.openai/x.context: '0' is out of range; allowed: a whole "
                "number from 1 to 1000000000\n"
                "b.yaml:6:33: catalogue.openai/x.tools: 'perhaps' is neither true nor false; "
                "allowed: true or false\n"
                "b.yaml:6:42: catalogue.openai/x: unknown key 'size'; allowed: context, max_input, "
                "max_output, tools, vision, structured, audio, reasoning, embeddings, successor, "
                "aliases\n"
                "b.yaml:7:25: catalogue.openai/y.successor: 'gpt-5*' is no name of a model; "
                "allowed: a model as the provider calls it, or none\n");
}

static void shadows(void **state)
{
    fake_expect(
        *state,
        "providers: {openai: {keys: [sk-a]}}\n"
        "models:\n"
        "  a: {targets: [openai/x], shadow: {share: 5%}}\n"
        "  b: {targets: [openai/x], shadow: {to: nope/y, share: 0%}}\n"
        "  c: {targets: [openai/x], shadow: {to: openai/y, budget: {usd: 1.1234567, per: week}}}\n"
        "  d: {targets: [openai/x], shadow: {to: openai/y, key: 'a b', mirror: 1}}\n",
        "b.yaml:3:36: models.a.shadow: the shadow's target is missing; allowed: to: "
        "PROVIDER/MODEL\n"
        "b.yaml:4:41: models.b.shadow.to: 'nope/y' names a provider that is not in providers; "
        "allowed: PROVIDER/MODEL, where PROVIDER stands in providers\n"
        "b.yaml:4:56: models.b.shadow.share: '0%' is out of range; allowed: a share such as 5%, "
        "from 0.0001% to 100%\n"
        "b.yaml:5:65: models.c.shadow.budget.usd: '1.1234567' is no amount of money; allowed: an "
        "amount in US dollars such as 12.50, from 0.000001 to 1000000\n"
        "b.yaml:5:81: models.c.shadow.budget.per: 'week' is not known; allowed: hour, day, month\n"
        "b.yaml:6:56: models.d.shadow.key: 'a b' is no name; allowed: 1 to 64 letters, digits or "
        "any of . _ : @ -\n"
        "b.yaml:6:63: models.d.shadow: unknown key 'mirror'; here it is models.NAME.shadow\n");
}

static void adaptive_limits(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  a: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {min_rpm: 90, max_rpm: 80}}\n"
        "  b: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {initial_rpm: 5, min_rpm: 9}}\n"
        "  c: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {backoff: 1, growth: 1, burst: 5}}\n"
        "  d: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {concurrency: {initial: 5, min: 9}}}\n"
        "  e: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {concurrency: {min: 0, max: 3, target: 2}}}\n"
        "  f: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {concurrency: {min: 4, max: 3}}}\n"
        "  g: {kind: compatible, base_url: 'http://127.0.0.1:1', keys: [sk-a],\n"
        "    adaptive: {concurrency: 5}}\n",
        "b.yaml:3:25: providers.a.adaptive: min_rpm is more than max_rpm; allowed: at most "
        "max_rpm\n"
        "b.yaml:5:29: providers.b.adaptive: initial_rpm is out of bounds; allowed: min_rpm to "
        "max_rpm\n"
        "b.yaml:7:25: providers.c.adaptive.backoff: '1' is out of range; allowed: a ratio such as "
        "1.5, from 0.001 to 0.999\n"
        "b.yaml:7:36: providers.c.adaptive.growth: '1' is out of range; allowed: a ratio such as "
        "1.5, from 1.001 to 10\n"
        "b.yaml:7:39: providers.c.adaptive: unknown key 'burst'; it stands in "
        "clients.keys.limits.burst\n"
        "b.yaml:9:39: providers.d.adaptive.concurrency: initial is out of bounds; allowed: min to "
        "max\n"
        "b.yaml:11:35: providers.e.adaptive.concurrency.min: '0' is out of range; allowed: a whole "
        "number from 1 to 1000000\n"
        "b.yaml:11:46: providers.e.adaptive.concurrency: unknown key 'target'; allowed: initial, "
        "min, max\n"
        "b.yaml:13:35: providers.f.adaptive.concurrency: min is more than max; allowed: at most "
        "max\n"
        "b.yaml:15:29: providers.g.adaptive.concurrency: a single value stands where a map should; "
        "allowed: a map of initial, min, max\n");
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds),
        cmocka_unit_test(base_urls),
        cmocka_unit_test(keys),
        cmocka_unit_test(limits_for_one_model),
        cmocka_unit_test(a_model_of_openrouter_may_begin_with_its_name),
        cmocka_unit_test(keys_from),
        cmocka_unit_test(twins_across_lists),
        cmocka_unit_test(unusual_keys),
        cmocka_unit_test(values_of_a_provider),
        cmocka_unit_test(models),
        cmocka_unit_test(choices),
        cmocka_unit_test(additions),
        cmocka_unit_test(shadows),
        cmocka_unit_test(adaptive_limits),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
