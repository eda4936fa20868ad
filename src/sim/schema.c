#include "sim/schema.h"

#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"

enum { MAX_DEPTH = 32, MAX_ITEMS = 64 };

/* A value being written: where references lead, and what strings say. */
struct filling {
    yyjson_val *root;
    const struct sim_text *text;
    struct buf *out;
    unsigned depth;
    bool is_too_deep;
};

static void fill(struct filling *filling, yyjson_val *schema);

void sim_schema_plain(const struct sim_text *text, struct buf *out)
{
    buf_append_span(out, SPAN("{\"text\": "));
    json_write_string(out, text->echo);
    buf_printf(out, ", \"hash\": \"%016llx\"}", (unsigned long long)text->hash);
}

static void write_number(yyjson_val *value, struct buf *out)
{
    if (yyjson_is_uint(value))
        buf_printf(out, "%llu", (unsigned long long)yyjson_get_uint(value));
    else if (yyjson_is_sint(value))
        buf_printf(out, "%lld", (long long)yyjson_get_sint(value));
    else
        buf_printf(out, "%.17g", yyjson_get_real(value));
}

/* What stands in the schema itself: a const, an enum's first. Of containers only the kind. */
static void write_given(yyjson_val *value, struct buf *out)
{
    if (yyjson_is_str(value))
        json_write_string(out, json_tree_text(value));
    else if (yyjson_is_num(value))
        write_number(value, out);
    else if (yyjson_is_bool(value))
        buf_append_span(out, yyjson_get_bool(value) ? SPAN("true") : SPAN("false"));
    else if (yyjson_is_arr(value))
        buf_append_span(out, SPAN("[]"));
    else
        buf_append_span(out, yyjson_is_obj(value) ? SPAN("{}") : SPAN("null"));
}

/* Only references into the schema itself, "#/$defs/Name", are followed. */
static yyjson_val *follow(struct filling *filling, yyjson_val *schema)
{
    struct span target = json_tree_string(schema, "$ref");

    if (!target.len || target.ptr[0] != '#')
        return NULL;
    return yyjson_ptr_getn(filling->root, target.ptr + 1, target.len - 1);
}

/* The first of anyOf, oneOf or allOf that is not null. */
static yyjson_val *branch(yyjson_val *schema)
{
    static const char *const names[] = {"anyOf", "oneOf", "allOf"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        yyjson_val *list = yyjson_obj_get(schema, names[i]), *item;
        yyjson_arr_iter iter;

        if (!yyjson_arr_iter_init(list, &iter))
            continue;
        while ((item = yyjson_arr_iter_next(&iter)))
            if (!span_is_equal_nocase(json_tree_string(item, "type"), SPAN("null")))
                return item;
    }
    return NULL;
}

/* The type's name; of several the first that is not null; "object" where properties stand. */
static struct span type_of(yyjson_val *schema)
{
    yyjson_val *type = yyjson_obj_get(schema, "type"), *item;
    yyjson_arr_iter iter;

    if (yyjson_is_str(type))
        return json_tree_text(type);
    if (yyjson_arr_iter_init(type, &iter))
        while ((item = yyjson_arr_iter_next(&iter)))
            if (yyjson_is_str(item) && !yyjson_equals_str(item, "null"))
                return json_tree_text(item);
    return yyjson_obj_get(schema, "properties") ? SPAN("object") : SPAN("string");
}

static bool is_listed(yyjson_val *list, yyjson_val *name)
{
    yyjson_arr_iter iter;
    yyjson_val *item;

    if (!yyjson_arr_iter_init(list, &iter))
        return false;
    while ((item = yyjson_arr_iter_next(&iter)))
        if (yyjson_is_str(item) &&
            yyjson_equals_strn(name, yyjson_get_str(item), yyjson_get_len(item)))
            return true;
    return false;
}

static void fill_object(struct filling *filling, yyjson_val *schema)
{
    yyjson_val *required = yyjson_obj_get(schema, "required"), *name;
    yyjson_obj_iter iter;
    bool is_first = true;

    buf_append_byte(filling->out, '{');
    if (yyjson_obj_iter_init(yyjson_obj_get(schema, "properties"), &iter)) {
        while ((name = yyjson_obj_iter_next(&iter))) {
            if (yyjson_arr_size(required) && !is_listed(required, name))
                continue;
            if (!is_first)
                buf_append_span(filling->out, SPAN(", "));
            is_first = false;
            json_write_string(filling->out, json_tree_text(name));
            buf_append_span(filling->out, SPAN(": "));
            fill(filling, yyjson_obj_iter_get_val(name));
        }
    }
    buf_append_byte(filling->out, '}');
}

static void fill_array(struct filling *filling, yyjson_val *schema)
{
    yyjson_val *least = yyjson_obj_get(schema, "minItems");
    uint64_t count = yyjson_is_uint(least) ? yyjson_get_uint(least) : 1;

    buf_append_byte(filling->out, '[');
    for (uint64_t i = 0; i < count && i < MAX_ITEMS; i++) {
        if (i)
            buf_append_span(filling->out, SPAN(", "));
        fill(filling, yyjson_obj_get(schema, "items"));
    }
    buf_append_byte(filling->out, ']');
}

/* The smallest that is allowed, or 0. */
static void fill_number(struct filling *filling, yyjson_val *schema)
{
    yyjson_val *least = yyjson_obj_get(schema, "minimum");
    yyjson_val *above = yyjson_obj_get(schema, "exclusiveMinimum");

    if (yyjson_is_num(least))
        write_number(least, filling->out);
    else if (yyjson_is_int(above))
        buf_printf(filling->out, "%lld", (long long)yyjson_get_sint(above) + 1);
    else
        buf_append_byte(filling->out, '0');
}

static void fill_string(struct filling *filling)
{
    struct buf text;

    buf_init(&text, 2 * SIM_MAX_ECHO_BYTES);
    buf_append_span(&text, SPAN("echo: "));
    buf_append_span(&text, filling->text->echo);
    buf_printf(&text, " #%016llx", (unsigned long long)filling->text->hash);
    json_write_string(filling->out, buf_span(&text));
    if (text.err)
        filling->out->err = text.err;
    buf_fini(&text);
}

static void fill_type(struct filling *filling, yyjson_val *schema)
{
    struct span type = type_of(schema);

    if (span_is_equal_nocase(type, SPAN("object")))
        fill_object(filling, schema);
    else if (span_is_equal_nocase(type, SPAN("array")))
        fill_array(filling, schema);
    else if (span_is_equal_nocase(type, SPAN("integer")) ||
             span_is_equal_nocase(type, SPAN("number")))
        fill_number(filling, schema);
    else if (span_is_equal_nocase(type, SPAN("boolean")))
        buf_append_span(filling->out, SPAN("true"));
    else if (span_is_equal_nocase(type, SPAN("null")))
        buf_append_span(filling->out, SPAN("null"));
    else
        fill_string(filling);
}

static void fill(struct filling *filling, yyjson_val *schema)
{
    yyjson_val *given = yyjson_obj_get(schema, "const"), *next;

    if (filling->depth == MAX_DEPTH || filling->out->err) {
        filling->is_too_deep |= !filling->out->err;
        return;
    }
    filling->depth++;
    if (!given)
        given = yyjson_arr_get_first(yyjson_obj_get(schema, "enum"));
    next = follow(filling, schema);
    if (!next)
        next = branch(schema);
    if (given)
        write_given(given, filling->out);
    else if (next)
        fill(filling, next);
    else
        fill_type(filling, schema);
    filling->depth--;
}

int sim_schema_fill(yyjson_val *schema, const struct sim_text *text, struct buf *out)
{
    struct filling filling = {.root = schema, .text = text, .out = out};

    if (schema)
        fill(&filling, schema);
    else
        sim_schema_plain(text, out);
    if (out->err)
        return out->err;
    return filling.is_too_deep ? ERR_FULL : 0;
}
