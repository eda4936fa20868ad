#include "migration/migration.h"

#include <stdio.h>
#include <string.h>

#include "base/bug.h"

/* ---- the table ---- */

enum serving { SERVES_OLD, SERVES_SHARED, SERVES_NEW, SERVES_ALONE };

struct row {
    const char *name;
    uint32_t may_go_to;
    enum serving serving;
};

#define TO(state) (1u << MIGRATION_##state)

static const struct row rows[MIGRATION_STATES] = {
#define MIGRATION(id, name, to, serving, meaning) [MIGRATION_##id] = {name, to, SERVES_##serving},
#include "migration/states.def"
#undef MIGRATION
};

const char *migration_state_text(enum migration_state state)
{
    return rows[state].name;
}

const char *migration_order_text(enum migration_order order)
{
    static const char *const texts[MIGRATION_ORDERS] = {
        [MIGRATION_START] = "start",     [MIGRATION_PAUSE] = "pause",
        [MIGRATION_HOLD] = "hold",       [MIGRATION_RESUME] = "resume",
        [MIGRATION_ADVANCE] = "advance", [MIGRATION_REVERT] = "revert",
    };

    return texts[order];
}

/* ---- what is in force ---- */

uint32_t migration_share_ppm(const struct migration *migration, const struct migration_rules *rules)
{
    switch (rows[migration->state].serving) {
    case SERVES_OLD:
        return 0;
    case SERVES_SHARED:
        return migration->kept_ppm == MIGRATION_BY_STEP
                   ? canary_share_ppm(&migration->canary, &rules->canary)
                   : migration->kept_ppm;
    case SERVES_NEW:
    case SERVES_ALONE:
        break;
    }
    return CROSSING_WHOLE_PPM;
}

static struct crossing_stand wanted(const struct migration *migration,
                                    const struct migration_rules *rules)
{
    enum serving serving = rows[migration->state].serving;

    return (struct crossing_stand){migration_share_ppm(migration, rules), serving != SERVES_ALONE,
                                   serving != SERVES_OLD};
}

/* The old side gets more than it has now, and may be needed no longer than it is. */
static bool leads_back(struct crossing_stand from, struct crossing_stand to)
{
    return to.has_old && (!from.has_new || to.share_ppm <= from.share_ppm) &&
           (from.has_new || !to.has_new);
}

static void settle(struct migration *migration, const struct migration_rules *rules)
{
    struct crossing_stand next = wanted(migration, rules);
    bool is_recorded = !migration->live.is_dirty && !migration->live.is_recording;

    if (is_recorded || leads_back(migration->live.stand, next))
        migration->live.stand = next;
}

struct crossing_stand migration_stand(const struct migration *migration)
{
    return migration->live.stand;
}

/* ---- moving ---- */

void migration_touch(struct migration *migration)
{
    migration->live.is_dirty = true;
}

static void migration_move(struct migration *migration, enum migration_state to, const char *reason,
                           uint64_t wall_us)
{
    bug_fatal_unless((rows[migration->state].may_go_to & (1u << to)) != 0);
    migration->state = to;
    migration->since_wall_us = wall_us;
    migration->kept_ppm = MIGRATION_BY_STEP;
    migration->window_us = 0;
    snprintf(migration->reason, sizeof(migration->reason), "%s", reason ? reason : "");
    migration_touch(migration);
}

static bool may(const struct migration *migration, enum migration_state to)
{
    return (rows[migration->state].may_go_to & (1u << to)) != 0;
}

void migration_init(struct migration *migration, uint64_t wall_us)
{
    *migration = (struct migration){
        .state = MIGRATION_PLANNED,
        .kept_ppm = MIGRATION_BY_STEP,
        .since_wall_us = wall_us,
        .live = {.stand = {0, true, false}, .is_dirty = true},
    };
}

static void cut_over(struct migration *migration, const char *reason, uint64_t wall_us)
{
    /* From here on failures are judged by what comes now. */
    evidence_begin_step(&migration->canary.evidence);
    migration_move(migration, MIGRATION_CUT_OVER, reason, wall_us);
}

/* ---- orders ---- */

static bool start(struct migration *migration, const struct migration_rules *rules,
                  const char *reason, uint64_t now_us, uint64_t wall_us)
{
    if (migration->state != MIGRATION_PLANNED && migration->state != MIGRATION_REVERTED)
        return false;
    canary_init(&migration->canary, &rules->canary, now_us);
    migration->run++;
    migration->started_wall_us = wall_us;
    if (migration->canary.state == CANARY_PROMOTED)
        cut_over(migration, reason, wall_us);
    else
        migration_move(migration, MIGRATION_RAMPING, reason, wall_us);
    return true;
}

static bool hold(struct migration *migration, enum migration_state to, uint64_t wall_us)
{
    uint32_t kept_ppm = migration->kept_ppm;

    if (!may(migration, to) || migration->state == MIGRATION_CUT_OVER)
        return false;
    canary_hold(&migration->canary, true);
    migration_move(migration, to, "by an operator", wall_us);
    migration->kept_ppm = to == MIGRATION_HELD ? kept_ppm : MIGRATION_BY_STEP;
    return true;
}

static bool resume(struct migration *migration, uint64_t wall_us)
{
    if (migration->state != MIGRATION_HELD && migration->state != MIGRATION_PAUSED)
        return false;
    canary_hold(&migration->canary, false);
    migration_move(migration, MIGRATION_RAMPING, "by an operator", wall_us);
    return true;
}

static bool advance(struct migration *migration, const struct migration_rules *rules,
                    uint64_t now_us, uint64_t wall_us)
{
    if (migration->state == MIGRATION_PLANNED)
        return start(migration, rules, "by an operator", now_us, wall_us);
    if (migration->state != MIGRATION_RAMPING && migration->state != MIGRATION_HELD &&
        migration->state != MIGRATION_PAUSED)
        return false;
    canary_hold(&migration->canary, false);
    if (canary_advance(&migration->canary, &rules->canary) == CANARY_PROMOTE) {
        cut_over(migration, "by an operator", wall_us);
        return true;
    }
    if (migration->state != MIGRATION_RAMPING)
        migration_move(migration, MIGRATION_RAMPING, "by an operator", wall_us);
    migration_touch(migration);
    return true;
}

static bool revert(struct migration *migration, const char *reason, uint64_t wall_us)
{
    if (!may(migration, MIGRATION_REVERTED))
        return false;
    migration_move(migration, MIGRATION_REVERTED, reason, wall_us);
    return true;
}

static bool obey(struct migration *migration, const struct migration_rules *rules,
                 enum migration_order order, uint64_t now_us, uint64_t wall_us)
{
    switch (order) {
    case MIGRATION_START:
        return start(migration, rules, "by an operator", now_us, wall_us);
    case MIGRATION_PAUSE:
        return hold(migration, MIGRATION_PAUSED, wall_us);
    case MIGRATION_HOLD:
        return hold(migration, MIGRATION_HELD, wall_us);
    case MIGRATION_RESUME:
        return resume(migration, wall_us);
    case MIGRATION_ADVANCE:
        return advance(migration, rules, now_us, wall_us);
    case MIGRATION_REVERT:
        return revert(migration, "by an operator", wall_us);
    case MIGRATION_ORDERS:
        break;
    }
    return false;
}

bool migration_order(struct migration *migration, const struct migration_rules *rules,
                     enum migration_order order, uint64_t now_us, uint64_t wall_us)
{
    bool is_done = obey(migration, rules, order, now_us, wall_us);

    settle(migration, rules);
    return is_done;
}

/* What stays with the new side never grows by it. */
static bool keep(struct migration *migration, const struct migration_rules *rules,
                 uint32_t share_ppm, uint64_t wall_us)
{
    uint32_t now_ppm = migration_share_ppm(migration, rules);

    if (migration->state != MIGRATION_RAMPING && migration->state != MIGRATION_HELD &&
        migration->state != MIGRATION_CUT_OVER)
        return false;
    share_ppm = share_ppm < now_ppm ? share_ppm : now_ppm;
    canary_step_back(&migration->canary, &rules->canary, share_ppm);
    canary_hold(&migration->canary, true);
    if (migration->state != MIGRATION_HELD)
        migration_move(migration, MIGRATION_HELD, "by an operator: traffic was sent back", wall_us);
    migration->kept_ppm = share_ppm;
    migration_touch(migration);
    return true;
}

bool migration_send_back(struct migration *migration, const struct migration_rules *rules,
                         uint32_t back_ppm, uint64_t wall_us)
{
    bool is_done = back_ppm >= CROSSING_WHOLE_PPM
                       ? revert(migration, "by an operator", wall_us)
                       : keep(migration, rules, CROSSING_WHOLE_PPM - back_ppm, wall_us);

    settle(migration, rules);
    return is_done;
}

/* ---- time and evidence ---- */

static void lose(struct migration *migration, const struct migration_rules *rules, uint64_t wall_us)
{
    char reason[CANARY_EXPLAIN_BYTES];

    canary_explain(&migration->canary, &rules->canary, reason);
    migration_move(migration, MIGRATION_REVERTED, reason, wall_us);
}

static bool judge(struct migration *migration, const struct migration_rules *rules,
                  const struct evidence_tick *tick, uint64_t now_us, uint64_t wall_us)
{
    switch (canary_tick(&migration->canary, &rules->canary, tick, now_us)) {
    case CANARY_GOES_ON:
        return false;
    case CANARY_GROWS:
        migration_touch(migration);
        return true;
    case CANARY_PROMOTE:
        cut_over(migration, NULL, wall_us);
        return true;
    case CANARY_ROLL_BACK:
        lose(migration, rules, wall_us);
        return true;
    }
    return false;
}

/* It may still lose while there is a way back; of time only what was watched counts. */
static bool watch(struct migration *migration, const struct migration_rules *rules,
                  const struct evidence_tick *tick, uint64_t now_us, uint64_t wall_us)
{
    uint64_t gone_us = now_us > migration->live.last_us ? now_us - migration->live.last_us : 0;

    if (canary_watch(&migration->canary, &rules->canary, tick) == CANARY_ROLL_BACK) {
        lose(migration, rules, wall_us);
        return true;
    }
    migration->window_us += gone_us < RAMP_TICK_MAX_US ? gone_us : RAMP_TICK_MAX_US;
    if (migration->window_us < rules->revert_window_us)
        return false;
    migration_move(migration, MIGRATION_ENDED, NULL, wall_us);
    return true;
}

static bool go_on(struct migration *migration, const struct migration_rules *rules,
                  const struct evidence_tick *tick, uint64_t now_us, uint64_t wall_us)
{
    switch (migration->state) {
    case MIGRATION_PLANNED:
        return rules->starts_by_itself && start(migration, rules, NULL, now_us, wall_us);
    case MIGRATION_RAMPING:
    case MIGRATION_HELD:
    case MIGRATION_PAUSED:
        return judge(migration, rules, tick, now_us, wall_us);
    case MIGRATION_CUT_OVER:
        return watch(migration, rules, tick, now_us, wall_us);
    case MIGRATION_ENDED:
    case MIGRATION_REVERTED:
    case MIGRATION_STATES:
        break;
    }
    return false;
}

bool migration_tick(struct migration *migration, const struct migration_rules *rules,
                    const struct evidence_tick *tick, uint64_t now_us, uint64_t wall_us)
{
    bool has_changed;

    if (!migration->live.last_us)
        migration->live.last_us = now_us;
    has_changed = go_on(migration, rules, tick, now_us, wall_us);
    migration->live.last_us = now_us;
    settle(migration, rules);
    return has_changed;
}

bool migration_is_live(const struct migration *migration, const struct migration_rules *rules)
{
    switch (migration->state) {
    case MIGRATION_PLANNED:
        return rules->starts_by_itself;
    case MIGRATION_RAMPING:
    case MIGRATION_HELD:
    case MIGRATION_PAUSED:
    case MIGRATION_CUT_OVER:
        return true;
    case MIGRATION_ENDED:
    case MIGRATION_REVERTED:
    case MIGRATION_STATES:
        break;
    }
    return false;
}

/* ---- writing it down ---- */

bool migration_wants_record(const struct migration *migration)
{
    return migration->live.is_dirty && !migration->live.is_recording;
}

void migration_begin_record(struct migration *migration)
{
    migration->live.is_dirty = false;
    migration->live.is_recording = true;
}

void migration_end_record(struct migration *migration, const struct migration_rules *rules,
                          bool is_written)
{
    migration->live.is_recording = false;
    migration->live.is_dirty |= !is_written;
    settle(migration, rules);
}

/* ---- what there is ---- */

uint64_t migration_window_left_us(const struct migration *migration,
                                  const struct migration_rules *rules)
{
    if (migration->state != MIGRATION_CUT_OVER || migration->window_us > rules->revert_window_us)
        return 0;
    return rules->revert_window_us - migration->window_us;
}

void migration_explain(const struct migration *migration, const struct migration_rules *rules,
                       char ret_text[CANARY_EXPLAIN_BYTES])
{
    switch (migration->state) {
    case MIGRATION_PLANNED:
        snprintf(ret_text, CANARY_EXPLAIN_BYTES, "waits for the order to start");
        return;
    case MIGRATION_REVERTED:
        snprintf(ret_text, CANARY_EXPLAIN_BYTES, "%.*s", CANARY_EXPLAIN_BYTES - 1,
                 migration->reason);
        return;
    case MIGRATION_RAMPING:
    case MIGRATION_HELD:
    case MIGRATION_PAUSED:
    case MIGRATION_CUT_OVER:
    case MIGRATION_ENDED:
    case MIGRATION_STATES:
        break;
    }
    canary_explain(&migration->canary, &rules->canary, ret_text);
}
