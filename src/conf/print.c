#include "conf/print.h"

#include "base/err.h"
#include "conf/printing.h"
#include "conf/types.h"

void print_dash(struct printing *printing)
{
    for (unsigned i = 0; i < printing->depth + 1; i++)
        buf_append(printing->out, "  ", 2);
    buf_append(printing->out, "- ", 2);
}

static bool is_plain_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '/' || c == '-' || c == '%';
}

/* Text that every reader of YAML takes for itself, wherever it stands. */
static bool is_plain(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        bool is_inner = i > 0 && i + 1 < text.len;

        if (!is_plain_byte(text.ptr[i]) && !(is_inner && text.ptr[i] == ':'))
            return false;
    }
    if (!text.len || text.ptr[0] == '-' || text.ptr[0] == '%')
        return false;
    return !span_is_equal_nocase(text, SPAN("null"));
}

/* In a value that is read again "${" would be a reference; in a name it is what it is. */
static void print_scalar(struct buf *out, struct span text, bool is_value)
{
    if (is_plain(text)) {
        buf_append_span(out, text);
        return;
    }
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if (c == '"' || c == '\\')
            buf_append_byte(out, '\\');
        if (is_value && c == '$' && i + 1 < text.len && text.ptr[i + 1] == '{')
            buf_append_byte(out, '$');
        buf_append_byte(out, c);
    }
    buf_append_byte(out, '"');
}

void print_text(struct printing *printing, struct span text)
{
    print_scalar(printing->out, text, true);
}

void print_name(struct printing *printing, struct span name)
{
    unsigned depth = printing->depth;

    if (printing->starts_item)
        depth--;
    for (unsigned i = 0; i < depth; i++)
        buf_append(printing->out, "  ", 2);
    if (printing->starts_item)
        buf_append(printing->out, "- ", 2);
    printing->starts_item = false;
    print_scalar(printing->out, name, false);
    buf_append_byte(printing->out, ':');
}

void print_line(struct printing *printing, struct span name, struct span text)
{
    print_name(printing, name);
    buf_append_byte(printing->out, ' ');
    print_text(printing, text);
    buf_append_byte(printing->out, '\n');
}

void print_group(struct printing *printing, const struct conf_group *group, const void *object)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct conf_row *row = &group->rows[i];

        if (row->type)
            row->type->print(printing, row, (const char *)object + row->offset);
    }
}

int config_print(const struct config *config, struct buf *out)
{
    struct printing printing = {.out = out};

    print_group(&printing, &conf_schema, config);
    return out->err;
}

/* The dotted path of a row, made of the groups above it. */
struct place {
    const struct place *above;
    struct span name;
    const char *suffix;
};

static void print_place(const struct place *place, struct buf *out)
{
    if (place->above) {
        print_place(place->above, out);
        buf_append_byte(out, '.');
    }
    buf_append_span(out, place->name);
    buf_printf(out, "%s", place->suffix);
}

static void print_schema_row(const struct conf_row *row, const struct place *place, struct buf *out)
{
    print_place(place, out);
    buf_printf(out, "\t%s\t%s\t", row->type ? row->type->name : "not built yet",
               row->fallback ? row->fallback : "");
    if (row->type)
        row->type->tell(row, out);
    buf_printf(out, "\t%s\n", row->meaning);
}

static void print_schema_group(const struct conf_group *group, const struct place *above,
                               struct buf *out)
{
    for (size_t i = 0; i < group->count; i++) {
        const struct conf_row *row = &group->rows[i];
        struct place place = {above, row->name, ""};

        if (row->type == &conf_type_map)
            place.suffix = ".NAME";
        else if (row->group && row->type != &conf_type_group && row->type != &conf_type_optional &&
                 row->type != &conf_type_revoke)
            place.suffix = "[]";
        print_schema_row(row, &place, out);
        if (row->group)
            print_schema_group(row->group, &place, out);
    }
}

int config_schema_print(struct buf *out)
{
    print_schema_group(&conf_schema, NULL, out);
    return out->err;
}
