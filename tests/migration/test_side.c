/* What became of one side: quantiles, and the text in which it outlives a restart. */
#include "world.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "migration/side.h"

static void test_quantiles(void **state)
{
    struct side side = {.requests = 0};

    (void)state;
    assert_int_equal(side_quantile(&side, SIDE_TOTAL, 500), 0);
    for (uint64_t ms = 1; ms <= 1000; ms++)
        side.counts[SIDE_TOTAL][latency_bucket(ms * 1000)]++;
    assert_int_equal(side_measured(&side, SIDE_TOTAL), 1000);
    assert_in_range(side_quantile(&side, SIDE_TOTAL, 500), 470000, 530000);
    assert_in_range(side_quantile(&side, SIDE_TOTAL, 990), 940000, 1050000);
    assert_true(side_quantile(&side, SIDE_TOTAL, 1000) >= side_quantile(&side, SIDE_TOTAL, 999));
    assert_int_equal(side_measured(&side, SIDE_LENGTH), 0);
}

static struct side *random_side(struct rand *rand)
{
    struct side *side = mem_zalloc(1, sizeof(*side));

    side->requests = rand_below(rand, 1000000) + 300;
    side->failures = 100 + rand_below(rand, 100);
    side->refused = rand_below(rand, 100);
    side->broken = rand_below(rand, 100);
    side->whole = rand_below(rand, 1000);
    side->prompt_tokens = rand_below(rand, UINT64_C(1) << 50);
    side->completion_tokens = rand_below(rand, UINT64_C(1) << 50);
    side->cost_nano = rand_below(rand, UINT64_C(1) << 50);
    for (int i = 0; i < 200; i++)
        side->counts[rand_below(rand, SIDE_MEASURES)][rand_below(rand, LATENCY_BUCKETS)] =
            rand_below(rand, 1000000);
    return side;
}

static void test_text_and_back(void **state)
{
    struct rand rand;

    (void)state;
    rand_init(&rand, 3);
    for (int i = 0; i < 50; i++) {
        struct side *side = random_side(&rand), read;
        struct buf text;

        buf_init(&text, 1 << 20);
        assert_int_equal(side_write(side, &text), 0);
        assert_int_equal(side_read(buf_span(&text), &read), 0);
        assert_memory_equal(&read, side, sizeof(read));
        /* Any cut is noticed, or is another side that is sound. */
        for (size_t cut = 0; cut < text.len; cut += 7)
            (void)side_read(span_of(text.data, cut), &read);
        buf_fini(&text);
        mem_free(side);
    }
}

static void test_what_is_no_side(void **state)
{
    static const struct {
        const char *text;
        int err;
    } rows[] = {
        {"", ERR_SYNTAX},
        {"side/2 requests=1", ERR_UNSUPPORTED},
        {"canary/1", ERR_SYNTAX},
        {"side/1 requests=1", ERR_SYNTAX},
        {"side/1 requests=1 failures=2 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte= total= length= price=",
         ERR_RANGE},
        {"side/1 requests=1 failures=0 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte=320:1 total= length= price=",
         ERR_RANGE},
        {"side/1 requests=1 failures=0 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte=3:1,3:1 total= length= price=",
         ERR_RANGE},
        {"side/1 requests=1 failures=0 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte=3 total= length= price=",
         ERR_SYNTAX},
        {"side/1 requests=1 failures=0 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte= total= length= price= more=1",
         ERR_SYNTAX},
        {"side/1 requests=1 failures=0 refused=0 broken=0 whole=0 prompt=0 completion=0 cost=0 "
         "first_byte= total= length= price=7:9",
         0},
    };
    struct side side;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(side_read(span_from_text(rows[i].text), &side), rows[i].err);
    assert_int_equal(side.counts[SIDE_COST][7], 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_text_and_back),
        cmocka_unit_test(test_what_is_no_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
