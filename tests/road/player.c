#include "player_inner.h"

#include "keypool/key.h"

static void check_keys(struct road *road)
{
    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        struct keypool *pool = provider_keys(road->snapshot->providers[i].provider);
        struct keypool_row row;
        size_t at = 0;

        while (keypool_describe(pool, &at, loop_now_us(road->loop), &row)) {
            assert_int_equal(row.in_flight, 0);
            key_unref(&row.key);
        }
        assert_int_equal(waiting_count(provider_waiting(road->snapshot->providers[i].provider)), 0);
    }
}

/* --- the play --- */

void player_init(struct player *player, struct road *road, uint64_t seed)
{
    memset(player, 0, sizeof(*player));
    player->road = road;
    rand_init(&player->rand, seed);
    player->kindness = 50;
    for (int i = 0; i < PLAYER_CONNS; i++)
        player->conns[i].fd = -1;
    for (int i = 0; i < PLAYER_CLIENTS; i++)
        player->clients[i].fd = -1;
}

void player_fini(struct player *player)
{
    for (int i = 0; i < PLAYER_CONNS; i++) {
        if (player->conns[i].fd >= 0)
            player_close_conn(&player->conns[i]);
    }
}

static bool is_all_said(const struct player *player, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct player_client *client = &player->clients[i];
        bool has_begun;

        if (client->fd >= 0 && !client->is_over &&
            player_whole_answers(client, &has_begun) < client->requests)
            return false;
    }
    return true;
}

/* A probe that is due finds its key known, or finds nothing out. */
static void probe(struct player *player)
{
    struct road *road = player->road;
    uint64_t now_us = loop_now_us(road->loop), next_us;

    for (size_t i = 0; i < road->snapshot->provider_count; i++) {
        struct provider *provider = road->snapshot->providers[i].provider;
        struct keypool *pool = provider_keys(provider);
        struct key *key = keypool_probe_take(pool, now_us, &next_us);

        if (key)
            exchange_host_follow(
                &road->host, provider,
                keypool_probe_end(pool, &key, player_one_in(player, 4) ? PROBE_SILENT : PROBE_KNOWN,
                                  now_us));
    }
}

/* Upstreams come and go, keys are probed, the configuration is loaded anew. */
static void move_world(struct player *player)
{
    char name = (char)('a' + player_below(player, 2));

    if (player_one_in(player, 50))
        probe(player);
    if (player->yaml[0] && player_one_in(player, 500))
        road_reload(player->road, player->yaml[player_below(player, 2)]);
    if (!player_one_in(player, 250))
        return;
    if (player->road->upstreams[name - 'a'].listener >= 0)
        road_unlisten(player->road, name);
    else
        road_listen(player->road, name);
}

static void step(struct player *player, unsigned clients)
{
    static const unsigned pauses_us[] = {0, 0, 0, 0, 0, 100, 10000, 200000, 2000000};

    player_move_clients(player, clients);
    player_move_upstreams(player);
    for (unsigned i = 1 + player_below(player, 3); i; i--)
        assert_int_equal(loop_turn(player->road->loop, 0), 0);
    if (player_one_in(player, 3))
        assert_int_equal(
            loop_turn(player->road->loop,
                      pauses_us[player_below(player, sizeof(pauses_us) / sizeof(pauses_us[0]))]),
            0);
}

/* Whoever has not left reads to the end; half an hour is longer than any time-out. */
static void play_out(struct player *player, unsigned clients)
{
    uint64_t until_us = loop_now_us(player->road->loop) + UINT64_C(1800) * 1000000;

    for (unsigned i = 0; i < clients; i++)
        player->clients[i].is_reading = true;
    while (!is_all_said(player, clients) && loop_now_us(player->road->loop) < until_us) {
        for (unsigned i = 0; i < clients; i++) {
            if (player->clients[i].fd < 0)
                continue;
            player_say_client(player, &player->clients[i]);
            player_hear_client(&player->clients[i]);
        }
        player_move_upstreams(player);
        for (int i = 0; i < 3; i++)
            assert_int_equal(loop_turn(player->road->loop, 0), 0);
        assert_int_equal(loop_turn(player->road->loop, 1 + player_below(player, 1000000)), 0);
    }
    assert_true(is_all_said(player, clients));
}

void player_run(struct player *player, unsigned clients, unsigned steps)
{
    struct road *road = player->road;

    for (unsigned i = 0; i < clients; i++)
        player_open_client(player, &player->clients[i]);
    for (unsigned i = 0; i < steps; i++) {
        step(player, clients);
        move_world(player);
    }
    if (player->has_sudden_ends && player_one_in(player, 10))
        exchange_host_cut(&road->host);
    play_out(player, clients);
    for (unsigned i = 0; i < clients; i++) {
        player_check_client(player, &player->clients[i]);
        if (player->clients[i].fd >= 0)
            close(player->clients[i].fd);
        player->clients[i].fd = -1;
        text_free(&player->clients[i].in);
        text_free(&player->clients[i].out);
    }
    for (int i = 0; i < 40; i++)
        assert_int_equal(loop_turn(road->loop, 0), 0);
    road->host.is_terminating = false;
    assert_int_equal(road->host.exchange_count, 0);
    assert_int_equal(road->host.lease.used, 0);
    check_keys(road);
}
