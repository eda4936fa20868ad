/*
 * A thousand sessions, each of which asks again and again, before the keys of a provider that keeps
 * prompts cached by key: for five minutes after they were last used. Meanwhile a key goes, another
 * one comes, and one is at its limit for a while. On virtual time and from one seed. Used by the
 * tests and by bench/sessions.
 */
#ifndef TESTS_KEYPOOL_SESSION_PLAY_H
#define TESTS_KEYPOOL_SESSION_PLAY_H

#include <stdint.h>

#include "conf/config.h"

/* When what happens, in minutes. */
enum {
    SESSION_PLAY_KEYS = 8,
    SESSION_PLAY_GONE = 10,
    SESSION_PLAY_NEW = 20,
    SESSION_PLAY_LIMITED = 30,
    SESSION_PLAY_LIMITED_FOR = 4,
    SESSION_PLAY_MINUTES = 45,
};

/* Of the requests of a minute, those that are not their session's first; and of these, those whose
 * prompt was cached, and those that went to the key of the one before. */
struct session_minute {
    uint32_t again, warm, stayed;
};

/* Sessions that had another key than before, in percent of those that asked: */
struct session_moves {
    double gone;    /* five minutes after a key went */
    double came;    /* five minutes after one came */
    double limited; /* while one was at its limit */
    double after;   /* five minutes after that was over */
};

struct session_result {
    struct session_minute minutes[SESSION_PLAY_MINUTES], whole;
    struct session_moves moves;
    uint32_t lowest_percent, highest_percent; /* of the requests that a key had, at first */
};

struct session_result session_play(enum conf_selection selection, uint64_t seed);

#endif
