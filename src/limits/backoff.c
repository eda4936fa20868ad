#include "limits/backoff.h"

uint64_t backoff_delay_us(uint64_t base_us, uint64_t max_us, uint32_t tries, struct rand *rand)
{
    uint64_t ceiling = max_us;

    if (tries < 63 && base_us <= (max_us >> tries))
        ceiling = base_us << tries;
    return rand_below(rand, ceiling + 1);
}
