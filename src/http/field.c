#include "http/field.h"

static const struct span names[FIELD_COUNT] = {
#define FIELD(id, name) [FIELD_##id] = {name, sizeof(name) - 1},
#include "tables/fields.def"
#undef FIELD
};

/* For each length the first row that has it; rows of one length stand side by side. */
enum { LENGTH_MAX = 20 };
static const uint8_t first_of[LENGTH_MAX + 2] = {
    [4] = FIELD_HOST,
    [6] = FIELD_ACCEPT,
    [10] = FIELD_REQUEST_ID,
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
 * these but '\r', which no name holds. */
static bool is_same(const char *name, const struct span known)
{
    unsigned difference = 0;

    for (size_t i = 0; i < known.len; i++)
        difference |= (unsigned)((unsigned char)name[i] | 0x20u) ^ (unsigned char)known.ptr[i];
    return difference == 0;
}

enum field_id field_id_of(struct span name)
{
    unsigned id = name.len <= LENGTH_MAX ? first_of[name.len] : FIELD_OTHER;

    if (id == FIELD_OTHER)
        return FIELD_OTHER;
    for (; id < FIELD_COUNT && names[id].len == name.len; id++) {
        if (((unsigned char)name.ptr[0] | 0x20u) == (unsigned char)names[id].ptr[0] &&
            is_same(name.ptr, names[id]))
            return (enum field_id)id;
    }
    return FIELD_OTHER;
}
