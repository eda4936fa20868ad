/* Gemini's wire format: the fields of its messages. It is read from protobuf's JSON, where a field
 * that nobody declared is a mistake, and a name may be spelled in camelCase or in snake_case. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/gemini.h"
#include "sim/request.h"

enum { MAX_DEPTH = 48 };

/* What stands behind a name. */
enum kind {
    KIND_ANY,
    KIND_STRING,
    KIND_NUMBER, /* or its spelling in a string */
    KIND_BOOL,
    KIND_OBJECT, /* with any members */
    KIND_STRINGS,
    KIND_MESSAGE,
    KIND_MESSAGES,
    KIND_MAP /* of messages by name */
};

enum message {
    CONTENT,
    PART,
    BLOB,
    FILE_DATA,
    CALL,
    RESPONSE,
    TOOL,
    DECLARATION,
    SCHEMA,
    TOOL_CONFIG,
    CALLING_CONFIG,
    SAFETY,
    GENERATION,
    THINKING,
    GENERATE,
    COUNT,
    EMBED,
    EMBEDS,
    MESSAGE_COUNT
};

struct field {
    const char *name; /* NULL: the list ends */
    enum kind kind;
    enum message message;
};

static const struct field content_fields[] = {
    {"parts", KIND_MESSAGES, PART}, {"role", KIND_STRING}, {NULL}};

static const struct field part_fields[] = {{"text", KIND_STRING},
                                           {"inline_data", KIND_MESSAGE, BLOB},
                                           {"file_data", KIND_MESSAGE, FILE_DATA},
                                           {"function_call", KIND_MESSAGE, CALL},
                                           {"function_response", KIND_MESSAGE, RESPONSE},
                                           {"executable_code", KIND_ANY},
                                           {"code_execution_result", KIND_ANY},
                                           {"tool_call", KIND_ANY},
                                           {"tool_response", KIND_ANY},
                                           {"thought", KIND_BOOL},
                                           {"thought_signature", KIND_STRING},
                                           {"video_metadata", KIND_ANY},
                                           {"media_resolution", KIND_ANY},
                                           {"part_metadata", KIND_ANY},
                                           {NULL}};

static const struct field blob_fields[] = {
    {"mime_type", KIND_STRING}, {"data", KIND_STRING}, {"display_name", KIND_STRING}, {NULL}};

static const struct field file_fields[] = {
    {"mime_type", KIND_STRING}, {"file_uri", KIND_STRING}, {"display_name", KIND_STRING}, {NULL}};

static const struct field call_fields[] = {{"id", KIND_STRING},          {"name", KIND_STRING},
                                           {"args", KIND_OBJECT},        {"partial_args", KIND_ANY},
                                           {"will_continue", KIND_BOOL}, {NULL}};

static const struct field response_fields[] = {{"id", KIND_STRING},
                                               {"name", KIND_STRING},
                                               {"response", KIND_OBJECT},
                                               {"parts", KIND_ANY},
                                               {"will_continue", KIND_BOOL},
                                               {"scheduling", KIND_STRING},
                                               {NULL}};

static const struct field tool_fields[] = {{"function_declarations", KIND_MESSAGES, DECLARATION},
                                           {"google_search", KIND_ANY},
                                           {"google_search_retrieval", KIND_ANY},
                                           {"code_execution", KIND_ANY},
                                           {"url_context", KIND_ANY},
                                           {"file_search", KIND_ANY},
                                           {"google_maps", KIND_ANY},
                                           {"computer_use", KIND_ANY},
                                           {NULL}};

static const struct field declaration_fields[] = {{"name", KIND_STRING},
                                                  {"description", KIND_STRING},
                                                  {"parameters", KIND_MESSAGE, SCHEMA},
                                                  {"parameters_json_schema", KIND_ANY},
                                                  {"response", KIND_MESSAGE, SCHEMA},
                                                  {"response_json_schema", KIND_ANY},
                                                  {"behavior", KIND_STRING},
                                                  {NULL}};

/* Google's subset of OpenAPI's schemas, which is no JSON Schema. */
static const struct field schema_fields[] = {{"type", KIND_STRING},
                                             {"format", KIND_STRING},
                                             {"title", KIND_STRING},
                                             {"description", KIND_STRING},
                                             {"nullable", KIND_BOOL},
                                             {"enum", KIND_STRINGS},
                                             {"min_items", KIND_NUMBER},
                                             {"max_items", KIND_NUMBER},
                                             {"properties", KIND_MAP, SCHEMA},
                                             {"required", KIND_STRINGS},
                                             {"min_properties", KIND_NUMBER},
                                             {"max_properties", KIND_NUMBER},
                                             {"min_length", KIND_NUMBER},
                                             {"max_length", KIND_NUMBER},
                                             {"pattern", KIND_STRING},
                                             {"example", KIND_ANY},
                                             {"any_of", KIND_MESSAGES, SCHEMA},
                                             {"property_ordering", KIND_STRINGS},
                                             {"default", KIND_ANY},
                                             {"items", KIND_MESSAGE, SCHEMA},
                                             {"minimum", KIND_NUMBER},
                                             {"maximum", KIND_NUMBER},
                                             {NULL}};

static const struct field tool_config_fields[] = {
    {"function_calling_config", KIND_MESSAGE, CALLING_CONFIG},
    {"retrieval_config", KIND_ANY},
    {NULL}};

static const struct field calling_config_fields[] = {
    {"mode", KIND_STRING}, {"allowed_function_names", KIND_STRINGS}, {NULL}};

static const struct field safety_fields[] = {
    {"category", KIND_STRING}, {"threshold", KIND_STRING}, {NULL}};

static const struct field generation_fields[] = {{"candidate_count", KIND_NUMBER},
                                                 {"stop_sequences", KIND_STRINGS},
                                                 {"max_output_tokens", KIND_NUMBER},
                                                 {"temperature", KIND_NUMBER},
                                                 {"top_p", KIND_NUMBER},
                                                 {"top_k", KIND_NUMBER},
                                                 {"seed", KIND_NUMBER},
                                                 {"presence_penalty", KIND_NUMBER},
                                                 {"frequency_penalty", KIND_NUMBER},
                                                 {"response_mime_type", KIND_STRING},
                                                 {"response_schema", KIND_MESSAGE, SCHEMA},
                                                 {"response_json_schema", KIND_ANY},
                                                 {"response_logprobs", KIND_BOOL},
                                                 {"logprobs", KIND_NUMBER},
                                                 {"response_modalities", KIND_STRINGS},
                                                 {"speech_config", KIND_ANY},
                                                 {"image_config", KIND_ANY},
                                                 {"media_resolution", KIND_STRING},
                                                 {"enable_enhanced_civic_answers", KIND_BOOL},
                                                 {"thinking_config", KIND_MESSAGE, THINKING},
                                                 {NULL}};

static const struct field thinking_fields[] = {{"include_thoughts", KIND_BOOL},
                                               {"thinking_budget", KIND_NUMBER},
                                               {"thinking_level", KIND_STRING},
                                               {NULL}};

static const struct field generate_fields[] = {{"model", KIND_STRING},
                                               {"contents", KIND_MESSAGES, CONTENT},
                                               {"system_instruction", KIND_MESSAGE, CONTENT},
                                               {"tools", KIND_MESSAGES, TOOL},
                                               {"tool_config", KIND_MESSAGE, TOOL_CONFIG},
                                               {"safety_settings", KIND_MESSAGES, SAFETY},
                                               {"generation_config", KIND_MESSAGE, GENERATION},
                                               {"cached_content", KIND_STRING},
                                               {"labels", KIND_OBJECT},
                                               {"service_tier", KIND_STRING},
                                               {"continuation_token", KIND_STRING},
                                               {NULL}};

static const struct field count_fields[] = {{"contents", KIND_MESSAGES, CONTENT},
                                            {"generate_content_request", KIND_MESSAGE, GENERATE},
                                            {NULL}};

static const struct field embed_fields[] = {
    {"model", KIND_STRING}, {"content", KIND_MESSAGE, CONTENT},     {"task_type", KIND_STRING},
    {"title", KIND_STRING}, {"output_dimensionality", KIND_NUMBER}, {NULL}};

static const struct field embeds_fields[] = {{"requests", KIND_MESSAGES, EMBED}, {NULL}};

static const struct field *const messages[MESSAGE_COUNT] = {
    [CONTENT] = content_fields,
    [PART] = part_fields,
    [BLOB] = blob_fields,
    [FILE_DATA] = file_fields,
    [CALL] = call_fields,
    [RESPONSE] = response_fields,
    [TOOL] = tool_fields,
    [DECLARATION] = declaration_fields,
    [SCHEMA] = schema_fields,
    [TOOL_CONFIG] = tool_config_fields,
    [CALLING_CONFIG] = calling_config_fields,
    [SAFETY] = safety_fields,
    [GENERATION] = generation_fields,
    [THINKING] = thinking_fields,
    [GENERATE] = generate_fields,
    [COUNT] = count_fields,
    [EMBED] = embed_fields,
    [EMBEDS] = embeds_fields,
};

/* --- names --- */

/* True for the name itself and for its spelling in camelCase. */
static bool is_name(struct span text, const char *name)
{
    size_t at = 0;

    if (span_is_equal(text, span_from_text(name)))
        return true;
    for (; *name; name++, at++) {
        char wanted = *name;

        if (wanted == '_') {
            wanted = *++name;
            if (wanted >= 'a' && wanted <= 'z')
                wanted = (char)(wanted - 'a' + 'A');
        }
        if (at == text.len || text.ptr[at] != wanted)
            return false;
    }
    return at == text.len;
}

yyjson_val *sim_gemini_member(yyjson_val *object, const char *name)
{
    yyjson_obj_iter iter;
    yyjson_val *key;

    yyjson_obj_iter_init(object, &iter);
    while ((key = yyjson_obj_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);

        if (is_name(sim_json_text(key), name) && !yyjson_is_null(value))
            return value;
    }
    return NULL;
}

struct span sim_gemini_text(yyjson_val *object, const char *name)
{
    return json_tree_text(sim_gemini_member(object, name));
}

static const struct field *find_field(enum message message, struct span name)
{
    for (const struct field *field = messages[message]; field->name; field++)
        if (is_name(name, field->name))
            return field;
    return NULL;
}

/* --- values --- */

/* Where in the body a value stands: the names and places above it, each in its caller's frame. */
struct place {
    const struct place *above; /* NULL: the body */
    struct span name;          /* or, where ptr is NULL, */
    size_t index;              /* of a list */
    unsigned depth;
};

static int check_message(struct sim_request *in, yyjson_val *value, enum message message,
                         const struct place *place);

static void write_place(const struct place *place, struct buf *out)
{
    if (!place->above)
        return;
    write_place(place->above, out);
    if (!place->name.ptr)
        buf_printf(out, "[%zu]", place->index);
    else
        buf_printf(out, "%s%.*s", out->len ? "." : "", SPAN_ARG(place->name));
}

static struct span place_name(struct sim_request *in, const struct place *place)
{
    struct span name = SPAN("");
    struct buf out;

    buf_init(&out, 8192);
    write_place(place, &out);
    if (out.len)
        name = arena_copy(in->arena, buf_span(&out));
    buf_fini(&out);
    return name;
}

static int refuse_value(struct sim_request *in, const struct place *place, const char *wanted)
{
    struct span name = place_name(in, place);

    return sim_refuse_with(in, name, "Invalid value at '%.*s' (%s)", SPAN_ARG(name), wanted);
}

static int refuse_name(struct sim_request *in, const struct place *place, struct span name)
{
    struct span where = place_name(in, place);

    return sim_refuse_with(in, where,
                           "Invalid JSON payload received. Unknown name \"%.*s\"%s%.*s%s: Cannot "
                           "find field.",
                           SPAN_ARG(name), where.len ? " at '" : "", SPAN_ARG(where),
                           where.len ? "'" : "");
}

static int check_list(struct sim_request *in, yyjson_val *list, const struct field *field,
                      const struct place *place)
{
    struct place item = {.above = place, .depth = place->depth};
    yyjson_arr_iter iter;
    yyjson_val *value;
    int err = 0;

    if (!yyjson_arr_iter_init(list, &iter))
        return refuse_value(in, place, "a list is wanted");
    for (; !err && (value = yyjson_arr_iter_next(&iter)); item.index++) {
        if (field->kind == KIND_MESSAGES)
            err = check_message(in, value, field->message, &item);
        else if (!yyjson_is_str(value))
            err = refuse_value(in, &item, "TYPE_STRING");
    }
    return err;
}

static int check_map(struct sim_request *in, yyjson_val *map, const struct field *field,
                     const struct place *place)
{
    yyjson_obj_iter iter;
    yyjson_val *key;
    int err = 0;

    if (!yyjson_obj_iter_init(map, &iter))
        return refuse_value(in, place, "an object is wanted");
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        struct place item = {.above = place, .name = sim_json_text(key), .depth = place->depth};

        err = check_message(in, yyjson_obj_iter_get_val(key), field->message, &item);
    }
    return err;
}

static int check_value(struct sim_request *in, yyjson_val *value, const struct field *field,
                       const struct place *place)
{
    switch (field->kind) {
    case KIND_ANY:
        break;
    case KIND_STRING:
        return yyjson_is_str(value) ? 0 : refuse_value(in, place, "TYPE_STRING");
    case KIND_NUMBER:
        return yyjson_is_num(value) || yyjson_is_str(value)
                   ? 0
                   : refuse_value(in, place, "TYPE_DOUBLE");
    case KIND_BOOL:
        return yyjson_is_bool(value) ? 0 : refuse_value(in, place, "TYPE_BOOL");
    case KIND_OBJECT:
        return yyjson_is_obj(value) ? 0 : refuse_value(in, place, "an object is wanted");
    case KIND_MESSAGE:
        return check_message(in, value, field->message, place);
    case KIND_STRINGS:
    case KIND_MESSAGES:
        return check_list(in, value, field, place);
    case KIND_MAP:
        return check_map(in, value, field, place);
    }
    return 0;
}

static int check_message(struct sim_request *in, yyjson_val *value, enum message message,
                         const struct place *place)
{
    yyjson_obj_iter iter;
    yyjson_val *key;
    int err = 0;

    if (place->depth == MAX_DEPTH)
        return refuse_value(in, place, "nested too deeply");
    if (!yyjson_obj_iter_init(value, &iter))
        return refuse_value(in, place, "an object is wanted");
    while (!err && (key = yyjson_obj_iter_next(&iter))) {
        const struct field *field = find_field(message, sim_json_text(key));
        yyjson_val *member = yyjson_obj_iter_get_val(key);
        struct place below = {.above = place, .depth = place->depth + 1};

        if (!field)
            return refuse_name(in, place, sim_json_text(key));
        below.name = span_from_text(field->name);
        if (!yyjson_is_null(member))
            err = check_value(in, member, field, &below);
    }
    return err;
}

int sim_gemini_check_names(struct sim_request *in, enum sim_gemini_message message)
{
    static const enum message roots[] = {
        [SIM_GEMINI_GENERATE] = GENERATE,
        [SIM_GEMINI_COUNT] = COUNT,
        [SIM_GEMINI_EMBED] = EMBED,
        [SIM_GEMINI_EMBEDS] = EMBEDS,
    };
    struct place body = {0};

    return check_message(in, in->root, roots[message], &body);
}
