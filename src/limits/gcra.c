#include "limits/gcra.h"

/* Products of nanoseconds and units may pass 64 bits; most do not, and a division of 64 bits is
 * several times as quick. */
__extension__ typedef unsigned __int128 wide;

#define NS_PER_MINUTE UINT64_C(60000000000)
#define NS_PER_US     UINT64_C(1000)
/* A century: nobody waits for longer. */
#define LONGEST_NS (UINT64_C(100) * 365 * 24 * 60 * NS_PER_MINUTE)

static uint64_t cut(uint64_t units)
{
    if (units < 1)
        return 1;
    return units < GCRA_MAX_UNITS ? units : GCRA_MAX_UNITS;
}

static uint64_t at_most(wide ns)
{
    return ns < LONGEST_NS ? (uint64_t)ns : LONGEST_NS;
}

/* The time in which that many units come back, rounded up so that no rate is passed by rounding. */
static uint64_t span_ns(const struct gcra_rate *rate, uint64_t units)
{
    uint64_t per_minute = cut(rate->per_minute), ns;

    if (units <= (UINT64_MAX - GCRA_MAX_UNITS) / NS_PER_MINUTE) {
        ns = (units * NS_PER_MINUTE + per_minute - 1) / per_minute;
        return ns < LONGEST_NS ? ns : LONGEST_NS;
    }
    return at_most(((wide)units * NS_PER_MINUTE + per_minute - 1) / per_minute);
}

static uint64_t units_in(const struct gcra_rate *rate, uint64_t ns)
{
    uint64_t units;

    if (!__builtin_mul_overflow(ns, cut(rate->per_minute), &units))
        return units / NS_PER_MINUTE;
    return (uint64_t)((wide)ns * cut(rate->per_minute) / NS_PER_MINUTE);
}

static uint64_t ns_to_us_up(uint64_t ns)
{
    return (ns + NS_PER_US - 1) / NS_PER_US;
}

void gcra_init(struct gcra *gcra)
{
    atomic_init(&gcra->arrival_ns, 0);
}

/* What can be told of a bucket that will be full again at `arrival`. */
static struct gcra_verdict verdict_at(const struct gcra_rate *rate, uint64_t arrival,
                                      uint64_t now_ns)
{
    uint64_t whole = span_ns(rate, cut(rate->burst));
    uint64_t used = arrival > now_ns ? arrival - now_ns : 0;
    struct gcra_verdict verdict = {.is_allowed = true, .reset_us = ns_to_us_up(used)};

    verdict.remaining = used < whole ? units_in(rate, whole - used) : 0;
    return verdict;
}

/* Whether `cost` fits where the bucket stands at `arrival`; *ret_next is where it would stand then.
 */
static bool fits(const struct gcra_rate *rate, uint64_t arrival, uint64_t cost, uint64_t now_ns,
                 uint64_t *ret_next, uint64_t *ret_wait_us)
{
    uint64_t burst = cut(rate->burst);
    uint64_t start = arrival > now_ns ? arrival : now_ns;
    uint64_t need = span_ns(rate, cost < burst ? cost : burst);
    uint64_t whole = span_ns(rate, burst);

    *ret_next = start + span_ns(rate, cost);
    if (start + need <= now_ns + whole)
        return true;
    *ret_wait_us = ns_to_us_up(start + need - now_ns - whole);
    return false;
}

bool gcra_would_pass(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                     uint64_t now_us)
{
    uint64_t now_ns = now_us * NS_PER_US, burst = cut(rate->burst);
    uint64_t arrival = atomic_load_explicit(&gcra->arrival_ns, memory_order_relaxed);
    uint64_t left = cost < burst ? burst - cost : 0;
    uint64_t next, wait_us;

    if (arrival <= now_ns)
        return true;
    /* What `fits` asks, multiplied by the rate; one more nanosecond than its rounding can cost. */
    if ((wide)(arrival - now_ns + 1) * cut(rate->per_minute) <= (wide)left * NS_PER_MINUTE)
        return true;
    return fits(rate, arrival, cost, now_ns, &next, &wait_us);
}

struct gcra_verdict gcra_peek(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                              uint64_t now_us)
{
    uint64_t now_ns = now_us * NS_PER_US;
    uint64_t arrival = atomic_load_explicit(&gcra->arrival_ns, memory_order_relaxed);
    uint64_t next, wait_us = 0;
    bool is_allowed = fits(rate, arrival, cost, now_ns, &next, &wait_us);
    struct gcra_verdict verdict = verdict_at(rate, arrival, now_ns);

    verdict.is_allowed = is_allowed;
    verdict.wait_us = is_allowed ? 0 : wait_us;
    return verdict;
}

uint64_t gcra_wait_us(const struct gcra *gcra, const struct gcra_rate *rate, uint64_t before,
                      uint64_t cost, uint64_t now_us)
{
    uint64_t now_ns = now_us * NS_PER_US;
    uint64_t arrival = atomic_load_explicit(&gcra->arrival_ns, memory_order_relaxed);
    uint64_t start = arrival > now_ns ? arrival : now_ns;
    wide behind =
        ((wide)before * NS_PER_MINUTE + cut(rate->per_minute) - 1) / cut(rate->per_minute);
    uint64_t next, wait_us;

    return fits(rate, start + at_most(behind), cost, now_ns, &next, &wait_us) ? 0 : wait_us;
}

struct gcra_verdict gcra_take(struct gcra *gcra, const struct gcra_rate *rate, uint64_t cost,
                              uint64_t now_us)
{
    uint64_t now_ns = now_us * NS_PER_US;
    uint64_t arrival = atomic_load_explicit(&gcra->arrival_ns, memory_order_relaxed);
    uint64_t next, wait_us = 0;
    struct gcra_verdict verdict;

    if (fits(rate, arrival, cost, now_ns, &next, &wait_us)) {
        atomic_store_explicit(&gcra->arrival_ns, next, memory_order_relaxed);
        return verdict_at(rate, next, now_ns);
    }
    verdict = verdict_at(rate, arrival, now_ns);
    verdict.is_allowed = false;
    verdict.wait_us = wait_us;
    return verdict;
}

void gcra_settle(struct gcra *gcra, const struct gcra_rate *rate, uint64_t taken, uint64_t actual,
                 uint64_t now_us)
{
    uint64_t now_ns = now_us * NS_PER_US;
    uint64_t arrival = atomic_load_explicit(&gcra->arrival_ns, memory_order_relaxed);
    uint64_t before = span_ns(rate, taken), after = span_ns(rate, actual);

    if (after > before)
        arrival =
            now_ns + at_most((wide)(arrival > now_ns ? arrival - now_ns : 0) + after - before);
    else
        arrival = arrival > before - after ? arrival - (before - after) : 0;
    atomic_store_explicit(&gcra->arrival_ns, arrival, memory_order_relaxed);
}
