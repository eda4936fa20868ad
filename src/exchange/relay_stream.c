/*
 * A stream of events: as many whole events as one read brought go out in one write; the beginning
 * of an event waits for its end, unless it has grown beyond 64 KiB. Before commit, events are
 * looked at one by one for the first that is no ping: an error there can still be tried elsewhere.
 */
#include "exchange/exchange.h"

/* What one read's events came to. */
struct haul {
    char *out; /* events that go to the client, side by side */
    size_t out_len;
    bool is_good;  /* one that is no ping was among them */
    bool is_error; /* an error was among them */
    bool is_garbage;
    bool is_open; /* the last one lacks the blank line that ends an event */
};

static bool is_hidden(const struct exchange *x, enum openai_event kind)
{
    return kind == OPENAI_EVENT_USAGE && x->send.is_usage_asked;
}

static void take_event(struct exchange *x, const struct sse_event *event, struct haul *haul)
{
    struct dialect_error error;
    enum openai_event kind = openai_stream_take(x->relay.reader.stream, event, &error);

    switch (kind) {
    case OPENAI_EVENT_PING:
        break;
    case OPENAI_EVENT_ERROR:
        relay_keep_error(x, &error);
        haul->is_error = true;
        break;
    case OPENAI_EVENT_GARBAGE:
        haul->is_garbage = true;
        break;
    case OPENAI_EVENT_DONE:
        relay_note_done(x);
        haul->is_good = true;
        break;
    case OPENAI_EVENT_CHUNK:
    case OPENAI_EVENT_USAGE:
        haul->is_good = true;
        break;
    }
    if (is_hidden(x, kind))
        return;
    memmove(haul->out + haul->out_len, event->raw.ptr, event->raw.len);
    haul->out_len += event->raw.len;
}

/* Before commit the first event that counts decides; what follows it is not needed for that. */
static bool is_decided(const struct exchange *x, const struct haul *haul)
{
    return !x->relay.is_committed && !haul->is_good && (haul->is_error || haul->is_garbage);
}

/* What stood behind the last blank line: an event that was all but ended passes, a part of one does
 * not. */
static void take_tail(struct exchange *x, const struct sse_event *event, struct haul *haul)
{
    size_t len = haul->out_len;

    haul->is_garbage = false;
    take_event(x, event, haul);
    if (haul->is_garbage)
        haul->out_len = len;
    /* A line feed alone is what was late of the last one. */
    haul->is_open = haul->out_len > len && event->raw.len > 1;
}

/* Cuts whole events off the front of *rest; an error ends the stream, whatever follows it. */
static struct haul take_events(struct exchange *x, struct span *rest, bool is_last)
{
    struct haul haul = {.out = (char *)(uintptr_t)rest->ptr};
    struct sse_event event;
    bool is_over = false;

    while (!is_over && sse_next(x->relay.sse, *rest, &event)) {
        *rest = span_skip(*rest, event.raw.len);
        take_event(x, &event, &haul);
        is_over = haul.is_error || is_decided(x, &haul);
    }
    if (is_last && !is_over && sse_finish(x->relay.sse, *rest, &event))
        take_tail(x, &event, &haul);
    /* So large an event is no ping. */
    haul.is_good |= rest->len > SSE_EVENT_MAX && !is_over;
    return haul;
}

/* --- the end --- */

static void note_usage(struct exchange *x)
{
    openai_stream_usage(x->relay.reader.stream, x->body.prompt_tokens, &x->account.usage);
}

static void let_out(struct exchange *x, struct span out, bool is_last)
{
    if (!x->relay.is_committed)
        relay_commit(x, HTTP_LENGTH_UNKNOWN, out, is_last);
    else
        relay_pass(x, out, is_last);
}

/* The upstream's last byte has come. is_open: `out` lacks the blank line at its end. */
static struct move finish(struct exchange *x, struct span out, bool is_open)
{
    enum openai_ending ending = openai_stream_ending(x->relay.reader.stream);

    note_usage(x);
    if (ending == OPENAI_CUT && !x->relay.is_committed)
        return relay_failed(x, outcome_row(OUTCOME_CUT));
    let_out(x, out, ending == OPENAI_ENDED && !is_open);
    if (is_open)
        relay_pass(x, SPAN("\n\n"), ending == OPENAI_ENDED);
    if (ending == OPENAI_CUT)
        return relay_failed(x, outcome_row(OUTCOME_CUT));
    if (ending == OPENAI_NEEDS_DONE)
        relay_pass(x, openai_stream_done(), true);
    return relay_finish(x);
}

struct move relay_stream_end(struct exchange *x)
{
    attempt_end(exchange_attempt(x));
    return finish(x, span_of(NULL, 0), false);
}

/* An error event in mid-stream passes as the provider wrote it; the stream ends there. */
static struct move end_with_error(struct exchange *x, struct span out)
{
    note_usage(x);
    let_out(x, out, false);
    x->relay.is_broken = true;
    return relay_error_in_success(x);
}

/* --- each read --- */

/* What is left is the beginning of an event; where it has grown too large it flows on unparsed. */
static struct move keep_rest(struct exchange *x, struct span rest, bool is_held)
{
    if (rest.len > SSE_EVENT_MAX) {
        sse_flow(x->relay.sse);
        let_out(x, rest, false);
        rest.len = 0;
    }
    if (is_held)
        buf_drop_front(&x->relay.held, x->relay.held.len - rest.len);
    else if (!relay_hold(x, rest.ptr, rest.len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (x->relay.held.len == 0)
        buf_fini(&x->relay.held);
    return move_park();
}

/* Nothing but pings yet: they are kept in front of the rest. */
static struct move keep_pings(struct exchange *x, const struct haul *haul, struct span rest,
                              bool is_held)
{
    relay_hold_pings(x);
    x->relay.ping_len += haul->out_len;
    memmove(haul->out + haul->out_len, rest.ptr, rest.len);
    if (is_held)
        x->relay.held.len = x->relay.ping_len + rest.len;
    else if (!relay_hold(x, haul->out, haul->out_len + rest.len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    return move_park();
}

static struct move take_haul(struct exchange *x, const struct haul *haul, struct span rest,
                             bool is_held, bool is_last)
{
    struct span out = span_of(haul->out, haul->out_len);

    if (is_decided(x, haul))
        return haul->is_error ? relay_error_in_success(x)
                              : relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (haul->is_good || haul->is_error)
        attempt_note_first_byte(exchange_attempt(x));
    if (!x->relay.is_committed && !haul->is_good && !is_last)
        return keep_pings(x, haul, rest, is_held);
    /* Pings held so far go out in front. */
    if (!x->relay.is_committed && x->relay.ping_len) {
        out = span_of(x->relay.held.data, x->relay.ping_len + haul->out_len);
        x->relay.ping_len = 0;
    }
    if (haul->is_error)
        return end_with_error(x, out);
    if (is_last)
        return finish(x, out, haul->is_open);
    let_out(x, out, false);
    return keep_rest(x, rest, is_held);
}

struct move relay_stream(struct exchange *x, char *data, size_t len, bool is_last)
{
    bool is_held = x->relay.held.len > 0;
    struct span rest = span_of(data, len);
    struct haul haul;

    if (!x->relay.reader.stream || !x->relay.sse)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (is_held) {
        if (!relay_hold(x, data, len))
            return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
        rest = span_skip(buf_span(&x->relay.held), x->relay.ping_len);
    }
    haul = take_events(x, &rest, is_last);
    return take_haul(x, &haul, rest, is_held, is_last);
}
