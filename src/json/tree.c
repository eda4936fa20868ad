#include "json/tree.h"

#include "base/alloc.h"
#include "base/err.h"

/* yyjson frees without telling a size, so each block is preceded by its own. */
enum { TREE_HEADER_BYTES = 16 };

static size_t *header_of(void *block)
{
    return (size_t *)(void *)((char *)block - TREE_HEADER_BYTES);
}

static void *resize(struct json_tree *tree, void *block, size_t size)
{
    size_t old = block ? *header_of(block) : 0;
    size_t *head;

    if (size > tree->max - (tree->held - old))
        return NULL;
    head = mem_realloc(block ? header_of(block) : NULL, size + TREE_HEADER_BYTES);
    if (!head)
        return NULL;
    *head = size;
    tree->held += size - old;
    return (char *)head + TREE_HEADER_BYTES;
}

static void *tree_malloc(void *context, size_t size)
{
    return resize(context, NULL, size);
}

static void *tree_realloc(void *context, void *block, size_t old_size, size_t size)
{
    (void)old_size;
    return resize(context, block, size);
}

static void tree_free(void *context, void *block)
{
    struct json_tree *tree = context;

    if (!block)
        return;
    tree->held -= *header_of(block);
    mem_free(header_of(block));
}

int json_tree_read(struct json_tree *tree, struct span text, size_t max_bytes)
{
    yyjson_alc alc = {tree_malloc, tree_realloc, tree_free, tree};
    yyjson_read_err error = {0};

    tree->doc = NULL;
    tree->held = 0;
    tree->max = max_bytes;
    if (text.len == 0)
        return ERR_SYNTAX;
    if (yyjson_read_max_memory_usage(text.len, 0) <= sizeof(tree->own))
        yyjson_alc_pool_init(&alc, tree->own, sizeof(tree->own));
    /* Without YYJSON_READ_INSITU the text is only read, whatever the type says. */
    tree->doc = yyjson_read_opts((char *)(uintptr_t)text.ptr, text.len, 0, &alc, &error);
    if (tree->doc)
        return 0;
    /* yyjson does not tell a refusal from a lack; the heap of this system overcommits, so that the
     * cap is the likelier. */
    return error.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION ? ERR_FULL : ERR_SYNTAX;
}

void json_tree_fini(struct json_tree *tree)
{
    yyjson_doc_free(tree->doc);
    tree->doc = NULL;
}

struct span json_tree_text(const yyjson_val *value)
{
    yyjson_val *text = (yyjson_val *)(uintptr_t)value;

    /* The length of a container is its count: not to be taken for a string's. */
    return yyjson_is_str(text) ? span_of(yyjson_get_str(text), yyjson_get_len(text))
                               : span_of(NULL, 0);
}

struct span json_tree_string(const yyjson_val *value, const char *name)
{
    /* yyjson's accessors take a plain pointer and only read. */
    yyjson_val *member = yyjson_obj_get((yyjson_val *)(uintptr_t)value, name);

    return json_tree_text(member);
}
