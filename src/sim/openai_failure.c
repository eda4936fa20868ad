/* OpenAI's wire format: its errors, and the fields of its answers. */
#include <stdio.h>

#include "base/clock.h"
#include "json/write.h"
#include "sim/fields.h"
#include "sim/openai.h"

/* A failure's row in OpenAI's list of errors. */
struct error_row {
    int status;
    const char *type, *code; /* code NULL: null */
};

static struct error_row row_of_status(int status)
{
    switch (status) {
    case 401:
        return (struct error_row){401, "invalid_request_error", "invalid_api_key"};
    case 404:
        return (struct error_row){404, "invalid_request_error", "model_not_found"};
    case 429:
        return (struct error_row){429, "requests", "rate_limit_exceeded"};
    case 503:
        return (struct error_row){503, "service_unavailable_error", "server_is_overloaded"};
    }
    return (struct error_row){status, status < 500 ? "invalid_request_error" : "server_error",
                              NULL};
}

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_STATUS:
        return row_of_status(failure->status);
    case SIM_FAILURE_NO_KEY:
        return (struct error_row){401, "invalid_request_error", NULL};
    case SIM_FAILURE_BAD_KEY:
        return row_of_status(401);
    case SIM_FAILURE_FORBIDDEN:
        return (struct error_row){403, "invalid_request_error", "permission_denied"};
    case SIM_FAILURE_QUOTA:
        return (struct error_row){429, "insufficient_quota", "insufficient_quota"};
    case SIM_FAILURE_PAYMENT:
        return (struct error_row){402, "insufficient_quota", "credit_balance_exhausted"};
    case SIM_FAILURE_CREDIT:
        return (struct error_row){429, "insufficient_quota", "credit_balance_exhausted"};
    case SIM_FAILURE_FILTER:
        return (struct error_row){400, "invalid_request_error", "content_policy_violation"};
    case SIM_FAILURE_PATH:
        return (struct error_row){404, "invalid_request_error", NULL};
    case SIM_FAILURE_MODEL:
        return row_of_status(404);
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_FIELD:
        return row_of_status(400);
    case SIM_FAILURE_UNKNOWN_FIELD:
        return (struct error_row){failure->status, "invalid_request_error", "unknown_parameter"};
    case SIM_FAILURE_CONTEXT:
        return (struct error_row){400, "invalid_request_error", "context_length_exceeded"};
    case SIM_FAILURE_BODY_LARGE:
        return row_of_status(413);
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_CONCURRENT:
        return row_of_status(429);
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
        return (struct error_row){429, "tokens", "rate_limit_exceeded"};
    case SIM_FAILURE_SLOW_DOWN:
        return (struct error_row){429, "rate_limit_error", "slow_down"};
    case SIM_FAILURE_SERVER:
        return row_of_status(500);
    case SIM_FAILURE_OVERLOADED:
        return row_of_status(503);
    }
    return row_of_status(500);
}

/* "Incorrect API key provided: sk-abcd****wxyz.", as the real one is cut. */
static void write_masked(struct span key, struct buf *out)
{
    if (key.len <= 12)
        buf_append_span(out, SPAN("****"));
    else
        buf_printf(out, "%.8s****%.4s", key.ptr, key.ptr + key.len - 4);
}

static void write_rate_message(const struct sim_failure *failure, const char *what, struct buf *out)
{
    buf_printf(out, "Rate limit reached for %.*s in organization %.*s on %s: Limit %llu, Used %llu",
               SPAN_ARG(failure->model), SPAN_ARG(failure->account), what,
               (unsigned long long)failure->limit, (unsigned long long)failure->used);
    buf_printf(out, ", Requested %llu.", (unsigned long long)failure->requested);
    if (!failure->retry_after_us)
        return;
    buf_append_span(out, SPAN(" Please try again in "));
    sim_write_go_duration(failure->retry_after_us, out);
    buf_append_byte(out, '.');
}

static void write_refusal(const struct sim_failure *failure, struct buf *out)
{
    if (failure->kind == SIM_FAILURE_NO_KEY) {
        buf_append_span(out, SPAN("You didn't provide an API key. You need to provide your API key "
                                  "in an Authorization header using Bearer auth."));
        return;
    }
    buf_append_span(out, SPAN("Incorrect API key provided: "));
    write_masked(failure->key, out);
    buf_append_span(out, SPAN(". You can find your API key at "
                              "https://platform.openai.com/account/api-keys."));
}

static void write_plain_message(const struct sim_failure *failure, int status, struct buf *out)
{
    if (status == 503)
        buf_append_span(out, SPAN("The engine is currently overloaded, please try again later."));
    else if (status >= 500)
        buf_append_span(out, SPAN("The server had an error while processing your request. Sorry "
                                  "about that!"));
    else
        buf_printf(out, "The request was refused with status %d.", status);
}

static void write_message(const struct sim_failure *failure, int status, struct buf *out)
{
    switch (failure->kind) {
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_BAD_KEY:
        write_refusal(failure, out);
        break;
    case SIM_FAILURE_FORBIDDEN:
        buf_append_span(out, SPAN("You do not have access to this resource with this API key."));
        break;
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
        buf_append_span(out, SPAN("You exceeded your current quota, please check your plan and "
                                  "billing details."));
        break;
    case SIM_FAILURE_FILTER:
        buf_append_span(out, SPAN("Your request was rejected as a result of our safety system."));
        break;
    case SIM_FAILURE_PATH:
        buf_append_span(out, SPAN("Invalid URL"));
        break;
    case SIM_FAILURE_MODEL:
        buf_printf(out, "The model `%.*s` does not exist or you do not have access to it.",
                   SPAN_ARG(failure->model));
        break;
    case SIM_FAILURE_JSON:
        buf_append_span(out, SPAN("We could not parse the JSON body of your request. The OpenAI "
                                  "API expects a JSON payload."));
        break;
    case SIM_FAILURE_FIELD:
        buf_printf(out, "Invalid '%.*s': %s", SPAN_ARG(failure->field), failure->message);
        break;
    case SIM_FAILURE_UNKNOWN_FIELD:
        buf_printf(out, "Unknown parameter: '%.*s'.", SPAN_ARG(failure->field));
        break;
    case SIM_FAILURE_CONTEXT:
        buf_printf(out,
                   "This model's maximum context length is %llu tokens. However, your messages "
                   "resulted in %llu tokens.",
                   (unsigned long long)failure->limit, (unsigned long long)failure->requested);
        break;
    case SIM_FAILURE_RATE_REQUESTS:
        write_rate_message(failure, "requests per min (RPM)", out);
        break;
    case SIM_FAILURE_RATE_TOKENS:
        write_rate_message(failure, "tokens per min (TPM)", out);
        break;
    case SIM_FAILURE_RATE_SIZE:
        buf_printf(out,
                   "Request too large for %.*s in organization %.*s on tokens per min (TPM): Limit "
                   "%llu, Requested %llu. The input or output tokens must be reduced in order to "
                   "run successfully.",
                   SPAN_ARG(failure->model), SPAN_ARG(failure->account),
                   (unsigned long long)failure->limit, (unsigned long long)failure->requested);
        break;
    case SIM_FAILURE_CONCURRENT:
        buf_append_span(out, SPAN("Too many requests are under way with this key."));
        break;
    case SIM_FAILURE_SLOW_DOWN:
        buf_append_span(out, SPAN("The rate of your requests rose too fast. Please slow down."));
        break;
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_BODY_LARGE:
    case SIM_FAILURE_SERVER:
    case SIM_FAILURE_OVERLOADED:
        write_plain_message(failure, status, out);
        break;
    }
}

static struct span param_of(const struct sim_failure *failure)
{
    if (failure->kind == SIM_FAILURE_CONTEXT)
        return SPAN("messages");
    if (failure->kind == SIM_FAILURE_MODEL)
        return SPAN("model");
    return failure->field;
}

int sim_openai_write_failure(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct span param = param_of(failure);
    struct json_writer json;
    struct buf message;

    buf_init(&message, 65536);
    write_message(failure, row.status, &message);
    json_writer_init(&json, body);
    json_begin_object(&json);
    json_name(&json, "error");
    json_begin_object(&json);
    json_member_string(&json, "message", buf_span(&message));
    json_member_text(&json, "type", row.type);
    if (param.len)
        json_member_string(&json, "param", param);
    else
        json_member_null(&json, "param");
    json_member_text(&json, "code", row.code);
    json_end_object(&json);
    json_end_object(&json);
    buf_fini(&message);
    return row.status;
}

/* --- fields --- */

void sim_openai_write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    buf_append_span(fields, facts->is_stream
                                ? SPAN("Content-Type: text/event-stream; charset=utf-8\r\n")
                                : SPAN("Content-Type: application/json\r\n"));
    buf_printf(fields,
               "x-request-id: req_%016llx\r\nopenai-processing-ms: %llu\r\n"
               "openai-version: 2020-10-01\r\n",
               (unsigned long long)facts->id,
               (unsigned long long)(facts->processing_us / US_PER_MS));
    if (facts->account.len) {
        buf_append_span(fields, SPAN("openai-organization: "));
        buf_append_span(fields, facts->account);
        buf_append_span(fields, SPAN("\r\n"));
    }
    sim_write_meter(facts, &facts->requests, "x-ratelimit-", "-requests", fields);
    sim_write_meter(facts, &facts->tokens, "x-ratelimit-", "-tokens", fields);
    sim_write_retry_after(facts, fields);
}

void sim_openai_write_failure_event(const struct sim_failure *failure,
                                    const struct sim_stamp *stamp, struct buf *body)
{
    buf_append_span(body, SPAN("data: "));
    sim_openai_write_failure(failure, body);
    sim_end_event(stamp, body);
}
