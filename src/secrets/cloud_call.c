#include "secrets/cloud_call.h"

#include "base/clock.h"
#include "base/err.h"
#include "secrets/secret_store.h"

enum {
    TRIES_MAX = 4,
    URL_MAX_BYTES = 16 << 10,
    LINES_MAX_BYTES = 48 << 10,
    BODY_MAX_BYTES = 4 * SECRET_ENTRY_MAX_BYTES,
    ANSWER_MAX_BYTES = 8 << 20,
};

#define PAUSE_US   (200 * US_PER_MS) /* before another try, and twice as long before each further */
#define LONGEST_US (5 * US_PER_SEC)  /* that a server may have us wait */

static int send_again(struct cloud_call *call);

/* ---- questions ---- */

void cloud_question_init(struct cloud_question *question, const char *method)
{
    *question = (struct cloud_question){.method = method};
    buf_init(&question->url, URL_MAX_BYTES);
    buf_init(&question->lines, LINES_MAX_BYTES);
    buf_init(&question->body, BODY_MAX_BYTES);
    question->lines.is_secret = question->body.is_secret = true;
}

void cloud_question_fini(struct cloud_question *question)
{
    buf_fini(&question->url);
    buf_fini(&question->lines);
    buf_fini(&question->body);
}

void cloud_question_line(struct cloud_question *question, const char *name, struct span value)
{
    buf_append_span(&question->lines, span_from_text(name));
    buf_append_span(&question->lines, SPAN(": "));
    buf_append_span(&question->lines, value);
    buf_append_byte(&question->lines, '\0');
}

int cloud_question_err(const struct cloud_question *question)
{
    if (question->url.err)
        return question->url.err;
    return question->lines.err ? question->lines.err : question->body.err;
}

/* ---- the call ---- */

static void release(struct cloud_call *call)
{
    fetch_cancel(&call->fetch);
    loop_timer_fini(&call->timer);
    cloud_question_fini(&call->question);
    call->server = NULL;
}

static void end(struct cloud_call *call, const struct cloud_reply *reply)
{
    release(call);
    call->on_done(call, reply);
}

static void on_pause(struct loop_timer *timer)
{
    struct cloud_call *call = container_of(timer, struct cloud_call, timer);
    int err = send_again(call);

    if (err) {
        struct cloud_reply reply = {.err = err, .why = err_text(err)};

        end(call, &reply);
    }
}

static bool is_to_repeat(const struct cloud_call *call, const struct fetch_answer *answer)
{
    bool (*is_busy)(int, struct span) = call->server->is_busy;

    if (is_busy ? is_busy(answer->status, answer->body)
                : answer->status == 429 || answer->status == 503)
        return true;
    return call->question.is_repeatable && answer->status >= 500;
}

static bool try_again_later(struct cloud_call *call, const struct fetch_answer *answer)
{
    uint64_t pause_us = PAUSE_US << call->tries;

    if (answer->err || !is_to_repeat(call, answer) || ++call->tries >= TRIES_MAX)
        return false;
    if (answer->retry_after_us > LONGEST_US)
        return false;
    if (pause_us < answer->retry_after_us)
        pause_us = answer->retry_after_us;
    return loop_timer_set(&call->timer, loop_now_us(call->server->loop) + pause_us) == 0;
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *answer)
{
    struct cloud_call *call = container_of(fetch, struct cloud_call, fetch);
    struct cloud_reply reply = {.err = answer->err,
                                .why = answer->err ? answer->why : "",
                                .status = answer->status,
                                .body = answer->body};

    if (!try_again_later(call, answer))
        end(call, &reply);
}

static int send_again(struct cloud_call *call)
{
    struct fetch_ask ask = {
        .url = buf_text(&call->question.url),
        .fields = call->fields,
        .method = call->question.method,
        .body = buf_span(&call->question.body),
        .max_bytes = ANSWER_MAX_BYTES,
        .ca_file = call->server->ca_file,
        .connect_us = call->server->connect_us,
        .total_us = call->server->total_us,
    };

    return *ask.url ? fetch_begin(&call->fetch, call->server->fetcher, &ask) : ERR_NOMEM;
}

/* The lines are not moved any more. */
static void find_fields(struct cloud_call *call)
{
    struct span rest = buf_span(&call->question.lines);
    size_t count = 0;

    while (rest.len && count < CLOUD_LINES_MAX) {
        call->fields[count++] = rest.ptr;
        rest = span_skip(rest, span_find_byte(rest, '\0') + 1);
    }
    call->fields[count] = NULL;
}

int cloud_call_begin(struct cloud_call *call, const struct cloud_server *server,
                     struct cloud_question *question)
{
    int err = cloud_question_err(question);

    call->server = server;
    call->question = *question;
    cloud_question_init(question, "");
    call->tries = 0;
    call->fetch.on_done = on_fetched;
    loop_timer_init(&call->timer, server->loop, on_pause);
    find_fields(call);
    if (!err)
        err = send_again(call);
    if (err)
        release(call);
    return err ? ERR_NOMEM : 0;
}

void cloud_call_cancel(struct cloud_call *call)
{
    if (call->server)
        release(call);
}
