/*
 * An answer that is one JSON object: read along as it arrives, held until its end or its first 256
 * KiB, so that an error inside a 200 or a cut answer can still be tried elsewhere.
 */
#include "exchange/exchange.h"

static bool is_unreadable(struct exchange *x, struct span piece, bool is_last)
{
    struct openai_answer *json = x->relay.reader.json;

    if (!json)
        return false; /* without memory for the reader it passes unread */
    return openai_answer_feed(json, piece) || (is_last && openai_answer_finish(json));
}

void relay_json_usage(struct exchange *x)
{
    struct dialect_usage *usage = &x->account.usage;
    struct openai_answer *json = x->relay.reader.json;

    if (!json)
        return;
    openai_answer_usage(json, usage);
    if (usage->is_known)
        return;
    usage->prompt_tokens = x->body.prompt_tokens;
    usage->completion_tokens = dialect_estimate_tokens(openai_answer_text_bytes(json));
    usage->total_tokens = usage->prompt_tokens + usage->completion_tokens;
    usage->is_known = usage->is_estimated = true;
}

/* The whole answer is here and good. */
static struct move finish(struct exchange *x, char *data, size_t len)
{
    struct span whole = span_of(data, len);

    relay_json_usage(x);
    x->relay.reader.json = NULL;
    arena_fini(&x->scan_arena);
    if (x->relay.is_committed) {
        relay_pass(x, whole, true);
    } else if (x->relay.held.len) {
        if (!relay_hold(x, data, len))
            return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
        whole = buf_span(&x->relay.held);
        relay_commit(x, (int64_t)whole.len, whole, true);
    } else {
        relay_commit(x, (int64_t)len, whole, true);
    }
    return relay_finish(x);
}

/* More is to come. */
static struct move go_on(struct exchange *x, char *data, size_t len)
{
    struct span whole;

    if (x->relay.is_committed) {
        relay_pass(x, span_of(data, len), false);
        return move_park();
    }
    if (!relay_hold(x, data, len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (x->relay.reader.json && !openai_answer_has_begun(x->relay.reader.json)) {
        relay_hold_pings(x);
        return move_park();
    }
    if (x->relay.held.len < ANSWER_HELD_BYTES)
        return move_park();
    whole = buf_span(&x->relay.held);
    relay_commit(x, x->relay.length, whole, false);
    buf_fini(&x->relay.held);
    return move_park();
}

struct move relay_json(struct exchange *x, char *data, size_t len, bool is_last)
{
    bool is_bad = is_unreadable(x, span_of(data, len), is_last);
    struct dialect_error error;

    if (!x->relay.reader.json || openai_answer_has_begun(x->relay.reader.json))
        attempt_note_first_byte(exchange_attempt(x));
    if (is_bad)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (!is_last)
        return go_on(x, data, len);
    if (!x->relay.is_committed && x->relay.reader.json &&
        openai_answer_error(x->relay.reader.json, &error)) {
        relay_keep_error(x, &error);
        return relay_error_in_success(x);
    }
    return finish(x, data, len);
}
