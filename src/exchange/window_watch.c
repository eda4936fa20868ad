#include "exchange/window_watch.h"

#include "base/bug.h"
#include "base/clock.h"

/* Some hundred microseconds of a turn. */
enum { LOOKS_A_TURN = 64, MINUTE_S = 60 };

/* Set without fail: its room in the loop is reserved. */
static void set_timer(struct window_watch *watch)
{
    uint64_t at_us = loop_now_us(watch->loop) + MINUTE_S * US_PER_SEC;

    if (watch->change_us < at_us)
        at_us = watch->change_us;
    if (watch->timer.deadline_us == 0 || at_us < watch->timer.deadline_us)
        bug_fatal_unless(loop_timer_set(&watch->timer, at_us) == 0);
}

static void end_round(struct window_watch *watch)
{
    watch->next = NULL;
    if (!list_is_empty(&watch->links))
        set_timer(watch);
}

static void go_on(struct loop_task *task)
{
    struct window_watch *watch = container_of(task, struct window_watch, round);

    for (int i = 0; i < LOOKS_A_TURN && watch->next != &watch->links; i++) {
        struct list *link = watch->next;

        watch->next = link->next;
        watch->look(link);
    }
    if (watch->next == &watch->links)
        end_round(watch);
    else
        loop_defer(watch->loop, &watch->round);
}

/* What changes after this is told of in the round. */
static void on_due(struct loop_timer *timer)
{
    struct window_watch *watch = container_of(timer, struct window_watch, timer);

    watch->next = watch->links.next;
    watch->change_us = UINT64_MAX;
    loop_defer(watch->loop, &watch->round);
}

int window_watch_init(struct window_watch *watch, struct loop *loop, window_look *look)
{
    *watch = (struct window_watch){.loop = loop, .look = look, .change_us = UINT64_MAX};
    list_init(&watch->links);
    loop_timer_init(&watch->timer, loop, on_due);
    loop_task_init(&watch->round, go_on);
    return loop_timer_reserve(&watch->timer);
}

void window_watch_fini(struct window_watch *watch)
{
    if (!watch->loop)
        return;
    bug_fatal_unless(list_is_empty(&watch->links));
    loop_task_cancel(&watch->round);
    loop_timer_fini(&watch->timer);
}

void window_watch_add(struct window_watch *watch, struct list *link)
{
    list_push_back(&watch->links, link);
    if (!watch->next)
        set_timer(watch);
}

void window_watch_remove(struct window_watch *watch, struct list *link)
{
    if (watch->next == link)
        watch->next = link->next;
    list_remove(link);
    if (!watch->next && list_is_empty(&watch->links)) {
        watch->change_us = UINT64_MAX;
        loop_timer_clear(&watch->timer);
    }
}

void window_watch_note(struct window_watch *watch, uint64_t change_us)
{
    if (change_us >= watch->change_us)
        return;
    watch->change_us = change_us;
    if (!watch->next)
        set_timer(watch);
}
