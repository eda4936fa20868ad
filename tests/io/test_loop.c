#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "io/loop.h"
#include "wire.h"

/* A timer that notes when it was due. */
struct alarm {
    struct loop_timer timer;
    uint64_t rang_us;
    int rings;
    uint64_t again_us; /* sets itself so much later, each time */
    struct alarm *clears;
};

static void on_due(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    alarm->rang_us = loop_now_us(timer->loop);
    alarm->rings++;
    if (alarm->again_us)
        assert_int_equal(loop_timer_set(timer, alarm->rang_us + alarm->again_us), 0);
    if (alarm->clears)
        loop_timer_clear(&alarm->clears->timer);
}

static void set_alarm(struct loop *loop, struct alarm *alarm, uint64_t us)
{
    *alarm = (struct alarm){.rings = 0};
    loop_timer_init(&alarm->timer, loop, on_due);
    assert_int_equal(loop_timer_set(&alarm->timer, us), 0);
}

static void test_timers_come_in_order(void **state)
{
    struct loop *loop = loop_new_virtual(1000);
    struct alarm alarms[100];

    for (unsigned i = 0; i < 100; i++)
        set_alarm(loop, &alarms[i], 2000 + (i * 37 % 100) * 1000);
    for (unsigned n = 0; n < 100; n++) {
        assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
        assert_int_equal(loop_now_us(loop), 2000 + n * 1000);
        for (unsigned i = 0; i < 100; i++)
            assert_int_equal(alarms[i].rings, i * 37 % 100 <= n);
    }
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(alarms[i].rang_us, 2000 + (i * 37 % 100) * 1000);
        loop_timer_fini(&alarms[i].timer);
    }
    loop_free(&loop);
}

static void test_timers_move(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct alarm later, sooner, cleared, set_again, gone;

    set_alarm(loop, &later, 1000);
    loop_timer_set(&later.timer, 5000);
    set_alarm(loop, &sooner, 9000);
    loop_timer_set(&sooner.timer, 2000);
    set_alarm(loop, &cleared, 3000);
    loop_timer_clear(&cleared.timer);
    set_alarm(loop, &set_again, 3000);
    loop_timer_clear(&set_again.timer);
    loop_timer_set(&set_again.timer, 4000);
    set_alarm(loop, &gone, 3000);
    loop_timer_fini(&gone.timer);
    loop_timer_fini(&gone.timer);
    wire_pass(loop, 20000);
    assert_int_equal(later.rang_us, 5000);
    assert_int_equal(sooner.rang_us, 2000);
    assert_int_equal(set_again.rang_us, 4000);
    assert_int_equal(cleared.rings + gone.rings, 0);
    assert_int_equal(later.rings + sooner.rings + set_again.rings, 3);
    loop_timer_fini(&later.timer);
    loop_timer_fini(&sooner.timer);
    loop_timer_fini(&set_again.timer);
    loop_timer_fini(&cleared.timer);
    loop_free(&loop);
}

static void test_timers_act_on_timers(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct alarm first, second, often;

    set_alarm(loop, &first, 1000);
    set_alarm(loop, &second, 1001);
    first.clears = &second;
    set_alarm(loop, &often, 500);
    often.again_us = 500;
    wire_pass(loop, 10000);
    assert_int_equal(first.rings, 1);
    assert_int_equal(second.rings, 0);
    assert_int_equal(often.rings, 20);
    /* One that is due again at once does not hold the turn. */
    often.again_us = 0;
    loop_timer_set(&often.timer, loop_now_us(loop));
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(often.rings, 21);
    loop_timer_fini(&first.timer);
    loop_timer_fini(&second.timer);
    loop_timer_fini(&often.timer);
    loop_free(&loop);
}

static void ring_now(struct loop_timer *timer)
{
    struct alarm *alarm = container_of(timer, struct alarm, timer);

    alarm->rings++;
    loop_timer_set(timer, loop_now_us(timer->loop));
}

static void test_a_timer_cannot_hold_the_turn(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct alarm alarm = {.rings = 0};

    loop_timer_init(&alarm.timer, loop, ring_now);
    loop_timer_set(&alarm.timer, 1);
    for (int i = 1; i <= 5; i++) {
        assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
        assert_int_equal(alarm.rings, i);
    }
    loop_timer_fini(&alarm.timer);
    loop_free(&loop);
}

struct witness {
    struct loop_mail mail;
    const struct alarm *alarms;
    unsigned count, rung; /* of the alarms, when it arrived */
};

static void on_witness(struct loop_mail *mail)
{
    struct witness *witness = container_of(mail, struct witness, mail);

    for (unsigned i = 0; i < witness->count; i++)
        witness->rung += witness->alarms[i].rings;
}

/* A crowd of timers that are due at one moment leaves room for what comes in between. */
static void test_many_timers_take_turns(void **state)
{
    enum { MANY = 1000, A_TURN = 256 };
    struct loop *loop = loop_new_virtual(0);
    static struct alarm alarms[MANY];
    struct witness witness = {.mail.on_arrival = on_witness, .alarms = alarms, .count = MANY};
    unsigned turns = 0, rung = 0;

    (void)state;
    memset(alarms, 0, sizeof(alarms));
    for (int i = 0; i < MANY; i++)
        set_alarm(loop, &alarms[i], 1000);
    while (rung < MANY) {
        unsigned before = rung;

        assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
        rung = 0;
        for (int i = 0; i < MANY; i++)
            rung += alarms[i].rings;
        assert_true(rung - before <= A_TURN);
        assert_int_equal(loop_now_us(loop), 1000);
        if (turns++ == 0)
            loop_post(loop, &witness.mail);
    }
    assert_int_equal(witness.rung, A_TURN);
    assert_int_equal(turns, 4);
    for (int i = 0; i < MANY; i++)
        loop_timer_fini(&alarms[i].timer);
    loop_free(&loop);
}

static void test_real_time(void **state)
{
    struct loop *loop = loop_new();
    uint64_t start = loop_now_us(loop), wall = clock_wall_us();
    struct alarm alarm;

    set_alarm(loop, &alarm, start + 3000);
    while (!alarm.rings)
        assert_int_equal(loop_turn(loop, UINT64_MAX), 0);
    assert_true(alarm.rang_us >= start + 3000);
    assert_true(loop_wall_us(loop) >= wall && loop_wall_us(loop) - wall < 60 * US_PER_SEC);
    loop_timer_fini(&alarm.timer);
    loop_free(&loop);
}

/* --- tasks --- */

struct errand {
    struct loop_task task;
    struct loop *loop;
    int runs, again;
    struct errand *cancels;
};

static void run_errand(struct loop_task *task)
{
    struct errand *errand = container_of(task, struct errand, task);

    errand->runs++;
    if (errand->again-- > 0)
        loop_defer(errand->loop, task);
    if (errand->cancels)
        loop_task_cancel(&errand->cancels->task);
}

static void test_tasks(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct errand once = {.loop = loop}, often = {.loop = loop, .again = 2};
    struct errand never = {.loop = loop}, cancels = {.loop = loop, .cancels = &never};

    loop_task_init(&once.task, run_errand);
    loop_task_init(&often.task, run_errand);
    loop_task_init(&never.task, run_errand);
    loop_task_init(&cancels.task, run_errand);
    loop_defer(loop, &once.task);
    loop_defer(loop, &once.task);
    loop_defer(loop, &often.task);
    loop_defer(loop, &cancels.task);
    loop_defer(loop, &never.task);
    loop_turn(loop, 0);
    assert_int_equal(once.runs, 1);
    assert_int_equal(often.runs, 1); /* anew is the next turn */
    assert_int_equal(never.runs, 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    loop_turn(loop, 0);
    assert_int_equal(once.runs, 1);
    assert_int_equal(often.runs, 3);
    /* What is deferred last still runs. */
    loop_defer(loop, &once.task);
    loop_free(&loop);
    assert_int_equal(once.runs, 2);
    assert_null(loop);
}

/* --- descriptors --- */

struct watch {
    struct loop_fd fd;
    struct loop *loop;
    struct watch *removes;
    unsigned seen;
    int calls;
};

static void on_ready(struct loop_fd *fd, unsigned ready)
{
    struct watch *watch = container_of(fd, struct watch, fd);

    watch->seen |= ready;
    watch->calls++;
    if (watch->removes)
        loop_remove(watch->loop, &watch->removes->fd);
}

static void test_events(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct watch watch = {.loop = loop};
    int fds[2];

    wire_pair(fds);
    watch.fd = (struct loop_fd){fds[0], on_ready};
    assert_int_equal(loop_add(loop, &watch.fd, false), 0);
    assert_true(loop_add(loop, &watch.fd, false) < 0);
    loop_turn(loop, 0);
    assert_int_equal(watch.seen, LOOP_WRITE);
    loop_turn(loop, 0);
    assert_int_equal(watch.calls, 1); /* an edge is told once */
    watch.seen = 0;
    assert_int_equal(send(fds[1], "x", 1, 0), 1);
    loop_turn(loop, 0);
    assert_true(watch.seen & LOOP_READ);
    assert_false(watch.seen & LOOP_HANGUP);
    shutdown(fds[1], SHUT_WR);
    loop_turn(loop, 0);
    assert_true(watch.seen & LOOP_HANGUP);
    assert_false(watch.seen & LOOP_BROKEN);
    close(fds[1]);
    loop_turn(loop, 0);
    assert_true(watch.seen & LOOP_BROKEN);
    loop_remove(loop, &watch.fd);
    close(fds[0]);
    loop_free(&loop);
}

/* Both are in one batch of events; whichever comes first takes the other out of it. */
static void test_removed_in_the_batch(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct watch a = {.loop = loop}, b = {.loop = loop};
    int first[2], second[2];

    wire_pair(first);
    wire_pair(second);
    a.fd = (struct loop_fd){first[0], on_ready};
    b.fd = (struct loop_fd){second[0], on_ready};
    a.removes = &b;
    b.removes = &a;
    assert_int_equal(loop_add(loop, &a.fd, false), 0);
    assert_int_equal(loop_add(loop, &b.fd, false), 0);
    loop_turn(loop, 0);
    assert_int_equal(a.calls + b.calls, 1);
    close(first[0]);
    close(first[1]);
    close(second[0]);
    close(second[1]);
    loop_free(&loop);
}

/* --- mail --- */

enum { SENDERS = 4, LETTERS = 5000 };

struct letter {
    struct loop_mail mail;
    int sender, number;
};

struct office {
    struct loop *loop;
    int got, next[SENDERS];
};

static struct office office;

static void on_arrival(struct loop_mail *mail)
{
    struct letter *letter = container_of(mail, struct letter, mail);

    /* Of one sender, in its order. */
    assert_int_equal(letter->number, office.next[letter->sender]++);
    free(letter);
    if (++office.got == SENDERS * LETTERS)
        loop_stop(office.loop);
}

static void *send_letters(void *arg)
{
    int sender = (int)(intptr_t)arg;

    for (int i = 0; i < LETTERS; i++) {
        struct letter *letter = malloc(sizeof(*letter));

        *letter = (struct letter){{.on_arrival = on_arrival}, sender, i};
        loop_post(office.loop, &letter->mail);
    }
    return NULL;
}

static void test_mail_from_threads(void **state)
{
    pthread_t threads[SENDERS];

    office = (struct office){.loop = loop_new()};
    for (intptr_t i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_letters, (void *)i), 0);
    assert_int_equal(loop_run(office.loop), 0);
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(office.got, SENDERS * LETTERS);
    loop_free(&office.loop);
}

static void *stop(void *arg)
{
    loop_stop(arg);
    return NULL;
}

static void test_stop_from_a_thread(void **state)
{
    struct loop *loop = loop_new(), *still = loop_new_virtual(0);
    pthread_t thread;

    for (int i = 0; i < 50; i++) {
        assert_int_equal(pthread_create(&thread, NULL, stop, loop), 0);
        assert_int_equal(loop_run(loop), 0);
        pthread_join(thread, NULL);
    }
    assert_int_equal(pthread_create(&thread, NULL, stop, still), 0);
    assert_int_equal(loop_run(still), 0);
    pthread_join(thread, NULL);
    assert_int_equal(loop_now_us(still), 0); /* without timers, virtual time has nowhere to go */
    loop_free(&still);
    loop_free(&loop);
}

static void test_virtual_time_is_bounded(void **state)
{
    struct loop *loop = loop_new_virtual(1000);
    struct alarm alarm;

    set_alarm(loop, &alarm, 10000);
    loop_turn(loop, 500);
    assert_int_equal(loop_now_us(loop), 1500);
    assert_int_equal(loop_wall_us(loop), 1500);
    loop_turn(loop, 100000);
    assert_int_equal(loop_now_us(loop), 10000);
    assert_int_equal(alarm.rings, 1);
    /* A moment that has passed already rings at once. */
    assert_int_equal(loop_timer_set(&alarm.timer, 9000), 0);
    loop_turn(loop, 100000);
    assert_int_equal(loop_now_us(loop), 10000);
    assert_int_equal(alarm.rings, 2);
    loop_timer_fini(&alarm.timer);
    loop_free(&loop);
}

static void test_without_memory(void **state)
{
    struct loop_timer timer;
    struct loop *loop;

    if (!wire_can_fail())
        skip();
    mem_fail_after(0);
    assert_null(loop_new());
    loop = loop_new_virtual(0);
    loop_timer_init(&timer, loop, on_due);
    mem_fail_after(0);
    assert_true(loop_timer_set(&timer, 1) < 0);
    assert_int_equal(timer.deadline_us, 0);
    loop_timer_fini(&timer);
    loop_free(&loop);
}

/* Others may come first and take all the room there is: a reserved timer is set all the same. */
static void test_reserved_timers(void **state)
{
    struct loop *loop = loop_new_virtual(0);
    struct alarm kept[2], others[100];
    unsigned set = 0;

    if (!wire_can_fail())
        skip();
    for (int i = 0; i < 2; i++) {
        kept[i] = (struct alarm){.again_us = 0};
        loop_timer_init(&kept[i].timer, loop, on_due);
        assert_int_equal(loop_timer_reserve(&kept[i].timer), 0);
        assert_int_equal(loop_timer_reserve(&kept[i].timer), 0); /* once is enough */
    }
    mem_fail_after(0);
    for (unsigned i = 0; i < 100; i++) {
        others[i] = (struct alarm){.again_us = 0};
        loop_timer_init(&others[i].timer, loop, on_due);
        set += loop_timer_set(&others[i].timer, 1000) == 0;
        mem_fail_after(0);
    }
    assert_in_range(set, 1, 99);
    for (int i = 0; i < 2; i++)
        assert_int_equal(loop_timer_set(&kept[i].timer, 500), 0);
    mem_fail_after(-1);
    wire_pass(loop, 2000);
    assert_int_equal(kept[0].rings + kept[1].rings, 2);
    for (int i = 0; i < 2; i++)
        loop_timer_fini(&kept[i].timer);
    for (unsigned i = 0; i < 100; i++)
        loop_timer_fini(&others[i].timer);
    loop_free(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_come_in_order),
        cmocka_unit_test(test_timers_move),
        cmocka_unit_test(test_timers_act_on_timers),
        cmocka_unit_test(test_a_timer_cannot_hold_the_turn),
        cmocka_unit_test(test_many_timers_take_turns),
        cmocka_unit_test(test_real_time),
        cmocka_unit_test(test_tasks),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_removed_in_the_batch),
        cmocka_unit_test(test_mail_from_threads),
        cmocka_unit_test(test_stop_from_a_thread),
        cmocka_unit_test(test_virtual_time_is_bounded),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_reserved_timers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
