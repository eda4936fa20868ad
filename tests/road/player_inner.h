/*
 * What the files of the player share: its dice, its upstreams and its clients.
 */
#ifndef TESTS_ROAD_PLAYER_INNER_H
#define TESTS_ROAD_PLAYER_INNER_H

#include "player.h"

static inline unsigned player_below(struct player *player, unsigned n)
{
    return (unsigned)(rand_u64(&player->rand) % n);
}

static inline bool player_one_in(struct player *player, unsigned n)
{
    return player_below(player, n) == 0;
}

/* Lets every upstream hear, speak, or close an idle connection (player_upstreams.c). */
void player_move_upstreams(struct player *player);
void player_close_conn(struct player_conn *conn);

/* Clients open with their requests, speak, hear, and leave (player_clients.c). */
void player_open_client(struct player *player, struct player_client *client);
void player_say_client(struct player *player, struct player_client *client);
void player_hear_client(struct player_client *client);
void player_move_clients(struct player *player, unsigned count);

/* Answers of the client that are whole, and (*ret_has_begun) whether the next one has begun. */
unsigned player_whole_answers(const struct player_client *client, bool *ret_has_begun);

/* Every request was answered once and in its order, or the connection ended, and that for a reason.
 */
void player_check_client(struct player *player, const struct player_client *client);

#endif
