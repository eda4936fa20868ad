#include "dialect/dialect.h"

#include "json/skip.h"

enum { BYTES_PER_TOKEN = 4 };

const struct dialect_error dialect_no_error = {.status = 0};

struct span dialect_header_find(const struct dialect_header *headers, size_t count,
                                struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal_nocase(headers[i].name, name))
            return headers[i].value;
    }
    return span_of(NULL, 0);
}

enum dialect_tier dialect_tier_of(struct span word)
{
    if (span_is_equal(word, SPAN("flex")))
        return DIALECT_TIER_FLEX;
    if (span_is_equal(word, SPAN("batch")))
        return DIALECT_TIER_BATCH;
    if (span_is_equal(word, SPAN("priority")) || span_is_equal(word, SPAN("fast")))
        return DIALECT_TIER_PRIORITY;
    return DIALECT_TIER_STANDARD;
}

uint64_t dialect_estimate_tokens(uint64_t text_bytes)
{
    return text_bytes / BYTES_PER_TOKEN + (text_bytes % BYTES_PER_TOKEN != 0);
}

uint16_t dialect_keep(char *field, size_t cap, struct span text)
{
    size_t len = text.len < cap ? text.len : cap;

    if (len == 0)
        return 0;
    memcpy(field, text.ptr, len);
    return (uint16_t)(len < text.len ? utf8_whole(field, len) : len);
}
