#include "keypool/model_quota.h"

#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

enum { MORE_ROOM = 8 };

/* Where that hash stands, or would. */
static uint32_t place_of(const struct model_quotas *table, uint64_t model_hash)
{
    uint32_t low = 0, high = table ? table->count : 0;

    while (low < high) {
        uint32_t middle = (low + high) / 2;

        if (table->rows[middle].model_hash < model_hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct model_quota *model_quotas_find(const struct model_quotas *table, uint64_t model_hash)
{
    uint32_t at = place_of(table, model_hash);

    return table && at < table->count && table->rows[at].model_hash == model_hash
               ? table->rows[at].item
               : NULL;
}

static struct model_quota *new_item(struct span model)
{
    struct model_quota *item = mem_zalloc(1, sizeof(*item) + model.len + 1);

    if (!item)
        return NULL;
    quota_init(&item->quota);
    memcpy(item->model, model.ptr, model.len);
    return item;
}

/* A copy with room for more; NULL without memory. */
static struct model_quotas *enlarge(const struct model_quotas *table)
{
    uint32_t count = table ? table->count : 0, room = count + MORE_ROOM;
    struct model_quotas *made = mem_zalloc(1, sizeof(*made) + room * sizeof(made->rows[0]));

    if (!made)
        return NULL;
    if (count)
        memcpy(made->rows, table->rows, count * sizeof(made->rows[0]));
    made->count = count;
    made->room = room;
    return made;
}

/* So that one more fits into *fresh. */
static int make_room(struct model_quotas **fresh, struct model_quotas *known)
{
    struct model_quotas *made;

    if (*fresh && (*fresh)->count < (*fresh)->room)
        return 0;
    made = enlarge(*fresh ? *fresh : known);
    if (!made)
        return ERR_NOMEM;
    made->before = known;
    mem_free(*fresh);
    *fresh = made;
    return 0;
}

int model_quotas_add(struct model_quotas **fresh, struct model_quotas *known, struct span model)
{
    const struct model_quotas *last = *fresh ? *fresh : known;
    uint64_t hash = map_hash(model);
    struct model_quota *item;
    uint32_t at;

    if (model_quotas_find(last, hash))
        return 0;
    if (last && last->count == MODEL_QUOTAS_MAX)
        return ERR_FULL;
    item = new_item(model);
    if (!item || make_room(fresh, known) != 0) {
        mem_free(item);
        return ERR_NOMEM;
    }
    at = place_of(*fresh, hash);
    memmove(&(*fresh)->rows[at + 1], &(*fresh)->rows[at],
            ((*fresh)->count - at) * sizeof((*fresh)->rows[0]));
    (*fresh)->rows[at].model_hash = hash;
    (*fresh)->rows[at].item = item;
    (*fresh)->count++;
    return 0;
}

void model_quotas_drop(struct model_quotas **fresh, const struct model_quotas *known)
{
    for (uint32_t i = 0; *fresh && i < (*fresh)->count; i++) {
        if (!model_quotas_find(known, (*fresh)->rows[i].model_hash))
            mem_free((*fresh)->rows[i].item);
    }
    MEM_CLEAR(*fresh);
}

void model_quotas_publish(_Atomic(struct model_quotas *) *place, struct model_quotas **fresh)
{
    if (*fresh)
        atomic_store_explicit(place, *fresh, memory_order_release);
    *fresh = NULL;
}

void model_quotas_free(_Atomic(struct model_quotas *) *place)
{
    struct model_quotas *table = atomic_load(place);

    for (uint32_t i = 0; table && i < table->count; i++)
        mem_free(table->rows[i].item);
    while (table) {
        struct model_quotas *gone = table;

        table = gone->before;
        mem_free(gone);
    }
}
