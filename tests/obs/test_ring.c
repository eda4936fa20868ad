/* obs/ring: order, gaps, limits, and two threads at once. */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/rand.h"
#include "obs/ring.h"

enum { SIZE = 4096 };

static bool put(struct ring *ring, struct span line)
{
    char *out = ring_reserve(ring, line.len);

    if (!out)
        return false;
    memcpy(out, line.ptr, line.len);
    ring_commit(ring, line.len);
    return true;
}

static bool fill(struct ring *ring, char c, size_t len)
{
    char line[SIZE];

    memset(line, c, len);
    return put(ring, span_of(line, len));
}

/* The next len bytes stand in one piece and are all c. */
static void expect_run(struct ring *ring, char c, size_t len)
{
    struct span run = ring_peek(ring);

    assert_true(run.len >= len);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(run.ptr[i], c);
    ring_consume(ring, len);
}

static void takes_lines_in_order_and_in_one_run(void **state)
{
    struct ring ring;
    struct span run;

    assert_int_equal(ring_init(&ring, SIZE), 0);
    assert_true(put(&ring, SPAN("one\n")));
    assert_true(put(&ring, SPAN("two\n")));
    run = ring_peek(&ring);
    assert_true(span_is_equal(run, SPAN("one\ntwo\n")));
    assert_int_equal(ring_fill(&ring), 8);
    ring_consume(&ring, run.len);
    assert_int_equal(ring_peek(&ring).len, 0);
    assert_int_equal(ring_fill(&ring), 0);
    ring_fini(&ring);
}

static void commits_less_than_it_reserved(void **state)
{
    struct ring ring;
    char *out;

    assert_int_equal(ring_init(&ring, SIZE), 0);
    out = ring_reserve(&ring, 100);
    memcpy(out, "abc", 3);
    ring_commit(&ring, 3);
    assert_non_null(ring_reserve(&ring, 100));
    ring_commit(&ring, 0);
    assert_true(span_is_equal(ring_peek(&ring), SPAN("abc")));
    ring_fini(&ring);
}

static void refuses_what_does_not_fit(void **state)
{
    struct ring ring;

    assert_int_equal(ring_init(&ring, SIZE), 0);
    assert_null(ring_reserve(&ring, SIZE / 2 + 1));
    assert_true(fill(&ring, 'a', SIZE / 2));
    assert_true(fill(&ring, 'b', SIZE / 2));
    assert_false(fill(&ring, 'c', 1));
    assert_int_equal(ring_fill(&ring), SIZE);
    ring_consume(&ring, 1);
    assert_true(fill(&ring, 'c', 1));
    ring_fini(&ring);
}

/* A line that does not fit at the end begins anew at the front; the gap is never shown. */
static void leaves_a_gap_at_the_end(void **state)
{
    struct ring ring;

    assert_int_equal(ring_init(&ring, SIZE), 0);
    assert_true(fill(&ring, 'a', 2000));
    assert_true(fill(&ring, 'b', 1500));
    expect_run(&ring, 'a', 2000);
    assert_true(fill(&ring, 'c', 1000));
    assert_false(fill(&ring, 'd', 1001));
    expect_run(&ring, 'b', 1500);
    expect_run(&ring, 'c', 1000);
    assert_int_equal(ring_peek(&ring).len, 0);
    assert_int_equal(ring_fill(&ring), 0);
    ring_fini(&ring);
}

static void needs_no_gap_where_a_line_ends_with_the_memory(void **state)
{
    struct ring ring;

    assert_int_equal(ring_init(&ring, SIZE), 0);
    for (int lap = 0; lap < 3; lap++) {
        assert_true(fill(&ring, 'a', SIZE / 2));
        expect_run(&ring, 'a', SIZE / 2);
        assert_true(fill(&ring, 'b', SIZE / 2));
        assert_true(fill(&ring, 'c', 100));
        expect_run(&ring, 'b', SIZE / 2);
        expect_run(&ring, 'c', 100);
        assert_true(fill(&ring, 'd', SIZE / 2 - 100));
        assert_true(fill(&ring, 'e', SIZE / 2));
        expect_run(&ring, 'd', SIZE / 2 - 100);
        expect_run(&ring, 'e', SIZE / 2);
    }
    ring_fini(&ring);
}

/* The same bytes come out as went in, whatever the lengths and the moments of reading. */
static void keeps_every_byte_of_random_lines(void **state)
{
    struct ring ring;
    struct rand rand;
    uint64_t written = 0, read = 0, refused = 0;

    rand_init(&rand, 7);
    assert_int_equal(ring_init(&ring, SIZE), 0);
    for (int round = 0; round < 200000; round++) {
        size_t reserved = 1 + rand_below(&rand, 900), len = rand_below(&rand, reserved + 1);
        char *out = ring_reserve(&ring, reserved);
        struct span run;

        if (out) {
            for (size_t i = 0; i < len; i++)
                out[i] = (char)(written++ % 251);
            ring_commit(&ring, len);
        }
        refused += !out;
        if (rand_below(&rand, 3))
            continue;
        run = ring_peek(&ring);
        for (size_t i = 0; i < run.len; i++)
            assert_int_equal((unsigned char)run.ptr[i], read++ % 251);
        ring_consume(&ring, run.len);
    }
    assert_true(refused > 0);
    assert_true(read > 10000000);
    assert_true(written - read <= SIZE);
    ring_fini(&ring);
}

/* While the reader keeps up, the front of the memory is used over and over, and no room is lost by
 * it, however long the reader is away after that. */
static void begins_anew_once_all_was_taken(void **state)
{
    enum { LARGE = 4 * RING_REWIND_BYTES, LINE = 1000 };

    struct ring ring;
    const char *front;

    assert_int_equal(ring_init(&ring, LARGE), 0);
    front = ring_reserve(&ring, 1);
    for (int lap = 0; lap < 5; lap++) {
        while (ring_fill(&ring) < RING_REWIND_BYTES)
            assert_true(fill(&ring, 'a', LINE));
        assert_ptr_equal(ring_peek(&ring).ptr, front);
        expect_run(&ring, 'a', ring_fill(&ring));
    }
    assert_true(fill(&ring, 'b', LINE));
    assert_int_equal(ring_fill(&ring), LINE);
    for (int i = 1; i < LARGE / LINE; i++)
        assert_true(fill(&ring, 'c', LINE));
    assert_false(fill(&ring, 'd', LINE));
    assert_ptr_equal(ring_peek(&ring).ptr, front);
    expect_run(&ring, 'b', LINE);
    expect_run(&ring, 'c', (size_t)(LARGE / LINE - 1) * LINE);
    ring_fini(&ring);
}

/* One line is one number; its text is as long as the number says. */
enum { LINES = 300000 };

static void *write_numbers(void *argument)
{
    struct ring *ring = argument;

    for (unsigned number = 0; number < LINES;) {
        char *out = ring_reserve(ring, 64 + number % 50);

        size_t len = number % 50;

        if (!out) {
            sched_yield();
            continue;
        }
        memset(out, 'x', len);
        len += (size_t)snprintf(out + len, 16, "%u\n", number++);
        ring_commit(ring, len);
    }
    return NULL;
}

static void pass_lines(size_t size)
{
    struct ring ring;
    pthread_t writer;
    unsigned expected = 0;

    assert_int_equal(ring_init(&ring, size), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_numbers, &ring), 0);
    while (expected < LINES) {
        struct span run = ring_peek(&ring), rest = run;

        for (size_t at; (at = span_find_byte(rest, '\n')) != SIZE_MAX;) {
            char line[128];

            memset(line, 'x', expected % 50);
            snprintf(line + expected % 50, 16, "%u", expected);
            assert_true(span_is_equal(span_of(rest.ptr, at), span_from_text(line)));
            rest = span_skip(rest, at + 1);
            expected++;
        }
        assert_int_equal(rest.len, 0);
        ring_consume(&ring, run.len);
        if (!run.len)
            sched_yield();
    }
    assert_int_equal(pthread_join(writer, NULL), 0);
    ring_fini(&ring);
}

/* A small ring, and one that is large enough to begin anew. */
static void passes_lines_from_thread_to_thread(void **state)
{
    pass_lines(SIZE);
    pass_lines(2 * RING_REWIND_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_lines_in_order_and_in_one_run),
        cmocka_unit_test(commits_less_than_it_reserved),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(leaves_a_gap_at_the_end),
        cmocka_unit_test(needs_no_gap_where_a_line_ends_with_the_memory),
        cmocka_unit_test(keeps_every_byte_of_random_lines),
        cmocka_unit_test(begins_anew_once_all_was_taken),
        cmocka_unit_test(passes_lines_from_thread_to_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
