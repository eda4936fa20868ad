#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "canary/canary.h"

struct line {
    char *text;
    size_t len;
    const char *others;
};

static void say(struct line *line, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct line *line, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(line->text + line->len, CANARY_EXPLAIN_BYTES - line->len, format, args);
    va_end(args);
    if (len > 0)
        line->len += (size_t)len;
    if (line->len >= CANARY_EXPLAIN_BYTES)
        line->len = CANARY_EXPLAIN_BYTES - 1;
}

static double typical_ms(const struct evidence_totals *totals)
{
    return totals->timed ? exp(totals->latency_ln_sum / (double)totals->timed) / 1000 : 0;
}

static double percent(uint32_t ppm)
{
    return (double)ppm / (RAMP_WHOLE_PPM / 100);
}

static void say_refused(struct line *line, const struct evidence *evidence)
{
    say(line, "%" PRIu64 " of %" PRIu64 " requests were refused for the key",
        evidence->canary.refused, evidence->canary.requests);
    if (evidence->control.requests)
        say(line, " (%s: %" PRIu64 " of %" PRIu64 ")", line->others, evidence->control.refused,
            evidence->control.requests);
}

static void say_failures(struct line *line, const struct evidence *evidence)
{
    say(line, "%" PRIu64 " of %" PRIu64 " requests failed", evidence->canary.failures,
        evidence->canary.requests);
    if (evidence->control.requests)
        say(line, " (%s: %" PRIu64 " of %" PRIu64 ")", line->others, evidence->control.failures,
            evidence->control.requests);
    else
        say(line, " (no %s to compare with)", line->others);
}

static void say_latency(struct line *line, const struct evidence *evidence,
                        const struct evidence_settings *settings)
{
    say(line,
        "the first byte takes about %.0f ms (%s: %.0f ms; allowed:", typical_ms(&evidence->canary),
        line->others, typical_ms(&evidence->control));
    if (settings->max_latency_milli != EVIDENCE_NO_LIMIT)
        say(line, " %g times", settings->max_latency_milli / 1000.0);
    if (settings->max_added_latency_ms != EVIDENCE_NO_LIMIT)
        say(line, " %" PRIu32 " ms more", settings->max_added_latency_ms);
    say(line, ")");
}

static void say_cause(struct line *line, const struct evidence *evidence,
                      const struct evidence_settings *settings, enum evidence_cause cause)
{
    switch (cause) {
    case EVIDENCE_REFUSED:
        say_refused(line, evidence);
        break;
    case EVIDENCE_ERRORS:
        say_failures(line, evidence);
        break;
    case EVIDENCE_LATENCY:
        say_latency(line, evidence, settings);
        break;
    case EVIDENCE_DIVERGENCE:
        say(line, "%" PRIu64 " of %" PRIu64 " compared answers differ (allowed: %g%%)",
            evidence->differing, evidence->compared, percent(settings->max_divergence_ppm));
        break;
    case EVIDENCE_UNMEASURED:
        say(line, "divergence is not measured: no answers were compared");
        break;
    case EVIDENCE_NOTHING:
    case EVIDENCE_CAUSES:
        break;
    }
}

static void say_wait(struct line *line, const struct canary *canary,
                     const struct canary_settings *settings)
{
    const struct evidence *evidence = &canary->evidence;
    bool is_last = canary->ramp.step + 1 >= settings->ramp.steps;
    enum evidence_cause gate = evidence_gate(evidence, &settings->evidence);
    uint64_t left_us = ramp_left_us(&canary->ramp, &settings->ramp);

    if (is_last && gate == EVIDENCE_NOTHING)
        gate = evidence_doubt(evidence, &settings->evidence);
    if (canary->ramp.is_held) {
        say(line, "; held by the operator");
    } else if (gate == EVIDENCE_ERRORS) {
        say(line, "; waits: in this step %" PRIu64 " of %" PRIu64 " failed, allowed are %g%%",
            evidence->step.failures, evidence->step.requests,
            percent(settings->evidence.max_error_ppm));
    } else if (gate != EVIDENCE_NOTHING) {
        say(line, "; waits: ");
        say_cause(line, evidence, &settings->evidence, gate);
    } else if (left_us > 0) {
        say(line, "; %" PRIu64 " s left of this step", (left_us + 999999) / 1000000);
    } else if (is_last && evidence->canary.requests < settings->min_requests) {
        say(line, "; waits for %" PRIu64 " requests to be judged by", settings->min_requests);
    }
}

size_t canary_explain(const struct canary *canary, const struct canary_settings *settings,
                      char ret_text[CANARY_EXPLAIN_BYTES])
{
    struct line line = {ret_text, 0, settings->others ? settings->others : "old keys"};

    ret_text[0] = '\0';
    switch (canary->state) {
    case CANARY_ROLLED_BACK:
        if (canary->cause != EVIDENCE_NOTHING)
            say_cause(&line, &canary->evidence, &settings->evidence, canary->cause);
        else
            say(&line, "by the operator");
        break;
    case CANARY_RAMPING:
        say(&line, "%g%%, step %" PRIu32 " of %" PRIu32 ": ",
            percent(canary_share_ppm(canary, settings)), canary->ramp.step + 1,
            settings->ramp.steps);
        say_failures(&line, &canary->evidence);
        say_wait(&line, canary, settings);
        break;
    case CANARY_PROMOTED:
        say_failures(&line, &canary->evidence);
        break;
    case CANARY_STATES:
        break;
    }
    return line.len;
}
