/*
 * What may be spent in a period of the calendar, in UTC: an hour, a day, a week (from Monday) or a
 * month. It looks at a sum that only grows, now and then, and says until when spending rests. Pure;
 * embedded in its owner, one thread.
 */
#ifndef LEDGER_BUDGET_H
#define LEDGER_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

enum budget_period { BUDGET_HOUR, BUDGET_DAY, BUDGET_WEEK, BUDGET_MONTH };

/* When the period that holds this moment begins, and when the next one does, in microseconds since
 * 1970. */
uint64_t budget_period_start(enum budget_period period, uint64_t wall_us);
uint64_t budget_period_end(enum budget_period period, uint64_t wall_us);

const char *budget_period_word(enum budget_period period);

struct budget {
    uint64_t start_wall_us; /* of the period at hand; 0: none was looked at so far */
    uint64_t spent_before;  /* of the sum, when it began */
    uint64_t spent;         /* in it */
};

/* Brings it to this moment, at which the sum is that: true where `limit` or more has been spent in
 * the period (0: no limit), which ends at *ret_until_wall_us. Sum and limit are of one unit. A
 * period that was counted is neither begun anew nor ended when the clock is set back into the one
 * before. */
bool budget_look(struct budget *budget, enum budget_period period, uint64_t limit, uint64_t sum,
                 uint64_t wall_us, uint64_t *ret_until_wall_us);

/* Four fifths of the limit, or more, are spent in the period at hand. */
bool budget_is_near(const struct budget *budget, uint64_t limit);

/* So much was spent before the sum began to be counted, in the period that began then: it counts
 * where that is the one at hand. */
void budget_add_earlier(struct budget *budget, uint64_t start_wall_us, uint64_t spent);

#endif
