#include "secrets/cloud_session.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/cloud_proof.h"

#define RESERVE_US    (120 * US_PER_SEC) /* before its end, or a tenth of its life */
#define FAIL_PAUSE_US (1 * US_PER_SEC)
#define REFUSED_US    (60 * US_PER_SEC)

struct cloud_session {
    struct cloud_server server;
    struct secret_arena *secrets;
    struct cloud_login login;
    char *name, *file, *url, *region, *resource;
    struct credential *credential;
    struct list waits;
    struct loop_task task;
    struct cloud_call call;
    struct cloud_proof proof; /* while is_getting */
    bool is_getting;
    uint64_t asked_us;
    struct secret *secret; /* NULL: none */
    uint64_t until_us;     /* when another is got; 0: never */
    bool is_refused;       /* it will not do, though it lives */
    uint64_t refused_us;   /* when one was last */
    uint64_t failed_us;    /* when none came; 0: one did */
    int err;               /* of that */
    char why[TOKEN_WORDS_BYTES];
};

static uint64_t now_of(const struct cloud_session *session)
{
    return loop_now_us(session->server.loop);
}

static bool has_secret(const struct cloud_session *session)
{
    return session->secret && !session->is_refused &&
           (!session->until_us || now_of(session) < session->until_us);
}

struct secret *cloud_session_secret(const struct cloud_session *session)
{
    return has_secret(session) ? session->secret : NULL;
}

/* ---- who waits ---- */

static void tell_waits(struct cloud_session *session, int err, const char *why)
{
    struct list told;

    /* Who waits anew while it is told waits for the next. */
    list_init(&told);
    while (!list_is_empty(&session->waits))
        list_push_back(&told, list_pop_front(&session->waits));
    while (!list_is_empty(&told)) {
        struct cloud_wait *wait = container_of(list_pop_front(&told), struct cloud_wait, link);

        wait->on_secret(wait, err, why);
    }
}

void cloud_session_wait(struct cloud_session *session, struct cloud_wait *wait)
{
    list_push_back(&session->waits, &wait->link);
    if (!session->is_getting)
        loop_defer(session->server.loop, &session->task);
}

void cloud_wait_cancel(struct cloud_wait *wait)
{
    list_remove(&wait->link);
}

/* ---- getting it ---- */

static void end_failed(struct cloud_session *session, int err, const char *why)
{
    cloud_proof_fini(&session->proof);
    session->is_getting = false;
    session->failed_us = now_of(session);
    session->err = err;
    snprintf(session->why, sizeof(session->why), "%s", why && *why ? why : err_text(err));
    tell_waits(session, err, session->why);
}

static void end_well(struct cloud_session *session)
{
    uint64_t life_us = session->proof.life_us;
    uint64_t reserve_us = life_us / 10 < RESERVE_US ? life_us / 10 : RESERVE_US;

    secret_unref(&session->secret);
    session->secret = session->proof.secret;
    session->until_us = life_us ? session->asked_us + life_us - reserve_us : 0;
    session->is_refused = false;
    session->failed_us = 0;
    session->is_getting = false;
    cloud_proof_fini(&session->proof);
    tell_waits(session, 0, "");
}

static void ask(struct cloud_session *session)
{
    struct cloud_question question;
    int err;

    cloud_question_init(&question, "GET");
    err = cloud_proof_ask(&session->proof, loop_wall_us(session->server.loop), &question);
    if (!err && !session->proof.secret)
        err = cloud_call_begin(&session->call, &session->server, &question);
    cloud_question_fini(&question);
    if (err)
        end_failed(session, err, session->proof.words);
    else if (session->proof.secret)
        end_well(session);
}

static void on_reply(struct cloud_call *call, const struct cloud_reply *reply)
{
    struct cloud_session *session = container_of(call, struct cloud_session, call);
    char words[TOKEN_WORDS_BYTES];
    int err = reply->err;

    if (err) {
        token_words(span_from_text(reply->why), words);
        end_failed(session, err, words);
        return;
    }
    err = cloud_proof_take(&session->proof, reply, loop_wall_us(session->server.loop));
    if (err)
        end_failed(session, err, session->proof.words);
    else if (session->proof.secret)
        end_well(session);
    else
        ask(session);
}

static void on_task(struct loop_task *task)
{
    struct cloud_session *session = container_of(task, struct cloud_session, task);

    if (session->is_getting || list_is_empty(&session->waits))
        return;
    if (has_secret(session)) {
        tell_waits(session, 0, "");
    } else if (session->failed_us && now_of(session) < session->failed_us + FAIL_PAUSE_US) {
        tell_waits(session, session->err, session->why);
    } else {
        cloud_proof_init(&session->proof, &session->login, session->secrets);
        session->proof.region = session->region;
        session->proof.resource = session->resource;
        session->is_getting = true;
        session->asked_us = now_of(session);
        ask(session);
    }
}

bool cloud_session_refused(struct cloud_session *session, const struct secret *secret)
{
    uint64_t now_us = now_of(session);

    if (secret != session->secret || session->is_refused)
        return true;
    if (session->login.kind == CLOUD_LOGIN_SECRET ||
        (session->refused_us && now_us < session->refused_us + REFUSED_US))
        return false;
    session->refused_us = now_us;
    session->is_refused = true;
    return true;
}

/* ---- life ---- */

const char *cloud_login_fault(const struct cloud_login *login)
{
    switch (login->kind) {
    case CLOUD_LOGIN_SECRET:
        return login->secret ? NULL : "no token or key is given";
    case CLOUD_LOGIN_FILE:
        return login->file ? NULL : "no file is given for the token";
    case CLOUD_LOGIN_CREDENTIAL:
        return login->credential ? NULL : "no credential is given";
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
        if (!login->name || !*login->name)
            return "no role is given";
        return login->file ? NULL : "no file is given for the token";
    case CLOUD_LOGIN_AWS_CONTAINER:
        return login->url ? NULL : "no address is given that the container's keys are asked of";
    case CLOUD_LOGIN_GOOGLE_METADATA:
    case CLOUD_LOGIN_AZURE_IDENTITY:
    case CLOUD_LOGIN_AWS_INSTANCE:
        return NULL;
    }
    return "there is no such login";
}

static int copy_text(char **ret_copy, const char *text)
{
    *ret_copy = text ? mem_strdup(text, strlen(text)) : NULL;
    return text && !*ret_copy ? ERR_NOMEM : 0;
}

static int copy_options(struct cloud_session *session, const struct cloud_session_options *options)
{
    const struct cloud_login *login = options->login;

    if (copy_text(&session->name, login->name) || copy_text(&session->file, login->file) ||
        copy_text(&session->url, login->url) || copy_text(&session->region, options->region) ||
        copy_text(&session->resource, options->resource))
        return ERR_NOMEM;
    if (login->credential && !(session->credential = credential_copy(login->credential)))
        return ERR_NOMEM;
    session->login = (struct cloud_login){
        .kind = login->kind,
        .secret = login->secret ? secret_ref(login->secret) : NULL,
        .session = login->session ? secret_ref(login->session) : NULL,
        .name = session->name,
        .file = session->file,
        .credential = session->credential,
        .url = session->url,
    };
    return 0;
}

struct cloud_session *cloud_session_new(const struct cloud_session_options *options)
{
    struct cloud_session *session = mem_zalloc(1, sizeof(*session));

    if (!session)
        return NULL;
    session->server = *options->server;
    session->server.ca_file = NULL;
    session->server.is_busy = NULL;
    session->secrets = options->secrets;
    session->call.on_done = on_reply;
    list_init(&session->waits);
    loop_task_init(&session->task, on_task);
    if (copy_options(session, options))
        cloud_session_free(&session);
    return session;
}

void cloud_session_free(struct cloud_session **session)
{
    struct cloud_session *s = *session;

    *session = NULL;
    if (!s)
        return;
    cloud_call_cancel(&s->call);
    if (s->is_getting)
        cloud_proof_fini(&s->proof);
    loop_task_cancel(&s->task);
    secret_unref(&s->secret);
    secret_unref(&s->login.secret);
    secret_unref(&s->login.session);
    credential_free(&s->credential);
    mem_free(s->name);
    mem_free(s->file);
    mem_free(s->url);
    mem_free(s->region);
    mem_free(s->resource);
    mem_free(s);
}
