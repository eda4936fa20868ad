/* Schedules and times in which the tests of triggers speak. */
#ifndef TESTS_ROTATION_TRIGGER_TIMES_H
#define TESTS_ROTATION_TRIGGER_TIMES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/rand.h"
#include "rotation/trigger.h"

#define MINUTE_US (60 * US_PER_SEC)
#define HOUR_US   (60 * MINUTE_US)
#define DAY_US    (24 * HOUR_US)
#define START_US  (1795168800 * US_PER_SEC) /* 2026-11-20T10:00:00Z */

static inline struct schedule schedule_of(const char *text)
{
    char why[SCHEDULE_WHY_BYTES];
    struct schedule schedule;

    assert_int_equal(schedule_read(span_from_text(text), &schedule, why), 0);
    return schedule;
}

#endif
