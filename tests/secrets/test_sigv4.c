/* AWS's signature: its published test suite's requests ("get-vanilla" and others), and one of ours
 * whose signature their own SDK gives too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "secrets/sigv4.h"

#define EXAMPLE_KEY SPAN("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")

static void signature_is(const struct sigv4_request *request, const struct sigv4_scope *scope,
                         const char *expected)
{
    struct buf out;

    buf_init(&out, 4096);
    out.is_secret = true;
    assert_int_equal(sigv4_authorization(&out, request, scope), 0);
    assert_string_equal(buf_text(&out), expected);
    buf_fini(&out);
}

static void the_published_suite(void **state)
{
    static const struct sigv4_header plain[] = {
        {SPAN_INIT("host"), SPAN_INIT("example.amazonaws.com")},
        {SPAN_INIT("x-amz-date"), SPAN_INIT("20150830T123600Z")}};
    static const struct sigv4_header spaced[] = {
        {SPAN_INIT("host"), SPAN_INIT("example.amazonaws.com")},
        {SPAN_INIT("my-header1"), SPAN_INIT(" value1")},
        {SPAN_INIT("my-header2"), SPAN_INIT(" \"a   b   c\"")},
        {SPAN_INIT("x-amz-date"), SPAN_INIT("20150830T123600Z")}};
    static const struct sigv4_header form[] = {
        {SPAN_INIT("content-type"), SPAN_INIT("application/x-www-form-urlencoded")},
        {SPAN_INIT("host"), SPAN_INIT("example.amazonaws.com")},
        {SPAN_INIT("x-amz-date"), SPAN_INIT("20150830T123600Z")}};
    static const struct {
        struct sigv4_request request;
        const char *names, *signature;
    } vectors[] = {
        {{SPAN_INIT("GET"), SPAN_INIT("/"), SPAN_INIT(""), plain, 2, SPAN_INIT("")},
         "host;x-amz-date",
         "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
        {{SPAN_INIT("POST"), SPAN_INIT("/"), SPAN_INIT(""), plain, 2, SPAN_INIT("")},
         "host;x-amz-date",
         "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
        {{SPAN_INIT("GET"), SPAN_INIT("/"), SPAN_INIT("Param1=value1&Param2=value2"), plain, 2,
          SPAN_INIT("")},
         "host;x-amz-date",
         "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
        {{SPAN_INIT("GET"), SPAN_INIT("/"), SPAN_INIT(""), spaced, 4, SPAN_INIT("")},
         "host;my-header1;my-header2;x-amz-date",
         "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
        {{SPAN_INIT("POST"), SPAN_INIT("/"), SPAN_INIT(""), form, 3, SPAN_INIT("Param1=value1")},
         "content-type;host;x-amz-date",
         "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"},
    };
    const struct sigv4_scope scope = {.key_id = SPAN("AKIDEXAMPLE"),
                                      .secret = EXAMPLE_KEY,
                                      .region = SPAN("us-east-1"),
                                      .service = SPAN("service"),
                                      .date = "20150830T123600Z"};

    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char expected[512];

        snprintf(expected, sizeof(expected),
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
                 "SignedHeaders=%s, Signature=%s",
                 vectors[i].names, vectors[i].signature);
        signature_is(&vectors[i].request, &scope, expected);
    }
}

static void one_for_secrets_manager(void **state)
{
    static const struct sigv4_header headers[] = {
        {SPAN_INIT("content-type"), SPAN_INIT("application/x-amz-json-1.1")},
        {SPAN_INIT("host"), SPAN_INIT("secretsmanager.eu-west-1.amazonaws.com")},
        {SPAN_INIT("x-amz-date"), SPAN_INIT("20261120T101500Z")},
        {SPAN_INIT("x-amz-target"), SPAN_INIT("secretsmanager.GetSecretValue")}};
    struct sigv4_request request = {
        SPAN("POST"), SPAN("/"), SPAN(""), headers, 4, SPAN("{\"SecretId\":\"prod/llm/openai\"}")};
    const struct sigv4_scope scope = {.key_id = SPAN("AKIDEXAMPLE"),
                                      .secret = EXAMPLE_KEY,
                                      .region = SPAN("eu-west-1"),
                                      .service = SPAN("secretsmanager"),
                                      .date = "20261120T101500Z"};

    (void)state;
    signature_is(&request, &scope,
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-west-1/secretsmanager/"
                 "aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-target, "
                 "Signature=b4f3c96e1743df906652e87a11baee72b169f7934e88308a68470a5176a1434b");
    request.headers++;
    request.header_count--;
    signature_is(&request, &scope,
                 "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-west-1/secretsmanager/"
                 "aws4_request, SignedHeaders=host;x-amz-date;x-amz-target, "
                 "Signature=bfd594f5d31ffa459f38290a164bba088f4316b36157727e588e26e6e5bc9326");
}

static void dates(void **state)
{
    char date[SIGV4_DATE_BYTES + 1];

    (void)state;
    sigv4_date(UINT64_C(1795169700) * 1000000 + 999999, date);
    assert_string_equal(date, "20261120T101500Z");
    sigv4_date(0, date);
    assert_string_equal(date, "19700101T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_suite),
        cmocka_unit_test(one_for_secrets_manager),
        cmocka_unit_test(dates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
