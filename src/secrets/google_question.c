#include "secrets/google_question.h"

#include <stdio.h>

#include "base/base64.h"
#include "base/percent.h"
#include "json/write.h"
#include "secrets/google_answer.h"

static struct google_store *google_of(const struct cloud_errand *errand)
{
    return container_of(errand->store, struct google_store, cloud);
}

static void put_page(struct buf *url, const struct cloud_errand *errand, const char *size)
{
    buf_printf(url, "?pageSize=%s", size);
    if (errand->page.len) {
        buf_append_span(url, SPAN("&pageToken="));
        percent_write(url, buf_span(&errand->page), "");
    }
}

static void write_version(struct buf *body, const struct cloud_errand *errand)
{
    struct json_writer writer;
    struct buf data;
    char sum[16];

    buf_init(&data, 2 * (size_t)SECRET_ENTRY_MAX_BYTES);
    data.is_secret = true;
    base64_write(&data, buf_span(&errand->text));
    snprintf(sum, sizeof(sum), "%lu", (unsigned long)google_crc32c(buf_span(&errand->text)));
    json_writer_init(&writer, body);
    json_begin_object(&writer);
    json_name(&writer, "payload");
    json_begin_object(&writer);
    json_member_string(&writer, "data", buf_span(&data));
    json_member_text(&writer, "dataCrc32c", sum);
    json_end_object(&writer);
    json_end_object(&writer);
    if (data.err)
        buf_fail(body, data.err);
    buf_fini(&data);
}

/* A method with a JSON body. */
static void set_post(struct cloud_question *question, struct span body)
{
    question->method = "POST";
    question->is_repeatable = false;
    cloud_question_line(question, "Content-Type", SPAN("application/json"));
    buf_append_span(&question->body, body);
}

static void ask_of_secret(struct cloud_errand *errand, struct cloud_question *question)
{
    struct buf *url = &question->url;

    buf_append_span(url, span_from_text(errand->name));
    switch ((enum google_step)errand->step) {
    case GOOGLE_STEP_ACCESS:
        buf_printf(url, "/versions/%s:access", *errand->version ? errand->version : "latest");
        break;
    case GOOGLE_STEP_LATEST:
        buf_append_span(url, SPAN("/versions/latest"));
        break;
    case GOOGLE_STEP_NEWEST:
        buf_append_span(url, SPAN("/versions"));
        put_page(url, errand, "25");
        break;
    case GOOGLE_STEP_ADD:
        buf_append_span(url, SPAN(":addVersion"));
        set_post(question, SPAN(""));
        write_version(&question->body, errand);
        break;
    case GOOGLE_STEP_DESTROY:
        buf_printf(url, "/versions/%s:destroy", errand->made);
        set_post(question, SPAN("{}"));
        question->is_repeatable = true;
        break;
    case GOOGLE_STEP_DELETE:
        question->method = "DELETE";
        break;
    case GOOGLE_STEP_VERSIONS:
        buf_append_span(url, SPAN("/versions"));
        put_page(url, errand, "100");
        break;
    case GOOGLE_STEP_CREATE:
    case GOOGLE_STEP_LIST:
        break;
    }
}

void google_question_write(struct cloud_errand *errand, struct cloud_question *question)
{
    const struct google_store *store = google_of(errand);

    question->is_repeatable = true;
    buf_append_span(&question->lines, SPAN("Authorization: Bearer "));
    buf_append_span(&question->lines, secret_reveal(errand->secret));
    buf_append_byte(&question->lines, '\0');
    cloud_question_line(question, "Accept", SPAN("application/json"));
    buf_printf(&question->url, "%s/v1/%s/secrets", errand->store->url, store->parent);
    if (errand->step == GOOGLE_STEP_LIST) {
        put_page(&question->url, errand, "250");
    } else if (errand->step == GOOGLE_STEP_CREATE) {
        buf_printf(&question->url, "?secretId=%s", errand->name);
        set_post(question,
                 store->is_regional ? SPAN("{}") : SPAN("{\"replication\":{\"automatic\":{}}}"));
        question->is_repeatable = true;
    } else {
        buf_append_byte(&question->url, '/');
        ask_of_secret(errand, question);
    }
}
