/*
 * One limit of a provider, as providers keep and tell it, and clients that want half again as much,
 * on virtual time and from a seed: played by one who learns from what answers tell
 * (limits/foreseen), or by one who only reacts to refusals. Both rest after a refusal as long as it
 * hints, and then send one request to find out.
 */
#ifndef TESTS_LIMITS_LIMIT_PLAY_H
#define TESTS_LIMITS_LIMIT_PLAY_H

#include <stdbool.h>
#include <stdint.h>

enum limit_kind {
    LIMIT_BUCKET,  /* comes back evenly */
    LIMIT_FIXED,   /* a window from its first request on */
    LIMIT_ALIGNED, /* windows one after the other, whoever comes */
    LIMIT_SLIDING, /* never more in any period */
    LIMIT_KINDS,
};

enum limit_form {
    FORM_EXACT,
    FORM_MS,   /* "577ms" */
    FORM_UP,   /* "1s", from there on */
    FORM_DOWN, /* "0" in the last second */
    FORM_NEAREST,
    FORM_EPOCH_UP, /* a point in time in whole seconds */
    FORM_EPOCH_DOWN,
    LIMIT_FORMS,
};

struct limit_question {
    enum limit_kind kind;
    enum limit_form form;
    uint64_t limit, period_us;
    uint64_t seed;
    uint64_t periods; /* how long it is played */
    bool learns;
    bool is_silent; /* a refusal hints no more than its headers tell */
};

struct limit_result {
    uint64_t sent, passed, refused;
    double goodput; /* passed, of what the limit allowed */
};

struct limit_result limit_play(const struct limit_question *question);

#endif
