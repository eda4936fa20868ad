/* Answers of chat completions and all that is like them: chunks of a stream, and whole ones. */
#include "base/err.h"
#include "dialect/openai_chat_inner.h"
#include "dialect/openai_error.h"

enum { CHUNK_TREE_MAX = 32 << 20 }; /* memory for the tree of one event */

void openai_tell(struct openai_reader *reader, const struct chat_event *event)
{
    if (reader->is_over)
        return;
    if (event->kind == CHAT_EVENT_END || event->kind == CHAT_EVENT_ERROR)
        reader->is_over = true;
    if (event->kind == CHAT_EVENT_REFUSAL)
        reader->choices[event->choice]->has_refusal = true;
    reader->base.sink->put(reader->base.sink, event);
}

static void tell_error(struct openai_reader *reader, const struct dialect_error *error)
{
    openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_ERROR, .error = error});
}

void openai_tell_failure(struct openai_reader *reader, struct span message)
{
    struct dialect_error error = {.is_json = true};

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    tell_error(reader, &error);
}

/* --- errors --- */

/* What a JavaScript or Python client takes for "there is an error". */
static bool is_truthy(const yyjson_val *value)
{
    yyjson_val *plain = json_tree_plain(value);

    return yyjson_is_true(plain) || (yyjson_is_str(plain) && yyjson_get_len(plain)) ||
           (yyjson_is_ctn(plain) && yyjson_get_len(plain));
}

/* The error's own reader takes text; errors are rare. */
static void tell_error_value(struct openai_reader *reader, const yyjson_val *value)
{
    struct dialect_error error;
    struct buf text;

    buf_init(&text, OPENAI_ERROR_BODY_MAX);
    (void)json_tree_write(&text, value);
    openai_error_read_member(buf_span(&text), &error);
    buf_fini(&text);
    tell_error(reader, &error);
}

/* Reasons to end that are none: OpenRouter's and Mistral's, DeepSeek's. */
static bool is_failure(struct span word)
{
    return span_is_equal(word, SPAN("error")) ||
           span_is_equal(word, SPAN("insufficient_system_resource"));
}

/* An error inside a choice, and whether there is one that is told by its finish_reason alone. */
static const yyjson_val *error_in_choices(const yyjson_val *root, bool *ret_is_bare)
{
    yyjson_val *list = json_tree_plain(json_tree_member(root, "choices")), *choice;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return NULL;
    yyjson_arr_foreach(list, at, max, choice)
    {
        const yyjson_val *error = json_tree_member(choice, "error");

        if (is_truthy(error))
            return error;
        if (is_failure(json_tree_string(choice, "finish_reason")))
            *ret_is_bare = true;
    }
    return NULL;
}

/* True where there was one, told. */
static bool take_error(struct openai_reader *reader, const yyjson_val *root)
{
    const yyjson_val *error = json_tree_member(root, "error");
    bool is_bare = false;

    if (!is_truthy(error))
        error = json_tree_member(json_tree_member(root, "x_groq"), "error");
    if (!is_truthy(error))
        error = error_in_choices(root, &is_bare);
    if (error)
        tell_error_value(reader, error);
    else if (is_bare)
        openai_tell_failure(reader, SPAN("The provider broke the answer off with an error."));
    return error || is_bare;
}

/* --- choices --- */

static void start(struct openai_reader *reader, const yyjson_val *root)
{
    int64_t created = 0;

    if (reader->has_start)
        return;
    reader->has_start = true;
    (void)json_tree_int(json_tree_member(root, "created"), &created);
    openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_START,
                                             .id = json_tree_string(root, "id"),
                                             .name = json_tree_string(root, "model"),
                                             .created_s = created > 0 ? (uint64_t)created : 0});
}

static struct openai_choice *choice_at(struct openai_reader *reader, unsigned index)
{
    if (!reader->choices[index]) {
        reader->choices[index] = arena_zalloc(reader->base.arena, sizeof(struct openai_choice));
        if (!reader->choices[index])
            openai_tell_failure(reader, SPAN("There is no memory for the provider's answer."));
    }
    return reader->choices[index];
}

static enum chat_finish finish_of(struct span word)
{
    static const struct {
        struct span word;
        enum chat_finish finish;
    } words[] = {
        {SPAN_INIT("stop"), CHAT_FINISH_STOP},
        {SPAN_INIT("tool_calls"), CHAT_FINISH_CALLS},
        {SPAN_INIT("length"), CHAT_FINISH_LENGTH},
        {SPAN_INIT("content_filter"), CHAT_FINISH_FILTER},
        {SPAN_INIT("function_call"), CHAT_FINISH_CALLS},
        {SPAN_INIT("model_length"), CHAT_FINISH_CONTEXT},
        {SPAN_INIT("max_tokens"), CHAT_FINISH_LENGTH},
        {SPAN_INIT("tool_use"), CHAT_FINISH_CALLS},
    };

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (span_is_equal(word, words[i].word))
            return words[i].finish;
    }
    return CHAT_FINISH_STOP; /* "eos" and other names for the usual end */
}

/* Ends a choice. What it holds decides between an end and calls: some say "stop" with calls. */
static void finish(struct openai_reader *reader, unsigned index, enum chat_finish finish,
                   struct span stop)
{
    struct openai_choice *choice = reader->choices[index];

    if (!openai_end_calls(reader, index))
        return;
    choice->has_finish = true;
    if (finish == CHAT_FINISH_STOP && choice->begun)
        finish = CHAT_FINISH_CALLS;
    else if (finish == CHAT_FINISH_CALLS && !choice->begun)
        finish = CHAT_FINISH_STOP;
    if (finish == CHAT_FINISH_STOP && choice->has_refusal)
        finish = CHAT_FINISH_REFUSAL;
    else if (finish == CHAT_FINISH_STOP && stop.len)
        finish = CHAT_FINISH_STOP_SEQUENCE;
    openai_tell(reader, &(struct chat_event){
                            .kind = CHAT_EVENT_FINISH,
                            .choice = index,
                            .finish = finish,
                            .text = finish == CHAT_FINISH_STOP_SEQUENCE ? stop : span_of(NULL, 0)});
}

static void take_choice(struct openai_reader *reader, const yyjson_val *value, size_t position)
{
    const yyjson_val *message = json_tree_member(value, "delta");
    struct span word = json_tree_string(value, "finish_reason");
    int64_t index = (int64_t)position;
    struct openai_choice *choice;

    (void)json_tree_int(json_tree_member(value, "index"), &index);
    if (!yyjson_is_obj(json_tree_plain(value)) || index < 0 || index >= CHAT_CHOICES_MAX)
        return;
    choice = choice_at(reader, (unsigned)index);
    if (!choice || choice->has_finish) /* late filter chunks (Azure) */
        return;
    if (!message)
        message = json_tree_member(value, "message");
    if (message)
        openai_take_message(reader, (unsigned)index, message);
    else /* the old shape */
        openai_tell_text(reader, CHAT_EVENT_TEXT, (unsigned)index, json_tree_string(value, "text"));
    openai_take_logprobs(reader, (unsigned)index, json_tree_member(value, "logprobs"));
    if (word.len && !reader->is_over)
        finish(reader, (unsigned)index, finish_of(word), json_tree_string(value, "stop_reason"));
}

static void take_choices(struct openai_reader *reader, const yyjson_val *root)
{
    yyjson_val *list = json_tree_plain(json_tree_member(root, "choices")), *choice;
    size_t at, max;

    if (!yyjson_is_arr(list))
        return;
    yyjson_arr_foreach(list, at, max, choice)
    {
        if (!reader->is_over)
            take_choice(reader, choice, at);
    }
}

static void take_usage(struct openai_reader *reader, const yyjson_val *root)
{
    struct dialect_usage usage;

    if (openai_read_usage(json_tree_member(root, "usage"), &usage) ||
        openai_read_usage(json_tree_member(json_tree_member(root, "x_groq"), "usage"), &usage)) {
        usage.tier = dialect_tier_of(json_tree_string(root, "service_tier"));
        openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_USAGE, .usage = &usage});
    }
}

/* Azure's first chunk has no choices and names nothing: the answer starts behind it. */
static bool is_beginning(const yyjson_val *root)
{
    return json_tree_string(root, "id").len || json_tree_member(root, "usage") ||
           yyjson_arr_size(json_tree_plain(json_tree_member(root, "choices")));
}

static void take_body(struct openai_reader *reader, const yyjson_val *root)
{
    if (take_error(reader, root) || !is_beginning(root))
        return;
    start(reader, root);
    take_choices(reader, root);
    take_usage(reader, root);
}

/* --- the end --- */

/* The answer is over: choices that began and were not finished are finished now, and an answer
 * without any has an empty one. */
static void end(struct openai_reader *reader)
{
    bool has_any = false;

    for (unsigned i = 0; i < CHAT_CHOICES_MAX; i++) {
        has_any |= reader->choices[i] != NULL;
        if (reader->choices[i] && !reader->choices[i]->has_finish)
            finish(reader, i, CHAT_FINISH_STOP, SPAN(""));
    }
    if (!has_any && choice_at(reader, 0))
        finish(reader, 0, CHAT_FINISH_STOP, SPAN(""));
    openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_END});
}

static bool is_finished(const struct openai_reader *reader)
{
    unsigned finished = 0;

    for (unsigned i = 0; i < CHAT_CHOICES_MAX; i++) {
        if (reader->choices[i] && !reader->choices[i]->has_finish)
            return false;
        finished += reader->choices[i] != NULL;
    }
    return finished && finished >= reader->base.choices;
}

void openai_chat_read_end(struct chat_reader *base)
{
    struct openai_reader *reader = (struct openai_reader *)base;

    if (reader->has_start && is_finished(reader))
        end(reader);
}

/* --- events --- */

/* `event: error` (Groq): whatever its data is, it is the error. */
static void take_named_error(struct openai_reader *reader, struct span data)
{
    struct dialect_error error;

    openai_error_read(data, &error);
    if (!error.is_json)
        error.message_len = dialect_keep(error.message, sizeof(error.message), data);
    tell_error(reader, &error);
}

int openai_chat_read_event(struct chat_reader *base, const struct sse_event *event)
{
    struct openai_reader *reader = (struct openai_reader *)base;
    struct json_tree tree;
    int err;

    if (reader->is_over || event->kind != SSE_DATA || event->data.len == 0)
        return 0;
    if (span_has_prefix(event->data, SPAN("[DONE]"))) {
        /* Without anything before it there is no answer to end. */
        if (reader->has_start)
            end(reader);
        return 0;
    }
    if (span_is_equal(event->name, SPAN("error"))) {
        take_named_error(reader, event->data);
        return 0;
    }
    err = json_tree_read_raw(&tree, event->data, CHUNK_TREE_MAX);
    if (!err && !yyjson_is_obj(yyjson_doc_get_root(tree.doc)))
        err = ERR_SYNTAX;
    if (!err)
        take_body(reader, yyjson_doc_get_root(tree.doc));
    json_tree_fini(&tree);
    return err ? ERR_SYNTAX : 0;
}

int openai_chat_read_answer(struct chat_reader *base, const yyjson_val *root)
{
    struct openai_reader *reader = (struct openai_reader *)base;

    if (!yyjson_is_obj(json_tree_plain(root)))
        return ERR_SYNTAX;
    if (take_error(reader, root))
        return 0;
    if (!yyjson_is_arr(json_tree_plain(json_tree_member(root, "choices"))))
        return ERR_SYNTAX;
    start(reader, root);
    take_choices(reader, root);
    take_usage(reader, root);
    if (!reader->is_over)
        end(reader);
    return 0;
}
