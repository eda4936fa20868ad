#include "exchange/away.h"

#include "base/err.h"
#include "exchange/exchange.h"

static void work(struct helper_job *job)
{
    struct away *away = container_of(job, struct away, job);

    if (atomic_load_explicit(&away->shared.is_unwanted, memory_order_relaxed))
        return;
    away->work(away);
    away->is_done = true;
}

/* Waits no longer, with or without what it waited for. */
static void come_back(struct away *away, struct exchange *x)
{
    loop_timer_clear(&x->select.timer);
    parking_leave(&x->host->parking, away->ticket);
    metrics_add(x->host->metrics, x->host->series.large_bodies, (uint64_t)-1);
}

static void on_done(struct helper_job *job, int err)
{
    struct away *away = container_of(job, struct away, job);
    /* Of a host that has ended nobody is found either. */
    struct exchange *x = parking_find(&away->host->parking, away->ticket);

    (void)err;
    if (!x) {
        away->forget(away);
        return;
    }
    come_back(away, x);
    away->is_back = true;
    /* It may be on its way to the end already. */
    if (x->step == STEP_SEND || x->step == STEP_RELAY)
        exchange_run(x);
}

int away_enter(struct away *away, struct exchange *x)
{
    return parking_enter(&x->host->parking, x, &away->ticket);
}

void away_send(struct away *away, struct exchange *x)
{
    away->host = x->host;
    away->job.loop = exchange_loop(x);
    away->job.is_spare = false;
    away->job.work = work;
    away->job.on_done = on_done;
    metrics_add(x->host->metrics, x->host->series.large_bodies, 1);
    metrics_add(x->host->metrics, x->host->series.large_bodies_total, 1);
    x->host->ops->help(x->host->owner, &away->job);
}

void away_leave(struct away *away, struct exchange *x)
{
    if (away->is_back) {
        away->forget(away);
        return;
    }
    atomic_store_explicit(&away->shared.is_unwanted, true, memory_order_relaxed);
    come_back(away, x);
}

struct move exchange_await(struct exchange *x)
{
    uint64_t deadline_us = exchange_deadline_us(x);
    enum failure failure = FAILURE_OVERLOADED;

    if (loop_now_us(exchange_loop(x)) >= deadline_us) {
        x->account.cut_by = INTERRUPT_DEADLINE;
        failure = FAILURE_TIMEOUT;
    } else if (loop_timer_set(&x->select.timer, deadline_us) == 0) {
        return move_park();
    }
    exchange_leave(x);
    return exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
}

void exchange_leave(struct exchange *x)
{
    media_leave(x);
    rewrite_leave(x);
    answer_leave(x);
}
