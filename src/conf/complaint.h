/*
 * What is wrong with a configuration, collected so that all of it can be told at once. A list
 * belongs to whoever loads; one thread. Its texts never hold a secret.
 */
#ifndef CONF_COMPLAINT_H
#define CONF_COMPLAINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/span.h"

enum complaint_kind { COMPLAINT_ERROR, COMPLAINT_WARNING };

/* Where a value stands: both from 1; line 0 where there is no such place. */
struct conf_mark {
    uint32_t line;
    uint32_t column;
};

struct complaint {
    enum complaint_kind kind;
    struct conf_mark mark;
    struct span text;
};

struct complaints {
    struct arena_pool pool;
    struct arena arena;
    struct span file;   /* as the lines name it */
    bool has_no_places; /* the text was not written by the user: marks are dropped */
    struct complaint *items;
    size_t count;
    size_t cap;
    size_t errors;
    size_t dropped; /* errors beyond the maximum, or for want of memory; they count as errors too */
};

enum { COMPLAINTS_MAX = 1000 };

void complaints_init(struct complaints *complaints);
void complaints_fini(struct complaints *complaints);

/* Names the file for the lines to come; copied. */
void complaints_set_file(struct complaints *complaints, struct span file);

/* Adds one. By convention the text reads "KEY: what is wrong; what is allowed". */
void complaint_error(struct complaints *complaints, struct conf_mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void complaint_warning(struct complaints *complaints, struct conf_mark mark, const char *format,
                       ...) __attribute__((format(printf, 3, 4)));

/* Adds copies of all that the other list says, and takes over its file. */
void complaints_add(struct complaints *complaints, const struct complaints *others);

/* True where nothing but warnings was said. */
bool complaints_allow(const struct complaints *complaints);

/* Puts them in the order of their places, the same place in the order of coming. */
void complaints_sort(struct complaints *complaints);

/* "file:line:column: text\n" for each, "file: text\n" where there is no place; "warning: " stands
 * before the text of a warning. A last line tells how many were dropped. 0 or the buffer's error.
 */
int complaints_print(const struct complaints *complaints, struct buf *out);

#endif
