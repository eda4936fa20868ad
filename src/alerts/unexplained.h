/*
 * Whether a provider's own count of a key's use is explained by ours: a key that somebody else uses
 * too, such as one that leaked, is not. Both counts stand in spans of the wall's time (hours), by
 * their number since the epoch. Plain code over values; one thread; embedded in its owner.
 *
 * What counts is what the provider tells beyond ours, never the other way round: ours holds more,
 * such as what failed there, or ends in another table of theirs. A request near the border of two
 * spans may stand in one of them here and in the other there; so what ours has too much of in the
 * spans beside one explains what theirs has too much of in it.
 */
#ifndef ALERTS_UNEXPLAINED_H
#define ALERTS_UNEXPLAINED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* That are kept: the one under way, and those before it. */
enum { UNEXPLAINED_SPANS = 8 };

struct use_count {
    uint64_t requests, tokens;
};

/* A gap is told of where both its requests and its tokens are as many as this at least, and more
 * than that share of ours. */
struct unexplained_rules {
    struct use_count at_least;
    double requests_above, tokens_above; /* 0.1: a tenth */
};

/* Of one key. Zeroed: nothing was counted. */
struct use_book {
    uint64_t newest; /* the span under way; 0: none yet */
    uint64_t first;  /* from which on ours is whole */
    uint64_t told;   /* the last one that was told of, or followed on such a one; 0: none */
    struct use_count ours[UNEXPLAINED_SPANS], theirs[UNEXPLAINED_SPANS]; /* by number, modulo */
};

/* What is told of a gap. */
struct use_gap {
    uint64_t span;
    struct use_count ours, theirs;
};

/* We have used so much more in this span, the one under way, from 1 on. To be called in each span,
 * where nothing was used too. The first one is not compared, as it may not be whole; a clock that
 * goes back, or past a span, begins anew. */
void use_book_count(struct use_book *book, uint64_t span, struct use_count more);

/* Nothing is known of theirs: before it is told anew, whole. */
void use_book_forget(struct use_book *book);

/* They have counted so much more in that span. Those that are not kept are nobody's matter. */
void use_book_hear(struct use_book *book, uint64_t span, struct use_count more);

/* Compares the spans before `end`. True where one is not explained, with the newest such: once,
 * until a span has been explained again. */
bool use_book_compare(struct use_book *book, const struct unexplained_rules *rules, uint64_t end,
                      struct use_gap *ret_gap);

#endif
