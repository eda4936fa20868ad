/*
 * Results of functions, written: one for each call of the turn before, in their order, each an
 * object.
 */
#include <stdio.h>

#include "base/err.h"
#include "base/map.h"
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

/* --- which result --- */

/* Where a result stands. */
struct place {
    struct place *next; /* of the same hash */
    size_t message, at;
};

/* The results in the messages behind a turn. They stand in the order of the calls nearly always;
 * where they do not, they are found by a hash of their ids, so that many take no longer for each.
 */
struct results {
    const struct chat *chat;
    struct arena *arena;
    size_t from, end;
    struct place last;      /* behind the one found last */
    struct place **buckets; /* NULL: not hashed yet */
    size_t bucket_count;    /* a power of two */
};

static const struct chat_part *part_at(const struct results *results, const struct place *place)
{
    return &results->chat->messages[place->message].parts[place->at];
}

/* Moves to the next result from the place on; false where there is none. */
static bool next_result(const struct results *results, struct place *place)
{
    for (; place->message < results->end; place->message++, place->at = 0) {
        for (; place->at < results->chat->messages[place->message].part_count; place->at++) {
            if (part_at(results, place)->kind == CHAT_PART_RESULT)
                return true;
        }
    }
    return false;
}

static bool hash_results(struct results *results)
{
    struct place at = {.message = results->from}, *places;
    size_t count = 0;

    for (; next_result(results, &at); at.at++)
        count++;
    for (results->bucket_count = 16; results->bucket_count < count;)
        results->bucket_count *= 2;
    places = arena_alloc(results->arena, (count + 1) * sizeof(*places));
    results->buckets =
        arena_zalloc(results->arena, results->bucket_count * sizeof(*results->buckets));
    if (!places || !results->buckets)
        return false;
    at = (struct place){.message = results->from};
    for (size_t i = 0; next_result(results, &at); at.at++)
        places[i++] = at;
    /* The first of an id is to be found: it is put in front last. */
    for (size_t i = count; i-- > 0;) {
        struct place **bucket = &results->buckets[map_hash(part_at(results, &places[i])->id) &
                                                  (results->bucket_count - 1)];

        places[i].next = *bucket;
        *bucket = &places[i];
    }
    return true;
}

/* The result of that id: 0; ERR_EOF: there is none; ERR_NOMEM. */
static int find_result(struct results *results, struct span id, struct place *ret_place)
{
    *ret_place = results->last;
    if (!next_result(results, ret_place) || !span_is_equal(part_at(results, ret_place)->id, id)) {
        const struct place *place;

        if (!results->buckets && !hash_results(results))
            return ERR_NOMEM;
        place = results->buckets[map_hash(id) & (results->bucket_count - 1)];
        while (place && !span_is_equal(part_at(results, place)->id, id))
            place = place->next;
        if (!place)
            return ERR_EOF;
        *ret_place = *place;
    }
    results->last = *ret_place;
    results->last.at++;
    return 0;
}

/* Gemini wants as many results as there were calls, in the content that follows them. */
int gemini_write_results(struct gemini_telling *contents, size_t from, size_t end,
                         size_t *ret_count)
{
    const struct chat *chat = contents->writing->chat;
    struct results results = {.chat = chat,
                              .arena = contents->writing->arena,
                              .from = from,
                              .end = end,
                              .last = {.message = from}};
    int err = 0;

    for (size_t m = contents->turn; !err && m < contents->turn_end; m++) {
        for (size_t p = 0; !err && p < chat->messages[m].part_count; p++) {
            const struct chat_part *call = &chat->messages[m].parts[p];
            struct place place;

            if (call->kind != CHAT_PART_CALL)
                continue;
            err = find_result(&results, call->id, &place);
            if (err == ERR_EOF)
                return gemini_refuse_message(contents, m, "tool_calls",
                                             "a call has no result in the messages behind it");
            if (!err)
                err = write_result(contents, call, part_at(&results, &place), place.message,
                                   place.at);
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
