#include "conf/units.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"

/* Largest first. `least` is how many of it a text written here has: "60s" reads better than "1m".
 */
struct unit {
    struct span name;
    uint64_t factor;
    unsigned least;
};

#define UNIT(name, factor, least)                                                                  \
    {                                                                                              \
        {name, sizeof(name) - 1}, (factor), (least)                                                \
    }

static const struct unit duration_units[] = {
    UNIT("d", 86400000000ull, 2), UNIT("h", 3600000000ull, 1), UNIT("m", 60000000ull, 2),
    UNIT("s", 1000000ull, 1),     UNIT("ms", 1000ull, 1),
};

static const struct unit size_units[] = {
    UNIT("TiB", 1ull << 40, 1),
    UNIT("GiB", 1ull << 30, 1),
    UNIT("MiB", 1ull << 20, 1),
    UNIT("KiB", 1ull << 10, 1),
    UNIT("B", 1, 1),
    UNIT("", 1, 1),
};

static const uint64_t duration_max_us = 10000 * 86400000000ull;
static const uint64_t size_max_bytes = 1ull << 50;

/* With the largest factor this many decimals stay below 2^64. */
enum { DECIMALS_MAX = 6 };
enum { DURATION_UNITS = sizeof(duration_units) / sizeof(duration_units[0]) };
enum { SIZE_UNITS = sizeof(size_units) / sizeof(size_units[0]) };

static const struct unit *unit_find(const struct unit *units, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(units[i].name, name))
            return &units[i];
    }
    return NULL;
}

/* Adds the decimals behind a point, of a number in units of the factor. What is finer than the
 * value can hold is refused, since it would be lost without a word. */
static int read_decimals(struct span digits, uint64_t factor, uint64_t *value)
{
    uint64_t part = 0, whole = 1;

    if (!digits.len || digits.len > DECIMALS_MAX)
        return ERR_SYNTAX;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9')
            return ERR_SYNTAX;
        part = part * 10 + (uint64_t)(digits.ptr[i] - '0');
        whole *= 10;
    }
    if (part * factor % whole)
        return ERR_SYNTAX;
    *value += part * factor / whole;
    return 0;
}

/* "12", or "12.5" where decimals are allowed, times the factor. */
static int read_number(struct span text, uint64_t factor, uint64_t max, uint64_t *ret_value)
{
    size_t point = span_find_byte(text, '.');
    struct span whole = {text.ptr, point == SIZE_MAX ? text.len : point};
    uint64_t value;
    int err = span_to_u64(whole, &value);

    if (err)
        return err;
    if (value > max / factor)
        return ERR_RANGE;
    value *= factor;
    if (point != SIZE_MAX) {
        err = read_decimals(span_skip(text, point + 1), factor, &value);
        if (err)
            return err;
    }
    if (value > max)
        return ERR_RANGE;
    *ret_value = value;
    return 0;
}

/* Cuts the number from the unit behind it. */
static size_t number_length(struct span text)
{
    size_t len = 0;

    while (len < text.len &&
           ((text.ptr[len] >= '0' && text.ptr[len] <= '9') || text.ptr[len] == '.'))
        len++;
    return len;
}

int units_read_duration(struct span text, uint64_t *ret_us)
{
    size_t len = number_length(text);
    const struct unit *unit = unit_find(duration_units, DURATION_UNITS, span_skip(text, len));

    if (span_is_equal(text, SPAN("0"))) {
        *ret_us = 0;
        return 0;
    }
    if (!unit)
        return ERR_SYNTAX;
    return read_number(span_of(text.ptr, len), unit->factor, duration_max_us, ret_us);
}

int units_read_size(struct span text, uint64_t *ret_bytes)
{
    size_t len = number_length(text);
    const struct unit *unit = unit_find(size_units, SIZE_UNITS, span_skip(text, len));

    if (!unit)
        return ERR_SYNTAX;
    return read_number(span_of(text.ptr, len), unit->factor, size_max_bytes, ret_bytes);
}

int units_read_share(struct span text, uint32_t *ret_ppm)
{
    uint64_t value;
    int err;

    if (!span_has_suffix(text, SPAN("%")))
        return ERR_SYNTAX;
    err = read_number(span_of(text.ptr, text.len - 1), 10000, 1000000, &value);
    if (err)
        return err;
    *ret_ppm = (uint32_t)value;
    return 0;
}

static void write_with_unit(const struct unit *units, size_t count, uint64_t value, char *out)
{
    for (size_t i = 0; i < count; i++) {
        if (value % units[i].factor || value / units[i].factor < units[i].least)
            continue;
        snprintf(out, UNITS_TEXT_BYTES, "%llu%s", (unsigned long long)(value / units[i].factor),
                 units[i].name.ptr);
        return;
    }
}

void units_write_duration(uint64_t us, char out[UNITS_TEXT_BYTES])
{
    if (us == 0)
        snprintf(out, UNITS_TEXT_BYTES, "0s");
    else if (us % 1000 == 0)
        write_with_unit(duration_units, DURATION_UNITS, us, out);
    else
        snprintf(out, UNITS_TEXT_BYTES, "%llu.%03llums", (unsigned long long)(us / 1000),
                 (unsigned long long)(us % 1000));
}

void units_write_size(uint64_t bytes, char out[UNITS_TEXT_BYTES])
{
    if (bytes == 0)
        snprintf(out, UNITS_TEXT_BYTES, "0");
    else
        write_with_unit(size_units, SIZE_UNITS, bytes, out);
}

void units_write_share(uint32_t ppm, char out[UNITS_TEXT_BYTES])
{
    int len = snprintf(out, UNITS_TEXT_BYTES, "%u.%04u", ppm / 10000, ppm % 10000);

    while (out[len - 1] == '0')
        len--;
    if (out[len - 1] == '.')
        len--;
    out[len++] = '%';
    out[len] = '\0';
}
