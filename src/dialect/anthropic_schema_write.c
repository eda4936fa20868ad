/* Writes JSON Schemas, as tools and outputs have them. */
#include "dialect/anthropic_inner.h"

static void write_members(struct json_writer *json, const yyjson_val *object)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(json_tree_plain(object));
    yyjson_val *name;

    while ((name = yyjson_obj_iter_next(&iter))) {
        json_name_span(json, json_tree_text(name));
        json_value(json, yyjson_obj_iter_get_val(name));
    }
}

void anthropic_write_schema(struct anthropic_writing *writing, const yyjson_val *schema)
{
    struct json_writer *json = &writing->json;

    if (schema && json_tree_member(schema, "type")) {
        json_value(json, schema);
        return;
    }
    json_begin_object(json);
    json_member_text(json, "type", "object");
    if (yyjson_obj_size(json_tree_plain(schema)) > 0) {
        write_members(json, schema);
    } else {
        json_name(json, "properties");
        json_begin_object(json);
        json_end_object(json);
    }
    json_end_object(json);
}
