/* Models and their targets. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

/* "PROVIDER/MODEL"; the model may hold further slashes. NULL, or what is wrong. */
static const char *parse_target(struct loading *loading, struct span text,
                                struct conf_target *target)
{
    size_t slash = span_find_byte(text, '/');
    struct span model;

    if (slash == SIZE_MAX)
        return "is no PROVIDER/MODEL";
    model = span_skip(text, slash + 1);
    if (!conf_model_is_valid(model))
        return "names no model behind its slash";
    target->provider = map_find(&loading->config->provider_by_name, span_of(text.ptr, slash));
    if (!target->provider)
        return "names a provider that is not in providers";
    target->model = loading_keep(loading, model);
    return NULL;
}

static void read_target(struct loading *loading, const struct conf_row *row,
                        const struct yaml_node *node, void *field)
{
    struct conf_target *target = (void *)((char *)field - offsetof(struct conf_target, provider));
    const char *fault;
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    fault = parse_target(loading, text, target);
    loading_end_text(loading);
    if (fault)
        loading_refuse(loading, row, node, fault);
}

static void print_target_text(struct printing *printing, const struct conf_target *target)
{
    struct buf text;

    buf_init(&text, 1024);
    buf_printf(&text, "%.*s/%.*s", SPAN_ARG(target->provider->name), SPAN_ARG(target->model));
    print_text(printing, buf_span(&text));
    buf_fini(&text);
}

static void print_target(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_target *target =
        (const void *)((const char *)field - offsetof(struct conf_target, provider));

    print_name(printing, row->name);
    buf_printf(printing->out, " ");
    print_target_text(printing, target);
    buf_printf(printing->out, "\n");
}

static void tell_target(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "PROVIDER/MODEL, where PROVIDER stands in providers");
}

const struct conf_type conf_type_target = {
    .name = "PROVIDER/MODEL", .read = read_target, .print = print_target, .tell = tell_target};

static void tell_fallback(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of ");
    tell_target(row, out);
}

static void read_fallback(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    struct conf_targets *fallback = field;

    if (node->kind != YAML_LIST || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind == YAML_LIST ? "is too long" : "stands where a list should");
        return;
    }
    fallback->items = loading_alloc(loading, node->count + 1, sizeof(*fallback->items));
    if (!fallback->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        struct conf_target *target = &fallback->items[fallback->count];

        read_target(loading, row, item->value, &target->provider);
        fallback->count += target->provider != NULL;
    }
}

static void print_fallback(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_targets *fallback = field;

    if (!fallback->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    for (size_t i = 0; i < fallback->count; i++) {
        print_dash(printing);
        print_target_text(printing, &fallback->items[i]);
        buf_printf(printing->out, "\n");
    }
}

const struct conf_type conf_type_fallback = {.name = "list of PROVIDER/MODEL",
                                             .read = read_fallback,
                                             .print = print_fallback,
                                             .tell = tell_fallback};

/* A declared model, PROVIDER/MODEL, or any name where every provider's own models are served. */
static bool is_served(struct loading *loading, struct span name)
{
    size_t slash = span_find_byte(name, '/');

    if (!conf_model_is_valid(name))
        return false;
    if (map_find(&loading->config->model_by_name, name))
        return true;
    if (slash != SIZE_MAX && slash + 1 < name.len)
        return map_find(&loading->config->provider_by_name, span_of(name.ptr, slash)) != NULL;
    return loading->config->models.count == 0;
}

static void read_model(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (span_is_equal(text, SPAN("refuse")))
        *(struct span *)field = (struct span){0};
    else if (is_served(loading, text))
        *(struct span *)field = loading_keep(loading, text);
    else
        loading_refuse(loading, row, node, "is no model of this file");
    loading_end_text(loading);
}

static void print_model(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct span *model = field;

    print_line(printing, row->name, model->len ? *model : SPAN("refuse"));
}

static void tell_model(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "refuse, a name that stands in models, or PROVIDER/MODEL");
}

const struct conf_type conf_type_model = {
    .name = "refuse or model", .read = read_model, .print = print_model, .tell = tell_model};

void hook_target_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    const struct conf_row row = {.name = SPAN("to"), .type = &conf_type_target};
    struct conf_target *target = object;

    read_target(loading, &row, node, &target->provider);
}

void hook_target_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    (void)object;
    if (node->kind == YAML_MAP && !yaml_find(node, SPAN("to")))
        loading_error(loading, mark, "the target is missing; allowed: to: PROVIDER/MODEL");
}

void hook_model_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                        void *object)
{
    struct conf_model *model = object;

    if (!conf_model_is_valid(name))
        loading_error(loading, mark, "this is no name of a model; allowed: " CONF_MODEL_ALLOWED);
    model->name = loading_keep(loading, name);
    if (model->name.len && map_add(&loading->config->model_by_name, model->name, model))
        loading->err = ERR_NOMEM;
}

struct span hook_model_name(const void *object)
{
    return ((const struct conf_model *)object)->name;
}

void hook_model_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    struct conf_model *model = object;

    model->targets.items = loading_alloc(loading, 1, sizeof(*model->targets.items));
    if (!model->targets.items)
        return;
    model->targets.count = 1;
    model->targets.items[0].weight = 1;
    hook_target_short(loading, node, &model->targets.items[0]);
}

void hook_model_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    struct conf_model *model = object;
    const struct yaml_item *targets = yaml_find(node, SPAN("targets"));
    uint64_t weights = 0;

    for (size_t i = 0; i < model->targets.count; i++)
        weights += model->targets.items[i].weight;
    if (!loading->is_sound)
        return;
    if (yaml_find(node, SPAN("by_size")) || model->optimise || model->among.count)
        conf_choice_settle(loading, node, mark, model);
    else if (!model->targets.count)
        loading_error(
            loading, targets ? targets->value->mark : mark,
            "there is no target; allowed: PROVIDER/MODEL, a list of targets, by_size or optimise");
    else if (!weights)
        loading_error(loading, targets ? targets->value->mark : mark,
                      "the weight of every target is 0; allowed: at least one above it");
    else if (model->migration)
        conf_migration_settle(loading, yaml_find(node, SPAN("migration"))->value->mark, model);
}
