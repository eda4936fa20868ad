/* Issuers: what each kind needs and has, and what its requests cannot do without. */
#include "conf/hooks.h"

#include "conf/config.h"
#include "conf/loading.h"
#include "conf/types.h"

#define KIND(kind) (1u << CONF_ISSUER_##kind)

/* The settings that not every kind has. */
static const struct kind_rule {
    struct span name;
    uint32_t has, needs; /* bits of enum conf_issuer_kind */
    const char *example;
} kind_rules[] = {
    {SPAN_INIT("create"), KIND(HTTP), KIND(HTTP), "{url: \"https://host/keys\", key: /key}"},
    {SPAN_INIT("revoke"), KIND(HTTP) | KIND(COMMAND), 0, ""},
    {SPAN_INIT("list"), KIND(HTTP), 0, ""},
    {SPAN_INIT("argv"), KIND(COMMAND), KIND(COMMAND), "[/path/of/the/program]"},
    {SPAN_INIT("env"), KIND(COMMAND), 0, ""},
    {SPAN_INIT("find"), KIND(COMMAND), 0, ""},
    {SPAN_INIT("url"), KIND(OPENAI) | KIND(OPENROUTER) | KIND(GCP), 0, ""},
    {SPAN_INIT("project"), KIND(OPENAI) | KIND(GCP), KIND(OPENAI) | KIND(GCP), "its id"},
    {SPAN_INIT("admin_key"), KIND(OPENAI), KIND(OPENAI), "${env:NAME}"},
    {SPAN_INIT("usage"), KIND(OPENAI), 0, ""},
    {SPAN_INIT("provisioning_key"), KIND(OPENROUTER), KIND(OPENROUTER), "${env:NAME}"},
    {SPAN_INIT("limit"), KIND(OPENROUTER), 0, ""},
    {SPAN_INIT("google_service_account"), KIND(GCP), KIND(GCP), "${file:/path}"},
    {SPAN_INIT("restrictions"), KIND(GCP), 0, ""},
    {SPAN_INIT("from"), KIND(STORE), KIND(STORE), "vault:secret/data/llm/next"},
};

static const struct span kind_names[CONF_ISSUER_KINDS] = {
    [CONF_ISSUER_HTTP] = SPAN_INIT("http"),     [CONF_ISSUER_COMMAND] = SPAN_INIT("command"),
    [CONF_ISSUER_OPENAI] = SPAN_INIT("openai"), [CONF_ISSUER_OPENROUTER] = SPAN_INIT("openrouter"),
    [CONF_ISSUER_GCP] = SPAN_INIT("gcp"),       [CONF_ISSUER_STORE] = SPAN_INIT("store"),
};

static void need(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                 struct span name, const char *example)
{
    if (!yaml_find(node, name))
        loading_error(loading, mark, "the %.*s is missing; allowed: %.*s: %s", SPAN_ARG(name),
                      SPAN_ARG(name), example);
}

static void check_request(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, const struct conf_issuer_request *request)
{
    const struct yaml_item *body = yaml_find(node, SPAN("body"));

    need(loading, node, mark, SPAN("url"), "https://host/path");
    if (body && span_is_equal(request->method, SPAN("GET")))
        loading_error(loading, body->mark, "a GET has no body; allowed: to leave it out");
}

void hook_issuer_request_finish(struct loading *loading, const struct yaml_node *node,
                                struct conf_mark mark, void *object)
{
    check_request(loading, node, mark, object);
}

void hook_issuer_create_finish(struct loading *loading, const struct yaml_node *node,
                               struct conf_mark mark, void *object)
{
    struct conf_issuer_create *create = object;

    check_request(loading, node, mark, &create->request);
    need(loading, node, mark, SPAN("key"), "/key");
}

void hook_issuer_paging_finish(struct loading *loading, const struct yaml_node *node,
                               struct conf_mark mark, void *object)
{
    const struct conf_issuer_paging *paging = object;
    const struct yaml_item *cursor = yaml_find(node, SPAN("cursor"));
    const struct yaml_item *more = yaml_find(node, SPAN("more"));

    need(loading, node, mark, SPAN("parameter"), "after");
    if (!loading->is_sound)
        return;
    if (!cursor && !paging->is_count)
        loading_error(loading, mark,
                      "nothing says which page is next; allowed: one of cursor and count: true");
    if (paging->is_count && (cursor || more))
        loading_error(loading, (cursor ? cursor : more)->mark,
                      "%s stands beside count; allowed: one of cursor and count: true",
                      cursor ? "cursor" : "more");
}

void hook_issuer_list_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object)
{
    struct conf_issuer_list *list = object;

    check_request(loading, node, mark, &list->request);
    need(loading, node, mark, SPAN("name"), "/name");
}

void hook_issuer_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                         void *object)
{
    struct conf_issuer *issuer = object;

    (void)loading, (void)name, (void)mark;
    issuer->kind = CONF_ISSUER_KINDS;
    issuer->revoke.is_able = true;
}

static void tell_settings(enum conf_issuer_kind kind, struct buf *out)
{
    buf_printf(out, "kind, timeout, life");
    for (size_t i = 0; i < sizeof(kind_rules) / sizeof(kind_rules[0]); i++) {
        if (kind_rules[i].has & 1u << kind)
            buf_printf(out, ", %.*s", SPAN_ARG(kind_rules[i].name));
    }
}

static void refuse_foreign(struct loading *loading, const struct yaml_item *item,
                           enum conf_issuer_kind kind)
{
    struct buf allowed;

    buf_init(&allowed, 256);
    tell_settings(kind, &allowed);
    loading_error(loading, item->mark, "kind %.*s has no %.*s; allowed: %s",
                  SPAN_ARG(kind_names[kind]), SPAN_ARG(item->key), buf_text(&allowed));
    buf_fini(&allowed);
}

/* The one setting that two kinds have in two forms. */
static void check_revoke(struct loading *loading, const struct yaml_node *node,
                         enum conf_issuer_kind kind)
{
    const struct yaml_item *revoke = yaml_find(node, SPAN("revoke"));
    bool is_flag = revoke && revoke->value->kind == YAML_SCALAR;

    if (revoke && kind == CONF_ISSUER_HTTP && is_flag)
        loading_error(loading, revoke->value->mark,
                      "a single value stands where a map should; allowed: the request, with its "
                      "url");
    if (revoke && kind == CONF_ISSUER_COMMAND && !is_flag)
        loading_error(loading, revoke->value->mark,
                      "%s stands where a single value should; allowed: true or false",
                      yaml_kind_text(revoke->value));
}

/* The id that is told at a key's creation is what {id} stands for. */
static void check_id(struct loading *loading, const struct yaml_node *node,
                     const struct conf_issuer *issuer)
{
    const struct conf_issuer_request *request = issuer->revoke.request;

    if (!loading->is_sound || !request || span_find(request->url, SPAN("{id}")) == SIZE_MAX)
        return;
    if (!issuer->create->id.ptr)
        loading_error(loading, yaml_find(node, SPAN("create"))->mark,
                      "create does not say where the id stands that revoke needs; allowed: id: "
                      "/id in create");
    if (issuer->list && !issuer->list->id.ptr)
        loading_error(loading, yaml_find(node, SPAN("list"))->mark,
                      "list does not say where the id stands that revoke needs; allowed: id: /id "
                      "in list");
}

void hook_issuer_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    const struct conf_issuer *issuer = object;

    if (issuer->kind == CONF_ISSUER_KINDS) {
        /* Else complained of where it was read. */
        need(loading, node, mark, SPAN("kind"), "http, command, openai, openrouter, gcp, store");
        return;
    }
    for (size_t i = 0; i < sizeof(kind_rules) / sizeof(kind_rules[0]); i++) {
        const struct kind_rule *rule = &kind_rules[i];
        const struct yaml_item *item = yaml_find(node, rule->name);

        if (item && !(rule->has & 1u << issuer->kind))
            refuse_foreign(loading, item, issuer->kind);
        if (rule->needs & 1u << issuer->kind)
            need(loading, node, mark, rule->name, rule->example);
    }
    check_revoke(loading, node, issuer->kind);
    if (issuer->kind == CONF_ISSUER_HTTP && issuer->create)
        check_id(loading, node, issuer);
}
