/*
 * What an upstream's answer means: two bytes of status and dialect, a content type of one line, and
 * a body. Any answer has a meaning; no 4xx or 429 counts for a breaker; and what the provider says
 * can be told again as JSON, in every dialect, as an answer and as an event, with a status that no
 * client takes for a complaint about its own key.
 */
#include "fuzz.h"

#include "dialect/error_read.h"
#include "dialect/error_write.h"
#include "dialect/openai_answer.h"
#include "dialect/openai_error.h"
#include "dialect/outcome.h"

enum { STATUSES = 700 };

static void check_json(struct span json)
{
    struct json_tree tree;

    must(json_tree_read(&tree, json, 1 << 20) == 0);
    json_tree_fini(&tree);
}

/* The object between what makes it an event. Google's stands there once more, bare. */
static struct span event_json(const struct buf *buf, enum dialect_id client)
{
    size_t head =
        client == DIALECT_ANTHROPIC ? sizeof("event: error\ndata: ") - 1 : sizeof("data: ") - 1;
    struct span rest = span_skip(buf_span(buf), head);
    size_t end = span_find(rest, client == DIALECT_GEMINI ? SPAN("\r\n\r\n") : SPAN("\n\n"));

    must(end != SIZE_MAX);
    if (client == DIALECT_GEMINI)
        must(span_is_equal(span_of(rest.ptr, end), span_skip(rest, end + 4)));
    else
        must(end + 2 == rest.len);
    return span_of(rest.ptr, end);
}

static void check_told(const struct error_told *told, enum dialect_id client)
{
    struct error_words words;
    struct span json;
    struct buf buf;

    error_words_told(client, told, &words);
    must(words.status == error_status_told(client, told));
    must(words.status >= 400 && words.status <= 599);
    must(words.status != 401 && words.status != 402);
    must(words.message.len > 0);
    buf_init(&buf, 65536);
    must(error_write_event_told(&buf, client, told) == 0);
    json = event_json(&buf, client);
    check_json(json);
    must(span_find_byte(json, '\n') == SIZE_MAX && span_find_byte(json, '\r') == SIZE_MAX);
    buf_clear(&buf);
    must(error_write_told(&buf, client, told) == 0);
    check_json(buf_span(&buf));
    buf_fini(&buf);
}

/* What a client wrote may stand in an error of our own. */
static void check_ours(struct span text, enum dialect_id client, unsigned failure)
{
    const struct error_ours ours = {.row = failure_row((enum failure)(failure % FAILURE_COUNT)),
                                    .message = text,
                                    .param = text,
                                    .request_id = text,
                                    .wait_us = failure};
    struct buf buf;

    buf_init(&buf, 1 << 20);
    if (error_write(&buf, client, &ours) == 0)
        check_json(buf_span(&buf));
    buf_fini(&buf);
}

static void check_clients(const struct error_told *told, struct span body)
{
    for (int client = 0; client < DIALECT_COUNT; client++) {
        check_told(told, (enum dialect_id)client);
        check_ours(body, (enum dialect_id)client, (unsigned)told->status);
    }
}

static void check_member(struct error_told told, struct span body)
{
    struct dialect_error error;

    error_read_member(body, &error);
    told.error = &error;
    check_told(&told, told.upstream);
}

static void check_answer(struct error_told told, struct span body)
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
    if (!openai_answer_error(&answer, &error))
        return;
    told.error = &error;
    check_told(&told, DIALECT_OPENAI);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dialect_header header = {SPAN("Content-Type"), SPAN("")};
    struct dialect_error error;
    const struct outcome_row *row;
    struct span body;
    struct outcome_answer answer = {.error = &error, .headers = &header, .header_count = 1};
    struct error_told told = {.error = &error};

    if (size < 3)
        return 0;
    answer.status = (data[0] << 8 | data[1]) % STATUSES;
    answer.dialect = (enum dialect_id)((data[0] << 8 | data[1]) / STATUSES % DIALECT_COUNT);
    told.status = answer.status;
    told.upstream = answer.dialect;
    body = span_of((const char *)data + 2, size - 2);
    if (!span_next_token(&body, '\n', &header.value) || !body.ptr)
        body = span_of("", 0);
    error_read(body, &error);
    must(error.is_json || (!error.message_len && !error.code_len && !error.type_len));
    row = outcome_classify(&answer);
    must(row != NULL);
    if (answer.status >= 400 && answer.status <= 499)
        must(!row->blames_key && !row->blames_endpoint);
    (void)openai_error_names_stream_options(&error);
    check_clients(&told, body);
    check_member(told, body);
    check_answer(told, body);
    return 0;
}
