/*
 * A zone's file: whatever is read has clocks that can be asked, whose answers agree with each
 * other.
 */
#include "fuzz.h"

#include "conf/zone.h"

enum { OFFSET_MAX_S = 26 * 3600 };

/* Times to ask for: around those of real zones' changes, of the file's own bytes, and far away. */
static void check_time(const struct zone *zone, int64_t time_s)
{
    int64_t times[2] = {0, 0}, first_s = zone_first_s(zone, time_s);
    size_t count = zone_times(zone, time_s, times);
    int32_t offset_s = zone_offset_s(zone, time_s);

    must(offset_s >= -OFFSET_MAX_S && offset_s <= OFFSET_MAX_S);
    must(count <= 2);
    for (size_t i = 0; i < count; i++)
        must(times[i] + zone_offset_s(zone, times[i]) == time_s);
    must(count < 2 || times[0] < times[1]);
    must(count == 0 || first_s <= times[0]);
    must(first_s + zone_offset_s(zone, first_s) >= time_s);
    must(zone_first_s(zone, time_s + 1) >= first_s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *zone = NULL;

    if (zone_read(span_of((const char *)data, size), &zone) != 0)
        return 0;
    for (int64_t year = -300; year < 400; year += 7)
        check_time(zone, year * 31556952 + (int64_t)size * 1000);
    for (size_t i = 0; i + 4 <= size; i += 4) {
        int32_t time_s;

        memcpy(&time_s, data + i, sizeof(time_s));
        check_time(zone, time_s);
        check_time(zone, (int64_t)(uint32_t)time_s << 20 >> 24);
    }
    zone_free(&zone);
    return 0;
}
