#include "sim/fields.h"

#include "base/clock.h"
#include "base/datetime.h"

void sim_end_event(const struct sim_stamp *stamp, struct buf *out)
{
    buf_append_span(out, stamp->is_crlf ? SPAN("\r\n\r\n") : SPAN("\n\n"));
}

void sim_write_go_duration(uint64_t us, struct buf *out)
{
    uint64_t ms = (us + US_PER_MS - 1) / US_PER_MS;
    uint64_t minutes = ms / 60000;

    if (ms && ms < 1000) {
        buf_printf(out, "%llums", (unsigned long long)ms);
        return;
    }
    if (minutes >= 60)
        buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
    if (minutes)
        buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
    buf_printf(out, "%gs", (double)(ms % 60000) / 1000);
}

void sim_write_reset(enum sim_reset_form form, uint64_t reset_us, uint64_t wall_us, struct buf *out)
{
    uint64_t second = (wall_us + reset_us + US_PER_SEC - 1) / US_PER_SEC;
    char text[RFC3339_BYTES + HTTP_DATE_BYTES];

    switch (form) {
    case SIM_RESET_GO:
        sim_write_go_duration(reset_us, out);
        break;
    case SIM_RESET_SECONDS:
        buf_printf(out, "%.3f", (double)reset_us / 1e6);
        break;
    case SIM_RESET_EPOCH:
        buf_printf(out, "%llu", (unsigned long long)second);
        break;
    case SIM_RESET_RFC3339:
        datetime_write_rfc3339(wall_us + reset_us, text);
        buf_append(out, text, RFC3339_BYTES);
        break;
    case SIM_RESET_HTTP_DATE:
        datetime_write_http(second * US_PER_SEC, text);
        buf_append(out, text, HTTP_DATE_BYTES);
        break;
    case SIM_RESET_NONE:
        break;
    }
}

void sim_write_meter(const struct sim_head_facts *facts, const struct sim_meter *meter,
                     const char *before, const char *after, struct buf *out)
{
    if (!meter->limit || facts->reset_form == SIM_RESET_NONE)
        return;
    buf_printf(out, "%slimit%s: %llu\r\n%sremaining%s: %llu\r\n%sreset%s: ", before, after,
               (unsigned long long)meter->limit, before, after,
               (unsigned long long)meter->remaining, before, after);
    sim_write_reset(facts->reset_form, meter->reset_us, facts->wall_us, out);
    buf_append_span(out, SPAN("\r\n"));
}

void sim_write_retry_after(const struct sim_head_facts *facts, struct buf *out)
{
    uint64_t us = facts->retry_after_us;
    bool has_ms = facts->retry_form == SIM_RETRY_MS || facts->retry_form == SIM_RETRY_BOTH;
    bool has_seconds =
        facts->retry_form == SIM_RETRY_SECONDS || facts->retry_form == SIM_RETRY_BOTH;

    if (!us)
        return;
    if (has_seconds)
        buf_printf(out, "retry-after: %llu\r\n",
                   (unsigned long long)((us + US_PER_SEC - 1) / US_PER_SEC));
    if (has_ms)
        buf_printf(out, "retry-after-ms: %llu\r\n",
                   (unsigned long long)((us + US_PER_MS - 1) / US_PER_MS));
    if (facts->retry_form == SIM_RETRY_DATE) {
        buf_append_span(out, SPAN("retry-after: "));
        sim_write_reset(SIM_RESET_HTTP_DATE, us, facts->wall_us, out);
        buf_append_span(out, SPAN("\r\n"));
    }
}
