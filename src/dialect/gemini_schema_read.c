/*
 * Google's Schema, a subset of OpenAPI 3.0, told as JSON Schema: types in small letters, `nullable`
 * as a type beside, numbers that are strings (int64) as numbers, the order of properties left out.
 */
#include "dialect/gemini_inner.h"

static void write_schema(struct json_writer *writer, yyjson_val *schema, unsigned depth);

static void write_type(struct json_writer *writer, struct span type, bool is_nullable)
{
    char small[16];
    size_t len = type.len < sizeof(small) ? type.len : sizeof(small);

    for (size_t i = 0; i < len; i++)
        small[i] = type.ptr[i] >= 'A' && type.ptr[i] <= 'Z' ? (char)(type.ptr[i] - 'A' + 'a')
                                                            : type.ptr[i];
    json_name(writer, "type");
    if (is_nullable)
        json_begin_array(writer);
    json_string(writer, span_of(small, len));
    if (!is_nullable)
        return;
    json_string(writer, SPAN("null"));
    json_end_array(writer);
}

static void write_map(struct json_writer *writer, yyjson_val *map, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(map);
    yyjson_val *name;

    json_begin_object(writer);
    while ((name = yyjson_obj_iter_next(&members))) {
        json_name_span(writer, json_tree_text(name));
        write_schema(writer, yyjson_obj_iter_get_val(name), depth + 1);
    }
    json_end_object(writer);
}

static void write_list(struct json_writer *writer, yyjson_val *list, unsigned depth)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    json_begin_array(writer);
    while ((item = yyjson_arr_iter_next(&items)))
        write_schema(writer, item, depth + 1);
    json_end_array(writer);
}

/* A nullable enum takes null too. */
static void write_enum(struct json_writer *writer, yyjson_val *list, bool is_nullable)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(list);
    yyjson_val *item;

    json_name(writer, "enum");
    json_begin_array(writer);
    while ((item = yyjson_arr_iter_next(&items)))
        json_value(writer, item);
    if (is_nullable)
        json_null(writer);
    json_end_array(writer);
}

static bool is_count(struct span name)
{
    static const struct span known[] = {
        SPAN_INIT("minItems"),  SPAN_INIT("maxItems"),      SPAN_INIT("minLength"),
        SPAN_INIT("maxLength"), SPAN_INIT("minProperties"), SPAN_INIT("maxProperties"),
    };

    return span_is_in(name, known, sizeof(known) / sizeof(known[0]));
}

static void write_other(struct json_writer *writer, struct span name, yyjson_val *value)
{
    int64_t number;

    json_name_span(writer, name);
    if (is_count(name) && yyjson_is_str(value) && gemini_int(value, &number))
        json_int(writer, number);
    else
        json_value(writer, value);
}

static void write_member(struct json_writer *writer, struct span spelled, yyjson_val *value,
                         bool is_nullable, unsigned depth)
{
    char buffer[GEMINI_FIELD_MAX];
    struct span name = gemini_camel(spelled, buffer);

    if (span_is_equal(name, SPAN("nullable")) || span_is_equal(name, SPAN("propertyOrdering")))
        return;
    if (span_is_equal(name, SPAN("type")) && yyjson_is_str(value)) {
        if (!span_is_equal(json_tree_text(value), SPAN("TYPE_UNSPECIFIED")))
            write_type(writer, json_tree_text(value), is_nullable);
    } else if (span_is_equal(name, SPAN("enum")) && yyjson_is_arr(value)) {
        write_enum(writer, value, is_nullable);
    } else if (span_is_equal(name, SPAN("properties")) && yyjson_is_obj(value)) {
        json_name(writer, "properties");
        write_map(writer, value, depth);
    } else if ((span_is_equal(name, SPAN("anyOf")) || span_is_equal(name, SPAN("prefixItems"))) &&
               yyjson_is_arr(value)) {
        json_name_span(writer, name);
        write_list(writer, value, depth);
    } else if (yyjson_is_obj(value) && (span_is_equal(name, SPAN("items")) ||
                                        span_is_equal(name, SPAN("additionalProperties")))) {
        json_name_span(writer, name);
        write_schema(writer, value, depth + 1);
    } else {
        write_other(writer, name, value);
    }
}

static void write_schema(struct json_writer *writer, yyjson_val *schema, unsigned depth)
{
    yyjson_obj_iter members = yyjson_obj_iter_with(schema);
    bool is_nullable = yyjson_get_bool(yyjson_obj_get(schema, "nullable"));
    yyjson_val *name;

    if (!yyjson_is_obj(schema) || depth > GEMINI_SCHEMA_DEPTH) {
        json_value(writer, schema);
        return;
    }
    json_begin_object(writer);
    while ((name = yyjson_obj_iter_next(&members)))
        write_member(writer, json_tree_text(name), yyjson_obj_iter_get_val(name), is_nullable,
                     depth);
    json_end_object(writer);
}

const yyjson_val *gemini_schema_read(struct arena *arena, const yyjson_val *schema)
{
    const yyjson_val *made = NULL;
    struct json_writer writer;
    struct buf text;

    buf_init(&text, arena->max);
    json_writer_init(&writer, &text);
    write_schema(&writer, json_tree_plain(schema), 0);
    if (!text.err)
        made = gemini_arena_json(arena, buf_span(&text));
    buf_fini(&text);
    return made;
}
