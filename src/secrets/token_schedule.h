/*
 * When a token is asked for: at first at once, again well before it expires, and after a failure
 * with growing pauses. Plain values; the time (microseconds of any monotonic clock) and the random
 * numbers are arguments. Embedded in its owner; one thread.
 */
#ifndef SECRETS_TOKEN_SCHEDULE_H
#define SECRETS_TOKEN_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rand.h"

struct token_schedule {
    uint64_t next_us;  /* when to ask; not while is_asking */
    uint64_t asked_us; /* when that was last begun; 0: never */
    uint64_t until_us; /* how long the last good token is used; 0: there was none */
    uint32_t failures; /* in a row */
    bool is_asking;    /* one at a time */
};

/* Due at once. */
void token_schedule_init(struct token_schedule *schedule, uint64_t now_us);

/* True where it is time: the asking has begun then, and ends by one of the next two. */
bool token_schedule_begin(struct token_schedule *schedule, uint64_t now_us);

/* A token came, which lives that long from the moment it was asked for. It is used until a tenth
 * of its life, at most 10 s, before its end; the next is asked for after 80% of it or 120 s before
 * the end, whichever comes first but not before half of it, and up to 5% of it sooner by chance. */
void token_schedule_good(struct token_schedule *schedule, uint64_t life_us, uint64_t now_us,
                         struct rand *rand);

/* None came: the next try follows after 1 s, 2 s, 4 s, ..., at most 60 s, of which the second half
 * is by chance; not before the server's own Retry-After (0: none), of which 10 minutes are
 * believed. */
void token_schedule_failed(struct token_schedule *schedule, uint64_t retry_after_us,
                           uint64_t now_us, struct rand *rand);

/* The token was refused where it was used: another one is wanted at once, but for a pause of a
 * second after the last try. One that is being asked for already will do. */
void token_schedule_want(struct token_schedule *schedule, uint64_t now_us);

#endif
