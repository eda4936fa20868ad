#include "conf/yaml.h"

#include "base/alloc.h"
#include "base/secret.h"

void yaml_fini(struct yaml_doc *doc)
{
    if (doc->bytes)
        secret_wipe(doc->bytes, doc->used);
    MEM_CLEAR(doc->bytes);
    arena_fini(&doc->arena);
    arena_pool_fini(&doc->pool);
    doc->root = NULL;
}

struct yaml_item *yaml_find(const struct yaml_node *map, struct span key)
{
    for (struct yaml_item *item = map->first; item; item = item->next) {
        if (span_is_equal(item->key, key))
            return item;
    }
    return NULL;
}

const char *yaml_kind_text(const struct yaml_node *node)
{
    switch (node->kind) {
    case YAML_NULL:
        return "nothing";
    case YAML_SCALAR:
        return "a single value";
    case YAML_LIST:
        return "a list";
    case YAML_MAP:
        return "a map";
    }
    return "nothing";
}
