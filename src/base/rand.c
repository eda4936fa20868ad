#include "base/rand.h"

#include <sodium.h>

#include "base/fnv.h"

/* splitmix64, which spreads a seed over the state as its authors of xoshiro recommend. */
static uint64_t splitmix(uint64_t *x)
{
    return hash_mix(*x += UINT64_C(0x9e3779b97f4a7c15));
}

void rand_init(struct rand *rand, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        rand->state[i] = splitmix(&seed);
}

void rand_init_from_system(struct rand *rand)
{
    randombytes_buf(rand->state, sizeof(rand->state));
    rand->state[0] |= 1; /* all zero would stay zero */
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

/* xoshiro256** (Blackman, Vigna). */
uint64_t rand_u64(struct rand *rand)
{
    uint64_t *s = rand->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rand_below(struct rand *rand, uint64_t below)
{
    /* Lemire's multiplication: the bias is under 2^-32 for every bound used here. */
    __extension__ typedef unsigned __int128 u128;

    return (uint64_t)(((u128)rand_u64(rand) * below) >> 64);
}

double rand_unit(struct rand *rand)
{
    return (double)(rand_u64(rand) >> 11) * 0x1.0p-53;
}

void rand_fill_secure(void *bytes, size_t len)
{
    randombytes_buf(bytes, len);
}
