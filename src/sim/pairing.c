#include "sim/pairing.h"

#include "base/err.h"

static struct sim_pair *find(struct sim_pairing *pairing, struct span id)
{
    for (size_t i = 0; i < pairing->count; i++)
        if (span_is_equal(pairing->pairs[i].id, id))
            return &pairing->pairs[i];
    return NULL;
}

int sim_pairing_open(struct sim_pairing *pairing, struct arena *arena, struct span id)
{
    if (find(pairing, id))
        return ERR_EXISTS;
    if (pairing->count == SIM_MAX_PAIRS)
        return ERR_FULL;
    if (!pairing->pairs)
        pairing->pairs = arena_alloc(arena, SIM_MAX_PAIRS * sizeof(*pairing->pairs));
    if (!pairing->pairs)
        return ERR_NOMEM;
    pairing->pairs[pairing->count++] = (struct sim_pair){.id = id};
    return 0;
}

int sim_pairing_answer(struct sim_pairing *pairing, struct span id)
{
    struct sim_pair *pair = find(pairing, id);

    if (!pair)
        return ERR_NOTFOUND;
    if (pair->is_answered)
        return ERR_EXISTS;
    pair->is_answered = true;
    return 0;
}

struct span sim_pairing_unanswered(const struct sim_pairing *pairing)
{
    for (size_t i = 0; i < pairing->count; i++)
        if (!pairing->pairs[i].is_answered)
            return pairing->pairs[i].id;
    return (struct span){0};
}
