/*
 * What an upstream's answer means: two bytes of status, a content type of one line, and a body. Any
 * answer has a meaning; no 4xx or 429 counts for a breaker; and what the provider says can be told
 * again as JSON.
 */
#include <stdlib.h>

#include "dialect/openai_answer.h"
#include "dialect/openai_error.h"
#include "dialect/outcome.h"
#include "json/tree.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool claim)
{
    if (!claim)
        abort();
}

static void check_told(const struct dialect_error *error)
{
    struct json_tree tree;
    struct buf buf;

    buf_init(&buf, 65536);
    must(openai_write_error_told(&buf, error) == 0);
    must(json_tree_read(&tree, span_of(buf.data + 6, buf.len - 8), 1 << 20) == 0);
    json_tree_fini(&tree);
    buf_fini(&buf);
}

static void check_answer(struct span body)
{
    struct openai_answer answer;
    struct dialect_error error;
    struct dialect_usage usage;

    openai_answer_init(&answer);
    (void)openai_answer_feed(&answer, body);
    if (openai_answer_finish(&answer) != 0)
        return;
    openai_answer_usage(&answer, &usage);
    must(usage.is_known || usage.total_tokens == 0);
    if (openai_answer_error(&answer, &error))
        check_told(&error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialect_header header = {SPAN("Content-Type"), SPAN("")};
    struct dialect_error error;
    const struct outcome_row *row;
    struct span body;
    struct outcome_answer answer = {
        .dialect = DIALECT_OPENAI, .error = &error, .headers = &header, .header_count = 1};

    if (size < 3)
        return 0;
    answer.status = (data[0] << 8 | data[1]) % 700;
    body = span_of((const char *)data + 2, size - 2);
    if (!span_next_token(&body, '\n', &header.value) || !body.ptr)
        body = span_of("", 0);
    openai_error_read(body, &error);
    must(error.is_json || (!error.message_len && !error.code_len && !error.type_len));
    row = outcome_classify(&answer);
    must(row != NULL);
    if (answer.status >= 400 && answer.status <= 499)
        must(!row->blames_key && !row->blames_endpoint);
    (void)openai_error_names_stream_options(&error);
    check_told(&error);
    check_answer(body);
    return 0;
}
