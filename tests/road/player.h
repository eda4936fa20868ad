/*
 * Random histories on the road: clients and upstreams that do anything a peer may do, from a seed.
 * A client sends its requests in pieces, reads or does not, leaves or stays; an upstream answers
 * well, badly, late, in pieces or not at all. Each request carries a mark that the upstream's
 * answer repeats, so that an answer which is mixed, doubled or given to another is seen.
 *
 * The player asks the heap behind the program's back, so that a test may make any allocation of the
 * program fail meanwhile.
 */
#ifndef TESTS_ROAD_PLAYER_H
#define TESTS_ROAD_PLAYER_H

#include "road.h"
#include "text.h"

enum { PLAYER_CLIENTS = 6, PLAYER_CONNS = 64, PLAYER_REQUESTS = 4, PLAYER_MARKS = 65536 };

struct player_client {
    int fd; /* -1: none */
    bool is_reading;
    bool has_left; /* of its own will */
    bool is_over;  /* the gateway ended the connection */
    unsigned requests, marks[PLAYER_REQUESTS];
    bool is_streaming[PLAYER_REQUESTS];
    struct text out, in;
    size_t out_at;
};

struct player_conn {
    int fd; /* -1: free */
    struct text in, out;
    size_t out_at;
    uint64_t next_us; /* when it goes on */
    bool is_answering, is_closing, is_in_one;
};

struct player {
    struct road *road;
    struct rand rand;
    struct player_client clients[PLAYER_CLIENTS];
    struct player_conn conns[PLAYER_CONNS];
    unsigned next_mark;
    struct {
        struct player_client *client;
        unsigned number; /* among its requests */
    } marks[PLAYER_MARKS];
    unsigned kindness;    /* of a hundred answers, those that are good */
    const char *yaml[2];  /* loaded anew now and then, the one or the other; NULL: never */
    bool has_sudden_ends; /* what still runs is cut now and then */
    unsigned answered, succeeded, refused, cut;
};

void player_init(struct player *player, struct road *road, uint64_t seed);
void player_fini(struct player *player);

/* One history to its end; everything has been settled when it returns. */
void player_run(struct player *player, unsigned clients, unsigned steps);

#endif
