#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/span.h"
#include "base/word.h"

static struct span text(const char *literal)
{
    return span_from_text(literal);
}

static void test_comparing(void **state)
{
    assert_true(span_is_equal(text("abc"), text("abc")));
    assert_false(span_is_equal(text("abc"), text("abC")));
    assert_false(span_is_equal(text("abc"), text("ab")));
    assert_true(span_is_equal(text(""), span_of(NULL, 0)));
    assert_true(span_is_equal_nocase(text("Content-Length"), text("cONTENT-lENGTH")));
    assert_false(span_is_equal_nocase(text("[a"), text("{a"))); /* not letters, though 0x20 apart */
    assert_false(span_is_equal_nocase(text("\xc4"), text("\xe4"))); /* ASCII alone */
    assert_true(span_has_prefix(text("abc"), text("ab")));
    assert_true(span_has_prefix(text("abc"), text("")));
    assert_false(span_has_prefix(text("ab"), text("abc")));
    assert_true(span_has_suffix(text("abc"), text("bc")));
    assert_false(span_has_suffix(text("bc"), text("abc")));
}

static void test_being_one_of_several(void **state)
{
    static const struct span texts[] = {SPAN_INIT("one"), SPAN_INIT(""), SPAN_INIT("three")};

    assert_true(span_is_in(SPAN("three"), texts, 3));
    assert_true(span_is_in(span_of(NULL, 0), texts, 3));
    assert_false(span_is_in(SPAN("three"), texts, 2));
    assert_false(span_is_in(SPAN("thre"), texts, 3));
    assert_false(span_is_in(SPAN("one"), NULL, 0));
}

static void test_searching(void **state)
{
    assert_int_equal(span_find_byte(text("abcb"), 'b'), 1);
    assert_true(span_find_byte(text("abc"), 'x') == SIZE_MAX);
    assert_true(span_find_byte(span_of(NULL, 0), 'x') == SIZE_MAX);
    assert_int_equal(span_find(text("abcabd"), text("abd")), 3);
    assert_int_equal(span_find(text("abc"), text("")), 0);
    assert_true(span_find(text("ab"), text("abc")) == SIZE_MAX);
    assert_true(span_find(text("aab"), text("abb")) == SIZE_MAX);
}

static void test_trimming(void **state)
{
    assert_true(span_is_equal(span_trim(text(" \t a b\t ")), text("a b")));
    assert_int_equal(span_trim(text(" \t ")).len, 0);
    assert_true(span_is_equal(span_trim(text("\r\na\n")), text("\r\na\n")));
}

static void test_tokens(void **state)
{
    struct span rest = text(" a, ,b ,c"), token;
    const char *const expected[] = {"a", "", "b", "c"};

    for (int i = 0; i < 4; i++) {
        assert_true(span_next_token(&rest, ',', &token));
        assert_true(span_is_equal(token, text(expected[i])));
    }
    assert_false(span_next_token(&rest, ',', &token));
    assert_true(span_is_equal(token, text("c"))); /* nothing is written */
    rest = text("");
    assert_true(span_next_token(&rest, ',', &token));
    assert_int_equal(token.len, 0);
    assert_false(span_next_token(&rest, ',', &token));
    rest = text("x,");
    assert_true(span_next_token(&rest, ',', &token));
    assert_true(span_next_token(&rest, ',', &token));
    assert_int_equal(token.len, 0);
    assert_false(span_next_token(&rest, ',', &token));
}

static void test_numbers(void **state)
{
    static const struct {
        const char *text;
        int err;
        uint64_t value;
    } rows[] = {
        {"0", 0, 0},
        {"007", 0, 7},
        {"18446744073709551615", 0, UINT64_MAX},
        {"18446744073709551616", ERR_RANGE, 0},
        {"99999999999999999999", ERR_RANGE, 0},
        {"", ERR_SYNTAX, 0},
        {"-1", ERR_SYNTAX, 0},
        {"+1", ERR_SYNTAX, 0},
        {" 1", ERR_SYNTAX, 0},
        {"1 ", ERR_SYNTAX, 0},
        {"0x1", ERR_SYNTAX, 0},
        {"1.0", ERR_SYNTAX, 0},
        {"\xb2", ERR_SYNTAX, 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t value = 42;

        assert_int_equal(span_to_u64(text(rows[i].text), &value), rows[i].err);
        assert_true(value == (rows[i].err ? 42 : rows[i].value));
    }
}

static void test_patterns(void **state)
{
    static const struct {
        const char *text, *pattern;
        bool matches;
    } rows[] = {
        {"gpt-4", "gpt-4", true},
        {"gpt-4", "gpt-*", true},
        {"gpt-4", "*", true},
        {"", "*", true},
        {"", "", true},
        {"gpt-4", "", false},
        {"gpt-4", "gpt", false},
        {"gpt-4", "*4", true},
        {"gpt-4", "g*-*4", true},
        {"gpt-4o", "*4", false},
        {"aab", "*ab", true},
        {"abcabcd", "*abcd", true},
        {"gpt-4", "**gpt**4**", true},
        {"gpt", "gpt*x", false},
        {"a*c", "a*c", true},
    };
    char many[1000], stars[1000];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(span_matches(text(rows[i].text), text(rows[i].pattern)), rows[i].matches);
    /* What takes for ever where every star is tried anew for each before it. */
    memset(many, 'a', sizeof(many));
    memset(stars, '*', sizeof(stars));
    for (size_t i = 0; i < sizeof(stars); i += 2)
        stars[i] = 'a';
    stars[sizeof(stars) - 1] = 'b';
    assert_false(span_matches(span_of(many, sizeof(many)), span_of(stars, sizeof(stars))));
}

/* At each length a byte more or other is seen, wherever it stands; from any place in memory. */
static void test_words_are_compared_as_bytes_are(void **state)
{
    for (size_t len = 0; len <= 40; len++) {
        char a[48], b[50];

        for (size_t i = 0; i < len; i++)
            a[i] = b[i + 1] = (char)('a' + i % 26);
        assert_true(word_is_equal(span_of(a, len), span_of(b + 1, len)));
        assert_false(word_is_equal(span_of(a, len), span_of(b + 1, len + 1)));
        for (size_t i = 0; i < len; i++) {
            b[i + 1] ^= (char)0x80;
            assert_false(word_is_equal(span_of(a, len), span_of(b + 1, len)));
            b[i + 1] ^= (char)0x80;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comparing), cmocka_unit_test(test_being_one_of_several),
        cmocka_unit_test(test_searching), cmocka_unit_test(test_trimming),
        cmocka_unit_test(test_tokens),    cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_patterns),  cmocka_unit_test(test_words_are_compared_as_bytes_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
