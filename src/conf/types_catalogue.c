/* What the file says that models can do. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/quote.h"
#include "conf/yaml.h"

static int parse_able(const struct conf_row *row, struct span text, void *field)
{
    (void)row;
    if (span_is_equal(text, SPAN("true")))
        *(uint8_t *)field = CONF_ABLE_YES;
    else if (span_is_equal(text, SPAN("false")))
        *(uint8_t *)field = CONF_ABLE_NO;
    else
        return ERR_SYNTAX;
    return 0;
}

static void print_able(struct printing *printing, const struct conf_row *row, const void *field)
{
    uint8_t able = *(const uint8_t *)field;

    if (able != CONF_ABLE_UNKNOWN)
        print_line(printing, row->name, able == CONF_ABLE_YES ? SPAN("true") : SPAN("false"));
}

static void tell_able(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "true or false");
}

const struct conf_type conf_type_able = {.name = "true or false",
                                         .read = conf_read_parsed,
                                         .parse = parse_able,
                                         .otherwise = "is neither true nor false",
                                         .print = print_able,
                                         .tell = tell_able};

static void read_successor(struct loading *loading, const struct conf_row *row,
                           const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, conf_model_is_full);
}

static void tell_successor(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a model as the provider calls it, or none");
}

const struct conf_type conf_type_successor = {.name = "model or none",
                                              .read = read_successor,
                                              .otherwise = "is no name of a model",
                                              .print = print_text_row,
                                              .tell = tell_successor};

void hook_catalogue_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                            void *object)
{
    struct conf_catalogue *row = object;

    conf_name_split(loading, name, mark, &row->name, &row->provider, &row->model);
}

struct span hook_catalogue_name(const void *object)
{
    return ((const struct conf_catalogue *)object)->name;
}

/* ---- aliases ---- */

enum { COMPLAINT_BYTES = 256 };

static bool has_alias(const struct conf_catalogue *row, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(row->aliases.items[i], name))
            return true;
    }
    return false;
}

/* "'NAME' WHAT; allowed: ALLOWED", with the name as the file has it. */
static void complain(struct loading *loading, const struct yaml_item *item, const char *what,
                     const char *allowed)
{
    struct span written = item->value->text;
    struct buf text;

    buf_init(&text, COMPLAINT_BYTES);
    if (loading_has_reference(written) && quote_is_safe(written))
        buf_printf(&text, "the value of %.*s", SPAN_ARG(written));
    else
        quote_append(&text, written, "the alias");
    loading_error(loading, item->mark, "%s %s; allowed: %s", buf_text(&text), what, allowed);
    buf_fini(&text);
}

static void complain_of_other(struct loading *loading, const struct yaml_item *item,
                              struct span other)
{
    struct buf what;

    buf_init(&what, COMPLAINT_BYTES);
    buf_append_span(&what, SPAN("means "));
    quote_append(&what, other, "another model");
    buf_append_span(&what, SPAN(" already"));
    complain(loading, item, buf_text(&what), "an alias of one model alone");
    buf_fini(&what);
}

/* What is said of one provider goes before what is said of any: the same alias may stand in both.
 * But a name with a row of its own, in reach of both, would be told twice; so would names that are
 * each other's alias. */
static void check_against(struct loading *loading, const struct yaml_item *item, struct span alias,
                          const struct conf_catalogue *row, const struct conf_catalogue *other)
{
    bool is_in_reach = !row->provider || !other->provider || row->provider == other->provider;

    if (is_in_reach && span_is_equal(alias, other->model))
        complain(loading, item, row == other ? "is its own name" : "is an entry of its own",
                 "a name that has no entry in catalogue");
    else if (other < row && row->provider == other->provider &&
             has_alias(other, other->aliases.count, alias))
        complain_of_other(loading, item, other->name);
}

/* What stands before the slash of the row's name, or would in a request, is no part of the name. Of
 * another provider's row it may be: proxies call models so. */
static void warn_of_provider(struct loading *loading, const struct yaml_item *item,
                             struct span alias, const struct conf_catalogue *row)
{
    size_t slash = span_find_byte(alias, '/');
    const struct conf_provider *provider =
        slash == SIZE_MAX ? NULL : config_find_provider(loading->config, span_of(alias.ptr, slash));

    if (provider && (!row->provider || row->provider == provider))
        loading_warning(loading, item->mark,
                        "an alias is the model's name alone, and this one begins with a "
                        "provider's; allowed: the name without '%.*s/'",
                        SPAN_ARG(provider->name));
}

static void check_row(struct loading *loading, const struct yaml_node *list,
                      const struct conf_catalogue *row)
{
    const struct conf_catalogue_rows *rows = &loading->config->catalogue;
    const struct yaml_item *item = list->first;

    for (size_t i = 0; i < row->aliases.count; i++, item = item->next) {
        struct span alias = row->aliases.items[i];

        if (has_alias(row, i, alias))
            complain(loading, item, "stands there twice", "once");
        warn_of_provider(loading, item, alias, row);
        for (size_t k = 0; k < rows->count; k++)
            check_against(loading, item, alias, row, &rows->items[k]);
    }
}

/* A list of which a name was complained of has fewer than the file; what it lacks is said. */
void conf_aliases_check(struct loading *loading)
{
    const struct yaml_item *catalogue = yaml_find(loading->root, SPAN("catalogue"));
    const struct conf_catalogue_rows *rows = &loading->config->catalogue;
    const struct yaml_item *item = catalogue ? catalogue->value->first : NULL;
    size_t outer = loading_enter(loading, SPAN("catalogue"));

    for (size_t i = 0; item && i < rows->count; i++, item = item->next) {
        const struct yaml_item *aliases = yaml_find(item->value, SPAN("aliases"));
        size_t before = loading_enter(loading, item->key);
        size_t inner = loading_enter(loading, SPAN("aliases"));

        if (aliases && rows->items[i].aliases.count == aliases->value->count)
            check_row(loading, aliases->value, &rows->items[i]);
        loading_leave(loading, inner);
        loading_leave(loading, before);
    }
    loading_leave(loading, outer);
}
