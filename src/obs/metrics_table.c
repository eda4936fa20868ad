/* The rows of tables/metrics.def as constants. */
#include "base/buf.h"
#include "obs/line.h"
#include "obs/metrics_schema.h"

const struct metric_row metric_rows[METRIC_COUNT] = {
#define METRIC(symbol, name, type, source, labels, set, help)                                      \
    [METRIC_##symbol] = {name, METRIC_##type, METRIC_##source, labels, METRIC_SET_##set, help},
#include "tables/metrics.def"
};

#define AS_TEXT(set, symbol, text) text,
static const char *const values_STATUS[] = {METRIC_STATUS_VALUES(AS_TEXT)};
static const char *const values_TOKENS[] = {METRIC_TOKENS_VALUES(AS_TEXT)};
static const char *const values_FLOW[] = {METRIC_FLOW_VALUES(AS_TEXT)};
static const char *const values_HEDGE[] = {METRIC_HEDGE_VALUES(AS_TEXT)};
static const char *const values_RETRY[] = {METRIC_RETRY_VALUES(AS_TEXT)};
static const char *const values_CANCEL[] = {METRIC_CANCEL_VALUES(AS_TEXT)};
static const char *const values_PROBE[] = {METRIC_PROBE_VALUES(AS_TEXT)};
static const char *const values_RENEWAL[] = {METRIC_RENEWAL_VALUES(AS_TEXT)};
static const char *const values_MEDIA[] = {METRIC_MEDIA_VALUES(AS_TEXT)};
static const char *const values_RELOAD[] = {METRIC_RELOAD_VALUES(AS_TEXT)};
static const char *const values_DELIVERY[] = {METRIC_DELIVERY_VALUES(AS_TEXT)};
static const char *const values_WRITES[] = {METRIC_WRITES_VALUES(AS_TEXT)};
static const char *const values_REFUSAL[] = {METRIC_REFUSAL_VALUES(AS_TEXT)};
static const char *const values_FAILURE[] = {
#define FAILURE(name, ...) #name,
#include "tables/failures.def"
#undef FAILURE
    "PASSED_ON",
};
static const char *const values_OUTCOME[] = {
#define OUTCOME(name, ...) #name,
#include "tables/outcomes.def"
#undef OUTCOME
};

const struct metric_set_row metric_set_rows[METRIC_SET_NONE] = {
#define AS_ROW(symbol, label)                                                                      \
    [METRIC_SET_##                                                                                 \
        symbol] = {label, values_##symbol, sizeof(values_##symbol) / sizeof(*values_##symbol)},
    METRIC_SETS(AS_ROW)};

/* A value of b bits is at least 2^(b-1): looking begins behind the bounds below that. */
#define IS_BELOW(bound, b)   +((bound) < (UINT64_C(1) << ((b)-1)))
#define AS_BOUND(bound, b)   bound,
#define IS_COUNTED(bound, b) +1
#define EIGHT(X, b)                                                                                \
    X(b)                                                                                           \
    , X((b) + 1)                                                                                   \
    , X((b) + 2)                                                                                   \
    , X((b) + 3)                                                                                   \
    , X((b) + 4)                                                                                   \
    , X((b) + 5)                                                                                   \
    , X((b) + 6)                                                                                   \
    , X((b) + 7)
#define ALL_BITS(X)                                                                                \
    EIGHT(X, 1), EIGHT(X, 9), EIGHT(X, 17), EIGHT(X, 25), EIGHT(X, 33), EIGHT(X, 41),              \
        EIGHT(X, 49), EIGHT(X, 57)
#define FIRST_MS(b) (0 METRIC_BOUNDS_MS(IS_BELOW, b))
#define FIRST_US(b) (0 METRIC_BOUNDS_US(IS_BELOW, b))

const struct metrics_bounds metrics_bounds_ms = {
    .count = 0 METRIC_BOUNDS_MS(IS_COUNTED, 0),
    .upper_us = {METRIC_BOUNDS_MS(AS_BOUND, 0)},
    .first = {0, ALL_BITS(FIRST_MS)},
};
const struct metrics_bounds metrics_bounds_us = {
    .count = 0 METRIC_BOUNDS_US(IS_COUNTED, 0),
    .upper_us = {METRIC_BOUNDS_US(AS_BOUND, 0)},
    .first = {0, ALL_BITS(FIRST_US)},
};

const struct metrics_bounds *metric_bounds(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
    case METRIC_COUNTER_NANO:
    case METRIC_GAUGE:
        return NULL;
    case METRIC_HISTOGRAM_MS:
        return &metrics_bounds_ms;
    case METRIC_HISTOGRAM_US:
        return &metrics_bounds_us;
    }
    return NULL;
}

uint32_t metric_width(enum metric metric)
{
    const struct metric_row *row = &metric_rows[metric];
    const struct metrics_bounds *bounds = metric_bounds(row->type);

    if (bounds)
        return bounds->count + 2; /* one above all bounds, and the sum */
    return row->set == METRIC_SET_NONE ? 1 : metric_set_rows[row->set].count;
}

const char *metric_type_text(enum metric_type type)
{
    switch (type) {
    case METRIC_COUNTER:
    case METRIC_COUNTER_NANO:
        return "counter";
    case METRIC_GAUGE:
        return "gauge";
    case METRIC_HISTOGRAM_MS:
    case METRIC_HISTOGRAM_US:
        return "histogram";
    }
    return "untyped";
}

void metric_put_time(struct buf *text, enum metric_type type, uint64_t us)
{
    char number[LINE_NUMBER_BYTES + 4];
    uint64_t whole = type == METRIC_HISTOGRAM_MS ? us / 1000 : us;
    char *end = line_put_uint(number, whole);

    if (type == METRIC_HISTOGRAM_MS && us % 1000) {
        *end++ = '.';
        for (uint64_t rest = us % 1000; rest; rest = rest % 100 * 10)
            *end++ = (char)('0' + rest / 100);
    }
    buf_append(text, number, (size_t)(end - number));
}
