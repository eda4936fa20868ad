/* Anthropic's wire format: the messages of a request, and the order in which calls of tools and
 * their results must stand. */
#include "base/err.h"
#include "json/tree.h"
#include "sim/anthropic.h"
#include "sim/pairing.h"
#include "sim/request.h"

/* The list being read. Messages of one role in a row are one turn. */
struct talk {
    struct sim_request *in;
    struct sim_anthropic_talk *result;
    bool is_thinking;
    struct sim_pairing calls; /* of the last assistant's turn */
    size_t call_index;        /* of the message with the last of them */
    size_t index;             /* of the message */
    bool is_assistant;        /* the turn at hand is the assistant's */
    bool has_thought;         /* it began with one; valid while it has calls */
    bool is_empty;            /* nothing of it was read yet */
    bool has_words;           /* the user's turn says something that is no result */
    yyjson_val *chosen;       /* the last message of the user's own words */
};

/* The members that each type of block may have, and who may say it. */
static const struct block_row {
    const char *type, *names;
    bool is_users, is_assistants;
} block_rows[] = {
    {"text", "type text cache_control citations", true, true},
    {"image", "type source cache_control", true, false},
    {"document", "type source title context citations cache_control", true, false},
    {"search_result", "type source title content citations cache_control", true, false},
    {"tool_result", "type tool_use_id content is_error cache_control", true, false},
    {"thinking", "type thinking signature", false, true},
    {"redacted_thinking", "type data", false, true},
    {"tool_use", "type id name input cache_control caller", false, true},
};

static const struct block_row *find_row(struct span type)
{
    for (size_t i = 0; i < sizeof(block_rows) / sizeof(block_rows[0]); i++)
        if (span_is_equal(type, span_from_text(block_rows[i].type)))
            return &block_rows[i];
    return NULL;
}

static int refuse_at(struct talk *talk, size_t block, const char *member, const char *message)
{
    return sim_refuse(talk->in,
                      sim_field_name(talk->in, "messages.%zu.content.%zu%s%s", talk->index, block,
                                     member[0] ? "." : "", member),
                      message);
}

/* --- blocks --- */

static int read_use(struct talk *talk, yyjson_val *block, size_t at)
{
    struct span id = json_tree_string(block, "id");
    int err;

    if (!sim_anthropic_is_name(id))
        return refuse_at(talk, at, "tool_use.id", "String should match pattern '^[a-zA-Z0-9_-]+$'");
    if (!json_tree_string(block, "name").len)
        return refuse_at(talk, at, "tool_use.name", "String should have at least 1 character");
    if (!yyjson_is_obj(yyjson_obj_get(block, "input")))
        return refuse_at(talk, at, "tool_use.input", "Input should be a valid dictionary");
    err = sim_pairing_open(&talk->calls, talk->in->arena, id);
    if (err == ERR_EXISTS)
        return sim_refuse(talk->in, SPAN("messages"), "`tool_use` ids must be unique");
    if (err == ERR_FULL)
        return refuse_at(talk, at, "tool_use", "there are too many calls in one turn");
    talk->call_index = talk->index;
    return err;
}

static int read_result(struct talk *talk, yyjson_val *block, size_t at)
{
    struct span id = json_tree_string(block, "tool_use_id");

    if (sim_pairing_answer(&talk->calls, id))
        return sim_refuse_with(
            talk->in, sim_field_name(talk->in, "messages.%zu.content.%zu", talk->index, at),
            "unexpected `tool_use_id` found in `tool_result` blocks: %.*s. Each `tool_result` "
            "block "
            "must have a corresponding `tool_use` block in the previous message.",
            SPAN_ARG(id));
    if (talk->has_words)
        return refuse_at(talk, at, "",
                         "`tool_result` blocks must come before all other content of the message");
    talk->in->ask->prompt_tokens +=
        4 + sim_tokens_of(sim_gather_content(yyjson_obj_get(block, "content"), NULL));
    return 0;
}

static int check_thought(struct talk *talk, yyjson_val *block, size_t at)
{
    char signature[SIM_ANTHROPIC_SIGNATURE_BYTES];
    yyjson_val *thought = yyjson_obj_get(block, "thinking");

    if (!yyjson_is_str(thought))
        return refuse_at(talk, at, "thinking.thinking", "Field required");
    sim_anthropic_sign(sim_json_text(thought), signature);
    if (!span_is_equal(json_tree_string(block, "signature"), span_from_text(signature)))
        return refuse_at(talk, at, "", "Invalid `signature` in `thinking` block");
    return 0;
}

static int check_image(struct talk *talk, yyjson_val *block, size_t at)
{
    yyjson_val *source = yyjson_obj_get(block, "source");
    struct span type = json_tree_string(source, "type");
    struct span media = json_tree_string(source, "media_type");
    struct span data = json_tree_string(source, "data");

    talk->in->ask->prompt_tokens += sim_picture_tokens(data.len);
    if (span_is_equal(type, SPAN("url")))
        return json_tree_string(source, "url").len
                   ? 0
                   : refuse_at(talk, at, "image.source.url.url", "Field required");
    if (span_is_equal(type, SPAN("file")))
        return 0;
    if (!span_is_equal(type, SPAN("base64")) || !data.len)
        return refuse_at(talk, at, "image.source", "Input should be a base64, url or file source");
    if (!span_is_equal(media, SPAN("image/jpeg")) && !span_is_equal(media, SPAN("image/png")) &&
        !span_is_equal(media, SPAN("image/gif")) && !span_is_equal(media, SPAN("image/webp")))
        return refuse_at(talk, at, "image.source.base64.media_type",
                         "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'");
    if (!sim_is_base64(data))
        return refuse_at(talk, at, "image.source.base64", "invalid base64 data");
    return 0;
}

static int read_block(struct talk *talk, yyjson_val *block, size_t at)
{
    struct span type = json_tree_string(block, "type");
    const struct block_row *row = find_row(type);
    bool is_text = span_is_equal(type, SPAN("text"));
    struct span path;
    int err;

    /* What the provider's own tools leave behind is echoed; its insides are not checked. */
    if (!row && type.len)
        return 0;
    if (!row || !(talk->is_assistant ? row->is_assistants : row->is_users))
        return refuse_at(talk, at, "type", "this type of block cannot stand here");
    path = sim_field_name(talk->in, "messages.%zu.content.%zu.%s", talk->index, at, row->type);
    if (!path.ptr)
        return ERR_NOMEM;
    err = sim_anthropic_check_names(talk->in, block, path, row->names);
    if (err)
        return err;
    talk->result->marks += yyjson_is_obj(yyjson_obj_get(block, "cache_control"));
    if (is_text && !json_tree_string(block, "text").len)
        return sim_refuse(talk->in, SPAN("messages"), "text content blocks must be non-empty");
    if (span_is_equal(type, SPAN("image")))
        return check_image(talk, block, at);
    if (span_is_equal(type, SPAN("tool_use")))
        return read_use(talk, block, at);
    if (span_is_equal(type, SPAN("tool_result")))
        return read_result(talk, block, at);
    return span_is_equal(type, SPAN("thinking")) ? check_thought(talk, block, at) : 0;
}

static bool is_thought(struct span type)
{
    return span_is_equal(type, SPAN("thinking")) || span_is_equal(type, SPAN("redacted_thinking"));
}

static int read_blocks(struct talk *talk, yyjson_val *content)
{
    yyjson_arr_iter iter;
    yyjson_val *block;
    size_t at = 0;
    int err = 0;

    yyjson_arr_iter_init(content, &iter);
    for (; !err && (block = yyjson_arr_iter_next(&iter)); at++) {
        struct span type = json_tree_string(block, "type");

        if (talk->is_empty && talk->is_assistant)
            talk->has_thought = is_thought(type);
        talk->is_empty = false;
        err = read_block(talk, block, at);
        talk->has_words |= !talk->is_assistant && !span_is_equal(type, SPAN("tool_result"));
    }
    return err;
}

/* --- turns --- */

/* Every call of the assistant's is answered in the turn behind it. */
static int check_answered(struct talk *talk)
{
    struct span id = sim_pairing_unanswered(&talk->calls);

    if (!id.ptr)
        return 0;
    return sim_refuse_with(
        talk->in, sim_field_name(talk->in, "messages.%zu", talk->call_index),
        "`tool_use` ids were found without `tool_result` blocks immediately after: %.*s. Each "
        "`tool_use` block must have a corresponding `tool_result` block in the next message.",
        SPAN_ARG(id));
}

static int begin_turn(struct talk *talk, bool is_assistant)
{
    int err;

    if (talk->index > 0 && talk->is_assistant == is_assistant)
        return 0;
    talk->is_assistant = is_assistant;
    talk->is_empty = true;
    talk->has_words = false;
    if (!is_assistant)
        return 0;
    err = check_answered(talk);
    talk->calls.count = 0;
    talk->has_thought = false;
    return err;
}

/* What a message has in words of its own counts as one, each result of a tool as another. */
static void count_tokens(struct talk *talk, yyjson_val *content, bool has_own)
{
    if (has_own)
        talk->in->ask->prompt_tokens += 4 + sim_tokens_of(sim_gather_content(content, NULL));
}

static int refuse_message(struct talk *talk, const char *member, const char *message)
{
    return sim_refuse(
        talk->in,
        sim_field_name(talk->in, "messages.%zu%s%s", talk->index, member[0] ? "." : "", member),
        message);
}

static bool is_only_results(yyjson_val *content)
{
    yyjson_arr_iter iter;
    yyjson_val *block;

    if (!yyjson_arr_iter_init(content, &iter))
        return false;
    while ((block = yyjson_arr_iter_next(&iter)))
        if (!span_is_equal(json_tree_string(block, "type"), SPAN("tool_result")))
            return false;
    return true;
}

static int read_message(struct talk *talk, yyjson_val *message, bool is_last)
{
    struct span role = json_tree_string(message, "role");
    yyjson_val *content = yyjson_obj_get(message, "content");
    bool is_user = span_is_equal(role, SPAN("user")), is_own;
    bool is_assistant = span_is_equal(role, SPAN("assistant"));
    int err;

    if (!is_user && !is_assistant && !span_is_equal(role, SPAN("system")))
        return refuse_message(talk, "role", "Input should be 'user' or 'assistant'");
    err = sim_anthropic_check_names(
        talk->in, message, sim_field_name(talk->in, "messages.%zu", talk->index), "role content");
    if (err)
        return err;
    if (!yyjson_is_str(content) && !yyjson_is_arr(content))
        return refuse_message(talk, "content",
                              content ? "Input should be a valid list" : "Field required");
    if ((yyjson_is_str(content) ? yyjson_get_len(content) : yyjson_arr_size(content)) == 0 &&
        !(is_assistant && is_last))
        return refuse_message(talk, "",
                              "all messages must have non-empty content except for the "
                              "optional final assistant message");
    if (talk->index == 0 && is_assistant)
        return sim_refuse(talk->in, SPAN("messages"), "first message must use the \"user\" role");
    is_own = !is_user || !is_only_results(content);
    count_tokens(talk, content, is_own);
    talk->result->is_user_last = is_user && is_own;
    if (talk->result->is_user_last)
        talk->chosen = message;
    /* A system message in mid-list ends nobody's turn. */
    if (!is_user && !is_assistant)
        return 0;
    err = begin_turn(talk, is_assistant);
    if (!err && yyjson_is_str(content))
        talk->is_empty = false;
    talk->has_words |= is_user && yyjson_is_str(content);
    return err ? err : read_blocks(talk, content);
}

/* The last message is known: what may not stand at the end. */
static int check_end(struct talk *talk, yyjson_val *last)
{
    struct span text = json_tree_string(last, "content");
    int err = check_answered(talk);

    if (err)
        return err;
    /* In a loop of tools thinking goes on where it stopped. */
    if (!talk->is_assistant && talk->calls.count && talk->is_thinking && !talk->has_thought)
        return sim_refuse(talk->in, SPAN("messages"),
                          "Expected `thinking` or `redacted_thinking`, but found `tool_use`. When "
                          "`thinking` is enabled, a final `assistant` message must start with a "
                          "thinking block.");
    if (!span_is_equal(json_tree_string(last, "role"), SPAN("assistant")))
        return 0;
    if (sim_anthropic_rules_of(talk->in->ask->model).has_no_prefill)
        return sim_refuse(talk->in, SPAN(""),
                          "This model does not support assistant message prefill. The conversation "
                          "must end with a user message.");
    if (text.len && text.len != span_trim(text).len && text.ptr[text.len - 1] <= ' ')
        return sim_refuse(talk->in, SPAN("messages"),
                          "final assistant content cannot end with trailing whitespace");
    return 0;
}

int sim_anthropic_read_messages(struct sim_request *in, bool is_thinking,
                                struct sim_anthropic_talk *ret_talk)
{
    yyjson_val *messages = yyjson_obj_get(in->root, "messages"), *message, *last = NULL;
    struct talk talk = {.in = in, .result = ret_talk, .is_thinking = is_thinking};
    size_t count = yyjson_arr_size(messages);
    struct sim_gathering text;
    yyjson_arr_iter iter;
    int err = 0;

    if (!yyjson_arr_iter_init(messages, &iter))
        return sim_refuse(in, SPAN("messages"),
                          messages ? "Input should be a valid list" : "Field required");
    if (count == 0)
        return sim_refuse(in, SPAN("messages"), "at least one message is required");
    in->ask->prompt_tokens = 3;
    for (; !err && (message = yyjson_arr_iter_next(&iter)); talk.index++) {
        err = read_message(&talk, message, talk.index + 1 == count);
        last = message;
    }
    if (!err)
        err = check_end(&talk, last);
    if (err)
        return err;
    if (sim_request_texts(in, 1))
        return ERR_NOMEM;
    sim_gather_begin(&text);
    sim_gather_content(yyjson_obj_get(talk.chosen ? talk.chosen : last, "content"), &text);
    return sim_gather_end(&text, in);
}
