#include "rotation/error_window.h"

#include <string.h>

static uint32_t grown(uint64_t *seen, uint64_t number)
{
    uint64_t more = number > *seen ? number - *seen : 0;

    *seen = number;
    return more < UINT32_MAX ? (uint32_t)more : UINT32_MAX;
}

static void add(uint32_t *count, uint32_t more)
{
    *count = *count > UINT32_MAX - more ? UINT32_MAX : *count + more;
}

static void slide(struct error_window *window, uint64_t part)
{
    if (part <= window->part)
        return;
    if (part - window->part >= ERROR_WINDOW_PARTS) {
        memset(window->requests, 0, sizeof(window->requests));
        memset(window->errors, 0, sizeof(window->errors));
        window->part = part;
    }
    while (window->part < part) {
        window->part++;
        window->requests[window->part % ERROR_WINDOW_PARTS] = 0;
        window->errors[window->part % ERROR_WINDOW_PARTS] = 0;
    }
}

void error_window_note(struct error_window *window, uint64_t window_us, uint64_t requests,
                       uint64_t errors, uint64_t now_us)
{
    uint64_t part_us = window_us / ERROR_WINDOW_PARTS, part = now_us / (part_us ? part_us : 1);
    uint32_t more, failed;

    if (!window->is_begun || part + ERROR_WINDOW_PARTS < window->part) {
        *window = (struct error_window){
            .requests_seen = requests, .errors_seen = errors, .part = part, .is_begun = true};
        return;
    }
    slide(window, part);
    more = grown(&window->requests_seen, requests);
    failed = grown(&window->errors_seen, errors);
    add(&window->requests[window->part % ERROR_WINDOW_PARTS], more);
    add(&window->errors[window->part % ERROR_WINDOW_PARTS], failed);
}

void error_window_sum(const struct error_window *window, uint32_t *ret_requests,
                      uint32_t *ret_errors)
{
    *ret_requests = *ret_errors = 0;
    for (int i = 0; i < ERROR_WINDOW_PARTS; i++) {
        add(ret_requests, window->requests[i]);
        add(ret_errors, window->errors[i]);
    }
    if (*ret_errors > *ret_requests)
        *ret_errors = *ret_requests;
}
