/* Text by kinds of characters: what is counted, and that blocks and pieces change nothing of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/rand.h"
#include "json/kinds_inner.h"
#include "json/scan.h"
#include "json/skip.h"

static const struct json_watch rows[] = {
    {SPAN_INIT("messages"), -1, JSON_ARRAY, JSON_COUNTED, 0, 0},
};
static const struct span names[] = {SPAN_INIT("content"), SPAN_INIT("image")};
static const struct json_watchlist list = {
    .rows = rows,
    .count = 1,
    .text_names = names,
    .text_name_count = 1,
    .counted_name_count = 1,
    .root_marks = JSON_MARK("messages"),
    .text_marks = JSON_MARK("content") | JSON_MARK("image"),
};

static struct json_kinds count_in(struct json_scan *scan, const char *body, size_t piece)
{
    struct json_kinds kinds = {.texts = 0};
    size_t len = strlen(body);

    assert_true(json_watchlist_is_sound(&list));
    json_scan_init(scan, &list, 64);
    json_scan_count_kinds(scan, &kinds);
    for (size_t at = 0; at < len; at += piece) {
        size_t part = len - at < piece ? len - at : piece;

        assert_int_equal(json_scan_feed(scan, span_of(body + at, part)), 0);
    }
    assert_int_equal(json_scan_finish(scan), 0);
    return kinds;
}

static struct json_kinds count(const char *body)
{
    struct json_scan scan;

    return count_in(&scan, body, 1 << 20);
}

/* Field by field: what lies between them says nothing. */
static void expect_alike(const struct json_kinds *a, const struct json_kinds *b)
{
    assert_memory_equal(a, b, offsetof(struct json_kinds, is_in_word));
    assert_true(a->is_in_word == b->is_in_word);
    assert_true(a->is_undecided == b->is_undecided);
}

static void test_counts_kinds(void **state)
{
    struct json_kinds kinds =
        count("{\"messages\":[{\"content\":\"Hello, big world of 2026!\\n\"}]}");

    assert_int_equal(kinds.texts, 1);
    assert_int_equal(kinds.letters, 15);
    assert_int_equal(kinds.words, 4);
    assert_int_equal(kinds.digits, 4);
    assert_int_equal(kinds.spaces, 4);
    assert_int_equal(kinds.breaks, 1);
    assert_int_equal(kinds.marks, 2);
    assert_int_equal(kinds.latin + kinds.wide, 0);
}

/* A word with tones is one word; a Chinese sign is none. */
static void test_tells_vietnamese_from_chinese(void **state)
{
    struct json_kinds kinds =
        count("{\"messages\":[{\"content\":\"ti\u1ebfng Vi\u1ec7t \u0111\u1eb9p\"}]}");

    assert_int_equal(kinds.words, 3);
    assert_int_equal(kinds.latin, 4);
    assert_int_equal(kinds.letters, 8);
    assert_int_equal(kinds.wide, 0);
    kinds = count("{\"messages\":[{\"content\":\"\u4f60\u597d\uff0cworld \U0001F600\"}]}");
    assert_int_equal(kinds.words, 1);
    assert_int_equal(kinds.wide, 4);
    assert_int_equal(kinds.latin, 0);
}

/* Escapes spell the same characters. */
static void test_escapes_count_as_what_they_spell(void **state)
{
    struct json_kinds plain =
        count("{\"messages\":[{\"content\":\"ti\u1ebfng \u4f60 \U0001F600\"}]}");
    struct json_kinds spelled =
        count("{\"messages\":[{\"content\":\"ti\\u1ebfn\\u0067 \\u4f60 \\ud83d\\ude00\"}]}");

    expect_alike(&plain, &spelled);
}

static void test_counts_what_is_text_and_nothing_else(void **state)
{
    struct json_scan scan;
    struct json_kinds kinds =
        count_in(&scan,
                 "{\"model\":\"abc\",\"messages\":[{\"role\":\"user\",\"content\":"
                 "\"one\"},{\"content\":\"two\",\"image\":{\"url\":\"three\"}}]}",
                 1 << 20);

    assert_int_equal(kinds.texts, 2);
    assert_int_equal(kinds.words, 2);
    assert_int_equal(kinds.letters, 6);
    assert_int_equal(scan.named_members, 1);
}

/* Of each byte alone, as the blocks must do it together. */
static struct json_kinds slowly(const unsigned char *text, size_t len)
{
    struct json_kinds kinds = {.texts = 0};

    for (size_t i = 0; i < len; i++)
        json_kinds_plain(&kinds, text + i, 1);
    return kinds;
}

typedef void counter(struct json_kinds *kinds, const unsigned char *text, size_t len);

/* In two runs, for a word may lie over the cut. */
static void expect_as_slowly(counter *count_run, size_t least, const unsigned char *text,
                             size_t len, size_t cut)
{
    struct json_kinds quick = {.texts = 0}, slow = slowly(text, len);

    if (cut < least || len - cut < least)
        cut = 0;
    if (cut)
        count_run(&quick, text, cut);
    if (len - cut >= least) {
        count_run(&quick, text + cut, len - cut);
        expect_alike(&quick, &slow);
    }
}

static void test_blocks_count_what_bytes_do(void **state)
{
    static unsigned char text[20000];
    struct rand rand;

    rand_init(&rand, 7);
    for (unsigned round = 0; round < 400; round++) {
        size_t len = 1 + rand_below(&rand, round % 40 ? 150 : sizeof(text));
        size_t cut = rand_below(&rand, len);
        uint64_t kind = rand_below(&rand, 3);

        for (size_t i = 0; i < len; i++)
            text[i] = kind == 0   ? (unsigned char)(0x20 + rand_below(&rand, 0x60))
                      : kind == 1 ? (unsigned char)("aZ 09.@[`{/:"[rand_below(&rand, 12)])
                                  : (unsigned char)('a' + rand_below(&rand, 26));
        expect_as_slowly(json_kinds_plain, 1, text, len, cut);
#ifdef __SSE2__
        expect_as_slowly(kinds_by_16, 1, text, len, cut);
#endif
    }
}

typedef const unsigned char *passer(struct json_kinds *kinds, const unsigned char *text,
                                    const unsigned char *end);

/* From `start` on up to the first byte that no string holds as it is, in words that began before.
 */
static void expect_passed(passer *pass, const unsigned char *text, size_t start, size_t len)
{
    struct json_kinds quick = slowly(text, start), slow;
    unsigned char *block;
    size_t stop = start;

    while (stop < len && json_is_plain(text[stop]))
        stop++;
    slow = slowly(text, stop);
    /* A block of its own, so that what is read beside it is noticed. */
    block = malloc(len - start);
    assert_non_null(block);
    memcpy(block, text + start, len - start);
    assert_int_equal(pass(&quick, block, block + len - start) - block, stop - start);
    free(block);
    expect_alike(&quick, &slow);
}

/* Wherever a run begins, ends or is cut. */
static void test_passes_what_stands_for_itself(void **state)
{
    static const unsigned char odd[] = {'"', '\\', '\n', 0x1F, 0x80, 0xC3, 0xFF, 0};
    static unsigned char text[40000];
    struct rand rand;

    rand_init(&rand, 8);
    for (unsigned round = 0; round < 4000; round++) {
        size_t len = 1 + rand_below(&rand, round % 100 ? 200 : sizeof(text));
        size_t start = rand_below(&rand, len < 70 ? len : 70);

        for (size_t i = 0; i < len; i++)
            text[i] = (unsigned char)("aZ 09.@[`{/:~ bc"[rand_below(&rand, 16)]);
        /* No sum overflows where all are of one kind. */
        if (round % 7 == 0)
            memset(text, "a1 ."[rand_below(&rand, 4)], len);
        if (round % 3)
            text[rand_below(&rand, len)] = odd[rand_below(&rand, sizeof(odd))];
        while (start && !json_is_plain(text[start - 1]))
            start--;
        expect_passed(json_kinds_pass, text, start, len);
#ifdef __SSE2__
        expect_passed(kinds_pass_by_16, text, start, len);
        if (kinds_has_32() && len - start >= KINDS_PASS_MIN)
            expect_passed(kinds_pass_by_32, text, start, len);
#endif
    }
}

static void test_pieces_change_nothing(void **state)
{
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Chi\u1ec1u h\u00f4m qua, the 17th: "
        "\u4f60\u597d\\n"
        "\\u0041bc \U0001F600 a long enough run of plain text for several blocks 123"
        "\\ud83d\\ude00z\\ud83d and some more words that fill a pair of blocks, sixty-four\"},"
        "{\"content\":[{\"content\":\"more\",\"image\":1}]}]}";
    struct json_kinds whole = count(body);

    for (size_t piece = 1; piece < sizeof(body); piece++) {
        struct json_scan scan;
        struct json_kinds kinds = count_in(&scan, body, piece);

        expect_alike(&kinds, &whole);
        assert_int_equal(scan.named_members, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_kinds),
        cmocka_unit_test(test_tells_vietnamese_from_chinese),
        cmocka_unit_test(test_escapes_count_as_what_they_spell),
        cmocka_unit_test(test_counts_what_is_text_and_nothing_else),
        cmocka_unit_test(test_blocks_count_what_bytes_do),
        cmocka_unit_test(test_passes_what_stands_for_itself),
        cmocka_unit_test(test_pieces_change_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
