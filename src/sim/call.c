#include "sim/call.h"

#include <sys/socket.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"
#include "base/percent.h"

enum {
    MAX_BODY_BYTES = 32 << 20,
    MAX_SPARE = 1024,
    MAX_SPARE_BLOCKS = 1024,
    KEPT_BYTES = 65536, /* of a buffer that is kept for the next call */
};

/* Of all requests' bodies and all answers under way. */
static const uint64_t MAX_HELD_BYTES = 1ull << 30;
static const size_t MAX_OUT_BYTES = 512u << 20;

static const struct sm_state states[] = {
    [SIM_CALL_READING] = {"reading", "the request arrives",
                          SM_TO(SIM_CALL_WAITING) | SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_WAITING] = {"waiting", "whole; its latency passes",
                          SM_TO(SIM_CALL_HANGING) | SM_TO(SIM_CALL_QUEUEING) |
                              SM_TO(SIM_CALL_STALLING) | SM_TO(SIM_CALL_WRITING) |
                              SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_HANGING] = {"hanging", "never answered; ends when the client leaves",
                          SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_QUEUEING] = {"queueing", "the head is out; comments follow",
                           SM_TO(SIM_CALL_STALLING) | SM_TO(SIM_CALL_WRITING) |
                               SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_STALLING] = {"stalling", "the head is out; nothing follows for a while",
                           SM_TO(SIM_CALL_WRITING) | SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_WRITING] = {"writing", "the answer leaves, event by event or drop by drop",
                          SM_TO(SIM_CALL_OVER)},
    [SIM_CALL_OVER] = {"over", "answered or given up; to be used again", 0},
};

static struct sim_call *of(struct sim_handler *handler)
{
    return container_of(handler, struct sim_call, handler);
}

void sim_call_go(struct sim_call *call, enum sim_call_state next)
{
    bug_fatal_unless(sm_move(&call->sm, (int)next));
}

/* --- memory --- */

void sim_calls_init(struct sim_calls *calls, struct loop *loop)
{
    *calls = (struct sim_calls){.loop = loop};
    arena_pool_init(&calls->pool, MAX_SPARE_BLOCKS);
    list_init(&calls->spare);
    buf_init(&calls->fields, HTTP_MAX_HEAD_BYTES);
    buf_init(&calls->body, MAX_OUT_BYTES);
}

static void free_call(struct sim_call *call)
{
    buf_fini(&call->body);
    buf_fini(&call->out);
    mem_free(call);
}

void sim_calls_fini(struct sim_calls *calls)
{
    struct list *link;

    while ((link = list_pop_front(&calls->spare)))
        free_call(container_of(link, struct sim_call, link));
    arena_pool_fini(&calls->pool);
    buf_fini(&calls->fields);
    buf_fini(&calls->body);
}

static void clear(struct buf *buf)
{
    if (buf->cap > KEPT_BYTES)
        buf_fini(buf);
    buf_clear(buf);
}

static void recycle(struct sim_call *call)
{
    struct sim_calls *calls = call->calls;

    loop_timer_fini(&call->timer);
    arena_fini(&call->arena);
    calls->body_bytes -= call->body.len;
    sim_behaviour_unref(&call->behaviour);
    sim_world_unref(&call->world);
    clear(&call->body);
    clear(&call->out);
    if (calls->spare_count == MAX_SPARE) {
        free_call(call);
        return;
    }
    calls->spare_count++;
    list_push_front(&calls->spare, &call->link);
}

static struct sim_call *take_call(struct sim_calls *calls)
{
    struct list *link = list_pop_front(&calls->spare);
    struct sim_call *call;
    struct buf body, out;

    if (link) {
        calls->spare_count--;
        call = container_of(link, struct sim_call, link);
        body = call->body;
        out = call->out;
    } else {
        call = mem_alloc(sizeof(*call));
        if (!call)
            return NULL;
        buf_init(&body, MAX_BODY_BYTES);
        buf_init(&out, MAX_OUT_BYTES);
    }
    *call = (struct sim_call){.calls = calls, .body = body, .out = out, .cut_at = SIZE_MAX};
    return call;
}

/* --- ends --- */

struct http_server_conn *sim_call_conclude(struct sim_call *call, enum sim_end end)
{
    struct http_server_conn *conn = call->conn;

    http_server_set_request(conn, NULL);
    sim_call_go(call, SIM_CALL_OVER);
    if (end == SIM_END_ANSWERED && sim_op_is_generation(call->ask.op)) {
        call->key->counts.prompt_tokens += call->ask.prompt_tokens;
        call->key->counts.completion_tokens += call->answer.completion_tokens;
        sim_world_note_answer(call->world, call->ask.body_hash);
    }
    sim_key_end(call->key, call->route.op, end, call->status);
    recycle(call);
    return conn;
}

void sim_call_cut(struct sim_call *call, enum sim_cut how)
{
    struct http_server_conn *conn = sim_call_conclude(call, SIM_END_FAILED);
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};

    /* With this option closing sends a reset in place of an orderly end. */
    if (how == SIM_CUT_RESET)
        setsockopt(http_server_stream(conn)->fd.fd, SOL_SOCKET, SO_LINGER, &at_once,
                   sizeof(at_once));
    http_server_abort(conn);
}

static void on_gone(struct sim_handler *handler)
{
    struct sim_call *call = of(handler);

    sim_call_conclude(call, call->fate.failure ? SIM_END_FAILED : SIM_END_CANCELLED);
}

static void on_timer(struct loop_timer *timer)
{
    sim_call_resume(container_of(timer, struct sim_call, timer));
}

void sim_call_wait(struct sim_call *call, uint64_t wait_us)
{
    if (loop_timer_set(&call->timer, loop_now_us(call->calls->loop) + wait_us))
        sim_call_cut(call, SIM_CUT_CLOSE);
}

/* --- what a request gets --- */

static struct span key_name(const struct sim_call *call)
{
    return span_from_text(call->key->name);
}

static void refuse_key(struct sim_call *call, enum sim_failure_kind kind)
{
    call->is_key_refused = true;
    call->failure = (struct sim_failure){.kind = kind, .key = key_name(call)};
}

/* An issued key may not have come round yet, or its days be over. */
static bool is_in_its_time(const struct sim_call *call)
{
    const struct sim_key *key = call->key;
    uint64_t now_us = loop_now_us(call->calls->loop);

    return now_us >= key->known_us && (!key->expires_us || now_us < key->expires_us);
}

static void check_state(struct sim_call *call)
{
    if (call->behaviour->state != SIM_KEY_REVOKED && !is_in_its_time(call)) {
        refuse_key(call, SIM_FAILURE_BAD_KEY);
        return;
    }
    switch (call->behaviour->state) {
    case SIM_KEY_VALID:
        break;
    case SIM_KEY_REVOKED:
        call->world->issuing.revoked_requests++;
        refuse_key(call, SIM_FAILURE_BAD_KEY);
        break;
    case SIM_KEY_DEPLETED:
        if (sim_op_is_generation(call->route.op))
            refuse_key(call, SIM_FAILURE_QUOTA);
        break;
    case SIM_KEY_UNPAID:
        if (sim_op_is_generation(call->route.op))
            refuse_key(call, SIM_FAILURE_PAYMENT);
        break;
    case SIM_KEY_FORBIDDEN:
        refuse_key(call, SIM_FAILURE_FORBIDDEN);
        break;
    }
}

static void find_key(struct sim_call *call, const struct http_head *head)
{
    struct span shown = call->dialect->credential(head);
    struct sim_key *key = shown.len ? sim_world_key(call->world, shown) : NULL;

    call->key = key ? key : &call->world->nobody;
    call->behaviour = sim_behaviour_ref(call->key->behaviour);
    if (key)
        return;
    if (shown.len) {
        refuse_key(call, SIM_FAILURE_BAD_KEY);
        call->failure.key = arena_copy(&call->arena, shown);
    } else if (call->world->scenario->missing_keys == SIM_REFUSE) {
        refuse_key(call, SIM_FAILURE_NO_KEY);
    }
}

static void draw_stamp(struct sim_call *call)
{
    struct sim_key *key = call->key;
    uint64_t n =
        sim_op_is_generation(call->route.op) ? key->drawn++ : key->counts.lookups | 1ull << 63;

    sim_fate_seed(&call->rand, call->world->seed, key->hash, n);
    call->stamp.id = rand_u64(&call->rand);
    call->stamp.form = call->route.form;
    call->stamp.frames = &call->frames;
    call->stamp.created_s = loop_wall_us(call->calls->loop) / 1000000;
}

static bool has_model(const struct sim_call *call, struct span model)
{
    const struct sim_scenario *scenario = call->world->scenario;
    bool is_known = scenario->model_count == 0;

    for (size_t i = 0; !is_known && i < scenario->model_count; i++)
        is_known = span_is_equal(model, sim_name_span(&scenario->models[i]));
    return is_known && sim_behaviour_allows(call->behaviour, model);
}

/* 0; ERR_SYNTAX with call->failure; ERR_NOMEM. */
static int check_request(struct sim_call *call)
{
    const struct sim_behaviour *behaviour = call->behaviour;
    struct sim_ask *ask = &call->ask;

    if (ask->op != SIM_OP_MODELS && ask->op != SIM_OP_BALANCE && !has_model(call, ask->model)) {
        call->failure = (struct sim_failure){.kind = SIM_FAILURE_MODEL};
        return ERR_SYNTAX;
    }
    if (behaviour->context_tokens && ask->prompt_tokens > behaviour->context_tokens) {
        call->failure = (struct sim_failure){.kind = SIM_FAILURE_CONTEXT,
                                             .limit = behaviour->context_tokens,
                                             .requested = ask->prompt_tokens};
        return ERR_SYNTAX;
    }
    if (ask->op != SIM_OP_CHAT && ask->op != SIM_OP_COMPLETION)
        return 0;
    ask->is_call_bare = behaviour->has_bare_calls;
    if (behaviour->tells_usage) {
        ask->is_usage_wanted = true;
        ask->is_usage_apart = false;
    }
    ask->cached_tokens = behaviour->cached_tokens < ask->prompt_tokens ? behaviour->cached_tokens
                                                                       : ask->prompt_tokens;
    if (ask->tool_count > behaviour->tool_calls)
        ask->tool_count = behaviour->tool_calls;
    if (ask->tool_count > 1 && ask->is_one_call)
        ask->tool_count = 1;
    return sim_answer_init(&call->answer, ask, behaviour->min_tokens, &call->arena);
}

static int read_request(struct sim_call *call)
{
    if (sim_op_has_body(call->route.op))
        return call->dialect->parse(
            &call->route, buf_span(&call->body), &call->behaviour->refused_fields,
            (int)call->behaviour->refused_status, &call->arena, &call->ask, &call->failure);
    call->ask = (struct sim_ask){.op = call->route.op, .model = call->route.model};
    return 0;
}

static bool is_admitted(struct sim_call *call)
{
    uint64_t tokens = call->ask.prompt_tokens + call->answer.completion_tokens;

    if (!sim_op_is_generation(call->ask.op))
        return true;
    return sim_account_admit(call->key->account, tokens, loop_now_us(call->calls->loop),
                             &call->failure);
}

/* The request is whole: what it gets is settled here, in the order in which a provider looks. */
static void decide(struct sim_call *call)
{
    int err;

    call->whole_us = loop_now_us(call->calls->loop);
    if (call->is_key_refused) {
        sim_call_fail(call, SIM_END_REFUSED);
        return;
    }
    err = read_request(call);
    if (!err)
        err = check_request(call);
    if (err == ERR_FULL)
        call->failure = (struct sim_failure){.kind = SIM_FAILURE_BODY_LARGE};
    else if (err && err != ERR_SYNTAX)
        call->failure = (struct sim_failure){.kind = SIM_FAILURE_OVERLOADED};
    if (err) {
        sim_call_fail(call, SIM_END_REJECTED);
        return;
    }
    if (!is_admitted(call)) {
        sim_call_fail(call, SIM_END_LIMITED);
        return;
    }
    call->key->counts.streams += call->ask.is_streaming;
    sim_fate_draw(call->behaviour, &call->key->memory, &call->rand, &call->ask, call->whole_us,
                  &call->fate);
    sim_call_go(call, SIM_CALL_WAITING);
    if (call->fate.wait_us)
        sim_call_wait(call, call->fate.wait_us);
    else
        sim_call_answer(call);
}

/* --- the request arrives --- */

static void fail_early(struct sim_call *call, enum sim_failure_kind kind, enum sim_end end)
{
    call->failure = (struct sim_failure){.kind = kind};
    call->whole_us = loop_now_us(call->calls->loop);
    sim_call_fail(call, end);
}

static void on_body(struct sim_handler *handler, struct span data)
{
    struct sim_call *call = of(handler);

    if (call->calls->body_bytes + data.len > MAX_HELD_BYTES) {
        fail_early(call, SIM_FAILURE_OVERLOADED, SIM_END_REJECTED);
    } else if (buf_append_span(&call->body, data)) {
        fail_early(call, SIM_FAILURE_BODY_LARGE, SIM_END_REJECTED);
    } else {
        call->calls->body_bytes += data.len;
    }
}

static void on_end(struct sim_handler *handler)
{
    decide(of(handler));
}

static void on_room(struct sim_handler *handler)
{
    struct sim_call *call = of(handler);

    if (call->sm.state == SIM_CALL_WRITING && !call->timer.deadline_us)
        sim_call_resume(call);
}

/* What is settled by the head alone: true, and the call is over. */
static bool is_settled_early(struct sim_call *call, const struct http_head *head)
{
    enum sim_op op = call->route.op;
    uint64_t now_us = loop_now_us(call->calls->loop);
    const struct sim_fault *fault;

    if (head->has_length && head->length > MAX_BODY_BYTES) {
        fail_early(call, SIM_FAILURE_BODY_LARGE, SIM_END_REJECTED);
        return true;
    }
    if (call->is_key_refused)
        return false;
    fault = sim_fate_early(call->behaviour, &call->key->memory, &call->rand, op, now_us);
    if (!fault)
        return false;
    call->fate.failure = fault;
    call->whole_us = now_us;
    call->failure = (struct sim_failure){
        .kind = fault->failure, .status = fault->status, .retry_after_us = fault->retry_after_us};
    sim_call_fail(call, SIM_END_FAILED);
    return true;
}

static void invite_body(struct sim_call *call, const struct http_head *head)
{
    if (!head->is_expecting_continue)
        return;
    if (!sim_fate_ignores_expect(call->behaviour, &call->key->memory, &call->rand, call->route.op,
                                 loop_now_us(call->calls->loop)))
        http_server_continue(call->conn);
}

/* Of a path, which ends with the head. */
static struct span keep_model(struct sim_call *call, struct span model)
{
    char *text = arena_alloc(&call->arena, model.len);

    return text ? span_of(text, percent_read(model, text)) : (struct span){0};
}

void sim_call_begin(struct sim_calls *calls, struct http_server_conn *conn,
                    const struct http_head *head, const struct sim_dialect *dialect,
                    const struct sim_route *route)
{
    struct sim_call *call = take_call(calls);

    if (!call) {
        http_server_abort(conn);
        return;
    }
    call->handler = (struct sim_handler){on_body, on_end, on_room, on_gone};
    call->conn = conn;
    call->dialect = dialect;
    call->route = *route;
    call->world = sim_world_ref(calls->world);
    sm_init(&call->sm, states, SIM_CALL_READING);
    loop_timer_init(&call->timer, calls->loop, on_timer);
    arena_init(&call->arena, &calls->pool, MAX_OUT_BYTES);
    http_server_set_request(conn, &call->handler);
    if (route->model.len)
        call->route.model = keep_model(call, route->model);
    find_key(call, head);
    sim_key_begin(call->key, route->op);
    draw_stamp(call);
    if (!call->is_key_refused)
        check_state(call);
    if (!is_settled_early(call, head))
        invite_body(call, head);
}
