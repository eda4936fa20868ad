/* DeepSeek's wire format: OpenAI's, below a path of its own, with thoughts, a balance, and rules
 * and errors of its own. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/deepseek.h"
#include "sim/openai.h"
#include "sim/request.h"

static const struct span base = SPAN_INIT("/deepseek/");

static bool match(const struct http_head *head, struct sim_route *ret_route)
{
    struct span query, path = http_head_path(head, &query);

    *ret_route = (struct sim_route){.op = SIM_OP_CHAT, .form = SIM_OPENAI_DEEPSEEK};
    if (!span_has_prefix(path, base))
        return false;
    path = span_skip(path, base.len);
    /* The prefix that OpenAI's clients put there works as well. */
    if (span_has_prefix(path, SPAN("v1/")))
        path = span_skip(path, sizeof("v1/") - 1);
    if (span_is_equal(path, SPAN("chat/completions")))
        return head->method == METHOD_POST;
    ret_route->op = SIM_OP_MODELS;
    if (span_is_equal(path, SPAN("models")))
        return head->method == METHOD_GET;
    ret_route->op = SIM_OP_BALANCE;
    return span_is_equal(path, SPAN("user/balance")) && head->method == METHOD_GET;
}

/* --- requests --- */

static int check_role(struct sim_request *in, struct span role, size_t index)
{
    static const char *const known[] = {"system", "user", "assistant", "tool", "latest_reminder"};

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (span_is_equal(role, span_from_text(known[i])))
            return 0;
    return sim_refuse_with(in, SPAN(""),
                           "Failed to deserialize the JSON body into the target type: "
                           "messages[%zu].role: unknown variant `%.*s`, expected one of `system`, "
                           "`user`, `assistant`, `tool`, `latest_reminder`",
                           index, SPAN_ARG(role));
}

/* Since the user's last message every answer that called tools must still have its thoughts. */
static int check_messages(struct sim_request *in)
{
    yyjson_val *messages = yyjson_obj_get(in->root, "messages"), *message;
    bool is_forgotten = false;
    yyjson_arr_iter iter;
    size_t index = 0;
    int err = 0;

    yyjson_arr_iter_init(messages, &iter);
    for (; !err && (message = yyjson_arr_iter_next(&iter)); index++) {
        struct span role = json_tree_string(message, "role");

        err = check_role(in, role, index);
        if (span_is_equal(role, SPAN("user")))
            is_forgotten = false;
        else if (yyjson_arr_size(yyjson_obj_get(message, "tool_calls")))
            is_forgotten |= !yyjson_is_str(yyjson_obj_get(message, "reasoning_content"));
    }
    if (!err && in->ask->is_thinking && is_forgotten)
        err = sim_refuse(
            in, SPAN(""),
            "The `reasoning_content` in the thinking mode must be passed back to the API.");
    return err;
}

/* Thinking is on unless it is turned off. */
static int read_thinking(struct sim_request *in)
{
    yyjson_val *thinking = sim_request_member(in, "thinking");
    yyjson_val *effort = sim_request_member(in, "reasoning_effort");
    struct span type = json_tree_string(thinking, "type");
    int err;

    in->ask->is_thinking = true;
    err = sim_openai_read_effort(in, effort, SPAN("reasoning_effort"));
    if (err || !thinking)
        return err;
    if (!span_is_equal(type, SPAN("enabled")) && !span_is_equal(type, SPAN("disabled")))
        return sim_refuse(in, SPAN("thinking"), "expected the type enabled or disabled");
    in->ask->is_thinking &= span_is_equal(type, SPAN("enabled"));
    return 0;
}

/* True where a message says the word, which the format wants. */
static bool has_json_word(struct sim_request *in)
{
    struct sim_gathering text;
    yyjson_arr_iter iter;
    yyjson_val *message;
    struct span said;
    bool has_word = false;

    sim_gather_begin(&text);
    yyjson_arr_iter_init(yyjson_obj_get(in->root, "messages"), &iter);
    while ((message = yyjson_arr_iter_next(&iter)))
        sim_gather_content(yyjson_obj_get(message, "content"), &text);
    said = buf_span(&text.echo);
    for (size_t i = 0; !has_word && i + 4 <= said.len; i++)
        has_word = span_is_equal_nocase(span_of(said.ptr + i, 4), SPAN("json"));
    buf_fini(&text.echo);
    return has_word;
}

static int check_format(struct sim_request *in)
{
    struct span type = json_tree_string(sim_request_member(in, "response_format"), "type");

    if (span_is_equal(type, SPAN("json_schema")))
        return sim_refuse(in, SPAN(""), "This response_format type is unavailable now");
    if (span_is_equal(type, SPAN("json_object")) && !has_json_word(in))
        return sim_refuse(in, SPAN(""),
                          "Prompt must contain the word 'json' in some form to use "
                          "'response_format' of type 'json_object'.");
    return 0;
}

static int check_tool_choice(struct sim_request *in)
{
    yyjson_val *choice = sim_request_member(in, "tool_choice");

    if (in->ask->is_thinking && (yyjson_is_obj(choice) || yyjson_equals_str(choice, "required")))
        return sim_refuse(in, SPAN(""), "Thinking mode does not support this tool_choice");
    return 0;
}

static int read(struct sim_request *in)
{
    int err = read_thinking(in);

    if (!err)
        err = check_messages(in);
    if (!err)
        err = check_format(in);
    if (!err)
        err = check_tool_choice(in);
    if (err)
        return err;
    in->ask->is_thinking_told = in->ask->is_thinking;
    err = sim_openai_read(in);
    /* What OpenAI's reader makes of the effort alone is not the last word here. */
    in->ask->is_thinking = in->ask->is_thinking_told;
    in->ask->is_usage_wanted = true;
    in->ask->is_usage_apart = false;
    return err;
}

static int parse(const struct sim_route *route, struct span body, const struct sim_names *refused,
                 int refused_status, struct arena *arena, struct sim_ask *ret_ask,
                 struct sim_failure *ret_failure)
{
    return sim_request_read(route, body, refused, refused_status, arena, ret_ask, ret_failure,
                            read);
}

/* --- lookups --- */

static void write_balance(bool has_money, struct buf *body)
{
    const char *total = has_money ? "110.00" : "0.00";

    buf_printf(body,
               "{\"is_available\":%s,\"balance_infos\":[{\"currency\":\"USD\",\"total_balance\":"
               "\"%s\",\"granted_balance\":\"0.00\",\"topped_up_balance\":\"%s\"}]}",
               has_money ? "true" : "false", total, total);
}

const struct sim_dialect sim_deepseek = {
    .name = "deepseek",
    .comment = SPAN_INIT(": keep-alive\n\n"),
    .prefix = SPAN_INIT("/deepseek/"),
    .match = match,
    .credential = sim_credential_bearer,
    .parse = parse,
    .write_failure = sim_deepseek_write_failure,
    .write_failure_event = sim_deepseek_write_failure_event,
    .write_fields = sim_deepseek_write_fields,
    .write_answer = sim_openai_write_answer,
    .write_event = sim_openai_write_event,
    .write_embeddings = sim_openai_write_embeddings,
    .write_models = sim_openai_write_models,
    .write_model = sim_openai_write_model,
    .write_balance = write_balance,
};
