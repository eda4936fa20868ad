/*
 * How many of a key's requests failed of late: a window that slides in tenths over numbers that
 * only grow. Plain values, all zero in the beginning; owned by who fills it. Pure; any thread.
 */
#ifndef ROTATION_ERROR_WINDOW_H
#define ROTATION_ERROR_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

enum { ERROR_WINDOW_PARTS = 10 };

struct error_window {
    uint32_t requests[ERROR_WINDOW_PARTS], errors[ERROR_WINDOW_PARTS];
    uint64_t requests_seen, errors_seen;
    uint64_t part; /* the number of the one that is being filled, counted from time zero */
    bool is_begun;
};

/* The numbers as they stand now; what stood before the first call counts in no window. To be called
 * a few times in each window_us, which is at least a microsecond a part; with the same one each
 * time, or what was counted in another is dropped sooner or later than it says. */
void error_window_note(struct error_window *window, uint64_t window_us, uint64_t requests,
                       uint64_t errors, uint64_t now_us);

/* What stands in it as of the last call. */
void error_window_sum(const struct error_window *window, uint32_t *ret_requests,
                      uint32_t *ret_errors);

#endif
