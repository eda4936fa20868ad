/* Signed tokens, and the key files of service accounts: OpenSSL verifies what we sign. */
#include "rsa.h"

#include <stdio.h>

#include "base/err.h"
#include "base/secret.h"
#include "secrets/jwt.h"
#include "secrets/service_account.h"

static struct rsa rsa;

static int set_up(void **state)
{
    (void)state;
    rsa_make(&rsa);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rsa_drop(&rsa);
    return 0;
}

static void base64url_of_rfc_4648(void **state)
{
    static const struct {
        const char *bytes, *text;
    } rows[] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbe", "_---"}};
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buf_clear(&out);
        assert_int_equal(jwt_base64url(&out, span_from_text(rows[i].bytes)), 0);
        assert_string_equal(buf_text(&out), rows[i].text);
    }
    buf_fini(&out);
}

static void what_is_signed_can_be_verified(void **state)
{
    char header[256], claims[256];
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(jwt_sign(&out, SPAN("{\"alg\":\"RS256\"}"), SPAN("{\"iss\":\"me\"}"),
                              span_from_text(rsa.pem)),
                     0);
    rsa_verify(&rsa, buf_span(&out), header, claims, sizeof(header));
    assert_string_equal(header, "{\"alg\":\"RS256\"}");
    assert_string_equal(claims, "{\"iss\":\"me\"}");
    buf_fini(&out);
}

static void other_keys_are_refused(void **state)
{
    EVP_PKEY *curve = EVP_EC_gen("P-256");
    char pem[4096];
    struct buf out;

    (void)state;
    assert_non_null(curve);
    rsa_write(curve, pem, sizeof(pem));
    EVP_PKEY_free(curve);
    buf_init(&out, 4096);
    assert_int_equal(jwt_check_key(span_from_text(rsa.pem)), 0);
    assert_int_equal(jwt_check_key(span_from_text(pem)), ERR_SYNTAX);
    assert_int_equal(jwt_check_key(span_of(NULL, 0)), ERR_SYNTAX);
    assert_int_equal(jwt_check_key(SPAN("-----BEGIN PRIVATE KEY-----\nAAAA\n")), ERR_SYNTAX);
    assert_int_equal(jwt_sign(&out, SPAN("{}"), SPAN("{}"), SPAN("no key")), ERR_SYNTAX);
    buf_fini(&out);
}

static void a_token_without_room_is_an_error(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 40);
    assert_int_equal(jwt_sign(&out, SPAN("{\"alg\":\"RS256\"}"), SPAN("{\"iss\":\"me\"}"),
                              span_from_text(rsa.pem)),
                     ERR_FULL);
    buf_fini(&out);
}

/* The key's PEM as a JSON string has it. */
static const char *escaped_key(void)
{
    static char text[8192];
    size_t at = 0;

    for (const char *c = rsa.pem; *c; c++) {
        if (*c == '\n')
            text[at++] = '\\';
        text[at++] = (char)(*c == '\n' ? 'n' : *c);
    }
    text[at] = '\0';
    return text;
}

static const char *key_file(const char *format)
{
    static char text[16384];

    snprintf(text, sizeof(text), format, escaped_key());
    return text;
}

static void a_key_file_is_read(void **state)
{
    struct service_account account;
    const char *why = NULL;

    (void)state;
    assert_int_equal(
        service_account_read(
            span_from_text(key_file(
                "{\"type\":\"service_account\",\"private_key_id\":\"k1\",\"private_key\":\"%s\","
                "\"client_email\":\"gw@p.iam.gserviceaccount.com\","
                "\"token_uri\":\"https://oauth2.example.com/token\"}")),
            &account, &why),
        0);
    assert_true(span_is_equal(account.email, SPAN("gw@p.iam.gserviceaccount.com")));
    assert_true(span_is_equal(account.private_key, span_from_text(rsa.pem)));
    assert_true(span_is_equal(account.key_id, SPAN("k1")));
    assert_true(span_is_equal(account.token_uri, SPAN("https://oauth2.example.com/token")));
    service_account_fini(&account);
}

static void googles_own_server_is_the_default(void **state)
{
    struct service_account account;
    const char *why = NULL;

    (void)state;
    assert_int_equal(service_account_read(
                         span_from_text(key_file("{\"type\":\"service_account\",\"private_key\":"
                                                 "\"%s\",\"client_email\":\"a@b\"}")),
                         &account, &why),
                     0);
    assert_true(span_is_equal(account.token_uri, SPAN("https://oauth2.googleapis.com/token")));
    assert_int_equal(account.key_id.len, 0);
    service_account_fini(&account);
}

static void what_is_wrong_is_told_without_showing_it(void **state)
{
    static const struct {
        const char *file, *why;
    } rows[] = {
        {"", "is no JSON object"},
        {"[]", "is no JSON object"},
        {"{\"type\":", "is no JSON object"},
        {"{\"type\":\"authorized_user\"}", "has not the type service_account"},
        {"{\"type\":\"service_account\",\"private_key\":\"%s\"}", "has no client_email"},
        {"{\"type\":\"service_account\",\"client_email\":\"a b\"}", "has no client_email"},
        {"{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key_id\":\"\\n\"}",
         "has a private_key_id that is none"},
        {"{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key\":\"x%s\"}",
         "has no private_key in PEM, of RSA and without a passphrase"},
        {"{\"type\":\"service_account\",\"client_email\":\"a@b\",\"private_key\":7}",
         "has no private_key in PEM, of RSA and without a passphrase"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct service_account account;
        const char *why = NULL, *file = rows[i].file;
        int err = service_account_read(span_from_text(strstr(file, "%s") ? key_file(file) : file),
                                       &account, &why);

        assert_int_equal(err, ERR_SYNTAX);
        assert_string_equal(why, rows[i].why);
        service_account_fini(&account);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64url_of_rfc_4648),
        cmocka_unit_test(what_is_signed_can_be_verified),
        cmocka_unit_test(other_keys_are_refused),
        cmocka_unit_test(a_token_without_room_is_an_error),
        cmocka_unit_test(a_key_file_is_read),
        cmocka_unit_test(googles_own_server_is_the_default),
        cmocka_unit_test(what_is_wrong_is_told_without_showing_it),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
