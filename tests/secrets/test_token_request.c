/* The exact bytes by which each kind of credential asks for a token. */
#include "rsa.h"
#include "vault.h"

#include "base/err.h"
#include "json/tree.h"
#include "secrets/token_request.h"

#define WALL_US UINT64_C(1795169700000000)

static bool has_field(const struct token_request *request, const char *line)
{
    for (size_t i = 0; request->fields[i]; i++) {
        if (!strcmp(request->fields[i], line))
            return true;
    }
    return false;
}

static struct credential azure(void)
{
    return (struct credential){
        .kind = CREDENTIAL_AZURE_ENTRA,
        .url = SPAN("https://login.microsoftonline.com"),
        .tenant = SPAN("contoso.example"),
        .client_id = SPAN("11-22"),
        .scope = SPAN("https://cognitiveservices.azure.com/.default"),
    };
}

static void azure_with_a_secret(void **state)
{
    struct credential credential = azure();
    struct token_request request;

    (void)state;
    credential.secret = vault_keep(vault, SPAN("a~b&c=d%+ \xc3\xa9"));
    assert_int_equal(token_request_write(&request, &credential, span_of(NULL, 0), WALL_US), 0);
    assert_string_equal(buf_text(&request.url),
                        "https://login.microsoftonline.com/contoso.example/oauth2/v2.0/token");
    assert_string_equal(buf_text(&request.body),
                        "grant_type=client_credentials&client_id=11-22&"
                        "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&"
                        "client_secret=a~b%26c%3Dd%25%2B%20%C3%A9");
    assert_true(has_field(&request, "Content-Type: application/x-www-form-urlencoded"));
    token_request_fini(&request);
    secret_unref(&credential.secret);
}

static void azure_with_a_federated_token(void **state)
{
    struct credential credential = azure();
    struct token_request request;

    (void)state;
    credential.token_file = SPAN("/run/token");
    assert_int_equal(token_request_write(&request, &credential, SPAN("ey.J.x"), WALL_US), 0);
    assert_string_equal(
        buf_text(&request.body),
        "grant_type=client_credentials&client_id=11-22&"
        "scope=https%3A%2F%2Fcognitiveservices.azure.com%2F.default&"
        "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"
        "client_assertion=ey.J.x");
    token_request_fini(&request);
}

static void anthropic(void **state)
{
    struct credential credential = {
        .kind = CREDENTIAL_ANTHROPIC_FEDERATION,
        .url = SPAN("https://api.anthropic.com"),
        .token_file = SPAN("/run/token"),
        .rule = SPAN("fdrl_1"),
        .organization = SPAN("org-1"),
    };
    struct token_request request;

    (void)state;
    assert_int_equal(token_request_write(&request, &credential, SPAN("ey.J.x"), WALL_US), 0);
    assert_string_equal(buf_text(&request.url), "https://api.anthropic.com/v1/oauth/token");
    assert_string_equal(buf_text(&request.body),
                        "{\"grant_type\":\"urn:ietf:params:oauth:grant-type:jwt-bearer\","
                        "\"assertion\":\"ey.J.x\",\"federation_rule_id\":\"fdrl_1\","
                        "\"organization_id\":\"org-1\"}");
    assert_true(has_field(&request, "Content-Type: application/json"));
    assert_true(has_field(&request, "anthropic-beta: oauth-2025-04-20,oidc-federation-2026-04-01"));
    token_request_fini(&request);
    credential.service_account = SPAN("svac_1");
    credential.workspace = SPAN("wrkspc_1");
    assert_int_equal(token_request_write(&request, &credential, SPAN("ey.J.x"), WALL_US), 0);
    assert_non_null(strstr(buf_text(&request.body), "\"service_account_id\":\"svac_1\","
                                                    "\"workspace_id\":\"wrkspc_1\"}"));
    token_request_fini(&request);
}

static void google(void **state)
{
    struct credential credential = {
        .kind = CREDENTIAL_GOOGLE_SERVICE_ACCOUNT,
        .url = SPAN("https://oauth2.googleapis.com/token"),
        .client_id = SPAN("gw@p.iam.gserviceaccount.com"),
        .key_id = SPAN("k1"),
        .scope = SPAN("scope-a scope-b"),
    };
    static const char before[] =
        "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=";
    struct token_request request;
    char header[512], claims[1024];
    struct rsa rsa;

    (void)state;
    rsa_make(&rsa);
    credential.secret = vault_keep(vault, span_from_text(rsa.pem));
    assert_int_equal(token_request_write(&request, &credential, span_of(NULL, 0), WALL_US), 0);
    assert_string_equal(buf_text(&request.url), "https://oauth2.googleapis.com/token");
    assert_true(span_has_prefix(buf_span(&request.body), SPAN(before)));
    rsa_verify(&rsa, span_skip(buf_span(&request.body), sizeof(before) - 1), header, claims,
               sizeof(header));
    assert_string_equal(header, "{\"alg\":\"RS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}");
    assert_string_equal(claims,
                        "{\"iss\":\"gw@p.iam.gserviceaccount.com\",\"scope\":\"scope-a scope-b\","
                        "\"aud\":\"https://oauth2.googleapis.com/token\",\"iat\":1795169690,"
                        "\"exp\":1795173290}");
    token_request_fini(&request);
    secret_unref(&credential.secret);
    rsa_drop(&rsa);
}

static void what_proves_nothing_is_not_sent(void **state)
{
    static char long_one[TOKEN_ASSERTION_MAX_BYTES + 1];
    static const char *const odd[] = {"", "two words", "line\nbreak", "\xff"};
    struct credential credential = azure();
    struct token_request request;

    (void)state;
    credential.token_file = SPAN("/run/token");
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        assert_int_equal(
            token_request_write(&request, &credential, span_from_text(odd[i]), WALL_US),
            ERR_SYNTAX);
        token_request_fini(&request);
    }
    memset(long_one, 'x', sizeof(long_one));
    assert_int_equal(
        token_request_write(&request, &credential, span_of(long_one, sizeof(long_one)), WALL_US),
        ERR_SYNTAX);
    token_request_fini(&request);
    assert_int_equal(token_request_write(&request, &credential,
                                         span_of(long_one, sizeof(long_one) - 1), WALL_US),
                     0);
    token_request_fini(&request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(azure_with_a_secret),
        cmocka_unit_test(azure_with_a_federated_token),
        cmocka_unit_test(anthropic),
        cmocka_unit_test(google),
        cmocka_unit_test(what_proves_nothing_is_not_sent),
    };

    return cmocka_run_group_tests(tests, vault_set_up, vault_tear_down);
}
