/*
 * JSON Schema told as Google's Schema, for models that know no other: references are written out,
 * null becomes `nullable`, a constant a list of one word, and what it has no word for is left out.
 */
#include "base/err.h"
#include "dialect/gemini_inner.h"

struct schema_writer {
    struct json_writer writer;
    yyjson_val *root;
    unsigned nodes; /* written so far */
    bool is_too_large;
};

/* What a schema says of null, and which of its alternatives remain without it. */
struct shape {
    yyjson_val *type;   /* a string */
    yyjson_val *choice; /* the list of anyOf or oneOf, or of types */
    size_t choices;     /* of it, without null */
    yyjson_val *words;  /* enum */
    yyjson_val *word;   /* const */
    bool is_nullable;
};

static void write_schema(struct schema_writer *schemas, yyjson_val *schema, unsigned depth);
static void write_members(struct schema_writer *schemas, yyjson_val *schema, unsigned depth,
                          bool is_nullable);

static bool is_text(yyjson_val *value, const char *text)
{
    return span_is_equal(json_tree_text(value), span_from_text(text));
}

/* "#/$defs/NAME" and "#/definitions/NAME"; "#" is the root. NULL where it leads nowhere. */
static yyjson_val *follow(const struct schema_writer *schemas, struct span place)
{
    yyjson_val *value = schemas->root;
    struct span step;

    if (!span_has_prefix(place, SPAN("#")))
        return NULL;
    place = span_skip(place, place.len > 1 && place.ptr[1] == '/' ? 2 : 1);
    while (value && place.len && span_next_token(&place, '/', &step))
        value = yyjson_obj_getn(value, step.ptr, step.len);
    return value;
}

static yyjson_val *resolve(const struct schema_writer *schemas, yyjson_val *schema)
{
    /* A reference may lead to one; a ring of them leads nowhere. */
    for (unsigned steps = 0; steps < 16; steps++) {
        yyjson_val *place = yyjson_obj_get(schema, "$ref");
        yyjson_val *only = yyjson_obj_get(schema, "allOf");

        if (yyjson_is_str(place))
            schema = follow(schemas, json_tree_text(place));
        else if (yyjson_arr_size(only) == 1 && !yyjson_obj_get(schema, "properties"))
            schema = yyjson_arr_get_first(only);
        else
            return schema;
    }
    return NULL;
}

static bool is_null_schema(yyjson_val *value)
{
    return is_text(value, "null") || is_text(yyjson_obj_get(value, "type"), "null");
}

static void take_choice(struct shape *shape, yyjson_val *list)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    shape->choice = list;
    shape->choices = 0;
    while ((item = yyjson_arr_iter_next(&items))) {
        if (is_null_schema(item))
            shape->is_nullable = true;
        else
            shape->choices++;
    }
}

static struct shape shape_of(yyjson_val *schema)
{
    yyjson_val *type = yyjson_obj_get(schema, "type"), *any = yyjson_obj_get(schema, "anyOf");
    struct shape shape = {.words = yyjson_obj_get(schema, "enum"),
                          .word = yyjson_obj_get(schema, "const")};

    if (!any)
        any = yyjson_obj_get(schema, "oneOf");
    if (yyjson_is_arr(any))
        take_choice(&shape, any);
    else if (yyjson_is_arr(type))
        take_choice(&shape, type);
    else if (yyjson_is_str(type))
        shape.type = type;
    return shape;
}

/* --- members --- */

static void write_words(struct schema_writer *schemas, const struct shape *shape,
                        bool *ret_is_nullable)
{
    struct json_writer *writer = &schemas->writer;
    yyjson_arr_iter items = yyjson_arr_iter_with(shape->words);
    yyjson_val *item = shape->word ? shape->word : yyjson_arr_iter_next(&items);

    /* Only strings may stand there. */
    json_member_text(writer, "type", "string");
    json_name(writer, "enum");
    json_begin_array(writer);
    while (item) {
        struct span number = json_tree_number(item), text = json_tree_text(item);

        if (yyjson_is_null(item))
            *ret_is_nullable = true;
        else if (yyjson_is_bool(item))
            json_text(writer, yyjson_get_bool(item) ? "true" : "false");
        else if (number.ptr || text.ptr)
            json_string(writer, number.ptr ? number : text);
        item = shape->word ? NULL : yyjson_arr_iter_next(&items);
    }
    json_end_array(writer);
}

/* More than one type, or more than one alternative. */
static void write_choice(struct schema_writer *schemas, const struct shape *shape, unsigned depth)
{
    struct json_writer *writer = &schemas->writer;
    yyjson_arr_iter items = yyjson_arr_iter_with(shape->choice);
    yyjson_val *item;

    json_name(writer, "anyOf");
    json_begin_array(writer);
    while ((item = yyjson_arr_iter_next(&items))) {
        if (is_null_schema(item))
            continue;
        if (!yyjson_is_str(item)) {
            write_schema(schemas, item, depth + 1);
            continue;
        }
        json_begin_object(writer);
        json_member_string(writer, "type", json_tree_text(item));
        json_end_object(writer);
    }
    json_end_array(writer);
}

static yyjson_val *only_choice(const struct shape *shape)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(shape->choice);
    yyjson_val *item;

    while ((item = yyjson_arr_iter_next(&items))) {
        if (!is_null_schema(item))
            return item;
    }
    return NULL;
}

static bool is_format_known(yyjson_val *schema, yyjson_val *format)
{
    static const char *const known[] = {"enum", "date-time", "float", "double", "int32", "int64"};
    bool is_string = is_text(yyjson_obj_get(schema, "type"), "string");

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (is_text(format, known[i]))
            return is_string == (i < 2);
    }
    return false;
}

static void write_plain(struct schema_writer *schemas, yyjson_val *schema)
{
    static const char *const names[] = {
        "title",         "description", "minimum",          "maximum", "minItems",
        "maxItems",      "minLength",   "maxLength",        "pattern", "minProperties",
        "maxProperties", "required",    "propertyOrdering",
    };
    yyjson_val *format = yyjson_obj_get(schema, "format");

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        yyjson_val *value = yyjson_obj_get(schema, names[i]);

        if (value && !yyjson_is_null(value))
            json_member_value(&schemas->writer, names[i], value);
    }
    if (is_format_known(schema, format))
        json_member_value(&schemas->writer, "format", format);
}

static void write_properties(struct schema_writer *schemas, yyjson_val *map, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(map);
    yyjson_val *name;

    if (yyjson_obj_size(map) == 0)
        return;
    json_name(&schemas->writer, "properties");
    json_begin_object(&schemas->writer);
    while ((name = yyjson_obj_iter_next(&members))) {
        json_name_span(&schemas->writer, json_tree_text(name));
        write_schema(schemas, yyjson_obj_iter_get_val(name), depth + 1);
    }
    json_end_object(&schemas->writer);
}

static void write_type(struct schema_writer *schemas, const struct shape *shape, unsigned depth,
                       bool *ret_is_nullable)
{
    yyjson_val *only = shape->choices == 1 ? only_choice(shape) : NULL;

    if (shape->words || shape->word)
        write_words(schemas, shape, ret_is_nullable);
    else if (shape->choices > 1)
        write_choice(schemas, shape, depth);
    else if (yyjson_is_str(only))
        json_member_string(&schemas->writer, "type", json_tree_text(only));
    else if (shape->type)
        json_member_string(&schemas->writer, "type", json_tree_text(shape->type));
}

static void write_members(struct schema_writer *schemas, yyjson_val *schema, unsigned depth,
                          bool is_nullable)
{
    struct shape shape = shape_of(schema);
    yyjson_val *items = yyjson_obj_get(schema, "items"), *only;

    is_nullable |= shape.is_nullable;
    only = shape.choices == 1 ? resolve(schemas, only_choice(&shape)) : NULL;
    if (yyjson_is_obj(only) && depth < GEMINI_SCHEMA_DEPTH) {
        /* One alternative beside null: its members stand here. */
        write_members(schemas, only, depth + 1, is_nullable);
        return;
    }
    write_type(schemas, &shape, depth, &is_nullable);
    write_plain(schemas, schema);
    write_properties(schemas, yyjson_obj_get(schema, "properties"), depth);
    if (yyjson_is_obj(items)) {
        json_name(&schemas->writer, "items");
        write_schema(schemas, items, depth + 1);
    }
    if (is_nullable)
        json_member_bool(&schemas->writer, "nullable", true);
}

static void write_schema(struct schema_writer *schemas, yyjson_val *schema, unsigned depth)
{
    struct json_writer *writer = &schemas->writer;

    schema = resolve(schemas, schema);
    if (++schemas->nodes > GEMINI_SCHEMA_NODES)
        schemas->is_too_large = true;
    json_begin_object(writer);
    /* Deeper down, and where a reference leads nowhere, anything fits. Two levels of the writer are
     * taken by one of the schema's. */
    if (yyjson_is_obj(schema) && depth < GEMINI_SCHEMA_DEPTH && !schemas->is_too_large)
        write_members(schemas, schema, depth, false);
    json_end_object(writer);
}

int gemini_schema_write(struct buf *out, const yyjson_val *schema)
{
    struct schema_writer schemas = {.root = json_tree_plain(schema)};

    json_writer_init(&schemas.writer, out);
    write_schema(&schemas, json_tree_plain(schema), 0);
    return schemas.is_too_large ? ERR_RANGE : out->err;
}

bool gemini_schema_is_empty(const yyjson_val *schema)
{
    yyjson_val *value = json_tree_plain(schema);

    return !yyjson_is_obj(value) ||
           (!yyjson_obj_get(value, "$ref") && !yyjson_obj_get(value, "anyOf") &&
            yyjson_obj_size(yyjson_obj_get(value, "properties")) == 0);
}
