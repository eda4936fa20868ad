/*
 * Places in YAML text that its parser does not tell. Pure; any thread.
 */
#ifndef CONF_YAML_TEXT_H
#define CONF_YAML_TEXT_H

#include "base/span.h"
#include "conf/complaint.h"

/* A place that only moves on, so that looking for many things in one text costs one pass. */
struct text_cursor {
    size_t at;
    uint32_t line; /* from 1 */
};

/* The line of that number without its end; empty where there is none. */
struct span text_line(struct span text, uint32_t line);

/* The next dash of the block list that stands at `list`, in a line from `from_line` on; `list`
 * itself where there is none. */
struct conf_mark text_next_dash(struct span text, struct text_cursor *cursor, struct conf_mark list,
                                uint32_t from_line);

/* What a configuration's text may not hold (YAML 1.2, 5.1: control characters; RFC 3629: what is no
 * UTF-8), and where it stands; NULL if nothing. */
const char *text_fault(struct span text, struct conf_mark *ret_mark);

#endif
