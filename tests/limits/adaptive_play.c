#include "adaptive_play.h"

#include "base/clock.h"

#define LATENCY_US UINT64_C(500000)
#define WINDOW_US  (60 * US_PER_SEC)

static void ask(struct adaptive_provider *provider, uint64_t now_us)
{
    uint64_t oldest =
        provider->accepted >= provider->limit
            ? provider->accepted_us[(provider->accepted - provider->limit) % ADAPTIVE_PLAY_MAX]
            : 0;

    if (oldest && oldest + WINDOW_US > now_us) {
        provider->refused++;
        if (!provider->told_us)
            provider->told_us = now_us;
        return;
    }
    provider->accepted_us[provider->accepted++ % ADAPTIVE_PLAY_MAX] = now_us;
}

void adaptive_play(struct adaptive *adaptive, struct adaptive_provider *provider, uint64_t *now_us,
                   uint64_t for_us)
{
    uint64_t until_us = *now_us + for_us;

    for (; *now_us < until_us; *now_us += 10 * US_PER_MS) {
        if (provider->told_us && *now_us >= provider->told_us + LATENCY_US) {
            adaptive_refuse(adaptive, provider->told_us, *now_us);
            provider->told_us = 0;
        }
        while (adaptive_wait_us(adaptive, *now_us) == 0) {
            adaptive_take(adaptive, *now_us);
            ask(provider, *now_us);
        }
    }
}
