/* Models that choose other models, by size, cost or latency; and the parameters that models add. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

/* Models may stand further down in the file: whether a name is one is seen once all are read. */
static void settle_use(struct loading *loading, struct span text, struct conf_use *use)
{
    size_t slash = span_find_byte(text, '/');

    use->name = loading_keep(loading, text);
    if (slash == SIZE_MAX || slash + 1 >= use->name.len)
        return;
    use->target.provider = map_find(&loading->config->provider_by_name, span_of(text.ptr, slash));
    if (use->target.provider)
        use->target.model = span_skip(use->name, slash + 1);
    use->target.weight = 1;
}

static void read_use(struct loading *loading, const struct conf_row *row,
                     const struct yaml_node *node, void *field)
{
    struct conf_use *use = field;
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (conf_model_is_valid(text))
        settle_use(loading, text, use);
    loading_end_text(loading);
    if (!use->name.len && !loading->err)
        loading_refuse(loading, row, node, "is no name of a model");
}

static void print_use(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_line(printing, row->name, ((const struct conf_use *)field)->name);
}

static void tell_use(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a name that stands in models, or PROVIDER/MODEL");
}

const struct conf_type conf_type_use = {
    .name = "model or PROVIDER/MODEL", .read = read_use, .print = print_use, .tell = tell_use};

static void tell_uses(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of up to %llu, each ", (unsigned long long)row->max);
    tell_use(row, out);
}

static void read_uses(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    struct conf_uses *uses = field;

    if (node->kind != YAML_LIST || node->count < row->min || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind != YAML_LIST ? "stands where a list should"
                       : node->count           ? "is too long"
                                               : "is empty");
        return;
    }
    uses->items = loading_alloc(loading, node->count, sizeof(*uses->items));
    if (!uses->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        struct conf_use *use = &uses->items[uses->count];

        read_use(loading, row, item->value, use);
        uses->count += use->name.len != 0;
    }
}

static void print_uses(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_uses *uses = field;

    if (!uses->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    for (size_t i = 0; i < uses->count; i++) {
        print_dash(printing);
        print_text(printing, uses->items[i].name);
        buf_printf(printing->out, "\n");
    }
}

const struct conf_type conf_type_uses = {
    .name = "list of models", .read = read_uses, .print = print_uses, .tell = tell_uses};

/* ---- parameters ---- */

enum { DECIMAL_DIGITS = 10, DECIMALS_MAX = 6 };

/* A number as JSON has it (RFC 8259, section 6), without an exponent: it goes out as it stands. */
static int check_decimal(const struct conf_row *row, struct span text, bool may_be_negative)
{
    size_t at = may_be_negative && text.len && text.ptr[0] == '-', start = at, decimals = 0;
    uint64_t whole = 0;
    bool is_beyond;

    for (; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++) {
        if (at - start >= DECIMAL_DIGITS)
            return ERR_SYNTAX;
        whole = whole * 10 + (uint64_t)(text.ptr[at] - '0');
    }
    if (at == start || (text.ptr[start] == '0' && at - start > 1))
        return ERR_SYNTAX;
    is_beyond = whole > row->max;
    if (at < text.len && text.ptr[at] == '.') {
        for (at++; at < text.len && text.ptr[at] >= '0' && text.ptr[at] <= '9'; at++, decimals++)
            is_beyond |= whole == row->max && text.ptr[at] != '0';
        if (decimals == 0 || decimals > DECIMALS_MAX)
            return ERR_SYNTAX;
    }
    if (at < text.len)
        return ERR_SYNTAX;
    /* Counts of tokens and seeds are whole. */
    if (row->max > 2 && decimals)
        return ERR_SYNTAX;
    return is_beyond || whole < row->min ? ERR_RANGE : 0;
}

static void read_number(struct loading *loading, const struct conf_row *row,
                        const struct yaml_node *node, struct span *field, bool may_be_negative)
{
    struct span text;
    int err;

    if (!loading_text(loading, row, node, &text))
        return;
    err = check_decimal(row, text, may_be_negative);
    if (!err)
        *field = loading_keep(loading, text);
    loading_end_text(loading);
    if (err)
        loading_refuse(loading, row, node,
                       err == ERR_RANGE ? "is out of range" : "is no such number");
}

static void read_decimal(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    read_number(loading, row, node, field, false);
}

static void read_signed(struct loading *loading, const struct conf_row *row,
                        const struct yaml_node *node, void *field)
{
    read_number(loading, row, node, field, true);
}

static void tell_decimal(const struct conf_row *row, struct buf *out)
{
    buf_printf(out,
               row->max > 2 ? "a whole number from %llu to %llu" : "a number from %llu to %llu",
               (unsigned long long)row->min, (unsigned long long)row->max);
}

static void tell_signed(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a number from -%llu to %llu", (unsigned long long)row->max,
               (unsigned long long)row->max);
}

const struct conf_type conf_type_decimal = {
    .name = "number", .read = read_decimal, .print = print_text_row, .tell = tell_decimal};
const struct conf_type conf_type_signed_decimal = {
    .name = "number", .read = read_signed, .print = print_text_row, .tell = tell_signed};

/* ---- one model ---- */

void hook_size_row_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object)
{
    (void)object;
    if (!yaml_find(node, SPAN("use")))
        loading_error(loading, mark,
                      "use is missing; allowed: a name that stands in models, or PROVIDER/MODEL");
}

/* Each row takes what is shorter than its bound and no shorter than the one before; the last takes
 * the rest. */
static void check_sizes(struct loading *loading, const struct yaml_node *list,
                        const struct conf_size_rows *rows)
{
    const struct yaml_item *item = list->first;
    uint64_t before = 0;

    if (!rows->count)
        loading_error(loading, list->mark, "by_size has no rows; allowed: at least one with use");
    for (size_t i = 0; i < rows->count; i++, item = item->next) {
        uint64_t below = rows->items[i].below;
        bool is_last = i + 1 == rows->count;

        if (is_last && below)
            loading_error(loading, item->mark,
                          "the last row of by_size takes all that is longer; allowed: a last row "
                          "with use alone");
        else if (!is_last && !below)
            loading_error(loading, item->mark,
                          "below is missing, so that no row behind this one is reached; allowed: a "
                          "number of characters");
        else if (!is_last && below <= before)
            loading_error(loading, item->mark,
                          "below is %llu, and the row before has %llu; allowed: rising bounds",
                          (unsigned long long)below, (unsigned long long)before);
        before = below;
    }
}

/* What belongs to the model that is used, not to the one that chooses. */
static void refuse_parts(struct loading *loading, const struct yaml_node *node)
{
    static const struct span parts[] = {SPAN_INIT("targets"), SPAN_INIT("fallback"),
                                        SPAN_INIT("limits"), SPAN_INIT("shadow"),
                                        SPAN_INIT("migration")};

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        const struct yaml_item *item = yaml_find(node, parts[i]);

        if (item)
            loading_error(loading, item->mark,
                          "%.*s beside by_size or optimise; allowed: with the models that it uses",
                          SPAN_ARG(parts[i]));
    }
}

void conf_choice_settle(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, struct conf_model *model)
{
    const struct yaml_item *sizes = yaml_find(node, SPAN("by_size"));

    refuse_parts(loading, node);
    if (sizes && (model->optimise || model->among.count))
        loading_error(loading, sizes->mark, "by_size beside optimise; allowed: one of them");
    else if (sizes)
        check_sizes(loading, sizes->value, &model->by_size);
    else if (!model->optimise)
        loading_error(loading, mark, "among without optimise; allowed: optimise: cost or latency");
    else if (!model->among.count)
        loading_error(loading, mark, "optimise without among; allowed: among, a list of models");
}

/* ---- all models ---- */

static size_t use_count(const struct conf_model *model)
{
    return model->by_size.count + model->among.count;
}

static const struct conf_use *use_at(const struct conf_model *model, size_t at)
{
    return at < model->by_size.count ? &model->by_size.items[at].use
                                     : &model->among.items[at - model->by_size.count];
}

/* Where the file says it. */
static struct conf_mark mark_of(const struct yaml_node *node, const struct conf_model *model,
                                size_t at)
{
    const struct yaml_item *list =
        yaml_find(node, model->by_size.count ? SPAN("by_size") : SPAN("among"));
    const struct yaml_item *item = list ? list->value->first : NULL, *use;

    for (; item && at > 0; at--)
        item = item->next;
    if (!item)
        return node->mark;
    use = model->by_size.count ? yaml_find(item->value, SPAN("use")) : NULL;
    return use ? use->value->mark : item->mark;
}

static const struct conf_model *used_model(const struct loading *loading,
                                           const struct conf_use *use)
{
    return use->name.len ? map_find(&loading->config->model_by_name, use->name) : NULL;
}

/* Whether the way from one model leads to another; `left` bounds it where there is a circle on the
 * way. */
static bool leads_to(const struct loading *loading, const struct conf_model *from,
                     const struct conf_model *to, size_t left)
{
    if (from == to)
        return true;
    for (size_t i = 0; left > 0 && i < use_count(from); i++) {
        const struct conf_model *next = used_model(loading, use_at(from, i));

        if (next && leads_to(loading, next, to, left - 1))
            return true;
    }
    return false;
}

enum { CHOICE_DEPTH = 4 };

/* How many models stand behind it, one using the next. */
static size_t depth_of(const struct loading *loading, const struct conf_model *model, size_t left)
{
    size_t most = 0;

    for (size_t i = 0; left > 0 && i < use_count(model); i++) {
        const struct conf_model *next = used_model(loading, use_at(model, i));
        size_t depth = next ? 1 + depth_of(loading, next, left - 1) : 0;

        most = depth > most ? depth : most;
    }
    return most;
}

static void check_use(struct loading *loading, const struct yaml_node *node,
                      const struct conf_model *model, size_t at)
{
    const struct conf_use *use = use_at(model, at);
    const struct conf_model *used = used_model(loading, use);
    struct conf_mark mark = mark_of(node, model, at);

    if (!use->name.len)
        return;
    if (!used && !use->target.provider)
        loading_error(loading, mark,
                      "'%.*s' is no model of this file; allowed: a name that stands in models, or "
                      "PROVIDER/MODEL",
                      SPAN_ARG(use->name));
    else if (used && leads_to(loading, used, model, CHOICE_DEPTH))
        loading_error(loading, mark,
                      "'%.*s' leads back to '%.*s'; allowed: a model that does not use this one",
                      SPAN_ARG(use->name), SPAN_ARG(model->name));
    else if (used && depth_of(loading, used, CHOICE_DEPTH) >= CHOICE_DEPTH)
        loading_error(loading, mark, "more than %d models choose one another; allowed: fewer",
                      CHOICE_DEPTH);
}

void conf_choices_check(struct loading *loading)
{
    const struct yaml_item *models = yaml_find(loading->root, SPAN("models"));
    const struct conf_models *all = &loading->config->models;
    size_t outer;

    if (!models)
        return;
    outer = loading_enter(loading, SPAN("models"));
    for (size_t i = 0; i < all->count; i++) {
        const struct conf_model *model = &all->items[i];
        const struct yaml_item *item;
        size_t before;

        if (!use_count(model) || !model->name.len)
            continue;
        item = yaml_find(models->value, model->name);
        before = loading_enter(loading, model->name);
        for (size_t k = 0; item && k < use_count(model); k++)
            check_use(loading, item->value, model, k);
        loading_leave(loading, before);
    }
    loading_leave(loading, outer);
}
