/* obs/access: the line of an exchange, in both formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "obs/access.h"

static const char TIME[] = "2026-11-20T10:15:00.123Z";

static const struct access_record whole = {
    .has_usage = true,
    .request_id = {"r-1", 3},
    .client = {"web", 3},
    .class = {"standard", 8},
    .remote = {"10.0.0.1", 8},
    .method = {"POST", 4},
    .path = {"/v1/chat/completions", 20},
    .model = {"my \"model\"", 10},
    .provider = {"openai", 6},
    .target_model = {"gpt-4.1", 7},
    .key = {"openai-1", 8},
    .status = 504,
    .failure = {"timeout", 7},
    .cancelled_by = {"deadline", 8},
    .attempts = 3,
    .retries = 2,
    .upstream_status = 500,
    .upstream_request_id = {"req_9", 5},
    .is_stream = true,
    .bytes_in = 1024,
    .bytes_out = 700,
    .prompt_tokens = 200,
    .completion_tokens = 64,
    .cached_tokens = 128,
    .is_estimated = true,
    .duration_us = 123456,
    .ttfb_us = 120000,
    .waited_us = 5000,
    .overhead_us = 41,
};

static void expect(char *(*put)(char *, const struct access_record *, const char *),
                   const struct access_record *record, const char *wanted)
{
    char out[4096];
    size_t bound = access_line_bound(record);
    char *end;

    assert_in_range(bound, 1, sizeof(out) - 1);
    end = put(out, record, TIME);
    assert_in_range(end - out, 1, bound);
    *end = '\0';
    assert_string_equal(out, wanted);
}

static void writes_all_that_is_known(void **state)
{
    expect(access_put_json, &whole,
           "{\"time\":\"2026-11-20T10:15:00.123Z\",\"kind\":\"access\",\"request_id\":\"r-1\","
           "\"client\":\"web\",\"class\":\"standard\",\"remote\":\"10.0.0.1\",\"method\":\"POST\","
           "\"path\":\"/v1/chat/completions\",\"model\":\"my \\\"model\\\"\","
           "\"provider\":\"openai\",\"target_model\":\"gpt-4.1\",\"key\":\"openai-1\","
           "\"status\":504,\"failure\":\"timeout\","
           "\"cancelled_by\":\"deadline\",\"attempts\":3,\"retries\":2,\"upstream_status\":500,"
           "\"upstream_request_id\":\"req_9\",\"is_stream\":true,\"bytes_in\":1024,"
           "\"bytes_out\":700,\"prompt_tokens\":200,\"completion_tokens\":64,\"cached_tokens\":128,"
           "\"is_estimated\":true,\"duration_us\":123456,\"ttfb_us\":120000,\"waited_us\":5000,"
           "\"overhead_us\":41}\n");
    expect(access_put_text, &whole,
           "2026-11-20T10:15:00.123Z access request_id=r-1 client=web class=standard "
           "remote=10.0.0.1 method=POST path=/v1/chat/completions model=\"my \\\"model\\\"\" "
           "provider=openai target_model=gpt-4.1 key=openai-1 status=504 "
           "failure=timeout cancelled_by=deadline attempts=3 retries=2 upstream_status=500 "
           "upstream_request_id=req_9 is_stream=true bytes_in=1024 bytes_out=700 "
           "prompt_tokens=200 completion_tokens=64 cached_tokens=128 is_estimated=true "
           "duration_us=123456 ttfb_us=120000 waited_us=5000 overhead_us=41\n");
}

static void leaves_out_what_is_not(void **state)
{
    const struct access_record nothing = {0};

    expect(access_put_json, &nothing,
           "{\"time\":\"2026-11-20T10:15:00.123Z\",\"kind\":\"access\",\"attempts\":0,"
           "\"bytes_in\":0,\"bytes_out\":0,\"duration_us\":0}\n");
    expect(access_put_text, &nothing,
           "2026-11-20T10:15:00.123Z access attempts=0 bytes_in=0 bytes_out=0 duration_us=0\n");
}

/* Texts that clients choose may be long and hold anything: the bound holds, and each is cut. */
static void keeps_to_its_bound(void **state)
{
    static char junk[8 * ACCESS_TEXT_BYTES], out[16 * 8 * ACCESS_TEXT_BYTES];

    for (int fill = 0; fill < 256; fill++) {
        struct access_record record = whole;
        struct span text = {junk, sizeof(junk)};

        memset(junk, fill, sizeof(junk));
        record.model = record.path = record.request_id = record.upstream_request_id = text;
        record.bytes_in = record.bytes_out = record.duration_us = record.ttfb_us = UINT64_MAX;
        record.status = record.attempts = record.prompt_tokens = record.overhead_us = UINT64_MAX;
        assert_in_range(access_line_bound(&record), 1, sizeof(out));
        assert_in_range(access_put_json(out, &record, TIME) - out, 4 * ACCESS_TEXT_BYTES,
                        access_line_bound(&record));
        assert_in_range(access_put_text(out, &record, TIME) - out, 4 * ACCESS_TEXT_BYTES,
                        access_line_bound(&record));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_all_that_is_known),
        cmocka_unit_test(leaves_out_what_is_not),
        cmocka_unit_test(keeps_to_its_bound),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
