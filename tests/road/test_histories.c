/* Thousands of random histories, and what must hold after each of them (player.h). */
#include "player.h"

#include <stdlib.h>

static const char *const stages[] = {
    /* Several keys, one of them narrow, two targets. */
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 2s, "
    "depleted: 3s},\n"
    "    timeouts: {first_byte: 8s, idle: 20s, total: 60s}, breaker: {open: 3s},\n"
    "    keys: [{name: k1, secret: s1, limits: {concurrent: 1}}, {name: k2, secret: s2},\n"
    "      {name: k3, secret: s3, account: x}, {name: k4, secret: s4, account: x}]}\n"
    "  other: {kind: compatible, base_url: '@b', health: {validate_new: false, cooldown: 2s, "
    "depleted: 3s},\n"
    "    timeouts: {first_byte: 8s, idle: 20s, total: 60s}, breaker: {open: 3s},\n"
    "    keys: [{name: k5, secret: s5}]}\n"
    "models: {m: {targets: [{to: up/m}], fallback: [other/n]}}\n"
    "clients: {open: true}\n",
    /* One key, one connection. */
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s, "
    "depleted: 3s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s}, connections: {max: 1},\n"
    "    keys: [{name: k1, secret: s1}]}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\nretry: {wait: 10s, attempts: 5, timeouts: 2}\n",
    /* Narrow in everything; clients that wait little. */
    "server: {max_body: 40KiB, timeouts: {body: 5s, write: 5s, idle: 20s}}\n"
    "providers:\n"
    "  up: {kind: openai, base_url: '@a', health: {validate_new: false, max_failures: 1, depleted: "
    "3s},\n"
    "    timeouts: {first_byte: 3s, idle: 3s, total: 10s}, connections: {max: 2, idle: 0},\n"
    "    selection: round_robin, keys: [{name: k1, secret: s1, limits: {rpm: 30}},\n"
    "    {name: k2, secret: s2, limits: {concurrent: 1}}]}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\nretry: {wait: 1s, budget: 100%}\n",
    /* Few places for its class, and for some time no window. */
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s},\n"
    "    keys: [{name: k1, secret: s1}, {name: k2, secret: s2, limits: {concurrent: 1}}]}\n"
    "models: {m: up/m}\nclients: {open: true}\n"
    "classes: {standard: {concurrent: 2, queue: 2, wait: 6s, windows: ['22:14-22:20']}}\n",
    /* Nearly all that is slow is hedged. */
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s, "
    "depleted: 3s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s}, connections: {max: 8},\n"
    "    keys: [{name: k1, secret: s1}, {name: k2, secret: s2, account: x},\n"
    "    {name: k3, secret: s3, account: x}, {name: k4, secret: s4, limits: {concurrent: 2}}]}\n"
    "models: {m: up/m}\nclients: {open: true}\n"
    "retry: {attempts: 5, hedge: {after: 1ms, budget: 100%}}\n",
};

/* What they are made of after a reload: fewer or more of this and that. */
static const char *const changed[] = {
    "providers:\n"
    "  up: {kind: compatible, base_url: '@b', health: {validate_new: false, cooldown: 2s},\n"
    "    timeouts: {first_byte: 8s, idle: 20s, total: 60s}, connections: {max: 1},\n"
    "    keys: [{name: k2, secret: s2}, {name: k6, secret: s6, limits: {concurrent: 2}}]}\n"
    "models: {m: {targets: [{to: up/m}]}}\n"
    "clients: {open: true}\n",
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s}, connections: {max: 3},\n"
    "    keys: [{name: k1, secret: s1}, {name: k2, secret: s2}]}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\nretry: {wait: 10s, attempts: 5, timeouts: 2}\n",
    "server: {max_body: 80KiB, timeouts: {body: 5s, write: 5s, idle: 20s}}\n"
    "providers:\n"
    "  up: {kind: openai, base_url: '@a', health: {validate_new: false, depleted: 3s},\n"
    "    timeouts: {first_byte: 3s, idle: 3s, total: 10s}, connections: {max: 1, idle: 1},\n"
    "    keys: [{name: k1, secret: s1}]}\n"
    "models: {m: up/m}\n"
    "clients: {open: true}\nretry: {wait: 1s}\n",
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s},\n"
    "    keys: [{name: k1, secret: s1}]}\n"
    "models: {m: up/m}\nclients: {open: true}\n",
    "providers:\n"
    "  up: {kind: compatible, base_url: '@a', health: {validate_new: false, cooldown: 1s},\n"
    "    timeouts: {first_byte: 5s, idle: 10s, total: 40s},\n"
    "    keys: [{name: k1, secret: s1}, {name: k2, secret: s2}]}\n"
    "models: {m: up/m}\nclients: {open: true}\nretry: {hedge: {after: 50ms, budget: 50%}}\n",
};

enum { STAGES = sizeof(stages) / sizeof(stages[0]), SEEDS = 10, HISTORIES = 40 };

/* One stage, played on again and again, so that each history begins where the last one left keys,
 * breakers and connections. */
static void play(unsigned stage, uint64_t seed)
{
    static struct player player;
    struct road road;

    road_begin(&road, stages[stage]);
    player_init(&player, &road, seed);
    player.yaml[0] = stages[stage];
    player.yaml[1] = changed[stage];
    player.has_sudden_ends = true;
    for (unsigned i = 0; i < HISTORIES; i++) {
        player.kindness = 20 + 20 * (i % 5);
        player_run(&player, 1 + i % PLAYER_CLIENTS, 20 + 40 * (i % 7));
        for (char name = 'a'; name <= 'b'; name++) {
            if (road.upstreams[name - 'a'].listener < 0)
                road_listen(&road, name);
        }
    }
    print_message("           stage %u, seed %u: %u answered, %u of them well, %u cut\n", stage,
                  (unsigned)seed, player.answered, player.succeeded, player.cut);
    player_fini(&player);
    road_end(&road);
}

/* BW_SEED plays one seed alone. */
static void test_histories(void **state)
{
    const char *only = getenv("BW_SEED");

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (only)
            seed = strtoull(only, NULL, 10);
        for (unsigned stage = 0; stage < STAGES; stage++)
            play(stage, seed);
        if (only)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
