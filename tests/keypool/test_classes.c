/* Classes where they contend for keys: who is granted first, and what becomes of each class when
 * batch wants ten times what is left for it, and of each client when one of them is greedy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "class_play.h"
#include "keypool/waiting.h"

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

static struct waiting_ticket ticket(uint64_t id, enum priority priority)
{
    return (struct waiting_ticket){.worker = id % 2, .id = id, .need = 1, .priority = priority};
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
    struct waiting_ticket gone;
    waiting_place place, left;

    (void)state;
    assert_int_equal(waiting_enter(room, ticket(1, PRIORITY_BATCH), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(2, PRIORITY_STANDARD), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(3, PRIORITY_STANDARD), &place), 0);
    assert_int_equal(waiting_enter(room, ticket(4, PRIORITY_CRITICAL), &left), 0);
    assert_int_equal(waiting_enter(room, ticket(5, PRIORITY_CRITICAL), &place), 0);
    assert_int_equal(waiting_count(room), 5);
    assert_true(waiting_leave(room, &left, &gone));
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
            waiting_enter(room, (struct waiting_ticket){.id = id, .need = 1, .priority = 2 - id},
                          &place),
            0);
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

/* ---- as the bench has them ---- */

/* Keys for 200 exchanges a second, of which critical wants 20, standard 60, and batch 1200. */
static void test_batch_wants_ten_times_its_share(void **state)
{
    struct class_question question = class_play_three();
    struct class_result result = class_play(&question);
    uint64_t all = 0;

    (void)state;
    assert_in_range(result.classes[PRIORITY_CRITICAL].came, 1000, 4000);
    assert_true(result.wait_p99_ms[PRIORITY_CRITICAL] < 50);
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITY_BATCH; p++) {
        const struct class_count *count = &result.classes[p];

        assert_int_equal(count->refused, 0);
        assert_in_range(count->served, count->came - count->came / 50,
                        count->came + count->came / 50);
    }
    for (enum priority p = PRIORITY_CRITICAL; p < PRIORITIES; p++)
        all += result.classes[p].served;
    /* Nothing is left unused: whatever the others leave, batch has. */
    assert_in_range(all, result.possible * 98 / 100, result.possible * 102 / 100);
}

/* Each client asks for more than its share; the first for ten times what the others do. */
static void test_a_greedy_client(void **state)
{
    struct class_question question = class_play_greedy();
    struct class_result result = class_play(&question);
    uint64_t all = result.classes[PRIORITY_STANDARD].served;

    (void)state;
    /* All places were held all the time, and everybody had a twentieth. */
    assert_in_range(all, result.possible * 97 / 100, result.possible * 103 / 100);
    for (unsigned i = 1; i < question.count; i++)
        assert_in_range(result.clients[i].served, all / question.count * 95 / 100,
                        all / question.count * 105 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_highest_first),
        cmocka_unit_test(test_taken_by_class),
        cmocka_unit_test(test_a_share_for_each),
        cmocka_unit_test(test_batch_wants_ten_times_its_share),
        cmocka_unit_test(test_a_greedy_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
