/*
 * What the rules of alerts watch: a number that must not be past its bound, for a time. Plain code
 * over values; the time is an argument (microseconds of any monotonic clock). One thread; embedded
 * in their owners.
 */
#ifndef ALERTS_RULES_H
#define ALERTS_RULES_H

#include <stdbool.h>
#include <stdint.h>

/* What a look at a rule leads to. */
enum rule_turn {
    RULE_STAYS,
    RULE_FIRES, /* from now on it is told as broken */
    RULE_ENDS,  /* it was told, and holds again */
};

/* ---- a condition that has to last ---- */

/* Zeroed: nothing was seen. */
struct rule_hold {
    uint64_t since_us; /* is_broken: since when */
    bool is_broken, is_told;
};

/* How it stands now. It fires where it has been broken at each look for for_us, and ends with the
 * first look at which it is not. */
enum rule_turn rule_look(struct rule_hold *hold, bool is_broken, uint64_t for_us, uint64_t now_us);

/* ---- events within a time ---- */

enum { RULE_SLOTS = 30 };

/* Counts what happens, in slots of a thirtieth of the time. Zeroed: nothing happened. */
struct rule_count {
    uint64_t slot; /* the newest one's number */
    uint32_t counts[RULE_SLOTS];
};

void rule_count_add(struct rule_count *count, uint64_t for_us, uint64_t now_us);

/* How many within the last for_us, to a thirtieth of it. A number, for_us, that is another one than
 * before begins anew. */
uint32_t rule_count_sum(struct rule_count *count, uint64_t for_us, uint64_t now_us);

#endif
