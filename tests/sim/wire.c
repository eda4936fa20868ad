#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint64_t HOUR_US = 3600 * SECOND;

int set_up_play(void **state)
{
    struct play *play = calloc(1, sizeof(*play));

    assert_non_null(play);
    play_begin(play, "");
    *state = play;
    return 0;
}

int tear_down_play(void **state)
{
    play_end(*state);
    free(*state);
    return 0;
}

yyjson_doc *parse_json(struct span text)
{
    yyjson_doc *doc = yyjson_read(text.ptr, text.len, 0);

    if (!doc)
        fail_msg("no JSON: %.*s", SPAN_ARG(text));
    return doc;
}

void assert_at(yyjson_doc *doc, const char *pointer, const char *wanted)
{
    yyjson_val *value = yyjson_doc_ptr_get(doc, pointer);

    if (!value || !yyjson_equals_str(value, wanted))
        fail_msg("%s is '%s', not '%s'", pointer, value ? yyjson_get_str(value) : "absent", wanted);
}

int64_t number_at(yyjson_doc *doc, const char *pointer)
{
    yyjson_val *value = yyjson_doc_ptr_get(doc, pointer);

    if (!yyjson_is_num(value))
        fail_msg("%s is no number", pointer);
    return yyjson_get_sint(value);
}

bool has_at(yyjson_doc *doc, const char *pointer)
{
    return yyjson_doc_ptr_get(doc, pointer) != NULL;
}

static void read_line(struct frames *frames, struct span line, bool *is_frame)
{
    struct span data;

    if (span_has_prefix(line, SPAN("event: "))) {
        data = span_skip(line, 7);
        snprintf(frames->at[frames->count].name, sizeof(frames->at[0].name), "%.*s",
                 SPAN_ARG(data));
        return;
    }
    assert_true(span_has_prefix(line, SPAN("data: ")));
    data = span_skip(line, 6);
    *is_frame = true;
    frames->at[frames->count].doc = span_is_equal(data, SPAN("[DONE]")) ? NULL : parse_json(data);
}

void read_frames(const struct reply *reply, const char *end, struct frames *frames)
{
    struct span rest = buf_span(&reply->body), blank = span_from_text(end);

    memset(frames, 0, sizeof(*frames));
    while (rest.len) {
        size_t len = span_find(rest, blank);
        struct span frame, line;
        bool is_frame = false;

        assert_true(len != SIZE_MAX && frames->count < MAX_FRAMES);
        frame = span_of(rest.ptr, len);
        while (span_next_token(&frame, '\n', &line)) {
            if (line.len && line.ptr[line.len - 1] == '\r')
                line.len--;
            if (line.len && line.ptr[0] != ':')
                read_line(frames, line, &is_frame);
        }
        frames->count += is_frame;
        rest = span_skip(rest, len + blank.len);
    }
}

void frames_free(struct frames *frames)
{
    for (size_t i = 0; i < frames->count; i++)
        yyjson_doc_free(frames->at[i].doc);
}

void ask_raw(struct play *play, const char *path, const char *headers, const char *body,
             struct reply *reply)
{
    struct caller caller;

    caller_open(&caller, play);
    caller_post(&caller, path, "", headers, body);
    caller_finish(&caller, HOUR_US, reply);
}

void ask_frames(struct play *play, const char *path, const char *headers, const char *body,
                const char *end, struct frames *frames)
{
    struct reply reply;

    ask_raw(play, path, headers, body, &reply);
    read_frames(&reply, end, frames);
    reply_free(&reply);
}

void ask_faulty(const struct fault_row *row, const char *settings, const char *path,
                const char *headers, const char *body, struct reply *reply)
{
    struct play play;

    play_begin_faulty(&play, settings, row->fault);
    ask_raw(&play, path, headers, body, reply);
    if (reply->status != row->status || !reply_has(reply, row->wanted))
        fail_msg("%s: %d %s", row->fault, reply->status, buf_text(&reply->body));
    play_end(&play);
}

yyjson_doc *ask_for(struct play *play, const char *path, const char *headers, const char *body,
                    int wanted_status)
{
    struct reply reply;
    yyjson_doc *doc;

    ask_raw(play, path, headers, body, &reply);
    if (reply.status != wanted_status)
        fail_msg("%d: %s", reply.status, buf_text(&reply.body));
    doc = parse_json(buf_span(&reply.body));
    reply_free(&reply);
    return doc;
}

void assert_refused(struct play *play, const char *path, const char *headers, int status,
                    const struct refusal *rows, size_t count)
{
    struct reply reply;

    for (size_t i = 0; i < count; i++) {
        ask_raw(play, path, headers, rows[i].body, &reply);
        if (reply.status != status || !reply_has(&reply, rows[i].wanted))
            fail_msg("%s gets %d %s, not '%s'", rows[i].body, reply.status, buf_text(&reply.body),
                     rows[i].wanted);
        reply_free(&reply);
    }
}
