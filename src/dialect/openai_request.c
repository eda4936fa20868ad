#include "dialect/openai_request.h"

#include <stdio.h>

#include "base/bug.h"
#include "base/err.h"
#include "json/write.h"

/* What the gateway itself acts on stands there once and plainly, so that the provider cannot read
 * it otherwise than we do. */
enum { ONCE = JSON_UNIQUE | JSON_SPELLED };

/* The fields that all endpoints share; the text to work on is called otherwise at each. */
#define ROWS(stream_name, options_name, best_of_name, content_name, content_types)                 \
    {                                                                                              \
        [OPENAI_MODEL] = {SPAN_INIT("model"), -1, JSON_STRING | JSON_NULL, ONCE, 0, 0},            \
        [OPENAI_STREAM] = {SPAN_INIT(stream_name), -1, JSON_BOOL | JSON_NULL, ONCE, 0, 0},         \
        [OPENAI_STREAM_OPTIONS] = {SPAN_INIT(options_name), -1,                                    \
                                   JSON_OBJECT | JSON_NULL, ONCE,                                  \
                                   OPENAI_INCLUDE_USAGE,    JSON_MARK("include_usage")},           \
        [OPENAI_N] = {SPAN_INIT("n"), -1, JSON_NUMBER | JSON_NULL, 0, 0, 0},                       \
        [OPENAI_BEST_OF] = {SPAN_INIT(best_of_name), -1, JSON_NUMBER | JSON_NULL, 0, 0, 0},        \
        [OPENAI_MAX_TOKENS] = {SPAN_INIT("max_tokens"), -1, JSON_NUMBER | JSON_NULL, 0, 0, 0},     \
        [OPENAI_MAX_COMPLETION_TOKENS] =                                                           \
            {SPAN_INIT("max_completion_tokens"), -1, JSON_NUMBER | JSON_NULL, 0, 0, 0},            \
        [OPENAI_TOOLS] = {SPAN_INIT("tools"), -1, JSON_ANY, 0, 0, 0},                              \
        [OPENAI_CONTENT] = {SPAN_INIT(content_name), -1, content_types, JSON_COUNTED, 0, 0},       \
        [OPENAI_INCLUDE_USAGE] = {                                                                 \
            SPAN_INIT("include_usage"), OPENAI_STREAM_OPTIONS, JSON_BOOL | JSON_NULL, ONCE, 0, 0}, \
    }

/* No row matches an empty name: only completions know best_of, and embeddings are never streamed.
 */
static const struct json_watch rows[OPENAI_ENDPOINT_COUNT][OPENAI_FIELD_COUNT] = {
    [OPENAI_CHAT] = ROWS("stream", "stream_options", "", "messages", JSON_ARRAY),
    [OPENAI_COMPLETIONS] =
        ROWS("stream", "stream_options", "best_of", "prompt", JSON_STRING | JSON_ARRAY | JSON_NULL),
    [OPENAI_EMBEDDINGS] = ROWS("", "", "", "input", JSON_STRING | JSON_ARRAY),
};

static const struct span text_names[] = {
    SPAN_INIT("content"),           SPAN_INIT("text"),  SPAN_INIT("arguments"),
    SPAN_INIT("reasoning_content"), SPAN_INIT("input"), SPAN_INIT("refusal"),
};

#define SHARED_MARKS                                                                               \
    (JSON_MARK("model") | JSON_MARK("n") | JSON_MARK("max_tokens") |                               \
     JSON_MARK("max_completion_tokens") | JSON_MARK("tools"))
#define STREAM_MARKS (JSON_MARK("stream") | JSON_MARK("stream_options"))

#define LIST(endpoint, names)                                                                      \
    {                                                                                              \
        .rows = rows[endpoint], .count = OPENAI_FIELD_COUNT, .text_names = text_names,             \
        .text_name_count = sizeof(text_names) / sizeof(text_names[0]),                             \
        .root_marks = SHARED_MARKS | (names),                                                      \
        .text_marks = JSON_MARK("content") | JSON_MARK("text") | JSON_MARK("arguments") |          \
                      JSON_MARK("reasoning_content") | JSON_MARK("input") | JSON_MARK("refusal"),  \
    }

static const struct json_watchlist lists[OPENAI_ENDPOINT_COUNT] = {
    [OPENAI_CHAT] = LIST(OPENAI_CHAT, STREAM_MARKS | JSON_MARK("messages")),
    [OPENAI_COMPLETIONS] =
        LIST(OPENAI_COMPLETIONS, STREAM_MARKS | JSON_MARK("best_of") | JSON_MARK("prompt")),
    [OPENAI_EMBEDDINGS] = LIST(OPENAI_EMBEDDINGS, JSON_MARK("input")),
};

void openai_request_init(struct openai_request *request, enum openai_endpoint endpoint,
                         struct json_scan *scan)
{
    bug_fatal_unless((unsigned)endpoint < OPENAI_ENDPOINT_COUNT);
    request->endpoint = endpoint;
    request->scan = scan;
    json_scan_init(scan, &lists[endpoint], OPENAI_DEPTH_MAX);
    json_scan_capture(scan, OPENAI_MODEL, request->model, sizeof(request->model));
}

int openai_request_feed(struct openai_request *request, struct span piece)
{
    return json_scan_feed(request->scan, piece);
}

int openai_request_finish(struct openai_request *request)
{
    const struct json_scan *scan = request->scan;

    if (json_scan_finish(request->scan))
        return ERR_SYNTAX;
    memcpy(request->seen, scan->seen, sizeof(request->seen));
    request->root_start = scan->root_start;
    request->root_is_empty = scan->root_is_empty;
    request->text_chars = scan->text_chars;
    request->text_bytes = scan->text_bytes;
    request->text_numbers = scan->text_numbers;
    request->scan = NULL;
    return 0;
}

static struct span field_name(const struct openai_request *request, int row)
{
    if (row == OPENAI_INCLUDE_USAGE)
        return SPAN("stream_options.include_usage");
    return rows[request->endpoint][row].name;
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

static void refuse_field(const struct openai_request *request, struct openai_refusal *refusal)
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
             wanted(&rows[request->endpoint][scan->fault_row]), json_type_text(scan->fault_type));
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

void openai_request_refusal(const struct openai_request *request,
                            struct openai_refusal *ret_refusal)
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

struct span openai_request_model(const struct openai_request *request)
{
    const struct json_seen *seen = &request->seen[OPENAI_MODEL];

    return seen->type == JSON_STRING ? span_of(request->model, seen->text_len) : span_of(NULL, 0);
}

static bool is_true(const struct openai_request *request, enum openai_field field)
{
    const struct json_seen *seen = &request->seen[field];

    return seen->type == JSON_BOOL && seen->is_true;
}

bool openai_request_is_streaming(const struct openai_request *request)
{
    return is_true(request, OPENAI_STREAM);
}

bool openai_request_wants_usage(const struct openai_request *request)
{
    return is_true(request, OPENAI_INCLUDE_USAGE);
}

#define MAX_TOKENS_COUNTED UINT64_C(1000000000000000)

static uint64_t count_of(const struct openai_request *request, enum openai_field field)
{
    const struct json_seen *seen = &request->seen[field];

    return seen->type == JSON_NUMBER && seen->number > 0 ? (uint64_t)seen->number : 0;
}

static unsigned choices_of(const struct openai_request *request, enum openai_field field)
{
    uint64_t count = count_of(request, field);

    if (count == 0)
        return 1;
    return count < OPENAI_CHOICES_MAX ? (unsigned)count : OPENAI_CHOICES_MAX;
}

unsigned openai_request_choices(const struct openai_request *request)
{
    return choices_of(request, OPENAI_N);
}

uint64_t openai_request_max_tokens(const struct openai_request *request)
{
    uint64_t most = count_of(request, OPENAI_MAX_COMPLETION_TOKENS);
    unsigned choices = choices_of(request, OPENAI_N), written = choices_of(request, OPENAI_BEST_OF);

    if (!most)
        most = count_of(request, OPENAI_MAX_TOKENS);
    /* No limit is larger (tables/settings.def), and the product is in range. */
    if (most > MAX_TOKENS_COUNTED)
        most = MAX_TOKENS_COUNTED;
    /* Those that are not the best were written all the same. */
    return most * (written > choices ? written : choices);
}

uint64_t openai_request_text_chars(const struct openai_request *request)
{
    return request->text_chars;
}

uint64_t openai_request_estimate_tokens(const struct openai_request *request)
{
    const struct json_seen *tools = &request->seen[OPENAI_TOOLS];
    uint64_t bytes = request->text_bytes;

    /* The provider's model reads the tools' descriptions and schemas too. */
    if (tools->type == JSON_ARRAY)
        bytes += tools->end - tools->start;
    return dialect_estimate_tokens(bytes) + request->text_numbers;
}

/* Edits. */

static void add_edit(struct openai_edits *edits, uint64_t offset, uint64_t remove,
                     struct span insert)
{
    size_t at = edits->count++;

    for (; at > 0 && edits->at[at - 1].offset > offset; at--)
        edits->at[at] = edits->at[at - 1];
    edits->at[at] = (struct dialect_edit){offset, remove, insert};
}

static int edit_model(const struct openai_request *request, struct span model,
                      struct openai_edits *edits)
{
    const struct json_seen *seen = &request->seen[OPENAI_MODEL];
    const struct span name = SPAN("\"model\":");
    size_t len = 0, value;
    int err;

    if (seen->type == JSON_STRING && !seen->is_cut &&
        span_is_equal(openai_request_model(request), model))
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

static void edit_usage(const struct openai_request *request, struct openai_edits *edits)
{
    const struct json_seen *options = &request->seen[OPENAI_STREAM_OPTIONS];
    const struct json_seen *include = &request->seen[OPENAI_INCLUDE_USAGE];

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

int openai_request_edit(const struct openai_request *request, struct span model, bool ask_usage,
                        struct openai_edits *ret_edits)
{
    int err = 0;

    ret_edits->count = 0;
    if (model.len)
        err = edit_model(request, model, ret_edits);
    if (!err && ask_usage && openai_request_is_streaming(request) &&
        !openai_request_wants_usage(request))
        edit_usage(request, ret_edits);
    return err;
}

uint64_t openai_edits_length(const struct openai_edits *edits, uint64_t body_len)
{
    for (size_t i = 0; i < edits->count; i++)
        body_len = body_len - edits->at[i].remove + edits->at[i].insert.len;
    return body_len;
}
