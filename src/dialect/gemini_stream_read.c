/*
 * Answers of generateContent, whole or in pieces: each piece is a whole GenerateContentResponse
 * with the parts that are new. There is no terminal event, and models of old give a finish reason
 * with every piece: so choices are finished when the stream ends.
 */
#include "dialect/gemini_stream_read.h"

#include "base/err.h"
#include "dialect/error_read.h"

void gemini_tell(struct gemini_reader *reader, const struct chat_event *event)
{
    if (!reader->is_over)
        reader->base.sink->put(reader->base.sink, event);
    if (event->kind == CHAT_EVENT_END || event->kind == CHAT_EVENT_ERROR)
        reader->is_over = true;
}

void gemini_tell_failure(struct gemini_reader *reader, struct span message)
{
    struct dialect_error error = {.is_json = true, .status = 502};

    error.message_len = dialect_keep(error.message, sizeof(error.message), message);
    gemini_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_ERROR, .error = &error});
}

/* --- finish --- */

static enum chat_finish finish_of(struct span reason)
{
    static const struct {
        struct span reason;
        enum chat_finish finish;
    } known[] = {
        {SPAN_INIT("STOP"), CHAT_FINISH_STOP},
        {SPAN_INIT("FINISH_REASON_UNSPECIFIED"), CHAT_FINISH_STOP},
        {SPAN_INIT("MAX_TOKENS"), CHAT_FINISH_LENGTH},
        {SPAN_INIT("CONTINUATION"), CHAT_FINISH_LENGTH},
        {SPAN_INIT("SAFETY"), CHAT_FINISH_FILTER},
        {SPAN_INIT("BLOCKLIST"), CHAT_FINISH_FILTER},
        {SPAN_INIT("PROHIBITED_CONTENT"), CHAT_FINISH_FILTER},
        {SPAN_INIT("SPII"), CHAT_FINISH_FILTER},
        {SPAN_INIT("RECITATION"), CHAT_FINISH_FILTER},
        {SPAN_INIT("LANGUAGE"), CHAT_FINISH_FILTER},
        {SPAN_INIT("IMAGE_SAFETY"), CHAT_FINISH_FILTER},
        {SPAN_INIT("IMAGE_PROHIBITED_CONTENT"), CHAT_FINISH_FILTER},
        {SPAN_INIT("IMAGE_RECITATION"), CHAT_FINISH_FILTER},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_is_equal(reason, known[i].reason))
            return known[i].finish;
    }
    /* MALFORMED_FUNCTION_CALL, OTHER and the like, and what is not known yet. */
    return CHAT_FINISH_ERROR;
}

/* The last reason counts. Why is kept once: a stream may say it again and again. */
static void take_finish(struct gemini_reader *reader, struct gemini_choice *choice,
                        const yyjson_val *candidate)
{
    struct span reason = json_tree_string(candidate, "finishReason");
    struct span why = json_tree_string(candidate, "finishMessage");

    if (reason.len == 0)
        return;
    choice->finish = finish_of(reason);
    if (choice->why.ptr ||
        (choice->finish != CHAT_FINISH_FILTER && choice->finish != CHAT_FINISH_ERROR))
        return;
    choice->why = arena_copy(reader->base.arena, why.len ? why : reason);
}

static void tell_finish(struct gemini_reader *reader, unsigned index)
{
    struct gemini_choice *choice = &reader->choices[index];
    enum chat_finish finish = choice->finish;
    bool has_calls = choice->calls > 0;

    gemini_close_call(reader, index);
    /* There is no reason of its own for calls; and a failure behind an answer is its end. */
    if (finish == CHAT_FINISH_STOP || finish == CHAT_FINISH_ERROR) {
        if (has_calls)
            finish = CHAT_FINISH_CALLS;
        else if (choice->has_text)
            finish = CHAT_FINISH_STOP;
    }
    gemini_tell(reader, &(struct chat_event){
                            .kind = CHAT_EVENT_FINISH,
                            .choice = index,
                            .finish = finish,
                            .text = finish == CHAT_FINISH_FILTER || finish == CHAT_FINISH_ERROR
                                        ? choice->why
                                        : span_of(NULL, 0),
                        });
}

/* A choice that failed before it said anything: MALFORMED_FUNCTION_CALL and its kin. */
static const struct gemini_choice *find_failed(const struct gemini_reader *reader)
{
    const struct gemini_choice *failed = NULL;

    for (unsigned i = 0; i < reader->choice_end; i++) {
        if (reader->choices[i].has_text || reader->choices[i].calls)
            return NULL;
        if (reader->choices[i].finish == CHAT_FINISH_ERROR)
            failed = &reader->choices[i];
    }
    return failed;
}

static bool is_whole(const struct gemini_reader *reader)
{
    bool has_any = false;

    for (unsigned i = 0; i < reader->choice_end; i++) {
        if (!reader->choices[i].has_begun)
            continue;
        if (reader->choices[i].finish == CHAT_FINISH_NONE)
            return false;
        has_any = true;
    }
    return has_any;
}

void gemini_read_end(struct chat_reader *base)
{
    struct gemini_reader *reader = (struct gemini_reader *)base;

    const struct gemini_choice *failed = find_failed(reader);

    if (reader->is_over || !is_whole(reader))
        return;
    /* There is no answer at all: another attempt may bring one. */
    if (failed)
        gemini_tell_failure(reader, failed->why.len ? failed->why : SPAN("The answer is empty."));
    for (unsigned i = 0; i < reader->choice_end; i++) {
        if (reader->choices[i].has_begun)
            tell_finish(reader, i);
    }
    gemini_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_END});
}

/* --- a response --- */

static void take_error(struct gemini_reader *reader, const yyjson_val *value)
{
    struct dialect_error error;
    struct buf text;

    buf_init(&text, ERROR_BODY_MAX);
    (void)json_tree_write(&text, value);
    error_read_member(buf_span(&text), &error);
    buf_fini(&text);
    gemini_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_ERROR, .error = &error});
}

static struct gemini_choice *choice_of(struct gemini_reader *reader, unsigned index)
{
    struct gemini_choice *choice = &reader->choices[index];

    choice->has_begun = true;
    if (index >= reader->choice_end)
        reader->choice_end = index + 1;
    return choice;
}

static void take_candidate(struct gemini_reader *reader, const yyjson_val *candidate)
{
    const yyjson_val *parts = json_tree_member(json_tree_member(candidate, "content"), "parts");
    const yyjson_val *place = json_tree_member(candidate, "index");
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(parts));
    struct gemini_choice *choice;
    int64_t index = 0;
    yyjson_val *item;

    if (!yyjson_is_obj(json_tree_plain(candidate)) || (place && !gemini_int(place, &index)) ||
        index < 0 || index >= CHAT_CHOICES_MAX)
        return;
    choice = choice_of(reader, (unsigned)index);
    while ((item = yyjson_arr_iter_next(&items)))
        gemini_take_part(reader, (unsigned)index, item);
    gemini_take_logprobs(reader, (unsigned)index, json_tree_member(candidate, "logprobsResult"));
    take_finish(reader, choice, candidate);
}

static void take_start(struct gemini_reader *reader, const yyjson_val *root)
{
    if (reader->has_begun)
        return;
    reader->has_begun = true;
    gemini_tell(reader, &(struct chat_event){
                            .kind = CHAT_EVENT_START,
                            .id = json_tree_string(root, "responseId"),
                            .name = json_tree_string(root, "modelVersion"),
                        });
}

/* A prompt that was blocked has no candidates: it is an answer that a filter held back. */
static void take_feedback(struct gemini_reader *reader, const yyjson_val *feedback)
{
    struct span reason = json_tree_string(feedback, "blockReason");
    struct gemini_choice *choice;

    if (reason.len == 0 || reader->choice_end)
        return;
    choice = choice_of(reader, 0);
    choice->finish = CHAT_FINISH_FILTER;
    choice->why = arena_copy(reader->base.arena, reason);
}

/* True where the very first piece says that nothing will come: told before the answer begins. */
static bool is_still_born(struct gemini_reader *reader, const yyjson_val *list)
{
    const yyjson_val *first = yyjson_arr_get_first(json_tree_plain(list));
    struct span reason = json_tree_string(first, "finishReason");
    struct span why = json_tree_string(first, "finishMessage");

    if (reader->has_begun || yyjson_arr_size(json_tree_plain(list)) != 1 || reason.len == 0 ||
        finish_of(reason) != CHAT_FINISH_ERROR ||
        yyjson_arr_size(
            json_tree_plain(json_tree_member(json_tree_member(first, "content"), "parts"))))
        return false;
    gemini_tell_failure(reader, why.len ? why : reason);
    return true;
}

static void take_usage(struct gemini_reader *reader, const yyjson_val *value)
{
    struct dialect_usage usage;

    if (value && gemini_read_usage(value, &usage))
        gemini_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_USAGE, .usage = &usage});
}

static void take_response(struct gemini_reader *reader, const yyjson_val *root)
{
    const yyjson_val *error = json_tree_member(root, "error");
    const yyjson_val *list = json_tree_member(root, "candidates");
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *item;

    if (reader->is_over)
        return;
    if (error) {
        take_error(reader, error);
        return;
    }
    if (is_still_born(reader, list))
        return;
    take_start(reader, root);
    while ((item = yyjson_arr_iter_next(&items)))
        take_candidate(reader, item);
    take_feedback(reader, json_tree_member(root, "promptFeedback"));
    take_usage(reader, json_tree_member(root, "usageMetadata"));
}

/* One response, or an array of them: that is how a stream looks that is no SSE. */
static int take_root(struct gemini_reader *reader, yyjson_val *root)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(root);
    yyjson_val *item;

    if (!yyjson_is_obj(root) && !yyjson_is_arr(root))
        return ERR_SYNTAX;
    if (yyjson_is_obj(root) && yyjson_obj_size(root))
        take_response(reader, root);
    while ((item = yyjson_arr_iter_next(&items))) {
        if (yyjson_is_obj(item))
            take_response(reader, item);
    }
    return 0;
}

int gemini_read_event(struct chat_reader *base, const struct sse_event *event)
{
    struct gemini_reader *reader = (struct gemini_reader *)base;
    struct span text = span_trim(event->kind == SSE_DATA ? event->data : event->raw);
    struct json_tree tree;
    int err;

    /* An error may come as a bare body in the middle of a stream; what else is no data says
     * nothing, nor does the terminal event of other providers. */
    if (event->kind != SSE_DATA && !span_has_prefix(text, SPAN("{")) &&
        !span_has_prefix(text, SPAN("[")))
        return 0;
    if (span_is_equal(text, SPAN("[DONE]")))
        return 0;
    err = json_tree_read_raw(&tree, text, text.len * GEMINI_TREE_RATIO + JSON_TREE_OWN_BYTES);
    if (!err)
        err = take_root(reader, yyjson_doc_get_root(tree.doc));
    json_tree_fini(&tree);
    return err ? ERR_SYNTAX : 0;
}

int gemini_read_answer(struct chat_reader *base, const yyjson_val *root)
{
    struct gemini_reader *reader = (struct gemini_reader *)base;
    int err = take_root(reader, json_tree_plain(root));

    if (err)
        return err;
    for (unsigned i = 0; i < reader->choice_end; i++) {
        struct gemini_choice *choice = &reader->choices[i];

        /* In proto3 a reason that is not specified is not there. */
        if (choice->has_begun && choice->finish == CHAT_FINISH_NONE)
            choice->finish =
                choice->has_text || choice->calls ? CHAT_FINISH_STOP : CHAT_FINISH_ERROR;
    }
    gemini_read_end(base);
    if (!reader->is_over)
        gemini_tell_failure(reader, SPAN("The provider's answer has no candidates."));
    return 0;
}
