/*
 * What a key usually spends, and when it spends many times that: a stolen key, or a program that
 * has run wild. Spending comes as amounts of any unit (tokens, millionths of a dollar); each whole
 * hour adds to an average that forgets (an hour of a day ago counts for half), and the hour under
 * way is told as unusual once it is past a multiple of it. Plain code over values; the time is an
 * argument. One thread; embedded in its owner.
 */
#ifndef ALERTS_USUAL_H
#define ALERTS_USUAL_H

#include <stdbool.h>
#include <stdint.h>

/* Hours that must have gone by before anything is called unusual: less is no usage to speak of. */
enum { USUAL_HOURS_MIN = 12 };

struct usual_rules {
    double times;    /* the usual; more than 1 */
    double at_least; /* an hour's spending below this is never unusual */
};

/* Zeroed: nothing was spent. */
struct usual {
    uint64_t hour;  /* the one under way, by its number; 0: none yet */
    uint32_t hours; /* that went by since the first; saturates */
    double spent;   /* in this hour */
    double average; /* an hour's */
    bool is_told;   /* of this hour, or of one right before it */
};

/* Spends so much. True where with it this hour becomes unusual: once, until an hour has been usual
 * again. Amounts below 0 and such as are no number count as none. */
bool usual_add(struct usual *usual, const struct usual_rules *rules, double amount,
               uint64_t now_us);

/* What an hour usually costs; 0 while that is not known. */
double usual_of(const struct usual *usual);

#endif
