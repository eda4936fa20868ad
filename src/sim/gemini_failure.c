/* Gemini's wire format: its errors, and the fields of its answers. When to come back is said in the
 * body alone. */
#include "base/clock.h"
#include "json/write.h"
#include "sim/fields.h"
#include "sim/gemini.h"

/* A failure's row in Google's list of errors. */
struct error_row {
    int status;
    const char *word;
};

static struct error_row row_of_status(int status)
{
    static const struct error_row rows[] = {
        {401, "UNAUTHENTICATED"},   {403, "PERMISSION_DENIED"},  {404, "NOT_FOUND"},
        {409, "ABORTED"},           {429, "RESOURCE_EXHAUSTED"}, {499, "CANCELLED"},
        {500, "INTERNAL"},          {501, "UNIMPLEMENTED"},      {503, "UNAVAILABLE"},
        {504, "DEADLINE_EXCEEDED"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return rows[i];
    return (struct error_row){status, status < 500 ? "INVALID_ARGUMENT" : "UNKNOWN"};
}

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_UNKNOWN_FIELD:
        return row_of_status(failure->status);
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_FORBIDDEN:
        return row_of_status(403);
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
        return (struct error_row){400, "FAILED_PRECONDITION"};
    case SIM_FAILURE_PATH:
    case SIM_FAILURE_MODEL:
        return row_of_status(404);
    case SIM_FAILURE_BAD_KEY:
    case SIM_FAILURE_FILTER:
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_CONTEXT:
    case SIM_FAILURE_BODY_LARGE:
        return row_of_status(400);
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
    case SIM_FAILURE_CONCURRENT:
    case SIM_FAILURE_SLOW_DOWN:
        return row_of_status(429);
    case SIM_FAILURE_SERVER:
        return row_of_status(500);
    case SIM_FAILURE_OVERLOADED:
        return row_of_status(503);
    }
    return row_of_status(500);
}

static const char *plain_message(const struct sim_failure *failure, int status)
{
    switch (failure->kind) {
    case SIM_FAILURE_NO_KEY:
        return "Method doesn't allow unregistered callers (callers without established identity). "
               "Please use API Key or other form of API consumer identity to call this API.";
    case SIM_FAILURE_BAD_KEY:
        return "API key not valid. Please pass a valid API key.";
    case SIM_FAILURE_FORBIDDEN:
        return "Requests to this API are blocked for this key.";
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
        return "This API cannot be used without billing. Please enable billing on your project.";
    case SIM_FAILURE_FILTER:
        return "The prompt could not be submitted: it violates the usage guidelines.";
    case SIM_FAILURE_PATH:
        return "Requested entity was not found.";
    case SIM_FAILURE_JSON:
        return "Invalid JSON payload received. Expected a value.";
    case SIM_FAILURE_BODY_LARGE:
        return "Request payload size exceeds the limit: 33554432 bytes.";
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
        return "You exceeded your current quota, please check your plan and billing details.";
    case SIM_FAILURE_CONCURRENT:
    case SIM_FAILURE_SLOW_DOWN:
        return "Resource has been exhausted (e.g. check quota).";
    case SIM_FAILURE_OVERLOADED:
        return "The model is overloaded. Please try again later.";
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_SERVER:
    case SIM_FAILURE_MODEL:
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_UNKNOWN_FIELD:
    case SIM_FAILURE_CONTEXT:
        break;
    }
    return status < 500 ? "The request was refused." : "An internal error has occurred.";
}

static void write_message(const struct sim_failure *failure, int status, struct buf *out)
{
    if (failure->kind == SIM_FAILURE_MODEL)
        buf_printf(out,
                   "models/%.*s is not found for API version v1beta, or is not supported for this "
                   "method. Call ListModels to see the list of available models.",
                   SPAN_ARG(failure->model));
    else if (failure->kind == SIM_FAILURE_FIELD)
        buf_append_span(out, span_from_text(failure->message));
    else if (failure->kind == SIM_FAILURE_UNKNOWN_FIELD)
        buf_printf(out, "Invalid JSON payload received. Unknown name \"%.*s\": Cannot find field.",
                   SPAN_ARG(failure->field));
    else if (failure->kind == SIM_FAILURE_CONTEXT)
        buf_printf(out,
                   "The input token count (%llu) exceeds the maximum number of tokens allowed "
                   "(%llu).",
                   (unsigned long long)failure->requested, (unsigned long long)failure->limit);
    else
        buf_append_span(out, span_from_text(plain_message(failure, status)));
}

/* --- details --- */

static void begin_detail(const char *type, struct json_writer *json)
{
    json_begin_object(json);
    json_name(json, "@type");
    json_raw(json, SPAN("\"type.googleapis.com/google.rpc."));
    buf_printf(json->buf, "%s\"", type);
}

static void write_key_detail(struct json_writer *json)
{
    begin_detail("ErrorInfo", json);
    json_member_text(json, "reason", "API_KEY_INVALID");
    json_member_text(json, "domain", "googleapis.com");
    json_name(json, "metadata");
    json_begin_object(json);
    json_member_text(json, "service", "generativelanguage.googleapis.com");
    json_end_object(json);
    json_end_object(json);
}

static void write_field_detail(const struct sim_failure *failure, struct span message,
                               struct json_writer *json)
{
    begin_detail("BadRequest", json);
    json_name(json, "fieldViolations");
    json_begin_array(json);
    json_begin_object(json);
    if (failure->field.len)
        json_member_string(json, "field", failure->field);
    json_member_string(json, "description", message);
    json_end_object(json);
    json_end_array(json);
    json_end_object(json);
}

/* Which quota it was: what ends with the day cannot be waited for. */
static const char *quota_id(enum sim_failure_kind kind)
{
    if (kind == SIM_FAILURE_QUOTA)
        return "GenerateRequestsPerDayPerProjectPerModel-FreeTier";
    return kind == SIM_FAILURE_RATE_REQUESTS ? "GenerateRequestsPerMinutePerProjectPerModel"
                                             : "GenerateContentInputTokensPerModelPerMinute";
}

static void write_quota_detail(const struct sim_failure *failure, struct json_writer *json)
{
    struct buf text;

    buf_init(&text, 64);
    buf_printf(&text, "%llu", (unsigned long long)failure->limit);
    begin_detail("QuotaFailure", json);
    json_name(json, "violations");
    json_begin_array(json);
    json_begin_object(json);
    json_member_text(json, "quotaMetric",
                     failure->kind == SIM_FAILURE_RATE_REQUESTS ||
                             failure->kind == SIM_FAILURE_QUOTA
                         ? "generativelanguage.googleapis.com/generate_content_requests"
                         : "generativelanguage.googleapis.com/generate_content_input_token_count");
    json_member_text(json, "quotaId", quota_id(failure->kind));
    json_name(json, "quotaDimensions");
    json_begin_object(json);
    json_member_string(json, "model", failure->model);
    json_member_text(json, "location", "global");
    json_end_object(json);
    if (failure->limit)
        json_member_string(json, "quotaValue", buf_span(&text));
    json_end_object(json);
    json_end_array(json);
    json_end_object(json);
    buf_fini(&text);
}

static void write_retry_detail(const struct sim_failure *failure, struct json_writer *json)
{
    struct buf text;

    buf_init(&text, 64);
    buf_printf(&text, "%.10gs", (double)failure->retry_after_us / (double)US_PER_SEC);
    begin_detail("RetryInfo", json);
    json_member_string(json, "retryDelay", buf_span(&text));
    json_end_object(json);
    buf_fini(&text);
}

static void write_details(const struct sim_failure *failure, struct span message,
                          struct json_writer *json)
{
    switch (failure->kind) {
    case SIM_FAILURE_BAD_KEY:
        write_key_detail(json);
        break;
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_UNKNOWN_FIELD:
        write_field_detail(failure, message, json);
        break;
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
        write_quota_detail(failure, json);
        break;
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_FORBIDDEN:
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
    case SIM_FAILURE_PATH:
    case SIM_FAILURE_MODEL:
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_CONTEXT:
    case SIM_FAILURE_FILTER:
    case SIM_FAILURE_BODY_LARGE:
    case SIM_FAILURE_CONCURRENT:
    case SIM_FAILURE_SLOW_DOWN:
    case SIM_FAILURE_SERVER:
    case SIM_FAILURE_OVERLOADED:
        break;
    }
    if (failure->retry_after_us)
        write_retry_detail(failure, json);
}

static bool has_details(const struct sim_failure *failure)
{
    return failure->retry_after_us || failure->kind == SIM_FAILURE_BAD_KEY ||
           failure->kind == SIM_FAILURE_FIELD || failure->kind == SIM_FAILURE_UNKNOWN_FIELD ||
           failure->kind == SIM_FAILURE_QUOTA || failure->kind == SIM_FAILURE_RATE_REQUESTS ||
           failure->kind == SIM_FAILURE_RATE_TOKENS || failure->kind == SIM_FAILURE_RATE_SIZE;
}

static int write_error(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct json_writer json;
    struct buf message;

    buf_init(&message, 2 * SIM_MAX_ECHO_BYTES);
    write_message(failure, row.status, &message);
    json_writer_init(&json, body);
    json_begin_object(&json);
    json_name(&json, "error");
    json_begin_object(&json);
    json_member_int(&json, "code", row.status);
    json_member_string(&json, "message", buf_span(&message));
    json_member_text(&json, "status", row.word);
    if (has_details(failure)) {
        json_name(&json, "details");
        json_begin_array(&json);
        write_details(failure, buf_span(&message), &json);
        json_end_array(&json);
    }
    json_end_object(&json);
    json_end_object(&json);
    buf_fini(&message);
    return row.status;
}

int sim_gemini_write_failure(const struct sim_failure *failure, struct buf *body)
{
    bool is_array = failure->form == SIM_GEMINI_ARRAY;
    int status;

    if (is_array)
        buf_append_byte(body, '[');
    status = write_error(failure, body);
    if (is_array)
        buf_append_byte(body, ']');
    return status;
}

void sim_gemini_write_failure_event(const struct sim_failure *failure,
                                    const struct sim_stamp *stamp, struct buf *body)
{
    if (stamp->form == SIM_GEMINI_SSE)
        buf_append_span(body, SPAN("data: "));
    else
        buf_append_span(body, stamp->is_begun ? SPAN("\r\n,\r\n") : SPAN("["));
    write_error(failure, body);
    buf_append_span(body, stamp->form == SIM_GEMINI_SSE ? SPAN("\r\n\r\n") : SPAN("]"));
}

void sim_gemini_write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    buf_append_span(fields, facts->is_stream && facts->form == SIM_GEMINI_SSE
                                ? SPAN("Content-Type: text/event-stream\r\n")
                                : SPAN("Content-Type: application/json; charset=UTF-8\r\n"));
    buf_printf(fields, "Server-Timing: gfet4t7; dur=%llu\r\n",
               (unsigned long long)(facts->processing_us / US_PER_MS));
}
