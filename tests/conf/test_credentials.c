/* Credentials that are exchanged for tokens, as the file declares them. */
#include "fake.h"

#include <stdio.h>

#include "../secrets/rsa.h"

static char key_file[16384]; /* of a service account */

static const struct fake_pair variables[] = {{"SECRET", "s3cr3t"}, {NULL, NULL}};
static const struct fake_pair files[] = {{"/run/token", "ey.J.x"},
                                         {"/run/sa.json", key_file},
                                         {"/run/bad.json", "{\"type\": \"authorized_user\"}"},
                                         {NULL, NULL}};

/* A key file as Google writes it: several lines, and the key's own as "\n". */
static void write_key_file(void)
{
    struct rsa rsa;
    size_t at;

    rsa_make(&rsa);
    at = (size_t)snprintf(key_file, sizeof(key_file),
                          "{\n  \"type\": \"service_account\",\n  \"project_id\": \"p\",\n"
                          "  \"private_key_id\": \"k1\",\n  \"private_key\": \"");
    for (const char *c = rsa.pem; *c; c++) {
        if (*c == '\n')
            key_file[at++] = '\\';
        key_file[at++] = (char)(*c == '\n' ? 'n' : *c);
    }
    snprintf(key_file + at, sizeof(key_file) - at,
             "\",\n  \"client_email\": \"gw@p.iam.gserviceaccount.com\",\n"
             "  \"token_uri\": \"https://oauth2.googleapis.com/token\"\n}\n");
    rsa_drop(&rsa);
}

static int set_up(void **state)
{
    write_key_file();
    return fake_set_up(state, variables, files);
}

static const struct conf_key *key_of(const struct config *config, size_t at)
{
    return &config->providers.items[0].keys.items[at];
}

static void azure(void **state)
{
    const struct config *config =
        fake_must_load(*state, "providers:\n"
                               "  openai:\n"
                               "    keys:\n"
                               "      - azure_entra: {tenant: 11-22, client_id: 33-44,\n"
                               "                      client_secret: \"${env:SECRET}\"}\n"
                               "      - name: pod\n"
                               "        azure_entra:\n"
                               "          tenant: contoso.example\n"
                               "          client_id: 33-44\n"
                               "          token_file: /run/token\n"
                               "          scope: https://ai.azure.com/.default\n"
                               "          authority: https://login.microsoftonline.us/\n");
    const struct credential *one = key_of(config, 0)->credential,
                            *other = key_of(config, 1)->credential;

    assert_span(key_of(config, 0)->name, "openai-1");
    assert_null(key_of(config, 0)->secret);
    assert_int_equal(one->kind, CREDENTIAL_AZURE_ENTRA);
    assert_span(one->tenant, "11-22");
    assert_span(one->client_id, "33-44");
    assert_true(secret_is_equal(one->secret, SPAN("s3cr3t")));
    assert_span(one->scope, "https://cognitiveservices.azure.com/.default");
    assert_span(one->url, "https://login.microsoftonline.com");
    assert_null(other->secret);
    assert_string_equal(other->token_file.ptr, "/run/token");
    assert_span(other->url, "https://login.microsoftonline.us");
}

static void google(void **state)
{
    const struct config *config = fake_must_load(
        *state, "providers:\n"
                "  openai:\n"
                "    keys:\n"
                "      - google_service_account: ${file:/run/sa.json}\n"
                "      - google_service_account: {key: \"${file:/run/sa.json}\", scope: a b}\n");
    const struct credential *one = key_of(config, 0)->credential,
                            *other = key_of(config, 1)->credential;

    assert_int_equal(one->kind, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT);
    assert_span(one->client_id, "gw@p.iam.gserviceaccount.com");
    assert_span(one->key_id, "k1");
    assert_span(one->url, "https://oauth2.googleapis.com/token");
    assert_span(one->scope, "https://www.googleapis.com/auth/cloud-platform "
                            "https://www.googleapis.com/auth/generative-language");
    assert_true(span_has_prefix(secret_reveal(one->secret), SPAN("-----BEGIN ")));
    assert_span(other->scope, "a b");
}

static void anthropic(void **state)
{
    const struct config *config = fake_must_load(
        *state, "providers:\n"
                "  openai:\n"
                "    keys:\n"
                "      - anthropic_federation: {token_file: /run/token, rule: fdrl_1,\n"
                "          organization: org-1, service_account: svac_1, workspace: wrkspc_1,\n"
                "          url: \"http://127.0.0.1:8080/x/\"}\n");
    const struct credential *one = key_of(config, 0)->credential;

    assert_int_equal(one->kind, CREDENTIAL_ANTHROPIC_FEDERATION);
    assert_span(one->rule, "fdrl_1");
    assert_span(one->organization, "org-1");
    assert_span(one->service_account, "svac_1");
    assert_span(one->workspace, "wrkspc_1");
    assert_span(one->url, "http://127.0.0.1:8080/x");
}

/* What is the same stays the same across a reload, and nothing else does. */
static void identity(void **state)
{
    static const char *const files_of_key[] = {
        "providers: {openai: {keys: [{azure_entra: {tenant: t, client_id: c, client_secret: x}}]}}",
        "providers: {openai: {keys: [{name: n, weight: 5, azure_entra: {client_secret: x, "
        "client_id: c, tenant: t}}]}}",
        "providers: {openai: {keys: [{azure_entra: {tenant: t, client_id: c, client_secret: y}}]}}",
        "providers: {deepseek: {keys: [{azure_entra: {tenant: t, client_id: c, client_secret: "
        "x}}]}}",
    };
    uint8_t seen[4][CONF_IDENTITY_BYTES];

    for (size_t i = 0; i < 4; i++)
        memcpy(seen[i], key_of(fake_must_load(*state, files_of_key[i]), 0)->identity,
               sizeof(seen[i]));
    assert_memory_equal(seen[0], seen[1], sizeof(seen[0]));
    assert_memory_not_equal(seen[0], seen[2], sizeof(seen[0]));
    assert_memory_not_equal(seen[0], seen[3], sizeof(seen[0]));
}

static void printed_without_secrets(void **state)
{
    struct fake *fake = *state;

    fake_must_load(fake, "providers:\n"
                         "  openai:\n"
                         "    keys:\n"
                         "      - azure_entra: {tenant: t, client_id: c, client_secret: s3cr3t}\n"
                         "      - google_service_account: ${file:/run/sa.json}\n"
                         "      - secret: sk-plain\n");
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    assert_non_null(strstr(buf_text(&fake->text),
                           "      - name: openai-1\n"
                           "        azure_entra:\n"
                           "          tenant: t\n"
                           "          client_id: c\n"
                           "          client_secret: \"***\"\n"
                           "          scope: https://cognitiveservices.azure.com/.default\n"
                           "          authority: https://login.microsoftonline.com\n"));
    assert_non_null(strstr(buf_text(&fake->text), "        google_service_account:\n"
                                                  "          key: \"***\"\n"));
    assert_null(strstr(buf_text(&fake->text), "s3cr3t"));
    assert_null(strstr(buf_text(&fake->text), "BEGIN"));
    /* The others are not mentioned. */
    assert_null(strstr(buf_text(&fake->text), "anthropic_federation"));
}

static void exactly_one_of_them(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  openai:\n"
        "    keys:\n"
        "      - {name: none}\n"
        "      - {secret: sk-x, anthropic_federation: {token_file: /run/token, rule: r,\n"
        "         organization: o}}\n"
        "      - {azure_entra: {tenant: t, client_id: c, client_secret: x}}\n"
        "      - {azure_entra: {tenant: t, client_id: c, client_secret: x}}\n",
        "b.yaml:4:9: providers.openai.keys[0]: the secret is missing; allowed: secret: "
        "${env:NAME}, or one of azure_entra, google_service_account, anthropic_federation\n"
        "b.yaml:5:24: providers.openai.keys[1]: 'anthropic_federation' stands beside 'secret'; "
        "allowed: one of secret, azure_entra, google_service_account, anthropic_federation\n"
        "b.yaml:8:9: providers.openai: key 'openai-3' has the credential of key 'openai-2'; "
        "allowed: each credential once\n");
}

static void what_they_need(void **state)
{
    fake_expect(*state,
                "providers:\n"
                "  openai:\n"
                "    keys:\n"
                "      - azure_entra:\n"
                "      - azure_entra: {tenant: t, client_id: c, client_secret: s3cr3t,\n"
                "                      token_file: /run/token}\n"
                "      - google_service_account: {scope: a}\n"
                "      - anthropic_federation: {rule: r}\n"
                "      - azure_entra: s3cr3t\n",
                "b.yaml:4:9: providers.openai.keys[0].azure_entra: the tenant is missing; allowed: "
                "tenant: the directory's id\n"
                "b.yaml:4:9: providers.openai.keys[0].azure_entra: the client_id is missing; "
                "allowed: client_id: the application's id\n"
                "b.yaml:4:9: providers.openai.keys[0].azure_entra: nothing proves who the client "
                "is; allowed: one of client_secret and token_file\n"
                "b.yaml:5:22: providers.openai.keys[1].azure_entra: client_secret stands beside "
                "token_file; allowed: one of client_secret and token_file\n"
                "b.yaml:7:33: providers.openai.keys[2].google_service_account: the key is missing; "
                "allowed: key: ${file:/path}\n"
                "b.yaml:8:31: providers.openai.keys[3].anthropic_federation: the token_file is "
                "missing; allowed: token_file: the path of an OIDC token\n"
                "b.yaml:8:31: providers.openai.keys[3].anthropic_federation: the organization is "
                "missing; allowed: organization: the organization's id\n"
                "b.yaml:9:22: providers.openai.keys[4].azure_entra: a single value stands where a "
                "map should; allowed: a map of tenant, client_id, client_secret, token_file, "
                "scope, authority\n");
}

static void what_they_refuse(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  openai:\n"
        "    headers: {authorization: x}\n"
        "    keys:\n"
        "      - azure_entra: {tenant: t/u, client_id: c, client_secret: x,\n"
        "                      authority: \"http://login.example.com\"}\n"
        "      - azure_entra: {tenant: t, client_id: c, client_secret: x,\n"
        "                      authority: \"http://127.evil.example\", scope: \"\"}\n"
        "      - azure_entra: {tenant: t, client_id: c, token_file: /run/none,\n"
        "                      tenant_id: t}\n"
        "      - google_service_account: ${file:/run/bad.json}\n"
        "      - google_service_account: s3cr3t\n",
        "b.yaml:3:15: providers.openai.headers: this field carries the key; allowed: to put the "
        "key into keys\n"
        "b.yaml:5:31: providers.openai.keys[0].azure_entra.tenant: 't/u' is no name; allowed: 1 to "
        "64 letters, digits or any of . _ : @ -\n"
        "b.yaml:6:34: providers.openai.keys[0].azure_entra.authority: this is no URL for "
        "credentials: a credential would be sent without TLS; allowed: https://host, "
        "https://host/path\n"
        "b.yaml:8:34: providers.openai.keys[1].azure_entra.authority: this is no URL for "
        "credentials: a credential would be sent without TLS; allowed: https://host, "
        "https://host/path\n"
        "b.yaml:8:68: providers.openai.keys[1].azure_entra.scope: '' is no scope; allowed: scopes "
        "with spaces between them\n"
        "b.yaml:9:60: providers.openai.keys[2].azure_entra.token_file: there is no such file; "
        "allowed: a file that can be read\n"
        "b.yaml:10:23: providers.openai.keys[2].azure_entra: unknown key 'tenant_id'; here it is "
        "providers.NAME.keys[].azure_entra.tenant\n"
        "b.yaml:11:33: providers.openai.keys[3].google_service_account: the value has not the type "
        "service_account; allowed: the JSON of a service account's key file, best as "
        "${file:/path}\n"
        "b.yaml:12:33: providers.openai.keys[4].google_service_account: the value is no JSON "
        "object; allowed: the JSON of a service account's key file, best as ${file:/path}\n");
}

/* The same credential makes keys: the issuer gcp. */
static void an_issuer_of_google(void **state)
{
    static const char yaml[] = "providers:\n"
                               "  gemini:\n"
                               "    keys: [AIza-x]\n"
                               "    rotation:\n"
                               "      issuer:\n"
                               "        kind: gcp\n"
                               "        project: p-1\n"
                               "        google_service_account: ${file:/run/sa.json}\n"
                               "        restrictions: {apiTargets: [{service: g.example}]}\n";
    struct fake *fake = *state;
    const struct conf_issuer *issuer =
        fake_must_load(fake, yaml)->providers.items[0].rotation->issuer;

    assert_int_equal(issuer->kind, CONF_ISSUER_GCP);
    assert_span(issuer->project, "p-1");
    assert_int_equal(issuer->account->kind, CREDENTIAL_GOOGLE_SERVICE_ACCOUNT);
    assert_span(issuer->account->client_id, "gw@p.iam.gserviceaccount.com");
    assert_true(secret_is_equal(issuer->restrictions.json,
                                SPAN("{\"apiTargets\":[{\"service\":\"g.example\"}]}")));
    assert_int_equal(issuer->url.len, 0);
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    assert_non_null(strstr(buf_text(&fake->text), "kind: gcp\n"));
    assert_null(strstr(buf_text(&fake->text), "PRIVATE KEY"));
    assert_int_equal(fake_load(fake, "providers: {gemini: {keys: [AIza-x], rotation: {issuer: "
                                     "{kind: gcp, project: p, argv: [/x]}}}}\n"),
                     ERR_SYNTAX);
    assert_string_equal(
        fake_complaints(fake),
        "b.yaml:1:57: providers.gemini.rotation.issuer: the google_service_account is missing; "
        "allowed: google_service_account: ${file:/path}\n"
        "b.yaml:1:81: providers.gemini.rotation.issuer: kind gcp has no argv; allowed: kind, "
        "timeout, life, url, project, google_service_account, restrictions\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(azure),
        cmocka_unit_test(google),
        cmocka_unit_test(anthropic),
        cmocka_unit_test(identity),
        cmocka_unit_test(printed_without_secrets),
        cmocka_unit_test(exactly_one_of_them),
        cmocka_unit_test(what_they_need),
        cmocka_unit_test(what_they_refuse),
        cmocka_unit_test(an_issuer_of_google),
    };

    return cmocka_run_group_tests(tests, set_up, fake_tear_down);
}
