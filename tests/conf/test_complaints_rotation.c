/* What is told of rotation and issuers that are wrong. */
#include "fake.h"

static char long_text[SECRET_MAX_BYTES + 1];

static const struct fake_pair variables[] = {
    {"BYTES", "\xff\xfe"},
    {"LONG", long_text},
    {NULL, NULL},
};
static const struct fake_pair files[] = {{NULL, NULL}};

/* A provider with one key, and the beginning of its rotation. */
#define BEFORE "providers:\n  openai:\n    keys: [sk-a]\n    rotation:\n"

static void values_out_of_bounds(void **state)
{
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      name: a/b\n"
               "      overlap: -1\n"
               "      max_keys: 1\n"
               "      validate: {attempts: 0, base_delay: 2h}\n"
               "      on: [expiry, moon]\n"
               "      canary: {initial: 0%, steps: 1001, every: 0s, min_requests: -1,\n"
               "               max_error_rate: 101%, max_latency_ratio: 0.5}\n",
        "b.yaml:6:13: providers.openai.rotation.name: 'a/b' is no name of a new key; allowed: 1 to "
        "64 letters, digits or any of . _ - and {time} once, which becomes 15 of them\n"
        "b.yaml:7:16: providers.openai.rotation.overlap: '-1' is no duration; allowed: a duration "
        "such as 250ms, 30s, 5m, 2h or 30d, from 0s to 3650d\n"
        "b.yaml:8:17: providers.openai.rotation.max_keys: '1' is out of range; allowed: a whole "
        "number from 2 to 20\n"
        "b.yaml:9:28: providers.openai.rotation.validate.attempts: '0' is out of range; allowed: a "
        "whole number from 1 to 100\n"
        "b.yaml:9:43: providers.openai.rotation.validate.base_delay: '2h' is out of range; "
        "allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 1h\n"
        "b.yaml:10:20: providers.openai.rotation.on: 'moon' is not known; allowed: a list of "
        "expiry, leaked, error_rate, secret_changed, refused, age\n"
        "b.yaml:11:25: providers.openai.rotation.canary.initial: '0%' is out of range; allowed: a "
        "share such as 5%, from 0.0001% to 100%\n"
        "b.yaml:11:36: providers.openai.rotation.canary.steps: '1001' is out of range; allowed: a "
        "whole number from 0 to 1000\n"
        "b.yaml:11:49: providers.openai.rotation.canary.every: '0s' is out of range; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 30d\n"
        "b.yaml:11:67: providers.openai.rotation.canary.min_requests: '-1' is no whole number; "
        "allowed: a whole number from 0 to 1000000000\n"
        "b.yaml:12:32: providers.openai.rotation.canary.max_error_rate: '101%' is out of range; "
        "allowed: a share such as 5%, from 0% to 100%\n"
        "b.yaml:12:57: providers.openai.rotation.canary.max_latency_ratio: '0.5' is out of range; "
        "allowed: a ratio such as 1.5, from 1 to 1000\n");
}

static void what_is_not_built(void **state)
{
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      keep_in: aws:a\n",
        "b.yaml:6:16: providers.openai.rotation.keep_in: nothing says how that store is reached; "
        "allowed: secrets.aws says it\n");
}

/* Each says what is wrong with it; a value that came by a reference is not shown. */
static void schedules(void **state)
{
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      schedule: \"61 2 * * *\"\n"
               "  deepseek:\n    keys: [sk-b]\n    rotation:\n"
               "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      schedule: every 10ms\n"
               "      max_age: 1\n"
               "      error_rate: {max: 0%, window: 1ms, maximum: 5}\n"
               "  gemini:\n    keys: [AIza-c]\n    rotation:\n"
               "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      schedule: \"${env:LONG}\"\n",
        "b.yaml:6:17: providers.openai.rotation.schedule: minute: \"61\" is not known; allowed are "
        "0 to 59, ranges as 1-5, steps as */2 or 1-9/2, and lists of these with commas\n"
        "b.yaml:11:17: providers.deepseek.rotation.schedule: every: \"10ms\" is no interval; "
        "allowed are durations from 1s to 10000d, as 12h or 30d\n"
        "b.yaml:12:16: providers.deepseek.rotation.max_age: '1' is no duration; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 0s to 3650d\n"
        "b.yaml:13:25: providers.deepseek.rotation.error_rate.max: '0%' is out of range; allowed: "
        "a share such as 5%, from 0.0001% to 100%\n"
        "b.yaml:13:37: providers.deepseek.rotation.error_rate.window: '1ms' is out of range; "
        "allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 1s to 24h\n"
        "b.yaml:13:42: providers.deepseek.rotation.error_rate: unknown key 'maximum'; allowed: "
        "max, min_requests, window, calm, prune_after\n"
        "b.yaml:18:17: providers.gemini.rotation.schedule: the value of ${env:LONG} is no "
        "schedule; allowed: five fields as of cron, and a zone such as Europe/Berlin; @daily and "
        "its "
        "kin; or \"every 30d\"\n");
}

static void names_of_other_tools(void **state)
{
    fake_expect(
        *state,
        BEFORE
        "      issuer: {kind: gcp, command: x, project_id: y, environment: {}, admin_api_key: z}\n"
        "      overlap_days: 3\n"
        "      grace_period: 3d\n"
        "      max_key: 3\n"
        "      canary: {canary_percentage: 3, max_error: 3}\n",
        "b.yaml:5:15: providers.openai.rotation.issuer: the project is missing; allowed: project: "
        "its id\n"
        "b.yaml:5:15: providers.openai.rotation.issuer: the google_service_account is missing; "
        "allowed: google_service_account: ${file:/path}\n"
        "b.yaml:5:27: providers.openai.rotation.issuer: unknown key 'command'; here it is "
        "providers.NAME.rotation.issuer.argv, a list\n"
        "b.yaml:5:39: providers.openai.rotation.issuer: unknown key 'project_id'; here it is "
        "providers.NAME.rotation.issuer.project\n"
        "b.yaml:5:54: providers.openai.rotation.issuer: unknown key 'environment'; here it is "
        "providers.NAME.rotation.issuer.env, a map\n"
        "b.yaml:5:71: providers.openai.rotation.issuer: unknown key 'admin_api_key'; here it is "
        "providers.NAME.rotation.issuer.admin_key\n"
        "b.yaml:6:7: providers.openai.rotation: unknown key 'overlap_days'; here it is "
        "providers.NAME.rotation.overlap, a duration such as 7d\n"
        "b.yaml:7:7: providers.openai.rotation: unknown key 'grace_period'; here it is "
        "providers.NAME.rotation.overlap, a duration such as 7d\n"
        "b.yaml:8:7: providers.openai.rotation: unknown key 'max_key'; the nearest is 'max_keys'\n"
        "b.yaml:9:16: providers.openai.rotation.canary: unknown key 'canary_percentage'; here it "
        "is providers.NAME.rotation.canary.initial, a share such as 10%\n"
        "b.yaml:9:38: providers.openai.rotation.canary: unknown key 'max_error'; allowed: initial, "
        "steps, every, min_requests, max_error_rate, max_latency_ratio\n");
}

static void names_of_new_keys(void **state)
{
    fake_expect(*state,
                BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
                       "      name: \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{time}\"\n",
                "b.yaml:6:13: providers.openai.rotation.name: "
                "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{time}' is no name of a new "
                "key; allowed: 1 to 64 letters, digits or any of . _ - and {time} once, which "
                "becomes 15 of them\n");
    fake_expect(*state,
                BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
                       "      name: \"a{time}{time}\"\n",
                "b.yaml:6:13: providers.openai.rotation.name: 'a{time}{time}' is no name of a new "
                "key; allowed: 1 to 64 letters, digits or any of . _ - and {time} once, which "
                "becomes 15 of them\n");
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      name: \"a-{id}\"\n",
        "b.yaml:6:13: providers.openai.rotation.name: 'a-{id}' is no name of a new key; allowed: 1 "
        "to 64 letters, digits or any of . _ - and {time} once, which becomes 15 of them\n");
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, provisioning_key: k}\n"
               "      name: \"a:b\"\n",
        "b.yaml:6:13: providers.openai.rotation.name: 'a:b' is no name of a new key; allowed: 1 to "
        "64 letters, digits or any of . _ - and {time} once, which becomes 15 of them\n");
}

static void an_issuer_is_needed(void **state)
{
    fake_expect(*state,
                BEFORE "      canary: on\n"
                       "      max_keys: 3\n",
                "b.yaml:5:7: providers.openai.rotation: the issuer is missing; allowed: issuer, a "
                "map with its kind\n"
                "b.yaml:5:15: providers.openai.rotation.canary: a single value stands where a map "
                "should; allowed: off, or a map of initial, steps, every, min_requests, "
                "max_error_rate, max_latency_ratio\n");
    fake_expect(*state, BEFORE "      issuer: {argv: [/x]}\n",
                "b.yaml:5:15: providers.openai.rotation.issuer: the kind is missing; allowed: "
                "kind: http, command, openai, openrouter, gcp, store\n");
    fake_expect(*state, "providers: {openai: {keys: [sk-a], rotation: }}\n",
                "b.yaml:1:36: providers.openai.rotation: the issuer is missing; allowed: issuer, a "
                "map with its kind\n");
    fake_expect(
        *state, "providers: {openai: {keys: [sk-a], rotation: [a]}}\n",
        "b.yaml:1:46: providers.openai.rotation: a list stands where a map should; "
        "allowed: a map of issuer, name, keep_in, schedule, max_age, warn_before, rotate_before, "
        "refused_for, overlap, max_keys, validate, on, error_rate, canary\n");
}

static void a_key_to_replace_is_needed(void **state)
{
    fake_expect(*state,
                "providers:\n"
                "  openai:\n"
                "    keys: [{azure_entra: {tenant: t, client_id: c, client_secret: x}}]\n"
                "    rotation: {issuer: {kind: openrouter, provisioning_key: k}}\n",
                "b.yaml:4:5: providers.openai: rotation without a key that could be replaced; "
                "allowed: beside at least one key that is a secret\n");
    fake_expect(*state,
                "providers:\n"
                "  openai:\n"
                "    keys: [{azure_entra: {tenant: t, client_id: c, client_secret: x}}, sk-a]\n"
                "    rotation: {issuer: {kind: openrouter, provisioning_key: k}}\n",
                "");
}

static void what_a_kind_needs(void **state)
{
    fake_expect(*state, BEFORE "      issuer: {kind: openai}\n",
                "b.yaml:5:15: providers.openai.rotation.issuer: the project is missing; allowed: "
                "project: its id\n"
                "b.yaml:5:15: providers.openai.rotation.issuer: the admin_key is missing; allowed: "
                "admin_key: ${env:NAME}\n");
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openrouter, limit: 01, url: \"http://h\", life: 3651d, "
               "timeout: 0s}\n",
        "b.yaml:5:15: providers.openai.rotation.issuer: the provisioning_key is missing; allowed: "
        "provisioning_key: ${env:NAME}\n"
        "b.yaml:5:41: providers.openai.rotation.issuer.limit: '01' is no amount; allowed: an "
        "amount of USD such as 25 or 2.50\n"
        "b.yaml:5:50: providers.openai.rotation.issuer.url: this is no URL for credentials: a "
        "credential would be sent without TLS; allowed: https://host, https://host/path\n"
        "b.yaml:5:68: providers.openai.rotation.issuer.life: '3651d' is out of range; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 0s to 3650d\n"
        "b.yaml:5:84: providers.openai.rotation.issuer.timeout: '0s' is out of range; allowed: a "
        "duration such as 250ms, 30s, 5m, 2h or 30d, from 1ms to 1h\n");
    fake_expect(*state,
                BEFORE "      issuer:\n"
                       "        kind: http\n"
                       "        create: {body: {}, method: GET}\n"
                       "        revoke: {method: HEAD}\n"
                       "        list: {method: POST, paging: {more: /m}}\n",
                "b.yaml:7:17: providers.openai.rotation.issuer.create: the url is missing; "
                "allowed: url: https://host/path\n"
                "b.yaml:7:17: providers.openai.rotation.issuer.create: the key is missing; "
                "allowed: key: /key\n"
                "b.yaml:7:18: providers.openai.rotation.issuer.create: a GET has no body; allowed: "
                "to leave it out\n"
                "b.yaml:8:17: providers.openai.rotation.issuer.revoke: the url is missing; "
                "allowed: url: https://host/path\n"
                "b.yaml:8:26: providers.openai.rotation.issuer.revoke.method: 'HEAD' is not known; "
                "allowed: POST, PUT, PATCH, DELETE, GET\n"
                "b.yaml:9:15: providers.openai.rotation.issuer.list: the url is missing; allowed: "
                "url: https://host/path\n"
                "b.yaml:9:15: providers.openai.rotation.issuer.list: the name is missing; allowed: "
                "name: /name\n"
                "b.yaml:9:38: providers.openai.rotation.issuer.list.paging: the parameter is "
                "missing; allowed: parameter: after\n"
                "b.yaml:9:38: providers.openai.rotation.issuer.list.paging: nothing says which "
                "page is next; allowed: one of cursor and count: true\n");
}

static void what_a_kind_has_not(void **state)
{
    fake_expect(
        *state,
        BEFORE
        "      issuer: {kind: openai, create: {url: \"http://h\", key: /k}, argv: [/x], limit: 3,\n"
        "               revoke: true, env: {}, find: true, provisioning_key: k, list: {url: "
        "\"http://h\", name: /n}}\n",
        "b.yaml:5:15: providers.openai.rotation.issuer: the project is missing; allowed: project: "
        "its id\n"
        "b.yaml:5:15: providers.openai.rotation.issuer: the admin_key is missing; allowed: "
        "admin_key: ${env:NAME}\n"
        "b.yaml:5:30: providers.openai.rotation.issuer: kind openai has no create; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:5:66: providers.openai.rotation.issuer: kind openai has no argv; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:5:78: providers.openai.rotation.issuer: kind openai has no limit; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:6:16: providers.openai.rotation.issuer: kind openai has no revoke; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:6:30: providers.openai.rotation.issuer: kind openai has no env; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:6:39: providers.openai.rotation.issuer: kind openai has no find; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n"
        "b.yaml:6:51: providers.openai.rotation.issuer: kind openai has no provisioning_key; "
        "allowed: kind, timeout, life, url, project, admin_key, usage\n"
        "b.yaml:6:72: providers.openai.rotation.issuer: kind openai has no list; allowed: kind, "
        "timeout, life, url, project, admin_key, usage\n");
    fake_expect(
        *state,
        BEFORE "      issuer: {kind: openai, project: p, admin_key: sk-admin-1, usage: {per: "
               "day, lag: 25h}}\n",
        "b.yaml:5:78: providers.openai.rotation.issuer.usage.per: 'day' is not known; allowed: "
        "hour, minute, never\n"
        "b.yaml:5:88: providers.openai.rotation.issuer.usage.lag: '25h' is out of range; "
        "allowed: a duration such as 250ms, 30s, 5m, 2h or 30d, from 0s to 24h\n");
    fake_expect(*state, BEFORE "      issuer: {kind: http, revoke: true}\n",
                "b.yaml:5:15: providers.openai.rotation.issuer: the create is missing; allowed: "
                "create: {url: \"https://host/keys\", key: /key}\n"
                "b.yaml:5:36: providers.openai.rotation.issuer: a single value stands where a map "
                "should; allowed: the request, with its url\n");
    fake_expect(*state,
                BEFORE "      issuer: {kind: command, revoke: {url: \"http://h\"}, url: "
                       "\"https://h\", find: maybe}\n",
                "b.yaml:5:15: providers.openai.rotation.issuer: the argv is missing; allowed: "
                "argv: [/path/of/the/program]\n"
                "b.yaml:5:39: providers.openai.rotation.issuer: a map stands where a single value "
                "should; allowed: true or false\n"
                "b.yaml:5:58: providers.openai.rotation.issuer: kind command has no url; allowed: "
                "kind, timeout, life, revoke, argv, env, find\n"
                "b.yaml:5:82: providers.openai.rotation.issuer.find: 'maybe' is neither true nor "
                "false; allowed: true or false\n");
}

static void how_a_list_goes_on(void **state)
{
    fake_expect(*state,
                BEFORE "      issuer:\n"
                       "        kind: http\n"
                       "        create: {url: \"https://h\", key: /k}\n"
                       "        revoke: {url: \"https://h/{id}\"}\n"
                       "        list: {url: \"https://h\", name: /n, paging: {parameter: p}}\n",
                "b.yaml:9:52: providers.openai.rotation.issuer.list.paging: nothing says which "
                "page is next; allowed: one of cursor and count: true\n");
    fake_expect(*state,
                BEFORE "      issuer:\n"
                       "        kind: http\n"
                       "        create: {url: \"https://h\", key: /k}\n"
                       "        list: {url: \"https://h\", name: /n, paging: {parameter: p, count: "
                       "true, cursor: /c}}\n",
                "b.yaml:8:80: providers.openai.rotation.issuer.list.paging: cursor stands beside "
                "count; allowed: one of cursor and count: true\n");
    fake_expect(*state,
                BEFORE "      issuer:\n"
                       "        kind: http\n"
                       "        create: {url: \"https://h\", key: /k}\n"
                       "        list: {url: \"https://h\", name: /n, paging: {parameter: p, count: "
                       "true, more: /c}}\n",
                "b.yaml:8:80: providers.openai.rotation.issuer.list.paging: more stands beside "
                "count; allowed: one of cursor and count: true\n");
}

static void revoke_needs_the_id(void **state)
{
    fake_expect(*state,
                BEFORE "      issuer:\n"
                       "        kind: http\n"
                       "        create: {url: \"https://h\", key: /k}\n"
                       "        revoke: {url: \"https://h/{id}\"}\n"
                       "        list: {url: \"https://h\", name: /n}\n",
                "b.yaml:7:9: providers.openai.rotation.issuer: create does not say where the id "
                "stands that revoke needs; allowed: id: /id in create\n"
                "b.yaml:9:9: providers.openai.rotation.issuer: list does not say where the id "
                "stands that revoke needs; allowed: id: /id in list\n");
}

static void urls_and_pointers(void **state)
{
    fake_expect(
        *state,
        BEFORE "      issuer:\n"
               "        kind: http\n"
               "        create: {url: \"ftp://h\", key: k}\n"
               "        revoke: {url: \"http://unix:/run/x\"}\n"
               "        list: {url: \"https://h/?a b\", name: /n~2}\n",
        "b.yaml:7:23: providers.openai.rotation.issuer.create.url: this is no URL of a request: it "
        "starts with neither http:// nor https://; allowed: http or https, as in "
        "https://host/path/{id}\n"
        "b.yaml:7:39: providers.openai.rotation.issuer.create.key: 'k' is no JSON pointer; "
        "allowed: a JSON pointer such as /data/key, or \"\" for the whole answer\n"
        "b.yaml:8:23: providers.openai.rotation.issuer.revoke.url: this is no URL of a request: it "
        "names a socket; allowed: http or https, as in https://host/path/{id}\n"
        "b.yaml:9:21: providers.openai.rotation.issuer.list.url: this is no URL of a request: its "
        "query holds a space, a '#' or a byte outside of ASCII; allowed: http or https, as in "
        "https://host/path/{id}\n"
        "b.yaml:9:45: providers.openai.rotation.issuer.list.name: '/n~2' is no JSON pointer; "
        "allowed: a JSON pointer such as /data/key, or \"\" for the whole answer\n");
    fake_expect(*state,
                BEFORE
                "      issuer:\n"
                "        kind: http\n"
                "        create: {url: \"https://u:p@h/\", key: /k, headers: {Host: x, A: \"\"}}\n"
                "        revoke: {url: \"${env:NOPE}\", headers: [a]}\n",
                "b.yaml:7:23: providers.openai.rotation.issuer.create.url: this is no URL of a "
                "request: it holds a user or password, which belong into keys or headers; allowed: "
                "http or https, as in https://host/path/{id}\n"
                "b.yaml:7:60: providers.openai.rotation.issuer.create.headers.Host: a header field "
                "that cannot be set; allowed: letters, digits and '-', and none that frames the "
                "message or belongs to the connection\n"
                "b.yaml:7:72: providers.openai.rotation.issuer.create.headers.A: the value is "
                "empty; allowed: a secret of at least one character\n"
                "b.yaml:8:23: providers.openai.rotation.issuer.revoke.url: ${env:NOPE} is not set; "
                "allowed: a variable of the environment that is\n"
                "b.yaml:8:47: providers.openai.rotation.issuer.revoke.headers: a list stands where "
                "a map should; allowed: a map of at most 32 header fields and their values\n");
}

static void bodies(void **state)
{
    fake_expect(
        *state,
        BEFORE "      issuer:\n"
               "        kind: http\n"
               "        create:\n"
               "          url: https://h\n"
               "          key: /k\n"
               "          body:\n"
               "            bare: {name}\n"
               "            gone: ${env:NOPE}\n"
               "            list: [\"${vault:a#b}\", \"${env:BYTES}\"]\n"
               "        revoke: {url: \"https://h\", body: [a]}\n"
               "        list: {url: \"https://h\", name: /n, body: {a: 1}}\n",
        "b.yaml:11:19: providers.openai.rotation.issuer.create.body.bare: a placeholder without "
        "quotes is a map; allowed: \"{name}\"\n"
        "b.yaml:12:19: providers.openai.rotation.issuer.create.body.gone: ${env:NOPE} is not set; "
        "allowed: a variable of the environment that is\n"
        "b.yaml:13:20: providers.openai.rotation.issuer.create.body.list[0]: ${vault:a#b} names "
        "no secret; allowed: a path and a member, as in ${vault:secret/data/llm/openai#api_key}, "
        "${aws:llm/openai#api_key}\n"
        "b.yaml:13:36: providers.openai.rotation.issuer.create.body.list[1]: the value is no "
        "UTF-8, as JSON must be; allowed: text in UTF-8\n"
        "b.yaml:14:42: providers.openai.rotation.issuer.revoke.body: a list stands where a map "
        "should; allowed: a map that is sent as JSON, placeholders in quotes: \"{name}\"\n"
        "b.yaml:15:44: providers.openai.rotation.issuer.list: a GET has no body; allowed: to leave "
        "it out\n");
    fake_expect(
        *state,
        BEFORE
        "      issuer:\n"
        "        kind: http\n"
        "        create: {url: \"https://h\", key: /k, body: "
        "{xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: 1}}\n",
        "b.yaml:7:52: providers.openai.rotation.issuer.create.body.?: the name is too long; "
        "allowed: at most 256 bytes\n");
    fake_expect(*state,
                BEFORE
                "      issuer:\n"
                "        kind: http\n"
                "        create: {url: \"https://h/\", key: /k, body: {a: \"${env:LONG}\"}}\n",
                "b.yaml:7:52: providers.openai.rotation.issuer.create.body: the body is too large; "
                "allowed: at most 16 KiB of JSON\n");
}

static void programs(void **state)
{
    fake_expect(
        *state,
        BEFORE
        "      issuer:\n"
        "        kind: command\n"
        "        argv: [bin/issue, \"a\\nb\", {}]\n"
        "        env: {1A: x, \"A=B\": x, NUL: \"a\\0b\", GONE: \"${env:NOPE}\", LIST: []}\n",
        "b.yaml:7:16: providers.openai.rotation.issuer.argv[0]: the program is not named by its "
        "whole path; allowed: a path that starts with '/'\n"
        "b.yaml:7:27: providers.openai.rotation.issuer.argv[1]: the argument is too long or holds "
        "a control character; allowed: one line of fewer than 4096 bytes\n"
        "b.yaml:7:35: providers.openai.rotation.issuer.argv[2]: a map stands where a single value "
        "should; allowed: a list of a program, by its whole path, and its arguments, at most 64\n"
        "b.yaml:8:15: providers.openai.rotation.issuer.env.1A: this is no variable; allowed: "
        "letters, digits and '_'\n"
        "b.yaml:8:22: providers.openai.rotation.issuer.env.A=B: this is no variable; allowed: "
        "letters, digits and '_'\n"
        "b.yaml:8:37: providers.openai.rotation.issuer.env.NUL: the value is too long or holds a "
        "NUL; allowed: at most 16384 bytes of text\n"
        "b.yaml:8:51: providers.openai.rotation.issuer.env.GONE: ${env:NOPE} is not set; allowed: "
        "a variable of the environment that is\n"
        "b.yaml:8:72: providers.openai.rotation.issuer.env.LIST: a list stands where a single "
        "value should; allowed: a map of at most 64 variables and their values\n");
    fake_expect(*state, BEFORE "      issuer: {kind: command, argv: [], env: x}\n",
                "b.yaml:5:37: providers.openai.rotation.issuer.argv: a list names no program; "
                "allowed: a list of a program, by its whole path, and its arguments, at most 64\n"
                "b.yaml:5:46: providers.openai.rotation.issuer.env: the value stands where a map "
                "should; allowed: a map of at most 64 variables and their values\n");
    fake_expect(
        *state, BEFORE "      issuer: {kind: command, argv: /bin/x -y, env: x}\n",
        "b.yaml:5:37: providers.openai.rotation.issuer.argv: the value stands where a list should; "
        "allowed: a list of a program, by its whole path, and its arguments, at most 64\n"
        "b.yaml:5:53: providers.openai.rotation.issuer.env: the value stands where a map should; "
        "allowed: a map of at most 64 variables and their values\n");
}

static void what_is_too_large(void **state)
{
    fake_expect(
        *state,
        BEFORE
        "      issuer:\n"
        "        kind: http\n"
        "        create: {url: \"https://h/${env:LONG}\", key: /k, body: {a: \"${env:LONG}\"}}\n"
        "        argv: [\"/${env:LONG}\"]\n"
        "        env: {A: \"x${env:LONG}\"}\n",
        "b.yaml:7:23: providers.openai.rotation.issuer.create.url: this is no URL of a request: it "
        "is longer than 4096 bytes; allowed: http or https, as in https://host/path/{id}\n"
        "b.yaml:7:63: providers.openai.rotation.issuer.create.body: the body is too large; "
        "allowed: at most 16 KiB of JSON\n"
        "b.yaml:8:9: providers.openai.rotation.issuer: kind http has no argv; allowed: kind, "
        "timeout, life, create, revoke, list\n"
        "b.yaml:8:16: providers.openai.rotation.issuer.argv[0]: the argument is too long or holds "
        "a control character; allowed: one line of fewer than 4096 bytes\n"
        "b.yaml:9:9: providers.openai.rotation.issuer: kind http has no env; allowed: kind, "
        "timeout, life, create, revoke, list\n"
        "b.yaml:9:18: providers.openai.rotation.issuer.env.A: the value is too long or holds a "
        "NUL; allowed: at most 16384 bytes of text\n");
}

static int set_up(void **state)
{
    memset(long_text, 'x', sizeof(long_text) - 1);
    return fake_set_up(state, variables, files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_out_of_bounds),
        cmocka_unit_test(what_is_not_built),
        cmocka_unit_test(schedules),
        cmocka_unit_test(names_of_other_tools),
        cmocka_unit_test(names_of_new_keys),
        cmocka_unit_test(an_issuer_is_needed),
        cmocka_unit_test(a_key_to_replace_is_needed),
        cmocka_unit_test(what_a_kind_needs),
        cmocka_unit_test(what_a_kind_has_not),
        cmocka_unit_test(how_a_list_goes_on),
        cmocka_unit_test(revoke_needs_the_id),
        cmocka_unit_test(urls_and_pointers),
        cmocka_unit_test(bodies),
        cmocka_unit_test(programs),
        cmocka_unit_test(what_is_too_large),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
