#include "json/scan_inner.h"

/* What the bytes of a number are to its grammar (RFC 8259, section 6). */
enum number_byte {
    BYTE_ZERO,
    BYTE_DIGIT, /* 1 to 9 */
    BYTE_POINT,
    BYTE_SIGN,
    BYTE_EXPONENT,
    BYTE_OTHER,
    NUMBER_BYTES,
};

static enum number_byte number_byte_of(byte c)
{
    if (c >= '0' && c <= '9')
        return c == '0' ? BYTE_ZERO : BYTE_DIGIT;
    if (c == '.')
        return BYTE_POINT;
    if (c == '+' || c == '-')
        return BYTE_SIGN;
    return c == 'e' || c == 'E' ? BYTE_EXPONENT : BYTE_OTHER;
}

/* The state behind a byte within a number: STATE_AFTER where the byte is no part of it, STATE_ROOT
 * where it cannot stand there. */
static enum state number_next(enum state state, byte c)
{
    enum {
        NO = STATE_ROOT,
        ZERO = STATE_ZERO,
        WHOLE = STATE_WHOLE,
        POINT = STATE_POINT,
        PART = STATE_FRACTION,
        E = STATE_EXPONENT,
        SIGN = STATE_SIGN,
        POWER = STATE_POWER,
        END = STATE_AFTER,
    };
    /* By the next byte: 0, 1 to 9, point, sign, e, other. */
    static const uint8_t moves[][NUMBER_BYTES] = {
        [STATE_MINUS] = {ZERO, WHOLE, NO, NO, NO, NO},
        [STATE_ZERO] = {NO, NO, POINT, END, E, END},
        [STATE_WHOLE] = {WHOLE, WHOLE, POINT, END, E, END},
        [STATE_POINT] = {PART, PART, NO, NO, NO, NO},
        [STATE_FRACTION] = {PART, PART, END, END, E, END},
        [STATE_EXPONENT] = {POWER, POWER, NO, SIGN, NO, NO},
        [STATE_SIGN] = {POWER, POWER, NO, NO, NO, NO},
        [STATE_POWER] = {POWER, POWER, END, END, END, END},
    };

    return (enum state)moves[state][number_byte_of(c)];
}

static void add_digit(struct json_seen *seen, byte c)
{
    if (__builtin_mul_overflow(seen->number, 10, &seen->number) ||
        __builtin_add_overflow(seen->number, c - '0', &seen->number))
        seen->number = INT64_MAX;
}

static void number_ended(struct json_scan *scan, const byte *p)
{
    if (scan->row >= 0) {
        struct json_seen *seen = &scan->seen[scan->row];

        if (scan->is_negative)
            seen->number = -seen->number;
        scan_value_ended(scan, p);
    }
    scan->state = STATE_AFTER;
}

/* Digits before the point, which is what most numbers are: all that stand here. */
static const byte *whole_digits(struct json_scan *scan, const byte *p, const byte *end)
{
    if (scan->row < 0) {
        while (p < end && (unsigned)*p - '0' < 10)
            p++;
        return p;
    }
    for (; p < end && (unsigned)*p - '0' < 10; p++)
        add_digit(&scan->seen[scan->row], *p);
    return p;
}

const byte *scan_number(struct json_scan *scan, const byte *p, const byte *end)
{
    if (scan->state == STATE_WHOLE)
        p = whole_digits(scan, p, end);
    for (; p < end; p++) {
        enum state next = number_next((enum state)scan->state, *p);

        if (next == STATE_ROOT) {
            scan_fail(scan, JSON_FAULT_SYNTAX, p);
            return p;
        }
        if (next == STATE_AFTER) {
            number_ended(scan, p);
            return p;
        }
        if (scan->row >= 0 && next == STATE_WHOLE)
            add_digit(&scan->seen[scan->row], *p);
        else if (scan->row >= 0 && next != STATE_ZERO)
            scan->seen[scan->row].is_integer = false;
        scan->state = (uint8_t)next;
    }
    return p;
}
