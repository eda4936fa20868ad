/*
 * Providers whose own key API is a few requests that issuer_http.c can make.
 *
 * OpenAI: a key belongs to a service account of a project and goes with it (platform.openai.com,
 * Administration, Project service accounts). OpenRouter: a key is named by its hash (openrouter.ai,
 * API Keys; a provisioning key, of late called management key, may do nothing else).
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/percent.h"
#include "json/write.h"
#include "rotation/issuer_inner.h"
#include "rotation/issuer_text.h"

enum { URL_MAX_BYTES = 2048, BODY_MAX_BYTES = 4096 };

/* The settings that a declared issuer would have, and what they borrow. */
struct known {
    struct issuer_settings settings;
    struct issuer_field authorization;
    struct buf all, one, list; /* URLs: of the keys, of one, of the keys as they are listed */
    struct secret *body;
};

static void known_init(struct known *known, const struct issuer_settings *settings)
{
    *known = (struct known){.settings = {.kind = ISSUER_HTTP,
                                         .timeout_us = settings->timeout_us,
                                         .life_us = settings->life_us}};
    buf_init(&known->all, URL_MAX_BYTES);
    buf_init(&known->one, URL_MAX_BYTES);
    buf_init(&known->list, URL_MAX_BYTES);
}

static void known_fini(struct known *known)
{
    secret_unref(&known->authorization.value);
    secret_unref(&known->body);
    buf_fini(&known->all);
    buf_fini(&known->one);
    buf_fini(&known->list);
}

static int check_urls(const struct known *known, char *why)
{
    int err = known->all.err ? known->all.err : known->one.err ? known->one.err : known->list.err;

    return err == ERR_FULL ? issuer_complain(why, ERR_RANGE, "the url is too long") : err;
}

static int put_bearer(struct known *known, struct secret_arena *secrets,
                      const struct secret *bearer)
{
    const struct span pieces[] = {SPAN("Bearer "), secret_reveal(bearer)};

    known->authorization.name = SPAN("Authorization");
    return secret_join(secrets, pieces, 2, &known->authorization.value);
}

static int check_key(const struct secret *key, const char *what, char *why)
{
    if (!key || !secret_reveal(key).len)
        return issuer_complain(why, ERR_SYNTAX, "%s is missing", what);
    return 0;
}

static void put_requests(struct known *known)
{
    struct issuer_http_settings *http = &known->settings.http;
    struct issuer_request request = {.fields = &known->authorization, .field_count = 1};

    http->create = http->revoke = http->list = request;
    http->create.url = buf_span(&known->all);
    http->create.body = known->body;
    http->revoke.url = buf_span(&known->one);
    http->list.url = buf_span(&known->list);
}

/* ---- OpenAI ---- */

static int write_openai_body(struct known *known, struct secret_arena *secrets, uint64_t life_us)
{
    struct json_writer writer;
    struct buf body;
    int err;

    buf_init(&body, BODY_MAX_BYTES);
    json_writer_init(&writer, &body);
    json_begin_object(&writer);
    json_member_text(&writer, "name", "{name}");
    if (life_us)
        json_member_uint(&writer, "expires_in_seconds", life_us / US_PER_SEC);
    json_end_object(&writer);
    err = body.err ? body.err : secret_new(secrets, buf_span(&body), &known->body);
    buf_fini(&body);
    return err;
}

int issuer_openai_new(const struct issuer_options *options, const struct issuer_settings *settings,
                      char *why, struct issuer **ret_issuer)
{
    const struct issuer_openai_settings *openai = &settings->openai;
    struct issuer_http_settings *http;
    struct known known;
    int err = check_key(openai->admin_key, "the admin key", why);

    if (!err && !openai->project.len)
        err = issuer_complain(why, ERR_SYNTAX, "the project is missing");
    if (err)
        return err;
    known_init(&known, settings);
    buf_append_span(&known.all, openai->url.len ? openai->url : SPAN("https://api.openai.com"));
    buf_append_span(&known.all, SPAN("/v1/organization/projects/"));
    percent_write(&known.all, openai->project, "");
    buf_append_span(&known.all, SPAN("/service_accounts"));
    buf_printf(&known.one, "%s/{id}", buf_text(&known.all));
    buf_printf(&known.list, "%s?limit=100", buf_text(&known.all));
    err = check_urls(&known, why);
    if (!err)
        err = put_bearer(&known, options->secrets, openai->admin_key);
    if (!err)
        err = write_openai_body(&known, options->secrets, settings->life_us);
    put_requests(&known);
    http = &known.settings.http;
    http->key = SPAN("/api_key/value");
    http->id = SPAN("/id");
    http->expires = SPAN("/api_key/expires_at");
    http->items = SPAN("/data");
    http->item_name = SPAN("/name");
    http->item_id = SPAN("/id");
    http->paging = (struct issuer_paging){
        .parameter = SPAN("after"), .cursor = SPAN("/last_id"), .more = SPAN("/has_more")};
    if (!err)
        err = issuer_http_new(options, &known.settings, why, ret_issuer);
    known_fini(&known);
    return err;
}

/* ---- OpenRouter ---- */

/* RFC 8259 6, without an exponent. */
static bool is_decimal(struct span text)
{
    size_t digits = 0, dots = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] >= '0' && text.ptr[i] <= '9')
            digits++;
        else if (text.ptr[i] == '.' && digits && i + 1 < text.len)
            dots++;
        else
            return false;
    }
    return digits > 0 && dots <= 1 && (text.len == 1 || text.ptr[0] != '0' || text.ptr[1] == '.');
}

static int write_openrouter_body(struct known *known, struct secret_arena *secrets,
                                 const struct issuer_settings *settings)
{
    struct json_writer writer;
    struct buf body;
    int err;

    buf_init(&body, BODY_MAX_BYTES);
    json_writer_init(&writer, &body);
    json_begin_object(&writer);
    json_member_text(&writer, "name", "{name}");
    if (settings->openrouter.limit_usd.len) {
        json_name(&writer, "limit");
        json_raw(&writer, settings->openrouter.limit_usd);
    }
    if (settings->life_us)
        json_member_text(&writer, "expires_at", "{expires}");
    json_end_object(&writer);
    err = body.err ? body.err : secret_new(secrets, buf_span(&body), &known->body);
    buf_fini(&body);
    return err;
}

int issuer_openrouter_new(const struct issuer_options *options,
                          const struct issuer_settings *settings, char *why,
                          struct issuer **ret_issuer)
{
    const struct issuer_openrouter_settings *openrouter = &settings->openrouter;
    struct issuer_http_settings *http;
    struct known known;
    int err = check_key(openrouter->provisioning_key, "the provisioning key", why);

    if (!err && openrouter->limit_usd.len && !is_decimal(openrouter->limit_usd))
        err = issuer_complain(why, ERR_SYNTAX, "the limit is no amount of US dollars");
    if (err)
        return err;
    known_init(&known, settings);
    buf_append_span(&known.all,
                    openrouter->url.len ? openrouter->url : SPAN("https://openrouter.ai"));
    buf_append_span(&known.all, SPAN("/api/v1/keys"));
    buf_printf(&known.one, "%s/{id}", buf_text(&known.all));
    /* One that was switched off by hand would else be made twice. */
    buf_printf(&known.list, "%s?include_disabled=true", buf_text(&known.all));
    err = check_urls(&known, why);
    if (!err)
        err = put_bearer(&known, options->secrets, openrouter->provisioning_key);
    if (!err)
        err = write_openrouter_body(&known, options->secrets, settings);
    put_requests(&known);
    http = &known.settings.http;
    http->key = SPAN("/key");
    http->id = SPAN("/data/hash");
    http->expires = SPAN("/data/expires_at");
    http->items = SPAN("/data");
    http->item_name = SPAN("/name");
    http->item_id = SPAN("/hash");
    http->item_expires = SPAN("/expires_at");
    http->paging = (struct issuer_paging){.parameter = SPAN("offset"), .is_count = true};
    if (!err)
        err = issuer_http_new(options, &known.settings, why, ret_issuer);
    known_fini(&known);
    return err;
}
