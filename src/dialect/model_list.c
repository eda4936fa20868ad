#include "dialect/model_list.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/err.h"
#include "json/tree.h"

enum { TREE_MAX = 8 * MODEL_LIST_BODY_MAX };

static int compare(const void *left, const void *right)
{
    struct span a = ((const struct model_entry *)left)->id;
    struct span b = ((const struct model_entry *)right)->id;
    int order = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);

    return order ? order : (a.len > b.len) - (a.len < b.len);
}

static uint64_t read_created(yyjson_val *value)
{
    yyjson_val *created = yyjson_obj_get(value, "created");
    uint64_t wall_us;

    if (yyjson_is_uint(created))
        return yyjson_get_uint(created);
    if (datetime_read_rfc3339(json_tree_string(value, "created_at"), &wall_us))
        return 0;
    return wall_us / UINT64_C(1000000);
}

/* As names of models are in the file. */
static bool is_name(struct span id)
{
    for (size_t i = 0; i < id.len; i++) {
        if ((unsigned char)id.ptr[i] <= ' ' || id.ptr[i] == 0x7f)
            return false;
    }
    return id.len > 0 && id.len <= MODEL_ID_MAX;
}

/* False where it is no model that anybody could ask for. */
static bool read_model(yyjson_val *value, struct model_entry *ret_model)
{
    struct span id = json_tree_string(value, "id"), name = json_tree_string(value, "name");
    struct span owner = json_tree_string(value, "owned_by");
    const struct span prefix = SPAN("models/");

    if (!id.ptr && span_has_prefix(name, prefix))
        id = span_skip(name, prefix.len);
    if (!is_name(id))
        return false;
    *ret_model = (struct model_entry){
        .id = id,
        .owned_by = owner.len <= MODEL_ID_MAX ? owner : span_of(NULL, 0),
        .created_s = read_created(value),
    };
    return true;
}

static size_t drop_doubles(struct model_entry *items, size_t count)
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
static int keep(const struct model_entry *items, size_t count, struct model_list **ret_models)
{
    size_t bytes = sizeof(struct model_list) + count * sizeof(*items);
    struct model_list *models;
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

static int read_list(yyjson_val *list, struct model_list **ret_models)
{
    struct model_entry *items;
    yyjson_arr_iter iter;
    yyjson_val *value;
    size_t count = 0;
    int err;

    if (!yyjson_arr_iter_init(list, &iter))
        return ERR_SYNTAX;
    items = mem_zalloc(MODEL_LIST_MAX, sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    while (count < MODEL_LIST_MAX && (value = yyjson_arr_iter_next(&iter)))
        count += read_model(value, &items[count]);
    qsort(items, count, sizeof(*items), compare);
    err = keep(items, drop_doubles(items, count), ret_models);
    mem_free(items);
    return err;
}

static yyjson_val *list_of(yyjson_val *root)
{
    yyjson_val *data = yyjson_obj_get(root, "data");

    if (yyjson_is_arr(root))
        return root;
    return data ? data : yyjson_obj_get(root, "models");
}

int model_list_read(struct span body, struct model_list **ret_models)
{
    struct json_tree tree;
    yyjson_val *root;
    int err;

    if (body.len > MODEL_LIST_BODY_MAX)
        return ERR_FULL;
    err = json_tree_read(&tree, body, TREE_MAX);
    if (!err) {
        root = yyjson_doc_get_root(tree.doc);
        err = read_list(list_of(root), ret_models);
    }
    json_tree_fini(&tree);
    return err;
}

struct model_list *model_list_ref(struct model_list *models)
{
    atomic_fetch_add_explicit(&models->refs, 1, memory_order_relaxed);
    return models;
}

void model_list_unref(struct model_list **models)
{
    struct model_list *m = *models;

    *models = NULL;
    if (m && atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) == 1)
        mem_free(m);
}

const struct model_entry *model_list_find(const struct model_list *models, struct span id)
{
    const struct model_entry wanted = {.id = id};

    if (!models)
        return NULL;
    return bsearch(&wanted, models->items, models->count, sizeof(wanted), compare);
}
