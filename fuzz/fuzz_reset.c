/*
 * Reset hints: header lines, a blank line, and a message. Whatever they say, the wait keeps its
 * bounds, and a value that reads alone reads the same with spaces around it.
 */
#include "fuzz.h"

#include "dialect/duration.h"
#include "dialect/reset.h"

enum { HEADERS_MAX = 16 };

#define WALL_US UINT64_C(1795169700000000)
#define MAX_US  UINT64_C(3600000000)

static void check_value(struct span value)
{
    char spaced[256];
    uint64_t alone = 0, again = 0;

    if (value.len + 2 > sizeof(spaced) || reset_read(value, WALL_US, &alone) != 0)
        return;
    spaced[0] = ' ';
    memcpy(spaced + 1, value.ptr, value.len);
    spaced[value.len + 1] = '\t';
    must(reset_read(span_of(spaced, value.len + 2), WALL_US, &again) == 0 && alone == again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialect_header headers[HEADERS_MAX];
    struct dialect_error error = {0};
    struct reset_question question = {
        .headers = headers, .error = &error, .wall_us = WALL_US, .max_us = MAX_US};
    struct span rest = span_of((const char *)data, size), line;
    struct reset_hint hint;

    if (size == 0)
        return 0;
    while (span_next_token(&rest, '\n', &line) && line.len && question.header_count < HEADERS_MAX) {
        struct dialect_header *header = &headers[question.header_count++];

        if (!span_next_token(&line, ':', &header->name))
            return 0;
        header->value = line.ptr ? line : span_of("", 0);
        check_value(header->value);
    }
    if (rest.ptr) {
        error.message_len = dialect_keep(error.message, sizeof(error.message), rest);
        error.detail_len = dialect_keep(error.detail, sizeof(error.detail), rest);
        error.retry_after_ms = (uint32_t)rest.len << (rest.len % 24);
    }
    hint = reset_find(&question);
    if (hint.source == RESET_NONE)
        must(hint.wait_us == 0);
    else
        must(hint.wait_us >= RESET_FLOOR_MS * 1000u && hint.wait_us <= MAX_US);
    return 0;
}
