/*
 * Results of functions, written: one for each call of the turn before, in their order, each an
 * object.
 */
#include <stdio.h>

#include "base/err.h"
#include "dialect/gemini_content_write.h"

static void write_response(struct gemini_telling *contents, const struct chat_part *part,
                           struct span text)
{
    struct json_writer *writer = contents->writer;
    bool is_object = gemini_is_object(text);

    json_name(writer, "response");
    if (is_object && (!part->is_error || span_has_prefix(text, SPAN("{\"error\":")))) {
        json_raw(writer, text);
        return;
    }
    json_begin_object(writer);
    json_name(writer, part->is_error ? "error" : "output");
    if (is_object)
        json_raw(writer, text);
    else
        json_string(writer, text);
    json_end_object(writer);
}

static bool is_media(const struct chat_part *part)
{
    return part->kind == CHAT_PART_IMAGE || part->kind == CHAT_PART_AUDIO ||
           part->kind == CHAT_PART_DOCUMENT || part->kind == CHAT_PART_VIDEO;
}

/* A document in plain text is the result's text, or a part of it. */
static struct span result_text(struct gemini_telling *contents, const struct chat_part *result)
{
    struct arena *arena = contents->writing->arena;
    struct span text = chat_plain_text(result->parts, result->part_count, arena);

    for (size_t i = 0; i < result->part_count && text.ptr; i++) {
        const struct chat_part *part = &result->parts[i];

        if (part->kind == CHAT_PART_DOCUMENT && part->media.source == CHAT_SOURCE_TEXT)
            text = text.len ? arena_printf(arena, "%.*s\n%.*s", SPAN_ARG(text),
                                           SPAN_ARG(part->media.data))
                            : part->media.data;
    }
    return text;
}

static int write_result_media(struct gemini_telling *contents, const struct chat_part *result,
                              size_t message, size_t at)
{
    bool has_any = false;
    int err = 0;

    if (!contents->model->takes_media_results)
        return 0;
    for (size_t i = 0; !err && i < result->part_count; i++) {
        if (!is_media(&result->parts[i]) || result->parts[i].media.source == CHAT_SOURCE_TEXT)
            continue;
        if (!has_any) {
            json_name(contents->writer, "parts");
            json_begin_array(contents->writer);
            has_any = true;
        }
        err = gemini_write_media_part(contents, &result->parts[i], message, at);
    }
    if (has_any)
        json_end_array(contents->writer);
    return err;
}

static int write_result(struct gemini_telling *contents, const struct chat_part *call,
                        const struct chat_part *result, size_t message, size_t at)
{
    struct json_writer *writer = contents->writer;
    struct span text = result_text(contents, result);
    int err;

    if (!text.ptr)
        return ERR_NOMEM;
    json_begin_object(writer);
    json_name(writer, "functionResponse");
    json_begin_object(writer);
    gemini_write_call_names(contents, call->id, call->name);
    write_response(contents, result, text);
    err = write_result_media(contents, result, message, at);
    json_end_object(writer);
    json_end_object(writer);
    return err;
}

/* The result of that id in the messages; ret_message and ret_at say where. */
static const struct chat_part *find_result(const struct chat *chat, size_t from, size_t end,
                                           struct span id, size_t *ret_message, size_t *ret_at)
{
    for (size_t m = from; m < end; m++) {
        for (size_t p = 0; p < chat->messages[m].part_count; p++) {
            const struct chat_part *part = &chat->messages[m].parts[p];

            if (part->kind != CHAT_PART_RESULT || !span_is_equal(part->id, id))
                continue;
            *ret_message = m;
            *ret_at = p;
            return part;
        }
    }
    return NULL;
}

/* Gemini wants as many results as there were calls, in the content that follows them. */
int gemini_write_results(struct gemini_telling *contents, size_t from, size_t end,
                         size_t *ret_count)
{
    const struct chat *chat = contents->writing->chat;
    int err = 0;

    for (size_t m = contents->turn; !err && m < contents->turn_end; m++) {
        for (size_t p = 0; !err && p < chat->messages[m].part_count; p++) {
            const struct chat_part *call = &chat->messages[m].parts[p], *result;
            size_t message, at;

            if (call->kind != CHAT_PART_CALL)
                continue;
            result = find_result(chat, from, end, call->id, &message, &at);
            if (!result)
                return gemini_refuse_message(contents, m, "tool_calls",
                                             "a call has no result in the messages behind it");
            err = write_result(contents, call, result, message, at);
            ++*ret_count;
        }
    }
    return err;
}

/* Media of a result where the model takes none inside it: behind the results. */
int gemini_write_loose_media(struct gemini_telling *contents, const struct chat_part *result,
                             size_t message, size_t at)
{
    int err = 0;

    for (size_t i = 0; !err && i < result->part_count; i++) {
        if (is_media(&result->parts[i]) && result->parts[i].media.source != CHAT_SOURCE_TEXT)
            err = gemini_write_media_part(contents, &result->parts[i], message, at);
    }
    return err;
}
