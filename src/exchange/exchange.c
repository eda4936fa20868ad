#include "exchange/exchange.h"

#include "access/issued.h"
#include "base/alloc.h"
#include "base/bug.h"
#include "base/clock.h"
#include "base/fetch.h"
#include "exchange/cross.h"
#include "exchange/select.h"
#include "ledger/prices.h"

enum {
    ARENA_MAX_BYTES = 1 << 20,
    ATTEMPT_ARENA_MAX_BYTES = 1 << 20,
};

/* Of a connection and of a body, what the way of an answer through us touches. */
enum { CONN_AHEAD_BYTES = 512, BODY_AHEAD_BYTES = 128 };

/* --- the table of steps --- */

struct step_row {
    const char *name;
    struct move (*run)(struct exchange *x);
    uint32_t may_go_to;
    enum step on_interrupt[3]; /* by interrupt - 1 */
};

#define TO(step) (1u << STEP_##step)

static const struct step_row rows[STEP_COUNT] = {
#define STEP(id, name, to, gone, deadline, shutdown, settles)                                      \
    [STEP_##id] = {#name, step_##name, to, {STEP_##gone, STEP_##deadline, STEP_##shutdown}},
#include "exchange/steps.def"
#undef STEP
};

const char *step_name(enum step step)
{
    return rows[step].name;
}

/* The only writer of the step. A move that the table does not know ends the exchange with 500, by
 * the shortest way to the end. */
static void go(struct exchange *x, enum step next)
{
    if (bug_exchange_unless((rows[x->step].may_go_to & (1u << next)) != 0)) {
        exchange_refuse(x, FAILURE_INTERNAL, span_of(NULL, 0), span_of(NULL, 0));
        next = x->step < STEP_RESPOND ? STEP_RESPOND : x->step + 1;
    }
    x->step = next;
}

void exchange_swap_step(struct exchange *x, enum step *aside)
{
    enum step other = *aside;

    *aside = x->step;
    x->step = other;
}

void exchange_run(struct exchange *x)
{
    bug_fatal_unless(!x->is_running);
    x->is_running = true;
    while (x->step != STEP_END) {
        struct move move = rows[x->step].run(x);

        if (move.kind == MOVE_PARK)
            break;
        if (move.kind == MOVE_DONE)
            go(x, move.to);
    }
    x->is_running = false;
    if (x->step == STEP_END)
        step_end(x);
}

void exchange_interrupt(struct exchange *x, enum interrupt interrupt)
{
    enum step next = rows[x->step].on_interrupt[interrupt - 1];

    /* A request that could not be read was not cut, nor an answer that has been told whole. */
    if (!x->account.cut_by && !x->respond.has_failure && !x->relay.is_whole)
        x->account.cut_by = interrupt;
    if (x->account.cut_by && attempt_is_live(exchange_attempt(x)))
        account_note_interrupted(x);
    if (interrupt == INTERRUPT_CLIENT_GONE)
        x->conn = NULL;
    if (next == STEP_RESPOND && !x->respond.has_failure)
        exchange_refuse(x,
                        interrupt == INTERRUPT_SHUTDOWN ? FAILURE_SHUTTING_DOWN : FAILURE_TIMEOUT,
                        span_of(NULL, 0), span_of(NULL, 0));
    x->step = next;
    exchange_run(x);
}

struct move exchange_refuse(struct exchange *x, enum failure failure, struct span message,
                            struct span param)
{
    if (!x->respond.has_failure) {
        x->respond.has_failure = true;
        x->respond.failure = failure;
        x->respond.message = message;
        x->respond.param = param;
    }
    return move_done(STEP_RESPOND);
}

/* --- making and freeing --- */

static struct exchange *take_spare(struct exchange_host *host)
{
    struct list *link = list_pop_front(&host->spare);
    struct exchange *x;

    if (!list_is_empty(&host->spare))
        fetch_ahead(container_of(host->spare.next, struct exchange, link), sizeof(*x));

    if (!link)
        return mem_zalloc(1, sizeof(*x));
    host->spare_count--;
    x = container_of(link, struct exchange, link);
    memset(x, 0, sizeof(*x));
    return x;
}

static void on_wait_over(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, select.timer);

    if (x->hedge.is_armed)
        hedge_begin(x);
    else
        exchange_run(x);
}

static void on_ping_held(struct loop_timer *timer)
{
    struct exchange *x = container_of(timer, struct exchange, ping_timer);

    x->relay.is_ping_due = true;
    exchange_run(x);
}

/* --- the attempt's events --- */

static struct exchange *exchange_of(struct attempt *attempt)
{
    struct exchange *x = container_of(attempt, struct exchange, send.attempt);

    if (x->hedge.other)
        hedge_turn_to(x, attempt);
    return x;
}

void exchange_note_sent(struct exchange *x)
{
    select_note_wait_over(x);
    x->account.has_left = true;
    /* How soon the target answers is told from the first of two attempts on. */
    if ((x->route.crossing || exchange_target(x)->pace) && !hedge_is_racing(x))
        cross_note_sent(x);
    keypool_sent(exchange_outlet(x)->view, &x->select.grant, loop_now_us(exchange_loop(x)));
    if (exchange_config(x)->retry.hedge)
        hedge_watch(x);
}

void exchange_take_head(struct exchange *x, const struct http_head *head)
{
    fetch_ahead(x->conn, CONN_AHEAD_BYTES);
    fetch_ahead(x->body.body, BODY_AHEAD_BYTES);
    if (x->relay.begun_us)
        x->relay.answered_us = loop_now_us(exchange_loop(x));
    relay_note_head(x, head);
}

void exchange_take_data(struct exchange *x, char *data, size_t len, bool is_last)
{
    x->relay.in.data = data;
    x->relay.in.len = len;
    x->relay.in.is_last = is_last;
    x->relay.in.is_there = true;
    exchange_run(x);
}

void exchange_take_failure(struct exchange *x, enum outcome outcome)
{
    x->relay.in.failed = outcome;
    exchange_run(x);
}

static void on_sent(struct attempt *attempt)
{
    exchange_note_sent(exchange_of(attempt));
}

static void on_answer_head(struct attempt *attempt, const struct http_head *head)
{
    exchange_take_head(exchange_of(attempt), head);
}

static void on_answer_data(struct attempt *attempt, char *data, size_t len, bool is_last)
{
    exchange_take_data(exchange_of(attempt), data, len, is_last);
}

static void on_answer_fail(struct attempt *attempt, enum outcome outcome)
{
    exchange_take_failure(exchange_of(attempt), outcome);
}

static const struct attempt_ops attempt_ops = {
    .on_sent = on_sent,
    .on_head = on_answer_head,
    .on_data = on_answer_data,
    .on_fail = on_answer_fail,
};

struct exchange *exchange_new(struct exchange_host *host, struct http_server_conn *conn,
                              const struct http_head *head)
{
    struct exchange *x = take_spare(host);

    if (!x)
        return NULL;
    x->host = host;
    x->conn = conn;
    x->id = ++host->next_id;
    x->binding = binding_ref(host->binding);
    x->head.head = head;
    x->head.start_us = http_server_request_start_us(conn);
    x->head.start_wall_us = loop_wall_us(host->loop);
    x->account.remote_len = (uint8_t)strlen(http_server_peer_ip(conn));
    memcpy(x->account.remote, http_server_peer_ip(conn), x->account.remote_len);
    arena_init(&x->arena, &host->arenas, ARENA_MAX_BYTES);
    arena_init(&x->attempt_arena, &host->arenas, ATTEMPT_ARENA_MAX_BYTES);
    arena_init(&x->scan_arena, &host->scanners, ATTEMPT_ARENA_MAX_BYTES);
    buf_init(&x->relay.held, RELAY_HELD_MAX);
    loop_timer_init(&x->select.timer, host->loop, on_wait_over);
    loop_timer_init(&x->ping_timer, host->loop, on_ping_held);
    attempt_init(&x->send.attempt, &attempt_ops);
    x->send.live = &x->send.attempt;
    x->relay.error = &dialect_no_error;
    list_push_back(&host->exchanges, &x->link);
    host->exchange_count++;
    http_server_set_request(conn, x);
    metrics_add(host->metrics, host->series.active, 1);
    return x;
}

/* The last row of the road: everything has been settled, the memory goes. */
struct move step_end(struct exchange *x)
{
    struct exchange_host *host = x->host;

    loop_timer_fini(&x->select.timer);
    loop_timer_fini(&x->ping_timer);
    if (x->hedge.other)
        hedge_fini(x);
    buf_fini(&x->relay.held);
    body_unref(&x->send.body);
    body_unref(&x->body.body);
    relay_drop_translator(x);
    translate_free(&x->body.translation);
    if (x->body.media_bytes)
        body_lease_give(&host->lease, x->body.media_bytes);
    arena_fini(&x->scan_arena);
    arena_fini(&x->attempt_arena);
    arena_fini(&x->arena);
    issued_hold_unref(&x->auth.issued);
    binding_unref(&x->binding);
    list_remove(&x->link);
    host->exchange_count--;
    metrics_add(host->metrics, host->series.active, (uint64_t)-1);
    exchange_host_spare(host, x);
    return move_park();
}

/* --- small things that several steps ask --- */

/* Looked up once: it is asked for the answer's head, for the attempt and for the log. An alias may
 * have a price of its own. */
static const struct price *find_price(struct exchange *x, const struct plan_target *target)
{
    uint64_t hash = target->model_hash ^ target->provider_index;

    if (x->account.priced_hash != hash) {
        x->account.price = prices_find(x->binding->snapshot->prices, target->provider_index,
                                       target->model, target->model_hash);
        x->account.priced_hash = hash;
    }
    return x->account.price;
}

/* One that was held until a cheap hour came is billed for that hour. */
bool exchange_cost(struct exchange *x, uint64_t *ret_picousd)
{
    const struct plan_target *target = exchange_target(x);
    uint64_t wall_us = x->account.sent_wall_us ? x->account.sent_wall_us : x->head.start_wall_us;

    return target && x->account.usage.is_known &&
           price_of(find_price(x, target), &x->account.usage, wall_us, ret_picousd);
}

uint64_t exchange_whole_cost(const struct exchange *x, uint64_t picousd)
{
    uint64_t lost = x->hedge.lost_picousd;

    return picousd < UINT64_MAX - lost ? picousd + lost : UINT64_MAX;
}

uint64_t exchange_deadline_us(struct exchange *x)
{
    return x->head.start_us + exchange_outlet(x)->row->conf->timeouts.total_us;
}

struct buf exchange_scratch(struct exchange *x)
{
    return (struct buf){.data = loop_write_scratch(exchange_loop(x)),
                        .cap = LOOP_SCRATCH_BYTES,
                        .max = LOOP_SCRATCH_BYTES};
}
