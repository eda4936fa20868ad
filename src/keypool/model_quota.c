#include "keypool/model_quota.h"

#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

struct model_quota *model_quota_new(struct span model)
{
    struct model_quota *made = mem_zalloc(1, sizeof(*made) + model.len + 1);

    if (!made)
        return NULL;
    quota_init(&made->quota);
    made->model_hash = map_hash(model);
    memcpy(made->model, model.ptr, model.len);
    return made;
}

void model_quota_free_all(struct model_quota **first)
{
    while (*first) {
        struct model_quota *gone = *first;

        *first = gone->next;
        mem_free(gone);
    }
}

struct model_quota *model_quota_find(struct model_quota *first, uint64_t model_hash)
{
    while (first && first->model_hash != model_hash)
        first = first->next;
    return first;
}

void model_quota_adopt(_Atomic(struct model_quota *) *list, struct model_quota **fresh)
{
    while (*fresh) {
        struct model_quota *one = *fresh;
        struct model_quota *first = atomic_load_explicit(list, memory_order_relaxed);

        *fresh = one->next;
        if (model_quota_find(first, one->model_hash)) {
            mem_free(one);
            continue;
        }
        one->next = first;
        atomic_store_explicit(list, one, memory_order_release);
    }
}
