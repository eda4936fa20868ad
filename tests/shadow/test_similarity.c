/* How alike two texts are: what holds for any two, and where some that people know stand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "shadow/similarity.h"

static uint32_t alike_of(struct span a, struct span b)
{
    struct arena_pool pool;
    struct arena arena;
    uint32_t milli;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, 1 << 20);
    milli = similarity_of(a, b, &arena);
    arena_fini(&arena);
    arena_pool_fini(&pool);
    return milli;
}

static uint32_t alike(const char *a, const char *b)
{
    return alike_of(span_from_text(a), span_from_text(b));
}

static void test_known_texts(void **state)
{
    assert_int_equal(alike("", ""), 1000);
    assert_int_equal(alike("", "Hello"), 0);
    assert_int_equal(alike("Hello", "Hello"), 1000);
    assert_int_equal(alike("Yes.", "No."), 0);
    /* One word of one, among six words and five pairs: 2 of 12. */
    assert_int_equal(alike("Paris.", "The capital of France is Paris."), 166);
    /* Three words and two pairs against the same, but for one word and the pair that it is in. */
    assert_int_equal(alike("a red fox", "a red hen"), 600);
    /* The words are the same, their order is not. */
    assert_in_range(alike("dog bites man", "man bites dog"), 500, 700);
}

static void test_form_does_not_count(void **state)
{
    assert_int_equal(alike("Hello, World!", "hello   world"), 1000);
    assert_int_equal(alike("\xe2\x80\x9cHello\xe2\x80\x9d \xe2\x80\x94 world", "\"Hello\" - world"),
                     1000);
    assert_int_equal(alike("...", "!?"), 1000);
}

static void test_other_scripts(void **state)
{
    /* "the weather is good today" and "the weather is bad today": characters are words. */
    const char *good = "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xa5\xbd",
               *bad = "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xb7\xae";
    /* "good morning" and "good evening" in Russian: words of two bytes a character. */
    const char *morning =
                   "\xd0\xb4\xd0\xbe\xd0\xb1\xd1\x80\xd0\xbe\xd0\xb5 \xd1\x83\xd1\x82\xd1\x80"
                   "\xd0\xbe",
               *evening =
                   "\xd0\xb4\xd0\xbe\xd0\xb1\xd1\x80\xd0\xbe\xd0\xb5 \xd0\xb2\xd0\xb5\xd1\x87"
                   "\xd0\xb5\xd1\x80";

    assert_in_range(alike(good, bad), 700, 900);
    /* One word of two, no pair: 2 of 6. */
    assert_int_equal(alike(morning, evening), 333);
}

static char any_byte(struct rand *rand, bool is_any)
{
    return is_any ? (char)rand_below(rand, 256) : "ab \xc3\xe4"[rand_below(rand, 5)];
}

/* Whatever the bytes are: symmetric, within bounds, and a text is like itself. */
static void test_any_bytes(void **state)
{
    struct rand rand;
    char a[96], b[96];

    rand_init(&rand, 20261121);
    for (int i = 0; i < 20000; i++) {
        size_t a_len = rand_below(&rand, sizeof(a)), b_len = rand_below(&rand, sizeof(b));
        uint32_t milli;

        for (size_t k = 0; k < a_len; k++)
            a[k] = any_byte(&rand, i % 2);
        for (size_t k = 0; k < b_len; k++)
            b[k] = any_byte(&rand, i % 2);
        milli = alike_of(span_of(a, a_len), span_of(b, b_len));
        assert_in_range(milli, 0, 1000);
        assert_int_equal(milli, alike_of(span_of(b, b_len), span_of(a, a_len)));
        assert_int_equal(alike_of(span_of(a, a_len), span_of(a, a_len)), 1000);
    }
}

/* The more of a text is changed, the less alike it is. */
static void test_it_falls_as_words_change(void **state)
{
    char text[400], other[400];
    uint32_t before = 1000;

    for (size_t i = 0; i < 100; i++) {
        memcpy(text + 4 * i, (char[]){(char)('a' + i / 10), (char)('a' + i % 10), 'x', ' '}, 4);
    }
    memcpy(other, text, sizeof(text));
    for (size_t i = 0; i < 100; i += 10) {
        uint32_t milli;

        memcpy(other + 4 * i, "zzz ", 4);
        milli = alike_of(span_of(text, sizeof(text)), span_of(other, sizeof(other)));
        assert_true(milli < before);
        before = milli;
    }
    assert_in_range(before, 800, 900);
}

/* Of a text beyond the bound only the beginning is looked at, in bounded memory. */
static void test_long_texts(void **state)
{
    size_t len = 4 * (SIMILARITY_WORDS_MAX + 1000);
    char *text = mem_alloc(len), *other = mem_alloc(len);

    for (size_t i = 0; i < len; i += 4) {
        memcpy(text + i, "one ", 4);
        memcpy(other + i, i < 4 * (size_t)SIMILARITY_WORDS_MAX ? "one " : "two ", 4);
    }
    assert_int_equal(alike_of(span_of(text, len), span_of(other, len)), 1000);
    mem_free(text);
    mem_free(other);
}

static void test_without_memory(void **state)
{
    struct arena_pool pool;
    struct arena arena;

    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, 64);
    assert_int_equal(similarity_of(SPAN("some words of a text"), SPAN("others"), &arena),
                     SIMILARITY_UNKNOWN);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_texts),
        cmocka_unit_test(test_form_does_not_count),
        cmocka_unit_test(test_other_scripts),
        cmocka_unit_test(test_any_bytes),
        cmocka_unit_test(test_it_falls_as_words_change),
        cmocka_unit_test(test_long_texts),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
