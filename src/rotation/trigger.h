/*
 * Which key of a provider is to be replaced now, and why: the most urgent one, one at a time. Plain
 * code over values: the facts and the time are arguments, and what has to be remembered until the
 * next question stands in a struct of the caller's.
 *
 *   leaked      at once, whatever else is under way
 *   refused     a key that used to work is not known at its provider any more
 *   expiry      its date is near
 *   error rate  over the threshold, with enough requests to say so
 *   changed     its secret was changed where it is kept
 *   age         it has its age, or the schedule came round and it has
 *   schedule    it came round, and age does not matter
 *
 * A schedule that comes round begins a round: all keys that are too old then (of an interval, and
 * without max_age: all that there are) are replaced one after the other, the oldest first. A start
 * begins none: a schedule counts from when it was first seen.
 *
 * After a rotation that came to nothing the next one waits, longer each time. A key that is no good
 * any more is also pruned, taken out of service before its successor is there; but never the last
 * one that serves, for a clock or a measurement can be wrong.
 *
 * The control thread, through whoever drives the rotation. No secret stands here.
 */
#ifndef ROTATION_TRIGGER_H
#define ROTATION_TRIGGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "rotation/life.h"
#include "conf/schedule.h"

/* A bit of trigger_rules.on. */
#define TRIGGER_ON(trigger) (1u << (trigger))

struct trigger_rules {
    const struct schedule *schedule; /* NULL: none */
    uint64_t seed;                   /* of its jitter: of this instance and provider */
    /* What starts a rotation besides the schedule: LIFE_BY_AGE (without it an age matters only when
     * the schedule comes round), _EXPIRY, _ERROR_RATE, _REFUSAL, _STORE, _LEAK. */
    uint32_t on;
    uint64_t max_age_us;       /* 0: none is too old */
    uint64_t warn_before_us;   /* of an expiry; 0: no warning */
    uint64_t rotate_before_us; /* of an expiry; of a key whose life is known at most a third of it,
                                  lest a short one be replaced as soon as it is there */
    uint64_t refused_for_us;   /* before it counts; 0: at once */
    uint32_t max_error_ppm;    /* 0: errors do not matter */
    uint32_t min_requests;     /* in the window, before a rate counts; at least 1 */
    uint64_t prune_after_us;   /* over max_error_ppm for so long; 0: never */
    uint64_t calm_us;          /* from the end of one rotation to one for an error rate: a
                                  provider's bad hour does not wear out one key after the other */
};

struct trigger_key {
    struct span name;
    enum life_step step; /* LIFE_ACTIVE: it may be replaced. Of a leaked key any */
    bool is_away;   /* it serves nobody now: no other key is put off because this one is there */
    bool is_pruned; /* it was said, and followed */
    bool is_kept;   /* it cannot be pruned now */
    bool is_warned; /* likewise, of the date that stands here */
    /* It was said, and no rotation begun for it yet. Where one is under way, beginning another puts
     * the key off at once, and it is spoken of again when that one has ended. */
    bool is_leaked;
    bool is_changed; /* it was said, and no rotation begun for it yet */
    /* When it was made: 0 where nobody knows. To a round that is long ago. Of a key that a
     * rotation made it is always known. */
    uint64_t created_wall_us;
    uint64_t seen_wall_us;     /* since when it is known to be there, where nobody knows when it was
                                  made: to an age alone it counts from then; 0: not known either */
    uint64_t expires_wall_us;  /* 0: never */
    uint64_t refused_since_us; /* 0: it is not, or never worked */
    uint32_t requests, errors; /* in the window, of which the key may be to blame */
};

struct trigger_facts {
    const struct trigger_key *keys;
    size_t count;
    bool is_busy;                /* a successor is under way */
    uint64_t ended_us;           /* the last rotation; 0: none since the start */
    uint32_t failures;           /* rotations in a row, up to the last, that came to nothing */
    uint64_t not_before_us;      /* a beginning was refused (no room, store away); 0: none */
    uint64_t leak_not_before_us; /* likewise, of a leaked key's */
};

/* What is remembered from one question to the next. All zero in the beginning, and `over` after a
 * start; the rest is written down with the life of the keys. */
struct trigger_memory {
    uint64_t last_wall_us;  /* the schedule was followed, or first seen; 0: never */
    uint64_t round_wall_us; /* the round that goes on began; 0: none does */
    struct {
        char name[LIFE_NAME_BYTES];
        uint64_t since_us; /* its error rate is over the threshold */
    } over[LIFE_KEYS_MAX]; /* by name; empty: free */
};

enum trigger_act {
    TRIGGER_NOTHING,
    TRIGGER_BEGIN, /* replace the key */
    TRIGGER_PRUNE, /* take it out of service */
    TRIGGER_WARN,  /* its date is near */
};

struct trigger_answer {
    enum trigger_act act;
    size_t key;                /* its place among the facts' */
    enum life_trigger trigger; /* of BEGIN and PRUNE: why; of WARN: LIFE_BY_EXPIRY */
    char why[LIFE_REASON_BYTES];
    bool has_to_record; /* the memory has changed in what is written down */
    uint64_t wait_us; /* of NOTHING: when to ask again, a minute at most, for the clock of the wall
                         may jump; before that where a fact changes */
};

/* The clocks: monotonic, and of the wall. */
struct trigger_now {
    uint64_t us, wall_us;
};

/* It is asked again until it answers TRIGGER_NOTHING, each time with the facts as they are then: a
 * rotation that was begun makes it busy, one that was refused sets not_before_us, a leaked key is
 * off, a pruned or warned one is marked. */
void trigger_decide(const struct trigger_rules *rules, const struct trigger_facts *facts,
                    const struct trigger_now *now, struct trigger_memory *memory,
                    struct trigger_answer *ret_answer);

#endif
