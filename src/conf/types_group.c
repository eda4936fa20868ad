/* Groups of settings: how a map of the file becomes a struct of the tree. */
#include "conf/types.h"

#include "base/alloc.h"
#include "base/err.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/quote.h"

void conf_read_parsed(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    struct span text;
    int err;

    if (!loading_text(loading, row, node, &text))
        return;
    err = row->type->parse(row, text, field);
    loading_end_text(loading);
    if (err == ERR_RANGE)
        loading_refuse(loading, row, node, "is out of range");
    else if (err == ERR_UNSUPPORTED)
        loading_refuse(loading, row, node, "is not built yet");
    else if (err)
        loading_refuse(loading, row, node, row->type->otherwise);
}

const struct conf_row *conf_group_find(const struct conf_group *group, struct span name)
{
    for (size_t i = 0; i < group->count; i++) {
        if (span_is_equal(group->rows[i].name, name))
            return &group->rows[i];
    }
    return NULL;
}

static void refuse_unknown(struct loading *loading, const struct conf_group *group,
                           const struct yaml_item *item)
{
    struct buf text;

    buf_init(&text, 900);
    buf_printf(&text, "unknown key ");
    quote_append(&text, item->key, "(not shown)");
    conf_schema_advise(group, item->key, &text);
    loading_error(loading, item->mark, "%s", buf_text(&text));
    buf_fini(&text);
}

/* The keys that have no row, or one that is not built yet. */
static void refuse_others(struct loading *loading, const struct conf_group *group,
                          const struct yaml_node *node)
{
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        const struct conf_row *row = conf_group_find(group, item->key);
        size_t before;

        if (!row)
            refuse_unknown(loading, group, item);
        if (!row || row->type)
            continue;
        before = loading_enter(loading, row->name);
        loading_error(loading, item->mark, "not built yet; allowed: to leave it out");
        loading_leave(loading, before);
    }
}

static void read_row(struct loading *loading, const struct conf_row *row,
                     const struct yaml_item *item, void *object)
{
    size_t before = loading_enter(loading, row->name);

    if (item->value->kind == YAML_NULL && !row->type->takes_null)
        loading_refuse(loading, row, item->value, "stands where a value should");
    else
        row->type->read(loading, row, item->value, (char *)object + row->offset);
    loading_leave(loading, before);
}

/* What the file would say, read as the file is read. */
static void read_default(struct loading *loading, const struct conf_row *row, void *object)
{
    struct yaml_node node = {.kind = YAML_SCALAR, .text = span_from_text(row->fallback)};

    if (row->group && row->type == &conf_type_group)
        node = (struct yaml_node){.kind = YAML_NULL};
    else if (!row->fallback)
        return;
    row->type->read(loading, row, &node, (char *)object + row->offset);
}

static void read_rows(struct loading *loading, const struct conf_group *group,
                      const struct yaml_node *node, void *object)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct conf_row *row = &group->rows[i];
        const struct yaml_item *item = yaml_find(node, row->name);

        if (!row->type)
            continue;
        if (item)
            read_row(loading, row, item, object);
        else
            read_default(loading, row, object);
    }
}

void conf_group_read(struct loading *loading, const struct conf_group *group,
                     const struct yaml_node *node, struct span name, struct conf_mark mark,
                     void *object)
{
    size_t errors = loading->complaints->errors;

    if (group->prepare)
        group->prepare(loading, name, mark, object);
    refuse_others(loading, group, node);
    read_rows(loading, group, node, object);
    if (node->kind == YAML_SCALAR)
        group->read_short(loading, node, object);
    loading->is_sound = loading->complaints->errors == errors;
    if (group->finish && !loading->err)
        group->finish(loading, node, mark, object);
}

/* A group may stand as a map, as nothing, or in its short form. */
static bool is_group_node(const struct conf_group *group, const struct yaml_node *node)
{
    return node->kind == YAML_MAP || node->kind == YAML_NULL ||
           (node->kind == YAML_SCALAR && group->read_short);
}

static void read_group(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    if (is_group_node(row->group, node))
        conf_group_read(loading, row->group, node, (struct span){0}, node->mark, field);
    else
        loading_refuse(loading, row, node, "stands where a map should");
}

static void print_group_row(struct printing *printing, const struct conf_row *row,
                            const void *field)
{
    size_t start = printing->out->len, inside;

    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    inside = printing->out->len;
    printing->depth++;
    print_group(printing, row->group, field);
    printing->depth--;
    /* Nothing in it is set: it says nothing. */
    if (printing->out->len == inside)
        printing->out->len = start;
}

static void tell_group(const struct conf_row *row, struct buf *out)
{
    const char *before = "a map of ";

    for (size_t i = 0; i < row->group->count; i++) {
        if (!row->group->rows[i].type)
            continue;
        buf_printf(out, "%s%.*s", before, SPAN_ARG(row->group->rows[i].name));
        before = ", ";
    }
}

const struct conf_type conf_type_group = {.name = "map",
                                          .read = read_group,
                                          .print = print_group_row,
                                          .tell = tell_group,
                                          .takes_null = true};

static void read_optional(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    void *object = loading_alloc(loading, 1, row->group->bytes);

    if (!object)
        return;
    read_group(loading, row, node, object);
    /* Whatever it points to. */
    memcpy(field, &object, sizeof(object));
}

static void print_optional(struct printing *printing, const struct conf_row *row, const void *field)
{
    const void *object;

    memcpy(&object, field, sizeof(object));
    if (object)
        print_group_row(printing, row, object);
}

const struct conf_type conf_type_optional = {.name = "map",
                                             .read = read_optional,
                                             .print = print_optional,
                                             .tell = tell_group,
                                             .takes_null = true};

/* Complains of a member that is no map. */
static void refuse_member(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node)
{
    struct conf_row member = {.type = &conf_type_group, .group = row->group};

    /* A key may also stand alone, as its row tells. */
    if (row->type->is_secret)
        member.type = row->type;
    loading_refuse(loading, &member, node, "stands where a map should");
}

static void read_list(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    const struct conf_group *group = row->group;
    size_t at = 0, before = 0;
    char *items;

    if (node->kind != YAML_LIST) {
        loading_refuse(loading, row, node, "stands where a list should");
        return;
    }
    items = loading_alloc(loading, node->count + 1, group->bytes);
    if (!items)
        return;
    conf_list_set(field, items, node->count);
    for (const struct yaml_item *item = node->first; item; item = item->next, at++) {
        before = loading_enter_index(loading, at);
        if (is_group_node(group, item->value) && item->value->kind != YAML_NULL)
            conf_group_read(loading, group, item->value, (struct span){0}, item->value->mark,
                            items + at * group->bytes);
        else
            refuse_member(loading, row, item->value);
        loading_leave(loading, before);
    }
}

static void print_items(struct printing *printing, const struct conf_row *row, const char *items,
                        size_t count)
{
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth += 2;
    for (size_t i = 0; i < count; i++) {
        printing->starts_item = true;
        print_group(printing, row->group, items + i * row->group->bytes);
    }
    printing->depth -= 2;
}

static void print_list(struct printing *printing, const struct conf_row *row, const void *field)
{
    size_t count;
    const char *items = conf_list_get(field, &count);

    if (count)
        print_items(printing, row, items, count);
}

static void tell_list(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list, each ");
    tell_group(row, out);
}

const struct conf_type conf_type_list = {
    .name = "list of maps", .read = read_list, .print = print_list, .tell = tell_list};

enum { SEVERAL_MAX = 16 };

static void read_several(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    void *item;

    if (node->kind == YAML_LIST && node->count <= SEVERAL_MAX) {
        read_list(loading, row, node, field);
    } else if (node->kind == YAML_MAP) {
        item = loading_alloc(loading, 1, row->group->bytes);
        if (!item)
            return;
        conf_list_set(field, item, 1);
        conf_group_read(loading, row->group, node, (struct span){0}, node->mark, item);
    } else {
        loading_refuse(loading, row, node,
                       node->kind == YAML_LIST ? "holds too many" : "stands where a map should");
    }
}

static void print_several(struct printing *printing, const struct conf_row *row, const void *field)
{
    size_t count;
    const char *items = conf_list_get(field, &count);

    if (count == 1)
        print_group_row(printing, row, items);
    else if (count)
        print_items(printing, row, items, count);
}

static void tell_several(const struct conf_row *row, struct buf *out)
{
    tell_group(row, out);
    buf_printf(out, ", or a list of at most %d of these", SEVERAL_MAX);
}

const struct conf_type conf_type_several = {.name = "map or list of maps",
                                            .read = read_several,
                                            .print = print_several,
                                            .tell = tell_several};

static void read_member(struct loading *loading, const struct conf_row *row,
                        const struct yaml_item *item, void *object)
{
    size_t before = loading_enter(loading, item->key);

    if (is_group_node(row->group, item->value))
        conf_group_read(loading, row->group, item->value, item->key, item->mark, object);
    else
        refuse_member(loading, row, item->value);
    loading_leave(loading, before);
}

static void read_map(struct loading *loading, const struct conf_row *row,
                     const struct yaml_node *node, void *field)
{
    size_t at = 0;
    char *items;

    if (node->kind != YAML_MAP && node->kind != YAML_NULL) {
        loading_refuse(loading, row, node, "stands where a map should");
        return;
    }
    if (row->max && node->count > row->max) {
        loading_refuse(loading, row, node, "holds too many");
        return;
    }
    items = loading_alloc(loading, node->count + 1, row->group->bytes);
    if (!items)
        return;
    conf_list_set(field, items, node->count);
    for (const struct yaml_item *item = node->first; item; item = item->next, at++)
        read_member(loading, row, item, items + at * row->group->bytes);
}

static void print_map(struct printing *printing, const struct conf_row *row, const void *field)
{
    size_t count;
    const char *items = conf_list_get(field, &count);

    if (!count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth++;
    for (size_t i = 0; i < count; i++) {
        const void *object = items + i * row->group->bytes;
        size_t inside;

        print_name(printing, row->group->name(object));
        buf_printf(printing->out, "\n");
        inside = printing->out->len;
        printing->depth++;
        print_group(printing, row->group, object);
        printing->depth--;
        if (printing->out->len == inside) {
            printing->out->len--;
            buf_printf(printing->out, " {}\n");
        }
    }
    printing->depth--;
}

static void tell_map(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a map by name, each ");
    tell_group(row, out);
    if (row->max)
        buf_printf(out, "; at most %llu of them", (unsigned long long)row->max);
}

const struct conf_type conf_type_map = {.name = "map by name",
                                        .read = read_map,
                                        .print = print_map,
                                        .tell = tell_map,
                                        .takes_null = true};
