#include "secrets/token_source.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "secrets/token_answer.h"
#include "secrets/token_file.h"
#include "secrets/token_request.h"
#include "secrets/token_schedule.h"

#define CONNECT_US (5 * US_PER_SEC)
#define TOTAL_US   (15 * US_PER_SEC)

struct token_source {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    struct credential *credential;
    const struct token_source_ops *ops;
    void *owner; /* NULL: not started */
    struct token_schedule schedule;
    struct rand rand;
    struct loop_timer timer;
    struct fetch fetch;
    struct token_request request; /* while one is under way */
    bool has_token;               /* the last try went well */
    char why[TOKEN_WORDS_BYTES];  /* it did not: what was told */
};

/* Reserved: it cannot fail. */
static void set_timer(struct token_source *source)
{
    (void)loop_timer_set(&source->timer, source->schedule.next_us);
}

/* ---- what came of a try ---- */

static void fail(struct token_source *source, const char *why, uint64_t retry_after_us)
{
    bool is_news = source->has_token || strcmp(source->why, why) != 0;

    token_schedule_failed(&source->schedule, retry_after_us, loop_now_us(source->loop),
                          &source->rand);
    snprintf(source->why, sizeof(source->why), "%s", why);
    source->has_token = false;
    set_timer(source);
    source->ops->on_failure(source->owner, source->why, is_news);
}

static void succeed(struct token_source *source, const struct token_answer *answer)
{
    bool is_news = !source->has_token;

    token_schedule_good(&source->schedule, answer->life_us, loop_now_us(source->loop),
                        &source->rand);
    source->has_token = true;
    source->why[0] = '\0';
    set_timer(source);
    source->ops->on_token(source->owner, answer->token, source->schedule.until_us, is_news);
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *fetched)
{
    struct token_source *source = container_of(fetch, struct token_source, fetch);
    struct token_answer answer = {.token = NULL};
    char why[TOKEN_WORDS_BYTES];
    int err = fetched->err;

    token_request_fini(&source->request);
    if (err) {
        token_words(span_from_text(fetched->why), why);
    } else {
        err = token_answer_read(fetched->status, fetched->body, source->secrets, &answer);
        snprintf(why, sizeof(why), "%s", answer.words[0] ? answer.words : err_text(err));
    }
    if (source->credential->secret)
        token_words_guard(why, secret_reveal(source->credential->secret));
    if (err)
        fail(source, why, fetched->retry_after_us);
    else
        succeed(source, &answer);
    secret_unref(&answer.token);
}

/* ---- a try ---- */

/* What the token file holds now; nothing where there is none. */
static int read_assertion(const struct token_source *source, struct buf *out, char *why, size_t cap)
{
    int err = 0;

    if (source->credential->token_file.len)
        err = token_file_read(source->credential->token_file.ptr, out);
    if (err)
        snprintf(why, cap, "the token file cannot be read: %s", err_text(err));
    return err;
}

static int write_request(struct token_source *source, char *why, size_t cap)
{
    struct buf assertion;
    int err;

    buf_init(&assertion, TOKEN_ASSERTION_MAX_BYTES);
    assertion.is_secret = true;
    err = read_assertion(source, &assertion, why, cap);
    if (!err) {
        err = token_request_write(&source->request, source->credential, buf_span(&assertion),
                                  loop_wall_us(source->loop));
        if (err)
            snprintf(why, cap, "%s",
                     err == ERR_SYNTAX ? "the token file holds no token" : err_text(err));
    }
    buf_fini(&assertion);
    return err;
}

static void ask(struct token_source *source)
{
    char why[TOKEN_WORDS_BYTES] = "";
    int err = write_request(source, why, sizeof(why));

    if (!err) {
        const struct fetch_ask question = {
            .url = buf_text(&source->request.url),
            .method = "POST",
            .fields = source->request.fields,
            .body = buf_span(&source->request.body),
            .connect_us = CONNECT_US,
            .total_us = TOTAL_US,
        };

        err = fetch_begin(&source->fetch, source->fetcher, &question);
        if (err)
            snprintf(why, sizeof(why), "%s", err_text(err));
    }
    if (!err)
        return;
    token_request_fini(&source->request);
    fail(source, why, 0);
}

static void on_timer(struct loop_timer *timer)
{
    struct token_source *source = container_of(timer, struct token_source, timer);

    if (token_schedule_begin(&source->schedule, loop_now_us(source->loop)))
        ask(source);
}

/* ---- life ---- */

struct token_source *token_source_new(const struct token_source_options *options)
{
    struct token_source *source = mem_zalloc(1, sizeof(*source));

    if (!source)
        return NULL;
    source->loop = options->loop;
    source->fetcher = options->fetcher;
    source->secrets = options->secrets;
    source->ops = options->ops;
    source->fetch.on_done = on_fetched;
    rand_init_from_system(&source->rand);
    loop_timer_init(&source->timer, source->loop, on_timer);
    source->credential = credential_copy(options->credential);
    if (!source->credential || loop_timer_reserve(&source->timer))
        token_source_free(&source);
    return source;
}

void token_source_free(struct token_source **source)
{
    struct token_source *s = *source;

    *source = NULL;
    if (!s)
        return;
    fetch_cancel(&s->fetch);
    token_request_fini(&s->request);
    loop_timer_fini(&s->timer);
    credential_free(&s->credential);
    mem_free(s);
}

void token_source_start(struct token_source *source, void *owner)
{
    bool is_new = !source->owner;

    source->owner = owner;
    if (!is_new)
        return;
    token_schedule_init(&source->schedule, loop_now_us(source->loop));
    set_timer(source);
}

void token_source_want(struct token_source *source)
{
    token_schedule_want(&source->schedule, loop_now_us(source->loop));
    if (!source->schedule.is_asking)
        set_timer(source);
}
