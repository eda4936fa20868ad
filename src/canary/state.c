#include "canary/state.h"

#include <inttypes.h>
#include <math.h>

#include "base/err.h"

/* Counts beyond this lose single ones as a double, and no canary lives that long. */
#define COUNT_MAX (INT64_C(1) << 53)

/* Fractions beyond this would not be written as they were read. */
#define SCALED_MAX (INT64_C(1) << 50)

#define VERSION "canary/1"

enum kind {
    KIND_STATE,
    KIND_CAUSE,
    KIND_FLAG,
    KIND_STEP,
    KIND_COUNT, /* uint64_t */
    KIND_LN,    /* a double of any sign, in millionths */
    KIND_SUM,   /* a double of at least 0, in millionths */
    KIND_LARGE, /* the same in thousandths */
    KINDS,
};

struct field {
    struct span name;
    size_t offset;
    enum kind kind;
};

#define FIELD(kind, name, place)                                                                   \
    {                                                                                              \
        SPAN_INIT(name), offsetof(struct canary, place), kind                                      \
    }

/* In this order. */
static const struct field fields[] = {
    FIELD(KIND_STATE, "state", state),
    FIELD(KIND_CAUSE, "cause", cause),
    FIELD(KIND_STEP, "step", ramp.step),
    FIELD(KIND_COUNT, "elapsed_us", ramp.elapsed_us),
    FIELD(KIND_FLAG, "held", ramp.is_held),
    FIELD(KIND_COUNT, "requests", evidence.canary.requests),
    FIELD(KIND_COUNT, "failures", evidence.canary.failures),
    FIELD(KIND_COUNT, "refused", evidence.canary.refused),
    FIELD(KIND_COUNT, "timed", evidence.canary.timed),
    FIELD(KIND_LARGE, "latency", evidence.canary.latency_ln_sum),
    FIELD(KIND_COUNT, "old_requests", evidence.control.requests),
    FIELD(KIND_COUNT, "old_failures", evidence.control.failures),
    FIELD(KIND_COUNT, "old_refused", evidence.control.refused),
    FIELD(KIND_COUNT, "old_timed", evidence.control.timed),
    FIELD(KIND_LARGE, "old_latency", evidence.control.latency_ln_sum),
    FIELD(KIND_COUNT, "compared", evidence.compared),
    FIELD(KIND_COUNT, "differing", evidence.differing),
    FIELD(KIND_SUM, "all_timed", evidence.times.timed),
    FIELD(KIND_SUM, "all_slow", evidence.times.slow),
    FIELD(KIND_COUNT, "step_requests", evidence.step.requests),
    FIELD(KIND_COUNT, "step_failures", evidence.step.failures),
    FIELD(KIND_COUNT, "step_compared", evidence.step.compared),
    FIELD(KIND_COUNT, "step_differing", evidence.step.differing),
    FIELD(KIND_SUM, "step_timed", evidence.step.times.timed),
    FIELD(KIND_SUM, "step_slow", evidence.step.times.slow),
    FIELD(KIND_SUM, "usual_requests", evidence.usual.requests),
    FIELD(KIND_SUM, "usual_failures", evidence.usual.failures),
    FIELD(KIND_SUM, "lately_requests", evidence.lately.requests),
    FIELD(KIND_SUM, "lately_failures", evidence.lately.failures),
    FIELD(KIND_COUNT, "excess_staked", evidence.excess.requests),
    FIELD(KIND_LN, "excess", evidence.excess.ln[0]),
    FIELD(KIND_COUNT, "alone_staked", evidence.alone.requests),
    FIELD(KIND_LN, "alone_excess", evidence.alone.ln[0]),
    FIELD(KIND_COUNT, "against_staked", evidence.against.requests),
    FIELD(KIND_LN, "against", evidence.against.ln[0]),
    FIELD(KIND_LN, "against2", evidence.against.ln[1]),
    FIELD(KIND_COUNT, "slow_staked", evidence.slow.requests),
    FIELD(KIND_LN, "slow", evidence.slow.ln[0]),
    FIELD(KIND_LN, "slow2", evidence.slow.ln[1]),
    FIELD(KIND_LN, "slow3", evidence.slow.ln[2]),
    FIELD(KIND_LN, "slow4", evidence.slow.ln[3]),
    FIELD(KIND_COUNT, "diverged_staked", evidence.diverged.requests),
    FIELD(KIND_LN, "diverged", evidence.diverged.ln[0]),
    FIELD(KIND_LN, "diverged2", evidence.diverged.ln[1]),
    FIELD(KIND_LN, "diverged3", evidence.diverged.ln[2]),
    FIELD(KIND_SUM, "refused_score", evidence.refused_score),
    FIELD(KIND_COUNT, "run_refused", evidence.run_refused),
    FIELD(KIND_COUNT, "run_answered", evidence.run_answered),
    FIELD(KIND_COUNT, "run_doubts", evidence.run_doubts),
    FIELD(KIND_FLAG, "alone", evidence.is_alone),
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

/* What a number of each kind may be. */
static const struct {
    int64_t least, most;
} bounds[KINDS] = {
    [KIND_STATE] = {0, CANARY_STATES - 1},
    [KIND_CAUSE] = {0, EVIDENCE_CAUSES - 1},
    [KIND_FLAG] = {0, 1},
    [KIND_STEP] = {0, RAMP_MAX_STEPS - 1},
    [KIND_COUNT] = {0, COUNT_MAX},
    [KIND_LN] = {-SCALED_MAX, SCALED_MAX},
    [KIND_SUM] = {0, SCALED_MAX},
    [KIND_LARGE] = {0, SCALED_MAX},
};

static double scale_of(enum kind kind)
{
    return kind == KIND_LARGE ? 1e3 : 1e6;
}

static int64_t scaled(double value, enum kind kind)
{
    double number = value * scale_of(kind);

    if (!(number > (double)-SCALED_MAX)) /* also what is no number: nothing speaks for it */
        return -SCALED_MAX;
    return number < (double)SCALED_MAX ? (int64_t)llround(number) : SCALED_MAX;
}

static int64_t get(const struct canary *canary, const struct field *field)
{
    const void *place = (const char *)canary + field->offset;
    int64_t number = 0;

    switch (field->kind) {
    case KIND_STATE:
        number = *(const enum canary_state *)place;
        break;
    case KIND_CAUSE:
        number = *(const enum evidence_cause *)place;
        break;
    case KIND_FLAG:
        number = *(const bool *)place;
        break;
    case KIND_STEP:
        number = *(const uint32_t *)place;
        break;
    case KIND_COUNT: {
        uint64_t count = *(const uint64_t *)place;

        number = count < COUNT_MAX ? (int64_t)count : COUNT_MAX;
        break;
    }
    case KIND_LN:
    case KIND_SUM:
    case KIND_LARGE:
        number = scaled(*(const double *)place, field->kind);
        break;
    case KINDS:
        break;
    }
    return number > bounds[field->kind].least ? number : bounds[field->kind].least;
}

static void set(struct canary *canary, const struct field *field, int64_t number)
{
    void *place = (char *)canary + field->offset;

    switch (field->kind) {
    case KIND_STATE:
        *(enum canary_state *)place = (enum canary_state)number;
        break;
    case KIND_CAUSE:
        *(enum evidence_cause *)place = (enum evidence_cause)number;
        break;
    case KIND_FLAG:
        *(bool *)place = number;
        break;
    case KIND_STEP:
        *(uint32_t *)place = (uint32_t)number;
        break;
    case KIND_COUNT:
        *(uint64_t *)place = (uint64_t)number;
        break;
    case KIND_LN:
    case KIND_SUM:
    case KIND_LARGE:
        *(double *)place = (double)number / scale_of(field->kind);
        break;
    case KINDS:
        break;
    }
}

int canary_write(const struct canary *canary, struct buf *buf)
{
    size_t start = buf->len;
    int err = buf_append_span(buf, SPAN(VERSION));

    for (size_t i = 0; i < FIELDS && !err; i++)
        err = buf_printf(buf, " %.*s=%" PRId64, SPAN_ARG(fields[i].name), get(canary, &fields[i]));
    if (err)
        buf->len = start;
    return err;
}

static int read_number(struct span text, enum kind kind, int64_t *ret_number)
{
    bool is_negative = text.len > 0 && text.ptr[0] == '-';
    uint64_t size = 0;
    int64_t number;
    int err = span_to_u64(is_negative ? span_skip(text, 1) : text, &size);

    if (err)
        return err;
    if (size > (uint64_t)COUNT_MAX)
        return ERR_RANGE;
    number = is_negative ? -(int64_t)size : (int64_t)size;
    if (number < bounds[kind].least || number > bounds[kind].most)
        return ERR_RANGE;
    *ret_number = number;
    return 0;
}

static int read_field(struct span *rest, const struct field *field, struct canary *canary)
{
    struct span word;
    int64_t number = 0;
    int err;

    if (!span_next_token(rest, ' ', &word) || !span_has_prefix(word, field->name))
        return ERR_SYNTAX;
    word = span_skip(word, field->name.len);
    if (word.len == 0 || word.ptr[0] != '=')
        return ERR_SYNTAX;
    err = read_number(span_skip(word, 1), field->kind, &number);
    if (!err)
        set(canary, field, number);
    return err;
}

/* A part is never more than its whole. */
static bool is_sound(const struct canary *canary)
{
    const struct evidence *evidence = &canary->evidence;
    const struct evidence_step *step = &evidence->step;

    return evidence->canary.failures <= evidence->canary.requests &&
           evidence->canary.refused <= evidence->canary.failures &&
           evidence->control.failures <= evidence->control.requests &&
           evidence->control.refused <= evidence->control.failures &&
           evidence->differing <= evidence->compared && step->failures <= step->requests &&
           step->differing <= step->compared && step->times.slow <= step->times.timed &&
           evidence->times.slow <= evidence->times.timed &&
           step->requests <= evidence->canary.requests &&
           evidence->usual.failures <= evidence->usual.requests &&
           evidence->lately.failures <= evidence->lately.requests &&
           (canary->state == CANARY_ROLLED_BACK || canary->cause == EVIDENCE_NOTHING);
}

int canary_read(struct span text, uint64_t now_us, struct canary *ret_canary)
{
    struct canary canary;
    struct span rest = text, word;
    int err = 0;

    canary = (struct canary){.state = CANARY_RAMPING};
    if (!span_next_token(&rest, ' ', &word))
        return ERR_SYNTAX;
    if (!span_is_equal(word, SPAN(VERSION)))
        return span_has_prefix(word, SPAN("canary/")) ? ERR_UNSUPPORTED : ERR_SYNTAX;
    evidence_init(&canary.evidence);
    ramp_init(&canary.ramp, now_us);
    for (size_t i = 0; i < FIELDS; i++) {
        err = read_field(&rest, &fields[i], &canary);
        if (err)
            return err;
    }
    if (span_next_token(&rest, ' ', &word))
        return ERR_SYNTAX;
    if (!is_sound(&canary))
        return ERR_RANGE;
    *ret_canary = canary;
    return 0;
}
