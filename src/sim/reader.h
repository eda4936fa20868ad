/*
 * YAML (and so JSON) text read into plain structs by tables of fields: every complaint says where
 * it stands, what is wrong and what is allowed, and all are collected. On the stack of whoever
 * reads; one thread. Anchors and aliases are not understood.
 */
#ifndef SIM_READER_H
#define SIM_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"

struct fy_document;
struct fy_node;

struct sim_reader {
    const char *name; /* of the text, in complaints */
    struct buf *complaints;
    unsigned count;    /* of complaints */
    double time_scale; /* durations are divided by it */
    bool is_no_memory;
    struct fy_document *document;
};

struct sim_field;

/* Reads a node into what `target` points to, by the words of `field` where it needs any. */
typedef void sim_read_fn(struct sim_reader *reader, struct fy_node *node,
                         const struct sim_field *field, void *target);

struct sim_field {
    const char *name;
    sim_read_fn *read; /* NULL: known, and read on its own */
    size_t offset;
    const char *const *words; /* of an enum, in its order, NULL behind the last */
    uint64_t min, max;        /* of a number */
};

/* Parses; the reader borrows the text until sim_reader_close. 0, ERR_SYNTAX with complaints, or
 * ERR_NOMEM. */
int sim_reader_open(struct sim_reader *reader, const char *name, struct span text,
                    struct buf *complaints);
void sim_reader_close(struct sim_reader *reader);

/* 0, ERR_SYNTAX after any complaint, or ERR_NOMEM. */
int sim_reader_result(const struct sim_reader *reader);

/* The document's root, or NULL where it is empty. */
struct fy_node *sim_reader_root(const struct sim_reader *reader);

/* Adds a complaint at the node; NULL: at the start. */
void sim_reader_complain(struct sim_reader *reader, struct fy_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Reads a map's members into the struct at `base` by the fields; unknown names are complaints. A
 * null node is an empty map. */
void sim_read_map(struct sim_reader *reader, struct fy_node *node, const struct sim_field *fields,
                  size_t count, void *base);

/* The scalar's text, or an empty span with NULL and a complaint. Valid until the reader closes. */
struct span sim_read_scalar(struct sim_reader *reader, struct fy_node *node);

/* The node's next member: start with *at = NULL; false at the end or where it is no map. */
bool sim_read_member(struct fy_node *map, void **at, struct span *ret_name,
                     struct fy_node **ret_key, struct fy_node **ret_value);

/* The value of the map's member of that name; NULL: none, or no map, or `map` is NULL. */
struct fy_node *sim_read_find(struct fy_node *map, struct span wanted);

/* The node's next item: as above, for lists. */
struct fy_node *sim_read_item(struct fy_node *list, void **at);

bool sim_node_is_null(struct fy_node *node);
bool sim_node_is_scalar(struct fy_node *node);
bool sim_node_is_list(struct fy_node *node);
bool sim_node_is_map(struct fy_node *node);

/* For tables of fields. */
sim_read_fn sim_read_duration; /* uint64_t, microseconds of scaled time: "250ms", "1.5s", "2h" */
sim_read_fn sim_read_share;    /* double, 0 to 1: "5%" */
sim_read_fn sim_read_u64;      /* uint64_t within min and max */
sim_read_fn sim_read_double;   /* double, above 0 */
sim_read_fn sim_read_bool;     /* bool */
sim_read_fn sim_read_word;     /* an enum, one of words */
sim_read_fn sim_read_name;     /* struct sim_name */
sim_read_fn sim_read_names;    /* struct sim_names: a list or one alone */

/* Text of a duration, unscaled: 0 or ERR_SYNTAX. */
int sim_duration_from_text(struct span text, double *ret_us);

#endif
