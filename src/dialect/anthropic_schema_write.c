/* Writes JSON Schemas, as tools and outputs have them. */
#include "dialect/anthropic_inner.h"

static void write_value(struct anthropic_writing *writing, const yyjson_val *value)
{
    json_raw(&writing->json, SPAN(""));
    (void)json_tree_write(writing->of->out, value);
}

static void write_members(struct anthropic_writing *writing, const yyjson_val *object)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(anthropic_plain(object));
    yyjson_val *name;

    while ((name = yyjson_obj_iter_next(&iter))) {
        json_name_span(&writing->json, json_tree_text(name));
        write_value(writing, yyjson_obj_iter_get_val(name));
    }
}

void anthropic_write_schema(struct anthropic_writing *writing, const yyjson_val *schema)
{
    struct json_writer *json = &writing->json;

    if (schema && json_tree_member(schema, "type")) {
        write_value(writing, schema);
        return;
    }
    json_begin_object(json);
    json_member_text(json, "type", "object");
    if (yyjson_obj_size(anthropic_plain(schema)) > 0) {
        write_members(writing, schema);
    } else {
        json_name(json, "properties");
        json_begin_object(json);
        json_end_object(json);
    }
    json_end_object(json);
}
