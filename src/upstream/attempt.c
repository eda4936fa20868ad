#include "upstream/attempt.h"

#include "base/bug.h"
#include "base/err.h"

/* Pieces and bytes of one write, and how much may wait in the connection before the next. */
enum { PIECES = 32, HEAD_PIECES = 5, WINDOW_BYTES = 65536 };

static const struct sm_state states[ATTEMPT_STATES] = {
#define ATTEMPT(state, name, moves, meaning) [ATTEMPT_##state] = {name, meaning, moves},
#include "tables/attempt.def"
#undef ATTEMPT
};

/* The only function that changes the state. */
static void go(struct attempt *attempt, enum attempt_state next)
{
    bug_fatal_unless(sm_move(&attempt->sm, (int)next));
    /* A connection is held exactly while something is sent or answered. */
    bug_fatal_unless((attempt->uplink != NULL) ==
                     (next == ATTEMPT_SENDING || next == ATTEMPT_HELD || next == ATTEMPT_RELAYING));
}

static struct loop *loop_of(const struct attempt *attempt)
{
    return attempt->wait_timer.loop;
}

static uint64_t now(const struct attempt *attempt)
{
    return loop_now_us(loop_of(attempt));
}

static void release(struct attempt *attempt)
{
    struct uplink *uplink = attempt->uplink;

    attempt->uplink = NULL;
    if (!uplink)
        return;
    uplink->user = NULL;
    uplink->http.ahead = span_of(NULL, 0);
    if (!attempt->is_answered)
        http_client_close(&uplink->http);
    endpoint_pool_give(uplink);
}

static void fail(struct attempt *attempt, enum outcome outcome)
{
    attempt_end(attempt);
    attempt->ops->on_fail(attempt, outcome);
}

static enum outcome outcome_of_connect(int err)
{
    if (err == ERR_TIMEOUT)
        return OUTCOME_CONNECT_TIMEOUT;
    if (err == ERR_NOMEM || err == ERR_FULL) /* no fault of the endpoint */
        return OUTCOME_NO_CONNECTION;
    return err == ERR_TLS ? OUTCOME_TLS_FAILED : OUTCOME_CONNECT_FAILED;
}

/* --- time --- */

static void on_unwatched(struct loop_task *task)
{
    fail(container_of(task, struct attempt, unwatched), OUTCOME_NO_CONNECTION);
}

/* Without memory for its timer an attempt could last for ever: it ends with the turn instead. */
static void watch(struct attempt *attempt, struct loop_timer *timer, uint64_t at_us)
{
    if (loop_timer_set(timer, at_us))
        loop_defer(loop_of(attempt), &attempt->unwatched);
}

/* Until the request is sent, progress counts; then the first byte; then the pauses between bytes.
 */
static void set_timer(struct attempt *attempt)
{
    const struct attempt_request *request = &attempt->request;
    uint64_t at_us;

    if (!attempt->is_request_sent && attempt->sm.state == ATTEMPT_SENDING)
        at_us = now(attempt) + request->send_us;
    else if (attempt->first_byte_by_us)
        at_us = attempt->first_byte_by_us;
    else
        at_us = now(attempt) + request->idle_us;
    if (request->deadline_us && request->deadline_us < at_us)
        at_us = request->deadline_us;
    watch(attempt, &attempt->uplink->timer, at_us);
}

static bool has_send_progress(struct attempt *attempt)
{
    struct conn *conn = &attempt->uplink->http.conn;
    size_t unsent = conn_pending(conn) + conn_unsent_in_kernel(conn);
    bool has_moved = unsent < attempt->stuck_bytes;

    attempt->stuck_bytes = unsent;
    return has_moved;
}

static void on_timer(void *user)
{
    struct attempt *attempt = user;
    uint64_t now_us = now(attempt);

    if (attempt->request.deadline_us && now_us >= attempt->request.deadline_us) {
        fail(attempt, OUTCOME_TOTAL_TIMEOUT);
    } else if (!attempt->is_request_sent && attempt->sm.state == ATTEMPT_SENDING) {
        if (has_send_progress(attempt))
            set_timer(attempt);
        else
            fail(attempt, OUTCOME_SEND_TIMEOUT);
    } else if (attempt->first_byte_by_us) {
        fail(attempt, OUTCOME_FIRST_BYTE_TIMEOUT);
    } else if (attempt->uplink->http.is_paused) {
        set_timer(attempt); /* it is our client that is slow */
    } else {
        fail(attempt, OUTCOME_IDLE_TIMEOUT);
    }
}

/* --- sending --- */

static int head_pieces(const struct attempt *attempt, struct iovec *iov)
{
    const struct attempt_request *request = &attempt->request;
    struct span pieces[HEAD_PIECES] = {
        request->head, request->fields, {NULL, 0}, {NULL, 0}, SPAN("\r\n")};
    int count = 0;

    for (int i = 0; i < 2; i++) {
        if (request->lines[i])
            pieces[i + 2] = secret_reveal(request->lines[i]);
    }
    for (int i = 0; i < HEAD_PIECES; i++) {
        if (pieces[i].len)
            iov[count++] = (struct iovec){(void *)(uintptr_t)pieces[i].ptr, pieces[i].len};
    }
    return count;
}

static void note_sent(struct attempt *attempt)
{
    attempt->is_request_sent = true;
    if (attempt->sm.state == ATTEMPT_SENDING)
        attempt->first_byte_by_us = now(attempt) + attempt->request.first_byte_us;
}

/* As much of the request as the connection takes. A write that fails is found by reading: the
 * upstream may have answered before it closed. */
static void send_more(struct attempt *attempt)
{
    struct http_client *http = &attempt->uplink->http;

    while (!attempt->is_request_sent && conn_pending(&http->conn) == 0) {
        struct iovec iov[PIECES];
        int count = attempt->is_head_sent ? 0 : head_pieces(attempt, iov);

        count += body_reader_next(&attempt->reader, iov + count, PIECES - count, WINDOW_BYTES);
        attempt->is_head_sent = true;
        if (http_client_send(http, iov, count, body_reader_is_done(&attempt->reader)))
            break;
        if (body_reader_is_done(&attempt->reader))
            note_sent(attempt);
    }
    set_timer(attempt);
}

static const struct uplink_ops ops;

static void use(struct attempt *attempt, struct uplink *uplink)
{
    uplink->user = attempt;
    uplink->ops = &ops;
    uplink->http.ahead = attempt->request.ahead;
    attempt->uplink = uplink;
    attempt->is_head_sent = attempt->is_request_sent = false;
    attempt->first_byte_by_us = 0;
    attempt->stuck_bytes = SIZE_MAX;
    body_reader_init(&attempt->reader, attempt->request.body, attempt->request.edits,
                     attempt->request.edit_count);
    go(attempt, ATTEMPT_SENDING);
    http_client_begin(&uplink->http, attempt->request.is_head_method);
    attempt->ops->on_sent(attempt);
    send_more(attempt);
}

/* --- getting a connection --- */

static void on_uplink(struct uplink_asker *asker, struct uplink *uplink)
{
    struct attempt *attempt = container_of(asker, struct attempt, asker);

    loop_timer_fini(&attempt->wait_timer);
    use(attempt, uplink);
}

static void on_no_uplink(struct uplink_asker *asker, int err)
{
    struct attempt *attempt = container_of(asker, struct attempt, asker);

    fail(attempt, outcome_of_connect(err));
}

static void on_wait_timer(struct loop_timer *timer)
{
    struct attempt *attempt = container_of(timer, struct attempt, wait_timer);
    uint64_t deadline_us = attempt->request.deadline_us;

    if (deadline_us && now(attempt) >= deadline_us)
        fail(attempt, OUTCOME_TOTAL_TIMEOUT);
    else
        fail(attempt, OUTCOME_NO_CONNECTION);
}

static void ask(struct attempt *attempt)
{
    uint64_t until_us = attempt->request.deadline_us;
    bool is_made;

    attempt->asker.is_spare = attempt->request.is_spare;
    is_made = endpoint_pool_ask(attempt->pool, &attempt->asker);

    go(attempt, is_made ? ATTEMPT_CONNECTING : ATTEMPT_WAITING);
    if (!is_made && (!until_us || attempt->request.wait_until_us < until_us))
        until_us = attempt->request.wait_until_us;
    if (until_us)
        watch(attempt, &attempt->wait_timer, until_us);
}

/* The kept connection was dead before it told anything: the same request on a fresh one (RFC
 * 9112 9.3.1). */
static void redo(struct attempt *attempt)
{
    attempt->was_redone = true;
    release(attempt);
    ask(attempt);
}

/* --- the answer --- */

static void on_head(void *user, const struct http_head *head)
{
    struct attempt *attempt = user;

    go(attempt, ATTEMPT_HELD);
    attempt->ops->on_head(attempt, head);
}

static void on_data(void *user, char *data, size_t len, bool is_last)
{
    struct attempt *attempt = user;

    attempt->is_answered = is_last;
    if (is_last)
        loop_timer_clear(&attempt->uplink->timer);
    else
        set_timer(attempt);
    attempt->ops->on_data(attempt, data, len, is_last);
}

static void on_room(void *user)
{
    struct attempt *attempt = user;

    if (!attempt->is_request_sent)
        send_more(attempt);
}

static void on_fail(void *user, int err)
{
    struct attempt *attempt = user;
    struct http_client *http = &attempt->uplink->http;

    if (err == ERR_NOMEM)
        fail(attempt, OUTCOME_NO_CONNECTION);
    else if (err == ERR_PROTO)
        fail(attempt, OUTCOME_GARBAGE);
    else if (http->has_byte)
        fail(attempt, OUTCOME_CUT);
    else if (!attempt->uplink->is_fresh && !attempt->was_redone)
        redo(attempt);
    else
        fail(attempt, OUTCOME_RESET);
}

static const struct uplink_ops ops = {
    .on_head = on_head,
    .on_data = on_data,
    .on_room = on_room,
    .on_fail = on_fail,
    .on_timer = on_timer,
};

/* --- the owner's calls --- */

void attempt_init(struct attempt *attempt, const struct attempt_ops *attempt_ops)
{
    *attempt = (struct attempt){.ops = attempt_ops};
    sm_init(&attempt->sm, states, ATTEMPT_ENDED);
    list_init(&attempt->asker.link);
    loop_task_init(&attempt->unwatched, on_unwatched);
    attempt->asker.on_uplink = on_uplink;
    attempt->asker.on_no_uplink = on_no_uplink;
}

void attempt_begin(struct attempt *attempt, struct endpoint_pool *pool, struct loop *loop,
                   const struct attempt_request *request)
{
    struct uplink *uplink = endpoint_pool_take_idle(pool, request->is_spare);

    attempt->pool = pool;
    attempt->request = *request;
    attempt->is_answered = attempt->was_redone = false;
    attempt->is_head_sent = attempt->is_request_sent = false;
    loop_timer_init(&attempt->wait_timer, loop, on_wait_timer);
    if (uplink)
        use(attempt, uplink);
    else
        ask(attempt);
}

void attempt_note_first_byte(struct attempt *attempt)
{
    if (!attempt->first_byte_by_us)
        return;
    attempt->first_byte_by_us = 0;
    if (attempt->uplink && !attempt->is_answered)
        set_timer(attempt);
}

void attempt_commit(struct attempt *attempt)
{
    attempt->request.deadline_us = 0;
    if (attempt->sm.state == ATTEMPT_HELD)
        go(attempt, ATTEMPT_RELAYING);
    /* It may stand at the deadline, which would then be taken for the end of a pause. */
    if (attempt->uplink && !attempt->is_answered)
        set_timer(attempt);
}

void attempt_set_idle(struct attempt *attempt, uint64_t idle_us)
{
    attempt->request.idle_us = idle_us;
    if (attempt->uplink && !attempt->is_answered)
        set_timer(attempt);
}

void attempt_pause(struct attempt *attempt)
{
    if (attempt->uplink)
        http_client_pause(&attempt->uplink->http);
}

void attempt_resume(struct attempt *attempt)
{
    if (attempt->uplink)
        http_client_resume(&attempt->uplink->http);
}

void attempt_end(struct attempt *attempt)
{
    if (!attempt_is_live(attempt))
        return;
    loop_timer_fini(&attempt->wait_timer);
    loop_task_cancel(&attempt->unwatched);
    endpoint_pool_unask(attempt->pool, &attempt->asker);
    release(attempt);
    go(attempt, ATTEMPT_ENDED);
}
