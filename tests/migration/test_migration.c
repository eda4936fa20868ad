/* The machine: each order in each state, the ramp, the window of the way back, and its text. */
#include "world.h"

#include "base/err.h"

/* All that is to be written is on the disk. */
static void record(struct world *world)
{
    while (migration_wants_record(&world->migration)) {
        migration_begin_record(&world->migration);
        migration_end_record(&world->migration, &world->rules, true);
    }
}

static bool give(struct world *world, enum migration_order order)
{
    bool is_done =
        migration_order(&world->migration, &world->rules, order, world->now_us, world->wall_us);

    record(world);
    return is_done;
}

static void pass(struct world *world, uint64_t seconds)
{
    for (uint64_t i = 0; i < seconds; i++) {
        world->now_us += US_PER_SEC;
        world->wall_us += US_PER_SEC;
        migration_tick(&world->migration, &world->rules, NULL, world->now_us, world->wall_us);
        record(world);
    }
}

static uint32_t share(const struct world *world)
{
    return migration_stand(&world->migration).share_ppm;
}

static void begin(struct world *world)
{
    world_begin(world, 1);
    world->rules.starts_by_itself = false;
    world->rules.canary.min_requests = 0;
    record(world);
}

/* One that is led to that state. */
static void lead(struct world *world, enum migration_state to)
{
    begin(world);
    if (to == MIGRATION_PLANNED)
        return;
    assert_true(give(world, MIGRATION_START));
    if (to == MIGRATION_HELD)
        give(world, MIGRATION_HOLD);
    else if (to == MIGRATION_PAUSED)
        give(world, MIGRATION_PAUSE);
    else if (to == MIGRATION_REVERTED)
        give(world, MIGRATION_REVERT);
    else if (to >= MIGRATION_CUT_OVER)
        for (int i = 0; i < 4; i++)
            assert_true(give(world, MIGRATION_ADVANCE));
    if (to == MIGRATION_ENDED)
        pass(world, 130);
    assert_int_equal(world->migration.state, to);
}

/* What follows from an order in a state; X: it is refused. */
static void test_orders(void **state)
{
    const enum migration_state X = MIGRATION_STATES;
    const enum migration_state after[MIGRATION_STATES][MIGRATION_ORDERS] = {
        /* start, pause, hold, resume, advance, revert */
        [MIGRATION_PLANNED] = {MIGRATION_RAMPING, X, X, X, MIGRATION_RAMPING, MIGRATION_REVERTED},
        [MIGRATION_RAMPING] = {X, MIGRATION_PAUSED, MIGRATION_HELD, X, MIGRATION_RAMPING,
                               MIGRATION_REVERTED},
        [MIGRATION_HELD] = {X, MIGRATION_PAUSED, X, MIGRATION_RAMPING, MIGRATION_RAMPING,
                            MIGRATION_REVERTED},
        [MIGRATION_PAUSED] = {X, X, X, MIGRATION_RAMPING, MIGRATION_RAMPING, MIGRATION_REVERTED},
        [MIGRATION_CUT_OVER] = {X, X, X, X, X, MIGRATION_REVERTED},
        [MIGRATION_ENDED] = {X, X, X, X, X, X},
        [MIGRATION_REVERTED] = {MIGRATION_RAMPING, X, X, X, X, X},
    };

    (void)state;
    for (int from = 0; from < MIGRATION_STATES; from++) {
        for (int order = 0; order < MIGRATION_ORDERS; order++) {
            enum migration_state to = after[from][order];
            struct world world;

            lead(&world, (enum migration_state)from);
            assert_int_equal(give(&world, (enum migration_order)order), to != X);
            assert_int_equal(world.migration.state, to == X ? (enum migration_state)from : to);
        }
    }
}

static void test_the_ramp(void **state)
{
    struct world world;

    (void)state;
    lead(&world, MIGRATION_RAMPING);
    assert_int_equal(share(&world), 100000);
    pass(&world, 59);
    assert_int_equal(share(&world), 100000);
    pass(&world, 2);
    assert_int_equal(share(&world), 400000);
    pass(&world, 60);
    assert_int_equal(share(&world), 700000);
    pass(&world, 60);
    assert_int_equal(share(&world), 1000000);
    assert_int_equal(world.migration.state, MIGRATION_RAMPING);
    pass(&world, 60);
    assert_int_equal(world.migration.state, MIGRATION_CUT_OVER);
    assert_true(migration_stand(&world.migration).has_old);
    assert_in_range(migration_window_left_us(&world.migration, &world.rules), 118 * US_PER_SEC,
                    120 * US_PER_SEC);
    pass(&world, 121);
    assert_int_equal(world.migration.state, MIGRATION_ENDED);
    assert_false(migration_stand(&world.migration).has_old);
}

/* While it is held or paused no time counts. */
static void test_hold_and_pause(void **state)
{
    struct world world;

    (void)state;
    lead(&world, MIGRATION_RAMPING);
    pass(&world, 30);
    give(&world, MIGRATION_HOLD);
    pass(&world, 1000);
    assert_int_equal(share(&world), 100000);
    give(&world, MIGRATION_PAUSE);
    assert_int_equal(share(&world), 0);
    assert_false(migration_stand(&world.migration).has_new);
    pass(&world, 1000);
    give(&world, MIGRATION_RESUME);
    assert_int_equal(share(&world), 100000);
    pass(&world, 28);
    assert_int_equal(share(&world), 100000);
    pass(&world, 4);
    assert_int_equal(share(&world), 400000);
}

/* A part of the traffic goes back, and the ramp goes on from there when it is told to. */
static void test_a_part_of_the_way_back(void **state)
{
    struct world world;

    (void)state;
    lead(&world, MIGRATION_CUT_OVER);
    assert_int_equal(share(&world), 1000000);
    assert_true(migration_send_back(&world.migration, &world.rules, 450000, world.wall_us));
    assert_int_equal(share(&world), 550000); /* before it is on the disk */
    assert_int_equal(world.migration.state, MIGRATION_HELD);
    record(&world);
    /* Less than went back already changes nothing. */
    assert_true(migration_send_back(&world.migration, &world.rules, 100000, world.wall_us));
    assert_int_equal(share(&world), 550000);
    record(&world);
    give(&world, MIGRATION_RESUME);
    assert_int_equal(share(&world), 400000);
    give(&world, MIGRATION_ADVANCE);
    assert_int_equal(share(&world), 700000);
    assert_true(migration_send_back(&world.migration, &world.rules, 1000000, world.wall_us));
    assert_int_equal(world.migration.state, MIGRATION_REVERTED);
    assert_false(migration_send_back(&world.migration, &world.rules, 1000000, world.wall_us));
}

/* Nothing goes forward before it is written down; what leads back does not wait. */
static void test_written_before_it_is_done(void **state)
{
    struct world world;

    (void)state;
    begin(&world);
    migration_order(&world.migration, &world.rules, MIGRATION_START, world.now_us, world.wall_us);
    assert_false(migration_stand(&world.migration).has_new);
    migration_begin_record(&world.migration);
    assert_false(migration_stand(&world.migration).has_new);
    migration_end_record(&world.migration, &world.rules, false);
    assert_false(migration_stand(&world.migration).has_new);
    record(&world);
    assert_int_equal(share(&world), 100000);
    migration_order(&world.migration, &world.rules, MIGRATION_ADVANCE, world.now_us, world.wall_us);
    migration_begin_record(&world.migration);
    migration_order(&world.migration, &world.rules, MIGRATION_REVERT, world.now_us, world.wall_us);
    assert_false(migration_stand(&world.migration).has_new);
    /* The older write comes to its end: what it said is not done any more. */
    migration_end_record(&world.migration, &world.rules, true);
    assert_false(migration_stand(&world.migration).has_new);
}

static void test_comparisons(void **state)
{
    struct evidence_tick tick = {.compared = 50, .differing = 0};
    char why[CANARY_EXPLAIN_BYTES];
    struct world world;

    (void)state;
    lead(&world, MIGRATION_RAMPING);
    world.rules.canary.evidence.needs_comparisons = true;
    pass(&world, 100);
    assert_int_equal(share(&world), 100000);
    migration_explain(&world.migration, &world.rules, why);
    assert_non_null(strstr(why, "waits: divergence is not measured"));
    migration_tick(&world.migration, &world.rules, &tick, world.now_us, world.wall_us);
    record(&world);
    assert_int_equal(share(&world), 400000);
    tick = (struct evidence_tick){.compared = 50, .differing = 40};
    migration_tick(&world.migration, &world.rules, &tick, world.now_us, world.wall_us);
    assert_int_equal(world.migration.state, MIGRATION_REVERTED);
    assert_non_null(strstr(world.migration.reason, "compared answers differ"));
}

static void write_text(const struct migration *migration, struct buf *text)
{
    buf_init(text, MIGRATION_TEXT_BYTES);
    assert_int_equal(migration_write(migration, text), 0);
}

static void test_text_and_back(void **state)
{
    (void)state;
    for (int at = 0; at < MIGRATION_STATES; at++) {
        struct migration read;
        struct world world;
        struct buf text, again;

        lead(&world, (enum migration_state)at);
        write_text(&world.migration, &text);
        assert_int_equal(
            migration_read(buf_span(&text), SPAN("because"), &world.rules, world.now_us, &read), 0);
        assert_int_equal(read.state, at);
        assert_string_equal(read.reason, "because");
        assert_int_equal(migration_stand(&read).share_ppm, share(&world));
        assert_int_equal(migration_stand(&read).has_old, migration_stand(&world.migration).has_old);
        write_text(&read, &again);
        assert_true(span_is_equal(buf_span(&text), buf_span(&again)));
        for (size_t cut = 0; cut < text.len; cut++)
            assert_true(migration_read(span_of(text.data, cut), SPAN(""), &world.rules,
                                       world.now_us, &read) != 0 ||
                        cut + 1 == text.len || text.data[cut] != ' ');
        buf_fini(&text);
        buf_fini(&again);
    }
}

static void test_what_is_no_migration(void **state)
{
    static const struct {
        const char *from, *to;
        int err;
    } rows[] = {
        {"migration/1", "migration/2", ERR_UNSUPPORTED},
        {"migration/1", "immigration", ERR_SYNTAX},
        {"state=1", "state=7", ERR_RANGE},
        {"state=1", "state=4", ERR_RANGE}, /* cut over, and the canary is not promoted */
        {"run=1", "run=0", ERR_RANGE},
        {"kept=4294967295", "kept=5", ERR_RANGE}, /* only what is held keeps a share */
        {" run=1", "", ERR_SYNTAX},
        {";canary/1", ";canary/9", ERR_UNSUPPORTED},
        {";", " ", ERR_SYNTAX},
    };
    struct migration read;
    struct world world;
    struct buf text;

    (void)state;
    lead(&world, MIGRATION_RAMPING);
    write_text(&world.migration, &text);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t at = span_find(buf_span(&text), span_from_text(rows[i].from));
        char changed[MIGRATION_TEXT_BYTES];

        assert_true(at != SIZE_MAX);
        snprintf(changed, sizeof(changed), "%.*s%s%.*s", (int)at, text.data, rows[i].to,
                 (int)(text.len - at - strlen(rows[i].from)),
                 text.data + at + strlen(rows[i].from));
        assert_int_equal(
            migration_read(span_from_text(changed), SPAN(""), &world.rules, world.now_us, &read),
            rows[i].err);
    }
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_orders),
        cmocka_unit_test(test_the_ramp),
        cmocka_unit_test(test_hold_and_pause),
        cmocka_unit_test(test_a_part_of_the_way_back),
        cmocka_unit_test(test_written_before_it_is_done),
        cmocka_unit_test(test_comparisons),
        cmocka_unit_test(test_text_and_back),
        cmocka_unit_test(test_what_is_no_migration),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
