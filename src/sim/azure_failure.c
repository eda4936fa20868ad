/* Azure's wire format: its errors, and the fields of its answers. What a model's service refuses is
 * worded as OpenAI words it; what the gateway before it refuses has codes that are words, or
 * statuses spelled as texts. */
#include "base/clock.h"
#include "json/write.h"
#include "sim/azure.h"
#include "sim/fields.h"
#include "sim/openai.h"

/* A failure's row where it is not OpenAI's. */
struct error_row {
    int status; /* 0: it is OpenAI's */
    const char *code, *message;
};

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_BAD_KEY:
        return (struct error_row){401, "401",
                                  "Access denied due to invalid subscription key or wrong API "
                                  "endpoint. Make sure to provide a valid key for an active "
                                  "subscription and use a correct regional API endpoint for your "
                                  "resource."};
    case SIM_FAILURE_FORBIDDEN:
        return (struct error_row){403, "AccessDenied",
                                  "Access denied due to Virtual Network/Firewall rules."};
    case SIM_FAILURE_PAYMENT:
    case SIM_FAILURE_CREDIT:
        return (struct error_row){403, "403",
                                  "The subscription of this resource is disabled; it cannot be "
                                  "used until it is paid for."};
    case SIM_FAILURE_PATH:
        return (struct error_row){404, "404", "Resource not found"};
    case SIM_FAILURE_MODEL:
        return (struct error_row){404, "DeploymentNotFound",
                                  "The API deployment for this resource does not exist. If you "
                                  "created the deployment within the last 5 minutes, please wait a "
                                  "moment and try again."};
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
    case SIM_FAILURE_CONCURRENT:
    case SIM_FAILURE_SLOW_DOWN:
        return (struct error_row){429, "429", NULL};
    case SIM_FAILURE_SERVER:
        return (struct error_row){500, "InternalServerError",
                                  "The server had an error while processing your request."};
    case SIM_FAILURE_OVERLOADED:
        return (struct error_row){503, "ServiceUnavailable",
                                  "The service is temporarily unable to process your request. "
                                  "Please try again later."};
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_FIELD:
    case SIM_FAILURE_UNKNOWN_FIELD:
    case SIM_FAILURE_CONTEXT:
    case SIM_FAILURE_FILTER:
    case SIM_FAILURE_BODY_LARGE:
        break;
    }
    return (struct error_row){0};
}

static void write_rate_message(const struct sim_failure *failure, struct buf *out)
{
    const char *what = failure->kind == SIM_FAILURE_RATE_REQUESTS ? "call" : "token";

    buf_printf(out,
               "Requests to the ChatCompletions_Create Operation under Azure OpenAI API version "
               "2024-10-21 have exceeded %s rate limit of your current pricing tier.",
               failure->kind == SIM_FAILURE_QUOTA ? "the quota and" : what);
    if (failure->retry_after_us)
        buf_printf(out, " Please retry after %llu seconds.",
                   (unsigned long long)((failure->retry_after_us + US_PER_SEC - 1) / US_PER_SEC));
}

static void write_filtered(struct buf *body)
{
    buf_append_span(body,
                    SPAN("{\"error\":{\"message\":\"The response was filtered due to the prompt "
                         "triggering Azure OpenAI's content management policy. Please modify your "
                         "prompt and retry.\",\"type\":null,\"param\":\"prompt\",\"code\":"
                         "\"content_filter\",\"status\":400,\"innererror\":{\"code\":"
                         "\"ResponsibleAIPolicyViolation\",\"content_filter_result\":"));
    sim_openai_write_filters(true, body);
    buf_append_span(body, SPAN("}}}"));
}

int sim_azure_write_failure(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct buf message;

    if (failure->kind == SIM_FAILURE_FILTER) {
        write_filtered(body);
        return 400;
    }
    if (!row.status)
        return sim_openai_write_failure(failure, body);
    buf_init(&message, SIM_MAX_ECHO_BYTES);
    if (row.message)
        buf_append_span(&message, span_from_text(row.message));
    else
        write_rate_message(failure, &message);
    buf_printf(body, "{\"error\":{\"code\":\"%s\",\"message\":", row.code);
    json_write_string(body, buf_span(&message));
    buf_append_span(body, SPAN("}}"));
    buf_fini(&message);
    return row.status;
}

void sim_azure_write_failure_event(const struct sim_failure *failure, const struct sim_stamp *stamp,
                                   struct buf *body)
{
    buf_append_span(body, SPAN("data: "));
    sim_azure_write_failure(failure, body);
    sim_end_event(stamp, body);
}

/* Whole seconds, and on success only what is left. */
static void write_limits(const struct sim_head_facts *facts, struct buf *fields)
{
    if (facts->reset_form == SIM_RESET_NONE)
        return;
    if (facts->requests.limit)
        buf_printf(fields, "x-ratelimit-remaining-requests: %llu\r\n",
                   (unsigned long long)facts->requests.remaining);
    if (facts->tokens.limit)
        buf_printf(fields,
                   "x-ratelimit-remaining-tokens: %llu\r\nx-ratelimit-reset-tokens: %llu\r\n",
                   (unsigned long long)facts->tokens.remaining,
                   (unsigned long long)((facts->tokens.reset_us + US_PER_SEC - 1) / US_PER_SEC));
}

void sim_azure_write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    struct sim_head_facts told = *facts;

    buf_append_span(fields, facts->is_stream
                                ? SPAN("Content-Type: text/event-stream; charset=utf-8\r\n")
                                : SPAN("Content-Type: application/json\r\n"));
    buf_printf(fields, "apim-request-id: %016llx\r\nx-request-id: req_%016llx\r\n",
               (unsigned long long)facts->id, (unsigned long long)facts->id);
    buf_append_span(fields, SPAN("x-ms-region: Simulated\r\n"));
    write_limits(facts, fields);
    /* Where a scenario does not say otherwise, both forms are told. */
    if (told.retry_form == SIM_RETRY_SECONDS)
        told.retry_form = SIM_RETRY_BOTH;
    sim_write_retry_after(&told, fields);
}
