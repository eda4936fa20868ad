/* Bodies: kept in blocks, counted against a budget, read with edits applied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/rand.h"
#include "upstream/body.h"

enum { MIB = 1 << 20, TEXT_MAX = 200000 };

struct stage {
    struct body_budget budget;
    struct body_lease lease;
};

static void begin(struct stage *stage, uint64_t max_bytes)
{
    body_budget_init(&stage->budget, max_bytes);
    body_lease_init(&stage->lease, &stage->budget);
}

static uint64_t leased(const struct stage *stage)
{
    return atomic_load(&stage->budget.shared.leased);
}

static void end(struct stage *stage)
{
    assert_int_equal(stage->lease.used, 0);
    body_lease_fini(&stage->lease);
    assert_int_equal(leased(stage), 0);
}

/* --- reading --- */

static char text[TEXT_MAX], expected[2 * TEXT_MAX], heard[2 * TEXT_MAX];

static struct body *make(struct stage *stage, size_t len, size_t piece, uint64_t announced)
{
    struct body *body = body_new(&stage->lease, announced);

    assert_non_null(body);
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t at = 0; at < len; at += piece)
        assert_int_equal(body_append(body, span_of(text + at, len - at < piece ? len - at : piece)),
                         0);
    assert_int_equal(body->len, len);
    return body;
}

/* Reads it all, in writes of at most so many pieces and about so many bytes. */
static size_t read_all(const struct body *body, const struct dialect_edit *edits, size_t count,
                       int max, size_t window)
{
    struct body_reader reader;
    struct iovec iov[32];
    size_t len = 0;

    body_reader_init(&reader, body, edits, count);
    while (!body_reader_is_done(&reader)) {
        size_t given = 0;
        int pieces = body_reader_next(&reader, iov, max, window);

        /* Nothing but where a removal is all that is left. */
        assert_true(pieces > 0 || body_reader_is_done(&reader));
        assert_true(pieces <= max);
        for (int i = 0; i < pieces; i++) {
            assert_true(iov[i].iov_len > 0);
            memcpy(heard + len, iov[i].iov_base, iov[i].iov_len);
            len += iov[i].iov_len;
            given += iov[i].iov_len;
        }
        /* Only an insertion, which is never cut, may pass the window. */
        assert_true(given <= window + 64);
    }
    assert_int_equal(body_reader_next(&reader, iov, max, window), 0);
    return len;
}

static void test_as_it_came(void **state)
{
    static const size_t lengths[] = {1, 100, 16383, 16384, 16385, 50000, 180000};
    struct stage stage;

    (void)state;
    begin(&stage, 10 * MIB);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        for (int is_announced = 0; is_announced < 2; is_announced++) {
            size_t len = lengths[i];
            struct body *body = make(&stage, len, 1 + len / 7, is_announced ? len : 0);

            assert_int_equal(read_all(body, NULL, 0, 32, 65536), len);
            assert_memory_equal(heard, text, len);
            assert_int_equal(read_all(body, NULL, 0, 1, 10), len);
            assert_memory_equal(heard, text, len);
            assert_int_equal(body_edited_length(body, NULL, 0), len);
            body_unref(&body);
        }
    }
    end(&stage);
}

/* Less or more than was announced arrives all the same. */
static void test_announced_wrongly(void **state)
{
    struct stage stage;
    struct body *body;

    (void)state;
    begin(&stage, 10 * MIB);
    body = make(&stage, 5000, 100, 10);
    assert_int_equal(read_all(body, NULL, 0, 32, 65536), 5000);
    assert_memory_equal(heard, text, 5000);
    body_unref(&body);
    body = make(&stage, 10, 100, 5000);
    assert_int_equal(read_all(body, NULL, 0, 32, 65536), 10);
    body_unref(&body);
    end(&stage);
}

static void test_nothing(void **state)
{
    struct stage stage;
    struct body *body;
    struct body_reader reader;

    (void)state;
    begin(&stage, 10 * MIB);
    body = body_new(&stage.lease, 0);
    body_reader_init(&reader, body, NULL, 0);
    assert_true(body_reader_is_done(&reader));
    body_reader_init(&reader, NULL, NULL, 0);
    assert_true(body_reader_is_done(&reader));
    assert_int_equal(body_edited_length(NULL, NULL, 0), 0);
    body_unref(&body);
    assert_null(body);
    body_unref(&body);
    end(&stage);
}

/* Random edits, applied here by plain copying. */
static void test_edits(void **state)
{
    static const char *const inserts[] = {"", "x", "hello", "0123456789012345678901234567890"};
    struct stage stage;
    struct rand rand;

    (void)state;
    begin(&stage, 10 * MIB);
    rand_init(&rand, 1);
    for (int round = 0; round < 3000; round++) {
        size_t len = 1 + rand_u64(&rand) % (round % 10 ? 60 : 40000), at = 0, want = 0;
        struct body *body = make(&stage, len, 1 + rand_u64(&rand) % len, round % 2 ? len : 0);
        struct dialect_edit edits[8];
        size_t count = 0;

        while (count < 8 && at <= len && rand_u64(&rand) % 4) {
            size_t gap = rand_u64(&rand) % (len - at + 1);
            size_t remove = rand_u64(&rand) % 3 ? rand_u64(&rand) % (len - at - gap + 1) : 0;

            /* Two edits never stand at the same place. */
            if (count && gap == 0)
                gap = 1;
            if (at + gap + remove > len)
                break;
            edits[count] = (struct dialect_edit){at + gap, remove,
                                                 span_from_text(inserts[rand_u64(&rand) % 4])};
            memcpy(expected + want, text + at, gap);
            want += gap;
            memcpy(expected + want, edits[count].insert.ptr, edits[count].insert.len);
            want += edits[count].insert.len;
            at += gap + remove;
            count++;
        }
        memcpy(expected + want, text + at, len - at);
        want += len - at;
        assert_int_equal(body_edited_length(body, edits, count), want);
        assert_int_equal(read_all(body, edits, count, 1 + (int)(rand_u64(&rand) % 32),
                                  1 + rand_u64(&rand) % 70000),
                         want);
        assert_memory_equal(heard, expected, want);
        body_unref(&body);
    }
    end(&stage);
}

/* Two attempts read the same body, each at its own pace. */
static void test_shared(void **state)
{
    struct stage stage;
    struct body *body, *other;

    (void)state;
    begin(&stage, 10 * MIB);
    body = make(&stage, 40000, 1000, 0);
    other = body_ref(body);
    body_unref(&body);
    assert_int_equal(read_all(other, NULL, 0, 3, 100), 40000);
    assert_true(stage.lease.used >= 40000);
    body_unref(&other);
    end(&stage);
}

/* --- the budget --- */

static void test_budget(void **state)
{
    struct stage stage;
    struct body_lease second;
    struct body *body, *other;
    char piece[BODY_BLOCK_BYTES] = "";
    size_t blocks = 0;

    (void)state;
    begin(&stage, 3 * MIB);
    body_lease_init(&second, &stage.budget);
    body = body_new(&stage.lease, 0);
    while (body_append(body, span_of(piece, sizeof(piece))) == 0)
        blocks++;
    assert_int_equal(blocks, 3 * MIB / BODY_BLOCK_BYTES);
    assert_int_equal(leased(&stage), 3 * MIB);
    /* What stands is whole. */
    assert_int_equal(body->len, blocks * BODY_BLOCK_BYTES);
    /* The same budget for all workers. */
    other = body_new(&second, 0);
    assert_int_equal(body_append(other, span_of(piece, 1)), ERR_FULL);
    assert_null(body_new(&second, 100));
    body_unref(&body);
    /* What a worker keeps for its next body is little. */
    assert_true(leased(&stage) < 3 * BODY_LEASE_BYTES);
    assert_int_equal(body_append(other, span_of(piece, 1)), 0);
    body_unref(&other);
    body_lease_fini(&second);
    end(&stage);
}

/* A reload may lower the bound under what is held: nothing more, until there is room again. */
static void test_lower_bound(void **state)
{
    struct stage stage;
    struct body *body, *other;
    char piece[BODY_BLOCK_BYTES] = "";

    (void)state;
    begin(&stage, 8 * MIB);
    body = body_new(&stage.lease, 0);
    for (int i = 0; i < 300; i++)
        assert_int_equal(body_append(body, span_of(piece, sizeof(piece))), 0);
    atomic_store(&stage.budget.shared.max, 2 * MIB);
    other = body_new(&stage.lease, 0);
    while (body_append(other, span_of(piece, sizeof(piece))) == 0)
        assert_true(stage.lease.used <= 5 * MIB); /* what was leased already */
    body_unref(&body);
    assert_int_equal(body_append(other, span_of(piece, sizeof(piece))), 0);
    body_unref(&other);
    end(&stage);
}

/* A small body's memory serves the next of its size, and only so much of it is kept. */
static void test_small_bodies(void **state)
{
    enum { MANY = BODY_SPARE_BYTES / BODY_SIZE_STEP };

    struct stage stage;
    struct body *bodies[MANY], *body;
    const void *place;

    begin(&stage, 8 * MIB);
    place = body = make(&stage, 700, 100, 700);
    assert_int_equal(stage.lease.used, 3 * BODY_SIZE_STEP);
    body_unref(&body);
    assert_int_equal(stage.lease.used, 0);
    body = make(&stage, 600, 600, 600);
    assert_ptr_equal(body, place);
    /* More than was announced goes behind it. */
    assert_int_equal(body_append(body, span_of(text, 5000)), 0);
    assert_int_equal(read_all(body, NULL, 0, 3, 100), 5600);
    body_unref(&body);
    for (size_t i = 0; i < MANY; i++)
        bodies[i] = make(&stage, 1 + i % 2000, 7, 1 + i % 2000);
    for (size_t i = 0; i < MANY; i++)
        body_unref(&bodies[i]);
    assert_in_range(stage.lease.spare_bytes, BODY_SPARE_BYTES / 2, BODY_SPARE_BYTES);
    end(&stage);
}

static void test_without_memory(void **state)
{
    struct stage stage;
    struct body *body;

    (void)state;
    begin(&stage, 8 * MIB);
    mem_fail_after(0);
    if (!mem_fail_is_pending())
        skip();
    assert_null(body_new(&stage.lease, 100));
    mem_fail_after(0);
    assert_null(body_new(&stage.lease, 10000));
    mem_fail_after(1);
    assert_null(body_new(&stage.lease, 10000));
    mem_fail_after(-1);
    assert_int_equal(stage.lease.used, 0);
    body = body_new(&stage.lease, 0);
    mem_fail_after(0);
    assert_int_not_equal(body_append(body, SPAN("x")), 0);
    mem_fail_after(-1);
    assert_int_equal(body_append(body, SPAN("x")), 0);
    body_unref(&body);
    end(&stage);
}

/* --- insertions --- */

/* At every kind of place: the ends of blocks, of the body, in the middle. */
static void test_text_is_put_in_between(void **state)
{
    static const size_t lengths[] = {1, 300, 2000, 16384, 16385, 50000};
    static const char more[] = "<in between>";
    struct stage stage;

    (void)state;
    begin(&stage, 10 * MIB);
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const size_t len = lengths[i], places[] = {1, len / 2 + 1, len - len / 9, len};

        for (size_t k = 0; k < 2 * sizeof(places) / sizeof(places[0]); k++) {
            struct body *body = make(&stage, len, 1000, k % 2 ? len : 0);
            size_t place = places[k / 2];

            assert_int_equal(body_insert(body, place, SPAN(more)), 0);
            assert_int_equal(body->len, len + sizeof(more) - 1);
            memcpy(expected, text, place);
            memcpy(expected + place, more, sizeof(more) - 1);
            memcpy(expected + place + sizeof(more) - 1, text + place, len - place);
            assert_int_equal(read_all(body, NULL, 0, 32, 65536), body->len);
            assert_memory_equal(heard, expected, body->len);
            /* It can still grow. */
            assert_int_equal(body_append(body, SPAN("end")), 0);
            assert_int_equal(read_all(body, NULL, 0, 32, 65536), body->len);
            assert_memory_equal(heard + body->len - 3, "end", 3);
            body_unref(&body);
        }
    }
    end(&stage);
}

static void test_without_room_nothing_is_put_in(void **state)
{
    struct stage stage;
    struct body *body;

    (void)state;
    begin(&stage, BODY_LEASE_BYTES);
    body = make(&stage, 3 * BODY_BLOCK_BYTES + 1, 1000, 0);
    assert_int_equal(body_insert(body, 5, SPAN("more")), ERR_FULL);
    assert_int_equal(read_all(body, NULL, 0, 32, 65536), 3 * BODY_BLOCK_BYTES + 1);
    assert_memory_equal(heard, text, body->len);
    body_unref(&body);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_came),
        cmocka_unit_test(test_announced_wrongly),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_edits),
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_lower_bound),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_small_bodies),
        cmocka_unit_test(test_text_is_put_in_between),
        cmocka_unit_test(test_without_room_nothing_is_put_in),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
