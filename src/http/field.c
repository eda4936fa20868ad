#include "http/field.h"

static const struct span names[FIELD_COUNT] = {
#define FIELD(id, name) [FIELD_##id] = {name, sizeof(name) - 1},
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

static uint64_t load_8(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

static uint32_t load_4(const char *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* Lower-case letters, digits and '-' alone stand in the table: or-ing 0x20 makes exactly the
 * letters equal that differ in case, and no other byte of a field name (RFC 9110 5.6.2) into one of
 * these but '\r', which no name holds. Word by word; the last word overlaps the one before it. */
static bool is_same(const char *name, const char *known, size_t len)
{
    const uint64_t lower = UINT64_C(0x2020202020202020);
    uint64_t difference = 0;

    if (len < 8)
        return (((load_4(name) | (uint32_t)lower) ^ load_4(known)) |
                ((load_4(name + len - 4) | (uint32_t)lower) ^ load_4(known + len - 4))) == 0;
    for (size_t i = 0; i < len - 8; i += 8)
        difference |= (load_8(name + i) | lower) ^ load_8(known + i);
    return (difference | ((load_8(name + len - 8) | lower) ^ load_8(known + len - 8))) == 0;
}

enum field_id field_id_of(struct span name)
{
    unsigned id = name.len <= LENGTH_MAX ? first_of[name.len] : FIELD_OTHER;

    if (id == FIELD_OTHER)
        return FIELD_OTHER;
    for (; id < FIELD_COUNT && names[id].len == name.len; id++) {
        if (is_same(name.ptr, names[id].ptr, name.len))
            return (enum field_id)id;
    }
    return FIELD_OTHER;
}
