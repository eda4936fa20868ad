/*
 * The day by which Google counts its daily quotas: from midnight to midnight in California, with
 * the summer time of 15 U.S.C. 260a. Computed, so that no time zone database is needed. Pure; any
 * thread.
 */
#ifndef DIALECT_QUOTA_DAY_H
#define DIALECT_QUOTA_DAY_H

#include <stdint.h>

/* Microseconds from wall_us (Unix time) until the day ends: above 0, at most 25 hours. */
uint64_t quota_day_left(uint64_t wall_us);

#endif
