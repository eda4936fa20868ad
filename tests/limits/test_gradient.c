/* Limits of how many may be under way, found by the gradient of latency, before servers that tell
 * nothing of how many they serve at once. On virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "gradient_play.h"

#define SERVICE_US US_PER_SEC

static const struct gradient_settings usual = {
    .initial = 20, .min = 1, .max = 1000, .backoff_milli = 500};

static struct gradient_server server_of(uint32_t capacity, double spread)
{
    return (struct gradient_server){
        .capacity = capacity, .service_us = SERVICE_US, .spread = spread, .first_part = 1};
}

static struct gradient_play *begin_from(const struct gradient_server *server, uint32_t initial,
                                        uint64_t seed)
{
    struct gradient_settings settings = usual;
    struct gradient_play *play;

    settings.initial = initial;
    play = gradient_play_new(server, &settings, 0, seed);
    assert_non_null(play);
    return play;
}

/* What so many services in a row came to, counted anew. */
struct score {
    double used;    /* of what the server can do */
    double limit;   /* on average */
    double latency; /* in services */
};

static struct score score(struct gradient_play *play, uint64_t services)
{
    struct score score;
    double lasted_us = (double)services * SERVICE_US;

    memset(&play->stats, 0, sizeof(play->stats));
    gradient_play_run(play, services * SERVICE_US);
    score.used = play->stats.service_us / lasted_us / play->server.capacity;
    score.limit = play->stats.limit_us / lasted_us;
    score.latency = play->stats.latency_us / play->stats.service_us;
    if (getenv("BW_SHOW"))
        print_message(
            "capacity %3u of %.1f s (spread %.1f, first byte %.2f): used %.3f, limit %6.1f "
            "(%u to %u), latency %.2f times, refused %llu\n",
            play->server.capacity, (double)play->server.service_us / US_PER_SEC,
            play->server.spread, play->server.first_part, score.used, score.limit,
            play->stats.least, play->stats.most, score.latency,
            (unsigned long long)play->stats.refused);
    return score;
}

/* All that the server can do, and hardly a queue. */
static void expect_found(struct gradient_play *play)
{
    struct score found = score(play, 2000);

    assert_true(found.used >= 0.95);
    assert_true(found.limit >= 0.95 * play->server.capacity);
    assert_true(found.limit <= 2 * play->server.capacity);
    assert_true(found.latency <= 2);
}

static void test_off_limits_nothing(void **state)
{
    struct gradient_settings off = {.max = 0};
    struct gradient_sample sample = gradient_sample_of(1, 5, 10);
    struct gradient gradient;

    gradient_init(&gradient);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(gradient_note(&gradient, &sample, 1, 20), 0);
    assert_int_equal(gradient_limit(&gradient), 0);
    assert_false(gradient_refuse(&gradient, 5, 10));
    gradient_set(&gradient, &usual);
    assert_int_equal(gradient_limit(&gradient), 20);
    gradient_set(&gradient, &off);
    assert_int_equal(gradient_limit(&gradient), 0);
}

static void test_finds_what_a_server_can_do(void **state)
{
    static const uint32_t capacities[] = {4, 16, 64}, initials[] = {2, 20, 200};
    static const double spreads[] = {0, 0.5, 1};

    for (size_t c = 0; c < 3; c++) {
        for (size_t i = 0; i < 3; i++) {
            for (size_t s = 0; s < 3; s++) {
                struct gradient_server server = server_of(capacities[c], spreads[s]);
                struct gradient_play *play = begin_from(&server, initials[i], 10 * i + s);

                gradient_play_run(play, 1000 * SERVICE_US);
                expect_found(play);
                free(play);
            }
        }
    }
}

/* Where a server takes anyone next of those who wait, few answers tell little of its queue; it is
 * found in few all the same. */
static void test_finds_it_soon_whoever_is_next(void **state)
{
    enum { SEEDS = 300 };
    struct gradient_server server = server_of(4, 0.1);
    int high = 0;

    (void)state;
    server.is_unfair = true;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct gradient_play *play = begin_from(&server, 32, seed);

        gradient_play_run(play, 200 * SERVICE_US);
        high += gradient_limit(&play->gradient) > 4 * server.capacity;
        free(play);
    }
    if (getenv("BW_SHOW"))
        print_message("%d of %d too high\n", high, SEEDS);
    assert_in_range(high, 0, SEEDS / 100);
}

/* One at a time: there is no less to compare it with, and it is still found. */
static void test_finds_a_server_of_one_place(void **state)
{
    static const double parts[] = {1, 0.1};

    for (size_t i = 0; i < 2; i++) {
        struct gradient_server server = server_of(1, 0.5);
        struct gradient_play *play;
        struct score found;

        server.first_part = parts[i];
        play = begin_from(&server, 20, i);
        gradient_play_run(play, 2000 * SERVICE_US);
        found = score(play, 4000);
        assert_true(found.used >= 0.95);
        assert_true(found.limit <= 5);
        free(play);
    }
}

/* Streams: the first byte comes after a tenth of the service, and the place is held to its end. So
 * a queue shows tenfold. */
static void test_finds_it_by_first_bytes(void **state)
{
    static const uint32_t capacities[] = {4, 16, 64};

    for (size_t c = 0; c < 3; c++) {
        struct gradient_server server = server_of(capacities[c], 0.5);
        struct gradient_play *play;

        server.first_part = 0.1;
        play = begin_from(&server, 20, c);
        gradient_play_run(play, 1000 * SERVICE_US);
        expect_found(play);
        free(play);
    }
}

/* Four models, of which the slowest takes 27 times the quickest, in any order. */
static void test_compares_like_with_like(void **state)
{
    struct gradient_server server = server_of(16, 0.5);
    struct gradient_play *play;

    server.models = 4;
    server.service_us = SERVICE_US / 10; /* one on average */
    play = begin_from(&server, 20, 1);
    gradient_play_run(play, 1000 * SERVICE_US);
    expect_found(play);
    free(play);
}

/* All ask for the slowest of them, then all for the quickest: that is no queue, and no end of one.
 */
static void test_another_mix_is_no_queue(void **state)
{
    struct gradient_server server = server_of(16, 0.5);
    struct gradient_play *play;

    server.models = 3;
    play = begin_from(&server, 20, 2);
    gradient_play_run(play, 3000 * SERVICE_US);
    for (int i = 0; i < 4; i++) {
        uint64_t services = i & 1 ? 20 : 180;
        struct score found;

        play->server.models = 1;
        play->server.first_model = i & 1 ? 0 : 2;
        found = score(play, services);
        assert_true(found.limit > 0.9 * server.capacity);
        assert_true(found.limit < 1.7 * server.capacity);
    }
    free(play);
}

static void test_capacity_that_changes(void **state)
{
    struct gradient_server server = server_of(32, 0.5);
    struct gradient_play *play = begin_from(&server, 20, 7);
    struct score after;

    gradient_play_run(play, 500 * SERVICE_US);
    expect_found(play);
    play->server.capacity = 16;
    gradient_play_run(play, 60 * SERVICE_US);
    after = score(play, 60);
    assert_true(after.used >= 0.95 && after.latency <= 2);
    expect_found(play);
    play->server.capacity = 32;
    gradient_play_run(play, 60 * SERVICE_US);
    after = score(play, 60);
    assert_true(after.used >= 0.95 && after.latency <= 2);
    expect_found(play);
    free(play);
}

/* A model that takes three times as long for good: it is believed. */
static void test_a_slower_model_is_believed(void **state)
{
    struct gradient_server server = server_of(32, 0.5);
    struct gradient_play *play = begin_from(&server, 20, 3);

    gradient_play_run(play, 500 * SERVICE_US);
    expect_found(play);
    play->server.service_us = 3 * SERVICE_US;
    gradient_play_run(play, 100 * SERVICE_US);
    assert_true(score(play, 60).used >= 0.95);
    expect_found(play);
    /* And quicker again. */
    play->server.service_us = SERVICE_US;
    gradient_play_run(play, 300 * SERVICE_US);
    expect_found(play);
    free(play);
}

/* A tenth of what it could do: nothing is in its way, and the limit neither grows nor sinks. */
static void test_light_load_moves_nothing(void **state)
{
    struct gradient_server server = server_of(64, 0.5);
    struct gradient_play *play = begin_from(&server, 40, 5);

    play->per_second = 6.4;
    gradient_play_run(play, 5000 * SERVICE_US);
    assert_in_range(play->stats.least, 15, 40);
    assert_in_range(play->stats.most, 40, 45);
    assert_true(play->stats.latency_us < 1.02 * play->stats.service_us);
    free(play);
}

/* A server that lets nobody wait, but refuses: few are refused, and most of it is used. */
static void test_refusals_are_remembered(void **state)
{
    struct gradient_server server = server_of(16, 0.5);
    struct gradient_play *play;
    struct score found;

    server.queue = 1;
    play = begin_from(&server, 20, 9);
    gradient_play_run(play, 500 * SERVICE_US);
    found = score(play, 5000);
    assert_true(found.used > 0.85);
    assert_true(play->stats.refused < play->stats.answered / 100);
    free(play);
}

static void test_one_cut_for_one_burst(void **state)
{
    struct gradient gradient;

    gradient_init(&gradient);
    gradient_set(&gradient, &usual);
    for (uint64_t i = 0; i < 20; i++)
        assert_int_equal(gradient_refuse(&gradient, 1000 - i, 1000 + i), i == 0);
    assert_int_equal(gradient_limit(&gradient), 10);
    assert_true(gradient_refuse(&gradient, 2000, 2001));
    assert_int_equal(gradient_limit(&gradient), 5);
}

/* So many answers, each sent when the one before began, with all of the limit under way. */
static void feed(struct gradient *gradient, uint64_t *now_us, int answers, uint64_t latency_us)
{
    for (int i = 0; i < answers; i++) {
        struct gradient_sample sample =
            gradient_sample_of(1, *now_us - latency_us, *now_us + (i & 1));

        gradient_note(gradient, &sample, gradient_limit(gradient), *now_us);
        *now_us += latency_us;
    }
}

/* In a dip less is under way than was found: what was refused then is what it held. */
static void test_a_refusal_in_a_dip_lowers_the_limit(void **state)
{
    struct gradient_settings gentle = usual;
    struct gradient gradient;
    uint64_t now_us = 1000000;
    uint32_t dipped;

    gentle.backoff_milli = 900;
    gradient_init(&gradient);
    gradient_set(&gradient, &gentle);
    for (int i = 0; i < 100000 && gradient.phase != GRADIENT_DIPPING; i++)
        feed(&gradient, &now_us, 1, 1000000);
    assert_int_equal(gradient.phase, GRADIENT_DIPPING);
    dipped = gradient_limit(&gradient);
    assert_true(gradient_refuse(&gradient, now_us, now_us + 1));
    assert_true(gradient_limit(&gradient) < dipped);
}

/* Other bounds keep what was found within them. */
static void test_new_settings_keep_what_was_found(void **state)
{
    struct gradient_settings other = usual;
    struct gradient gradient;

    gradient_init(&gradient);
    gradient_set(&gradient, &usual);
    gradient_refuse(&gradient, 1000, 1001);
    gradient_set(&gradient, &usual);
    assert_int_equal(gradient_limit(&gradient), 10);
    other.min = 12;
    gradient_set(&gradient, &other);
    assert_int_equal(gradient_limit(&gradient), 12);
    other.min = 1;
    other.max = 3;
    gradient_set(&gradient, &other);
    assert_int_equal(gradient_limit(&gradient), 3);
}

/* A clock that went back by an hour is no reason to stand still for one. */
static void test_a_clock_that_went_back(void **state)
{
    uint64_t now_us = 10000 * US_PER_SEC;
    struct gradient gradient;

    gradient_init(&gradient);
    gradient_set(&gradient, &usual);
    feed(&gradient, &now_us, 50, US_PER_MS);
    now_us -= 3600 * US_PER_SEC;
    feed(&gradient, &now_us, 2000, US_PER_MS);
    assert_true(gradient_limit(&gradient) > 30);
}

/* Among those that say that all is well, a few that took an hour, or nothing, say little. */
static void test_a_few_far_off_say_little(void **state)
{
    struct gradient_settings settings = usual;
    uint64_t now_us = 10000 * US_PER_SEC;
    struct gradient gradient;

    settings.initial = settings.max = 40;
    gradient_init(&gradient);
    gradient_set(&gradient, &settings);
    feed(&gradient, &now_us, 1000, 100 * US_PER_MS);
    for (int i = 0; i < 20; i++) {
        struct gradient_sample far = gradient_sample_of(1, now_us - 1, now_us + 3600 * US_PER_SEC);

        gradient_note(&gradient, &far, 40, now_us);
        feed(&gradient, &now_us, 15, 100 * US_PER_MS);
        assert_true(gradient.found > 39);
    }
}

static uint64_t garbage(struct rand *rand, uint64_t now_us)
{
    switch (rand_below(rand, 5)) {
    case 0:
        return 0;
    case 1:
        return now_us;
    case 2:
        return now_us + rand_below(rand, 10 * US_PER_SEC); /* before it was sent */
    case 3:
        return now_us - rand_below(rand, now_us);
    default:
        return now_us - rand_below(rand, US_PER_SEC);
    }
}

/* Whatever comes when: never above max nor below min, and what it says to have grown by is true. */
static void test_any_history_stays_in_bounds(void **state)
{
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct gradient_settings settings = {.backoff_milli = 1};
        struct gradient gradient;
        struct rand rand;
        uint64_t now_us = 1000 * US_PER_SEC;

        rand_init(&rand, seed);
        settings.min = 1 + (uint32_t)rand_below(&rand, 20);
        settings.initial = settings.min + (uint32_t)rand_below(&rand, 100);
        settings.max = settings.initial + (uint32_t)rand_below(&rand, 100000);
        settings.backoff_milli += (uint32_t)rand_below(&rand, 999);
        gradient_init(&gradient);
        gradient_set(&gradient, &settings);
        for (int i = 0; i < 20000; i++) {
            uint32_t before = gradient_limit(&gradient), grown;
            struct gradient_sample sample =
                gradient_sample_of(gradient_kind(rand_below(&rand, 30), i & 1, rand_u64(&rand)),
                                   garbage(&rand, now_us), now_us);

            grown =
                gradient_note(&gradient, &sample, (uint32_t)rand_below(&rand, before + 2), now_us);
            if (grown)
                assert_int_equal(gradient_limit(&gradient), before + grown);
            if (rand_below(&rand, 500) == 0)
                gradient_refuse(&gradient, garbage(&rand, now_us), now_us);
            assert_in_range(gradient_limit(&gradient), settings.min, settings.max);
            now_us += rand_below(&rand, US_PER_SEC);
            if (rand_below(&rand, 100) == 0)
                now_us -= US_PER_SEC; /* also a clock that jumps back */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off_limits_nothing),
        cmocka_unit_test(test_one_cut_for_one_burst),
        cmocka_unit_test(test_a_refusal_in_a_dip_lowers_the_limit),
        cmocka_unit_test(test_new_settings_keep_what_was_found),
        cmocka_unit_test(test_a_clock_that_went_back),
        cmocka_unit_test(test_a_few_far_off_say_little),
        cmocka_unit_test(test_any_history_stays_in_bounds),
        cmocka_unit_test(test_finds_what_a_server_can_do),
        cmocka_unit_test(test_finds_it_soon_whoever_is_next),
        cmocka_unit_test(test_finds_a_server_of_one_place),
        cmocka_unit_test(test_finds_it_by_first_bytes),
        cmocka_unit_test(test_compares_like_with_like),
        cmocka_unit_test(test_another_mix_is_no_queue),
        cmocka_unit_test(test_capacity_that_changes),
        cmocka_unit_test(test_a_slower_model_is_believed),
        cmocka_unit_test(test_light_load_moves_nothing),
        cmocka_unit_test(test_refusals_are_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
