#include "rotation/usage_ask.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_request.h"

/* Spans on a page are few, as each holds a line for each key. */
enum { PROJECT_MAX_BYTES = 512, CURSOR_MAX_BYTES = 1024, PAGES_MAX = 256, SPANS_A_PAGE = 2 };

#define CONNECT_US (10 * US_PER_SEC)
#define TIMEOUT_US (30 * US_PER_SEC)

enum step { ASK_KEYS, ASK_COMPLETIONS, ASK_EMBEDDINGS, ASK_STEPS };

struct usage_work {
    struct usage_ask *ask;
    struct usage_question question; /* without the settings */
    struct fetch fetch;
    struct issuer_template request; /* the URL up to what each step adds */
    struct issuer_message message;
    struct buf project,
        cursor; /* the project is percent-coded; the cursor: empty on a first page */
    enum step step;
    unsigned pages;
};

static const struct issuer_words no_words = {.of = {{NULL, 0}}};

/* ---- asking ---- */

static void put_step(struct usage_work *work)
{
    struct buf *url = &work->message.url;
    const struct usage_question *question = &work->question;

    if (work->step == ASK_KEYS)
        buf_printf(url, "/projects/%s/api_keys?limit=100", buf_text(&work->project));
    else
        buf_printf(url,
                   "/usage/%s?start_time=%llu&bucket_width=%s&group_by%%5B%%5D=api_key_id"
                   "&project_ids%%5B%%5D=%s&limit=%d",
                   work->step == ASK_COMPLETIONS ? "completions" : "embeddings",
                   (unsigned long long)question->start_s, question->span_s == 60 ? "1m" : "1h",
                   buf_text(&work->project), SPANS_A_PAGE);
    if (work->cursor.len) {
        buf_printf(url, work->step == ASK_KEYS ? "&after=" : "&page=");
        percent_write(url, buf_span(&work->cursor), "");
    }
}

static int send(struct usage_work *work)
{
    uint64_t timeout_us = work->question.timeout_us;
    int err = issuer_message_write(&work->message, &work->request, &no_words);

    put_step(work);
    if (!err)
        err = work->message.url.err;
    if (!err) {
        const struct fetch_ask ask = {.url = buf_text(&work->message.url),
                                      .fields = work->message.fields,
                                      .method = "GET",
                                      .max_bytes = ISSUER_DOC_MAX_BYTES,
                                      .connect_us = CONNECT_US,
                                      .total_us = timeout_us ? timeout_us : TIMEOUT_US};

        err = fetch_begin(&work->fetch, work->question.fetcher, &ask);
    }
    return err;
}

/* ---- what came of it ---- */

static void work_free(struct usage_work **place)
{
    struct usage_work *work = *place;

    *place = NULL;
    if (!work)
        return;
    fetch_cancel(&work->fetch);
    issuer_message_fini(&work->message);
    issuer_template_fini(&work->request);
    buf_fini(&work->project);
    buf_fini(&work->cursor);
    mem_free(work);
}

static void finish(struct usage_work *work, struct issuer_result *result)
{
    struct usage_ask *ask = work->ask;

    if (result->answer.err)
        issuer_message_guard(&work->message, &work->request, &no_words, result->why);
    work_free(&ask->work);
    ask->on_done(ask, result->answer.err, result->why, result->answer.retry_after_us);
}

/* The step's next page, or the next step: 1; 0: there is none; or ERR_PROTO, ERR_FULL, ERR_NOMEM.
 */
static int turn_page(struct usage_work *work, const yyjson_val *root)
{
    struct span next = usage_read_next(root, work->step == ASK_KEYS ? "last_id" : "next_page");

    /* A server that ignores the parameter would go round for ever. */
    if (++work->pages >= PAGES_MAX || (next.len && span_is_equal(next, buf_span(&work->cursor))))
        return ERR_PROTO;
    buf_clear(&work->cursor);
    if (!next.len)
        work->step++;
    return buf_append_span(&work->cursor, next) ? work->cursor.err : work->step < ASK_STEPS;
}

static int read_page(struct usage_work *work, const yyjson_val *root)
{
    const struct usage_ops *ops = work->question.ops;
    int err = work->step == ASK_KEYS ? usage_read_keys(root, ops, work->ask->owner)
                                     : usage_read_uses(root, ops, work->ask->owner);

    return err ? err : turn_page(work, root);
}

static void on_fetched(struct fetch *fetch, const struct fetch_answer *fetched)
{
    struct usage_work *work = container_of(fetch, struct usage_work, fetch);
    struct issuer_result result = {.answer.retry_after_us = fetched->retry_after_us};
    struct issuer_doc doc = {.root = NULL};
    int err = fetched->err ? 0 : issuer_doc_read(&doc, fetched->body);
    int more = 0;

    if (fetched->err)
        issuer_result_unanswered(&result, fetched->err, fetched->why);
    else if (err == ERR_NOMEM)
        issuer_result_fail(&result, err, NULL);
    else if (issuer_status_is_done(fetched->status, doc.root, ISSUER_FIND, &result))
        more = read_page(work, doc.root);
    issuer_doc_fini(&doc);
    if (more == 1) {
        more = send(work);
        if (!more)
            return;
    }
    if (more)
        issuer_result_fail(&result, more,
                           more == ERR_PROTO ? "the answer is no page of usage" : NULL);
    finish(work, &result);
}

/* ---- its life ---- */

/* "https://api.openai.com/v1/organization", with the key. */
static int make_request(struct usage_work *work, const struct usage_question *question)
{
    const struct issuer_openai_settings *openai = &question->openai;
    const struct span pieces[] = {SPAN("Bearer "), secret_reveal(openai->admin_key)};
    struct issuer_field field = {.name = SPAN("Authorization")};
    struct issuer_request request = {.fields = &field, .field_count = 1};
    char why[ISSUER_WHY_BYTES];
    struct buf url;
    int err = secret_join(question->secrets, pieces, 2, &field.value);

    if (err)
        return err;
    buf_init(&url, PROJECT_MAX_BYTES);
    buf_append_span(&url, openai->url.len ? openai->url : SPAN("https://api.openai.com"));
    buf_append_span(&url, SPAN("/v1/organization"));
    request.url = buf_span(&url);
    err = url.err ? url.err : issuer_template_init(&work->request, &request, "GET", "usage", why);
    secret_unref(&field.value);
    buf_fini(&url);
    percent_write(&work->project, openai->project, "");
    return err ? err : work->project.err;
}

int usage_ask_begin(struct usage_ask *ask, const struct usage_question *question)
{
    struct usage_work *work = mem_zalloc(1, sizeof(*work));
    int err;

    if (!work)
        return ERR_NOMEM;
    ask->work = work;
    work->ask = ask;
    work->question = *question;
    work->question.openai = (struct issuer_openai_settings){.admin_key = NULL}; /* borrowed */
    work->fetch.on_done = on_fetched;
    buf_init(&work->project, PROJECT_MAX_BYTES);
    buf_init(&work->cursor, CURSOR_MAX_BYTES);
    err = make_request(work, question);
    if (!err)
        err = send(work);
    if (err)
        work_free(&ask->work);
    return err;
}

void usage_ask_cancel(struct usage_ask *ask)
{
    work_free(&ask->work);
}
