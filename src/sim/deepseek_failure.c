/* DeepSeek's wire format: its errors, and the fields of its answers, which say nothing of limits.
 */
#include "json/write.h"
#include "sim/deepseek.h"
#include "sim/fields.h"

/* A failure's row in DeepSeek's list of errors. */
struct error_row {
    int status;
    const char *type, *message; /* message NULL: it is made */
};

static struct error_row row_of_status(int status)
{
    switch (status) {
    case 401:
        return (struct error_row){status, "authentication_error", "Authentication Fails"};
    case 402:
        return (struct error_row){status, "unknown_error", "Insufficient Balance"};
    case 429:
        return (struct error_row){status, "rate_limit_error", "Rate limit reached"};
    case 503:
        return (struct error_row){status, "service_unavailable_error",
                                  "The server is overloaded, please retry later"};
    }
    return (struct error_row){status, status < 500 ? "invalid_request_error" : "server_error",
                              status < 500 ? "The request was refused" : "Server error"};
}

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_STATUS:
        return row_of_status(failure->status);
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_BAD_KEY:
        return (struct error_row){401, "authentication_error", NULL};
    case SIM_FAILURE_FORBIDDEN:
        return row_of_status(403);
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
        return row_of_status(402);
    case SIM_FAILURE_PATH:
        return row_of_status(404);
    case SIM_FAILURE_JSON:
        return (struct error_row){400, "invalid_request_error",
                                  "Failed to parse the request body as JSON"};
    case SIM_FAILURE_FILTER:
        return (struct error_row){400, "invalid_request_error", "Content Exists Risk"};
    case SIM_FAILURE_MODEL:
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_CONTEXT:
        return (struct error_row){400, "invalid_request_error", NULL};
    case SIM_FAILURE_UNKNOWN_FIELD:
        return (struct error_row){failure->status, "invalid_request_error", NULL};
    case SIM_FAILURE_BODY_LARGE:
        return row_of_status(413);
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

/* The last four characters of a key are told, as the real one does. */
static void write_key_message(struct span key, struct buf *out)
{
    size_t shown = key.len > 12 ? 4 : 0;

    buf_printf(out, "Authentication Fails, Your api key: ****%.*s is invalid", (int)shown,
               shown ? key.ptr + key.len - shown : "");
}

static void write_message(const struct sim_failure *failure, struct buf *out)
{
    if (failure->kind == SIM_FAILURE_MODEL)
        buf_printf(out, "Model Not Exist: %.*s", SPAN_ARG(failure->model));
    else if (failure->kind == SIM_FAILURE_CONTEXT)
        buf_printf(
            out,
            "This model's maximum context length is %llu tokens. However, you requested %llu "
            "tokens.",
            (unsigned long long)failure->limit, (unsigned long long)failure->requested);
    else if (failure->kind == SIM_FAILURE_UNKNOWN_FIELD)
        buf_printf(out, "unknown field `%.*s`", SPAN_ARG(failure->field));
    else if (failure->kind == SIM_FAILURE_FIELD)
        buf_printf(out, "%.*s%s%s", SPAN_ARG(failure->field), failure->field.len ? ": " : "",
                   failure->message);
    else
        write_key_message(failure->key, out);
}

int sim_deepseek_write_failure(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct buf message;

    buf_init(&message, 2 * SIM_MAX_ECHO_BYTES);
    if (row.message)
        buf_append_span(&message, span_from_text(row.message));
    else
        write_message(failure, &message);
    buf_append_span(body, SPAN("{\"error\":{\"message\":"));
    json_write_string(body, buf_span(&message));
    buf_printf(body, ",\"type\":\"%s\",\"param\":null,\"code\":\"invalid_request_error\"}}",
               row.type);
    buf_fini(&message);
    return row.status;
}

void sim_deepseek_write_failure_event(const struct sim_failure *failure,
                                      const struct sim_stamp *stamp, struct buf *body)
{
    buf_append_span(body, SPAN("data: "));
    sim_deepseek_write_failure(failure, body);
    sim_end_event(stamp, body);
}

void sim_deepseek_write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    buf_append_span(fields, facts->is_stream
                                ? SPAN("Content-Type: text/event-stream; charset=utf-8\r\n")
                                : SPAN("Content-Type: application/json\r\n"));
    buf_printf(fields, "x-ds-trace-id: %016llx\r\n", (unsigned long long)facts->id);
}
