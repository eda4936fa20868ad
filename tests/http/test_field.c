#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <ctype.h>
#include <string.h>
#include <cmocka.h>

#include "http/field.h"

static const struct {
    enum field_id id;
    const char *name;
} rows[] = {
#define FIELD(id, name) {FIELD_##id, name},
#include "tables/fields.def"
#undef FIELD
};

enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static void test_every_name_in_any_case(void **state)
{
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].name);
        char name[64];

        for (unsigned mix = 0; mix < 8; mix++) {
            for (size_t at = 0; at < len; at++)
                name[at] =
                    (char)((mix >> at % 3) & 1 ? toupper(rows[i].name[at]) : rows[i].name[at]);
            assert_int_equal(field_id_of(span_of(name, len)), rows[i].id);
        }
    }
}

/* One byte more, less or other is another name, unless the table has it. */
static void test_near_names(void **state)
{
    for (size_t i = 0; i < ROWS; i++) {
        size_t len = strlen(rows[i].name);
        char name[64];

        memcpy(name, rows[i].name, len);
        assert_int_equal(field_id_of(span_of(name, len - 1)), FIELD_OTHER);
        name[len] = 'x';
        assert_int_equal(field_id_of(span_of(name, len + 1)), FIELD_OTHER);
        for (size_t at = 0; at < len; at++) {
            memcpy(name, rows[i].name, len);
            name[at] = '_';
            assert_int_equal(field_id_of(span_of(name, len)), FIELD_OTHER);
        }
    }
}

static void test_names_of_nobody(void **state)
{
    static const char long_name[200] = "x-very-long";

    assert_int_equal(field_id_of(span_of(NULL, 0)), FIELD_OTHER);
    for (size_t len = 1; len < sizeof(long_name); len++)
        assert_int_equal(field_id_of(span_of(long_name, len)), FIELD_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_name_in_any_case),
        cmocka_unit_test(test_near_names),
        cmocka_unit_test(test_names_of_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
