#include "http/field.h"

#include "base/word.h"

enum { TELLING = 2 };

static const struct {
    const char *name;
    uint8_t len;
    char telling; /* the byte at TELLING: of one length it differs nearly everywhere */
} known[FIELD_COUNT] = {
#define FIELD(id, name) [FIELD_##id] = {name, sizeof(name) - 1, (name)[TELLING]},
#include "tables/fields.def"
#undef FIELD
};

/* For each length the first row that has it; rows of one length stand side by side, and the
 * shortest has four bytes. */
enum { LENGTH_MAX = 20 };
static const uint8_t first_of[LENGTH_MAX + 2] = {
    [4] = FIELD_HOST,
    [6] = FIELD_ACCEPT,
    [7] = FIELD_API_KEY,
    [9] = FIELD_X_API_KEY,
    [10] = FIELD_CONNECTION,
    [11] = FIELD_OPENAI_BETA,
    [12] = FIELD_CONTENT_TYPE,
    [13] = FIELD_AUTHORIZATION,
    [14] = FIELD_ANTHROPIC_BETA,
    [15] = FIELD_APIM_REQUEST_ID,
    [16] = FIELD_CONTENT_ENCODING,
    [17] = FIELD_ANTHROPIC_VERSION,
    [20] = FIELD_OPENAI_PROCESSING_MS,
};

/* Lower-case letters, digits and '-' alone stand in the table: or-ing 0x20 makes exactly the
 * letters equal that differ in case, and no other byte of a field name (RFC 9110 5.6.2) into one of
 * these: '\r' and 0x10 to 0x19 alone, which no name holds. Word by word; the last word overlaps the
 * one before it. */
static inline bool is_same(const char *name, const char *other, size_t len)
{
    const uint64_t lower = UINT64_C(0x2020202020202020);
    uint64_t difference = 0;

    if (len < 8)
        return (((word_4(name) | (uint32_t)lower) ^ word_4(other)) |
                ((word_4(name + len - 4) | (uint32_t)lower) ^ word_4(other + len - 4))) == 0;
    difference = (word_8(name) | lower) ^ word_8(other);
    if (len > 16)
        difference |= (word_8(name + 8) | lower) ^ word_8(other + 8);
    return (difference | ((word_8(name + len - 8) | lower) ^ word_8(other + len - 8))) == 0;
}

enum field_id field_id_of(struct span name)
{
    unsigned id = name.len <= LENGTH_MAX ? first_of[name.len] : FIELD_OTHER;

    char telling;

    if (id == FIELD_OTHER)
        return FIELD_OTHER;
    telling = name.ptr[TELLING] | 0x20;
    for (; id < FIELD_COUNT && known[id].len == name.len; id++) {
        if (known[id].telling == telling && is_same(name.ptr, known[id].name, name.len))
            return (enum field_id)id;
    }
    return FIELD_OTHER;
}

_Static_assert(LENGTH_MAX <= 24, "is_same compares three words");
