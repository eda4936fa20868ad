/* What the file says that models can do. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

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

static bool is_successor(struct span name)
{
    return conf_model_is_valid(name) && span_find_byte(name, '*') == SIZE_MAX;
}

static void read_successor(struct loading *loading, const struct conf_row *row,
                           const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_successor);
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
