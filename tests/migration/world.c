#include "world.h"

#include "base/buf.h"

enum { STEP_US = 100 * (int)US_PER_MS };

static struct migration_rules rules(void)
{
    return (struct migration_rules){
        .canary = {.ramp = ramp_in_strides(100000, 300000, 60 * US_PER_SEC, 60 * US_PER_SEC),
                   .evidence = {.max_error_ppm = 10000,
                                .max_latency_milli = EVIDENCE_NO_LIMIT,
                                .max_added_latency_ms = EVIDENCE_NO_LIMIT,
                                .max_divergence_ppm = 20000,
                                .has_control = true},
                   .min_requests = 100,
                   .others = "old side"},
        .revert_window_us = 120 * US_PER_SEC,
        .starts_by_itself = true,
    };
}

static unsigned roll(struct world *world, unsigned sides)
{
    return (unsigned)rand_below(&world->rand, sides);
}

/* ---- what must always hold ---- */

static struct crossing_stand stand_of(struct world *world, const char *text)
{
    struct migration read;

    if (!text[0])
        return (struct crossing_stand){0, true, false};
    assert_int_equal(
        migration_read(span_from_text(text), SPAN(""), &world->rules, world->now_us, &read), 0);
    return migration_stand(&read);
}

static bool is_same(struct crossing_stand a, struct crossing_stand b)
{
    return a.share_ppm == b.share_ppm && a.has_old == b.has_old && a.has_new == b.has_new;
}

static void check(struct world *world)
{
    struct crossing_stand now = migration_stand(&world->migration);
    struct crossing_stand disk = world->disk;

    assert_true(now.has_old || now.has_new);
    assert_true(now.has_new || now.share_ppm == 0);
    /* Either what the disk says, or further back. */
    if (!is_same(now, disk)) {
        assert_true(now.has_old);
        assert_true(now.share_ppm <= disk.share_ppm);
        assert_true(disk.has_new || !now.has_new);
    }
    /* The old side is let go by what was written down alone, and for good. */
    if (!now.has_old)
        assert_false(disk.has_old);
    if (world->was_ended)
        assert_int_equal(world->migration.state, MIGRATION_ENDED);
    world->was_ended = !disk.has_old;
    world->last = now;
}

/* ---- the disk ---- */

static void write_down(struct world *world)
{
    struct buf text;

    if (!migration_wants_record(&world->migration))
        return;
    buf_init(&text, MIGRATION_TEXT_BYTES - 1);
    assert_int_equal(migration_write(&world->migration, &text), 0);
    assert_int_equal(buf_append_byte(&text, '\0'), 0);
    memcpy(world->writing, text.data, text.len);
    buf_fini(&text);
    snprintf(world->writing_reason, sizeof(world->writing_reason), "%s", world->migration.reason);
    migration_begin_record(&world->migration);
    world->written_at_us = world->now_us + roll(world, 20) * STEP_US;
}

static void end_write(struct world *world)
{
    bool is_written = roll(world, 100) >= world->refusals;

    if (!world->migration.live.is_recording || world->now_us < world->written_at_us)
        return;
    if (is_written) {
        memcpy(world->recorded, world->writing, sizeof(world->recorded));
        memcpy(world->recorded_reason, world->writing_reason, sizeof(world->recorded_reason));
        world->disk = stand_of(world, world->recorded);
    }
    migration_end_record(&world->migration, &world->rules, is_written);
}

void world_crash(struct world *world)
{
    bool is_there = world->recorded[0] != '\0';

    /* What was on its way may have come to the disk, or not. */
    if (world->migration.live.is_recording && roll(world, 2)) {
        memcpy(world->recorded, world->writing, sizeof(world->recorded));
        memcpy(world->recorded_reason, world->writing_reason, sizeof(world->recorded_reason));
        world->disk = stand_of(world, world->recorded);
        is_there = true;
    }
    migration_init(&world->migration, world->wall_us);
    if (is_there)
        assert_int_equal(migration_read(span_from_text(world->recorded),
                                        span_from_text(world->recorded_reason), &world->rules,
                                        world->now_us, &world->migration),
                         0);
    world->deaths++;
    check(world);
}

/* ---- traffic and orders ---- */

static void add_traffic(struct world *world, struct evidence_tick *tick)
{
    unsigned requests = world->per_second / 10 + (roll(world, 10) < world->per_second % 10);

    for (unsigned i = 0; i < requests; i++) {
        bool is_new = roll(world, 1000000) < world->last.share_ppm;
        struct evidence_arm *arm = is_new ? &tick->canary : &tick->control;

        arm->requests++;
        arm->failures += roll(world, 10000) < world->fails[is_new ? CROSSING_NEW : CROSSING_OLD];
    }
}

static void give_order(struct world *world)
{
    enum migration_order order = (enum migration_order)roll(world, MIGRATION_ORDERS);
    uint32_t back_ppm = 1 + roll(world, 1000000);
    struct crossing_stand before = migration_stand(&world->migration);
    struct crossing_stand now;

    if (roll(world, 4) == 0) {
        if (!migration_send_back(&world->migration, &world->rules, back_ppm, world->wall_us))
            return;
        now = migration_stand(&world->migration);
        assert_true(now.has_old && now.share_ppm <= 1000000 - back_ppm);
        return;
    }
    if (!migration_order(&world->migration, &world->rules, order, world->now_us, world->wall_us))
        return;
    world->done[order]++;
    now = migration_stand(&world->migration);
    if (order == MIGRATION_PAUSE || order == MIGRATION_REVERT)
        assert_true(now.has_old && !now.has_new);
    else /* nothing goes on before it is on the disk */
        assert_true(is_same(now, before) || (now.has_old && now.share_ppm <= before.share_ppm));
}

void world_step(struct world *world)
{
    struct evidence_tick tick = {.compared = 0};

    world->now_us += STEP_US;
    world->wall_us += STEP_US;
    world->steps++;
    add_traffic(world, &tick);
    end_write(world);
    check(world);
    migration_tick(&world->migration, &world->rules, &tick, world->now_us, world->wall_us);
    check(world);
    if (roll(world, 100) < world->orders)
        give_order(world);
    check(world);
    if (world->steps % 50 == 0)
        migration_touch(&world->migration); /* its evidence is written down too */
    write_down(world);
    if (roll(world, 1000) < world->crashes)
        world_crash(world);
}

void world_play(struct world *world, unsigned seconds)
{
    for (unsigned i = 0; i < seconds * 10; i++) {
        world_step(world);
        if (world->migration.state >= MIGRATION_ENDED && !world->migration.live.is_dirty &&
            !world->migration.live.is_recording)
            return;
    }
}

void world_begin(struct world *world, uint64_t seed)
{
    *world = (struct world){.rules = rules(),
                            .now_us = 1000 * US_PER_SEC,
                            .wall_us = 1700000000 * US_PER_SEC,
                            .per_second = 50,
                            .disk = {0, true, false}};
    rand_init(&world->rand, seed);
    migration_init(&world->migration, world->wall_us);
}
