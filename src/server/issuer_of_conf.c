#include "server/issuer_of_conf.h"

#include "base/alloc.h"
#include "base/err.h"

/* The fields of up to four lists: create, revoke, list, environment. */
enum { LISTS = 4 };

struct fields {
    struct issuer_field *items[LISTS];
    size_t lists;
};

static void drop(struct fields *fields)
{
    for (size_t i = 0; i < fields->lists; i++)
        mem_free(fields->items[i]);
}

static int make(struct fields *fields, const struct conf_headers *headers,
                const struct issuer_field **ret_fields, size_t *ret_count)
{
    struct issuer_field *items = mem_zalloc(headers->count + 1, sizeof(*items));

    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < headers->count; i++)
        items[i] = (struct issuer_field){headers->items[i].name, headers->items[i].value};
    fields->items[fields->lists++] = items;
    *ret_fields = items;
    *ret_count = headers->count;
    return 0;
}

static int set_request(struct fields *fields, const struct conf_issuer_request *conf,
                       struct issuer_request *request)
{
    request->method = conf->method;
    request->url = conf->url;
    request->body = conf->body.json;
    return make(fields, &conf->headers, &request->fields, &request->field_count);
}

static int set_http(struct fields *fields, const struct conf_issuer *conf,
                    struct issuer_http_settings *http)
{
    int err = set_request(fields, &conf->create->request, &http->create);

    http->key = conf->create->key;
    http->id = conf->create->id;
    http->expires = conf->create->expires;
    if (!err && conf->revoke.request)
        err = set_request(fields, conf->revoke.request, &http->revoke);
    if (err || !conf->list)
        return err;
    http->items = conf->list->items;
    http->item_name = conf->list->name;
    http->item_id = conf->list->id;
    http->item_expires = conf->list->expires;
    if (conf->list->paging)
        http->paging =
            (struct issuer_paging){conf->list->paging->parameter, conf->list->paging->cursor,
                                   conf->list->paging->more, conf->list->paging->is_count};
    return set_request(fields, &conf->list->request, &http->list);
}

static int set(struct fields *fields, const struct conf_issuer *conf, struct secret_store *from,
               struct issuer_settings *settings)
{
    switch (conf->kind) {
    case CONF_ISSUER_HTTP:
        settings->kind = ISSUER_HTTP;
        return set_http(fields, conf, &settings->http);
    case CONF_ISSUER_COMMAND:
        settings->kind = ISSUER_COMMAND;
        settings->command.argv = conf->argv.items;
        settings->command.can_find = conf->can_find;
        settings->command.can_revoke = conf->revoke.is_able;
        return make(fields, &conf->environment, &settings->command.environment,
                    &settings->command.environment_count);
    case CONF_ISSUER_OPENAI:
        settings->kind = ISSUER_OPENAI;
        settings->openai =
            (struct issuer_openai_settings){conf->url, conf->project, conf->admin_key};
        return 0;
    case CONF_ISSUER_OPENROUTER:
        settings->kind = ISSUER_OPENROUTER;
        settings->openrouter =
            (struct issuer_openrouter_settings){conf->url, conf->provisioning_key, conf->limit_usd};
        return 0;
    case CONF_ISSUER_GCP:
        settings->kind = ISSUER_GCP;
        settings->gcp = (struct issuer_gcp_settings){conf->url, conf->project, conf->account,
                                                     conf->restrictions.json};
        return 0;
    case CONF_ISSUER_STORE:
        if (!from)
            return ERR_NOTFOUND;
        settings->kind = ISSUER_STORE;
        settings->store = (struct issuer_store_settings){from, conf->from.path};
        return 0;
    case CONF_ISSUER_KINDS:
        break;
    }
    return ERR_RANGE;
}

int issuer_of_conf(const struct issuer_options *options, const struct conf_issuer *conf,
                   struct secret_store *from, char *why, struct issuer **ret_issuer)
{
    struct issuer_settings settings = {.timeout_us = conf->timeout_us, .life_us = conf->life_us};
    struct fields fields = {.lists = 0};
    int err = set(&fields, conf, from, &settings);

    if (!err)
        err = issuer_new(options, &settings, why, ret_issuer);
    drop(&fields);
    return err;
}
