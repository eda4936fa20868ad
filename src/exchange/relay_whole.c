/*
 * An answer that is one object and must be read as one: told anew in the client's form, or, where
 * client and provider speak the same, passed as it came once it was looked at. It is held to its
 * end, so that an error inside a success or a cut answer can still be tried elsewhere. A large one
 * is read and told by a helper thread (exchange/answer_errand).
 */
#include "base/rand.h"
#include "exchange/exchange.h"

/* A larger one that passes goes on unread; one that is to be told anew cannot be. */
enum {
    WHOLE_MAX_BYTES = 32 << 20,
    MEMORY_RATIO = 12,
    ARENA_MAX_BYTES = 128 << 20,
    TOLD_SPARE_BYTES = 512,
};

/* --- the translator, of streams too --- */

/* What the client is answered in; FORM_COUNT where its bytes pass. */
static enum form told_form(const struct exchange *x)
{
    return x->send.is_told ? x->head.facts.form : FORM_COUNT;
}

static struct translator_plan plan_of(struct exchange *x)
{
    return (struct translator_plan){
        .from = x->send.form,
        .to = told_form(x),
        .out = &x->host->told,
        .choices = x->body.choices,
        .seed = rand_u64(&x->host->rand),
        .is_streaming = x->body.is_streaming,
        .embed = x->body.translation ? translation_embed(x->body.translation) : NULL,
        .frame = {.chat = x->body.translation ? translation_chat(x->body.translation) : NULL,
                  .request_id = x->head.request_id,
                  .model = exchange_target(x)->model,
                  .created_s = loop_wall_us(exchange_loop(x)) / UINT64_C(1000000),
                  .prompt_tokens = x->body.prompt_tokens},
    };
}

void relay_make_translator(struct exchange *x)
{
    struct part_relay *relay = &x->relay;
    struct translator_plan plan = plan_of(x);

    relay->held.max = WHOLE_MAX_BYTES + 2 * LOOP_SCRATCH_BYTES;
    relay->answer_arena = arena_alloc(&x->attempt_arena, sizeof(*relay->answer_arena));
    if (!relay->answer_arena)
        return;
    arena_init(relay->answer_arena, &x->host->arenas, ARENA_MAX_BYTES);
    relay->translator = translator_new(relay->answer_arena, &plan);
    relay->sse = arena_alloc(&x->attempt_arena, sizeof(*relay->sse));
    if (relay->sse)
        sse_init(relay->sse);
}

/* --- the whole --- */

static struct span without_blanks(struct span text)
{
    while (text.len &&
           (*text.ptr == '\n' || *text.ptr == '\r' || *text.ptr == ' ' || *text.ptr == '\t'))
        text = span_skip(text, 1);
    return text;
}

static struct move commit(struct exchange *x, struct span whole)
{
    bool is_stream = x->send.is_told && x->body.is_streaming;

    if (x->relay.is_committed)
        relay_pass(x, whole, true);
    else
        relay_commit(x, is_stream ? HTTP_LENGTH_UNKNOWN : (int64_t)whole.len, whole, true);
    return relay_finish(x);
}

/* It was read, and told where it is to be: err as translator_answer says. */
static struct move conclude(struct exchange *x, const struct translator *translator, int err,
                            struct span whole)
{
    const struct dialect_error *error;

    if (err)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    error = translator_error(translator);
    if (error) {
        relay_keep_error(x, error);
        return relay_error_in_success(x);
    }
    translator_usage(translator, x->body.prompt_tokens, &x->account.usage);
    return commit(x, whole);
}

/* Reading it takes too long to be done here. */
static struct move send_away(struct exchange *x, struct span body, size_t max_bytes)
{
    const struct translator_plan plan = plan_of(x);

    if (answer_send(x, &plan, body, max_bytes))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    return move_more();
}

struct move relay_whole_answered(struct exchange *x)
{
    struct answer_errand *errand = answer_take(x);
    struct buf *whole = x->send.is_told ? &errand->told : &errand->whole;
    struct move move = conclude(x, errand->translator, errand->err, buf_span(whole));

    answer_free(&errand);
    return move;
}

static struct move finish(struct exchange *x)
{
    struct span body = without_blanks(buf_span(&x->relay.held));
    struct buf *whole = x->send.is_told ? &x->host->told : &x->relay.held;
    size_t max_bytes = body.len * MEMORY_RATIO + LOOP_SCRATCH_BYTES;
    struct move move;
    int err;

    if (body.len >= AWAY_LARGE_BYTES)
        return send_away(x, body, max_bytes);
    /* Mostly it does not grow by more in the other dialect. */
    if (x->send.is_told)
        (void)buf_reserve(&x->host->told, body.len + TOLD_SPARE_BYTES);
    err = translator_answer(x->relay.translator, body, max_bytes);
    move = conclude(x, x->relay.translator, err ? err : x->host->told.err, buf_span(whole));
    exchange_host_clear_told(x->host);
    return move;
}

/* Too large to be held. */
static struct move overflow(struct exchange *x)
{
    if (x->send.is_told)
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    x->relay.mode = RELAY_RAW;
    relay_commit(x, x->relay.length, buf_span(&x->relay.held), false);
    buf_fini(&x->relay.held);
    return move_park();
}

struct move relay_whole_release(struct exchange *x)
{
    /* Blank lines may stand before any object, and before no event. */
    if (!x->relay.is_committed && x->relay.held.len && !x->body.is_streaming)
        relay_commit(x, HTTP_LENGTH_UNKNOWN, SPAN("\n"), false);
    return move_park();
}

struct move relay_whole(struct exchange *x, char *data, size_t len, bool is_last)
{
    if (!x->relay.translator || x->relay.content_encoding.len || !relay_hold(x, data, len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (without_blanks(buf_span(&x->relay.held)).len)
        attempt_note_first_byte(exchange_attempt(x));
    else if (!is_last)
        relay_hold_pings(x);
    if (!is_last)
        return x->relay.held.len > WHOLE_MAX_BYTES ? overflow(x) : move_park();
    return finish(x);
}
