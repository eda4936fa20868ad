#include "dialect/request_scan.h"

#include <stdio.h>

#include "base/bug.h"
#include "base/err.h"
#include "json/write.h"

/* What the gateway itself acts on stands there once and plainly, so that the provider cannot read
 * it otherwise than we do. */
enum { ONCE = JSON_UNIQUE | JSON_SPELLED };

#define TEXTS  (JSON_STRING | JSON_ARRAY)
#define NUMBER (JSON_NUMBER | JSON_NULL)

/* The fields of a form, by the names that it has for them; "" where it has none: no row matches an
 * empty name. */
/* clang-format off */
#define ROWS(model, stream, options, n, best_of, max, max_completion, content, content_types,      \
             system, format, inner_format, include_usage, inner_n, inner_max, also, inner_also)    \
    {                                                                                              \
        [REQUEST_MODEL] = {SPAN_INIT(model), -1, JSON_STRING | JSON_NULL, ONCE, 0, 0},             \
        [REQUEST_STREAM] = {SPAN_INIT(stream), -1, JSON_BOOL | JSON_NULL, ONCE, 0, 0},             \
        [REQUEST_OPTIONS] = {SPAN_INIT(options), -1, JSON_OBJECT | JSON_NULL, ONCE,                \
                             REQUEST_INCLUDE_USAGE,                                                \
                             MARK(include_usage) | MARK(inner_n) | MARK(inner_max) | (inner_also)}, \
        [REQUEST_N] = {SPAN_INIT(n), -1, NUMBER, 0, 0, 0},                                         \
        [REQUEST_BEST_OF] = {SPAN_INIT(best_of), -1, NUMBER, 0, 0, 0},                             \
        [REQUEST_MAX_TOKENS] = {SPAN_INIT(max), -1, NUMBER, 0, 0, 0},                              \
        [REQUEST_MAX_COMPLETION_TOKENS] = {SPAN_INIT(max_completion), -1, NUMBER, 0, 0, 0},        \
        [REQUEST_TOOLS] = {SPAN_INIT("tools"), -1, JSON_ANY, 0, 0, 0},                             \
        [REQUEST_FUNCTIONS] = {SPAN_INIT("functions"), -1, JSON_ANY, 0, 0, 0},                     \
        [REQUEST_CONTENT] = {SPAN_INIT(content), -1, content_types, JSON_COUNTED, 0, 0},           \
        [REQUEST_SYSTEM] = {SPAN_INIT(system), -1, JSON_ANY, JSON_COUNTED, 0, 0},                  \
        [REQUEST_CACHE_KEY] = {SPAN_INIT("prompt_cache_key"), -1, JSON_ANY, 0, 0, 0},              \
        [REQUEST_USER] = {SPAN_INIT("user"), -1, JSON_ANY, 0, 0, 0},                               \
        [REQUEST_METADATA] = {SPAN_INIT("metadata"), -1, JSON_ANY, 0, REQUEST_USER_ID,             \
                              JSON_MARK("user_id")},                                               \
        [REQUEST_FORMAT] = {SPAN_INIT(format), -1, JSON_ANY, 0, REQUEST_INNER_FORMAT,              \
                            MARK(inner_format)},                                                   \
        [REQUEST_INCLUDE_USAGE] = {SPAN_INIT(include_usage), REQUEST_OPTIONS,                      \
                                   JSON_BOOL | JSON_NULL, ONCE, 0, 0},                             \
        [REQUEST_INNER_N] = {SPAN_INIT(inner_n), REQUEST_OPTIONS, NUMBER, 0, 0, 0},                \
        [REQUEST_INNER_MAX] = {SPAN_INIT(inner_max), REQUEST_OPTIONS, NUMBER, 0, 0, 0},            \
        [REQUEST_USER_ID] = {SPAN_INIT("user_id"), REQUEST_METADATA, JSON_ANY, 0, 0, 0},           \
        [REQUEST_INNER_FORMAT] = {SPAN_INIT(inner_format), REQUEST_FORMAT, JSON_ANY, 0, 0, 0},     \
        [REQUEST_MEDIA_TYPE] = {SPAN_INIT("mimeType"), JSON_SIGN_TEXT, JSON_ANY, JSON_TELLS, 0, 0}, \
    }

#define MARK(name) (sizeof(name) == 1 ? 0 : JSON_MARK(name))
#define MARKS(model, stream, options, n, best_of, max, max_completion, content, content_types,     \
              system, format, inner_format, include_usage, inner_n, inner_max, also, inner_also)   \
    ((also) | MARK(model) | MARK(stream) | MARK(options) | MARK(n) | MARK(best_of) | MARK(max) |            \
     MARK(max_completion) | JSON_MARK("tools") | JSON_MARK("functions") |                          \
     MARK(content) | MARK(system) | JSON_MARK("prompt_cache_key") | JSON_MARK("user") | JSON_MARK("metadata") | MARK(format))

#define CHAT        "model", "stream", "stream_options", "n", "", "max_tokens", "max_completion_tokens", \
                    "messages", JSON_ARRAY, "", "response_format", "", "include_usage", "", "", 0, 0
#define COMPLETIONS "model", "stream", "stream_options", "n", "best_of", "max_tokens", "max_completion_tokens", \
                    "prompt", TEXTS | JSON_NULL, "", "", "", "include_usage", "", "", 0, 0
#define RESPONSES   "model", "stream", "", "", "", "", "max_output_tokens", \
                    "input", TEXTS | JSON_NULL, "instructions", "text", "format", "", "", "", 0, 0
#define EMBEDDINGS  "model", "", "", "n", "", "max_tokens", "max_completion_tokens", \
                    "input", TEXTS, "", "", "", "", "", "", 0, 0
#define MESSAGES    "model", "stream", "", "", "", "max_tokens", "", \
                    "messages", JSON_ARRAY, "system", "output_config", "format", "", "", "", 0, 0
#define COUNTED     "model", "", "", "", "", "", "", "messages", JSON_ARRAY, "system", "", "", "", "", "", 0, 0
#define GENERATE    "", "", "generationConfig", "", "", "", "", \
                    "contents", JSON_ARRAY | JSON_OBJECT, "systemInstruction", "", "", "", "candidateCount", "maxOutputTokens", \
                    JSON_MARK("generation_config") | JSON_MARK("system_instruction"), \
                    JSON_MARK("candidate_count") | JSON_MARK("max_output_tokens")
#define MEASURED    "", "", "", "", "", "", "", "contents", JSON_ARRAY | JSON_OBJECT, "generateContentRequest", "", "", "", "", "", \
                    JSON_MARK("generate_content_request"), 0
#define EMBED_ONE   "", "", "", "", "", "", "", "content", JSON_OBJECT, "", "", "", "", "", "", 0, 0
#define EMBED_MANY  "", "", "", "", "", "", "", "requests", JSON_ARRAY, "", "", "", "", "", "", 0, 0

/* The lists above stand for several arguments each. */
#define EACH(macro, ...) macro(__VA_ARGS__)

static const struct json_watch rows[FORM_COUNT][REQUEST_FIELD_COUNT] = {
    [FORM_CHAT] = EACH(ROWS, CHAT),
    [FORM_COMPLETIONS] = EACH(ROWS, COMPLETIONS),
    [FORM_RESPONSES] = EACH(ROWS, RESPONSES),
    [FORM_EMBEDDINGS] = EACH(ROWS, EMBEDDINGS),
    [FORM_MESSAGES] = EACH(ROWS, MESSAGES),
    [FORM_COUNT_TOKENS] = EACH(ROWS, COUNTED),
    [FORM_GENERATE] = EACH(ROWS, GENERATE),
    [FORM_MEASURE] = EACH(ROWS, MEASURED),
    [FORM_EMBED] = EACH(ROWS, EMBED_ONE),
    [FORM_EMBED_BATCH] = EACH(ROWS, EMBED_MANY),
};

/* Google reads both spellings of a name. */
static const struct json_spelling generate_spellings[] = {
    {SPAN_INIT("generation_config"), REQUEST_OPTIONS}, {SPAN_INIT("system_instruction"), REQUEST_SYSTEM},
    {SPAN_INIT("candidate_count"), REQUEST_INNER_N}, {SPAN_INIT("max_output_tokens"), REQUEST_INNER_MAX},
    {SPAN_INIT("mime_type"), REQUEST_MEDIA_TYPE},
};
static const struct json_spelling measure_spellings[] = {
    {SPAN_INIT("generate_content_request"), REQUEST_SYSTEM},
};

static const struct span text_names[] = {
    SPAN_INIT("content"), SPAN_INIT("text"),    SPAN_INIT("arguments"), SPAN_INIT("reasoning_content"),
    SPAN_INIT("input"),   SPAN_INIT("refusal"), SPAN_INIT("output"),    SPAN_INIT("thinking"),
    /* From here on names of media, which are but counted. */
    SPAN_INIT("image_url"), SPAN_INIT("input_audio"), SPAN_INIT("media_type"), SPAN_INIT("inlineData"),
    SPAN_INIT("inline_data"), SPAN_INIT("fileData"), SPAN_INIT("file_data"),
};

enum { MEDIA_NAMES = 7 };

#define SIGN(name, parent, bit) {SPAN_INIT(name), parent, REQUEST_##bit}
#define ROOT  JSON_SIGN_ROOT
#define BELOW JSON_SIGN_TEXT
#define INNER REQUEST_OPTIONS

/* Media are told by the members that hold them. */
#define MEDIA                                                                                      \
    SIGN("image_url", BELOW, HAS_IMAGE), SIGN("file_id", BELOW, HAS_IMAGE),                        \
    SIGN("file_data", BELOW, HAS_IMAGE), SIGN("file_url", BELOW, HAS_IMAGE),                       \
    SIGN("input_audio", BELOW, HAS_AUDIO)
#define SAMPLING                                                                                   \
    SIGN("temperature", ROOT, SETS_TEMPERATURE), SIGN("top_p", ROOT, SETS_TOP_P),                  \
    SIGN("seed", ROOT, SETS_SEED), SIGN("presence_penalty", ROOT, SETS_PRESENCE_PENALTY),          \
    SIGN("frequency_penalty", ROOT, SETS_FREQUENCY_PENALTY)

static const struct json_sign chat_signs[] = {
    MEDIA, SAMPLING,
    SIGN("max_tokens", ROOT, SETS_MAX_TOKENS), SIGN("max_completion_tokens", ROOT, SETS_MAX_TOKENS),
    SIGN("reasoning_effort", ROOT, SETS_EFFORT), SIGN("reasoning", ROOT, SETS_EFFORT),
    SIGN("json_schema", REQUEST_FORMAT, HAS_SCHEMA),
};
static const struct json_sign completions_signs[] = {
    SAMPLING, SIGN("max_tokens", ROOT, SETS_MAX_TOKENS),
};
static const struct json_sign responses_signs[] = {
    MEDIA, SAMPLING,
    SIGN("max_output_tokens", ROOT, SETS_MAX_TOKENS), SIGN("schema", REQUEST_INNER_FORMAT, HAS_SCHEMA),
};
static const struct json_sign messages_signs[] = {
    SIGN("source", BELOW, HAS_IMAGE),
    SIGN("max_tokens", ROOT, SETS_MAX_TOKENS), SIGN("temperature", ROOT, SETS_TEMPERATURE),
    SIGN("top_p", ROOT, SETS_TOP_P), SIGN("top_k", ROOT, SETS_TOP_K),
    SIGN("schema", REQUEST_INNER_FORMAT, HAS_SCHEMA), SIGN("output_format", ROOT, HAS_SCHEMA),
};
static const struct json_sign generate_signs[] = {
    SIGN("inlineData", BELOW, HAS_MEDIA), SIGN("inline_data", BELOW, HAS_MEDIA),
    SIGN("fileData", BELOW, HAS_MEDIA), SIGN("file_data", BELOW, HAS_MEDIA),
    SIGN("audio/", REQUEST_MEDIA_TYPE, NAMES_SOUND), SIGN("image/", REQUEST_MEDIA_TYPE, NAMES_SIGHT),
    SIGN("video/", REQUEST_MEDIA_TYPE, NAMES_SIGHT), SIGN("text/", REQUEST_MEDIA_TYPE, NAMES_SIGHT),
    SIGN("application/", REQUEST_MEDIA_TYPE, NAMES_SIGHT),
    SIGN("responseSchema", INNER, HAS_SCHEMA), SIGN("response_schema", INNER, HAS_SCHEMA),
    SIGN("responseJsonSchema", INNER, HAS_SCHEMA), SIGN("response_json_schema", INNER, HAS_SCHEMA),
    SIGN("maxOutputTokens", INNER, SETS_MAX_TOKENS), SIGN("max_output_tokens", INNER, SETS_MAX_TOKENS),
    SIGN("temperature", INNER, SETS_TEMPERATURE),
    SIGN("topP", INNER, SETS_TOP_P), SIGN("top_p", INNER, SETS_TOP_P),
    SIGN("topK", INNER, SETS_TOP_K), SIGN("top_k", INNER, SETS_TOP_K), SIGN("seed", INNER, SETS_SEED),
    SIGN("presencePenalty", INNER, SETS_PRESENCE_PENALTY), SIGN("presence_penalty", INNER, SETS_PRESENCE_PENALTY),
    SIGN("frequencyPenalty", INNER, SETS_FREQUENCY_PENALTY), SIGN("frequency_penalty", INNER, SETS_FREQUENCY_PENALTY),
};

#define ALL_OF(array)                     array, sizeof(array) / sizeof((array)[0])
#define LIST(form, root)                  EACH(LIST_WITH, form, root, NULL, 0, NULL, 0)
#define LIST_OF(form, root, signs)        EACH(LIST_WITH, form, root, ALL_OF(signs), NULL, 0)
#define SPELLED(form, root, names)        EACH(LIST_WITH, form, root, NULL, 0, ALL_OF(names))
#define SPELLED_OF(form, root, signs, names)                                                       \
    EACH(LIST_WITH, form, root, ALL_OF(signs), ALL_OF(names))
#define LIST_WITH(form, root, signs_, count_, spellings_, spelling_count_)                         \
    [form] = {                                                                                     \
        .rows = rows[form], .count = REQUEST_FIELD_COUNT, .text_names = text_names,                \
        .text_name_count = sizeof(text_names) / sizeof(text_names[0]) - MEDIA_NAMES,               \
        .counted_name_count = MEDIA_NAMES, .signs = signs_, .sign_count = count_,                  \
        .spellings = spellings_, .spelling_count = spelling_count_,                                \
        .root_marks = root,                                                                        \
        .text_marks = JSON_MARK("content") | JSON_MARK("text") | JSON_MARK("arguments") |          \
                      JSON_MARK("reasoning_content") | JSON_MARK("input") | JSON_MARK("refusal") | \
                      JSON_MARK("output") | JSON_MARK("thinking") | JSON_MARK("image_url") |       \
                      JSON_MARK("input_audio") | JSON_MARK("media_type") |                         \
                      JSON_MARK("inlineData") | JSON_MARK("inline_data") |                         \
                      JSON_MARK("fileData") | JSON_MARK("file_data"),                              \
    }

static const struct json_watchlist lists[FORM_COUNT] = {
    LIST(FORM_CHAT, EACH(MARKS, CHAT)),
    LIST(FORM_COMPLETIONS, EACH(MARKS, COMPLETIONS)),
    LIST(FORM_RESPONSES, EACH(MARKS, RESPONSES)),
    LIST(FORM_EMBEDDINGS, EACH(MARKS, EMBEDDINGS)),
    LIST(FORM_MESSAGES, EACH(MARKS, MESSAGES)),
    LIST(FORM_COUNT_TOKENS, EACH(MARKS, COUNTED)),
    SPELLED(FORM_GENERATE, EACH(MARKS, GENERATE), generate_spellings),
    SPELLED(FORM_MEASURE, EACH(MARKS, MEASURED), measure_spellings),
    LIST(FORM_EMBED, EACH(MARKS, EMBED_ONE)),
    LIST(FORM_EMBED_BATCH, EACH(MARKS, EMBED_MANY)),
};

static const struct json_watchlist sign_lists[FORM_COUNT] = {
    LIST_OF(FORM_CHAT, EACH(MARKS, CHAT), chat_signs),
    LIST_OF(FORM_COMPLETIONS, EACH(MARKS, COMPLETIONS), completions_signs),
    LIST_OF(FORM_RESPONSES, EACH(MARKS, RESPONSES), responses_signs),
    LIST(FORM_EMBEDDINGS, EACH(MARKS, EMBEDDINGS)),
    LIST_OF(FORM_MESSAGES, EACH(MARKS, MESSAGES), messages_signs),
    LIST(FORM_COUNT_TOKENS, EACH(MARKS, COUNTED)),
    SPELLED_OF(FORM_GENERATE, EACH(MARKS, GENERATE), generate_signs, generate_spellings),
    SPELLED(FORM_MEASURE, EACH(MARKS, MEASURED), measure_spellings),
    LIST(FORM_EMBED, EACH(MARKS, EMBED_ONE)),
    LIST(FORM_EMBED_BATCH, EACH(MARKS, EMBED_MANY)),
};
/* clang-format on */

void request_scan_init(struct request_scan *request, enum form form, struct json_scan *scan)
{
    bug_fatal_unless((unsigned)form < FORM_COUNT);
    request->form = form;
    request->scan = scan;
    request->has_kinds = false;
    json_scan_init(scan, &lists[form], REQUEST_DEPTH_MAX);
    json_scan_capture(scan, REQUEST_MODEL, request->model, sizeof(request->model));
}

void request_scan_count_kinds(struct request_scan *request)
{
    request->has_kinds = true;
    request->kinds = (struct json_kinds){.texts = 0};
    json_scan_count_kinds(request->scan, &request->kinds);
}

void request_scan_look_for_signs(struct request_scan *request)
{
    request->scan->list = &sign_lists[request->form];
    json_scan_capture(request->scan, REQUEST_MEDIA_TYPE, request->media_type,
                      sizeof(request->media_type));
}

int request_scan_feed(struct request_scan *request, struct span piece)
{
    return json_scan_feed(request->scan, piece);
}

/* What is no sound, or of no told type, is seen. */
static uint64_t settle_media(uint64_t signs)
{
    const uint64_t sound = UINT64_C(1) << REQUEST_NAMES_SOUND, sight = UINT64_C(1)
                                                                       << REQUEST_NAMES_SIGHT;

    if (!(signs >> REQUEST_HAS_MEDIA & 1))
        return signs;
    if (signs & sound)
        signs |= UINT64_C(1) << REQUEST_HAS_AUDIO;
    if ((signs & sight) || !(signs & sound))
        signs |= UINT64_C(1) << REQUEST_HAS_IMAGE;
    return signs;
}

int request_scan_finish(struct request_scan *request)
{
    const struct json_scan *scan = request->scan;

    if (json_scan_finish(request->scan))
        return ERR_SYNTAX;
    memcpy(request->seen, scan->seen, sizeof(request->seen));
    request->root_start = scan->root_start;
    request->root_is_empty = scan->root_is_empty;
    request->text_bytes = scan->text_bytes;
    request->text_chars = scan->text_chars;
    request->text_numbers = scan->text_numbers;
    request->media = scan->named_members;
    request->signs = settle_media(scan->signs);
    request->scan = NULL;
    return 0;
}

static struct span field_name(const struct request_scan *request, int row)
{
    if (row == REQUEST_INCLUDE_USAGE)
        return SPAN("stream_options.include_usage");
    if (row == REQUEST_INNER_N)
        return SPAN("generationConfig.candidateCount");
    if (row == REQUEST_INNER_MAX)
        return SPAN("generationConfig.maxOutputTokens");
    return rows[request->form][row].name;
}

/* What a field wants, as OpenAI words it. */
static const char *wanted(const struct json_watch *row)
{
    switch (row->types & ~JSON_NULL) {
    case JSON_STRING:
        return "a string";
    case JSON_BOOL:
        return "a boolean";
    case JSON_NUMBER:
        return "an integer";
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array of objects";
    default:
        return "a string or an array";
    }
}

static void refuse_field(const struct request_scan *request, struct request_refusal *refusal)
{
    const struct json_scan *scan = request->scan;
    struct span name = field_name(request, scan->fault_row);

    refusal->param = name;
    if (scan->fault == JSON_FAULT_DUPLICATE) {
        refusal->failure = FAILURE_FIELD_TWICE;
        snprintf(refusal->message, sizeof(refusal->message),
                 "Duplicate parameter: '%.*s' may be given only once.", SPAN_ARG(name));
        return;
    }
    if (scan->fault == JSON_FAULT_SPELLING) {
        refusal->failure = FAILURE_FIELD_SPELLING;
        snprintf(refusal->message, sizeof(refusal->message),
                 "Invalid spelling of '%.*s': its name may not be written with escapes.",
                 SPAN_ARG(name));
        return;
    }
    refusal->failure = FAILURE_FIELD_TYPE;
    snprintf(refusal->message, sizeof(refusal->message),
             "Invalid type for '%.*s': expected %s, but got %s instead.", SPAN_ARG(name),
             wanted(&rows[request->form][scan->fault_row]), json_type_text(scan->fault_type));
}

static enum failure failure_of(enum json_fault fault)
{
    switch (fault) {
    case JSON_FAULT_EMPTY:
        return FAILURE_BODY_EMPTY;
    case JSON_FAULT_NOT_OBJECT:
        return FAILURE_BODY_NOT_OBJECT;
    case JSON_FAULT_DEPTH:
        return FAILURE_BODY_TOO_DEEP;
    case JSON_FAULT_UTF8:
        return FAILURE_BODY_NOT_UTF8;
    case JSON_FAULT_TRAILING:
        return FAILURE_BODY_TRAILING;
    case JSON_FAULT_DUPLICATE:
        return FAILURE_FIELD_TWICE;
    case JSON_FAULT_SPELLING:
        return FAILURE_FIELD_SPELLING;
    case JSON_FAULT_TYPE:
        return FAILURE_FIELD_TYPE;
    case JSON_FAULT_NONE:
    case JSON_FAULT_SYNTAX:
    case JSON_FAULT_CUT:
        break;
    }
    return FAILURE_BODY_NOT_JSON;
}

void request_scan_refusal(const struct request_scan *request, struct request_refusal *ret_refusal)
{
    const struct json_scan *scan = request->scan;
    const char *text;
    int len;

    ret_refusal->param = span_of(NULL, 0);
    if (scan->fault_row >= 0) {
        refuse_field(request, ret_refusal);
        return;
    }
    ret_refusal->failure = failure_of(scan->fault);
    text = failure_row(ret_refusal->failure)->message;
    if (scan->fault == JSON_FAULT_EMPTY) {
        snprintf(ret_refusal->message, sizeof(ret_refusal->message), "%s", text);
        return;
    }
    len = (int)strlen(text) - 1; /* the place goes before the full stop */
    snprintf(ret_refusal->message, sizeof(ret_refusal->message), "%.*s (%s byte %llu).", len, text,
             scan->fault == JSON_FAULT_CUT ? "it ends at" : "at",
             (unsigned long long)scan->fault_at);
}

struct span request_scan_model(const struct request_scan *request)
{
    const struct json_seen *seen = &request->seen[REQUEST_MODEL];

    return seen->type == JSON_STRING ? span_of(request->model, seen->text_len) : span_of(NULL, 0);
}

static bool is_true(const struct request_scan *request, enum request_field field)
{
    const struct json_seen *seen = &request->seen[field];

    return seen->type == JSON_BOOL && seen->is_true;
}

bool request_scan_is_streaming(const struct request_scan *request)
{
    return is_true(request, REQUEST_STREAM);
}

bool request_scan_wants_usage(const struct request_scan *request)
{
    return is_true(request, REQUEST_INCLUDE_USAGE);
}

#define MAX_TOKENS_COUNTED UINT64_C(1000000000000000)

static uint64_t count_of(const struct request_scan *request, enum request_field field)
{
    const struct json_seen *seen = &request->seen[field];

    return seen->type == JSON_NUMBER && seen->number > 0 ? (uint64_t)seen->number : 0;
}

static unsigned choices_of(const struct request_scan *request, enum request_field field)
{
    uint64_t count = count_of(request, field);

    if (count == 0 && field == REQUEST_N)
        count = count_of(request, REQUEST_INNER_N);
    if (count == 0)
        return 1;
    return count < REQUEST_CHOICES_MAX ? (unsigned)count : REQUEST_CHOICES_MAX;
}

unsigned request_scan_choices(const struct request_scan *request)
{
    return choices_of(request, REQUEST_N);
}

unsigned request_scan_written(const struct request_scan *request)
{
    unsigned choices = choices_of(request, REQUEST_N),
             written = choices_of(request, REQUEST_BEST_OF);

    /* Those that are not the best were written all the same. */
    return written > choices ? written : choices;
}

uint64_t request_scan_max_tokens_each(const struct request_scan *request)
{
    uint64_t most = count_of(request, REQUEST_MAX_COMPLETION_TOKENS);

    if (!most)
        most = count_of(request, REQUEST_MAX_TOKENS);
    if (!most)
        most = count_of(request, REQUEST_INNER_MAX);
    /* No limit is larger (tables/settings.def), and the product with the choices is in range. */
    return most < MAX_TOKENS_COUNTED ? most : MAX_TOKENS_COUNTED;
}

uint64_t request_scan_max_tokens(const struct request_scan *request)
{
    return request_scan_max_tokens_each(request) * request_scan_written(request);
}

static bool is_list(const struct json_seen *seen)
{
    return seen->type == JSON_ARRAY && !seen->is_empty;
}

bool request_scan_has_tools(const struct request_scan *request)
{
    return is_list(&request->seen[REQUEST_TOOLS]) || is_list(&request->seen[REQUEST_FUNCTIONS]);
}

static uint64_t list_bytes(const struct json_seen *seen)
{
    return seen->type == JSON_ARRAY && seen->is_whole ? seen->end - seen->start : 0;
}

/* The provider's model reads the tools' descriptions and schemas too. */
static uint64_t tool_bytes(const struct request_scan *request)
{
    return list_bytes(&request->seen[REQUEST_TOOLS]) +
           list_bytes(&request->seen[REQUEST_FUNCTIONS]);
}

uint64_t request_scan_estimate_tokens(const struct request_scan *request)
{
    return dialect_estimate_tokens(request->text_bytes + tool_bytes(request)) +
           request->text_numbers;
}

struct request_text request_scan_text(const struct request_scan *request)
{
    return (struct request_text){
        .kinds = request->has_kinds ? &request->kinds : NULL,
        .numbers = request->text_numbers,
        .tool_bytes = tool_bytes(request),
        .media = request->media,
    };
}

/* Edits. */

static void add_edit(struct request_edits *edits, uint64_t offset, uint64_t remove,
                     struct span insert)
{
    size_t at = edits->count++;

    for (; at > 0 && edits->at[at - 1].offset > offset; at--)
        edits->at[at] = edits->at[at - 1];
    edits->at[at] = (struct dialect_edit){offset, remove, insert};
}

static int edit_model(const struct request_scan *request, struct span model,
                      struct request_edits *edits)
{
    const struct json_seen *seen = &request->seen[REQUEST_MODEL];
    const struct span name = SPAN("\"model\":");
    size_t len = 0, value;
    int err;

    if (seen->type == JSON_STRING && !seen->is_cut &&
        span_is_equal(request_scan_model(request), model))
        return 0;
    if (!seen->type) {
        memcpy(edits->text, name.ptr, name.len);
        len = name.len;
    }
    err = json_write_string_to(edits->text + len, sizeof(edits->text) - len - 1, model, &value);
    if (err)
        return err;
    len += value;
    if (seen->type) {
        add_edit(edits, seen->start, seen->end - seen->start, span_of(edits->text, len));
        return 0;
    }
    if (!request->root_is_empty)
        edits->text[len++] = ',';
    add_edit(edits, request->root_start, 0, span_of(edits->text, len));
    return 0;
}

static void edit_usage(const struct request_scan *request, struct request_edits *edits)
{
    const struct json_seen *options = &request->seen[REQUEST_OPTIONS];
    const struct json_seen *include = &request->seen[REQUEST_INCLUDE_USAGE];

    if (include->type)
        add_edit(edits, include->start, include->end - include->start, SPAN("true"));
    else if (options->type == JSON_OBJECT)
        add_edit(edits, options->start + 1, 0,
                 options->is_empty ? SPAN("\"include_usage\":true")
                                   : SPAN("\"include_usage\":true,"));
    else if (options->type == JSON_NULL)
        add_edit(edits, options->start, options->end - options->start,
                 SPAN("{\"include_usage\":true}"));
    else /* the root is not empty: it says "stream" */
        add_edit(edits, request->root_start, 0,
                 SPAN("\"stream_options\":{\"include_usage\":true},"));
}

int request_scan_edit(const struct request_scan *request, struct span model, bool ask_usage,
                      struct request_edits *ret_edits)
{
    int err = 0;

    ret_edits->count = 0;
    if (model.len)
        err = edit_model(request, model, ret_edits);
    if (!err && ask_usage && request_scan_is_streaming(request) &&
        !request_scan_wants_usage(request))
        edit_usage(request, ret_edits);
    return err;
}
