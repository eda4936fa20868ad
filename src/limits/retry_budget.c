#include "limits/retry_budget.h"

#include <stdalign.h>

#include "base/alloc.h"
#include "limits/tally.h"

/* Each worker's count on cache lines of its own. */
struct first_tries {
    alignas(64) struct tally tally;
};

struct retry_budget {
    struct tally retries, hedges;
    uint32_t workers;
    void *block; /* what was allocated for `first` */
    struct first_tries *first;
};

struct retry_budget *retry_budget_new(uint32_t workers)
{
    struct retry_budget *budget = mem_zalloc(1, sizeof(*budget));

    if (!budget)
        return NULL;
    budget->workers = workers;
    budget->block = mem_zalloc((size_t)workers + 1, sizeof(*budget->first));
    if (!budget->block) {
        mem_free(budget);
        return NULL;
    }
    budget->first = (void *)(((uintptr_t)budget->block + 63) & ~(uintptr_t)63);
    return budget;
}

void retry_budget_free(struct retry_budget **budget)
{
    if (!*budget)
        return;
    mem_free((*budget)->block);
    MEM_CLEAR(*budget);
}

void retry_budget_note(struct retry_budget *budget, uint32_t worker, uint64_t now_us)
{
    tally_add(&budget->first[worker].tally, RETRY_BUDGET_WINDOW_US, now_us);
}

static uint64_t first_tries(const struct retry_budget *budget, uint64_t now_us)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < budget->workers; i++)
        sum += tally_sum(&budget->first[i].tally, RETRY_BUDGET_WINDOW_US, now_us);
    return sum;
}

bool retry_budget_take(struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us)
{
    uint64_t retries = tally_sum(&budget->retries, RETRY_BUDGET_WINDOW_US, now_us);

    if (retries >= RETRY_BUDGET_FLOOR &&
        (retries + 1) * 1000000 > first_tries(budget, now_us) * share_ppm)
        return false;
    tally_add_shared(&budget->retries, RETRY_BUDGET_WINDOW_US, now_us);
    return true;
}

bool retry_budget_has_hedge(const struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us)
{
    uint64_t hedges = tally_sum(&budget->hedges, RETRY_BUDGET_WINDOW_US, now_us);

    return (hedges + 1) * 1000000 <= first_tries(budget, now_us) * share_ppm;
}

bool retry_budget_take_hedge(struct retry_budget *budget, uint32_t share_ppm, uint64_t now_us)
{
    if (!retry_budget_has_hedge(budget, share_ppm, now_us))
        return false;
    tally_add_shared(&budget->hedges, RETRY_BUDGET_WINDOW_US, now_us);
    return true;
}
