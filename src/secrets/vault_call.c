#include "secrets/vault_call.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "secrets/vault_answer.h"

enum {
    REDIRECTS_MAX = 1,
    TRIES_MAX = 4,
    ANSWER_MAX_BYTES = 8 << 20,
    LINES_MAX_BYTES = 20 << 10,
    PATH_SHOWN = 110
};

#define PAUSE_US (200 * US_PER_MS) /* before another try, and twice as long before each further */

static int send_again(struct vault_call *call);

static void release(struct vault_call *call)
{
    fetch_cancel(&call->fetch);
    if (call->has_timer)
        loop_timer_fini(&call->timer);
    call->has_timer = false;
    buf_fini(&call->url);
    buf_fini(&call->lines);
    buf_fini(&call->body);
    call->server = NULL;
}

static void end(struct vault_call *call, const struct vault_reply *reply)
{
    release(call);
    call->on_done(call, reply);
}

static void end_failed(struct vault_call *call, int err, const char *why)
{
    struct vault_reply reply = {.err = err, .why = why};

    end(call, &reply);
}

/* ---- once more ---- */

static bool may_lead_to(const struct vault_call *call, const char *url)
{
    struct span to = span_from_text(url);

    if (span_has_prefix(to, SPAN("https://")))
        return true;
    return span_has_prefix(to, SPAN("http://")) &&
           span_has_prefix(buf_span(&call->url), SPAN("http://"));
}

static void follow(struct vault_call *call, const char *url)
{
    int err = 0;

    if (call->redirects >= REDIRECTS_MAX || !may_lead_to(call, url)) {
        end_failed(call, ERR_PROTO, "the server leads elsewhere, where no token is taken");
        return;
    }
    call->redirects++;
    buf_clear(&call->url);
    err = buf_append_span(&call->url, span_from_text(url));
    if (!err)
        err = send_again(call);
    if (err)
        end_failed(call, err, err_text(err));
}

static void on_pause(struct loop_timer *timer)
{
    struct vault_call *call = container_of(timer, struct vault_call, timer);
    int err = send_again(call);

    if (err)
        end_failed(call, err, err_text(err));
}

static bool try_again_later(struct vault_call *call)
{
    uint64_t pause_us = PAUSE_US << call->tries;

    if (++call->tries >= TRIES_MAX)
        return false;
    return loop_timer_set(&call->timer, loop_now_us(call->server->loop) + pause_us) == 0;
}

/* Vault has the methods kept; libcurl tells the URL of any other 3xx too. */
static bool is_redirect(int status)
{
    return status == 307 || status == 308 || status == 302 || status == 301;
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *answer)
{
    struct vault_call *call = container_of(fetch, struct vault_call, fetch);
    struct vault_reply reply = {.err = answer->err,
                                .why = answer->err ? answer->why : "",
                                .status = answer->status,
                                .body = answer->body,
                                .retry_after_us = answer->retry_after_us};

    if (!answer->err && is_redirect(answer->status) && answer->redirect)
        follow(call, answer->redirect);
    else if (answer->err || answer->status != 412 || !try_again_later(call))
        end(call, &reply);
}

/* ---- the request ---- */

static int send_again(struct vault_call *call)
{
    struct fetch_ask ask = {
        .url = buf_text(&call->url),
        .fields = call->fields,
        .method = call->method,
        .body = buf_span(&call->body),
        .max_bytes = ANSWER_MAX_BYTES,
        .ca_file = call->server->ca_file,
        .connect_us = call->server->connect_us,
        .total_us = call->server->total_us,
    };

    return *ask.url ? fetch_begin(&call->fetch, call->server->fetcher, &ask) : ERR_NOMEM;
}

/* Each line with a NUL behind it, in one secret buffer that is not moved any more. */
static int write_lines(struct vault_call *call, const struct vault_question *question)
{
    const char *name_space = call->server->name_space;
    size_t at[4], count = 0;

    at[count++] = call->lines.len;
    buf_append(&call->lines, "X-Vault-Request: true", sizeof("X-Vault-Request: true"));
    if (question->body.len) {
        at[count++] = call->lines.len;
        buf_append(&call->lines, "Content-Type: application/json",
                   sizeof("Content-Type: application/json"));
    }
    if (name_space && *name_space) {
        at[count++] = call->lines.len;
        buf_printf(&call->lines, "X-Vault-Namespace: %s", name_space);
        buf_append_byte(&call->lines, '\0');
    }
    if (question->token.len) {
        at[count++] = call->lines.len;
        buf_append_span(&call->lines, SPAN("X-Vault-Token: "));
        buf_append_span(&call->lines, question->token);
        buf_append_byte(&call->lines, '\0');
    }
    for (size_t i = 0; i < count; i++)
        call->fields[i] = call->lines.data + at[i];
    call->fields[count] = NULL;
    return call->lines.err;
}

int vault_call_begin(struct vault_call *call, const struct vault_server *server,
                     const struct vault_question *question)
{
    struct span base = span_from_text(server->url);
    int err;

    call->server = server;
    call->method = question->method;
    call->redirects = call->tries = 0;
    call->fetch.on_done = on_fetched;
    while (span_has_suffix(base, SPAN("/")))
        base.len--;
    buf_init(&call->url, 8192);
    buf_init(&call->lines, LINES_MAX_BYTES);
    buf_init(&call->body, 2 * (size_t)SECRET_ENTRY_MAX_BYTES);
    call->lines.is_secret = call->body.is_secret = true;
    loop_timer_init(&call->timer, server->loop, on_pause);
    call->has_timer = true;
    err = buf_printf(&call->url, "%.*s/v1/%.*s", SPAN_ARG(base), SPAN_ARG(question->path));
    if (!err)
        err = buf_append_span(&call->body, question->body);
    if (!err)
        err = write_lines(call, question);
    if (!err)
        err = send_again(call);
    if (err)
        release(call);
    return err ? ERR_NOMEM : 0;
}

void vault_call_cancel(struct vault_call *call)
{
    if (call->server)
        release(call);
}

/* ---- refusals ---- */

static int err_of(int status)
{
    if (status == 401 || status == 403)
        return ERR_DENIED;
    return status == 412 || status == 429 || status == 472 || status == 473 || status >= 500
               ? ERR_UNREACHABLE
               : ERR_PROTO;
}

int vault_reply_refusal(const struct vault_reply *reply, struct span path, struct span secret,
                        char *why)
{
    char words[TOKEN_WORDS_BYTES];

    if (reply->err)
        token_words(span_from_text(reply->why), words);
    else
        vault_answer_words(reply->status, reply->body, words);
    token_words_guard(words, secret);
    if (reply->err)
        snprintf(why, SECRET_WORDS_BYTES, "vault: %.200s", words);
    else
        snprintf(why, SECRET_WORDS_BYTES, "vault: %.170s for %.*s (%d)", words,
                 (int)(path.len < PATH_SHOWN ? path.len : PATH_SHOWN), path.ptr, reply->status);
    return reply->err ? reply->err : err_of(reply->status);
}
