/* Classes where they contend for keys: who is granted first, and what becomes of each class when
 * batch wants ten times what is left for it. Bulkheads and waiting room as the road uses them, on
 * virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "keypool/waiting.h"
#include "limits/bulkhead.h"

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

static struct waiting_ticket ticket(uint64_t id, enum priority priority)
{
    return (struct waiting_ticket){.worker = id % 2, .id = id, .priority = priority};
}

static void expect_granted(struct waiting_room *room, uint64_t id)
{
    struct waiting_ticket taken;

    assert_int_equal(waiting_grant(room, 1, call_nobody, NULL), 1);
    assert_int_equal(waiting_take(room, (uint32_t)(id % 2), &taken, 1), 1);
    assert_int_equal(taken.id, id);
}

static void test_the_highest_first(void **state)
{
    struct waiting_room *room = waiting_room_new(100, 2);
    waiting_place place, left;

    (void)state;
    assert_int_equal(waiting_enter(room, ticket(1, PRIORITY_BATCH), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(2, PRIORITY_STANDARD), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(3, PRIORITY_STANDARD), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(4, PRIORITY_CRITICAL), &left), 0);
    assert_int_equal(waiting_enter(room, ticket(5, PRIORITY_CRITICAL), &place), 0);
    assert_int_equal(waiting_count(room), 5);
    assert_true(waiting_leave(room, &left));
    expect_granted(room, 5);
    expect_granted(room, 2);
    expect_granted(room, 3);
    expect_granted(room, 1);
    assert_int_equal(waiting_grant(room, 1, call_nobody, NULL), 0);
    waiting_room_free(&room);
}

/* The worker that was granted several takes those of the highest class first. */
static void test_taken_by_class(void **state)
{
    struct waiting_room *room = waiting_room_new(100, 1);
    struct waiting_ticket taken[3];
    waiting_place place;

    (void)state;
    for (uint64_t id = 0; id < 3; id++)
        assert_int_equal(
            waiting_enter(room, (struct waiting_ticket){.id = id, .priority = 2 - id}, &place), 0);
    assert_int_equal(waiting_grant(room, UINT32_MAX, call_nobody, NULL), 3);
    assert_int_equal(waiting_take(room, 0, taken, 2), 2);
    assert_int_equal(taken[0].id, 2);
    assert_int_equal(taken[1].id, 1);
    assert_int_equal(waiting_take(room, 0, taken, 3), 1);
    assert_int_equal(taken[0].id, 0);
    waiting_room_free(&room);
}

/* While higher ones wait all the time, a lower one has one turn in ten. */
static void test_a_share_for_each(void **state)
{
    struct waiting_room *room = waiting_room_new(10000, 2);
    unsigned had[PRIORITIES] = {0};
    waiting_place place;

    (void)state;
    for (uint64_t id = 0; id < 3000; id++)
        assert_int_equal(waiting_enter(room, ticket(id, (enum priority)(id % PRIORITIES)), &place),
                         0);
    for (int i = 0; i < 1000; i++) {
        struct waiting_ticket taken;

        assert_int_equal(waiting_grant(room, 1, call_nobody, NULL), 1);
        assert_int_equal(waiting_take(room, 0, &taken, 1) + waiting_take(room, 1, &taken, 1), 1);
        had[taken.priority]++;
    }
    assert_in_range(had[PRIORITY_CRITICAL], 798, 802);
    assert_in_range(had[PRIORITY_STANDARD], 99, 101);
    assert_in_range(had[PRIORITY_BATCH], 99, 101);
    waiting_room_free(&room);
}

/* ---- a day of three classes ---- */

enum { KEYS = 20, TICKS = 100000, WARM_UP = 10000, GUESTS = 4000, WAITS = 20000 };

enum where { NOWHERE, IN_QUEUE, IN_ROOM, ON_KEY };

struct guest {
    struct bulkhead_waiter waiter;
    enum where where;
    enum priority priority;
    uint64_t came_us, since_us, ends_us;
    waiting_place place;
};

struct world {
    struct bulkhead *bulkheads[PRIORITIES];
    struct waiting_room *room;
    struct guest guests[GUESTS];
    struct rand rand;
    uint64_t now_us;
    unsigned used, came[PRIORITIES], served[PRIORITIES];
    uint64_t waits_us[WAITS]; /* of critical */
    size_t waits;
};

static const struct bulkhead_caller caller = {call_nobody, NULL};

static void take_key(struct world *world, struct guest *guest)
{
    world->used++;
    guest->where = ON_KEY;
    guest->ends_us = world->now_us + 50 * US_PER_MS + rand_below(&world->rand, 100 * US_PER_MS);
    if (guest->priority == PRIORITY_CRITICAL && world->waits < WAITS)
        world->waits_us[world->waits++] = world->now_us - guest->came_us;
}

/* It has had its turn: a key, or the room. */
static void select_key(struct world *world, struct guest *guest)
{
    uint64_t id = (uint64_t)(guest - world->guests);

    guest->since_us = world->now_us;
    if (world->used < KEYS) {
        take_key(world, guest);
        return;
    }
    guest->where = IN_ROOM;
    assert_int_equal(waiting_enter(world->room,
                                   (struct waiting_ticket){.id = id, .priority = guest->priority},
                                   &guest->place),
                     0);
}

static void leave(struct world *world, struct guest *guest)
{
    bulkhead_leave(world->bulkheads[guest->priority], &guest->waiter, guest->since_us,
                   world->now_us, &caller);
    guest->where = NOWHERE;
}

static void end_those_that_are_done(struct world *world)
{
    for (int i = 0; i < GUESTS; i++) {
        struct guest *guest = &world->guests[i];

        if (guest->where != ON_KEY || guest->ends_us > world->now_us)
            continue;
        world->used--;
        world->served[guest->priority]++;
        waiting_grant(world->room, 1, call_nobody, NULL);
        leave(world, guest);
    }
}

/* As on_waking: first the room, then the bulkheads. */
static void wake(struct world *world)
{
    struct waiting_ticket taken;
    bool has_place = false;

    while (waiting_take(world->room, 0, &taken, 1))
        take_key(world, &world->guests[taken.id]);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        struct bulkhead_waiter *waiter;

        while ((waiter = bulkhead_take(world->bulkheads[p], 0, &has_place)))
            select_key(world, waiter->owner);
    }
}

static void come(struct world *world, enum priority priority)
{
    struct bulkhead_ask ask = {
        .client = SPAN("a"), .now_us = world->now_us, .until_us = world->now_us + 600 * US_PER_SEC};
    struct guest *guest = world->guests;
    enum bulkhead_verdict verdict;
    uint64_t retry_us;

    while (guest->where != NOWHERE)
        guest++;
    assert_in_range(guest - world->guests, 0, GUESTS - 1);
    memset(guest, 0, sizeof(*guest));
    guest->waiter.owner = guest;
    guest->priority = priority;
    guest->came_us = world->now_us;
    world->came[priority]++;
    verdict = bulkhead_enter(world->bulkheads[priority], &guest->waiter, &ask, &caller, &retry_us);
    if (verdict == BULKHEAD_TAKEN)
        select_key(world, guest);
    else if (verdict == BULKHEAD_WAITS)
        guest->where = IN_QUEUE;
    else
        assert_int_equal(priority, PRIORITY_BATCH);
}

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return one < other ? -1 : one > other;
}

static void clear(struct world *world)
{
    for (int i = 0; i < GUESTS; i++) {
        struct guest *guest = &world->guests[i];

        if (guest->where == IN_QUEUE)
            bulkhead_quit(world->bulkheads[guest->priority], &guest->waiter, &caller);
        else if (guest->where != NOWHERE)
            leave(world, guest);
    }
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        bulkhead_free(&world->bulkheads[p]);
    waiting_room_free(&world->room);
}

/* Keys for 200 exchanges a second, of which critical wants 20, standard 60, and batch 1200. */
static void test_batch_wants_ten_times_its_share(void **state)
{
    static const struct bulkhead_rules rules[PRIORITIES] = {{.concurrent = 20, .queue = 100},
                                                            {.concurrent = 50, .queue = 1000},
                                                            {.concurrent = 100, .queue = 3000}};
    static const unsigned per_second[PRIORITIES] = {20, 60, 1200};
    static struct world world;
    unsigned all = 0;

    (void)state;
    rand_init(&world.rand, 11);
    world.room = waiting_room_new(1000, 1);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
        world.bulkheads[p] = bulkhead_new(1);
        bulkhead_set(world.bulkheads[p], &rules[p]);
    }
    for (int tick = 0; tick < TICKS; tick++) {
        world.now_us += US_PER_MS;
        end_those_that_are_done(&world);
        wake(&world);
        for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++) {
            /* Batch comes at least once in each millisecond. */
            unsigned per_mille = per_second[p];

            for (; per_mille >= 1000; per_mille -= 1000)
                come(&world, p);
            if (rand_below(&world.rand, 1000) < per_mille)
                come(&world, p);
        }
        if (tick == WARM_UP) {
            memset(world.came, 0, sizeof(world.came));
            memset(world.served, 0, sizeof(world.served));
            world.waits = 0;
        }
    }
    qsort(world.waits_us, world.waits, sizeof(world.waits_us[0]), compare);
    assert_in_range(world.waits, 1000, WAITS - 1);
    assert_in_range(world.waits_us[world.waits * 99 / 100], 0, 50 * US_PER_MS - 1);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITY_BATCH; p++)
        assert_in_range(world.served[p], world.came[p] - world.came[p] / 50,
                        world.came[p] + world.came[p] / 50);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        all += world.served[p];
    /* Nothing is left unused: whatever the others leave, batch has. */
    assert_in_range(all, (TICKS - WARM_UP) / 5 * 98 / 100, (TICKS - WARM_UP) / 5 * 102 / 100);
    clear(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_highest_first),
        cmocka_unit_test(test_taken_by_class),
        cmocka_unit_test(test_a_share_for_each),
        cmocka_unit_test(test_batch_wants_ten_times_its_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
