/*
 * The answer: what its head says of how to read it; then each read's worth goes to the reader of
 * its mode. What the readers share stands here: holding, committing, passing, ending.
 */
#include "base/bug.h"
#include "base/clock.h"
#include "dialect/error_read.h"
#include "dialect/limit_header.h"
#include "exchange/cross.h"
#include "exchange/sites.h"

/* Longer fields of an answer are dropped: the head that goes to the client is built in a buffer of
 * fixed size. */
enum { PING_HOLD_US = 15000000, AFTER_DONE_US = 1000000, FIELD_MAX_BYTES = 1024 };

/* What one read brings is no larger than this, and what is told of it mostly neither. */
enum { PIECE_MAX_BYTES = 1 << 20 };

/* --- the head --- */

/* Fields of an answer that tell of limits, identity and retries. */
#define KEPT                                                                                       \
    (FIELD_BIT(RETRY_AFTER) | FIELD_BIT(RETRY_AFTER_MS) | FIELD_BIT(OPENAI_PROCESSING_MS) |        \
     FIELD_BIT(X_SHOULD_RETRY) | FIELD_BIT(X_REQUEST_ID) | FIELD_BIT(REQUEST_ID) |                 \
     FIELD_BIT(APIM_REQUEST_ID) | FIELD_BIT(X_ERROR_CODE))

/* Whether keys are picked by what answers tell of limits. */
static bool hears_limits(struct exchange *x)
{
    return exchange_outlet(x)->row->conf->selection == CONF_SELECTION_HEADROOM;
}

/* Limits matter where they were met, and where they are learned from every answer. */
static bool is_kept(const struct http_field *field, bool has_limits)
{
    if (field->id != FIELD_OTHER)
        return (KEPT & (UINT64_C(1) << field->id)) != 0;
    return has_limits && limit_header_matters(field->name);
}

static void keep_fields(struct exchange *x, const struct http_head *head)
{
    bool has_limits = head->status >= 300 || hears_limits(x);
    unsigned char picked[ANSWER_FIELDS];
    size_t count = 0;

    x->relay.kept = 0;
    x->relay.tells_limits = false;
    for (size_t i = 0; i < head->field_count && count < ANSWER_FIELDS; i++) {
        const struct http_field *field = &head->fields[i];

        if (field->value.len > FIELD_MAX_BYTES || !is_kept(field, has_limits))
            continue;
        picked[count++] = (unsigned char)i;
        x->relay.tells_limits |= field->id == FIELD_OTHER;
        x->relay.kept |= UINT64_C(1) << field->id;
    }
    x->relay.fields = arena_alloc(&x->attempt_arena, count * sizeof(*x->relay.fields));
    for (size_t i = 0; i < count && x->relay.fields; i++) {
        struct dialect_header *kept = &x->relay.fields[x->relay.field_count];

        kept->name = arena_copy(&x->attempt_arena, head->fields[picked[i]].name);
        kept->value = arena_copy(&x->attempt_arena, head->fields[picked[i]].value);
        x->relay.field_count += kept->name.ptr && kept->value.ptr;
    }
}

static void hear(struct exchange *x, const struct limits_told *told)
{
    struct outlet *outlet = exchange_outlet(x);

    exchange_host_follow(
        x->host, outlet->row->provider,
        keypool_hear(outlet->view, &x->select.grant, told, loop_now_us(exchange_loop(x))));
}

/* What the provider tells of its limits counts before anything of the answer is read, where keys
 * are picked by it. */
static void hear_limits(struct exchange *x)
{
    struct limits_told told;

    if (!x->relay.tells_limits || !hears_limits(x) || !x->select.grant.key ||
        !limits_told_read(x->relay.fields, x->relay.field_count, loop_wall_us(exchange_loop(x)),
                          &told))
        return;
    told.is_refused = x->relay.status == 429;
    hear(x, &told);
}

/* Who tells nothing of them with its answers may do so when it refuses. */
static void hear_refusal(struct exchange *x, const struct dialect_error *error)
{
    struct limits_told told;

    if (x->relay.status == 429 && x->select.grant.key && hears_limits(x) &&
        limits_told_by_error(error, &told))
        hear(x, &told);
}

bool relay_is_event_stream(struct span content_type)
{
    const struct span name = SPAN("text/event-stream");

    return content_type.len >= name.len &&
           span_is_equal_nocase(span_of(content_type.ptr, name.len), name);
}

/* OpenAI's older forms pass at the speed of bytes; what else there is is read. */
static bool is_plain_pass(const struct exchange *x)
{
    enum form form = x->send.form;

    return !x->send.is_told &&
           (form == FORM_CHAT || form == FORM_COMPLETIONS || form == FORM_EMBEDDINGS);
}

bool relay_is_coded(const struct http_head *head)
{
    struct span coding = http_head_get(head, FIELD_CONTENT_ENCODING);

    return coding.len && !span_is_equal_nocase(coding, SPAN("identity"));
}

static enum relay_mode mode_of(const struct exchange *x, const struct http_head *head)
{
    bool is_stream = relay_is_event_stream(x->relay.content_type);

    if (head->status < 200 || head->status > 299)
        return RELAY_ERROR;
    if (relay_is_coded(head))
        return x->send.is_told ? RELAY_WHOLE : RELAY_RAW;
    /* Who asked for one object can be told no events: it fails as no answer. */
    if (x->send.is_told && !x->body.is_streaming)
        return RELAY_WHOLE;
    if (!is_plain_pass(x))
        return is_stream ? RELAY_EVENTS : RELAY_WHOLE;
    return is_stream ? RELAY_STREAM : RELAY_JSON;
}

static void make_json_reader(struct exchange *x)
{
    struct part_relay *relay = &x->relay;

    relay->reader.json = arena_alloc(&x->scan_arena, sizeof(*relay->reader.json));
    if (relay->reader.json)
        openai_answer_init(relay->reader.json);
}

static void make_stream_reader(struct exchange *x)
{
    struct part_relay *relay = &x->relay;

    relay->reader.stream = arena_alloc(&x->attempt_arena, sizeof(*relay->reader.stream));
    relay->sse = arena_alloc(&x->attempt_arena, sizeof(*relay->sse));
    if (relay->sse)
        sse_init(relay->sse);
    if (relay->reader.stream)
        openai_stream_init(relay->reader.stream, x->body.choices);
}

/* What cannot be made is missing when it is asked for. */
static void make_reader(struct exchange *x)
{
    switch (x->relay.mode) {
    case RELAY_JSON:
        make_json_reader(x);
        break;
    case RELAY_STREAM:
        make_stream_reader(x);
        break;
    case RELAY_WHOLE:
    case RELAY_EVENTS:
        relay_make_translator(x);
        break;
    case RELAY_RAW:
    case RELAY_ERROR:
        break;
    }
}

/* The field's value where it is of sane length; kept with the attempt. */
static struct span keep_value(struct exchange *x, const struct http_head *head, enum field_id id)
{
    struct span value = http_head_get(head, id);

    return value.len > FIELD_MAX_BYTES ? span_of(NULL, 0) : arena_copy(&x->attempt_arena, value);
}

void relay_note_head(struct exchange *x, const struct http_head *head)
{
    struct part_relay *relay = &x->relay;

    relay->first_byte_ns = clock_now_ns();
    relay->status = head->status;
    relay->dialect = exchange_outlet(x)->row->traits.dialect;
    relay->content_type = keep_value(x, head, FIELD_CONTENT_TYPE);
    if (relay_is_coded(head))
        relay->content_encoding = keep_value(x, head, FIELD_CONTENT_ENCODING);
    relay->length = head->has_length ? (int64_t)head->length : HTTP_LENGTH_UNKNOWN;
    relay->mode = mode_of(x, head);
    keep_fields(x, head);
    hear_limits(x);
    make_reader(x);
    if (x->hedge.sent_us)
        hedge_note_head(x, head->status);
}

void relay_reset(struct exchange *x)
{
    struct part_relay *relay = &x->relay;

    relay->status = 0;
    relay->fields = NULL;
    relay->field_count = 0;
    relay->kept = 0;
    relay->ping_len = 0;
    relay->reader.json = NULL;
    arena_fini(&x->scan_arena);
    relay_drop_translator(x);
    relay->sse = NULL;
    relay->has_pings = relay->has_item = false;
    relay->in.failed = OUTCOME_SUCCESS;
    relay->in.is_there = false;
    relay->is_ping_due = false;
    relay->content_type = relay->content_encoding = span_of(NULL, 0);
    relay->error = &dialect_no_error;
    x->account.usage = (struct dialect_usage){.is_known = false}; /* of the attempt before */
    buf_fini(&relay->held);
    relay->held.max = RELAY_HELD_MAX;
}

/* --- what the readers share --- */

bool relay_hold(struct exchange *x, const char *data, size_t len)
{
    return buf_append(&x->relay.held, data, len) == 0;
}

/* Bytes that the client does not take now stop the upstream. */
static void mind_client(struct exchange *x)
{
    if (x->conn && http_server_pending(x->conn) > 0)
        attempt_pause(exchange_attempt(x));
}

/* What is read as one thing is told as one, however slowly the client takes it. */
static void admit_large(struct exchange *x, struct span data)
{
    if (data.len > PIECE_MAX_BYTES)
        http_server_admit(x->conn, data.len);
}

void relay_commit(struct exchange *x, int64_t length, struct span first, bool is_last)
{
    struct outlet *outlet = exchange_outlet(x);
    uint64_t now_us = loop_now_us(exchange_loop(x));
    struct keypool_effect effect;
    struct http_answer answer = {.status = x->relay.status, .length = length};

    /* The whole failover policy in one claim: there is one commit, and no try after it. */
    if (bug_exchange_unless(!x->relay.is_committed && x->conn))
        return;
    if (x->hedge.sent_us)
        hedge_note_commit(x);
    x->relay.is_committed = true;
    x->relay.committed_us = now_us;
    if (x->route.crossing)
        cross_note_commit(x, now_us);
    if (exchange_target(x)->pace && x->route.sent_us && now_us >= x->route.sent_us)
        pace_note(exchange_target(x)->pace, now_us - x->route.sent_us);
    loop_timer_clear(&x->ping_timer);
    attempt_commit(exchange_attempt(x));
    x->account.overhead_ns += clock_now_ns() - x->relay.first_byte_ns;
    x->account.status = answer.status;
    answer.fields = answer_fields(x, false);
    admit_large(x, first);
    http_server_answer(x->conn, &answer, first, is_last);
    x->relay.bytes_out += first.len;
    if (x->relay.begun_us)
        sites_note_good(x, now_us);
    effect = keypool_good(outlet->view, &x->select.grant, now_us);
    relay_follow(x, x->select.grant.key, &effect, outcome_row(OUTCOME_SUCCESS));
    if (!is_last) {
        /* No further try: the request need not be kept. */
        if (exchange_attempt(x)->is_request_sent) {
            if (x->shadow)
                shadow_take_body(x);
            body_unref(&x->send.body);
            body_unref(&x->body.body);
        }
        mind_client(x);
    }
}

void relay_pass(struct exchange *x, struct span data, bool is_last)
{
    if (!x->conn || (data.len == 0 && !is_last))
        return;
    admit_large(x, data);
    http_server_body(x->conn, data, is_last);
    x->relay.bytes_out += data.len;
    if (!is_last)
        mind_client(x);
}

struct move relay_finish(struct exchange *x)
{
    x->relay.is_whole = true;
    if (x->conn)
        http_server_set_request(x->conn, NULL);
    x->conn = NULL;
    return move_done(STEP_ACCOUNT);
}

/* --- the modes that need no reader --- */

struct move relay_raw(struct exchange *x, char *data, size_t len, bool is_last)
{
    attempt_note_first_byte(exchange_attempt(x));
    if (!x->relay.is_committed)
        relay_commit(x, x->relay.length, span_of(data, len), is_last);
    else
        relay_pass(x, span_of(data, len), is_last);
    return is_last ? relay_finish(x) : move_park();
}

/* What the answer comes to, by its status, its fields and the error that was read of it. */
static const struct outcome_row *classify(const struct exchange *x)
{
    const struct outcome_answer answer = {.dialect = x->relay.dialect,
                                          .status = x->relay.status,
                                          .error = x->relay.error,
                                          .headers = x->relay.fields,
                                          .header_count = x->relay.field_count};

    return outcome_classify(&answer);
}

struct move relay_error(struct exchange *x, char *data, size_t len, bool is_last)
{
    struct dialect_error error;

    attempt_note_first_byte(exchange_attempt(x));
    /* Of a body beyond all reason only the beginning is looked at; the connection is given up. */
    if (x->relay.held.len + len > ERROR_BODY_MAX) {
        len = 0;
        is_last = true;
    }
    if (!relay_hold(x, data, len))
        return relay_failed(x, outcome_row(OUTCOME_GARBAGE));
    if (!is_last)
        return move_park();
    error_read(buf_span(&x->relay.held), &error);
    hear_refusal(x, &error);
    relay_keep_error(x, &error);
    return relay_failed(x, classify(x));
}

void relay_keep_error(struct exchange *x, const struct dialect_error *error)
{
    struct dialect_error *kept = arena_alloc(&x->attempt_arena, sizeof(*kept));

    if (!kept)
        return;
    *kept = *error;
    x->relay.error = kept;
}

struct move relay_error_in_success(struct exchange *x)
{
    return relay_failed(x, classify(x));
}

/* --- the step --- */

static struct move read_on(struct exchange *x)
{
    struct part_relay *relay = &x->relay;
    char *data = relay->in.data;
    size_t len = relay->in.len;

    relay->in.is_there = false;
    if (x->shadow)
        shadow_hear(x, data, len);
    switch (relay->mode) {
    case RELAY_JSON:
        return relay_json(x, data, len, relay->in.is_last);
    case RELAY_STREAM:
        return relay_stream(x, data, len, relay->in.is_last);
    case RELAY_WHOLE:
        return relay_whole(x, data, len, relay->in.is_last);
    case RELAY_EVENTS:
        return relay_events(x, data, len, relay->in.is_last);
    case RELAY_RAW:
        return relay_raw(x, data, len, relay->in.is_last);
    case RELAY_ERROR:
        return relay_error(x, data, len, relay->in.is_last);
    }
    return move_park();
}

/* A queueing upstream sends only pings: they are held for a while, then go out, and commit. Where
 * the answer is told anew, nothing but the head can go: there is no half of an object. */
static struct move release_pings(struct exchange *x)
{
    struct part_relay *relay = &x->relay;
    bool is_stream = relay->mode == RELAY_STREAM;
    size_t len = is_stream ? relay->ping_len : relay->held.len;

    relay->is_ping_due = false;
    if (relay->mode == RELAY_EVENTS)
        return relay_events_release(x);
    if (relay->mode == RELAY_WHOLE)
        return relay_whole_release(x);
    if (relay->is_committed || len == 0)
        return move_park();
    relay_commit(x, is_stream ? HTTP_LENGTH_UNKNOWN : relay->length, span_of(relay->held.data, len),
                 false);
    buf_drop_front(&relay->held, len);
    relay->ping_len = 0;
    return move_park();
}

/* --- a stream that has all that counts --- */

bool relay_is_over(const struct exchange *x)
{
    if (!x->relay.is_committed)
        return false;
    if (x->relay.mode == RELAY_EVENTS)
        return translator_is_over(x->relay.translator) ||
               (translator_is_finished(x->relay.translator) &&
                !translator_error(x->relay.translator));
    return x->relay.mode == RELAY_STREAM &&
           openai_stream_ending(x->relay.reader.stream) != OPENAI_CUT;
}

bool relay_has_done(const struct exchange *x)
{
    if (!x->relay.is_committed)
        return false;
    if (x->relay.mode == RELAY_EVENTS)
        return translator_is_over(x->relay.translator);
    return x->relay.mode == RELAY_STREAM &&
           openai_stream_ending(x->relay.reader.stream) == OPENAI_ENDED;
}

struct move relay_end(struct exchange *x)
{
    return x->relay.mode == RELAY_EVENTS ? relay_events_end(x) : relay_stream_end(x);
}

struct move step_relay(struct exchange *x)
{
    if (x->relay.answer)
        return x->relay.answer->away.is_back ? relay_whole_answered(x) : exchange_await(x);
    if (x->relay.in.failed)
        return relay_is_over(x) ? relay_end(x) : relay_failed(x, outcome_row(x->relay.in.failed));
    if (x->relay.in.is_there)
        return read_on(x);
    return x->relay.is_ping_due ? release_pings(x) : move_park();
}

void relay_hold_pings(struct exchange *x)
{
    if (!x->ping_timer.deadline_us)
        loop_timer_set(&x->ping_timer, loop_now_us(exchange_loop(x)) + PING_HOLD_US);
}

void relay_note_done(struct exchange *x)
{
    attempt_set_idle(exchange_attempt(x), AFTER_DONE_US);
}
