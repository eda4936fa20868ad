#include "dialect/reset.h"

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "dialect/duration.h"
#include "dialect/limit_header.h"
#include "dialect/quota_day.h"

enum { NAME_MAX_BYTES = 64 };

/* Numbers from here on cannot be waits (31 years), so they are points in time. */
static const uint64_t epoch_s_from = 1000000000, epoch_ms_from = 1000000000000;

static uint64_t from_now(uint64_t then_us, uint64_t wall_us)
{
    return then_us > wall_us ? then_us - wall_us : 0;
}

/* A bare number: seconds from now, or a point in time in seconds or milliseconds. */
static int read_bare(struct span text, uint64_t wall_us, uint64_t *ret_wait_us)
{
    uint64_t us = 0;
    int err = duration_read_number(text, US_PER_SEC, &us);

    if (err == 0 && us < epoch_s_from * US_PER_SEC) {
        *ret_wait_us = us;
        return 0;
    }
    if (err == ERR_RANGE || us >= epoch_ms_from * US_PER_SEC)
        err = duration_read_number(text, US_PER_MS, &us);
    if (err == 0)
        *ret_wait_us = from_now(us, wall_us);
    return err;
}

int reset_read(struct span text, uint64_t wall_us, uint64_t *ret_wait_us)
{
    uint64_t then_us;
    int err;

    text = span_trim(text);
    err = read_bare(text, wall_us, ret_wait_us);
    if (err == ERR_SYNTAX)
        err = duration_read(text, ret_wait_us);
    if (err != ERR_SYNTAX)
        return err;
    if (datetime_read_rfc3339(text, &then_us) != 0 && datetime_read_http(text, &then_us) != 0)
        return ERR_SYNTAX;
    *ret_wait_us = from_now(then_us, wall_us);
    return 0;
}

bool reset_is_whole(struct span text)
{
    size_t digits = 0;

    text = span_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '.')
            return false;
        digits += text.ptr[i] >= '0' && text.ptr[i] <= '9';
    }
    if (digits == text.len) /* Unix milliseconds have thirteen */
        return digits < 13;
    /* "ms", "us", "ns", and the micro sign, which ends in a byte above ASCII */
    return text.len < 2 || text.ptr[text.len - 1] != 's' ||
           (strchr("mun", text.ptr[text.len - 2]) == NULL && (text.ptr[text.len - 2] & 0x80) == 0);
}

/* Headers. */

static bool is_word(struct span word, const char *a, const char *b)
{
    return span_is_equal_nocase(word, span_from_text(a)) ||
           span_is_equal_nocase(word, span_from_text(b));
}

/* The "remaining" header beside a "reset" one. */
static bool find_remaining(const struct reset_question *question, struct span name,
                           const struct limit_header *limit, uint64_t *ret_remaining)
{
    static const char word[] = "remaining";
    char partner[NAME_MAX_BYTES];
    size_t tail = limit->what_at + limit->what_len, len = limit->what_at;
    struct span value;

    if (name.len + sizeof(word) > sizeof(partner))
        return false;
    memcpy(partner, name.ptr, len);
    memcpy(partner + len, word, sizeof(word) - 1);
    len += sizeof(word) - 1;
    memcpy(partner + len, name.ptr + tail, name.len - tail);
    len += name.len - tail;
    value = dialect_header_find(question->headers, question->header_count, span_of(partner, len));
    return value.ptr && limit_header_count(value, ret_remaining);
}

/* Which kind of limit the error speaks of: 'r', 't' or 0. */
static char kind_of_error(const struct dialect_error *error)
{
    struct span type, message;

    if (!error)
        return 0;
    type = dialect_error_type(error);
    message = dialect_error_message(error);
    if (is_word(type, "tokens", "token") || span_find(message, SPAN("tokens per")) != SIZE_MAX ||
        span_find(message, SPAN("token rate limit")) != SIZE_MAX)
        return 't';
    if (is_word(type, "requests", "request") ||
        span_find(message, SPAN("requests per")) != SIZE_MAX)
        return 'r';
    return 0;
}

/* How much a reset header has to do with the refusal; 0: nothing. */
static int rank_of(const struct reset_question *question, struct span name,
                   const struct limit_header *limit, char kind)
{
    uint64_t remaining;
    bool is_known = find_remaining(question, name, limit, &remaining);

    if (is_known && remaining == 0)
        return 3;
    if (kind && kind == limit->kind)
        return 2;
    return is_known ? 0 : 1;
}

static uint64_t find_in_limits(const struct reset_question *question)
{
    char kind = kind_of_error(question->error);
    uint64_t best_us = 0, wait_us;
    int best = 0;

    for (size_t i = 0; i < question->header_count; i++) {
        const struct dialect_header *header = &question->headers[i];
        struct limit_header limit = limit_header_read(header->name);
        int rank;

        if (limit.what != 't' || reset_read(header->value, question->wall_us, &wait_us) != 0 ||
            wait_us == 0)
            continue;
        rank = rank_of(question, header->name, &limit, kind);
        if (rank > best || (rank && rank == best && wait_us > best_us)) {
            best = rank;
            best_us = wait_us;
        }
    }
    return best_us;
}

static uint64_t find_in_message(const struct dialect_error *error)
{
    static const struct span leads[] = {
        SPAN_INIT("try again in "), SPAN_INIT("retry after "),  SPAN_INIT("retry in "),
        SPAN_INIT("again after "),  SPAN_INIT("Retry after "),  SPAN_INIT("Retry in "),
        SPAN_INIT("Try again in "), SPAN_INIT("available in "),
    };
    struct span message = error ? dialect_error_message(error) : span_of(NULL, 0);
    uint64_t us;

    for (size_t i = 0; i < sizeof(leads) / sizeof(leads[0]); i++) {
        size_t at = span_find(message, leads[i]);
        struct span rest;

        if (at == SIZE_MAX)
            continue;
        rest = span_skip(message, at + leads[i].len);
        if (duration_take(&rest, true, &us) == 0)
            return us;
    }
    return 0;
}

/* 0 where it is absent, unreadable, or says 0. */
static uint64_t find_in_header(const struct reset_question *question, struct span name, bool is_ms,
                               bool *ret_is_zero)
{
    struct span value = dialect_header_find(question->headers, question->header_count, name);
    uint64_t wait_us;

    if (!value.ptr)
        return 0;
    value = span_trim(value);
    if (is_ms) {
        if (duration_read_number(value, US_PER_MS, &wait_us) != 0)
            return 0;
    } else if (reset_read(value, question->wall_us, &wait_us) != 0) {
        return 0;
    }
    *ret_is_zero = *ret_is_zero || wait_us == 0;
    return wait_us;
}

/* What is said of this request or of a limit, the best first; 0 for none. */
static struct reset_hint find_told(const struct reset_question *question, bool *ret_is_zero)
{
    const struct dialect_error *error = question->error;
    struct reset_hint hint = {0, RESET_RETRY_AFTER_MS};

    hint.wait_us = find_in_header(question, SPAN("retry-after-ms"), true, ret_is_zero);
    if (!hint.wait_us)
        hint.wait_us = find_in_header(question, SPAN("x-ms-retry-after-ms"), true, ret_is_zero);
    if (!hint.wait_us) {
        hint.source = RESET_RETRY_AFTER;
        hint.wait_us = find_in_header(question, SPAN("retry-after"), false, ret_is_zero);
    }
    if (!hint.wait_us && error) {
        hint.source = RESET_RETRY_INFO;
        hint.wait_us = error->retry_after_ms * US_PER_MS;
    }
    if (!hint.wait_us) {
        hint.source = RESET_MESSAGE;
        hint.wait_us = find_in_message(error);
    }
    if (!hint.wait_us) {
        hint.source = RESET_HEADER;
        hint.wait_us = find_in_limits(question);
    }
    return hint;
}

static uint64_t find_day(const struct reset_question *question)
{
    if (!question->error ||
        span_find(dialect_error_detail(question->error), SPAN("PerDay")) == SIZE_MAX)
        return 0;
    return quota_day_left(question->wall_us);
}

struct reset_hint reset_find(const struct reset_question *question)
{
    const uint64_t floor_us = RESET_FLOOR_MS * US_PER_MS, day_us = find_day(question);
    bool is_zero = false;
    struct reset_hint hint = find_told(question, &is_zero);

    if (day_us > hint.wait_us)
        hint = (struct reset_hint){day_us, RESET_DAY};
    if (!hint.wait_us && !is_zero)
        return (struct reset_hint){0, RESET_NONE};
    if (!hint.wait_us)
        hint.source = RESET_RETRY_AFTER;
    if (hint.wait_us < floor_us)
        hint.wait_us = floor_us;
    if (hint.wait_us > question->max_us)
        hint.wait_us = question->max_us;
    return hint;
}
