/* The settings of a migration: limits that may be absent, and where it stands among the targets. */
#include "conf/types.h"

#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "conf/units.h"

/* Nothing where there is none. */
static void print_limit_share(struct printing *printing, const struct conf_row *row,
                              const void *field)
{
    if (*(const uint32_t *)field)
        conf_type_share.print(printing, row, field);
}

static int parse_limit_share(const struct conf_row *row, struct span text, void *field)
{
    return conf_type_share.parse(row, text, field);
}

static void tell_limit_share(const struct conf_row *row, struct buf *out)
{
    conf_type_share.tell(row, out);
}

const struct conf_type conf_type_limit_share = {.name = "share",
                                                .read = conf_read_parsed,
                                                .parse = parse_limit_share,
                                                .otherwise = "is no share",
                                                .print = print_limit_share,
                                                .tell = tell_limit_share};

static void print_limit_duration(struct printing *printing, const struct conf_row *row,
                                 const void *field)
{
    if (*(const uint64_t *)field)
        conf_type_duration.print(printing, row, field);
}

static int parse_limit_duration(const struct conf_row *row, struct span text, void *field)
{
    return conf_type_duration.parse(row, text, field);
}

static void tell_limit_duration(const struct conf_row *row, struct buf *out)
{
    conf_type_duration.tell(row, out);
}

const struct conf_type conf_type_limit_duration = {.name = "duration",
                                                   .read = conf_read_parsed,
                                                   .parse = parse_limit_duration,
                                                   .otherwise = "is no duration",
                                                   .print = print_limit_duration,
                                                   .tell = tell_limit_duration};

/* ---- its place among the targets ---- */

static bool is_same(const struct conf_target *a, const struct conf_target *b)
{
    return a->provider == b->provider && span_is_equal(a->model, b->model);
}

/* The weight of that target among the model's; false where it is none of them. */
static bool add_weight(const struct conf_model *model, const struct conf_target *target,
                       uint64_t *weight)
{
    bool is_there = false;

    for (size_t i = 0; i < model->targets.count; i++) {
        if (!is_same(&model->targets.items[i], target))
            continue;
        *weight += model->targets.items[i].weight;
        is_there = true;
    }
    return is_there;
}

/* Where the file names no old side, it is the only target beside the new one. */
static bool find_from(struct conf_model *model)
{
    struct conf_migration *migration = model->migration;
    size_t others = 0;

    for (size_t i = 0; i < model->targets.count; i++) {
        if (is_same(&model->targets.items[i], &migration->to))
            continue;
        migration->from = model->targets.items[i];
        others++;
    }
    return others == 1;
}

void hook_migration_finish(struct loading *loading, const struct yaml_node *node,
                           struct conf_mark mark, void *object)
{
    (void)object;
    if (node->kind == YAML_MAP && !yaml_find(node, SPAN("to")))
        loading_error(loading, mark, "the new side is missing; allowed: to: PROVIDER/MODEL");
}

void conf_migration_settle(struct loading *loading, struct conf_mark mark, struct conf_model *model)
{
    struct conf_migration *migration = model->migration;
    uint64_t weight = 0;
    bool is_there;

    if (!migration->to.provider)
        return; /* complained of */
    if (!migration->from.provider && !find_from(model)) {
        loading_error(loading, mark,
                      "which target it replaces is not clear; allowed: from: PROVIDER/MODEL");
        return;
    }
    is_there = add_weight(model, &migration->from, &weight);
    if (is_same(&migration->to, &migration->from))
        loading_error(loading, mark,
                      "both sides are the same target; allowed: another one as 'to'");
    else if (!add_weight(model, &migration->to, &weight) && !is_there)
        loading_error(loading, mark,
                      "neither side stands among the targets; allowed: at least one of them");
    else if (!weight)
        loading_error(loading, mark,
                      "its targets have no weight; allowed: a weight above 0 of either side");
}
