#include "dialect/openai_models.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/err.h"
#include "json/tree.h"

enum { TREE_MAX = 8 * OPENAI_MODELS_BODY_MAX };

static int compare(const void *left, const void *right)
{
    struct span a = ((const struct openai_model *)left)->id;
    struct span b = ((const struct openai_model *)right)->id;
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* False where it is no model that anybody could ask for. */
static bool read_model(yyjson_val *value, struct openai_model *ret_model)
{
    yyjson_val *created = yyjson_obj_get(value, "created");
    struct span id = json_tree_string(value, "id");
    struct span owner = json_tree_string(value, "owned_by");

    if (id.len == 0 || id.len > OPENAI_MODEL_ID_MAX)
        return false;
    *ret_model = (struct openai_model){
        .id = id,
        .owned_by = owner.len <= OPENAI_MODEL_ID_MAX ? owner : span_of(NULL, 0),
        .created_s = yyjson_is_uint(created) ? yyjson_get_uint(created) : 0,
    };
    return true;
}

static size_t drop_doubles(struct openai_model *items, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (kept == 0 || compare(&items[kept - 1], &items[i]) != 0)
            items[kept++] = items[i];
    }
    return kept;
}

static struct span move_text(char **at, struct span text)
{
    char *to = *at;

    if (text.len)
        memcpy(to, text.ptr, text.len);
    *at += text.len;
    return span_of(to, text.len);
}

/* A list of its own, with texts that no longer borrow from the tree. */
static int keep(const struct openai_model *items, size_t count, struct openai_models **ret_models)
{
    size_t bytes = sizeof(struct openai_models) + count * sizeof(*items);
    struct openai_models *models;
    char *at;

    for (size_t i = 0; i < count; i++)
        bytes += items[i].id.len + items[i].owned_by.len;
    models = mem_alloc(bytes);
    if (!models)
        return ERR_NOMEM;
    atomic_init(&models->refs, 1);
    models->count = count;
    at = (char *)&models->items[count];
    for (size_t i = 0; i < count; i++) {
        models->items[i] = items[i];
        models->items[i].id = move_text(&at, items[i].id);
        models->items[i].owned_by = move_text(&at, items[i].owned_by);
    }
    *ret_models = models;
    return 0;
}

static int read_list(yyjson_val *list, struct openai_models **ret_models)
{
    struct openai_model *items;
    yyjson_arr_iter iter;
    yyjson_val *value;
    size_t count = 0;
    int err;

    if (!yyjson_arr_iter_init(list, &iter))
        return ERR_SYNTAX;
    items = mem_zalloc(OPENAI_MODELS_MAX, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    while (count < OPENAI_MODELS_MAX && (value = yyjson_arr_iter_next(&iter)))
        count += read_model(value, &items[count]);
    qsort(items, count, sizeof(*items), compare);
    err = keep(items, drop_doubles(items, count), ret_models);
    mem_free(items);
    return err;
}

int openai_models_read(struct span body, struct openai_models **ret_models)
{
    struct json_tree tree;
    yyjson_val *root;
    int err;

    if (body.len > OPENAI_MODELS_BODY_MAX)
        return ERR_FULL;
    err = json_tree_read(&tree, body, TREE_MAX);
    if (!err) {
        root = yyjson_doc_get_root(tree.doc);
        err = read_list(yyjson_is_arr(root) ? root : yyjson_obj_get(root, "data"), ret_models);
    }
    json_tree_fini(&tree);
    return err;
}

struct openai_models *openai_models_ref(struct openai_models *models)
{
    atomic_fetch_add_explicit(&models->refs, 1, memory_order_relaxed);
    return models;
}

void openai_models_unref(struct openai_models **models)
{
    struct openai_models *m = *models;

    *models = NULL;
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        mem_free(m);
}

const struct openai_model *openai_models_find(const struct openai_models *models, struct span id)
{
    const struct openai_model wanted = {.id = id};

    if (!models)
        return NULL;
    return bsearch(&wanted, models->items, models->count, sizeof(wanted), compare);
}
