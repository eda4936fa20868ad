/*
 * Text by kinds of characters, counted while it passes: what a guess of its tokens is made from
 * (limits/estimate.h). Zeroed at its start; owned by whoever counts; pure. In whatever pieces a
 * text comes, the counts are the same.
 */
#ifndef JSON_KINDS_H
#define JSON_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_kinds {
    uint64_t letters; /* of ASCII */
    uint64_t words;   /* runs of letters, those of `latin` among them */
    uint64_t digits, spaces;
    uint64_t breaks; /* control characters: ends of lines, tabs */
    uint64_t marks;  /* all else of ASCII */
    uint64_t latin;  /* of two bytes in UTF-8, and the Vietnamese ones of three */
    uint64_t wide;   /* of three and four: Chinese, Japanese, Korean, pictures */
    uint64_t texts;  /* strings that were counted */
    bool is_in_word;
    bool is_undecided; /* the last byte was 0xE1: the next one says which it is */
};

/* A run of ASCII. */
void json_kinds_plain(struct json_kinds *kinds, const unsigned char *text, size_t len);

/* Inside a string as it is spelled in JSON: counts the bytes from text on that stand for themselves
 * (json_skip_plain in json/skip.h) as it passes them: the first that does not, or end. */
const unsigned char *json_kinds_pass(struct json_kinds *kinds, const unsigned char *text,
                                     const unsigned char *end);

/* A run of valid UTF-8 beyond ASCII; may begin and end in the midst of a character. */
void json_kinds_wide(struct json_kinds *kinds, const unsigned char *text, size_t len);

/* A counted string begins. */
static inline void json_kinds_begin(struct json_kinds *kinds)
{
    kinds->texts++;
    kinds->is_in_word = false;
}

#endif
