#include "rotation/issuer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "rotation/issuer_inner.h"
#include "secrets/token_answer.h"

_Static_assert((int)ISSUER_WHY_BYTES >= (int)TOKEN_WORDS_BYTES, "cleaned words fit");

#define TIMEOUT_US (30 * US_PER_SEC)

/* ---- kinds ---- */

int issuer_new(const struct issuer_options *options, const struct issuer_settings *settings,
               char *why, struct issuer **ret_issuer)
{
    why[0] = '\0';
    switch (settings->kind) {
    case ISSUER_HTTP:
        return issuer_http_new(options, settings, why, ret_issuer);
    case ISSUER_OPENAI:
        return issuer_openai_new(options, settings, why, ret_issuer);
    case ISSUER_OPENROUTER:
        return issuer_openrouter_new(options, settings, why, ret_issuer);
    case ISSUER_COMMAND:
        return issuer_command_new(options, settings, why, ret_issuer);
    case ISSUER_GCP:
        return issuer_gcp_new(options, settings, why, ret_issuer);
    case ISSUER_STORE:
        return issuer_store_new(options, settings, why, ret_issuer);
    case ISSUER_KINDS:
        break;
    }
    return issuer_complain(why, ERR_RANGE, "there is no such kind of issuer");
}

void issuer_init(struct issuer *issuer, const struct issuer_ops *ops,
                 const struct issuer_options *options, const struct issuer_settings *settings)
{
    issuer->ops = ops;
    issuer->options = *options;
    issuer->timeout_us = settings->timeout_us ? settings->timeout_us : TIMEOUT_US;
}

void issuer_free(struct issuer **issuer)
{
    struct issuer *gone = *issuer;

    *issuer = NULL;
    if (gone)
        gone->ops->free(gone);
}

struct issuer_traits issuer_traits(const struct issuer *issuer)
{
    return issuer->traits;
}

int issuer_complain(char *why, int err, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, ISSUER_WHY_BYTES, format, args);
    va_end(args);
    return err;
}

/* ---- calls ---- */

void issuer_result_fail(struct issuer_result *result, int err, const char *why)
{
    result->answer.err = err;
    token_words(span_from_text(why && *why ? why : err_text(err)), result->why);
}

void issuer_finish(struct issuer_work *work, struct issuer_result *result)
{
    struct issuer_ask *ask = work->ask;

    result->answer.may_retry |= result->answer.err == ERR_NOMEM;
    result->answer.why = result->answer.err ? result->why : "";
    result->answer.issued.key = result->answer.err ? NULL : result->key;
    result->answer.issued.id = span_of(result->id, result->id_len);
    ask->work = NULL;
    loop_task_cancel(&work->failing);
    work->issuer->ops->work_free(work);
    ask->on_done(ask, &result->answer);
    secret_unref(&result->key);
}

static void fail(struct loop_task *task)
{
    struct issuer_work *work = container_of(task, struct issuer_work, failing);
    struct issuer_result result = {.key = NULL};

    issuer_result_fail(&result, work->err, work->why);
    issuer_finish(work, &result);
}

/* It may stand in a log, a URL and a header field. */
static bool is_plain(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < ' ' || text.ptr[i] >= 0x7f)
            return false;
    }
    return text.len <= max;
}

static int check_subject(const struct issuer_work *work, const struct issuer_subject *subject,
                         const char **ret_why)
{
    const struct issuer_traits *traits = &work->issuer->traits;

    *ret_why = NULL;
    if ((work->call == ISSUER_FIND && !traits->can_find) ||
        (work->call == ISSUER_REVOKE && !traits->can_revoke)) {
        *ret_why = work->call == ISSUER_FIND ? "this issuer cannot look for a key by its name"
                                             : "this issuer cannot revoke a key";
        return ERR_UNSUPPORTED;
    }
    if (!subject->name.len || !is_plain(subject->name, ISSUER_NAME_MAX_BYTES)) {
        *ret_why = "the key's name cannot be told to an issuer";
        return ERR_RANGE;
    }
    if (!is_plain(subject->id, ISSUER_ID_MAX_BYTES)) {
        *ret_why = "the key's id cannot be told to an issuer";
        return ERR_RANGE;
    }
    return 0;
}

static int begin(struct issuer *issuer, struct issuer_ask *ask, enum issuer_call call,
                 const struct issuer_subject *subject)
{
    struct issuer_work *work = issuer->ops->work_new(issuer);
    const char *why;
    int err;

    if (!work)
        return ERR_NOMEM;
    work->issuer = issuer;
    work->ask = ask;
    work->call = call;
    loop_task_init(&work->failing, fail);
    err = check_subject(work, subject, &why);
    if (!err)
        err = issuer->ops->begin(work, subject, &why);
    if (err == ERR_NOMEM) {
        issuer->ops->work_free(work);
        return err;
    }
    ask->work = work;
    if (err) {
        work->err = err;
        work->why = why;
        loop_defer(issuer->options.loop, &work->failing);
    }
    return 0;
}

int issuer_create(struct issuer *issuer, struct issuer_ask *ask,
                  const struct issuer_subject *subject)
{
    return begin(issuer, ask, ISSUER_CREATE, subject);
}

int issuer_find(struct issuer *issuer, struct issuer_ask *ask, const struct issuer_subject *subject)
{
    return begin(issuer, ask, ISSUER_FIND, subject);
}

int issuer_revoke(struct issuer *issuer, struct issuer_ask *ask,
                  const struct issuer_subject *subject)
{
    return begin(issuer, ask, ISSUER_REVOKE, subject);
}

void issuer_cancel(struct issuer_ask *ask)
{
    struct issuer_work *work = ask->work;

    ask->work = NULL;
    if (!work)
        return;
    loop_task_cancel(&work->failing);
    work->issuer->ops->work_free(work);
}

/* ---- time ---- */

void issuer_write_time(uint64_t wall_us, char *out)
{
    char text[RFC3339_BYTES]; /* 2026-11-20T10:15:00.123Z */

    datetime_write_rfc3339(wall_us, text);
    memcpy(out, text, 4);
    memcpy(out + 4, text + 5, 2);
    memcpy(out + 6, text + 8, 2);
    out[8] = '-';
    memcpy(out + 9, text + 11, 2);
    memcpy(out + 11, text + 14, 2);
    memcpy(out + 13, text + 17, 2);
}
