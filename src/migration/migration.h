/*
 * A migration: a model's requests go over from one target to another, by a ramp and on evidence
 * (canary/canary.h), with people's orders beside it and a way back. A machine of plain values: who
 * drives it gives it what has become known and the time, and makes the crossing as it says
 * (migration_stand). Its states stand in migration/states.def.
 *
 * Every change is written down (migration_write) before anything is done because of it, but for
 * what leads back to the old side: that is done at once, and written down after.
 *
 * Owned by who drives it; the control thread. Pure.
 */
#ifndef MIGRATION_MIGRATION_H
#define MIGRATION_MIGRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "canary/canary.h"
#include "migration/crossing.h"

enum migration_state {
#define MIGRATION(id, name, to, serving, meaning) MIGRATION_##id,
#include "migration/states.def"
#undef MIGRATION
    MIGRATION_STATES,
};

enum migration_order {
    MIGRATION_START, /* of one that is planned, or was reverted: from the first step */
    MIGRATION_PAUSE,
    MIGRATION_HOLD,
    MIGRATION_RESUME,
    MIGRATION_ADVANCE, /* the next step now, whatever its time and gate; from the last, cut over */
    MIGRATION_REVERT,
    MIGRATION_ORDERS,
};

enum {
    MIGRATION_REASON_BYTES = 256,
    MIGRATION_TEXT_BYTES = 4096, /* more than any is written in */
};

/* What the configuration says. */
struct migration_rules {
    struct canary_settings canary;
    uint64_t revert_window_us; /* after the cut-over the old side stands ready for so long */
    bool starts_by_itself;
};

struct migration {
    enum migration_state state;
    struct canary canary;
    uint32_t kept_ppm;  /* HELD: the share, where somebody has sent traffic back; MIGRATION_BY_STEP:
                           the step's */
    uint64_t run;       /* how often it was started */
    uint64_t window_us; /* CUT_OVER: how long it has been watched */
    uint64_t since_wall_us, started_wall_us; /* of the state; of the run, 0: never */
    char reason[MIGRATION_REASON_BYTES];     /* of the state, in plain words; empty: the usual */

    /* What is not written down. */
    struct {
        struct crossing_stand stand; /* in force */
        uint64_t last_us;            /* of the last tick; 0: none yet */
        bool is_dirty;               /* there is something to write down */
        bool is_recording;           /* it is being written */
    } live;
};

#define MIGRATION_BY_STEP UINT32_MAX

/* Planned, and the old side serves. */
void migration_init(struct migration *migration, uint64_t wall_us);

/* ---- orders ---- */

/* False where the state does not allow it. */
bool migration_order(struct migration *migration, const struct migration_rules *rules,
                     enum migration_order order, uint64_t now_us, uint64_t wall_us);

/* At once that much of the traffic, at least, goes to the old side (in millionths; the whole:
 * revert), and the ramp is held there. False where the state does not allow it: nothing goes to the
 * new side, or there is no way back any more. */
bool migration_send_back(struct migration *migration, const struct migration_rules *rules,
                         uint32_t back_ppm, uint64_t wall_us);

/* ---- time and evidence ---- */

/* What has become known (NULL: nothing), and the time: at least every RAMP_TICK_MAX_US, else what
 * lies between is no time that was watched. True where state or step have changed. */
bool migration_tick(struct migration *migration, const struct migration_rules *rules,
                    const struct evidence_tick *tick, uint64_t now_us, uint64_t wall_us);

/* Whether a tick may change anything. */
bool migration_is_live(const struct migration *migration, const struct migration_rules *rules);

/* ---- writing it down ---- */

/* There is something to write, and nothing is being written: what migration_write gives now. Then
 * migration_begin_record, and migration_end_record once it is on the disk, or was not possible
 * (is_written false: it is to be tried again). */
bool migration_wants_record(const struct migration *migration);
void migration_begin_record(struct migration *migration);
void migration_end_record(struct migration *migration, const struct migration_rules *rules,
                          bool is_written);

/* The evidence has grown: it is to be written down too. */
void migration_touch(struct migration *migration);

/* Appends it, but for its reason, in small letters and numbers: 0, ERR_FULL or ERR_NOMEM. */
int migration_write(const struct migration *migration, struct buf *buf);

/* Reads what migration_write wrote; it is in force at once, as it was written down. 0;
 * ERR_UNSUPPORTED (another version's), ERR_SYNTAX, ERR_RANGE, with *ret_migration as it was. */
int migration_read(struct span text, struct span reason, const struct migration_rules *rules,
                   uint64_t now_us, struct migration *ret_migration);

/* ---- what there is ---- */

/* How the crossing is to be: what was written down, or leads back. */
struct crossing_stand migration_stand(const struct migration *migration);

/* The share that the state says, written down or not. */
uint32_t migration_share_ppm(const struct migration *migration,
                             const struct migration_rules *rules);

/* How much of the time is left in which the old side stands ready; 0 where it does not. */
uint64_t migration_window_left_us(const struct migration *migration,
                                  const struct migration_rules *rules);

/* In one line: why it was reverted, what it waits for, or how it did. It is cut to fit. */
void migration_explain(const struct migration *migration, const struct migration_rules *rules,
                       char ret_text[CANARY_EXPLAIN_BYTES]);

/* "planned", ...; "start", ... */
const char *migration_state_text(enum migration_state state);
const char *migration_order_text(enum migration_order order);

#endif
