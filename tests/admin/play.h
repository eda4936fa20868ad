/*
 * The admin address on a virtual loop, and clients that speak to it byte by byte over loopback.
 */
#ifndef TESTS_ADMIN_PLAY_H
#define TESTS_ADMIN_PLAY_H

#include "stage.h"

#include "admin/admin.h"

struct play {
    struct stage stage;
    struct loop *loop;
    struct admin *admin;
    struct addr addr;
    struct buf heard;
    int effects; /* of orders */
    uint64_t wakes;
    struct store *store; /* NULL: none */
    char noted[512];     /* of the last order: "action provider/key done detail" */
};

/* Of that configuration, at a port of TCP, where Host counts, or (not is_tcp) an abstract unix
 * address, whose buffers are small. */
void play_begin(struct play *play, const char *yaml, bool is_tcp);
void play_end(struct play *play);

/* Another configuration is in force from now on. */
void play_reload(struct play *play, const char *yaml);

/* Turns until nothing is ready any more; play_pass lets time go by as well. */
void play_settle(struct play *play);
void play_pass(struct play *play, uint64_t us);

/* A connection; the caller closes it. */
int play_call(struct play *play);
void play_say(struct play *play, int fd, const char *text);

/* Adds what is there to play->heard; true where the connection has ended. */
bool play_read(struct play *play, int fd);

/* All that came since the last time; valid until the next. */
const char *play_hear(struct play *play, int fd);

/* All of it in one: a connection, a request, its answer. */
const char *play_ask(struct play *play, const char *request);

void play_expect_status(const char *answer, int status);

#endif
