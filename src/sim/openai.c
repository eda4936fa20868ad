/* OpenAI's wire format: chat completions, legacy completions, embeddings and models, as its API
 * reference describes them and its answers look. */
#include <stdio.h>

#include "base/clock.h"
#include "base/datetime.h"
#include "base/err.h"
#include "json/tree.h"
#include "json/write.h"
#include "sim/dialect.h"

enum { MAX_N = 128, MAX_INPUTS = 2048, MAX_DIMENSIONS = 3072, TREE_FACTOR = 20 };

/* --- requests --- */

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);
    bool is_post = head->method == METHOD_POST;

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT};
    if (span_is_equal(path, SPAN("/v1/chat/completions")))
        return is_post;
    if (span_is_equal(path, SPAN("/v1/completions"))) {
        ret_route->op = SIM_OP_COMPLETION;
        return is_post;
    }
    if (span_is_equal(path, SPAN("/v1/embeddings"))) {
        ret_route->op = SIM_OP_EMBEDDING;
        return is_post;
    }
    if (head->method != METHOD_GET)
        return false;
    ret_route->op = SIM_OP_MODELS;
    if (span_is_equal(path, SPAN("/v1/models")))
        return true;
    ret_route->op = SIM_OP_MODEL;
    if (!span_has_prefix(path, SPAN("/v1/models/")))
        return false;
    ret_route->model = span_skip(path, sizeof("/v1/models/") - 1);
    return ret_route->model.len > 0;
}

static struct span credential(const struct http_head *head)
{
    struct span value = http_head_find(head, SPAN("authorization"));

    if (value.len < 7 || !span_is_equal_nocase(span_of(value.ptr, 7), SPAN("Bearer ")))
        return (struct span){0};
    return span_trim(span_skip(value, 7));
}

/* A body being read: its root, and where the result goes. */
struct reading {
    yyjson_val *root;
    struct arena *arena;
    struct sim_ask *ask;
    struct sim_failure *failure;
};

static int refuse(struct reading *in, struct span field, const char *message)
{
    *in->failure =
        (struct sim_failure){.kind = SIM_FAILURE_FIELD, .field = field, .message = message};
    return ERR_SYNTAX;
}

static struct span text_of(yyjson_val *value)
{
    return span_of(yyjson_get_str(value), yyjson_get_len(value));
}

/* A member that is there and not null. */
static yyjson_val *member(struct reading *in, const char *name)
{
    yyjson_val *value = yyjson_obj_get(in->root, name);

    return value && !yyjson_is_null(value) ? value : NULL;
}

static int read_bool(struct reading *in, const char *name, bool *ret_value)
{
    yyjson_val *value = member(in, name);

    if (value && !yyjson_is_bool(value))
        return refuse(in, span_from_text(name), "expected a boolean");
    if (value)
        *ret_value = yyjson_get_bool(value);
    return 0;
}

static int read_count(struct reading *in, const char *name, uint64_t max, uint64_t *ret_value)
{
    yyjson_val *value = member(in, name);

    if (value &&
        (!yyjson_is_uint(value) || yyjson_get_uint(value) < 1 || yyjson_get_uint(value) > max))
        return refuse(in, span_from_text(name),
                      "expected an integer above 0 that is not too large");
    if (value)
        *ret_value = yyjson_get_uint(value);
    return 0;
}

static uint64_t quarter(uint64_t bytes)
{
    return (bytes + 3) / 4;
}

/* One text that comes in pieces. */
struct gathering {
    uint64_t hash, bytes;
    struct buf echo;
};

static void gather(struct gathering *text, struct span piece)
{
    size_t room = SIM_MAX_ECHO_BYTES - text->echo.len;

    text->hash = sim_hash_more(text->hash, piece);
    text->bytes += piece.len;
    buf_append(&text->echo, piece.ptr, piece.len < room ? piece.len : room);
}

static void begin_gathering(struct gathering *text)
{
    *text = (struct gathering){.hash = sim_hash((struct span){0})};
    buf_init(&text->echo, SIM_MAX_ECHO_BYTES);
}

/* Half a character at the cut is left out. */
static size_t whole_characters(const struct buf *echo)
{
    size_t len = echo->len, at = len;

    while (at > 0 && len - at < 4 && ((unsigned char)echo->data[at - 1] & 0xc0) == 0x80)
        at--;
    if (at > 0) {
        unsigned char lead = (unsigned char)echo->data[at - 1];
        size_t wanted = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

        if (len - (at - 1) < wanted)
            return at - 1;
    }
    return len;
}

static int end_gathering(struct gathering *text, struct reading *in, struct sim_text *ret_text)
{
    struct span echo = {"", 0};
    int err = text->echo.err;

    if (!err && text->echo.len)
        echo = arena_copy(in->arena, span_of(text->echo.data, whole_characters(&text->echo)));
    buf_fini(&text->echo);
    if (err || !echo.ptr)
        return ERR_NOMEM;
    *ret_text = (struct sim_text){echo, text->hash};
    return 0;
}

/* The text in a message's content: a string, or the text parts of a list. Returns its bytes; `text`
 * may be NULL. */
static uint64_t read_content(yyjson_val *content, struct gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *part;
    uint64_t bytes = 0;

    if (yyjson_is_str(content)) {
        if (text)
            gather(text, text_of(content));
        return yyjson_get_len(content);
    }
    if (!yyjson_arr_iter_init(content, &iter))
        return 0;
    while ((part = yyjson_arr_iter_next(&iter))) {
        yyjson_val *value = yyjson_obj_get(part, "text");

        if (!yyjson_is_str(value))
            continue;
        if (text)
            gather(text, text_of(value));
        bytes += yyjson_get_len(value);
    }
    return bytes;
}

static int read_messages(struct reading *in, bool *ret_is_user_last)
{
    yyjson_val *messages = yyjson_obj_get(in->root, "messages"), *message, *chosen = NULL;
    struct gathering text;
    yyjson_arr_iter iter;

    if (!messages)
        return refuse(in, SPAN("messages"), "Missing required parameter: 'messages'.");
    if (!yyjson_is_arr(messages) || yyjson_arr_size(messages) == 0)
        return refuse(in, SPAN("messages"), "expected an array with at least one message");
    in->ask->prompt_tokens = 3;
    yyjson_arr_iter_init(messages, &iter);
    while ((message = yyjson_arr_iter_next(&iter))) {
        yyjson_val *role = yyjson_obj_get(message, "role");

        if (!yyjson_is_str(role))
            return refuse(in, SPAN("messages"), "expected every message to have a role");
        *ret_is_user_last = yyjson_equals_str(role, "user");
        if (*ret_is_user_last || !chosen)
            chosen = message;
        in->ask->prompt_tokens +=
            4 + quarter(read_content(yyjson_obj_get(message, "content"), NULL));
    }
    in->ask->texts = arena_alloc(in->arena, sizeof(*in->ask->texts));
    if (!in->ask->texts)
        return ERR_NOMEM;
    in->ask->text_count = 1;
    begin_gathering(&text);
    read_content(yyjson_obj_get(chosen, "content"), &text);
    return end_gathering(&text, in, &in->ask->texts[0]);
}

/* {"type": "function", "function": {"name": ...}}, or the same with "custom". */
static int read_tool(struct reading *in, yyjson_val *value, struct sim_tool *ret_tool)
{
    struct span type = json_tree_string(value, "type");
    bool is_custom = span_is_equal(type, SPAN("custom"));
    struct span name =
        json_tree_string(yyjson_obj_get(value, is_custom ? "custom" : "function"), "name");

    if ((!is_custom && !span_is_equal(type, SPAN("function"))) || !name.len)
        return refuse(in, SPAN("tools"), "expected tools of type function or custom with a name");
    *ret_tool = (struct sim_tool){arena_copy(in->arena, name), is_custom};
    return ret_tool->name.ptr ? 0 : ERR_NOMEM;
}

static int read_tool_list(struct reading *in, yyjson_val *tools)
{
    size_t count = yyjson_arr_size(tools);
    yyjson_arr_iter iter;
    yyjson_val *value;
    int err;

    if (!yyjson_arr_iter_init(tools, &iter) || count == 0 || count > SIM_MAX_TOOLS)
        return refuse(in, SPAN("tools"), "expected an array of 1 to 128 tools");
    in->ask->tools = arena_alloc(in->arena, count * sizeof(*in->ask->tools));
    if (!in->ask->tools)
        return ERR_NOMEM;
    while ((value = yyjson_arr_iter_next(&iter))) {
        err = read_tool(in, value, &in->ask->tools[in->ask->tool_count]);
        if (err)
            return err;
        in->ask->tool_count++;
    }
    return 0;
}

/* Leaves in ask->tools what the answer is to call. */
static int read_tools(struct reading *in, bool is_user_last)
{
    yyjson_val *tools = member(in, "tools"), *choice = member(in, "tool_choice");
    struct sim_ask *ask = in->ask;
    struct sim_tool wanted;
    bool is_parallel = true;
    int err = tools ? read_tool_list(in, tools) : 0;

    if (!err)
        err = read_bool(in, "parallel_tool_calls", &is_parallel);
    if (err)
        return err;
    ask->is_one_call = !is_parallel;
    if (choice && !tools)
        return refuse(in, SPAN("tool_choice"), "'tool_choice' is only allowed with 'tools'");
    if (yyjson_equals_str(choice, "none") ||
        (!is_user_last && (!choice || yyjson_equals_str(choice, "auto")))) {
        ask->tool_count = 0;
    } else if (yyjson_is_obj(choice) &&
               !span_is_equal(json_tree_string(choice, "type"), SPAN("allowed_tools"))) {
        err = read_tool(in, choice, &wanted);
        if (err)
            return err;
        ask->tools[0] = wanted;
        ask->tool_count = 1;
    }
    return 0;
}

static int read_streaming(struct reading *in)
{
    yyjson_val *options = member(in, "stream_options");
    int err = read_bool(in, "stream", &in->ask->is_streaming);

    if (err || !options)
        return err;
    if (!in->ask->is_streaming)
        return refuse(in, SPAN("stream_options"),
                      "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
    if (!yyjson_is_obj(options))
        return refuse(in, SPAN("stream_options"), "expected an object");
    in->ask->is_usage_wanted = yyjson_get_bool(yyjson_obj_get(options, "include_usage"));
    return 0;
}

static int read_answers_wanted(struct reading *in)
{
    uint64_t n = 1;
    int err = read_count(in, "n", MAX_N, &n);

    if (!err)
        err = read_count(in, "max_tokens", UINT64_MAX, &in->ask->max_tokens);
    if (!err)
        err = read_count(in, "max_completion_tokens", UINT64_MAX, &in->ask->max_tokens);
    in->ask->choices = (unsigned)n;
    return err;
}

static int read_chat(struct reading *in)
{
    bool is_user_last = false;
    int err = read_messages(in, &is_user_last);

    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    return err ? err : read_tools(in, is_user_last);
}

/* Token numbers stand for the text "1,2,3". */
static int read_tokens(struct reading *in, yyjson_val *tokens, struct gathering *text)
{
    yyjson_arr_iter iter;
    yyjson_val *token;
    char number[24];

    yyjson_arr_iter_init(tokens, &iter);
    while ((token = yyjson_arr_iter_next(&iter))) {
        if (!yyjson_is_uint(token))
            return ERR_SYNTAX;
        gather(text, span_of(number, (size_t)snprintf(number, sizeof(number), "%s%llu",
                                                      text->bytes ? "," : "",
                                                      (unsigned long long)yyjson_get_uint(token))));
        in->ask->prompt_tokens++;
    }
    return 0;
}

static int read_text(struct reading *in, yyjson_val *value)
{
    struct sim_text *place = &in->ask->texts[in->ask->text_count++];
    struct gathering text;
    int err = 0, end_err;

    begin_gathering(&text);
    if (yyjson_is_str(value)) {
        gather(&text, text_of(value));
        in->ask->prompt_tokens += quarter(yyjson_get_len(value));
    } else if (yyjson_is_arr(value) && yyjson_arr_size(value)) {
        err = read_tokens(in, value, &text);
    } else {
        err = ERR_SYNTAX;
    }
    end_err = end_gathering(&text, in, place);
    return err ? err : end_err;
}

/* A string, strings, token numbers, or lists of token numbers. */
static int read_texts(struct reading *in, struct span field)
{
    yyjson_val *value = yyjson_obj_getn(in->root, field.ptr, field.len), *item;
    bool is_list = yyjson_is_arr(value) && !yyjson_is_uint(yyjson_arr_get_first(value));
    size_t count = is_list ? yyjson_arr_size(value) : 1;
    yyjson_arr_iter iter;
    int err = 0;

    if (!value)
        return refuse(in, field, "a required parameter is missing");
    if (count == 0 || count > MAX_INPUTS)
        return refuse(in, field, "expected 1 to 2048 texts");
    in->ask->texts = arena_alloc(in->arena, count * sizeof(*in->ask->texts));
    if (!in->ask->texts)
        return ERR_NOMEM;
    if (is_list) {
        yyjson_arr_iter_init(value, &iter);
        while (!err && (item = yyjson_arr_iter_next(&iter)))
            err = read_text(in, item);
    } else {
        err = read_text(in, value);
    }
    return err == ERR_SYNTAX ? refuse(in, field, "expected strings or arrays of token numbers")
                             : err;
}

static int read_completion(struct reading *in)
{
    int err;

    in->ask->max_tokens = 16;
    err = read_texts(in, SPAN("prompt"));
    if (!err)
        err = read_streaming(in);
    if (!err)
        err = read_answers_wanted(in);
    if (!err && in->ask->text_count * in->ask->choices > SIM_MAX_CHOICES)
        return refuse(in, SPAN("n"), "too many choices in all");
    return err;
}

static int read_embedding(struct reading *in)
{
    struct span format = json_tree_string(in->root, "encoding_format");
    uint64_t dimensions = span_find(in->ask->model, SPAN("large")) == SIZE_MAX ? 1536 : 3072;
    int err = read_texts(in, SPAN("input"));

    if (!err)
        err = read_count(in, "dimensions", MAX_DIMENSIONS, &dimensions);
    if (err)
        return err;
    in->ask->dimensions = (unsigned)dimensions;
    in->ask->is_base64 = span_is_equal(format, SPAN("base64"));
    if (format.ptr && !in->ask->is_base64 && !span_is_equal(format, SPAN("float")))
        return refuse(in, SPAN("encoding_format"), "expected 'float' or 'base64'");
    return 0;
}

static int read_model(struct reading *in)
{
    yyjson_val *model = yyjson_obj_get(in->root, "model");

    if (!yyjson_is_str(model) || !yyjson_get_len(model))
        return refuse(in, SPAN("model"), "you must provide a model parameter");
    in->ask->model = arena_copy(in->arena, text_of(model));
    return in->ask->model.ptr ? 0 : ERR_NOMEM;
}

static int check_refused(struct reading *in, const struct sim_names *refused, int status)
{
    for (unsigned i = 0; i < refused->count; i++) {
        struct span name = sim_name_span(&refused->names[i]);

        if (!yyjson_obj_getn(in->root, name.ptr, name.len))
            continue;
        *in->failure = (struct sim_failure){
            .kind = SIM_FAILURE_UNKNOWN_FIELD, .status = status, .field = name};
        return ERR_SYNTAX;
    }
    return 0;
}

static int read_root(struct reading *in, enum sim_op op)
{
    int err = read_model(in);

    if (err)
        return err;
    switch (op) {
    case SIM_OP_CHAT:
        return read_chat(in);
    case SIM_OP_COMPLETION:
        return read_completion(in);
    case SIM_OP_EMBEDDING:
        return read_embedding(in);
    case SIM_OP_MODELS:
    case SIM_OP_MODEL:
        break;
    }
    return 0;
}

static int parse(const struct sim_route *route, struct span body, const struct sim_names *refused,
                 int refused_status, struct arena *arena, struct sim_ask *ret_ask,
                 struct sim_failure *ret_failure)
{
    struct json_tree tree;
    struct reading in = {.arena = arena, .ask = ret_ask, .failure = ret_failure};
    int err = json_tree_read(&tree, body, TREE_FACTOR * body.len + JSON_TREE_OWN_BYTES);

    *ret_ask = (struct sim_ask){
        .op = route->op, .body_hash = sim_hash(body), .max_tokens = UINT64_MAX, .choices = 1};
    if (err == ERR_SYNTAX) {
        *ret_failure = (struct sim_failure){.kind = SIM_FAILURE_JSON};
        goto out;
    }
    if (err)
        goto out;
    in.root = yyjson_doc_get_root(tree.doc);
    if (!yyjson_is_obj(in.root)) {
        *ret_failure = (struct sim_failure){.kind = SIM_FAILURE_JSON};
        err = ERR_SYNTAX;
        goto out;
    }
    err = check_refused(&in, refused, refused_status);
    if (!err)
        err = read_root(&in, route->op);
out:
    json_tree_fini(&tree);
    return err;
}

/* --- failures --- */

static void write_go_duration(uint64_t us, struct buf *out)
{
    uint64_t ms = (us + US_PER_MS - 1) / US_PER_MS;
    uint64_t minutes = ms / 60000;

    if (ms && ms < 1000) {
        buf_printf(out, "%llums", (unsigned long long)ms);
        return;
    }
    if (minutes >= 60)
        buf_printf(out, "%lluh", (unsigned long long)(minutes / 60));
    if (minutes)
        buf_printf(out, "%llum", (unsigned long long)(minutes % 60));
    buf_printf(out, "%gs", (double)(ms % 60000) / 1000);
}

/* A failure's row in OpenAI's list of errors. */
struct error_row {
    int status;
    const char *type, *code; /* code NULL: null */
};

static struct error_row row_of_status(int status)
{
    switch (status) {
    case 401:
        return (struct error_row){401, "invalid_request_error", "invalid_api_key"};
    case 404:
        return (struct error_row){404, "invalid_request_error", "model_not_found"};
    case 429:
        return (struct error_row){429, "requests", "rate_limit_exceeded"};
    case 503:
        return (struct error_row){503, "service_unavailable_error", "server_is_overloaded"};
    }
    return (struct error_row){status, status < 500 ? "invalid_request_error" : "server_error",
                              NULL};
}

static struct error_row row_of(const struct sim_failure *failure)
{
    switch (failure->kind) {
    case SIM_FAILURE_STATUS:
        return row_of_status(failure->status);
    case SIM_FAILURE_NO_KEY:
        return (struct error_row){401, "invalid_request_error", NULL};
    case SIM_FAILURE_BAD_KEY:
        return row_of_status(401);
    case SIM_FAILURE_FORBIDDEN:
        return (struct error_row){403, "invalid_request_error", "permission_denied"};
    case SIM_FAILURE_QUOTA:
        return (struct error_row){429, "insufficient_quota", "insufficient_quota"};
    case SIM_FAILURE_PAYMENT:
        return (struct error_row){402, "insufficient_quota", "credit_balance_exhausted"};
    case SIM_FAILURE_PATH:
        return (struct error_row){404, "invalid_request_error", NULL};
    case SIM_FAILURE_MODEL:
        return row_of_status(404);
    case SIM_FAILURE_JSON:
    case SIM_FAILURE_FIELD:
        return row_of_status(400);
    case SIM_FAILURE_UNKNOWN_FIELD:
        return (struct error_row){failure->status, "invalid_request_error", "unknown_parameter"};
    case SIM_FAILURE_CONTEXT:
        return (struct error_row){400, "invalid_request_error", "context_length_exceeded"};
    case SIM_FAILURE_BODY_LARGE:
        return row_of_status(413);
    case SIM_FAILURE_RATE_REQUESTS:
    case SIM_FAILURE_CONCURRENT:
        return row_of_status(429);
    case SIM_FAILURE_RATE_TOKENS:
    case SIM_FAILURE_RATE_SIZE:
        return (struct error_row){429, "tokens", "rate_limit_exceeded"};
    case SIM_FAILURE_SLOW_DOWN:
        return (struct error_row){429, "rate_limit_error", "slow_down"};
    case SIM_FAILURE_SERVER:
        return row_of_status(500);
    case SIM_FAILURE_OVERLOADED:
        return row_of_status(503);
    }
    return row_of_status(500);
}

/* "Incorrect API key provided: sk-abcd****wxyz.", as the real one is cut. */
static void write_masked(struct span key, struct buf *out)
{
    if (key.len <= 12)
        buf_append_span(out, SPAN("****"));
    else
        buf_printf(out, "%.8s****%.4s", key.ptr, key.ptr + key.len - 4);
}

static void write_rate_message(const struct sim_failure *failure, const char *what, struct buf *out)
{
    buf_printf(out, "Rate limit reached for %.*s in organization %.*s on %s: Limit %llu, Used %llu",
               SPAN_ARG(failure->model), SPAN_ARG(failure->account), what,
               (unsigned long long)failure->limit, (unsigned long long)failure->used);
    buf_printf(out, ", Requested %llu.", (unsigned long long)failure->requested);
    if (!failure->retry_after_us)
        return;
    buf_append_span(out, SPAN(" Please try again in "));
    write_go_duration(failure->retry_after_us, out);
    buf_append_byte(out, '.');
}

static void write_refusal(const struct sim_failure *failure, struct buf *out)
{
    if (failure->kind == SIM_FAILURE_NO_KEY) {
        buf_append_span(out, SPAN("You didn't provide an API key. You need to provide your API key "
                                  "in an Authorization header using Bearer auth."));
        return;
    }
    buf_append_span(out, SPAN("Incorrect API key provided: "));
    write_masked(failure->key, out);
    buf_append_span(out, SPAN(". You can find your API key at "
                              "https://platform.openai.com/account/api-keys."));
}

static void write_plain_message(const struct sim_failure *failure, int status, struct buf *out)
{
    if (status == 503)
        buf_append_span(out, SPAN("The engine is currently overloaded, please try again later."));
    else if (status >= 500)
        buf_append_span(out, SPAN("The server had an error while processing your request. Sorry "
                                  "about that!"));
    else
        buf_printf(out, "The request was refused with status %d.", status);
}

static void write_message(const struct sim_failure *failure, int status, struct buf *out)
{
    switch (failure->kind) {
    case SIM_FAILURE_NO_KEY:
    case SIM_FAILURE_BAD_KEY:
        write_refusal(failure, out);
        break;
    case SIM_FAILURE_FORBIDDEN:
        buf_append_span(out, SPAN("You do not have access to this resource with this API key."));
        break;
    case SIM_FAILURE_QUOTA:
    case SIM_FAILURE_PAYMENT:
        buf_append_span(out, SPAN("You exceeded your current quota, please check your plan and "
                                  "billing details."));
        break;
    case SIM_FAILURE_PATH:
        buf_append_span(out, SPAN("Invalid URL"));
        break;
    case SIM_FAILURE_MODEL:
        buf_printf(out, "The model `%.*s` does not exist or you do not have access to it.",
                   SPAN_ARG(failure->model));
        break;
    case SIM_FAILURE_JSON:
        buf_append_span(out, SPAN("We could not parse the JSON body of your request. The OpenAI "
                                  "API expects a JSON payload."));
        break;
    case SIM_FAILURE_FIELD:
        buf_printf(out, "Invalid '%.*s': %s", SPAN_ARG(failure->field), failure->message);
        break;
    case SIM_FAILURE_UNKNOWN_FIELD:
        buf_printf(out, "Unknown parameter: '%.*s'.", SPAN_ARG(failure->field));
        break;
    case SIM_FAILURE_CONTEXT:
        buf_printf(out,
                   "This model's maximum context length is %llu tokens. However, your messages "
                   "resulted in %llu tokens.",
                   (unsigned long long)failure->limit, (unsigned long long)failure->requested);
        break;
    case SIM_FAILURE_RATE_REQUESTS:
        write_rate_message(failure, "requests per min (RPM)", out);
        break;
    case SIM_FAILURE_RATE_TOKENS:
        write_rate_message(failure, "tokens per min (TPM)", out);
        break;
    case SIM_FAILURE_RATE_SIZE:
        buf_printf(out,
                   "Request too large for %.*s in organization %.*s on tokens per min (TPM): Limit "
                   "%llu, Requested %llu. The input or output tokens must be reduced in order to "
                   "run successfully.",
                   SPAN_ARG(failure->model), SPAN_ARG(failure->account),
                   (unsigned long long)failure->limit, (unsigned long long)failure->requested);
        break;
    case SIM_FAILURE_CONCURRENT:
        buf_append_span(out, SPAN("Too many requests are under way with this key."));
        break;
    case SIM_FAILURE_SLOW_DOWN:
        buf_append_span(out, SPAN("The rate of your requests rose too fast. Please slow down."));
        break;
    case SIM_FAILURE_STATUS:
    case SIM_FAILURE_BODY_LARGE:
    case SIM_FAILURE_SERVER:
    case SIM_FAILURE_OVERLOADED:
        write_plain_message(failure, status, out);
        break;
    }
}

static struct span param_of(const struct sim_failure *failure)
{
    if (failure->kind == SIM_FAILURE_CONTEXT)
        return SPAN("messages");
    if (failure->kind == SIM_FAILURE_MODEL)
        return SPAN("model");
    return failure->field;
}

static int write_failure(const struct sim_failure *failure, struct buf *body)
{
    struct error_row row = row_of(failure);
    struct span param = param_of(failure);
    struct json_writer json;
    struct buf message;

    buf_init(&message, 65536);
    write_message(failure, row.status, &message);
    json_writer_init(&json, body);
    json_begin_object(&json);
    json_name(&json, "error");
    json_begin_object(&json);
    json_member_string(&json, "message", buf_span(&message));
    json_member_text(&json, "type", row.type);
    if (param.len)
        json_member_string(&json, "param", param);
    else
        json_member_null(&json, "param");
    json_member_text(&json, "code", row.code);
    json_end_object(&json);
    json_end_object(&json);
    buf_fini(&message);
    return row.status;
}

/* --- fields --- */

static void write_reset(enum sim_reset_form form, uint64_t reset_us, uint64_t wall_us,
                        struct buf *out)
{
    uint64_t second = (wall_us + reset_us + US_PER_SEC - 1) / US_PER_SEC;
    char text[RFC3339_BYTES + HTTP_DATE_BYTES];

    switch (form) {
    case SIM_RESET_GO:
        write_go_duration(reset_us, out);
        break;
    case SIM_RESET_SECONDS:
        buf_printf(out, "%.3f", (double)reset_us / 1e6);
        break;
    case SIM_RESET_EPOCH:
        buf_printf(out, "%llu", (unsigned long long)second);
        break;
    case SIM_RESET_RFC3339:
        datetime_write_rfc3339(wall_us + reset_us, text);
        buf_append(out, text, RFC3339_BYTES);
        break;
    case SIM_RESET_HTTP_DATE:
        datetime_write_http(second * US_PER_SEC, text);
        buf_append(out, text, HTTP_DATE_BYTES);
        break;
    case SIM_RESET_NONE:
        break;
    }
}

static void write_meter(const struct sim_head_facts *facts, const struct sim_meter *meter,
                        const char *unit, struct buf *out)
{
    if (!meter->limit || facts->reset_form == SIM_RESET_NONE)
        return;
    buf_printf(out, "x-ratelimit-limit-%s: %llu\r\nx-ratelimit-remaining-%s: %llu\r\n", unit,
               (unsigned long long)meter->limit, unit, (unsigned long long)meter->remaining);
    buf_printf(out, "x-ratelimit-reset-%s: ", unit);
    write_reset(facts->reset_form, meter->reset_us, facts->wall_us, out);
    buf_append_span(out, SPAN("\r\n"));
}

static void write_retry_after(const struct sim_head_facts *facts, struct buf *out)
{
    uint64_t us = facts->retry_after_us;
    bool has_ms = facts->retry_form == SIM_RETRY_MS || facts->retry_form == SIM_RETRY_BOTH;
    bool has_seconds =
        facts->retry_form == SIM_RETRY_SECONDS || facts->retry_form == SIM_RETRY_BOTH;

    if (!us)
        return;
    if (has_seconds)
        buf_printf(out, "retry-after: %llu\r\n",
                   (unsigned long long)((us + US_PER_SEC - 1) / US_PER_SEC));
    if (has_ms)
        buf_printf(out, "retry-after-ms: %llu\r\n",
                   (unsigned long long)((us + US_PER_MS - 1) / US_PER_MS));
    if (facts->retry_form == SIM_RETRY_DATE) {
        buf_append_span(out, SPAN("retry-after: "));
        write_reset(SIM_RESET_HTTP_DATE, us, facts->wall_us, out);
        buf_append_span(out, SPAN("\r\n"));
    }
}

static void write_fields(const struct sim_head_facts *facts, struct buf *fields)
{
    buf_append_span(fields, facts->is_stream
                                ? SPAN("Content-Type: text/event-stream; charset=utf-8\r\n")
                                : SPAN("Content-Type: application/json\r\n"));
    buf_printf(fields,
               "x-request-id: req_%016llx\r\nopenai-processing-ms: %llu\r\n"
               "openai-version: 2020-10-01\r\n",
               (unsigned long long)facts->id,
               (unsigned long long)(facts->processing_us / US_PER_MS));
    if (facts->account.len) {
        buf_append_span(fields, SPAN("openai-organization: "));
        buf_append_span(fields, facts->account);
        buf_append_span(fields, SPAN("\r\n"));
    }
    write_meter(facts, &facts->requests, "requests", fields);
    write_meter(facts, &facts->tokens, "tokens", fields);
    write_retry_after(facts, fields);
}

/* --- answers --- */

static void write_usage(const struct sim_ask *ask, uint64_t completion_tokens, struct buf *out)
{
    buf_printf(out,
               "{\"prompt_tokens\":%llu,\"completion_tokens\":%llu,\"total_tokens\":%llu,"
               "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0,"
               "\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}",
               (unsigned long long)ask->prompt_tokens, (unsigned long long)completion_tokens,
               (unsigned long long)(ask->prompt_tokens + completion_tokens));
}

static const char *finish_reason(const struct sim_answer *answer, size_t choice)
{
    if (answer->choices[choice].is_cut)
        return "length";
    return answer->ask->tool_count ? "tool_calls" : "stop";
}

static bool is_chat(const struct sim_answer *answer)
{
    return answer->ask->op == SIM_OP_CHAT;
}

/* What every answer and every chunk begins with, up to its choices. */
static void write_opening(const struct sim_answer *answer, const struct sim_stamp *stamp,
                          const char *object, struct buf *out)
{
    buf_printf(out, "{\"id\":\"%s-%016llx\",\"object\":\"%s\",\"created\":%llu,\"model\":",
               is_chat(answer) ? "chatcmpl" : "cmpl", (unsigned long long)stamp->id, object,
               (unsigned long long)stamp->created_s);
    json_write_string(out, answer->ask->model);
    if (is_chat(answer))
        buf_append_span(out, SPAN(",\"service_tier\":\"default\""));
    buf_printf(out, ",\"system_fingerprint\":\"fp_%016llx\",\"choices\":[",
               (unsigned long long)answer->ask->body_hash);
}

static void write_call_id(const struct sim_answer *answer, size_t choice, size_t call,
                          struct buf *out)
{
    struct sim_text *text = &answer->ask->texts[choice / answer->ask->choices];

    buf_printf(out, "\"call_%016llx_%zu\"", (unsigned long long)text->hash,
               choice * SIM_MAX_TOOLS + call);
}

static void write_tool_call(const struct sim_answer *answer, size_t choice, size_t call,
                            struct span arguments, struct buf *out)
{
    const struct sim_tool *tool = sim_answer_tool(answer, call);

    buf_append_span(out, SPAN("\"id\":"));
    write_call_id(answer, choice, call, out);
    buf_printf(out, ",\"type\":\"%s\",\"%s\":{\"name\":", tool->is_custom ? "custom" : "function",
               tool->is_custom ? "custom" : "function");
    json_write_string(out, tool->name);
    buf_printf(out, ",\"%s\":", tool->is_custom ? "input" : "arguments");
    json_write_string(out, arguments);
    buf_append_byte(out, '}');
}

static void write_message_calls(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    buf_append_span(out, SPAN("null,\"refusal\":null,\"annotations\":[],\"tool_calls\":["));
    for (size_t call = 0; call < sim_answer_calls(answer, choice); call++) {
        buf_append_span(out, call ? SPAN(",{") : SPAN("{"));
        write_tool_call(answer, choice, call, sim_answer_arguments(answer, choice, call), out);
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, ']');
}

static void write_text_of(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    struct buf scratch;

    buf_init(&scratch, SIZE_MAX);
    json_write_string(out, sim_answer_text(answer, choice, &scratch));
    if (scratch.err && !out->err)
        out->err = scratch.err;
    buf_fini(&scratch);
}

static void write_choice(const struct sim_answer *answer, size_t choice, struct buf *out)
{
    if (!is_chat(answer)) {
        buf_append_span(out, SPAN("{\"text\":"));
        write_text_of(answer, choice, out);
        buf_printf(out, ",\"index\":%zu", choice);
    } else {
        buf_printf(out, "{\"index\":%zu,\"message\":{\"role\":\"assistant\",\"content\":", choice);
        if (answer->ask->tool_count) {
            write_message_calls(answer, choice, out);
        } else {
            write_text_of(answer, choice, out);
            buf_append_span(out, SPAN(",\"refusal\":null,\"annotations\":[]"));
        }
        buf_append_byte(out, '}');
    }
    buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}", finish_reason(answer, choice));
}

static void write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                         struct buf *body)
{
    write_opening(answer, stamp, is_chat(answer) ? "chat.completion" : "text_completion", body);
    for (size_t i = 0; i < answer->choice_count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_choice(answer, i, body);
    }
    buf_append_byte(body, ']');
    if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        write_usage(answer->ask, answer->completion_tokens, body);
    }
    buf_append_byte(body, '}');
}

/* --- streams --- */

static void end_event(const struct sim_stamp *stamp, struct buf *out)
{
    buf_append_span(out, stamp->is_crlf ? SPAN("\r\n\r\n") : SPAN("\n\n"));
}

static void write_delta(const struct sim_answer *answer, const struct sim_event *event,
                        struct buf *out)
{
    const char *field;

    switch (event->kind) {
    case SIM_EVENT_START:
        buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"));
        break;
    case SIM_EVENT_TEXT:
        buf_append_span(out, SPAN("\"content\":"));
        json_write_string(out, event->text);
        break;
    case SIM_EVENT_CALL:
        if (event->call == 0)
            buf_append_span(out, SPAN("\"role\":\"assistant\",\"content\":null,"));
        buf_printf(out, "\"tool_calls\":[{\"index\":%u,", event->call);
        write_tool_call(answer, event->choice, event->call, SPAN(""), out);
        buf_append_span(out, event->call ? SPAN("}]") : SPAN("}],\"refusal\":null"));
        break;
    case SIM_EVENT_ARGUMENTS:
        field = sim_answer_tool(answer, event->call)->is_custom ? "\"custom\":{\"input\":"
                                                                : "\"function\":{\"arguments\":";
        buf_printf(out, "\"tool_calls\":[{\"index\":%u,%s", event->call, field);
        json_write_string(out, event->text);
        buf_append_span(out, SPAN("}}]"));
        break;
    case SIM_EVENT_FINISH:
    case SIM_EVENT_USAGE:
    case SIM_EVENT_END:
        break;
    }
}

static void write_chunk_choice(const struct sim_answer *answer, const struct sim_event *event,
                               struct buf *out)
{
    if (is_chat(answer)) {
        buf_printf(out, "{\"index\":%u,\"delta\":{", event->choice);
        write_delta(answer, event, out);
        buf_append_byte(out, '}');
    } else {
        buf_append_span(out, SPAN("{\"text\":"));
        json_write_string(out, event->text.ptr ? event->text : SPAN(""));
        buf_printf(out, ",\"index\":%u", event->choice);
    }
    if (event->kind == SIM_EVENT_FINISH)
        buf_printf(out, ",\"logprobs\":null,\"finish_reason\":\"%s\"}",
                   finish_reason(answer, event->choice));
    else
        buf_append_span(out, SPAN(",\"logprobs\":null,\"finish_reason\":null}"));
}

/* Of a length that varies from event to event, as the real one has it against eavesdroppers. */
static void write_padding(const struct sim_stamp *stamp, const struct buf *out_so_far,
                          struct buf *out)
{
    uint64_t dice = (stamp->id + out_so_far->len) * 0x9e3779b97f4a7c15ull;

    buf_printf(out, ",\"obfuscation\":\"%.*s\"", 1 + (int)(dice >> 60), "aQ3xZ9kLm7Bv2Tc5");
}

static void write_event(const struct sim_answer *answer, const struct sim_event *event,
                        const struct sim_stamp *stamp, struct buf *body)
{
    bool is_usage = event->kind == SIM_EVENT_USAGE;

    if (event->kind == SIM_EVENT_END) {
        buf_append_span(body, SPAN("data: [DONE]"));
        end_event(stamp, body);
        return;
    }
    buf_append_span(body, SPAN("data: "));
    write_opening(answer, stamp, is_chat(answer) ? "chat.completion.chunk" : "text_completion",
                  body);
    if (!is_usage)
        write_chunk_choice(answer, event, body);
    buf_append_byte(body, ']');
    if (is_usage) {
        buf_append_span(body, SPAN(",\"usage\":"));
        write_usage(answer->ask, answer->completion_tokens, body);
    } else if (stamp->has_usage) {
        buf_append_span(body, SPAN(",\"usage\":null"));
    }
    if (stamp->is_padded)
        write_padding(stamp, body, body);
    buf_append_byte(body, '}');
    end_event(stamp, body);
}

static void write_failure_event(const struct sim_failure *failure, const struct sim_stamp *stamp,
                                struct buf *body)
{
    buf_append_span(body, SPAN("data: "));
    write_failure(failure, body);
    end_event(stamp, body);
}

/* --- embeddings and models --- */

static void write_floats(const struct sim_ask *ask, uint64_t hash, struct buf *out)
{
    uint64_t state = 0;

    buf_append_byte(out, '[');
    for (unsigned j = 0; j < ask->dimensions; j++)
        buf_printf(out, "%s%.9g", j ? "," : "", (double)sim_embedding_next(hash, j, &state));
    buf_append_byte(out, ']');
}

static void write_base64(const unsigned char *bytes, size_t len, struct buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i;
        uint32_t group = (uint32_t)bytes[i] << 16;
        char four[4];

        if (left > 1)
            group |= (uint32_t)bytes[i + 1] << 8;
        if (left > 2)
            group |= bytes[i + 2];
        four[0] = digits[group >> 18];
        four[1] = digits[group >> 12 & 63];
        four[2] = digits[group >> 6 & 63];
        four[3] = digits[group & 63];
        if (left < 3)
            four[3] = '=';
        if (left < 2)
            four[2] = '=';
        buf_append(out, four, sizeof(four));
    }
}

/* Little-endian floats. */
static void write_packed(const struct sim_ask *ask, uint64_t hash, struct buf *out)
{
    unsigned char bytes[4 * MAX_DIMENSIONS];
    uint64_t state = 0;

    for (unsigned j = 0; j < ask->dimensions; j++) {
        float value = sim_embedding_next(hash, j, &state);
        uint32_t bits;

        memcpy(&bits, &value, sizeof(bits));
        for (int k = 0; k < 4; k++)
            bytes[4 * j + (unsigned)k] = (unsigned char)(bits >> 8 * k);
    }
    buf_append_byte(out, '"');
    write_base64(bytes, (size_t)4 * ask->dimensions, out);
    buf_append_byte(out, '"');
}

static void write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                             struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < ask->text_count; i++) {
        buf_printf(body, "%s{\"object\":\"embedding\",\"index\":%zu,\"embedding\":", i ? "," : "",
                   i);
        if (ask->is_base64)
            write_packed(ask, ask->texts[i].hash, body);
        else
            write_floats(ask, ask->texts[i].hash, body);
        buf_append_byte(body, '}');
    }
    buf_append_span(body, SPAN("],\"model\":"));
    json_write_string(body, ask->model);
    if (stamp->has_usage)
        buf_printf(body, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                   (unsigned long long)ask->prompt_tokens, (unsigned long long)ask->prompt_tokens);
    buf_append_byte(body, '}');
}

static void write_model(struct span model, struct buf *body)
{
    buf_append_span(body, SPAN("{\"id\":"));
    json_write_string(body, model);
    buf_append_span(body, SPAN(",\"object\":\"model\",\"created\":1686935002,\"owned_by\":"
                               "\"system\",\"shutdown_date\":null}"));
}

static void write_models(const struct span *models, size_t count, struct buf *body)
{
    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_append_byte(body, ',');
        write_model(models[i], body);
    }
    buf_append_span(body, SPAN("]}"));
}

const struct sim_dialect sim_openai = {
    .name = "openai",
    .comment = {": keep-alive\n\n", 14},
    .match = match,
    .credential = credential,
    .parse = parse,
    .write_failure = write_failure,
    .write_failure_event = write_failure_event,
    .write_fields = write_fields,
    .write_answer = write_answer,
    .write_event = write_event,
    .write_embeddings = write_embeddings,
    .write_models = write_models,
    .write_model = write_model,
};
