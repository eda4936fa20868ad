/*
 * The settings as a table (tables/settings.def): what each is called, its type, default, bounds and
 * meaning, and where it is kept. Reading, complaining, printing and documenting all walk it.
 * Constant data; any thread.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "conf/complaint.h"

struct conf_group;
struct conf_row;
struct loading;
struct printing;
struct yaml_node;

/* How values of one type are read, told and printed. */
struct conf_type {
    const char *name; /* in the schema's print */
    /* Reads a node that is no YAML_NULL (but where takes_null) into the field, or complains. */
    void (*read)(struct loading *loading, const struct conf_row *row, const struct yaml_node *node,
                 void *field);
    /* For types of one value without memory of its own, which conf_read_parsed reads: 0, ERR_SYNTAX
     * (complained of as `otherwise`), ERR_RANGE or ERR_UNSUPPORTED (not built yet). */
    int (*parse)(const struct conf_row *row, struct span text, void *field);
    const char *otherwise; /* "is no duration" */
    /* Writes the setting, name and all; nothing where the field is unset. */
    void (*print)(struct printing *printing, const struct conf_row *row, const void *field);
    /* Appends what is allowed: "true or false". */
    void (*tell)(const struct conf_row *row, struct buf *out);
    bool takes_null; /* nothing behind the colon is an empty map */
    bool is_secret;  /* a complaint never shows the value */
};

/* A word that a setting may say. */
struct conf_word {
    struct span name;
    uint32_t value;
    bool is_built;
};

struct conf_row {
    struct span name;
    const struct conf_type *type; /* NULL: not built yet */
    size_t offset;                /* of the field in its struct */
    const char *fallback;         /* the default as the file would say it, or NULL */
    uint64_t min, max; /* of a map of groups: max of its members; 0: as many as there are */
    const struct conf_group *group; /* of what the field holds, or NULL */
    const struct conf_word *words;  /* or NULL */
    size_t word_count;
    const char *meaning;
};

/* The rows of one struct, with what surrounds their reading; each hook may be NULL. */
struct conf_group {
    const struct conf_row *rows;
    size_t count;
    size_t bytes; /* of the struct */
    /* Before any row: the name that a map gives to this member is empty where there is none. */
    void (*prepare)(struct loading *loading, struct span name, struct conf_mark mark, void *object);
    /* A single value in place of the map. */
    void (*read_short)(struct loading *loading, const struct yaml_node *node, void *object);
    /* After all rows: what follows from other settings. A row that failed left its field cleared,
     * and is_sound of the loading false. `mark` is where the group stands. */
    void (*finish)(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                   void *object);
    /* The name of a member of a map, to print it. */
    struct span (*name)(const void *object);
};

/* The rows of the whole file; its struct is struct config. */
extern const struct conf_group conf_schema;

/* The `read` of types that have a `parse`. */
void conf_read_parsed(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field);

/* The `read` of types of a text that `is_valid` lets through, or complains of as `otherwise`: a
 * struct span of the tree. */
void conf_read_text(struct loading *loading, const struct conf_row *row,
                    const struct yaml_node *node, void *field, bool (*is_valid)(struct span));

/* The row of that name, or NULL. */
const struct conf_row *conf_group_find(const struct conf_group *group, struct span name);

/* Appends what is said of a key that the group does not have: "; the nearest is 'attempts'". */
void conf_schema_advise(const struct conf_group *group, struct span name, struct buf *out);

/* Where a setting of that name stands elsewhere in the file, as a dotted path appended to out:
 * true, or false with nothing appended. */
bool conf_schema_locate(struct span name, struct buf *out);

#endif
