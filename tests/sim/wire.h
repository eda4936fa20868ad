/*
 * Looking into what a simulated provider answered: JSON at its pointers, and the frames of a
 * stream. For the tests of the dialects.
 */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include <yyjson.h>

#include "play.h"

/* A play with the default scenario, as cmocka sets it up and tears it down; a test that gets it. */
int set_up_play(void **state);
int tear_down_play(void **state);

#define PLAY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_play, tear_down_play)

/* Fails where the text is no JSON. */
yyjson_doc *parse_json(struct span text);

/* The string at that JSON pointer. */
void assert_at(yyjson_doc *doc, const char *pointer, const char *wanted);
int64_t number_at(yyjson_doc *doc, const char *pointer);
bool has_at(yyjson_doc *doc, const char *pointer);

/* Frames of a stream, each with its data parsed and the name on its event line, "" for none. */
enum { MAX_FRAMES = 64 };

struct frames {
    size_t count;
    struct {
        char name[48];
        yyjson_doc *doc; /* NULL: the data is [DONE] */
    } at[MAX_FRAMES];
};

/* Fails where a line is neither event nor data; `end` is the blank line's spelling with the line
 * end before it. Comment lines are passed over. frames_free afterwards. */
void read_frames(const struct reply *reply, const char *end, struct frames *frames);
void frames_free(struct frames *frames);

/* A POST with these header lines, its answer's status told, and its body's document, which the
 * caller frees. */
yyjson_doc *ask_for(struct play *play, const char *path, const char *headers, const char *body,
                    int wanted_status);

/* The same for one answer that is looked at as it is. */
void ask_raw(struct play *play, const char *path, const char *headers, const char *body,
             struct reply *reply);

/* The same for a stream. frames_free afterwards. */
void ask_frames(struct play *play, const char *path, const char *headers, const char *body,
                const char *end, struct frames *frames);

/* What a request gets where this fault strikes it: a status, and a text in the body. */
struct fault_row {
    const char *fault;
    int status;
    const char *wanted;
};

/* ask_raw in a play of its own with that fault, settings as of play_begin_faulty. Fails where the
 * answer is another one. */
void ask_faulty(const struct fault_row *row, const char *settings, const char *path,
                const char *headers, const char *body, struct reply *reply);

/* One request that is refused with that status, and a text in the body that says why. */
struct refusal {
    const char *body, *wanted;
};

void assert_refused(struct play *play, const char *path, const char *headers, int status,
                    const struct refusal *rows, size_t count);

#endif
