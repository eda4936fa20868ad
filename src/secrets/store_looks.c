#include "secrets/store_looks.h"

#include "base/alloc.h"
#include "base/err.h"

static void start_round(struct store_looks *looks)
{
    uint64_t poll_us = looks->poll_us;

    poll_us = poll_us - poll_us / 10 + rand_below(&looks->rand, poll_us / 5 + 1);
    if (list_is_empty(&looks->rested))
        loop_timer_clear(&looks->timer);
    else /* reserved: it cannot fail */
        (void)loop_timer_set(&looks->timer, loop_now_us(looks->store->loop) + poll_us);
}

/* A store that cannot be asked at all: nobody else need try in this round. */
static void end_round(struct store_looks *looks, int err, const char *why)
{
    while (!list_is_empty(&looks->due)) {
        struct list *link = list_pop_front(&looks->due);

        secret_watch_note(container_of(link, struct store_look, link)->watch, 0, err, why);
        list_push_back(&looks->rested, link);
    }
}

void store_look_done(struct store_look *look, uint64_t seen, int err, const char *why, bool is_lost)
{
    struct store_looks *looks = look->looks;

    looks->looking = NULL;
    secret_watch_note(look->watch, seen, err, why);
    if (err && is_lost)
        end_round(looks, err, why);
    loop_defer(looks->store->loop, &looks->next);
    secret_watch_tell(looks->store);
}

static void on_next(struct loop_task *task)
{
    struct store_looks *looks = container_of(task, struct store_looks, next);
    struct store_look *look;

    if (looks->looking)
        return;
    if (list_is_empty(&looks->due)) {
        start_round(looks);
        return;
    }
    look = container_of(list_pop_front(&looks->due), struct store_look, link);
    list_push_back(&looks->rested, &look->link);
    if (looks->ops->begin(look) == 0)
        looks->looking = look;
    else /* it has its turn in the next round */
        loop_defer(looks->store->loop, &looks->next);
}

static void on_due(struct loop_timer *timer)
{
    struct store_looks *looks = container_of(timer, struct store_looks, timer);

    while (!list_is_empty(&looks->rested))
        list_push_back(&looks->due, list_pop_front(&looks->rested));
    loop_defer(looks->store->loop, &looks->next);
}

static void on_tell(struct loop_task *task)
{
    secret_watch_tell(container_of(task, struct store_looks, tell)->store);
}

int store_looks_init(struct store_looks *looks, struct secret_store *store,
                     const struct store_looks_ops *ops, uint64_t poll_us)
{
    looks->store = store;
    looks->ops = ops;
    looks->poll_us = poll_us;
    list_init(&looks->due);
    list_init(&looks->rested);
    loop_task_init(&looks->next, on_next);
    loop_task_init(&looks->tell, on_tell);
    loop_timer_init(&looks->timer, store->loop, on_due);
    rand_init_from_system(&looks->rand);
    return loop_timer_reserve(&looks->timer) ? ERR_NOMEM : 0;
}

void store_looks_fini(struct store_looks *looks)
{
    loop_task_cancel(&looks->next);
    loop_task_cancel(&looks->tell);
    loop_timer_fini(&looks->timer);
}

int store_looks_add(struct store_looks *looks, struct secret_watch *watch)
{
    struct store_look *look = mem_zalloc(1, sizeof(*look));

    if (!look)
        return ERR_NOMEM;
    look->watch = watch;
    look->looks = looks;
    watch->work = look;
    list_push_back(&looks->due, &look->link);
    loop_defer(looks->store->loop, &looks->next);
    return 0;
}

void store_looks_remove(struct store_looks *looks, struct secret_watch *watch)
{
    struct store_look *look = watch->work;

    if (looks->looking == look) {
        looks->ops->cancel(look);
        looks->looking = NULL;
        loop_defer(looks->store->loop, &looks->next);
    }
    list_remove(&look->link);
    mem_free(look);
}

void store_looks_changed(struct store_looks *looks, struct span path)
{
    /* Told later: who is told may end the very ask that changed it. */
    secret_watch_note_path(looks->store, path);
    loop_defer(looks->store->loop, &looks->tell);
}
