/* How a call's answer leaves: heads, bodies, streams, and all the ways of not finishing them. */
#include "base/err.h"
#include "sim/call.h"

enum { BATCH_BYTES = 32768, PENDING_MAX_BYTES = 65536, MAX_LISTED_MODELS = 10000 };

/* What a provider lists whose scenario names no models. */
static const char *const usual_models[] = {
    "gpt-4.1",           "gpt-4.1-mini",      "gpt-4o",
    "gpt-4o-mini",       "o4-mini",           "deepseek-chat",
    "deepseek-v3",       "deepseek-reasoner", "text-embedding-3-small",
    "claude-sonnet-4-6", "gemini-2.5-flash",
};

static const struct span garbage = {"\x16\x03\x01 this is not HTTP\r\n\r\n\x00\x01\x02", 27};

static uint64_t now(const struct sim_call *call)
{
    return loop_now_us(call->calls->loop);
}

/* --- heads --- */

static bool is_stream_answer(const struct sim_call *call, int status)
{
    return call->ask.is_streaming && status == 200 &&
           !(call->fate.failure && call->fate.failure->kind == SIM_FAULT_ERROR_BODY);
}

/* The answer's field lines, in the scratch that all calls share. */
static struct span write_fields(struct sim_call *call, int status, uint64_t retry_after_us)
{
    struct buf *fields = &call->calls->fields;
    struct sim_account *account = call->key->account;
    struct sim_head_facts facts = {
        .id = call->stamp.id,
        .status = status,
        .form = call->route.form,
        .processing_us = now(call) - call->whole_us,
        .account = sim_name_span(&account->name),
        .reset_form = account->limits.reset_form,
        .retry_form = account->limits.retry_form,
        .retry_after_us = retry_after_us,
        .wall_us = loop_wall_us(call->calls->loop),
        .is_stream = is_stream_answer(call, status),
    };

    if (sim_op_is_generation(call->route.op)) {
        facts.requests = sim_account_meter(&account->requests, now(call));
        facts.tokens = sim_account_meter(&account->tokens, now(call));
    }
    buf_clear(fields);
    call->dialect->write_fields(&facts, fields);
    return buf_span(fields);
}

/* Gives bytes of the answer to the connection, the head before the first of them. */
static void give(struct sim_call *call, struct span data, bool is_last)
{
    struct http_answer answer = {.status = 200, .length = call->length};
    bool is_first = !call->is_head_given;
    struct http_server_conn *conn = call->conn;

    call->status = 200;
    if (is_first)
        answer.fields = write_fields(call, 200, 0);
    call->is_head_given = true;
    if (is_last) {
        /* The data may stand in the call's own buffer, which another call may take at once. */
        struct buf out = call->out;
        struct buf *scratch = &call->calls->body;

        call->out = *scratch;
        *scratch = out;
        sim_call_conclude(call, call->end);
        if (is_first)
            http_server_answer(conn, &answer, data, true);
        else
            http_server_body(conn, data, true);
        return;
    }
    if (is_first)
        http_server_answer(conn, &answer, data, false);
    else
        http_server_body(conn, data, false);
}

/* --- failures --- */

static void complete_failure(struct sim_call *call, struct sim_failure *failure)
{
    failure->form = call->route.form;
    failure->id = call->stamp.id;
    failure->model = call->ask.model;
    failure->account = sim_name_span(&call->key->account->name);
    if (!failure->key.ptr)
        failure->key = span_from_text(call->key->name);
    if (!failure->model.ptr)
        failure->model = SPAN("");
}

void sim_call_fail(struct sim_call *call, enum sim_end end)
{
    struct buf *body = &call->calls->body;
    struct http_answer answer = {0};
    struct http_server_conn *conn;

    complete_failure(call, &call->failure);
    buf_clear(body);
    answer.status = call->dialect->write_failure(&call->failure, body);
    answer.length = (int64_t)body->len;
    answer.fields = write_fields(call, answer.status, call->failure.retry_after_us);
    call->status = answer.status;
    conn = sim_call_conclude(call, end);
    http_server_answer(conn, &answer, buf_span(body), true);
}

void sim_calls_refuse(struct sim_calls *calls, struct http_server_conn *conn,
                      const struct sim_dialect *dialect, const struct sim_failure *failure)
{
    struct sim_head_facts facts = {.wall_us = loop_wall_us(calls->loop)};
    struct http_answer answer = {0};

    buf_clear(&calls->body);
    buf_clear(&calls->fields);
    facts.status = answer.status = dialect->write_failure(failure, &calls->body);
    dialect->write_fields(&facts, &calls->fields);
    answer.length = (int64_t)calls->body.len;
    answer.fields = buf_span(&calls->fields);
    http_server_answer(conn, &answer, buf_span(&calls->body), true);
}

static struct sim_failure failure_of(struct sim_call *call, const struct sim_fault *fault)
{
    struct sim_limits *limits = &call->key->account->limits;
    bool is_tokens = fault->failure == SIM_FAILURE_RATE_TOKENS;
    struct sim_failure failure = {
        .kind = fault->failure,
        .status = fault->status,
        .retry_after_us = fault->retry_after_us,
        .limit = is_tokens ? limits->tpm : limits->rpm,
        .requested = is_tokens ? call->ask.prompt_tokens + call->answer.completion_tokens : 1,
    };

    failure.used = failure.limit;
    complete_failure(call, &failure);
    return failure;
}

static void answer_garbage(struct sim_call *call)
{
    struct iovec iov = {(void *)(uintptr_t)garbage.ptr, garbage.len};

    /* Whether it leaves or not, the connection ends here. */
    if (conn_send(http_server_stream(call->conn), &iov, 1) == 0)
        sim_call_cut(call, SIM_CUT_END);
    else
        sim_call_cut(call, SIM_CUT_RESET);
}

/* --- what an answer consists of --- */

static struct span usual_model(size_t i)
{
    return span_from_text(usual_models[i]);
}

static void write_models(struct sim_call *call, struct buf *out)
{
    const struct sim_scenario *scenario = call->world->scenario;
    size_t count = scenario->model_count ? scenario->model_count
                                         : sizeof(usual_models) / sizeof(usual_models[0]);
    struct span *models = arena_alloc(&call->arena, count * sizeof(*models));
    size_t listed = 0;

    if (!models) {
        out->err = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct span model =
            scenario->model_count ? sim_name_span(&scenario->models[i]) : usual_model(i);

        if (sim_behaviour_allows(call->behaviour, model))
            models[listed++] = model;
    }
    call->dialect->write_models(models, listed, out);
}

static void write_body(struct sim_call *call, struct buf *out)
{
    const struct sim_fault *fault = call->fate.failure;

    if (fault && (fault->kind == SIM_FAULT_ERROR_BODY || fault->kind == SIM_FAULT_ERROR_EVENT)) {
        struct sim_failure failure = failure_of(call, fault);

        call->dialect->write_failure(&failure, out);
        return;
    }
    switch (call->ask.op) {
    case SIM_OP_CHAT:
    case SIM_OP_COMPLETION:
        call->dialect->write_answer(&call->answer, &call->stamp, out);
        break;
    case SIM_OP_EMBEDDING:
        call->dialect->write_embeddings(&call->ask, &call->stamp, out);
        break;
    case SIM_OP_TOKENS:
        call->dialect->write_tokens(&call->ask, out);
        break;
    case SIM_OP_MODELS:
        write_models(call, out);
        break;
    case SIM_OP_MODEL:
        call->dialect->write_model(call->ask.model, out);
        break;
    case SIM_OP_BALANCE:
        call->dialect->write_balance(call->behaviour->state == SIM_KEY_VALID, out);
        break;
    }
}

/* Puts the failure that fate chose in place of the next event. */
static void make_failure(struct sim_call *call)
{
    const struct sim_fault *fault = call->fate.failure;
    struct sim_failure failure;

    call->is_made = true;
    if (fault->kind != SIM_FAULT_ERROR_EVENT) {
        call->is_cut = true;
        return;
    }
    failure = failure_of(call, fault);
    call->dialect->write_failure_event(&failure, &call->stamp, &call->out);
}

/* Makes the next event of a stream. The end comes with the last one, not a gap later. */
static void make_event(struct sim_call *call)
{
    const struct sim_fault *fault = call->fate.failure;
    struct sim_event event;

    if (fault && call->told == fault->after) {
        make_failure(call);
        return;
    }
    if (sim_answer_next(&call->answer, &event)) {
        call->dialect->write_event(&call->answer, &event, &call->stamp, &call->out);
        call->stamp.is_begun = true;
        call->told++;
    }
    if (sim_answer_is_over(&call->answer) && !(fault && call->told == fault->after)) {
        call->is_made = true;
        call->end = SIM_END_ANSWERED; /* also where fate would have come later */
    }
}

/* Makes all events that are due, up to a batch. */
static void make_events(struct sim_call *call)
{
    uint64_t gap_us = call->behaviour->event_gap_us;

    while (!call->is_made && call->out.len < BATCH_BYTES && call->due_us <= now(call)) {
        make_event(call);
        call->due_us += gap_us;
    }
}

/* --- the answer leaves --- */

/* All that was made has been given: how it ends. */
static void finish(struct sim_call *call)
{
    if (!call->is_cut || call->fate.failure->cut == SIM_CUT_END) {
        give(call, SPAN(""), true);
        return;
    }
    if (!call->is_head_given)
        give(call, SPAN(""), false);
    /* Cut earlier, the connection would forget what it still holds. */
    if (http_server_pending(call->conn) == 0)
        sim_call_cut(call, call->fate.failure->cut);
}

static bool gives_all_at_once(const struct sim_call *call)
{
    return !call->fate.drip_bytes;
}

/* One step of giving; false: it waits, or is over. */
static bool give_some(struct sim_call *call)
{
    struct span left = span_skip(buf_span(&call->out), call->given);
    bool is_last;

    if (!gives_all_at_once(call) && left.len > call->fate.drip_bytes)
        left.len = call->fate.drip_bytes;
    call->given += left.len;
    is_last = call->is_made && !call->is_cut && call->given == call->out.len;
    give(call, left, is_last);
    if (is_last)
        return false;
    if (call->given == call->out.len) {
        buf_clear(&call->out);
        call->given = 0;
    }
    if (gives_all_at_once(call))
        return true;
    sim_call_wait(call, call->fate.drip_gap_us);
    return false;
}

static void write_on(struct sim_call *call)
{
    for (;;) {
        if (http_server_pending(call->conn) > PENDING_MAX_BYTES)
            return; /* on_room goes on */
        if (call->given == call->out.len && !call->is_made)
            make_events(call);
        if (call->out.err) {
            sim_call_cut(call, SIM_CUT_CLOSE);
            return;
        }
        if (call->given < call->out.len) {
            if (!give_some(call))
                return;
        } else if (call->is_made) {
            finish(call);
            return;
        } else {
            sim_call_wait(call, call->due_us > now(call) ? call->due_us - now(call) : 0);
            return;
        }
    }
}

static void begin_writing(struct sim_call *call)
{
    sim_call_go(call, SIM_CALL_WRITING);
    call->due_us = now(call);
    write_on(call);
}

static void begin_stalling(struct sim_call *call)
{
    if (!call->fate.head_stall_us) {
        begin_writing(call);
        return;
    }
    sim_call_go(call, SIM_CALL_STALLING);
    if (!call->is_head_given)
        give(call, SPAN(""), false);
    sim_call_wait(call, call->fate.head_stall_us);
}

/* A comment now, the next one after a gap: some providers hold a place in the line so. */
static void queue_on(struct sim_call *call)
{
    uint64_t gap_us = call->fate.queue_gap_us ? call->fate.queue_gap_us : 1;

    if (now(call) >= call->due_us) {
        begin_stalling(call);
        return;
    }
    give(call, is_stream_answer(call, 200) ? call->dialect->comment : SPAN("\n"), false);
    if (gap_us > call->due_us - now(call))
        gap_us = call->due_us - now(call);
    sim_call_wait(call, gap_us);
}

static void begin_queueing(struct sim_call *call)
{
    if (!call->fate.queue_us) {
        begin_stalling(call);
        return;
    }
    sim_call_go(call, SIM_CALL_QUEUEING);
    call->due_us = now(call) + call->fate.queue_us;
    queue_on(call);
}

/* A plain answer is made at once; of one that is cut half is left. */
static void make_body(struct sim_call *call)
{
    const struct sim_fault *fault = call->fate.failure;

    write_body(call, &call->out);
    call->is_made = true;
    call->length = (int64_t)call->out.len;
    if (call->fate.is_chunked || call->fate.queue_us)
        call->length = HTTP_LENGTH_UNKNOWN;
    if (fault && fault->kind == SIM_FAULT_CUT) {
        call->is_cut = true;
        call->out.len /= 2;
        if (fault->cut == SIM_CUT_END)
            call->length = HTTP_LENGTH_UNKNOWN;
    }
}

static void begin_good_answer(struct sim_call *call)
{
    call->end = call->fate.failure ? SIM_END_FAILED : SIM_END_ANSWERED;
    call->stamp.is_padded = call->fate.is_padded;
    call->stamp.is_crlf = call->fate.is_crlf;
    call->stamp.has_usage = !call->fate.has_no_usage;
    call->answer.finish = call->fate.finish;
    if (call->fate.is_blocked)
        sim_answer_block(&call->answer);
    if (is_stream_answer(call, 200)) {
        call->length = HTTP_LENGTH_UNKNOWN;
        call->stamp.has_usage &= call->ask.is_usage_wanted;
        call->answer.has_usage = call->stamp.has_usage && call->ask.is_usage_apart;
        call->answer.has_end = !call->fate.has_no_done;
    } else {
        make_body(call);
    }
    begin_queueing(call);
}

void sim_call_answer(struct sim_call *call)
{
    const struct sim_fault *fault = call->fate.failure;

    switch (fault ? fault->kind : SIM_FAULT_COUNT) {
    case SIM_FAULT_STATUS:
        call->failure = failure_of(call, fault);
        sim_call_fail(call, SIM_END_FAILED);
        break;
    case SIM_FAULT_TIMEOUT:
        sim_call_go(call, SIM_CALL_HANGING);
        break;
    case SIM_FAULT_RESET:
        sim_call_cut(call, SIM_CUT_RESET);
        break;
    case SIM_FAULT_CLOSE:
        sim_call_cut(call, SIM_CUT_CLOSE);
        break;
    case SIM_FAULT_GARBAGE:
        answer_garbage(call);
        break;
    case SIM_FAULT_CUT:
    case SIM_FAULT_ERROR_BODY:
    case SIM_FAULT_ERROR_EVENT:
    case SIM_FAULT_EARLY:
    case SIM_FAULT_STALL:
    case SIM_FAULT_HEAD_STALL:
    case SIM_FAULT_DRIP:
    case SIM_FAULT_QUEUE:
    case SIM_FAULT_NO_DONE:
    case SIM_FAULT_NO_USAGE:
    case SIM_FAULT_CHUNKED:
    case SIM_FAULT_PADDING:
    case SIM_FAULT_CRLF:
    case SIM_FAULT_BLOCKED:
    case SIM_FAULT_FINISH:
    case SIM_FAULT_IGNORE_EXPECT:
    case SIM_FAULT_COUNT:
        begin_good_answer(call);
        break;
    }
}

void sim_call_resume(struct sim_call *call)
{
    switch ((enum sim_call_state)call->sm.state) {
    case SIM_CALL_WAITING:
        sim_call_answer(call);
        break;
    case SIM_CALL_QUEUEING:
        queue_on(call);
        break;
    case SIM_CALL_STALLING:
        begin_writing(call);
        break;
    case SIM_CALL_WRITING:
        write_on(call);
        break;
    case SIM_CALL_READING:
    case SIM_CALL_HANGING:
    case SIM_CALL_OVER:
        break;
    }
}
