#include "io/loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fetch.h"
#include "io/outbox.h"

enum {
    EVENTS_A_TURN = 256,
    TIMERS_A_TURN = 256, /* the rest in the next turn, after what is ready then */
    TIMERS_MAX = 1 << 22,
    WALL_US = 100000,
    SPARE_MAX = 1 << 20,
    VIRTUAL_WAIT_MS = 10
};

struct loop {
    int epoll_fd;
    uint64_t now_us;
    uint64_t wall_offset_us; /* wall clock minus now, modulo 2^64 */
    uint64_t wall_read_us;   /* when that was true; asked again after WALL_US */
    bool is_virtual;
    struct heap timers;
    size_t reserved; /* timers for which there is always room in the heap */
    struct list tasks;
    struct epoll_event events[EVENTS_A_TURN];
    int event_at, event_count; /* the batch under way; loop_remove blanks what is still to come */
    struct loop_fd wake;
    struct buf spare;
    struct {
        /* Pushed by any thread with a compare-and-swap, taken whole by the loop's thread: a push is
         * release, the taking acquire, so that a message is seen as its sender left it. */
        _Atomic(struct loop_mail *) mail;
        /* Set by any thread, read once a turn: nothing is published through it. */
        atomic_bool is_stopped;
    } shared;
    struct outbox outbox;
    char read_scratch[LOOP_SCRATCH_BYTES];
    char write_scratch[LOOP_SCRATCH_BYTES];
};

static void read_clock(struct loop *loop)
{
    if (loop->is_virtual)
        return;
    loop->now_us = clock_now_us();
    if (loop->now_us - loop->wall_read_us < WALL_US)
        return;
    loop->wall_read_us = loop->now_us;
    loop->wall_offset_us = clock_wall_us() - loop->now_us;
}

static void on_wake(struct loop_fd *fd, unsigned ready)
{
    uint64_t count;

    (void)ready;
    /* One read takes all that was written; there is nothing to do about a failure. */
    (void)!read(fd->fd, &count, sizeof(count));
}

/* For reading alone: that it may be written would wake the loop after every message. */
static int watch_wake(struct loop *loop)
{
    struct epoll_event event = {.events = (uint32_t)EPOLLIN | EPOLLET, .data.ptr = &loop->wake};

    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake.fd, &event) ? err_from_errno(errno)
                                                                           : 0;
}

static struct loop *new_loop(bool is_virtual, uint64_t start_us)
{
    struct loop *loop = mem_zalloc(1, sizeof(*loop));

    if (!loop)
        return NULL;
    heap_init(&loop->timers, TIMERS_MAX);
    list_init(&loop->tasks);
    loop->is_virtual = is_virtual;
    buf_init(&loop->spare, SPARE_MAX);
    loop->now_us = start_us;
    loop->wake = (struct loop_fd){.fd = -1, .on_ready = on_wake};
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->wake.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (loop->wake.fd < 0 || watch_wake(loop))
        loop_free(&loop);
    else
        read_clock(loop);
    return loop;
}

struct loop *loop_new(void)
{
    return new_loop(false, 0);
}

struct loop *loop_new_virtual(uint64_t start_us)
{
    return new_loop(true, start_us);
}

/* What a task defers anew runs in the next turn, so that a turn ends. */
static void run_tasks(struct loop *loop)
{
    struct list batch;
    struct list *link;

    if (list_is_empty(&loop->tasks))
        return;
    list_insert_between(&batch, loop->tasks.prev, loop->tasks.next);
    list_init(&loop->tasks);
    while ((link = list_pop_front(&batch))) {
        struct loop_task *task = container_of(link, struct loop_task, link);

        task->run(task);
    }
}

void loop_free(struct loop **loop)
{
    struct loop *l = *loop;

    if (!l)
        return;
    /* What was closed last still waits to be freed. */
    while (!list_is_empty(&l->tasks))
        run_tasks(l);
    if (l->wake.fd >= 0)
        close(l->wake.fd);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    heap_fini(&l->timers);
    buf_fini(&l->spare);
    mem_free(l);
    *loop = NULL;
}

uint64_t loop_now_us(const struct loop *loop)
{
    return loop->now_us;
}

uint64_t loop_wall_us(const struct loop *loop)
{
    return loop->now_us + loop->wall_offset_us;
}

void loop_set_wall_on(struct loop *loop, int64_t by_us)
{
    bug_fatal_unless(loop->is_virtual);
    loop->wall_offset_us += (uint64_t)by_us;
}

struct buf *loop_spare(struct loop *loop)
{
    return &loop->spare;
}

int loop_add(struct loop *loop, struct loop_fd *fd, bool is_shared)
{
    struct epoll_event event = {.data.ptr = fd};

    event.events = is_shared ? (uint32_t)EPOLLIN | EPOLLEXCLUSIVE
                             : (uint32_t)EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd->fd, &event) ? err_from_errno(errno) : 0;
}

void loop_remove(struct loop *loop, struct loop_fd *fd)
{
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd->fd, NULL);
    for (int i = loop->event_at; i < loop->event_count; i++) {
        if (loop->events[i].data.ptr == fd)
            loop->events[i].data.ptr = NULL;
    }
}

void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *))
{
    task->run = run;
    list_init(&task->link);
}

void loop_defer(struct loop *loop, struct loop_task *task)
{
    if (!list_is_linked(&task->link))
        list_push_back(&loop->tasks, &task->link);
}

void loop_task_cancel(struct loop_task *task)
{
    list_remove(&task->link);
}

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
                     void (*on_due)(struct loop_timer *))
{
    *timer = (struct loop_timer){.loop = loop, .on_due = on_due};
}

/* Room in the heap for one more beside all that are reserved, be those in it or not. */
static int make_room(struct loop *loop)
{
    return heap_reserve(&loop->timers, loop->timers.count + loop->reserved + 1);
}

int loop_timer_reserve(struct loop_timer *timer)
{
    int err;

    if (timer->is_reserved)
        return 0;
    err = make_room(timer->loop);
    if (err)
        return err;
    timer->loop->reserved++;
    timer->is_reserved = true;
    return 0;
}

int loop_timer_set(struct loop_timer *timer, uint64_t deadline_us)
{
    if (deadline_us == 0)
        deadline_us = 1;
    if (!heap_has(&timer->node)) {
        int err = timer->is_reserved ? 0 : make_room(timer->loop);

        if (!err)
            err = heap_push(&timer->loop->timers, &timer->node, deadline_us);
        if (err)
            return err;
    } else if (deadline_us < timer->node.key) {
        heap_move(&timer->loop->timers, &timer->node, deadline_us);
    }
    timer->deadline_us = deadline_us;
    return 0;
}

void loop_timer_clear(struct loop_timer *timer)
{
    timer->deadline_us = 0;
}

void loop_timer_fini(struct loop_timer *timer)
{
    timer->deadline_us = 0;
    if (!timer->loop)
        return;
    heap_remove(&timer->loop->timers, &timer->node);
    timer->loop->reserved -= timer->is_reserved;
    timer->is_reserved = false;
}

/* Entries whose timer was cleared or moved on are put right when they come up. */
static uint64_t next_deadline(struct loop *loop)
{
    struct heap_node *node;

    while ((node = heap_peek(&loop->timers))) {
        struct loop_timer *timer = container_of(node, struct loop_timer, node);

        if (timer->deadline_us == 0)
            heap_remove(&loop->timers, node);
        else if (timer->deadline_us > node->key)
            heap_move(&loop->timers, node, timer->deadline_us);
        else
            return node->key;
    }
    return UINT64_MAX;
}

static void run_timers(struct loop *loop)
{
    struct heap_node *node;
    /* What is set meanwhile has its turn next. */
    size_t most = loop->timers.count < TIMERS_A_TURN ? loop->timers.count : TIMERS_A_TURN;

    while (most-- && (node = heap_peek(&loop->timers)) && node->key <= loop->now_us) {
        struct loop_timer *timer = container_of(node, struct loop_timer, node);

        if (timer->deadline_us > loop->now_us) {
            heap_move(&loop->timers, node, timer->deadline_us);
            continue;
        }
        heap_remove(&loop->timers, node);
        if (timer->deadline_us == 0)
            continue;
        timer->deadline_us = 0;
        timer->on_due(timer);
    }
}

static void run_mail(struct loop *loop)
{
    struct loop_mail *mail = atomic_load_explicit(&loop->shared.mail, memory_order_relaxed);
    struct loop_mail *in_order = NULL;

    if (!mail)
        return;
    mail = atomic_exchange_explicit(&loop->shared.mail, NULL, memory_order_acquire);
    while (mail) {
        struct loop_mail *next = mail->next;

        mail->next = in_order;
        in_order = mail;
        mail = next;
    }
    while (in_order) {
        mail = in_order;
        in_order = mail->next;
        mail->on_arrival(mail);
    }
}

static unsigned ready_of(uint32_t events)
{
    unsigned ready = 0;

    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        ready |= LOOP_READ;
    if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
        ready |= LOOP_WRITE;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        ready |= LOOP_HANGUP;
    if (events & (EPOLLHUP | EPOLLERR))
        ready |= LOOP_BROKEN;
    return ready;
}

/* The connections whose turn comes soon. */
static inline void fetch_next(const struct loop *loop)
{
    enum { AHEAD = 2, BYTES = 512 };

    int at = loop->event_at + AHEAD;

    if (at < loop->event_count && loop->events[at].data.ptr)
        fetch_ahead(loop->events[at].data.ptr, BYTES);
}

static void run_events(struct loop *loop)
{
    while (loop->event_at < loop->event_count) {
        struct epoll_event *event = &loop->events[loop->event_at++];
        struct loop_fd *fd = event->data.ptr;

        fetch_next(loop);
        if (fd)
            fd->on_ready(fd, ready_of(event->events));
        if (outbox_is_full(&loop->outbox))
            outbox_flush(&loop->outbox);
    }
    loop->event_at = loop->event_count = 0;
}

static int wait_ms(struct loop *loop, uint64_t max_wait_us)
{
    uint64_t deadline = next_deadline(loop);
    uint64_t wait_us = deadline > loop->now_us ? deadline - loop->now_us : 0;

    if (!list_is_empty(&loop->tasks))
        return 0;
    /* Virtual time is not waited for; without any, only another thread can bring news. */
    if (loop->is_virtual)
        return deadline == UINT64_MAX && max_wait_us == UINT64_MAX ? VIRTUAL_WAIT_MS : 0;
    if (wait_us > max_wait_us)
        wait_us = max_wait_us;
    if (wait_us > 60 * US_PER_SEC)
        wait_us = 60 * US_PER_SEC;
    /* Rounded up, or the loop would spin through the last millisecond. */
    return (int)((wait_us + US_PER_MS - 1) / US_PER_MS);
}

/* With nothing ready, virtual time jumps to what comes next. */
static void jump(struct loop *loop, uint64_t max_wait_us)
{
    uint64_t next = next_deadline(loop);

    if (!list_is_empty(&loop->tasks) ||
        atomic_load_explicit(&loop->shared.mail, memory_order_relaxed) || next <= loop->now_us)
        return;
    if (next == UINT64_MAX || next - loop->now_us > max_wait_us) {
        if (max_wait_us == UINT64_MAX)
            return;
        next = loop->now_us + max_wait_us;
    }
    loop->now_us = next;
}

int loop_turn(struct loop *loop, uint64_t max_wait_us)
{
    int count;

    outbox_flush(&loop->outbox);
    count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_A_TURN, wait_ms(loop, max_wait_us));
    if (count < 0 && errno != EINTR)
        return ERR_IO;
    read_clock(loop);
    loop->event_count = count > 0 ? count : 0;
    if (loop->is_virtual && loop->event_count == 0)
        jump(loop, max_wait_us);
    run_events(loop);
    run_mail(loop);
    run_timers(loop);
    run_tasks(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int err = 0;

    while (!err && !atomic_load_explicit(&loop->shared.is_stopped, memory_order_relaxed))
        err = loop_turn(loop, UINT64_MAX);
    atomic_store_explicit(&loop->shared.is_stopped, false, memory_order_relaxed);
    return err;
}

static void wake(struct loop *loop)
{
    uint64_t one = 1;

    /* A full counter wakes as well. */
    (void)!write(loop->wake.fd, &one, sizeof(one));
}

void loop_stop(struct loop *loop)
{
    atomic_store_explicit(&loop->shared.is_stopped, true, memory_order_relaxed);
    wake(loop);
}

void loop_post(struct loop *loop, struct loop_mail *mail)
{
    struct loop_mail *first = atomic_load_explicit(&loop->shared.mail, memory_order_relaxed);

    do {
        mail->next = first;
    } while (!atomic_compare_exchange_weak_explicit(&loop->shared.mail, &first, mail,
                                                    memory_order_release, memory_order_relaxed));
    /* Who finds mail there already was preceded by a sender that woke the loop. */
    if (!first)
        wake(loop);
}

char *loop_read_scratch(struct loop *loop)
{
    return loop->read_scratch;
}

char *loop_write_scratch(struct loop *loop)
{
    return loop->write_scratch;
}

struct outbox *loop_outbox(struct loop *loop)
{
    return &loop->outbox;
}
