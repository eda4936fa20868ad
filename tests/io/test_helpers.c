/* Jobs done by helper threads: off the loop's thread, in their order, bounded, and each of them
 * comes back once, at the end of the helpers too. */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/helpers.h"
#include "wire.h"

enum { JOBS = 20 };

/* Held until it is let go, so that a test knows who stands in line. */
struct task {
    struct helper_job job;
    sem_t begun, release;
    pthread_t thread;
    int number, *order; /* of those done so far */
    int returns, err;
};

static void work(struct helper_job *job)
{
    struct task *task = container_of(job, struct task, job);

    task->thread = pthread_self();
    sem_post(&task->begun);
    sem_wait(&task->release);
    task->number = (*task->order)++;
}

static void on_done(struct helper_job *job, int err)
{
    struct task *task = container_of(job, struct task, job);

    task->returns++;
    task->err = err;
}

static void ask_for(struct helpers *helpers, struct loop *loop, struct task *task, bool is_spare,
                    int *order)
{
    *task =
        (struct task){.job = {.loop = loop, .work = work, .is_spare = is_spare, .on_done = on_done},
                      .number = -1,
                      .order = order};
    sem_init(&task->begun, 0, 0);
    sem_init(&task->release, 0, 0);
    helpers_ask(helpers, &task->job);
    assert_int_equal(task->returns, 0); /* never before the call returns */
}

static void ask(struct helpers *helpers, struct loop *loop, struct task *task, int *order)
{
    ask_for(helpers, loop, task, false, order);
}

static void await(struct loop *loop, struct task *task)
{
    while (!task->returns)
        assert_int_equal(loop_turn(loop, 1000000), 0);
    assert_int_equal(task->returns, 1);
    sem_destroy(&task->begun);
    sem_destroy(&task->release);
}

/* By one thread they are done one after another, as they came, and never by the one that asks. */
static void test_in_order(void **state)
{
    static struct task tasks[JOBS];
    struct helpers *helpers = helpers_new(1, JOBS);
    struct loop *loop = loop_new();
    int order = 0;

    (void)state;
    for (int i = 0; i < JOBS; i++)
        ask(helpers, loop, &tasks[i], &order);
    for (int i = JOBS - 1; i >= 0; i--)
        sem_post(&tasks[i].release);
    for (int i = 0; i < JOBS; i++) {
        await(loop, &tasks[i]);
        assert_int_equal(tasks[i].err, 0);
        assert_int_equal(tasks[i].number, i);
        assert_false(pthread_equal(tasks[i].thread, pthread_self()));
    }
    helpers_free(&helpers);
    assert_null(helpers);
    helpers_free(&helpers);
    loop_free(&loop);
}

/* A long job holds up the others only when there are as many of them as threads. */
static void test_side_by_side(void **state)
{
    struct helpers *helpers = helpers_new(2, JOBS);
    struct loop *loop = loop_new();
    struct task slow, quick;
    int order = 0;

    (void)state;
    ask(helpers, loop, &slow, &order);
    sem_wait(&slow.begun);
    ask(helpers, loop, &quick, &order);
    sem_post(&quick.release);
    await(loop, &quick);
    assert_int_equal(slow.returns, 0);
    sem_post(&slow.release);
    await(loop, &slow);
    helpers_free(&helpers);
    loop_free(&loop);
}

static void test_full_line(void **state)
{
    struct helpers *helpers = helpers_new(1, 1);
    struct loop *loop = loop_new();
    struct task under_way, in_line, refused;
    int order = 0;

    (void)state;
    ask(helpers, loop, &under_way, &order);
    sem_wait(&under_way.begun);
    ask(helpers, loop, &in_line, &order);
    ask(helpers, loop, &refused, &order);
    await(loop, &refused);
    assert_int_equal(refused.err, ERR_FULL);
    assert_int_equal(refused.number, -1);
    sem_post(&under_way.release);
    sem_post(&in_line.release);
    await(loop, &under_way);
    await(loop, &in_line);
    assert_int_equal(in_line.err, 0);
    helpers_free(&helpers);
    loop_free(&loop);
}

/* What nobody waits for is done last. */
static void test_spare(void **state)
{
    struct helpers *helpers = helpers_new(1, 4);
    struct loop *loop = loop_new();
    struct task under_way, spare[2], wanted[2];
    int order = 0;

    (void)state;
    ask(helpers, loop, &under_way, &order);
    sem_wait(&under_way.begun);
    for (int i = 0; i < 2; i++)
        ask_for(helpers, loop, &spare[i], true, &order);
    for (int i = 0; i < 2; i++)
        ask(helpers, loop, &wanted[i], &order);
    for (int i = 0; i < 2; i++) {
        sem_post(&spare[i].release);
        sem_post(&wanted[i].release);
    }
    sem_post(&under_way.release);
    await(loop, &under_way);
    for (int i = 0; i < 2; i++) {
        await(loop, &wanted[i]);
        await(loop, &spare[i]);
        assert_int_equal(wanted[i].number, 1 + i);
        assert_int_equal(spare[i].number, 3 + i);
    }
    helpers_free(&helpers);
    loop_free(&loop);
}

static void *end(void *arg)
{
    helpers_free(arg);
    return NULL;
}

/* The one under way is waited for, those in line come back undone. */
static void test_ending(void **state)
{
    struct helpers *helpers = helpers_new(1, JOBS);
    struct loop *loop = loop_new();
    struct task under_way, in_line;
    pthread_t ending;
    int order = 0;

    (void)state;
    ask(helpers, loop, &under_way, &order);
    sem_wait(&under_way.begun);
    ask(helpers, loop, &in_line, &order);
    assert_int_equal(pthread_create(&ending, NULL, end, &helpers), 0);
    assert_int_equal(loop_turn(loop, 1000), 0);
    assert_int_equal(under_way.returns, 0);
    sem_post(&under_way.release);
    sem_post(&in_line.release); /* where it was begun before the end was told */
    pthread_join(ending, NULL);
    await(loop, &under_way);
    await(loop, &in_line);
    assert_int_equal(under_way.err, 0);
    assert_true(in_line.err == ERR_CANCELLED || in_line.err == 0);
    loop_free(&loop);
}

static void test_without_memory(void **state)
{
    (void)state;
    if (!wire_can_fail())
        skip();
    mem_fail_after(0);
    assert_null(helpers_new(1, 1));
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),       cmocka_unit_test(test_side_by_side),
        cmocka_unit_test(test_full_line),      cmocka_unit_test(test_ending),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_spare),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
