/* A migration as text: one line of numbers by name, and the canary's own behind a semicolon. */
#include "migration/migration.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "canary/state.h"

#define VERSION "migration/1"

enum { PLACE_STATE, PLACE_KEPT, PLACE_RUN, PLACE_WINDOW, PLACE_SINCE, PLACE_STARTED, PLACES };

static const struct {
    struct span name;
    uint64_t most;
} fields[PLACES] = {
    [PLACE_STATE] = {SPAN_INIT("state"), MIGRATION_STATES - 1},
    [PLACE_KEPT] = {SPAN_INIT("kept"), MIGRATION_BY_STEP},
    [PLACE_RUN] = {SPAN_INIT("run"), UINT64_C(1) << 53},
    [PLACE_WINDOW] = {SPAN_INIT("window_us"), UINT64_C(1) << 62},
    [PLACE_SINCE] = {SPAN_INIT("since_us"), UINT64_C(1) << 62},
    [PLACE_STARTED] = {SPAN_INIT("started_us"), UINT64_C(1) << 62},
};

int migration_write(const struct migration *migration, struct buf *buf)
{
    const uint64_t values[PLACES] = {
        [PLACE_STATE] = migration->state,
        [PLACE_KEPT] = migration->kept_ppm,
        [PLACE_RUN] = migration->run,
        [PLACE_WINDOW] = migration->window_us,
        [PLACE_SINCE] = migration->since_wall_us,
        [PLACE_STARTED] = migration->started_wall_us,
    };
    size_t start = buf->len;
    int err = buf_append_span(buf, SPAN(VERSION));

    for (int i = 0; i < PLACES && !err; i++)
        err = buf_printf(buf, " %.*s=%" PRIu64, SPAN_ARG(fields[i].name), values[i]);
    if (!err)
        err = buf_append_byte(buf, ';');
    if (!err)
        err = canary_write(&migration->canary, buf);
    if (err)
        buf->len = start;
    return err;
}

static int read_value(struct span *rest, int place, uint64_t *ret_value)
{
    struct span word, name = fields[place].name;
    int err;

    if (!span_next_token(rest, ' ', &word) || !span_has_prefix(word, name) ||
        word.len <= name.len + 1 || word.ptr[name.len] != '=')
        return ERR_SYNTAX;
    err = span_to_u64(span_skip(word, name.len + 1), ret_value);
    return !err && *ret_value > fields[place].most ? ERR_RANGE : err;
}

static int read_values(struct span text, uint64_t values[PLACES])
{
    struct span word, rest = text;
    int err = 0;

    if (!span_next_token(&rest, ' ', &word))
        return ERR_SYNTAX;
    if (!span_is_equal(word, SPAN(VERSION)))
        return span_has_prefix(word, SPAN("migration/")) ? ERR_UNSUPPORTED : ERR_SYNTAX;
    for (int i = 0; i < PLACES && !err; i++)
        err = read_value(&rest, i, &values[i]);
    if (!err && span_next_token(&rest, ' ', &word))
        err = ERR_SYNTAX;
    return err;
}

/* The canary is where the state says. */
static bool is_sound(const struct migration *migration)
{
    bool is_kept = migration->kept_ppm != MIGRATION_BY_STEP;

    if (is_kept && (migration->state != MIGRATION_HELD || migration->kept_ppm > CROSSING_WHOLE_PPM))
        return false;
    switch (migration->state) {
    case MIGRATION_RAMPING:
    case MIGRATION_HELD:
    case MIGRATION_PAUSED:
        return migration->run > 0 && migration->canary.state == CANARY_RAMPING;
    case MIGRATION_CUT_OVER:
    case MIGRATION_ENDED:
        return migration->run > 0 && migration->canary.state == CANARY_PROMOTED;
    case MIGRATION_PLANNED:
    case MIGRATION_REVERTED:
        return true;
    case MIGRATION_STATES:
        break;
    }
    return false;
}

int migration_read(struct span text, struct span reason, const struct migration_rules *rules,
                   uint64_t now_us, struct migration *ret_migration)
{
    size_t semicolon = span_find_byte(text, ';');
    uint64_t values[PLACES] = {0};
    struct migration migration;
    int err =
        semicolon == SIZE_MAX ? ERR_SYNTAX : read_values(span_of(text.ptr, semicolon), values);

    if (err)
        return err;
    migration_init(&migration, values[PLACE_SINCE]);
    err = canary_read(span_skip(text, semicolon + 1), now_us, &migration.canary);
    if (err)
        return err;
    migration.state = (enum migration_state)values[PLACE_STATE];
    migration.kept_ppm = (uint32_t)values[PLACE_KEPT];
    migration.run = values[PLACE_RUN];
    migration.window_us = values[PLACE_WINDOW];
    migration.started_wall_us = values[PLACE_STARTED];
    snprintf(migration.reason, sizeof(migration.reason), "%.*s", SPAN_ARG(reason));
    if (!is_sound(&migration))
        return ERR_RANGE;
    migration_begin_record(&migration);
    migration_end_record(&migration, rules, true);
    *ret_migration = migration;
    return 0;
}
