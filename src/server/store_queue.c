#include "server/store_queue.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    ASKS_AT_ONCE = 16,
    FIRST_RETRY_US = (int)US_PER_SEC,
    LAST_RETRY_US = 60 * (int)US_PER_SEC,
};

/* ---- answers ---- */

/* What stands there and is no entry stays none until it changes, which its watch tells. */
static void take_answer(struct store_question *question, const struct secret_answer *answer)
{
    struct store_queue *queue = question->queue;
    int err = question->on_answer(question, answer);

    question->has_failed = err && err != ERR_SYNTAX;
    if (!question->has_failed) {
        queue->retry_us = FIRST_RETRY_US;
    } else if (!queue->retry.deadline_us) {
        /* Reserved: it cannot fail. */
        (void)loop_timer_set(&queue->retry, loop_now_us(queue->loop) + queue->retry_us);
        if (queue->retry_us < LAST_RETRY_US)
            queue->retry_us *= 2;
    }
}

static void on_done(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct store_question *question = container_of(ask, struct store_question, ask);

    question->queue->under_way--;
    loop_defer(question->queue->loop, &question->queue->pump);
    take_answer(question, answer);
    if (question->is_due)
        store_queue_ask(question);
}

static void on_retry(struct loop_timer *timer)
{
    struct store_queue *queue = container_of(timer, struct store_queue, retry);

    list_for_each (link, &queue->questions) {
        struct store_question *question = container_of(link, struct store_question, link);

        if (question->has_failed)
            store_queue_ask(question);
    }
}

/* ---- the queue ---- */

static void begin(struct store_question *question)
{
    struct secret_answer answer = {.why = ""};

    question->is_due = false;
    question->ask.on_done = on_done;
    answer.err = question->begin(question, question->queue->store);
    if (answer.err) {
        answer.why = err_text(answer.err);
        take_answer(question, &answer);
    } else {
        question->queue->under_way++;
    }
}

static void on_pump(struct loop_task *task)
{
    struct store_queue *queue = container_of(task, struct store_queue, pump);

    while (queue->under_way < ASKS_AT_ONCE && !list_is_empty(&queue->waiting))
        begin(container_of(list_pop_front(&queue->waiting), struct store_question, waiting));
}

void store_queue_ask(struct store_question *question)
{
    if (question->ask.store) {
        question->is_due = true;
        return;
    }
    if (!list_is_linked(&question->waiting))
        list_push_back(&question->queue->waiting, &question->waiting);
    loop_defer(question->queue->loop, &question->queue->pump);
}

/* ---- who is in it ---- */

static void free_queue(struct store_queue *queue)
{
    loop_task_cancel(&queue->pump);
    loop_timer_fini(&queue->retry);
    mem_free(queue);
}

/* NULL without memory. */
static struct store_queue *new_queue(struct loop *loop, struct secret_store *store)
{
    struct store_queue *queue = mem_zalloc(1, sizeof(*queue));

    if (!queue)
        return NULL;
    queue->loop = loop;
    queue->store = store;
    queue->retry_us = FIRST_RETRY_US;
    list_init(&queue->questions);
    list_init(&queue->waiting);
    loop_task_init(&queue->pump, on_pump);
    loop_timer_init(&queue->retry, loop, on_retry);
    if (!loop_timer_reserve(&queue->retry))
        return queue;
    free_queue(queue);
    return NULL;
}

static struct store_queue *find(const struct list *queues, const struct secret_store *store)
{
    list_for_each (link, queues) {
        struct store_queue *queue = container_of(link, struct store_queue, link);

        if (queue->store == store)
            return queue;
    }
    return NULL;
}

int store_queue_join(struct list *queues, struct loop *loop, struct secret_store *store,
                     struct store_question *question)
{
    struct store_queue *queue = find(queues, store);

    if (!queue) {
        queue = new_queue(loop, store);
        if (!queue)
            return ERR_NOMEM;
        list_push_back(queues, &queue->link);
    }
    question->queue = queue;
    list_push_back(&queue->questions, &question->link);
    return 0;
}

void store_queue_leave(struct store_question *question)
{
    struct store_queue *queue = question->queue;

    if (!queue)
        return;
    question->queue = NULL;
    queue->under_way -= question->ask.store != NULL;
    secret_ask_cancel(&question->ask);
    list_remove(&question->link);
    if (list_is_linked(&question->waiting))
        list_remove(&question->waiting);
    question->is_due = question->has_failed = false;
    loop_defer(queue->loop, &queue->pump);
    if (list_is_empty(&queue->questions)) {
        list_remove(&queue->link);
        free_queue(queue);
    }
}
