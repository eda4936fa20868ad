#include "keypool/sticky.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/fnv.h"

enum { GROUPS = 1 << STICKY_GROUP_BITS };

/* By group: places plus 1, best first; 0 behind the last. The first is 0 where nothing is known. */
struct sticky {
    uint16_t known[GROUPS][STICKY_CHOICES];
};

/* One that stands well, by what it is compared by: the lower the better. */
struct candidate {
    uint32_t tier;
    double distance;
    uint32_t place;
};

struct sticky *sticky_new(void)
{
    return mem_zalloc(1, sizeof(struct sticky));
}

void sticky_free(struct sticky **place)
{
    MEM_CLEAR(*place);
}

/* -ln(u) / weight for a u that is uniform over the keys: the least of several is that of one key
 * with a chance of its weight in all of theirs. */
static double distance_of(const struct sticky_key *key, uint64_t group)
{
    uint64_t bits = hash_mix(key->identity ^ hash_mix(group + 1));
    double uniform = ((double)(bits >> 12) + 0.5) * 0x1p-52;

    return -log(uniform) / (key->weight_milli ? key->weight_milli : 1e-9);
}

static bool is_better(const struct candidate *a, const struct candidate *b)
{
    return a->tier != b->tier ? a->tier < b->tier : a->distance < b->distance;
}

static void insert(struct candidate *best, uint32_t *count, struct candidate candidate)
{
    uint32_t at = *count;

    while (at > 0 && is_better(&candidate, &best[at - 1]))
        at--;
    if (at == STICKY_CHOICES)
        return;
    if (*count < STICKY_CHOICES)
        ++*count;
    memmove(best + at + 1, best + at, (*count - at - 1) * sizeof(*best));
    best[at] = candidate;
}

static void find_out(uint16_t known[STICKY_CHOICES], uint64_t group, uint32_t places,
                     sticky_key_at *key_at, const void *owner)
{
    struct candidate best[STICKY_CHOICES];
    struct sticky_key key;
    uint32_t count = 0;

    for (uint32_t place = 0; place < places; place++) {
        if (key_at(owner, place, &key))
            insert(best, &count, (struct candidate){key.tier, distance_of(&key, group), place});
    }
    for (uint32_t i = 0; i < count; i++)
        known[i] = (uint16_t)(best[i].place + 1);
}

struct sticky_choice sticky_choose(struct sticky *sticky, uint64_t session, uint32_t places,
                                   sticky_key_at *key_at, const void *owner)
{
    uint64_t group = session >> (64 - STICKY_GROUP_BITS);
    uint16_t *known = sticky->known[group];
    struct sticky_choice choice = {.count = 0};

    if (!known[0])
        find_out(known, group, places, key_at, owner);
    while (choice.count < STICKY_CHOICES && known[choice.count]) {
        choice.places[choice.count] = known[choice.count] - 1u;
        choice.count++;
    }
    return choice;
}
