/* Anthropic's wire format: its errors, and the fields of its answers. */
#include "json/write.h"
#include "sim/anthropic.h"
#include "sim/fields.h"

/* A failure's row in Anthropic's list of errors. */
struct error_row {
    int status;
    const char *type, *detail; /* of details.error_code; NULL: there are none */
};

static struct error_row row_of_status(int status)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = {
        {401, "authentication_error"}, {402, "billing_error"},  {403, "permission_error"},
        {404, "not_found_error"},      {409, "conflict_error"}, {413, "request_too_large"},
        {429, "rate_limit_error"},     {504, "timeout_error"},  {529, "overloaded_error"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].status == status)
            return (struct error_row){status, rows[i].type, NULL};
    return (struct error_row){status, status < 500 ? "invalid_request_error" : "api_error", NULL};
}

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_UNKNOWN_FIELD:
        return row_of_status(failure->status);
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_BAD_KEY:
        return row_of_status(401);
    case SIM_FAILURE_FORBIDDEN:
        return row_of_status(403);
    case SIM_FAILURE_QUOTA:
        return (struct error_row){429, "rate_limit_error", "enforced_spend_limit_reached"};
    case SIM_FAILURE_PAYMENT:
        return row_of_status(402);
    case SIM_FAILURE_PATH:
    case SIM_FAILURE_MODEL:
        return row_of_status(404);
    case SIM_FAILURE_CREDIT:
    case SIM_FAILURE_FILTER:
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_CONTEXT:
        return row_of_status(400);
    case SIM_FAILURE_BODY_LARGE:
        return row_of_status(413);
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
    case SIM_FAILURE_CONCURRENT:
        return row_of_status(429);
    case SIM_FAILURE_SLOW_DOWN:
        return (struct error_row){429, "rate_limit_error", "ramp_limit_exceeded"};
    case SIM_FAILURE_SERVER:
        return row_of_status(500);
    case SIM_FAILURE_OVERLOADED:
        return row_of_status(529);
    }
    return row_of_status(500);
}

static void write_rate_message(const struct sim_failure *failure, const char *what, struct buf *out)
{
    buf_printf(out,
               "This request would exceed the rate limit for your organization (%.*s) of %llu %s "
               "per minute.",
               SPAN_ARG(failure->account), (unsigned long long)failure->limit, what);
}

static void write_plain_message(int status, struct buf *out)
{
    if (status == 529)
        buf_append_span(out, SPAN("Overloaded"));
    else if (status >= 500)
        buf_append_span(out, SPAN("Internal server error"));
    else
        buf_printf(out, "The request was refused with status %d.", status);
}

static void write_message(const struct sim_failure *failure, int status, struct buf *out)
{
    switch (failure->kind) {
    case SIM_FAILURE_NO_KEY:
        buf_append_span(out, SPAN("x-api-key header is required"));
        break;
    case SIM_FAILURE_BAD_KEY:
        buf_append_span(out, SPAN("invalid x-api-key"));
        break;
    case SIM_FAILURE_FORBIDDEN:
        buf_append_span(out, SPAN("Your API key does not have permission to use the specified "
                                  "resource."));
        break;
    case SIM_FAILURE_QUOTA:
        buf_append_span(out, SPAN("You have reached the spend limit of your organization."));
        break;
    case SIM_FAILURE_PAYMENT:
        buf_append_span(out, SPAN("There is a problem with the billing of your account."));
        break;
    case SIM_FAILURE_CREDIT:
        buf_append_span(out, SPAN("Your credit balance is too low to access the Anthropic API."));
        break;
    case SIM_FAILURE_FILTER:
        buf_append_span(out, SPAN("Output blocked by content filtering policy"));
        break;
    case SIM_FAILURE_PATH:
        buf_append_span(out, SPAN("Not Found"));
        break;
    case SIM_FAILURE_MODEL:
        buf_printf(out, "model: %.*s", SPAN_ARG(failure->model));
        break;
    case SIM_FAILURE_JSON:
        buf_append_span(out, SPAN("The request body is not valid JSON"));
        break;
    case SIM_FAILURE_FIELD:
        buf_printf(out, "%.*s%s%s", SPAN_ARG(failure->field), failure->field.len ? ": " : "",
                   failure->message);
        break;
    case SIM_FAILURE_UNKNOWN_FIELD:
        buf_printf(out, "%.*s: Extra inputs are not permitted", SPAN_ARG(failure->field));
        break;
    case SIM_FAILURE_CONTEXT:
        buf_printf(out, "prompt is too long: %llu tokens > %llu maximum",
                   (unsigned long long)failure->requested, (unsigned long long)failure->limit);
        break;
    case SIM_FAILURE_BODY_LARGE:
        buf_append_span(out, SPAN("Request exceeds the maximum size"));
        break;
    case SIM_FAILURE_RATE_REQUESTS:
        write_rate_message(failure, "requests", out);
        break;
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
        write_rate_message(failure, "input tokens", out);
        break;
    case SIM_FAILURE_CONCURRENT:
        buf_append_span(out,
                        SPAN("Number of concurrent connections has exceeded your rate limit."));
        break;
    case SIM_FAILURE_SLOW_DOWN:
        buf_append_span(out, SPAN("Your usage grew too fast. Please ramp up gradually."));
        break;
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_SERVER:
    case SIM_FAILURE_OVERLOADED:
        write_plain_message(status, out);
        break;
    }
}

int sim_anthropic_write_failure(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct buf message;

    buf_init(&message, 2 * SIM_MAX_ECHO_BYTES);
    write_message(failure, row.status, &message);
    buf_printf(body, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", row.type);
    json_write_string(body, buf_span(&message));
    if (row.detail)
        buf_printf(body, ",\"details\":{\"error_code\":\"%s\"}", row.detail);
    buf_printf(body, "},\"request_id\":\"req_%016llx\"}", (unsigned long long)failure->id);
    buf_fini(&message);
    return row.status;
}

void sim_anthropic_write_failure_event(const struct sim_failure *failure,
                                       const struct sim_stamp *stamp, struct buf *body)
{
    buf_append_span(body,
                    stamp->is_crlf ? SPAN("event: error\r\ndata: ") : SPAN("event: error\ndata: "));
    sim_anthropic_write_failure(failure, body);
    sim_end_event(stamp, body);
}

void sim_anthropic_write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    struct sim_head_facts told = *facts;

    buf_append_span(fields, facts->is_stream
                                ? SPAN("Content-Type: text/event-stream; charset=utf-8\r\n")
                                : SPAN("Content-Type: application/json\r\n"));
    buf_printf(fields, "request-id: req_%016llx\r\n", (unsigned long long)facts->id);
    if (facts->status == 529)
        buf_append_span(fields, SPAN("x-should-retry: true\r\n"));
    if (facts->account.len)
        buf_printf(fields, "anthropic-organization-id: %.*s\r\n", SPAN_ARG(facts->account));
    if (told.reset_form != SIM_RESET_NONE)
        told.reset_form = SIM_RESET_RFC3339;
    /* What is left of tokens is told in round thousands. */
    told.tokens.remaining -= told.tokens.remaining % 1000;
    sim_write_meter(&told, &told.requests, "anthropic-ratelimit-requests-", "", fields);
    sim_write_meter(&told, &told.tokens, "anthropic-ratelimit-tokens-", "", fields);
    sim_write_meter(&told, &told.tokens, "anthropic-ratelimit-input-tokens-", "", fields);
    sim_write_retry_after(facts, fields);
}
