/* The driver of a migration, with a store on the disk and a crossing of one worker: what it writes
 * down before it acts, and what the next process goes on from. */
#include "../store/stage.h"

#include "base/alloc.h"
#include "rotation/migrator.h"
#include "store/migrations.h"

struct drive {
    struct stage stage;
    struct crossing_book *book;
    struct crossing *crossing;
    struct conf_provider legacy, fresh;
    struct conf_migration migration;
    struct conf_model model;
    struct migrator *migrator;
    struct migrator_compared compared;
    bool is_compared;
    unsigned news;
};

static bool compared(void *owner, struct span model, struct migrator_compared *ret_compared)
{
    const struct drive *drive = owner;

    assert_true(span_is_equal(model, SPAN("chat")));
    *ret_compared = drive->compared;
    return drive->is_compared;
}

static void on_news(void *owner, const struct migrator *migrator)
{
    (void)migrator;
    ((struct drive *)owner)->news++;
}

/* A process begins. */
static void begin(struct drive *drive, bool has_store)
{
    struct migrator_options options = {.loop = drive->stage.loop,
                                       .conf = &drive->model,
                                       .compared = compared,
                                       .on_news = on_news,
                                       .owner = drive};

    drive->book = crossing_book_new(1);
    assert_int_equal(crossing_book_get(drive->book, SPAN("chat"), SPAN("legacy/y"), SPAN("fresh/x"),
                                       &drive->crossing),
                     0);
    options.crossing = drive->crossing;
    if (has_store)
        stage_begin(&drive->stage, NULL);
    options.store = drive->stage.store;
    drive->migrator = migrator_new(&options);
    assert_non_null(drive->migrator);
}

static void end(struct drive *drive)
{
    migrator_free(&drive->migrator);
    if (drive->stage.store)
        stage_end(&drive->stage);
    crossing_unref(&drive->crossing);
    crossing_book_free(&drive->book);
}

static void open_drive(struct drive *drive)
{
    *drive = (struct drive){
        .legacy = {.name = SPAN("legacy")},
        .fresh = {.name = SPAN("fresh")},
        .migration = {.start = CONF_MIGRATION_AUTO,
                      .initial_ppm = 100000,
                      .first_hold_us = 2 * US_PER_SEC,
                      .step_ppm = 450000,
                      .every_us = 2 * US_PER_SEC,
                      .max_error_ppm = 10000,
                      .revert_window_us = 3 * US_PER_SEC},
        .model = {.name = SPAN("chat")},
    };
    drive->migration.from = (struct conf_target){.provider = &drive->legacy, .model = SPAN("y")};
    drive->migration.to = (struct conf_target){.provider = &drive->fresh, .model = SPAN("x")};
    drive->model.migration = &drive->migration;
    stage_open(&drive->stage);
}

static void close_drive(struct drive *drive)
{
    end(drive);
    stage_close(&drive->stage);
}

/* A process ends without a word, and the next begins. */
static void restart(struct drive *drive)
{
    end(drive);
    begin(drive, true);
}

static void play(struct drive *drive, uint64_t us)
{
    uint64_t end_us = loop_now_us(drive->stage.loop) + us;

    while (loop_now_us(drive->stage.loop) < end_us) {
        /* The writer's thread lives in the world's time, for which the virtual clock waits. */
        while (drive->stage.store && !store_is_idle(drive->stage.store)) {
            usleep(100);
            assert_int_equal(loop_turn(drive->stage.loop, 0), 0);
        }
        assert_int_equal(loop_turn(drive->stage.loop, 10 * US_PER_MS), 0);
    }
}

static enum migration_state state_of(const struct drive *drive)
{
    return migrator_migration(drive->migrator)->state;
}

static uint32_t share(const struct drive *drive)
{
    return crossing_stand(drive->crossing).share_ppm;
}

/* Plays until the crossing has that share. */
static void await_share(struct drive *drive, uint32_t share_ppm)
{
    for (int i = 0; i < 3000 && share(drive) != share_ppm; i++)
        play(drive, 10 * US_PER_MS);
    assert_int_equal(share(drive), share_ppm);
}

static void await_state(struct drive *drive, enum migration_state state)
{
    for (int i = 0; i < 3000 && state_of(drive) != state; i++)
        play(drive, 10 * US_PER_MS);
    assert_int_equal(state_of(drive), state);
}

static void the_whole_way(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, true);
    assert_true(crossing_stand(drive.crossing).has_old);
    assert_int_equal(share(&drive), 0);
    assert_false(migrator_is_loaded(drive.migrator));
    assert_false(migrator_order(drive.migrator, MIGRATION_REVERT));
    await_share(&drive, 100000);
    await_share(&drive, 550000);
    await_share(&drive, 1000000);
    await_state(&drive, MIGRATION_CUT_OVER);
    await_state(&drive, MIGRATION_ENDED);
    play(&drive, US_PER_SEC);
    assert_false(crossing_stand(drive.crossing).has_old);
    assert_in_range(drive.news, 5, 6);
    restart(&drive);
    play(&drive, US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_ENDED);
    assert_false(crossing_stand(drive.crossing).has_old);
    close_drive(&drive);
}

static void a_restart_goes_on_where_it_was(void **state)
{
    struct drive drive;
    uint64_t since;

    open_drive(&drive);
    begin(&drive, true);
    await_share(&drive, 550000);
    crossing_note_good(drive.crossing, 0, CROSSING_NEW, 70000);
    play(&drive, 500 * US_PER_MS);
    since = migrator_migration(drive.migrator)->since_wall_us;
    restart(&drive);
    assert_int_equal(share(&drive), 0);
    await_share(&drive, 550000);
    assert_int_equal(migrator_migration(drive.migrator)->run, 1);
    assert_int_equal(migrator_migration(drive.migrator)->since_wall_us, since);
    assert_int_equal(migrator_sides(drive.migrator)[CROSSING_NEW].requests, 1);
    assert_true(migrator_order(drive.migrator, MIGRATION_PAUSE));
    assert_false(crossing_stand(drive.crossing).has_new);
    play(&drive, 200 * US_PER_MS);
    restart(&drive);
    play(&drive, 20 * US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_PAUSED);
    assert_false(crossing_stand(drive.crossing).has_new);
    close_drive(&drive);
}

static void one_that_lost_stays_lost(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, true);
    await_share(&drive, 100000);
    for (int i = 0; i < 40; i++) {
        crossing_note_failed(drive.crossing, 0, CROSSING_NEW, false, false);
        crossing_note_good(drive.crossing, 0, CROSSING_OLD, 50000);
    }
    await_state(&drive, MIGRATION_REVERTED);
    assert_false(crossing_stand(drive.crossing).has_new);
    play(&drive, US_PER_SEC);
    restart(&drive);
    play(&drive, 10 * US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_REVERTED);
    assert_non_null(strstr(migrator_migration(drive.migrator)->reason, "40 of 40"));
    assert_true(migrator_order(drive.migrator, MIGRATION_START));
    await_share(&drive, 100000);
    assert_int_equal(migrator_migration(drive.migrator)->run, 2);
    close_drive(&drive);
}

/* Nothing goes on while the disk does not take it; the way back does not ask the disk. */
static void a_disk_that_takes_nothing(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, true);
    await_share(&drive, 100000);
    play(&drive, 100 * US_PER_MS);
    end(&drive);
    stage_execute(drive.stage.path, "CREATE TRIGGER full BEFORE INSERT ON migrations BEGIN "
                                    "SELECT RAISE(ABORT, 'no'); END");
    begin(&drive, true);
    await_share(&drive, 100000);
    play(&drive, 10 * US_PER_SEC);
    assert_int_equal(share(&drive), 100000);
    assert_true(migrator_order(drive.migrator, MIGRATION_REVERT));
    assert_false(crossing_stand(drive.crossing).has_new);
    close_drive(&drive);
}

static void other_sides_are_another_migration(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, true);
    await_share(&drive, 550000);
    play(&drive, 500 * US_PER_MS);
    drive.migration.to.model = SPAN("z");
    restart(&drive);
    await_share(&drive, 100000);
    assert_int_equal(migrator_migration(drive.migrator)->run, 2);
    close_drive(&drive);
}

/* What nobody can read begins by an order alone. */
static void a_state_that_cannot_be_read(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, true);
    await_share(&drive, 550000);
    play(&drive, 500 * US_PER_MS);
    end(&drive);
    stage_execute(drive.stage.path, "UPDATE migrations SET note = 'migration/7 later=1'");
    begin(&drive, true);
    play(&drive, 10 * US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_PLANNED);
    assert_int_equal(share(&drive), 0);
    migrator_set_conf(drive.migrator, &drive.model);
    play(&drive, 10 * US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_PLANNED);
    assert_true(migrator_order(drive.migrator, MIGRATION_START));
    await_share(&drive, 100000);
    close_drive(&drive);
}

static void without_a_store(void **state)
{
    struct drive drive;

    open_drive(&drive);
    begin(&drive, false);
    assert_true(migrator_is_loaded(drive.migrator));
    await_share(&drive, 100000);
    await_state(&drive, MIGRATION_ENDED);
    close_drive(&drive);
}

static void a_shadow_that_compares(void **state)
{
    struct drive drive;

    open_drive(&drive);
    drive.migration.max_divergence_ppm = 20000;
    begin(&drive, true);
    await_share(&drive, 100000);
    play(&drive, 10 * US_PER_SEC);
    assert_int_equal(share(&drive), 100000);
    drive.is_compared = true;
    drive.compared = (struct migrator_compared){200, 1};
    await_share(&drive, 550000);
    /* It has begun anew. */
    drive.compared = (struct migrator_compared){100, 60};
    await_state(&drive, MIGRATION_REVERTED);
    close_drive(&drive);
}

/* What was compared and counted before the start, or by the process before, proves nothing. */
static void what_came_before(void **state)
{
    struct drive drive;

    open_drive(&drive);
    drive.migration.start = CONF_MIGRATION_MANUAL;
    drive.migration.max_divergence_ppm = 20000;
    drive.is_compared = true;
    drive.compared = (struct migrator_compared){500, 400};
    begin(&drive, true);
    play(&drive, US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_PLANNED);
    drive.compared = (struct migrator_compared){1000, 900};
    for (int i = 0; i < 40; i++) {
        crossing_note_failed(drive.crossing, 0, CROSSING_NEW, false, false);
        crossing_note_good(drive.crossing, 0, CROSSING_OLD, 50000);
    }
    assert_true(migrator_order(drive.migrator, MIGRATION_START));
    await_share(&drive, 100000);
    play(&drive, US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_RAMPING);
    assert_int_equal(migrator_migration(drive.migrator)->canary.evidence.canary.requests, 0);
    assert_int_equal(migrator_sides(drive.migrator)[CROSSING_NEW].failures, 40);
    restart(&drive);
    play(&drive, US_PER_SEC);
    assert_int_equal(state_of(&drive), MIGRATION_RAMPING);
    /* What comes after it does. */
    drive.compared = (struct migrator_compared){1100, 1000};
    await_state(&drive, MIGRATION_REVERTED);
    close_drive(&drive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_whole_way),
        cmocka_unit_test(a_restart_goes_on_where_it_was),
        cmocka_unit_test(one_that_lost_stays_lost),
        cmocka_unit_test(a_disk_that_takes_nothing),
        cmocka_unit_test(other_sides_are_another_migration),
        cmocka_unit_test(a_state_that_cannot_be_read),
        cmocka_unit_test(without_a_store),
        cmocka_unit_test(a_shadow_that_compares),
        cmocka_unit_test(what_came_before),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
