#include "dialect/error_write.h"

#include <stdio.h>

#include "base/clock.h"
#include "json/write.h"

static void string_or_null(struct json_writer *writer, const char *name, struct span text)
{
    json_name(writer, name);
    text.len ? json_string(writer, text) : json_null(writer);
}

static void write_openai(struct json_writer *writer, const struct error_words *words)
{
    json_begin_object(writer);
    json_name(writer, "error");
    json_begin_object(writer);
    json_member_string(writer, "message", words->message);
    string_or_null(writer, "type", words->type);
    string_or_null(writer, "param", words->param);
    string_or_null(writer, "code", words->code);
    json_end_object(writer);
    json_end_object(writer);
}

static void write_anthropic(struct json_writer *writer, const struct error_words *words)
{
    json_begin_object(writer);
    json_member_text(writer, "type", "error");
    json_name(writer, "error");
    json_begin_object(writer);
    json_member_string(writer, "type", words->type);
    json_member_string(writer, "message", words->message);
    if (words->code.len) {
        json_name(writer, "details");
        json_begin_object(writer);
        json_member_string(writer, "error_code", words->code);
        json_end_object(writer);
    }
    json_end_object(writer);
    string_or_null(writer, "request_id", words->request_id);
    json_end_object(writer);
}

/* google.rpc, error_details.proto. */
static void begin_detail(struct json_writer *writer, const char *type)
{
    json_begin_object(writer);
    json_member_text(writer, "@type", type);
}

static void write_reason(struct json_writer *writer, struct span reason)
{
    begin_detail(writer, "type.googleapis.com/google.rpc.ErrorInfo");
    json_member_string(writer, "reason", reason);
    json_member_text(writer, "domain", "googleapis.com");
    json_end_object(writer);
}

static void write_violation(struct json_writer *writer, const struct error_words *words)
{
    begin_detail(writer, "type.googleapis.com/google.rpc.BadRequest");
    json_name(writer, "fieldViolations");
    json_begin_array(writer);
    json_begin_object(writer);
    json_member_string(writer, "field", words->param);
    json_member_string(writer, "description", words->message);
    json_end_object(writer);
    json_end_array(writer);
    json_end_object(writer);
}

/* A Duration as protobuf spells it: seconds, with none or three decimals here. */
static void write_retry(struct json_writer *writer, uint64_t wait_us)
{
    uint64_t ms = wait_us / US_PER_MS + (wait_us % US_PER_MS != 0);
    char delay[40];

    if (ms % 1000)
        snprintf(delay, sizeof(delay), "%llu.%03us", (unsigned long long)(ms / 1000),
                 (unsigned)(ms % 1000));
    else
        snprintf(delay, sizeof(delay), "%llus", (unsigned long long)(ms / 1000));
    begin_detail(writer, "type.googleapis.com/google.rpc.RetryInfo");
    json_member_text(writer, "retryDelay", delay);
    json_end_object(writer);
}

static void write_details(struct json_writer *writer, const struct error_words *words)
{
    bool has_wait = words->wait_us && (words->status == 429 || words->status == 503);

    if (!words->code.len && !words->param.len && !has_wait)
        return;
    json_name(writer, "details");
    json_begin_array(writer);
    if (words->code.len)
        write_reason(writer, words->code);
    if (words->param.len)
        write_violation(writer, words);
    if (has_wait)
        write_retry(writer, words->wait_us);
    json_end_array(writer);
}

static void write_gemini(struct json_writer *writer, const struct error_words *words)
{
    json_begin_object(writer);
    json_name(writer, "error");
    json_begin_object(writer);
    json_member_int(writer, "code", words->status);
    json_member_string(writer, "message", words->message);
    json_member_string(writer, "status", words->type);
    write_details(writer, words);
    json_end_object(writer);
    json_end_object(writer);
}

static void write_body(struct buf *buf, enum dialect_id client, const struct error_words *words)
{
    struct json_writer writer;

    json_writer_init(&writer, buf);
    switch (client) {
    case DIALECT_OPENAI:
        write_openai(&writer, words);
        break;
    case DIALECT_ANTHROPIC:
        write_anthropic(&writer, words);
        break;
    case DIALECT_GEMINI:
        write_gemini(&writer, words);
        break;
    case DIALECT_COUNT:
        break;
    }
}

static void write_event(struct buf *buf, enum dialect_id client, const struct error_words *words)
{
    if (client == DIALECT_ANTHROPIC)
        (void)buf_append_span(buf, SPAN("event: error\n"));
    (void)buf_append_span(buf, SPAN("data: "));
    write_body(buf, client, words);
    /* Google's lines end so, and what cuts its streams by them meets no other end. */
    (void)buf_append_span(buf, client == DIALECT_GEMINI ? SPAN("\r\n\r\n") : SPAN("\n\n"));
    if (client == DIALECT_GEMINI)
        write_body(buf, client, words);
}

int error_write(struct buf *buf, enum dialect_id client, const struct error_ours *ours)
{
    struct error_words words;

    error_words_ours(client, ours, &words);
    write_body(buf, client, &words);
    return buf->err;
}

int error_write_told(struct buf *buf, enum dialect_id client, const struct error_told *told)
{
    struct error_words words;

    error_words_told(client, told, &words);
    write_body(buf, client, &words);
    return buf->err;
}

int error_write_event(struct buf *buf, enum dialect_id client, const struct error_ours *ours)
{
    struct error_words words;

    error_words_ours(client, ours, &words);
    write_event(buf, client, &words);
    return buf->err;
}

int error_write_event_told(struct buf *buf, enum dialect_id client, const struct error_told *told)
{
    struct error_words words;

    error_words_told(client, told, &words);
    write_event(buf, client, &words);
    return buf->err;
}
