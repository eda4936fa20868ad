#include "migration/side.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/err.h"

#define VERSION "side/1"

/* More than any side counts, and room left to add to it. */
#define COUNT_MAX (UINT64_C(1) << 62)

static const struct {
    struct span name;
    size_t offset;
} fields[] = {
    {SPAN_INIT("requests"), offsetof(struct side, requests)},
    {SPAN_INIT("failures"), offsetof(struct side, failures)},
    {SPAN_INIT("refused"), offsetof(struct side, refused)},
    {SPAN_INIT("broken"), offsetof(struct side, broken)},
    {SPAN_INIT("whole"), offsetof(struct side, whole)},
    {SPAN_INIT("prompt"), offsetof(struct side, prompt_tokens)},
    {SPAN_INIT("completion"), offsetof(struct side, completion_tokens)},
    {SPAN_INIT("cost"), offsetof(struct side, cost_nano)},
};

enum { FIELDS = sizeof(fields) / sizeof(fields[0]) };

static const struct span measures[SIDE_MEASURES] = {
    [SIDE_FIRST_BYTE] = SPAN_INIT("first_byte"),
    [SIDE_TOTAL] = SPAN_INIT("total"),
    [SIDE_LENGTH] = SPAN_INIT("length"),
    [SIDE_COST] = SPAN_INIT("price"),
};

/* ---- quantiles ---- */

uint64_t side_measured(const struct side *side, enum side_measure measure)
{
    uint64_t count = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++)
        count += side->counts[measure][i];
    return count;
}

uint64_t side_quantile(const struct side *side, enum side_measure measure, unsigned per_mille)
{
    uint64_t count = side_measured(side, measure), before = 0;
    /* In two parts: the product of the whole might not fit. */
    uint64_t rank = count / 1000 * per_mille + count % 1000 * per_mille / 1000;

    if (count == 0)
        return 0;
    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        before += side->counts[measure][i];
        if (before > rank || before == count)
            return latency_of(i);
    }
    return 0;
}

/* ---- writing ---- */

static int write_measure(const struct side *side, int measure, struct buf *buf)
{
    const char *before = "";
    int err = buf_printf(buf, " %.*s=", SPAN_ARG(measures[measure]));

    for (uint32_t i = 0; i < LATENCY_BUCKETS && !err; i++) {
        if (!side->counts[measure][i])
            continue;
        err = buf_printf(buf, "%s%" PRIu32 ":%" PRIu64, before, i, side->counts[measure][i]);
        before = ",";
    }
    return err;
}

int side_write(const struct side *side, struct buf *buf)
{
    size_t start = buf->len;
    int err = buf_append_span(buf, SPAN(VERSION));

    for (size_t i = 0; i < FIELDS && !err; i++) {
        const uint64_t *number = (const void *)((const char *)side + fields[i].offset);

        err = buf_printf(buf, " %.*s=%" PRIu64, SPAN_ARG(fields[i].name), *number);
    }
    for (int i = 0; i < SIDE_MEASURES && !err; i++)
        err = write_measure(side, i, buf);
    if (err)
        buf->len = start;
    return err;
}

/* ---- reading ---- */

/* The value of the next word, which must be `name=value`. */
static int next_value(struct span *rest, struct span name, struct span *ret_value)
{
    struct span word;

    if (!span_next_token(rest, ' ', &word) || !span_has_prefix(word, name))
        return ERR_SYNTAX;
    word = span_skip(word, name.len);
    if (!word.len || word.ptr[0] != '=')
        return ERR_SYNTAX;
    *ret_value = span_skip(word, 1);
    return 0;
}

static int read_count(struct span text, uint64_t *ret_count)
{
    int err = span_to_u64(text, ret_count);

    return !err && *ret_count > COUNT_MAX ? ERR_RANGE : err;
}

static int read_bucket(struct span text, struct side *side, int measure)
{
    size_t colon = span_find_byte(text, ':');
    uint64_t bucket, count;
    int err = colon == SIZE_MAX ? ERR_SYNTAX : span_to_u64(span_of(text.ptr, colon), &bucket);

    if (!err)
        err = read_count(span_skip(text, colon + 1), &count);
    if (err)
        return err;
    if (bucket >= LATENCY_BUCKETS || side->counts[measure][bucket])
        return ERR_RANGE;
    side->counts[measure][bucket] = count;
    return 0;
}

static int read_measure(struct span text, struct side *side, int measure)
{
    struct span bucket;
    int err = 0;

    while (!err && text.len && span_next_token(&text, ',', &bucket))
        err = read_bucket(bucket, side, measure);
    return err;
}

int side_read(struct span text, struct side *ret_side)
{
    struct side side = {.requests = 0};
    struct span rest = text, word;
    int err = 0;

    if (!span_next_token(&rest, ' ', &word))
        return ERR_SYNTAX;
    if (!span_is_equal(word, SPAN(VERSION)))
        return span_has_prefix(word, SPAN("side/")) ? ERR_UNSUPPORTED : ERR_SYNTAX;
    for (size_t i = 0; i < FIELDS && !err; i++) {
        err = next_value(&rest, fields[i].name, &word);
        if (!err)
            err = read_count(word, (void *)((char *)&side + fields[i].offset));
    }
    for (int i = 0; i < SIDE_MEASURES && !err; i++) {
        err = next_value(&rest, measures[i], &word);
        if (!err)
            err = read_measure(word, &side, i);
    }
    if (!err && span_next_token(&rest, ' ', &word))
        err = ERR_SYNTAX;
    if (!err && (side.failures > side.requests || side.refused > side.failures ||
                 side.broken > side.failures))
        err = ERR_RANGE;
    if (!err)
        *ret_side = side;
    return err;
}
