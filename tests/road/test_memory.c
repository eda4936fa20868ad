/* Any allocation may fail: what a client then gets is a clean refusal or a closed connection,
 * nothing is left behind, and the next request is served. (Build option `faults`.) */
#include "player.h"

#include "base/alloc.h"

static const char two_targets[] =
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 5s, total: 20s}, connections: {max: 2},\n"
    "    keys: [{name: k1, secret: s1, limits: {concurrent: 1}}, {name: k2, secret: s2}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false},\n"
    "    keys: [{name: k3, secret: s3, limits: {rpm: 100, tpm: 100000}}]}\n"
    "models: {m: {targets: [{to: up/m}], fallback: [other/n]}}\n"
    "clients: {open: true}\n"
    "classes: {standard: {concurrent: 2, queue: 5, wait: 5s, windows: ['00:00-24:00 UTC']}}\n";

/* Everything is hedged. */
static const char hedged[] =
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 5s, total: 20s}, connections: {max: 6},\n"
    "    keys: [{name: k1, secret: s1}, {name: k2, secret: s2}]}\n"
    "models: {m: up/m}\nclients: {open: true}\n"
    "retry: {hedge: {after: 1ms, budget: 100%}}\n";

/* The making of all of it. */
static void test_beginning(void **state)
{
    struct road road;
    long n = 0;

    (void)state;
    if (!wire_can_fail())
        skip();
    for (bool is_begun = false; !is_begun; n++) {
        mem_fail_after(n);
        is_begun = road_try_begin(&road, two_targets);
        if (is_begun && !mem_fail_is_pending()) {
            /* Something optional was done without. */
            mem_fail_after(-1);
            road_end(&road);
            is_begun = false;
        }
    }
    mem_fail_after(-1);
    road_end(&road);
    assert_true(n > 50);
}

/* One history, in which the n-th allocation fails; then one that must go well. False once n lies
 * beyond its end. */
static bool play(const char *yaml, uint64_t seed, long n)
{
    static struct player player;
    struct road road;
    bool has_failed;

    road_begin(&road, yaml);
    player_init(&player, &road, seed);
    player.kindness = seed % 2 ? 100 : 30;
    mem_fail_after(n);
    player_run(&player, 1 + seed % 3, 30);
    has_failed = !mem_fail_is_pending();
    mem_fail_after(-1);
    player_fini(&player);
    road_end(&road);
    return has_failed;
}

static void sweep(const char *yaml, uint64_t seeds)
{
    if (!wire_can_fail())
        skip();
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        long n = 0;

        while (play(yaml, seed, n))
            n++;
        print_message("           seed %u: %ld allocations\n", (unsigned)seed, n);
    }
}

static void test_histories(void **state)
{
    (void)state;
    sweep(two_targets, 8);
}

static void test_hedges(void **state)
{
    (void)state;
    sweep(hedged, 4);
}

/* An upstream that takes the request and says nothing: whatever fails, a timer of the attempt not
 * least, the client is answered in time. */
static void test_silence(void **state)
{
    static const char request[] =
        "POST /v1/chat/completions HTTP/1.1\r\nHost: gw\r\nContent-Length: 25\r\n\r\n"
        "{\"model\":\"m\",\"stream\":1}";
    bool has_failed = true;

    (void)state;
    if (!wire_can_fail())
        skip();
    for (long n = 0; has_failed; n++) {
        struct road road;
        struct road_answer answer;
        int client, count = 0, upstreams[16];

        road_begin(&road, two_targets);
        client = road_connect(&road);
        mem_fail_after(n);
        assert_int_equal(write(client, request, sizeof(request) - 1), sizeof(request) - 1);
        for (int i = 0; i < 2000; i++)
            loop_turn(road.loop, i % 2 ? 25000 : 0);
        has_failed = !mem_fail_is_pending();
        mem_fail_after(-1);
        road_hear(&road, client, &answer);
        if (!answer.is_whole)
            assert_int_not_equal(answer.end, WIRE_OPEN);
        else
            assert_in_range(answer.status, 400, 504);
        road_answer_free(&answer);
        for (char name = 'a'; name <= 'b'; name++) {
            while (count < 16 && (upstreams[count] = road_try_accept(&road, name)) >= 0)
                count++;
        }
        while (count)
            close(upstreams[--count]);
        close(client);
        road_end(&road);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_beginning),
        cmocka_unit_test(test_histories),
        cmocka_unit_test(test_hedges),
        cmocka_unit_test(test_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
