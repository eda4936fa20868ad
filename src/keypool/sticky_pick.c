#include <string.h>

#include "base/fnv.h"
#include "keypool/pick.h"

static bool key_at(const void *owner, uint32_t place, struct sticky_key *ret_key)
{
    const struct pick *pick = owner;
    const struct slot *slot = &pick->view->slots[place];
    uint64_t identity;

    if (lineup_where(pick->lineup, place) == LINEUP_ABSENT)
        return false;
    memcpy(&identity, slot->key->identity, sizeof(identity));
    /* As in the order of the ready: a standby, or a canary outside of its turns, is behind all. */
    *ret_key = (struct sticky_key){.identity = hash_mix(identity),
                                   .tier = view_tier_of(view_rank(pick->view, slot)),
                                   .weight_milli = slot->weight_milli};
    return true;
}

struct sticky_choice pick_preferred(const struct pick *pick)
{
    const struct sticky_choice none = {.count = 0};
    struct lineup *lineup = pick->lineup;

    if (pick->view->roster->selection != CONF_SELECTION_STICKY || !pick->ask->session ||
        pick->skip_count > 0)
        return none;
    if (!lineup->sticky)
        lineup->sticky = sticky_new();
    if (!lineup->sticky)
        return none;
    return sticky_choose(lineup->sticky, pick->ask->session, lineup->places, key_at, pick);
}
