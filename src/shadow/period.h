/*
 * The periods of a budget: hours, days and months of the calendar, in UTC. Pure; any thread.
 */
#ifndef SHADOW_PERIOD_H
#define SHADOW_PERIOD_H

#include <stdint.h>

enum period { PERIOD_HOUR, PERIOD_DAY, PERIOD_MONTH };

/* When the period ends that this moment lies in: always later than it. Unix time in microseconds.
 */
uint64_t period_end_us(enum period period, uint64_t wall_us);

#endif
