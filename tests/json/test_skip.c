/* Runs of plain bytes: blocks of any size stop where bytes one by one do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "json/kinds_inner.h"
#include "json/skip_inner.h"

typedef const unsigned char *skipper(const unsigned char *p, const unsigned char *end);

static const unsigned char *slowly(const unsigned char *p, const unsigned char *end)
{
    while (p < end && json_is_plain(*p))
        p++;
    return p;
}

static void expect_as_slowly(skipper *pass, const unsigned char *text, size_t len)
{
    assert_ptr_equal(pass(text, text + len), slowly(text, text + len));
}

static void expect_all_as_slowly(const unsigned char *text, size_t len)
{
    expect_as_slowly(json_skip_plain, text, len);
    expect_as_slowly(json_skip_long, text, len);
#ifdef __SSE2__
    expect_as_slowly(skip_by_16, text, len);
    if (kinds_has_32())
        expect_as_slowly(skip_by_32, text, len);
#endif
}

/* Every byte at every place of the first blocks, and behind it another. */
static void test_stops_at_the_first_odd_byte(void **state)
{
    unsigned char text[160];

    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, 'x', sizeof(text));
            text[at] = (unsigned char)byte;
            text[sizeof(text) - 1] = '"';
            expect_all_as_slowly(text, sizeof(text));
        }
    }
}

static void test_stops_at_the_end(void **state)
{
    unsigned char text[512];
    struct rand rand;

    rand_init(&rand, 3);
    memset(text, '"', sizeof(text));
    for (size_t len = 0; len < 256; len++) {
        size_t start = rand_below(&rand, 64);

        memset(text, '"', sizeof(text));
        for (size_t i = 0; i < len; i++)
            text[start + i] = (unsigned char)("a~ !#[]^Z}"[rand_below(&rand, 10)]);
        expect_all_as_slowly(text + start, len);
        assert_ptr_equal(json_skip_plain(text + start, text + sizeof(text)), text + start + len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stops_at_the_first_odd_byte),
        cmocka_unit_test(test_stops_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
