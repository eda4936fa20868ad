#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "conf/units.h"

static void durations_are_read(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t us;
    } rows[] = {
        {"250ms", 0, 250000},
        {"30s", 0, 30000000},
        {"1.5s", 0, 1500000},
        {"0.5ms", 0, 500},
        {"5m", 0, 300000000},
        {"2h", 0, 7200000000},
        {"30d", 0, 2592000000000},
        {"0", 0, 0},
        {"0s", 0, 0},
        {"10000d", 0, 864000000000000},
        {"10001d", ERR_RANGE, 0},
        {"99999999999999999999s", ERR_RANGE, 0},
        {"18446744073709551615d", ERR_RANGE, 0},
        {"0.00001s", 0, 10},
        {"0.0000001s", ERR_SYNTAX, 0},
        {"10", ERR_SYNTAX, 0},
        {"s", ERR_SYNTAX, 0},
        {".5s", ERR_SYNTAX, 0},
        {"1.s", ERR_SYNTAX, 0},
        {"1.5.5s", ERR_SYNTAX, 0},
        {"-1s", ERR_SYNTAX, 0},
        {"1 s", ERR_SYNTAX, 0},
        {"1S", ERR_SYNTAX, 0},
        {"1y", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t us = 77;

        assert_int_equal(units_read_duration(span_from_text(rows[i].text), &us), rows[i].err);
        assert_int_equal(us, rows[i].err ? 77 : rows[i].us);
    }
}

static void sizes_are_read(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t bytes;
    } rows[] = {
        {"64KiB", 0, 65536},
        {"32MiB", 0, 33554432},
        {"1GiB", 0, 1073741824},
        {"1.5MiB", 0, 1572864},
        {"512B", 0, 512},
        {"4096", 0, 4096},
        {"0", 0, 0},
        {"1024TiB", 0, 1125899906842624},
        {"1025TiB", ERR_RANGE, 0},
        {"1KB", ERR_SYNTAX, 0},
        {"1.5B", ERR_SYNTAX, 0},
        {"KiB", ERR_SYNTAX, 0},
        {"", ERR_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t bytes = 77;

        assert_int_equal(units_read_size(span_from_text(rows[i].text), &bytes), rows[i].err);
        assert_int_equal(bytes, rows[i].err ? 77 : rows[i].bytes);
    }
}

static void shares_are_read(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint32_t ppm;
    } rows[] = {
        {"5%", 0, 50000},       {"12.5%", 0, 125000}, {"0%", 0, 0},
        {"100%", 0, 1000000},   {"0.0001%", 0, 1},    {"100.1%", ERR_RANGE, 0},
        {"0.5", ERR_SYNTAX, 0}, {"%", ERR_SYNTAX, 0}, {"5 %", ERR_SYNTAX, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t ppm = 77;

        assert_int_equal(units_read_share(span_from_text(rows[i].text), &ppm), rows[i].err);
        assert_int_equal(ppm, rows[i].err ? 77 : rows[i].ppm);
    }
}

static void what_is_written_reads_well(void **state)
{
    char text[UNITS_TEXT_BYTES];

    (void)state;
    units_write_duration(60000000, text);
    assert_string_equal(text, "60s");
    units_write_duration(75000000, text);
    assert_string_equal(text, "75s");
    units_write_duration(600000000, text);
    assert_string_equal(text, "10m");
    units_write_duration(86400000000, text);
    assert_string_equal(text, "24h");
    units_write_duration(500, text);
    assert_string_equal(text, "0.500ms");
    units_write_size(33554432, text);
    assert_string_equal(text, "32MiB");
    units_write_size(1000, text);
    assert_string_equal(text, "1000B");
    units_write_share(125000, text);
    assert_string_equal(text, "12.5%");
    units_write_share(0, text);
    assert_string_equal(text, "0%");
}

/* Every value that can be read is written so that it reads back. */
static void what_is_written_reads_back(void **state)
{
    char text[UNITS_TEXT_BYTES];

    (void)state;
    for (uint64_t value = 0; value < 864000000000000; value = value * 3 + 7) {
        uint64_t us, bytes;

        units_write_duration(value, text);
        assert_int_equal(units_read_duration(span_from_text(text), &us), 0);
        assert_int_equal(us, value);
        units_write_size(value, text);
        assert_int_equal(units_read_size(span_from_text(text), &bytes), 0);
        assert_int_equal(bytes, value);
    }
    for (uint32_t value = 0; value <= 1000000; value += 7) {
        uint32_t ppm;

        units_write_share(value, text);
        assert_int_equal(units_read_share(span_from_text(text), &ppm), 0);
        assert_int_equal(ppm, value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(shares_are_read),
        cmocka_unit_test(what_is_written_reads_well),
        cmocka_unit_test(what_is_written_reads_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
