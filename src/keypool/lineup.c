#include "keypool/lineup.h"

#include "base/alloc.h"
#include "base/err.h"

int lineup_init(struct lineup *lineup, uint64_t signature, uint64_t model_hash, uint32_t places)
{
    size_t entries = (size_t)places * sizeof(struct order_entry);
    size_t positions = (size_t)places * sizeof(uint32_t);
    size_t spots = (size_t)places * sizeof(struct lineup_spot);
    char *block = mem_alloc(entries * LINEUP_HEAPS + positions + spots + 1);

    if (!block)
        return ERR_NOMEM;
    *lineup = (struct lineup){.signature = signature, .model_hash = model_hash, .places = places};
    lineup->block = block;
    for (int i = 0; i < LINEUP_HEAPS; i++, block += entries)
        lineup->heaps[i].entries = (struct order_entry *)(void *)block;
    lineup->positions = (uint32_t *)(void *)block;
    lineup->spots = (struct lineup_spot *)(void *)(block + positions);
    for (uint32_t i = 0; i < places; i++)
        lineup->spots[i] = (struct lineup_spot){.where = LINEUP_ABSENT};
    return 0;
}

void lineup_fini(struct lineup *lineup)
{
    sticky_free(&lineup->sticky);
    mem_free(lineup->block);
    *lineup = (struct lineup){.signature = 0};
}

static void take_out(struct lineup *lineup, uint32_t place)
{
    struct lineup_spot spot = lineup->spots[place];

    if (spot.where < LINEUP_HEAPS)
        order_remove(&lineup->heaps[spot.where], lineup->positions, place);
    else if (spot.where == LINEUP_OUT)
        lineup->out[spot.reason]--;
    if (spot.where != LINEUP_ABSENT)
        lineup->members--;
}

static uint64_t with_level(const struct lineup *lineup, uint32_t place, uint64_t rank)
{
    return rank | (uint64_t)lineup->spots[place].level << LINEUP_LEVEL_SHIFT;
}

void lineup_put(struct lineup *lineup, uint32_t place, struct standing standing, uint64_t rank)
{
    uint64_t key =
        standing.where == LINEUP_READY ? with_level(lineup, place, rank) : standing.until_us;
    struct lineup_spot *spot = &lineup->spots[place];

    if (spot->where == standing.where && standing.where < LINEUP_HEAPS) {
        spot->reason = (uint8_t)standing.reason;
        order_move(&lineup->heaps[standing.where], lineup->positions, place, key);
        return;
    }
    take_out(lineup, place);
    spot->where = (uint8_t)standing.where;
    spot->reason = (uint8_t)standing.reason;
    if (standing.where < LINEUP_HEAPS)
        order_push(&lineup->heaps[standing.where], lineup->positions, place, key);
    else if (standing.where == LINEUP_OUT)
        lineup->out[standing.reason]++;
    if (standing.where != LINEUP_ABSENT)
        lineup->members++;
}

void lineup_rank(struct lineup *lineup, uint32_t place, uint64_t rank)
{
    if (lineup_where(lineup, place) == LINEUP_READY)
        order_move(&lineup->heaps[LINEUP_READY], lineup->positions, place,
                   with_level(lineup, place, rank));
}

void lineup_lower(struct lineup *lineup, uint32_t place, uint64_t rank)
{
    struct order *ready = &lineup->heaps[LINEUP_READY];
    uint64_t key = with_level(lineup, place, rank);

    if (lineup_where(lineup, place) == LINEUP_READY &&
        ready->entries[lineup->positions[place]].rank > key)
        order_move(ready, lineup->positions, place, key);
}

bool lineup_raise_first(struct lineup *lineup, uint64_t rank)
{
    struct order *ready = &lineup->heaps[LINEUP_READY];
    const struct order_entry *top = order_top(ready);
    uint64_t key = with_level(lineup, top->place, rank);

    if (top->rank >= key)
        return false;
    order_move(ready, lineup->positions, top->place, key);
    return true;
}
