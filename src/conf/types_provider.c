/* Providers: their kind, and what follows from it. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/region.h"

static int parse_kind(const struct conf_row *row, struct span text, void *field)
{
    enum provider_kind kind;

    (void)row;
    if (!provider_kind_find(text, &kind))
        return ERR_SYNTAX;
    *(enum provider_kind *)field = kind;
    return 0;
}

static void print_kind(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_line(printing, row->name, provider_row(*(const enum provider_kind *)field)->name);
}

static void tell_kind(const struct conf_row *row, struct buf *out)
{
    const char *before = "";

    (void)row;
    for (int kind = 0; kind < PROVIDER_KINDS; kind++) {
        buf_printf(out, "%s%.*s", before, SPAN_ARG(provider_row((enum provider_kind)kind)->name));
        before = ", ";
    }
}

const struct conf_type conf_type_kind = {.name = "kind",
                                         .read = conf_read_parsed,
                                         .parse = parse_kind,
                                         .otherwise = "is no kind of provider",
                                         .print = print_kind,
                                         .tell = tell_kind};

void hook_provider_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                           void *object)
{
    struct conf_provider *provider = object;

    if (!conf_name_is_valid(name))
        loading_error(loading, mark, "this is no name; allowed: " CONF_NAME_ALLOWED);
    provider->name = loading_keep(loading, name);
    provider->kind = PROVIDER_KINDS;
    if (span_is_equal(name, SPAN("google")))
        provider->kind = PROVIDER_GEMINI;
    else
        provider_kind_find(name, &provider->kind);
    loading->provider = provider;
    loading->short_keys = 0;
    if (provider->name.len && map_add(&loading->config->provider_by_name, provider->name, provider))
        loading->err = ERR_NOMEM;
}

struct span hook_provider_name(const void *object)
{
    return ((const struct conf_provider *)object)->name;
}

/* False after a complaint. */
static bool has_kind(struct loading *loading, const struct conf_provider *provider,
                     const struct yaml_node *node, struct conf_mark mark)
{
    struct buf allowed;

    if (provider->kind != PROVIDER_KINDS)
        return true;
    /* Complained of where it was read. */
    if (yaml_find(node, SPAN("kind")))
        return false;
    buf_init(&allowed, 256);
    tell_kind(NULL, &allowed);
    loading_error(loading, mark,
                  "the kind is missing, and the name is none that is well known; allowed: kind: %s",
                  buf_text(&allowed));
    buf_fini(&allowed);
    return false;
}

/* Takes `tail` off the path of the base URL: true where it stood there. */
static bool cut_path(struct conf_url *url, struct span tail)
{
    if (!span_has_suffix(url->path, tail))
        return false;
    url->path.len -= tail.len;
    return true;
}

/* Some dialects put their version between the base URL and the path, and users put it there too. */
static void settle_path(const struct conf_provider *provider, struct conf_url *url)
{
    if (provider->kind == PROVIDER_ANTHROPIC) {
        cut_path(url, SPAN("/v1"));
    } else if (provider->kind == PROVIDER_GEMINI) {
        if (!cut_path(url, SPAN("/v1beta")))
            cut_path(url, SPAN("/v1"));
    } else if (provider->kind == PROVIDER_AZURE) {
        if (!cut_path(url, SPAN("/openai/v1")))
            cut_path(url, SPAN("/openai"));
    }
}

/* Which of Azure's APIs is meant says the URL. */
static void settle_version(struct loading *loading, const struct yaml_node *node,
                           struct conf_provider *provider)
{
    const struct span tail = SPAN("/openai/v1");
    bool is_v1 = span_has_suffix(provider->base_url.path, tail);

    if (provider->kind != PROVIDER_AZURE)
        return;
    for (size_t i = 0; i < provider->regions.count; i++) {
        if (span_has_suffix(provider->regions.items[i].url.path, tail) == is_v1)
            continue;
        loading_error(
            loading, yaml_find(node, SPAN("regions"))->mark,
            "regions of Azure's v1 API and of its deployments; allowed: URLs that all end "
            "in /openai/v1, or none of them");
        break;
    }
    if (is_v1)
        provider->api_version = span_of(NULL, 0);
    else if (!provider->api_version.len)
        provider->api_version = loading_keep(loading, SPAN("2024-10-21"));
}

/* Where regions are, what is said of the base URL is said of the first that they come to. */
static void settle_urls(struct loading *loading, const struct yaml_node *node,
                        struct conf_provider *provider)
{
    struct conf_regions *regions = &provider->regions;
    size_t first = 0;

    if (regions->count) {
        conf_region_find(regions, provider->default_region, &first);
        provider->base_url = regions->items[first].url;
    }
    settle_version(loading, node, provider);
    settle_path(provider, &provider->base_url);
    for (size_t i = 0; i < regions->count; i++)
        settle_path(provider, &regions->items[i].url);
}

static void fill_in_kind(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, struct conf_provider *provider)
{
    const struct provider_row *row = provider_row(provider->kind);
    bool is_given = yaml_find(node, SPAN("base_url")) || yaml_find(node, SPAN("regions"));
    const char *why;

    if (!is_given && !row->base_url.len)
        loading_error(loading, mark,
                      "the base_url is missing, and kind %.*s has none of its own; allowed: a URL "
                      "such as https://host/v1",
                      SPAN_ARG(row->name));
    else if (!is_given && conf_url_parse(row->base_url, &provider->base_url, &why))
        loading_error(loading, mark, "the kind's own base_url is none: %s", why);
    settle_urls(loading, node, provider);
    if (!provider->probe.method.len)
        provider->probe.method = row->probe_method;
    if (!provider->probe.path.len)
        provider->probe.path = row->probe_path;
}

/* The field that carries a secret, or a token. */
static bool carries_key(const struct conf_provider *provider, struct span name)
{
    if (span_is_equal_nocase(name, provider_row(provider->kind)->key_header))
        return true;
    for (size_t i = 0; i < provider->keys.count; i++) {
        if (provider->keys.items[i].credential)
            return span_is_equal_nocase(name, SPAN("Authorization"));
    }
    return false;
}

static void check_headers(struct loading *loading, const struct yaml_node *node,
                          const struct conf_provider *provider)
{
    const struct yaml_item *headers = yaml_find(node, SPAN("headers"));
    size_t before;

    if (!headers)
        return;
    before = loading_enter(loading, SPAN("headers"));
    for (const struct yaml_item *item = headers->value->first; item; item = item->next) {
        if (carries_key(provider, item->key))
            loading_error(loading, item->mark,
                          "this field carries the key; allowed: to put the key into keys");
    }
    loading_leave(loading, before);
}

/* What is exchanged for tokens has no successor that an issuer could make. */
static void check_rotation(struct loading *loading, const struct yaml_node *node,
                           const struct conf_provider *provider)
{
    const struct yaml_item *rotation = yaml_find(node, SPAN("rotation"));

    if (!rotation || !provider->keys.count)
        return;
    for (size_t i = 0; i < provider->keys.count; i++) {
        if (!provider->keys.items[i].credential)
            return;
    }
    loading_error(loading, rotation->mark,
                  "rotation without a key that could be replaced; allowed: beside at least one key "
                  "that is a secret");
}

void hook_provider_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object)
{
    struct conf_provider *provider = object;

    conf_regions_check(loading, node, provider);
    if (has_kind(loading, provider, node, mark)) {
        fill_in_kind(loading, node, mark, provider);
        check_headers(loading, node, provider);
    }
    if (!provider->keys.count && (loading->is_sound || (!yaml_find(node, SPAN("keys")) &&
                                                        !yaml_find(node, SPAN("keys_from")))))
        loading_error(loading, mark,
                      "there is no key; allowed: at least one in keys or keys_from (any word where "
                      "the provider wants none)");
    conf_keys_check(loading, node);
    check_rotation(loading, node, provider);
}
