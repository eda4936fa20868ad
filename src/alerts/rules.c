#include "alerts/rules.h"

#include <string.h>

enum rule_turn rule_look(struct rule_hold *hold, bool is_broken, uint64_t for_us, uint64_t now_us)
{
    bool was_told = hold->is_told;

    if (!is_broken) {
        hold->is_broken = hold->is_told = false;
        return was_told ? RULE_ENDS : RULE_STAYS;
    }
    if (!hold->is_broken) {
        hold->is_broken = true;
        hold->since_us = now_us;
    }
    if (was_told || now_us - hold->since_us < for_us)
        return RULE_STAYS;
    hold->is_told = true;
    return RULE_FIRES;
}

/* ---- counts ---- */

static uint64_t slot_of(uint64_t for_us, uint64_t now_us)
{
    uint64_t slot_us = for_us / RULE_SLOTS;

    return now_us / (slot_us ? slot_us : 1);
}

/* Slots that have gone by since are empty; so are all where the slots are others than before. */
static void move_on(struct rule_count *count, uint64_t slot)
{
    if (slot == count->slot)
        return;
    if (slot < count->slot || slot - count->slot >= RULE_SLOTS) {
        memset(count->counts, 0, sizeof(count->counts));
    } else {
        for (uint64_t at = count->slot + 1; at <= slot; at++)
            count->counts[at % RULE_SLOTS] = 0;
    }
    count->slot = slot;
}

void rule_count_add(struct rule_count *count, uint64_t for_us, uint64_t now_us)
{
    uint64_t slot = slot_of(for_us, now_us);

    move_on(count, slot);
    if (count->counts[slot % RULE_SLOTS] < UINT32_MAX / RULE_SLOTS)
        count->counts[slot % RULE_SLOTS]++;
}

uint32_t rule_count_sum(struct rule_count *count, uint64_t for_us, uint64_t now_us)
{
    uint32_t sum = 0;

    move_on(count, slot_of(for_us, now_us));
    for (int i = 0; i < RULE_SLOTS; i++)
        sum += count->counts[i];
    return sum;
}
