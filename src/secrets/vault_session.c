#include "secrets/vault_session.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "json/write.h"
#include "secrets/token_file.h"
#include "secrets/token_schedule.h"
#include "secrets/vault_answer.h"

enum { PROOF_MAX_BYTES = SECRET_MAX_BYTES, UNHELPFUL_DOUBLING = 6, PATH_BYTES = 320 };

#define RESERVE_US       (10 * US_PER_SEC)
#define LEAST_PAUSE_US   (5 * US_PER_SEC)
#define UNHELPFUL_US     (60 * US_PER_SEC)
#define UNHELPFUL_MAX_US (3600 * US_PER_SEC)

enum doing { DOING_NOTHING, DOING_LOGIN, DOING_LOOKUP, DOING_RENEWAL };

struct vault_session {
    const struct vault_server *server;
    struct secret_arena *secrets;
    enum vault_login_kind kind;
    struct secret *secret;
    char *file, *role, *mount;
    struct rand rand;
    struct token_schedule schedule; /* next_us: of the next login or renewal */
    struct loop_timer timer;
    struct loop_task task; /* tells those who need not wait */
    struct list waits;
    struct vault_call call;
    enum doing doing;
    char path[PATH_BYTES]; /* of the call */
    struct secret *token;  /* NULL: none */
    uint64_t until_us;     /* its end, a little early; 0: none */
    uint64_t lease_us;     /* as it was at the login */
    bool is_renewable;
    bool is_refused; /* it will not do, though it lives */
    uint64_t unhelpful_until_us;
    unsigned unhelpful;
};

static uint64_t now_of(const struct vault_session *session)
{
    return loop_now_us(session->server->loop);
}

static bool has_token(const struct vault_session *session)
{
    return session->token && !session->is_refused &&
           (!session->until_us || now_of(session) < session->until_us);
}

/* ---- who waits ---- */

static void tell_waits(struct vault_session *session, int err, const char *why)
{
    struct list told;

    /* Who waits anew while it is told waits for the next. */
    list_init(&told);
    while (!list_is_empty(&session->waits))
        list_push_back(&told, list_pop_front(&session->waits));
    while (!list_is_empty(&told)) {
        struct vault_wait *wait = container_of(list_pop_front(&told), struct vault_wait, link);

        wait->on_token(wait, err, why);
    }
}

/* Reserved: it cannot fail. */
static void set_timer(struct vault_session *session)
{
    if (session->schedule.next_us == UINT64_MAX)
        loop_timer_clear(&session->timer);
    else
        (void)loop_timer_set(&session->timer, session->schedule.next_us);
}

/* Sees to those who wait: they are told, or a token is got, or one is on its way. */
static void attend(struct vault_session *session)
{
    if (list_is_empty(&session->waits))
        return;
    if (has_token(session)) {
        loop_defer(session->server->loop, &session->task);
    } else if (!session->schedule.is_asking) {
        token_schedule_want(&session->schedule, now_of(session));
        set_timer(session);
    }
}

static void on_task(struct loop_task *task)
{
    struct vault_session *session = container_of(task, struct vault_session, task);

    if (has_token(session))
        tell_waits(session, 0, "");
    else
        attend(session);
}

void vault_session_wait(struct vault_session *session, struct vault_wait *wait)
{
    list_push_back(&session->waits, &wait->link);
    attend(session);
}

void vault_wait_cancel(struct vault_wait *wait)
{
    list_remove(&wait->link);
}

struct secret *vault_session_token(const struct vault_session *session)
{
    return has_token(session) ? session->token : NULL;
}

/* ---- what came of it ---- */

static void fail(struct vault_session *session, int err, const char *why, uint64_t retry_after_us)
{
    session->doing = DOING_NOTHING;
    token_schedule_failed(&session->schedule, retry_after_us, now_of(session), &session->rand);
    set_timer(session);
    if (!has_token(session))
        tell_waits(session, err, why);
}

/* Again at 60 to 70% of its life. */
static void plan(struct vault_session *session, uint64_t lease_us)
{
    uint64_t asked_us = session->schedule.asked_us, now_us = now_of(session);
    uint64_t soon_us = asked_us + lease_us / 10 * 6 + rand_below(&session->rand, lease_us / 10 + 1);
    uint64_t least_us = now_us + LEAST_PAUSE_US;

    session->doing = DOING_NOTHING;
    session->schedule.is_asking = false;
    session->schedule.failures = 0;
    session->schedule.next_us = !lease_us ? UINT64_MAX : soon_us > least_us ? soon_us : least_us;
    session->until_us = 0;
    if (lease_us)
        session->until_us =
            asked_us + lease_us - (lease_us / 10 < RESERVE_US ? lease_us / 10 : RESERVE_US);
    set_timer(session);
    attend(session);
}

/* Takes over the reference to the token. */
static void take_token(struct vault_session *session, const struct vault_token *token)
{
    secret_unref(&session->token);
    session->token = token->token;
    session->lease_us = token->lease_us;
    session->is_renewable = token->is_renewable;
    session->is_refused = false;
    plan(session, token->lease_us);
    tell_waits(session, 0, "");
}

static bool can_log_in(const struct vault_session *session)
{
    return session->kind == VAULT_LOGIN_APPROLE || session->kind == VAULT_LOGIN_KUBERNETES;
}

static void log_in_next(struct vault_session *session)
{
    session->doing = DOING_NOTHING;
    session->schedule.is_asking = false;
    session->is_renewable = false;
    token_schedule_want(&session->schedule, now_of(session));
    session->schedule.next_us = now_of(session);
    set_timer(session);
}

/* A longest life that nears cuts the lease: then a new token is better. */
static void end_renewal(struct vault_session *session, const struct vault_reply *reply)
{
    struct vault_token token = {.token = NULL};
    int err = vault_answer_token(reply->body, session->secrets, &token);

    secret_unref(&token.token);
    if (err) {
        fail(session, err, "vault: a renewal is answered without a token", 0);
        return;
    }
    session->is_renewable = token.is_renewable;
    plan(session, token.lease_us);
    if (token.lease_us && token.lease_us < session->lease_us / 2 && can_log_in(session))
        log_in_next(session);
}

static void end_lookup(struct vault_session *session, const struct vault_reply *reply)
{
    struct vault_token token = {.token = NULL};
    int err = vault_answer_lookup(reply->body, &token);

    if (err) {
        fail(session, err, "vault: it says nothing of the token's life", 0);
        return;
    }
    session->lease_us = token.lease_us;
    session->is_renewable = token.is_renewable;
    plan(session, token.is_renewable ? token.lease_us : 0);
    /* Only the server knows when it ends, and will say so. */
    session->until_us = 0;
    attend(session);
}

static void end_login(struct vault_session *session, const struct vault_reply *reply)
{
    struct vault_token token;
    int err = vault_answer_token(reply->body, session->secrets, &token);

    if (err)
        fail(session, err,
             err == ERR_PROTO ? "vault: a login is answered without a token" : err_text(err), 0);
    else
        take_token(session, &token);
}

static void end_refused(struct vault_session *session, const struct vault_reply *reply)
{
    struct span secret = session->secret ? secret_reveal(session->secret) : SPAN("");
    char why[SECRET_WORDS_BYTES];
    int err = vault_reply_refusal(reply, span_from_text(session->path), secret, why);
    bool is_final = !reply->err && (reply->status == 400 || reply->status == 403);

    if (session->doing == DOING_LOOKUP && is_final) {
        /* A token that may not ask for its own life is used for as long as it does. */
        plan(session, 0);
    } else if (session->doing == DOING_RENEWAL && is_final && can_log_in(session)) {
        log_in_next(session);
    } else if (session->doing == DOING_RENEWAL && is_final) {
        plan(session, 0);
    } else {
        fail(session, is_final ? ERR_DENIED : err, why, reply->retry_after_us);
    }
}

static void on_reply(struct vault_call *call, const struct vault_reply *reply)
{
    struct vault_session *session = container_of(call, struct vault_session, call);

    if (reply->err || reply->status < 200 || reply->status > 299) {
        end_refused(session, reply);
        return;
    }
    switch (session->doing) {
    case DOING_NOTHING:
        break;
    case DOING_LOGIN:
        end_login(session, reply);
        break;
    case DOING_LOOKUP:
        end_lookup(session, reply);
        break;
    case DOING_RENEWAL:
        end_renewal(session, reply);
        break;
    }
}

/* ---- a try ---- */

static void call(struct vault_session *session, enum doing doing, const char *method,
                 struct span token, struct span body)
{
    struct vault_question question = {
        .method = method, .path = span_from_text(session->path), .token = token, .body = body};
    int err;

    session->doing = doing;
    session->call.on_done = on_reply;
    err = vault_call_begin(&session->call, session->server, &question);
    if (err)
        fail(session, err, err_text(err), 0);
}

/* What proves who logs in: of the file, if there is one. */
static int read_proof(const struct vault_session *session, struct buf *proof, char *why)
{
    int err;

    if (!session->file)
        return session->secret ? buf_append_span(proof, secret_reveal(session->secret)) : 0;
    err = token_file_read(session->file, proof);
    if (!err && !proof->len)
        err = ERR_SYNTAX;
    if (err)
        snprintf(why, SECRET_WORDS_BYTES, "vault: %s cannot be read for the login: %s",
                 session->file, err == ERR_SYNTAX ? "it is empty" : err_text(err));
    return err;
}

static void log_in(struct vault_session *session, struct span proof)
{
    bool is_approle = session->kind == VAULT_LOGIN_APPROLE;
    struct json_writer writer;
    struct buf body;

    buf_init(&body, 2 * PROOF_MAX_BYTES);
    body.is_secret = true;
    json_writer_init(&writer, &body);
    json_begin_object(&writer);
    json_member_text(&writer, is_approle ? "role_id" : "role", session->role);
    json_member_string(&writer, is_approle ? "secret_id" : "jwt", proof);
    json_end_object(&writer);
    snprintf(session->path, sizeof(session->path), "auth/%s/login", session->mount);
    if (body.err)
        fail(session, body.err, err_text(body.err), 0);
    else
        call(session, DOING_LOGIN, "POST", SPAN(""), buf_span(&body));
    buf_fini(&body);
}

/* An agent's token, for as long as it is taken. */
static void take_proof(struct vault_session *session, struct span proof)
{
    struct vault_token token = {.token = NULL};
    int err = secret_new(session->secrets, proof, &token.token);

    if (err)
        fail(session, err, err_text(err), 0);
    else
        take_token(session, &token);
}

/* Used at once; how long it lives is asked meanwhile. */
static void take_given(struct vault_session *session)
{
    if (!session->token)
        session->token = secret_ref(session->secret);
    session->is_refused = false;
    snprintf(session->path, sizeof(session->path), "auth/token/lookup-self");
    call(session, DOING_LOOKUP, "GET", secret_reveal(session->token), SPAN(""));
    tell_waits(session, 0, "");
}

static void get_token(struct vault_session *session)
{
    char why[SECRET_WORDS_BYTES] = "";
    struct buf proof;
    int err;

    buf_init(&proof, PROOF_MAX_BYTES);
    proof.is_secret = true;
    err = session->kind == VAULT_LOGIN_TOKEN ? 0 : read_proof(session, &proof, why);
    if (err)
        fail(session, err, *why ? why : err_text(err), 0);
    else if (session->kind == VAULT_LOGIN_TOKEN)
        take_given(session);
    else if (session->kind == VAULT_LOGIN_TOKEN_FILE)
        take_proof(session, buf_span(&proof));
    else
        log_in(session, buf_span(&proof));
    buf_fini(&proof);
}

static void on_timer(struct loop_timer *timer)
{
    struct vault_session *session = container_of(timer, struct vault_session, timer);

    if (!token_schedule_begin(&session->schedule, now_of(session)))
        return;
    if (has_token(session) && session->is_renewable) {
        snprintf(session->path, sizeof(session->path), "auth/token/renew-self");
        call(session, DOING_RENEWAL, "POST", secret_reveal(session->token), SPAN("{}"));
    } else {
        get_token(session);
    }
}

/* ---- refusals ---- */

bool vault_session_refused(struct vault_session *session, const struct secret *token)
{
    uint64_t now_us = now_of(session), pause_us = UNHELPFUL_US;

    if (token != session->token || session->is_refused)
        return true;
    if (session->kind == VAULT_LOGIN_TOKEN || now_us < session->unhelpful_until_us)
        return false;
    if (session->doing == DOING_RENEWAL) {
        vault_call_cancel(&session->call);
        session->doing = DOING_NOTHING;
        session->schedule.is_asking = false;
    }
    pause_us <<= session->unhelpful < UNHELPFUL_DOUBLING ? session->unhelpful : UNHELPFUL_DOUBLING;
    session->unhelpful_until_us =
        now_us + (pause_us < UNHELPFUL_MAX_US ? pause_us : UNHELPFUL_MAX_US);
    session->unhelpful++;
    session->is_refused = true;
    return true;
}

void vault_session_helped(struct vault_session *session)
{
    session->unhelpful = 0;
    session->unhelpful_until_us = 0;
}

/* ---- life ---- */

static char *copy_of(const char *text, const char *otherwise)
{
    const char *from = text ? text : otherwise;

    return mem_strdup(from, strlen(from));
}

struct vault_session *vault_session_new(const struct vault_server *server,
                                        const struct vault_login *login,
                                        struct secret_arena *secrets)
{
    const char *mount = login->kind == VAULT_LOGIN_KUBERNETES ? "kubernetes" : "approle";
    struct vault_session *session = mem_zalloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->server = server;
    session->secrets = secrets;
    session->kind = login->kind;
    session->secret = login->secret ? secret_ref(login->secret) : NULL;
    session->file = login->file ? copy_of(login->file, "") : NULL;
    session->role = copy_of(login->role, "");
    session->mount = copy_of(login->mount, mount);
    rand_init_from_system(&session->rand);
    list_init(&session->waits);
    token_schedule_init(&session->schedule, UINT64_MAX);
    loop_task_init(&session->task, on_task);
    loop_timer_init(&session->timer, server->loop, on_timer);
    if (!session->role || !session->mount || (login->file && !session->file) ||
        loop_timer_reserve(&session->timer))
        vault_session_free(&session);
    return session;
}

void vault_session_free(struct vault_session **session)
{
    struct vault_session *s = *session;

    *session = NULL;
    if (!s)
        return;
    vault_call_cancel(&s->call);
    loop_task_cancel(&s->task);
    loop_timer_fini(&s->timer);
    secret_unref(&s->token);
    secret_unref(&s->secret);
    mem_free(s->file);
    mem_free(s->role);
    mem_free(s->mount);
    mem_free(s);
}
