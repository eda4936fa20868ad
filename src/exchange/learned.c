#include "exchange/learned.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/map.h"

/* At most half of the places are taken, so that a look-up is short. */
enum { PLACES = 1024, MAX_LEARNED = PLACES / 2 };

_Static_assert(MAX_LEARNED >= METRICS_MAX_NAMES / 2, "all that the metrics have names for");

struct place {
    struct snapshot_series series;
    atomic_uint_least64_t hash; /* 0: free; written once, with release, behind the series */
};

struct learned {
    size_t count; /* the control thread's */
    struct {
        atomic_uint refs;               /* acquire-release on the last drop */
        _Atomic(struct place *) places; /* NULL: nothing learned; written once, with release */
    } shared;
};

struct learned *learned_new(void)
{
    struct learned *learned = mem_zalloc(1, sizeof(*learned));

    if (learned)
        atomic_init(&learned->shared.refs, 1);
    return learned;
}

struct learned *learned_ref(struct learned *learned)
{
    atomic_fetch_add_explicit(&learned->shared.refs, 1, memory_order_relaxed);
    return learned;
}

static struct place *places_of(const struct learned *learned)
{
    return atomic_load_explicit(&learned->shared.places, memory_order_acquire);
}

void learned_unref(struct learned **learned)
{
    struct learned *l = *learned;

    *learned = NULL;
    if (!l || atomic_fetch_sub_explicit(&l->shared.refs, 1, memory_order_acq_rel) != 1)
        return;
    mem_free(places_of(l));
    mem_free(l);
}

/* Where the hash stands; *ret_is_free: where it would. */
static struct place *find_place(struct place *places, uint64_t hash, bool *ret_is_free)
{
    size_t at = hash % PLACES;
    uint64_t there;

    while ((there = atomic_load_explicit(&places[at].hash, memory_order_acquire)) != hash && there)
        at = (at + 1) % PLACES;
    *ret_is_free = there == 0;
    return &places[at];
}

static struct place *make_places(struct learned *learned)
{
    struct place *places = places_of(learned);

    if (places)
        return places;
    places = mem_zalloc(PLACES, sizeof(*places));
    atomic_store_explicit(&learned->shared.places, places, memory_order_release);
    return places;
}

void learned_add(struct learned *learned, struct metrics_schema *schema, struct span provider,
                 const struct model_list *models)
{
    struct place *places = make_places(learned);

    for (size_t i = 0; places && i < models->count && learned->count < MAX_LEARNED; i++) {
        struct span model = models->items[i].id;
        uint64_t hash = map_hash(model);
        bool is_free;
        struct place *place = find_place(places, hash, &is_free);

        if (!is_free || !hash || !snapshot_series_quiet(schema, provider, model, &place->series))
            continue;
        learned->count++;
        atomic_store_explicit(&place->hash, hash, memory_order_release);
    }
}

const struct snapshot_series *learned_find(const struct learned *learned, uint64_t model_hash)
{
    struct place *places = places_of(learned);
    bool is_free = true;
    struct place *place = places ? find_place(places, model_hash, &is_free) : NULL;

    return is_free ? NULL : &place->series;
}
