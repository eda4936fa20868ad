/*
 * One thread's event loop over epoll: descriptors (edge-triggered, registered once), timers,
 * deferred tasks and a mailbox. All of it belongs to the thread that runs the loop; only loop_post
 * and loop_stop may be called from others. A turn reads the clock once: what runs in it sees one
 * `now`.
 *
 * With a virtual clock, time stands still while anything is ready and then jumps to the next timer,
 * so that a test plays hours in milliseconds.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/heap.h"
#include "base/list.h"

struct loop;
struct outbox;

enum {
    LOOP_READ = 1,   /* bytes, or an end, may be read */
    LOOP_WRITE = 2,  /* room, or the end of a connect */
    LOOP_HANGUP = 4, /* the peer ended its side, or the connection broke */
    LOOP_BROKEN = 8, /* both sides ended, or the connection broke; comes with LOOP_HANGUP */
};

/* A descriptor's place in the loop; embedded in its owner. */
struct loop_fd {
    int fd;
    void (*on_ready)(struct loop_fd *fd, unsigned ready); /* any of LOOP_* */
};

/* Something to run once at the end of the turn; embedded in its owner. */
struct loop_task {
    struct list link;
    void (*run)(struct loop_task *task);
};

/* A moment to be told of; embedded in its owner. Setting it later is O(1): the heap entry moves
 * only when it comes up. */
struct loop_timer {
    struct heap_node node;
    struct loop *loop;
    uint64_t deadline_us; /* 0: not set */
    void (*on_due)(struct loop_timer *timer);
    bool is_reserved;
};

/* A message from another thread. Its memory belongs to the sender until loop_post, to the receiver
 * from on_arrival on. */
struct loop_mail {
    struct loop_mail *next;
    void (*on_arrival)(struct loop_mail *mail);
};

/* NULL without memory or descriptors. start_us is the first `now` of a virtual clock. */
struct loop *loop_new(void);
struct loop *loop_new_virtual(uint64_t start_us);

/* Runs what is deferred, and frees. All descriptors and timers must be gone; unread mail is
 * dropped. Accepts NULL. */
void loop_free(struct loop **loop);

/* Monotonic microseconds at the start of this turn, and the wall clock to go with it. A jump of the
 * system's wall clock shows within 100 ms. */
uint64_t loop_now_us(const struct loop *loop);
uint64_t loop_wall_us(const struct loop *loop);

/* Of a virtual loop: its wall clock was set to so much later. */
void loop_set_wall_on(struct loop *loop, int64_t by_us);

/* Turns until loop_stop. 0, or ERR_IO where epoll itself fails. */
int loop_run(struct loop *loop);

/* One turn that waits at most max_wait_us for something to happen. */
int loop_turn(struct loop *loop, uint64_t max_wait_us);

/* Ends loop_run after the turn under way. Any thread. */
void loop_stop(struct loop *loop);

/* Registers fd->fd for all events, edge-triggered. is_shared: EPOLLEXCLUSIVE, for a listener that
 * several loops watch (level-triggered then). 0, ERR_NOMEM or ERR_FULL. */
int loop_add(struct loop *loop, struct loop_fd *fd, bool is_shared);

/* No event of this turn or later reaches it any more. Does not close the descriptor. */
void loop_remove(struct loop *loop, struct loop_fd *fd);

/* Runs the task at the end of this turn, once, however often it is asked. */
void loop_defer(struct loop *loop, struct loop_task *task);
void loop_task_init(struct loop_task *task, void (*run)(struct loop_task *));
void loop_task_cancel(struct loop_task *task);

void loop_timer_init(struct loop_timer *timer, struct loop *loop,
                     void (*on_due)(struct loop_timer *));
/* For a timer that nothing can do without: from here on setting it cannot fail. 0, ERR_NOMEM or
 * ERR_FULL. */
int loop_timer_reserve(struct loop_timer *timer);
/* 0, or ERR_NOMEM or ERR_FULL (the timer is then not set). */
int loop_timer_set(struct loop_timer *timer, uint64_t deadline_us);
void loop_timer_clear(struct loop_timer *timer);
/* Before the timer's memory goes. */
void loop_timer_fini(struct loop_timer *timer);

/* Hands a message to the loop's thread and wakes it. Any thread. */
void loop_post(struct loop *loop, struct loop_mail *mail);

/* A buffer that warm paths borrow and give back within one callback, so that they need not ask the
 * heap; `data` is NULL while it is lent or was never filled. Its content is nobody's. */
struct buf *loop_spare(struct loop *loop);

/* Two buffers of LOOP_SCRATCH_BYTES for use within one callback: one to read into, one to build in.
 * Reading a TLS connection uses both. */
enum { LOOP_SCRATCH_BYTES = 65536 };
char *loop_read_scratch(struct loop *loop);
char *loop_write_scratch(struct loop *loop);

/* For io/conn.c alone: what is sent before the next wait. */
struct outbox *loop_outbox(struct loop *loop);

#endif
