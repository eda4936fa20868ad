#include "regions/regions.h"

static bool is_among(uint64_t set, size_t i)
{
    return ((set >> i) & 1) != 0;
}

static uint32_t load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static size_t draw(struct region *const *regions, size_t count, uint64_t random)
{
    uint32_t at = (uint32_t)(random % REGIONS_PPM);

    for (size_t i = 0; i < count; i++) {
        uint32_t share_ppm = load(&regions[i]->shared.share_ppm);

        if (at < share_ppm)
            return i;
        at -= share_ppm;
    }
    return count;
}

size_t regions_first(struct region *const *regions, size_t count, uint64_t without)
{
    size_t best = count;

    for (size_t i = 0; i < count; i++) {
        if (!is_among(without, i) &&
            (best == count || load(&regions[i]->shared.rank) < load(&regions[best]->shared.rank)))
            best = i;
    }
    return best;
}

size_t regions_pick(struct region *const *regions, size_t count, uint64_t without, uint64_t random)
{
    size_t drawn = draw(regions, count, random);

    /* None is drawn before the first look, or while one is under way. */
    return drawn < count && !is_among(without, drawn) ? drawn
                                                      : regions_first(regions, count, without);
}
