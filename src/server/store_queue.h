/*
 * The questions to one secret store: so many at once, and the rest in that store's own queue, so
 * that a store which does not answer holds up nobody else's. What failed is asked again, ever more
 * seldom. The control thread's.
 */
#ifndef SERVER_STORE_QUEUE_H
#define SERVER_STORE_QUEUE_H

#include "secrets/secret_store.h"

struct store_queue {
    struct list link; /* among all queues */
    struct loop *loop;
    struct secret_store *store;
    struct list questions; /* struct store_question: all of this store */
    struct list waiting;   /* those to be asked */
    unsigned under_way;
    unsigned away; /* its user's: how many questions found the store out of reach */
    struct loop_task pump;
    struct loop_timer retry;
    uint64_t retry_us;
};

/* One that may be asked again and again. Embedded in its owner; zeroed, but for the functions,
 * before it joins a queue. */
struct store_question {
    /* Begins the ask, as the calls of secrets/secret_store.h do, and returns what they return. */
    int (*begin)(struct store_question *question, struct secret_store *store);
    /* Returns 0, or why the answer is of no use. It may begin others, and end none. */
    int (*on_answer)(struct store_question *question, const struct secret_answer *answer);
    struct store_queue *queue; /* NULL: none */
    struct secret_ask ask;
    struct list link, waiting; /* what follows is the queue's */
    bool is_due;               /* again, once the answer under way is there */
    bool has_failed;
};

/* Joins the queue of that store, which is made by the first and goes with the last: 0 or ERR_NOMEM.
 * The store outlives the queue. */
int store_queue_join(struct list *queues, struct loop *loop, struct secret_store *store,
                     struct store_question *question);

/* Untold. Harmless where it is in none. */
void store_queue_leave(struct store_question *question);

/* Once more, also where it is under way. It is in a queue. */
void store_queue_ask(struct store_question *question);

#endif
