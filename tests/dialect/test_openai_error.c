/* Errors and lists in OpenAI's own shape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/openai_error.h"

static void test_naming_stream_options(void **state)
{
    struct dialect_error error;

    openai_error_read(SPAN("{\"error\":{\"message\":\"Unrecognized request argument supplied: "
                           "stream_options\"}}"),
                      &error);
    assert_true(openai_error_names_stream_options(&error));
    openai_error_read(SPAN("{\"detail\":[{\"type\":\"extra_forbidden\",\"loc\":[\"body\","
                           "\"stream_options\"],\"msg\":\"Extra inputs are not permitted\"}]}"),
                      &error);
    assert_true(openai_error_names_stream_options(&error));
    openai_error_read(SPAN("{\"error\":{\"message\":\"temperature is too high\"}}"), &error);
    assert_false(openai_error_names_stream_options(&error));
}

static void assert_written(struct buf *buf, const char *expected)
{
    assert_int_equal(buf->err, 0);
    assert_string_equal(buf_text(buf), expected);
    buf_clear(buf);
}

static void test_our_own_errors(void **state)
{
    const struct failure_row *row = failure_row(FAILURE_FIELD_TYPE);
    struct buf buf;

    buf_init(&buf, 1024);
    assert_int_equal(openai_write_error(&buf, row, SPAN("no \"x\""), SPAN("stream")), 0);
    assert_written(&buf,
                   "{\"error\":{\"message\":\"no \\\"x\\\"\",\"type\":\"invalid_request_error\","
                   "\"param\":\"stream\",\"code\":\"invalid_type\"}}");
    row = failure_row(FAILURE_TIMEOUT);
    assert_int_equal(openai_write_error(&buf, row, span_of(NULL, 0), span_of(NULL, 0)), 0);
    assert_written(&buf, "{\"error\":{\"message\":\"The provider did not answer in time.\","
                         "\"type\":\"server_error\",\"param\":null,\"code\":\"timeout\"}}");
    buf_fini(&buf);
    buf_init(&buf, 20);
    assert_int_equal(openai_write_error(&buf, row, SPAN("x"), SPAN("y")), ERR_FULL);
    buf_fini(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_naming_stream_options),
        cmocka_unit_test(test_our_own_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
