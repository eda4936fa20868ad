/* What was used, by key, client, model and provider: once a second it is collected from the
 * workers, added up, and what has changed is written to the store; what was written by an earlier
 * process is read at the start, and counts on. A process that ends in order writes all of it.
 * Nothing is written before it was read. */
#include "server/gateway_inner.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "ledger/books.h"
#include "ledger/uses.h"
#include "server/gateway_store.h"
#include "store/uses.h"

enum { TICK_US = 1000000, PUT_ROWS = USES_ROWS_MAX / BOOKS_PERIODS };

/* How long the store is left alone after trouble. */
#define AGAIN_US (5 * US_PER_SEC)

struct bookkeeper {
    struct gateway *gateway;
    struct books books;
    struct loop_timer timer;
    struct store_ask loads[BOOKS_PERIODS], put;
    unsigned unread;                  /* bit per period that the store has not told so far */
    struct books_row *rows[PUT_ROWS]; /* that are being written */
    size_t row_count;
    uint64_t quiet_until_us; /* after trouble with the store */
};

static uint64_t wall_of(const struct bookkeeper *keeper)
{
    return loop_wall_us(keeper->gateway->loop);
}

static void wait_a_while(struct bookkeeper *keeper)
{
    keeper->quiet_until_us = loop_now_us(keeper->gateway->loop) + AGAIN_US;
}

/* ---- collecting ---- */

static void on_use(void *owner, const struct use_of *of, const struct use *use)
{
    books_add(owner, of, use);
}

static void collect(struct bookkeeper *keeper)
{
    struct gateway *gateway = keeper->gateway;

    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct uses *uses = gateway->registry.uses[i];

        uses_collect(uses, on_use, &keeper->books);
        if (uses_has_more(uses))
            worker_hand_over(gateway->workers[i]);
    }
}

/* The workers have ended: both pages of each are ours. */
static void collect_last(struct bookkeeper *keeper)
{
    struct gateway *gateway = keeper->gateway;

    for (uint32_t i = 0; i < gateway->worker_count; i++) {
        struct uses *uses = gateway->registry.uses[i];

        uses_collect(uses, on_use, &keeper->books);
        uses_hand_over(uses);
        uses_collect(uses, on_use, &keeper->books);
    }
}

/* ---- writing ---- */

static struct use_row use_row_of(const struct books *books, const struct books_row *row,
                                 enum books_period period)
{
    struct use_row out = {.kind = span_from_text(books_kind_word(row->kind)),
                          .name = row->record.name,
                          .period = span_from_text(books_period_word(period)),
                          .start_wall_us = books->start_us[period]};

#define X(member) out.member = row->sums[period].member;
    USE_MEMBERS(X)
#undef X
    return out;
}

static void end_put(struct bookkeeper *keeper, bool is_written)
{
    for (size_t i = 0; !is_written && i < keeper->row_count; i++)
        books_put_back(&keeper->books, keeper->rows[i]);
    keeper->row_count = 0;
}

/* As many of those that have changed as one put takes: how many. */
static size_t save(struct bookkeeper *keeper, struct store_ask *ask)
{
    struct use_row *out = mem_zalloc(USES_ROWS_MAX, sizeof(*out));
    struct books_row *row;
    size_t count = 0;

    if (!out)
        return 0;
    while (keeper->row_count < PUT_ROWS && (row = books_take_changed(&keeper->books))) {
        keeper->rows[keeper->row_count++] = row;
        for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
            out[count++] = use_row_of(&keeper->books, row, period);
    }
    if (count && uses_put(gateway_store(keeper->gateway), ask, out, count)) {
        end_put(keeper, false);
        wait_a_while(keeper);
        count = 0;
    }
    mem_free(out);
    return count;
}

static bool may_write(const struct bookkeeper *keeper)
{
    return gateway_store(keeper->gateway) && !keeper->unread && !keeper->put.op &&
           loop_now_us(keeper->gateway->loop) >= keeper->quiet_until_us;
}

/* More follows at once: so thousands of names are written within the second. */
static void on_put(struct store_ask *ask, const struct store_answer *answer)
{
    struct bookkeeper *keeper = container_of(ask, struct bookkeeper, put);

    end_put(keeper, !answer->err);
    if (answer->err)
        wait_a_while(keeper);
    else if (!list_is_empty(&keeper->books.changed))
        (void)save(keeper, &keeper->put);
}

/* All of it, without waiting for what comes of it. */
static void save_all(struct bookkeeper *keeper)
{
    size_t count;

    if (!gateway_store(keeper->gateway) || keeper->unread)
        return;
    store_cancel(&keeper->put); /* it is written all the same */
    end_put(keeper, true);
    do {
        count = save(keeper, NULL);
        end_put(keeper, count > 0);
    } while (count && !list_is_empty(&keeper->books.changed));
}

/* ---- reading ---- */

static void give_back(struct bookkeeper *keeper, enum books_period period,
                      const struct use_row *row)
{
    struct use use;

#define X(member) use.member = row->member;
    USE_MEMBERS(X)
#undef X
    for (enum books_kind kind = 0; kind < BOOKS_KINDS; kind++) {
        if (span_is_equal(row->kind, span_from_text(books_kind_word(kind))))
            books_give_back(&keeper->books, kind, row->name, period, row->start_wall_us, &use);
    }
}

static void on_loaded(struct bookkeeper *keeper, enum books_period period,
                      const struct store_answer *answer)
{
    if (answer->err) {
        wait_a_while(keeper);
        return;
    }
    keeper->unread &= ~(1U << period);
    for (size_t i = 0; i < answer->count; i++)
        give_back(keeper, period, &uses_told(answer)[i]);
}

static void on_day(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct bookkeeper, loads[BOOKS_DAY]), BOOKS_DAY, answer);
}

static void on_month(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct bookkeeper, loads[BOOKS_MONTH]), BOOKS_MONTH, answer);
}

static void on_all(struct store_ask *ask, const struct store_answer *answer)
{
    on_loaded(container_of(ask, struct bookkeeper, loads[BOOKS_ALL]), BOOKS_ALL, answer);
}

static void load(struct bookkeeper *keeper)
{
    struct store *store = gateway_store(keeper->gateway);

    if (!store || loop_now_us(keeper->gateway->loop) < keeper->quiet_until_us)
        return;
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++) {
        if (!(keeper->unread & 1U << period) || keeper->loads[period].op)
            continue;
        if (uses_load(store, &keeper->loads[period], span_from_text(books_period_word(period)),
                      keeper->books.start_us[period]))
            wait_a_while(keeper);
    }
}

/* ---- ticking ---- */

/* The day is over: what it came to is written before it is forgotten. A day that was never read
 * from the store is not written either, and what of the month and of all is to be read still is.
 * The new one is read too: a clock that was stepped may come to a day of which the store knows. */
static void turn(struct bookkeeper *keeper)
{
    uint64_t before_us[BOOKS_PERIODS];

    if (!books_is_over(&keeper->books, wall_of(keeper)))
        return;
    save_all(keeper);
    memcpy(before_us, keeper->books.start_us, sizeof(before_us));
    books_turn(&keeper->books, wall_of(keeper));
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++) {
        if (keeper->books.start_us[period] == before_us[period])
            continue;
        store_cancel(&keeper->loads[period]);
        keeper->unread |= 1U << period;
    }
}

static void on_tick(struct loop_timer *timer)
{
    struct bookkeeper *keeper = container_of(timer, struct bookkeeper, timer);

    if (!keeper->gateway->is_ending)
        collect(keeper);
    turn(keeper);
    load(keeper);
    if (may_write(keeper) && !list_is_empty(&keeper->books.changed))
        (void)save(keeper, &keeper->put);
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(timer, loop_now_us(keeper->gateway->loop) + TICK_US);
}

/* ---- life ---- */

const struct books *gateway_books(void *owner)
{
    const struct gateway *gateway = owner;

    return gateway->bookkeeper ? &gateway->bookkeeper->books : NULL;
}

int gateway_open_books(struct gateway *gateway)
{
    struct bookkeeper *keeper = mem_zalloc(1, sizeof(*keeper));

    if (!keeper)
        return ERR_NOMEM;
    gateway->bookkeeper = keeper;
    keeper->gateway = gateway;
    keeper->loads[BOOKS_DAY].on_done = on_day;
    keeper->loads[BOOKS_MONTH].on_done = on_month;
    keeper->loads[BOOKS_ALL].on_done = on_all;
    keeper->put.on_done = on_put;
    keeper->unread = (1U << BOOKS_PERIODS) - 1;
    books_init(&keeper->books, wall_of(keeper));
    loop_timer_init(&keeper->timer, gateway->loop, on_tick);
    if (loop_timer_reserve(&keeper->timer))
        return ERR_NOMEM; /* gateway_drop_books follows */
    load(keeper);
    (void)loop_timer_set(&keeper->timer, loop_now_us(gateway->loop) + TICK_US);
    return 0;
}

void gateway_drop_books(struct gateway *gateway)
{
    struct bookkeeper *keeper = gateway->bookkeeper;

    gateway->bookkeeper = NULL;
    if (!keeper)
        return;
    collect_last(keeper);
    save_all(keeper);
    for (enum books_period period = 0; period < BOOKS_PERIODS; period++)
        store_cancel(&keeper->loads[period]);
    store_cancel(&keeper->put);
    loop_timer_fini(&keeper->timer);
    books_fini(&keeper->books);
    mem_free(keeper);
}
