/*
 * A schedule's text: whatever is read has times that grow, and jitter within its bounds; what is
 * refused says why.
 */
#include "fuzz.h"

#include "base/clock.h"
#include "conf/schedule.h"

enum { TIMES = 5 };

static void must_be_printable(const char *why)
{
    must(*why != '\0');
    for (; *why; why++)
        must(*why >= ' ' && *why <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[SCHEDULE_WHY_BYTES] = "";
    struct schedule schedule;
    uint64_t us = UINT64_C(1795169700000000);

    if (schedule_read(span_of((const char *)data, size), &schedule, why) != 0) {
        must_be_printable(why);
        return 0;
    }
    must(why[0] == '\0' && schedule.zone == NULL);
    for (int i = 0; i < TIMES; i++) {
        uint64_t next = schedule_next(&schedule, us);

        must(next > us && (next == UINT64_MAX || next - us >= schedule.shortest_us || i == 0));
        if (next == UINT64_MAX)
            break;
        us = next;
    }
    must(schedule_jitter_us(&schedule, size) <= schedule.shortest_us / 20);
    must(schedule_jitter_us(&schedule, size) <= 3600 * US_PER_SEC);
    schedule_fini(&schedule);
    return 0;
}
