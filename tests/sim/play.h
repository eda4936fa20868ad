/*
 * A simulator on virtual time and clients over loopback sockets, both in one loop: a test acts,
 * lets time pass, and looks at what came back and when. The clients read HTTP by code of their own,
 * so that a mistake in http/ is not confirmed by itself.
 */
#ifndef TESTS_SIM_PLAY_H
#define TESTS_SIM_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "io/loop.h"
#include "sim/sim.h"

#define SECOND UINT64_C(1000000)

/* The path of chat requests, and the body of a short one. */
extern const char play_chat[], play_plain[];

struct play {
    struct loop *loop;
    struct sim *sim;
};

enum caller_end { CALLER_OPEN, CALLER_EOF, CALLER_RESET };

struct caller {
    struct loop_fd fd;
    struct play *play;
    struct buf got;
    enum caller_end end;
    uint64_t began_us, first_us, last_us; /* connected; the first and the last bytes came */
    unsigned reads;
};

/* An answer as far as it came. */
struct reply {
    int status; /* 0: no head */
    char head[8192];
    struct buf body; /* without chunks */
    enum caller_end end;
    bool is_whole;
    uint64_t took_us;       /* until its last byte */
    uint64_t first_byte_us; /* until its first */
    unsigned reads;
};

void play_begin(struct play *play, const char *scenario);
void play_end(struct play *play);

/* The same where every key has these faults, the inside of a list, and settings: "" or further ones
 * of a key, each with a comma behind it. */
void play_begin_faulty(struct play *play, const char *settings, const char *faults);

/* Lets time pass. */
void play_wait(struct play *play, uint64_t us);

void caller_open(struct caller *caller, struct play *play);
void caller_send(struct caller *caller, const char *text);
/* A POST with that key ("" for none), headers ("" or whole lines) and body. */
void caller_post(struct caller *caller, const char *path, const char *key, const char *headers,
                 const char *body);
void caller_close(struct caller *caller);

/* Waits until the answer is whole or the connection ended, at most so long, and tells what there
 * is. reply_free afterwards. */
void caller_await(struct caller *caller, uint64_t max_us, struct reply *reply);
void reply_free(struct reply *reply);

/* A new connection with a chat request that shows the key sk-1. */
void caller_chat(struct caller *caller, struct play *play, const char *body);

/* caller_await, and the connection is closed. */
void caller_finish(struct caller *caller, uint64_t max_us, struct reply *reply);

/* All of it in one: a new connection, a POST or GET, its answer within an hour. */
void play_post(struct play *play, const char *path, const char *key, const char *body,
               struct reply *reply);
void play_get(struct play *play, const char *path, const char *key, struct reply *reply);

/* The status that a chat request with that key gets. */
int play_ask(struct play *play, const char *key);

/* The value of a header line (lower-case name), "" where there is none. Valid until the next call.
 */
const char *reply_header(const struct reply *reply, const char *name);
bool reply_has(const struct reply *reply, const char *text); /* in its body */

/* Changes a key as the control call does. */
void play_set(struct play *play, const char *key, const char *yaml);

/* The number that follows "name": in the statistics of one key. */
uint64_t play_count(struct play *play, const char *key, const char *name);

#endif
