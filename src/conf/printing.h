/*
 * One printing of a configuration as YAML under way, and what the types' printers write with. One
 * thread.
 */
#ifndef CONF_PRINTING_H
#define CONF_PRINTING_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/span.h"
#include "conf/schema.h"

#define PRINT_MASK "***"

struct printing {
    struct buf *out;
    unsigned depth;
    bool starts_item; /* the next line is the first of a list's member: "- " stands before it */
};

/* "  name:" at the depth; the rest of the line is the caller's. */
void print_name(struct printing *printing, struct span name);

/* "  - " at the depth, for a value that stands on that line alone. */
void print_dash(struct printing *printing);

/* The text as a YAML scalar that reads back to it, quoted where it must be, without references. */
void print_text(struct printing *printing, struct span text);

/* " text" and the line's end; "  name: text" and the line's end. */
void print_line(struct printing *printing, struct span name, struct span text);

/* The `print` of settings that are a struct span: nothing where it is empty. */
void print_text_row(struct printing *printing, const struct conf_row *row, const void *field);

/* All rows of a group at the depth. */
void print_group(struct printing *printing, const struct conf_group *group, const void *object);

#endif
