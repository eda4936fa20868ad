/*
 * Makes few messages of many alerts. Pure: the time is an argument (microseconds of any monotonic
 * clock). One thread; embedded in its owner, or a block of its own, as it is large.
 *
 * Alerts of one kind about one provider are a group, and a line of a message. The first one is due
 * at once; what follows within 30 s is collected until they are over, then within 1 min, and so on
 * up to 10 min while the storm lasts. A pause as long as the last of these ends it. When one group
 * is due, all that has something to tell shares the message.
 *
 * Between two messages there are at least 30 s, whatever comes. Only a new group of a critical kind
 * waits for less, 1 s, once in 30 s. So there are at most two messages in any 30 s.
 *
 * The end of a kind that lasts does not wait for its group's time, and ends the storm, unless there
 * was another end within the 10 min before: what comes and goes is a storm too.
 *
 * Memory is bounded: groups past the most, and lines past the most in a message, are a number in
 * it. Nothing that was added, but for ends that concern nothing, is missing from the messages'
 * totals.
 */
#ifndef ALERTS_COLLECTOR_H
#define ALERTS_COLLECTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alerts/alert.h"
#include "alerts/message.h"

enum { ALERT_GROUPS_MAX = 128 };

struct alert_group {
    struct alert_line line; /* what is to be told */
    bool is_lasting;        /* of a kind that lasts: it was added, and has not ended since */
    bool is_pressing;       /* to be told before the pace allows */
    bool is_pending;        /* there is something to tell, from due_us on */
    uint64_t due_us;
    uint64_t window_us;      /* the last one; 0: none, or it is past */
    uint64_t until_us;       /* its end */
    uint64_t prompt_from_us; /* when an end may be told at once again */
};

struct alert_collector {
    struct alert_group groups[ALERT_GROUPS_MAX];
    size_t group_count;
    uint64_t surplus;  /* alerts for which there was no group */
    bool has_told;     /* a message; the next two are valid then */
    uint64_t told_us;  /* the last one */
    uint64_t early_us; /* when one before its time is allowed again */
};

void alert_collector_init(struct alert_collector *collector);

/* Something happened, or ended. */
void alert_collector_add(struct alert_collector *collector, const struct alert *alert,
                         uint64_t now_us);

/* When a message is to be taken; UINT64_MAX: there is nothing to tell. */
uint64_t alert_collector_due_us(const struct alert_collector *collector);

/* The message of all there is to tell, due or not, which is told with that; the caller's reference.
 * 0, ERR_NOTFOUND where there is nothing, or ERR_NOMEM, in which nothing has changed. */
int alert_collector_take(struct alert_collector *collector, uint64_t now_us,
                         struct alert_message **ret_message);

#endif
