#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/write.h"
#include "rotation/issuer_answer.h"
#include "rotation/issuer_gcp.h"

#define CONNECT_US (10 * US_PER_SEC)

bool gcp_is_resource(struct span name, struct span prefix)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!is_plain && span_find_byte(SPAN("-_./:"), c) == SIZE_MAX)
            return false;
    }
    return span_has_prefix(name, prefix) && name.len > prefix.len &&
           span_find(name, SPAN("..")) == SIZE_MAX;
}

static int send(struct gcp_work *work, enum gcp_step step, const char *method)
{
    struct gcp_issuer *issuer = gcp_issuer_of(work);
    const char *fields[] = {NULL, "Accept: application/json",
                            work->body.len ? "Content-Type: application/json" : NULL, NULL};
    struct fetch_ask ask = {.fields = fields,
                            .method = method,
                            .body = buf_span(&work->body),
                            .max_bytes = step == GCP_LIST ? ISSUER_DOC_MAX_BYTES : 0,
                            .connect_us = CONNECT_US,
                            .total_us = issuer->base.timeout_us};

    work->step = step;
    buf_clear(&work->line);
    buf_append_span(&work->line, SPAN("Authorization: Bearer "));
    buf_append_span(&work->line, secret_reveal(issuer->token));
    fields[0] = buf_text(&work->line);
    ask.url = buf_text(&work->url);
    if (work->url.err || work->line.err || work->body.err)
        return work->body.err == ERR_FULL ? ERR_FULL : ERR_NOMEM;
    return fetch_begin(&work->fetch, issuer->base.options.fetcher, &ask);
}

/* "https://apikeys.googleapis.com/v2/" and what follows. */
static void begin_url(struct gcp_work *work, struct span path)
{
    buf_clear(&work->url);
    buf_clear(&work->body);
    buf_append_span(&work->url, span_from_text(gcp_issuer_of(work)->root));
    buf_append_span(&work->url, path);
}

static int send_creation(struct gcp_work *work)
{
    const struct gcp_issuer *issuer = gcp_issuer_of(work);
    struct json_writer writer;

    begin_url(work, span_from_text(issuer->keys));
    json_writer_init(&writer, &work->body);
    json_begin_object(&writer);
    json_member_text(&writer, "displayName", work->name);
    if (issuer->restrictions) {
        json_name(&writer, "restrictions");
        json_raw(&writer, secret_reveal(issuer->restrictions));
    }
    json_end_object(&writer);
    return send(work, GCP_CREATE, "POST");
}

int gcp_send_list(struct gcp_work *work)
{
    begin_url(work, span_from_text(gcp_issuer_of(work)->keys));
    buf_append_span(&work->url, SPAN("?pageSize=300"));
    if (work->page.len) {
        buf_append_span(&work->url, SPAN("&pageToken="));
        percent_write(&work->url, buf_span(&work->page), "");
    }
    return send(work, GCP_LIST, "GET");
}

static int send_deletion(struct gcp_work *work)
{
    begin_url(work, span_from_text(work->id));
    return send(work, GCP_DELETE, "DELETE");
}

int gcp_send_poll(struct gcp_work *work)
{
    begin_url(work, buf_span(&work->operation));
    return send(work, GCP_POLL, "GET");
}

int gcp_send_string(struct gcp_work *work)
{
    begin_url(work, span_of(work->made.id, work->made.id_len));
    buf_append_span(&work->url, SPAN("/keyString"));
    return send(work, GCP_STRING, "GET");
}

int gcp_send_first(struct gcp_work *work)
{
    switch (work->base.call) {
    case ISSUER_CREATE:
        return send_creation(work);
    case ISSUER_FIND:
        return gcp_send_list(work);
    case ISSUER_REVOKE:
        return send_deletion(work);
    }
    return ERR_UNSUPPORTED;
}

int gcp_send_token_request(struct gcp_work *work)
{
    const struct issuer *issuer = work->base.issuer;
    int err = token_request_write(&work->token_request, gcp_issuer_of(work)->credential, SPAN(""),
                                  loop_wall_us(issuer->options.loop));

    if (!err) {
        const struct fetch_ask ask = {.url = buf_text(&work->token_request.url),
                                      .method = "POST",
                                      .fields = work->token_request.fields,
                                      .body = buf_span(&work->token_request.body),
                                      .connect_us = CONNECT_US,
                                      .total_us = issuer->timeout_us};

        work->step = GCP_TOKEN;
        work->asked_us = loop_now_us(issuer->options.loop);
        err = fetch_begin(&work->fetch, issuer->options.fetcher, &ask);
    }
    return err;
}
