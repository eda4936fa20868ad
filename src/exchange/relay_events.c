/*
 * A stream that is read event by event: told anew in the client's form, or, where client and
 * provider speak the same, passed as it is and only looked at. Before commit, events are taken for
 * the first that is no ping: an error there can still be tried elsewhere.
 */
#include "dialect/error_write.h"
#include "exchange/exchange.h"

/* An image may stand whole in one event. */
enum { EVENT_MAX_BYTES = 32 << 20 };

/* What one read's events came to. */
struct haul {
    bool is_good; /* one that is no ping was among them */
    bool is_error;
    bool is_garbage;
};

static bool is_array(const struct exchange *x)
{
    return x->head.facts.is_array;
}

static void begin_item(struct exchange *x)
{
    buf_append_span(&x->host->told, x->relay.has_item ? SPAN(",\r\n") : SPAN("["));
    x->relay.has_item = true;
}

/* The client's own form is the provider's: bytes pass, but for the frame of an array. */
static void pass_event(struct exchange *x, const struct sse_event *event)
{
    struct buf *told = &x->host->told;

    if (!is_array(x)) {
        buf_append_span(told, event->raw);
        return;
    }
    if (event->kind != SSE_DATA)
        return;
    begin_item(x);
    sse_join(event, told);
}

/* An error that is no event would be lost on who reads events. */
static void tell_bare_error(struct exchange *x)
{
    struct error_told told = {.upstream = x->relay.dialect,
                              .status = x->relay.status,
                              .error = translator_error(x->relay.translator),
                              .request_id = x->head.request_id};

    if (!is_array(x)) {
        error_write_event_told(&x->host->told, x->head.dialect, &told);
        return;
    }
    begin_item(x);
    error_write_told(&x->host->told, x->head.dialect, &told);
}

static void take_event(struct exchange *x, const struct sse_event *event, struct haul *haul)
{
    switch (translator_take(x->relay.translator, event)) {
    case TRANSLATOR_PING:
        x->relay.has_pings = true;
        break;
    case TRANSLATOR_CHUNK:
        haul->is_good = true;
        break;
    case TRANSLATOR_DONE:
        relay_note_done(x);
        haul->is_good = true;
        break;
    case TRANSLATOR_ERROR:
        haul->is_error = true;
        break;
    case TRANSLATOR_GARBAGE:
        haul->is_garbage = true;
        break;
    }
    if (x->send.is_told)
        return;
    if (haul->is_error && event->kind != SSE_DATA)
        tell_bare_error(x);
    else
        pass_event(x, event);
}

/* What stood behind the last blank line: an event that was all but ended passes, a part of one does
 * not. */
static void take_tail(struct exchange *x, const struct sse_event *event, struct haul *haul)
{
    struct buf *told = &x->host->told;
    size_t len = told->len;

    haul->is_garbage = false;
    take_event(x, event, haul);
    if (haul->is_garbage)
        told->len = len;
    /* A line feed alone is what was late of the last one. */
    else if (!x->send.is_told && !is_array(x) && event->raw.len > 1)
        buf_append_span(told, SPAN("\n\n"));
}

static struct haul take_events(struct exchange *x, struct span *rest, bool is_last)
{
    struct haul haul = {.is_good = false};
    struct sse_event event;

    while (!haul.is_error && sse_next(x->relay.sse, *rest, &event)) {
        *rest = span_skip(*rest, event.raw.len);
        take_event(x, &event, &haul);
        if (!x->relay.is_committed && haul.is_garbage && !haul.is_good)
            return haul;
    }
    if (is_last && !haul.is_error && sse_finish(x->relay.sse, *rest, &event))
        take_tail(x, &event, &haul);
    return haul;
}

/* --- what goes out --- */

static void let_out(struct exchange *x, bool is_last)
{
    struct span out = buf_span(&x->host->told);

    if (!x->relay.is_committed)
        relay_commit(x, HTTP_LENGTH_UNKNOWN, out, is_last);
    else
        relay_pass(x, out, is_last);
    buf_clear(&x->host->told);
}

/* The array that passes as such is closed by us: its provider sent events. */
static void close_array(struct exchange *x)
{
    if (is_array(x) && !x->send.is_told)
        buf_append_span(&x->host->told, x->relay.has_item ? SPAN("]") : SPAN("[]"));
}

void relay_translator_usage(struct exchange *x)
{
    translator_usage(x->relay.translator, x->body.prompt_tokens, &x->account.usage);
}

static struct move fail_before_commit(struct exchange *x, const struct haul *haul)
{
    if (!haul->is_error)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    relay_keep_error(x, translator_error(x->relay.translator));
    return relay_error_in_success(x);
}

/* The writer has told the error in the client's form; the stream ends there. */
static struct move end_with_error(struct exchange *x)
{
    relay_keep_error(x, translator_error(x->relay.translator));
    relay_translator_usage(x);
    close_array(x);
    let_out(x, false);
    x->relay.is_broken = true;
    return relay_error_in_success(x);
}

/* The upstream's last byte has come. */
static struct move finish(struct exchange *x)
{
    translator_end(x->relay.translator);
    relay_translator_usage(x);
    if (!translator_is_over(x->relay.translator)) {
        if (x->relay.is_committed)
            let_out(x, false);
        return relay_failed(x, outcome_row(OUTCOME_CUT));
    }
    close_array(x);
    let_out(x, true);
    return relay_finish(x);
}

struct move relay_events_end(struct exchange *x)
{
    struct move move;

    attempt_end(exchange_attempt(x));
    move = finish(x);
    exchange_host_clear_told(x->host);
    return move;
}

void relay_events_fail(struct exchange *x, const struct dialect_error *error)
{
    translator_fail(x->relay.translator, error);
    close_array(x);
    relay_pass(x, buf_span(&x->host->told), true);
    exchange_host_clear_told(x->host);
}

void relay_events_break(struct exchange *x, const struct error_ours *error)
{
    if (is_array(x)) {
        begin_item(x);
        error_write(&x->host->told, x->head.dialect, error);
        close_array(x);
    } else {
        error_write_event(&x->host->told, x->head.dialect, error);
    }
    relay_pass(x, buf_span(&x->host->told), true);
    exchange_host_clear_told(x->host);
}

struct move relay_events_release(struct exchange *x)
{
    const struct sse_event ping = {.kind = SSE_PING, .raw = SPAN(": ping\n\n")};
    struct haul haul = {.is_good = false};

    if (x->relay.is_committed || !x->relay.has_pings)
        return move_park();
    take_event(x, &ping, &haul);
    let_out(x, false);
    exchange_host_clear_told(x->host);
    return move_park();
}

/* --- each read --- */

/* What is left is the beginning of an event. */
static struct move keep_rest(struct exchange *x, struct span rest, bool is_held)
{
    if (rest.len > EVENT_MAX_BYTES)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (is_held)
        buf_drop_front(&x->relay.held, x->relay.held.len - rest.len);
    else if (!relay_hold(x, rest.ptr, rest.len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (x->relay.held.len == 0)
        buf_fini(&x->relay.held);
    return move_park();
}

static struct move take_read(struct exchange *x, struct span rest, bool is_held, bool is_last)
{
    struct haul haul = take_events(x, &rest, is_last);

    if (!x->relay.is_committed && !haul.is_good && (haul.is_error || haul.is_garbage))
        return fail_before_commit(x, &haul);
    if (x->host->told.err)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (haul.is_good || haul.is_error)
        attempt_note_first_byte(exchange_attempt(x));
    if (haul.is_error)
        return end_with_error(x);
    if (is_last)
        return finish(x);
    if (x->relay.is_committed || haul.is_good)
        let_out(x, false);
    else if (x->relay.has_pings)
        relay_hold_pings(x);
    return keep_rest(x, rest, is_held);
}

struct move relay_events(struct exchange *x, char *data, size_t len, bool is_last)
{
    bool is_held = x->relay.held.len > 0;
    struct span rest = span_of(data, len);
    struct move move;

    if (!x->relay.translator || !x->relay.sse)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (is_held) {
        if (!relay_hold(x, data, len))
            return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
        rest = buf_span(&x->relay.held);
    }
    move = take_read(x, rest, is_held, is_last);
    exchange_host_clear_told(x->host);
    return move;
}
