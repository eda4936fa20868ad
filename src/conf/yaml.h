/*
 * YAML 1.2 text as a tree of nodes that know their places. One thread; lives while a configuration
 * is loaded. Scalars may hold secrets: their bytes stand in one block that is wiped at the end.
 *
 * Bounded: YAML_MAX_DEPTH levels, and YAML_MAX_NODES nodes counted as often as aliases repeat them.
 * Anchors and aliases are followed; merge keys, tags, several documents and keys that are no
 * scalars are complaints.
 */
#ifndef CONF_YAML_H
#define CONF_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/span.h"
#include "conf/complaint.h"

enum { YAML_MAX_DEPTH = 24, YAML_MAX_NODES = 1000000 };

enum yaml_kind { YAML_NULL, YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node;

/* One member of a list or a map, in the order of the file. */
struct yaml_item {
    struct yaml_item *next;
    struct yaml_node *value; /* never NULL */
    struct span key;         /* empty in a list */
    struct conf_mark mark;   /* of the key, or of the value in a list */
};

struct yaml_node {
    enum yaml_kind kind;
    struct conf_mark mark;
    struct span text; /* of a scalar; of a null as written */
    bool is_plain;    /* a scalar without quotes, and no block */
    struct yaml_item *first;
    size_t count;  /* of items */
    size_t weight; /* nodes below and with this one, aliases counted each time */
};

/* Nodes live in `arena`; the text of scalars in `bytes`. Embedded in whoever loads. */
struct yaml_doc {
    struct arena_pool pool;
    struct arena arena;
    char *bytes;
    size_t used, cap;
    struct yaml_node *root;
};

/* Parses the text: 0 with a root that is never NULL; ERR_SYNTAX with a complaint that says where
 * reading ended; or ERR_NOMEM. A key that stands twice is a complaint that ends nothing. An empty
 * text gives a null root. The doc is to be finished with yaml_fini in every case. */
int yaml_parse(struct yaml_doc *doc, struct span text, struct complaints *complaints);

/* Wipes the scalars and frees everything. */
void yaml_fini(struct yaml_doc *doc);

/* The item of that key, or NULL; in time that grows with the map's size. */
struct yaml_item *yaml_find(const struct yaml_node *map, struct span key);

/* "a list", "a map", "nothing", "a single value". */
const char *yaml_kind_text(const struct yaml_node *node);

#endif
