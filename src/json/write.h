/*
 * Writing JSON into a struct buf: strings are escaped, commas are put where they belong, and a
 * failed append is remembered by the buffer, so that its `err` is looked at once, at the end. Owned
 * by the caller; any thread. What is written is always valid UTF-8 and valid JSON (RFC 8259),
 * provided that containers are closed in the order in which they were opened.
 */
#ifndef JSON_WRITE_H
#define JSON_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

enum { JSON_WRITE_DEPTH_MAX = 63 };

struct json_writer {
    struct buf *buf;
    uint64_t has_items; /* bit per open container: a comma goes before the next item */
    unsigned depth;
    bool is_member; /* a name stands there and waits for its value */
};

/* Appends text with its quotes, escaped; bytes that are not UTF-8 become U+FFFD: 0, ERR_FULL or
 * ERR_NOMEM. */
int json_write_string(struct buf *buf, struct span text);

/* The same into a plain array: 0 and its length (no NUL behind it), or ERR_FULL with nothing of use
 * written. */
int json_write_string_to(char *out, size_t cap, struct span text, size_t *ret_len);

/* Appends to what the buffer holds. The buffer outlives the writer. */
void json_writer_init(struct json_writer *writer, struct buf *buf);

void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);

/* The name of the member whose value is written next: any text; or a word of the program's own,
 * which needs no escape. */
void json_name_span(struct json_writer *writer, struct span name);
void json_name_word(struct json_writer *writer, struct span word);

/* The same for a literal, whose length the compiler knows. */
static inline void json_name(struct json_writer *writer, const char *word)
{
    json_name_word(writer, span_of(word, strlen(word)));
}

void json_string(struct json_writer *writer, struct span text);
void json_text(struct json_writer *writer, const char *text); /* NULL writes null */
void json_int(struct json_writer *writer, int64_t value);
void json_uint(struct json_writer *writer, uint64_t value);
void json_double(struct json_writer *writer, double value); /* not finite: null */
void json_bool(struct json_writer *writer, bool value);
void json_null(struct json_writer *writer);

/* A value that is JSON already. */
void json_raw(struct json_writer *writer, struct span json);

/* Name and value in one. */
static inline void json_member_string(struct json_writer *writer, const char *name,
                                      struct span text)
{
    json_name(writer, name);
    json_string(writer, text);
}

static inline void json_member_text(struct json_writer *writer, const char *name, const char *text)
{
    json_name(writer, name);
    json_text(writer, text);
}

static inline void json_member_int(struct json_writer *writer, const char *name, int64_t value)
{
    json_name(writer, name);
    json_int(writer, value);
}

static inline void json_member_uint(struct json_writer *writer, const char *name, uint64_t value)
{
    json_name(writer, name);
    json_uint(writer, value);
}

static inline void json_member_double(struct json_writer *writer, const char *name, double value)
{
    json_name(writer, name);
    json_double(writer, value);
}

static inline void json_member_bool(struct json_writer *writer, const char *name, bool value)
{
    json_name(writer, name);
    json_bool(writer, value);
}

static inline void json_member_null(struct json_writer *writer, const char *name)
{
    json_name(writer, name);
    json_null(writer);
}

#endif
