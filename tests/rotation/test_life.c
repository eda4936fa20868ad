/* The life of keys: the good one step by step, each way back, and what an issuer or a store that
 * fails leads to. Thousands of lives stand in test_life_histories.c. */
#include "life_world.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

static struct life_key *key_of(struct world *world, const char *name)
{
    struct life_key *key = life_find(&world->life, span_from_text(name));

    if (!key)
        fail_msg("there is no %s", name);
    return key;
}

static void expect_step(struct world *world, const char *name, enum life_step step)
{
    assert_string_equal(life_step_text(key_of(world, name)->step), life_step_text(step));
}

/* An order, and its successor has come to the canary. */
static void come_to_canary(struct world *world)
{
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    world_settle(world);
    assert_non_null(life_canary(&world->life));
}

static void promote(struct world *world)
{
    life_promote(&world->life, world->now_us, world->wall_us);
}

static void test_good_life(void **state)
{
    struct world *world = world_begin(1);
    uint64_t overlap_us = world->rules.overlap_us;

    (void)state;
    come_to_canary(world);
    expect_step(world, "key-1", LIFE_CANARY);
    expect_step(world, "file", LIFE_ACTIVE);
    assert_int_equal(world_serving(world), 1);
    promote(world);
    world_settle(world);
    expect_step(world, "key-1", LIFE_ACTIVE);
    /* What the file names can't be revoked by us. */
    expect_step(world, "file", LIFE_RETIRED);
    assert_int_equal(world_order(world, LIFE_BY_AGE), LIFE_BEGUN);
    world_settle(world);
    promote(world);
    for (int i = 0; i < 200 && key_of(world, "key-1")->step != LIFE_RETIRED; i++)
        world_step(world);
    expect_step(world, "key-1", LIFE_RETIRED);
    assert_true(world->keys[0].is_alive);
    assert_true(key_of(world, "key-1")->until_wall_us == world->wall_us + overlap_us);
    world_settle(world);
    expect_step(world, "key-1", LIFE_REVOKED);
    assert_true(world->wall_us >= key_of(world, "key-1")->since_wall_us);
    assert_false(world->keys[0].is_alive);
    assert_true(world->keys[1].is_alive);
    assert_string_equal(key_of(world, "key-2")->replaces, "key-1");
    world_check_end(world);
    world_end(&world);
}

/* The steps in their order, each written down before the next is done. */
static void test_steps_are_written_down(void **state)
{
    static const char *const steps[] = {"issuing", "issuing",    "issued",
                                        "stored",  "validating", "canary"};
    struct world *world = world_begin(2);
    size_t at = 0;
    char last[32] = "";

    (void)state;
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    while (at < sizeof(steps) / sizeof(steps[0]) && world_step(world)) {
        struct life written;

        if (!world->recorded[0] || world->life.live.is_dirty)
            continue;
        assert_int_equal(life_read(span_from_text(world->recorded), &written), 0);
        if (!life_successor(&written) ||
            !strcmp(last, life_step_text(life_successor(&written)->step)))
            continue;
        snprintf(last, sizeof(last), "%s", life_step_text(life_successor(&written)->step));
        at += !strcmp(last, steps[at]) ? 1u : 2u;
        assert_string_equal(last, steps[at - 1]);
    }
    world_end(&world);
}

static void test_lost_canary(void **state)
{
    struct world *world = world_begin(3);

    (void)state;
    come_to_canary(world);
    life_lose(&world->life, "9 of 38 requests failed", world->now_us, world->wall_us);
    world_step(world);
    /* Its traffic has ended before anything was written down. */
    assert_int_equal(world->pool[1].standing, LIFE_STANDS_OFF);
    world_settle(world);
    expect_step(world, "key-1", LIFE_ROLLED_BACK);
    expect_step(world, "file", LIFE_ACTIVE);
    assert_string_equal(key_of(world, "key-1")->reason, "9 of 38 requests failed");
    assert_true(world->life.ended_wall_us > 0);
    world_check_end(world);
    world_end(&world);
}

/* The way back is open until the old key may be gone. */
static void test_way_back(void **state)
{
    struct world *world = world_begin(4);

    (void)state;
    for (int i = 0; i < 2; i++) {
        come_to_canary(world);
        promote(world);
        if (i == 0)
            world_settle(world);
    }
    for (int i = 0; i < 200 && key_of(world, "key-1")->step != LIFE_RETIRED; i++)
        world_step(world);
    assert_true(life_roll_back(&world->life, key_of(world, "key-2"), "by hand", world->now_us,
                               world->wall_us));
    world_settle(world);
    expect_step(world, "key-1", LIFE_ACTIVE);
    expect_step(world, "key-2", LIFE_ROLLED_BACK);
    world_check_end(world);
    assert_false(life_roll_back(&world->life, key_of(world, "key-2"), "again", world->now_us,
                                world->wall_us));
    /* Its own predecessor, of the file, is still there. */
    assert_true(life_roll_back(&world->life, key_of(world, "key-1"), "by hand", world->now_us,
                               world->wall_us));
    world_settle(world);
    expect_step(world, "file", LIFE_ACTIVE);
    world_check_end(world);
    world_end(&world);
}

static void test_no_way_back(void **state)
{
    struct world *world = world_begin(5);

    (void)state;
    for (int i = 0; i < 2; i++) {
        come_to_canary(world);
        promote(world);
        world_settle(world);
    }
    expect_step(world, "key-1", LIFE_REVOKED);
    assert_false(life_roll_back(&world->life, key_of(world, "key-2"), "late", world->now_us,
                                world->wall_us));
    world_end(&world);
}

/* Off at once and revoked, whatever else goes on; the successor is made all the same. */
static void test_leak(void **state)
{
    struct world *world = world_begin(6);

    (void)state;
    come_to_canary(world);
    promote(world);
    world_settle(world);
    assert_int_equal(world_order(world, LIFE_BY_LEAK), LIFE_BEGUN);
    world_step(world);
    assert_int_equal(world->pool[1].standing, LIFE_STANDS_OFF);
    world_settle(world);
    expect_step(world, "key-1", LIFE_REVOKED);
    expect_step(world, "key-2", LIFE_CANARY);
    assert_false(world->keys[0].is_alive);
    world_end(&world);
}

/* A key of the file whose secret is another by now is another key: what was known of the one before
 * does not hold for it, and a leak of it is put out. */
static void test_new_secret_under_an_old_name(void **state)
{
    static struct life life;
    const struct life_rules rules = {.max_keys = 4, .attempts = 1};
    uint8_t first[LIFE_IDENTITY_BYTES] = {1}, second[LIFE_IDENTITY_BYTES] = {2};
    struct life_order order = {
        .name = SPAN("next"), .replaces = SPAN("file"), .identity = first, .trigger = LIFE_BY_LEAK};
    struct life_key *key;

    (void)state;
    life_init(&life);
    assert_int_equal(life_begin(&life, &rules, &order, 1, 1), LIFE_BEGUN);
    key = life_find(&life, SPAN("file"));
    assert_int_equal(key->step, LIFE_RETIRED);
    assert_true(key->is_leaked);
    assert_true(life_is_of(key, first) && !life_is_of(key, second));
    order.identity = second;
    order.trigger = LIFE_BY_OPERATOR;
    assert_int_equal(life_begin(&life, &rules, &order, 2, 2), LIFE_NAMELESS);
    assert_int_equal(key->step, LIFE_ACTIVE);
    assert_false(key->is_leaked);
    assert_memory_equal(key->identity, second, sizeof(second));
    order.trigger = LIFE_BY_LEAK;
    order.name = SPAN("another");
    assert_int_equal(life_begin(&life, &rules, &order, 3, 3), LIFE_BUSY);
    assert_int_equal(key->step, LIFE_RETIRED);
    /* Pruned likewise. */
    order.identity = first;
    assert_true(life_prune(&life, &order, 4, 4));
    assert_int_equal(key->step, LIFE_DRAINING);
    assert_false(key->is_leaked);
}

/* A leak is put out though there is neither room nor a name for another key; keys that the file has
 * no more make room. */
static void test_leak_in_a_crowd(void **state)
{
    static struct life life;
    const struct life_rules rules = {.max_keys = 4, .attempts = 1};
    struct life_order order = {.trigger = LIFE_BY_LEAK};
    char name[16];

    (void)state;
    life_init(&life);
    for (uint32_t i = 0; i < LIFE_KEYS_MAX; i++) {
        snprintf(name, sizeof(name), "file-%u", i);
        order.replaces = span_from_text(name);
        assert_int_equal(life_begin(&life, &rules, &order, 1, 1), LIFE_NAMELESS);
        assert_true(life_find(&life, order.replaces)->is_leaked);
        assert_int_equal(life_find(&life, order.replaces)->step, LIFE_RETIRED);
    }
    order.name = SPAN("next");
    assert_int_equal(life_begin(&life, &rules, &order, 1, 1), LIFE_CROWDED);
    order.replaces = SPAN("file-of-many");
    assert_int_equal(life_begin(&life, &rules, &order, 1, 1), LIFE_CROWDED);
    assert_null(life_find(&life, order.replaces));
    for (uint32_t i = 0; i < 4; i++)
        life_release(&life, &life.keys[i], 1, 1);
    order.replaces = SPAN("file-0");
    assert_true(life_find(&life, order.replaces)->is_gone);
}

static void test_leak_while_one_is_under_way(void **state)
{
    struct world *world = world_begin(7);
    const struct life_order canary = {
        .name = SPAN("next"), .replaces = SPAN("key-1"), .trigger = LIFE_BY_LEAK};

    (void)state;
    come_to_canary(world);
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BUSY);
    /* Of the canary itself: given up, and another is made. */
    assert_int_equal(
        life_begin(&world->life, &world->rules, &canary, world->now_us, world->wall_us),
        LIFE_BEGUN);
    world_settle(world);
    expect_step(world, "key-1", LIFE_ROLLED_BACK);
    expect_step(world, "next", LIFE_CANARY);
    assert_false(world->keys[0].is_alive);
    /* Of the old one: it is off, and the successor goes on. */
    assert_int_equal(world_order(world, LIFE_BY_LEAK), LIFE_BUSY);
    world_settle(world);
    expect_step(world, "file", LIFE_RETIRED);
    assert_true(key_of(world, "file")->is_leaked);
    expect_step(world, "next", LIFE_CANARY);
    world_end(&world);
}

/* Nobody knows whether it was made: it is looked for, revoked, and another made in its place. */
static void test_lost_answer(void **state)
{
    struct world *world = world_begin(8);

    (void)state;
    world->faults.create_lost = 100;
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    for (int i = 0; i < 400 && !life_find(&world->life, SPAN("key-1-3")); i++)
        world_step(world);
    assert_true(world->key_count >= 1);
    world_settle(world);
    expect_step(world, "key-1", LIFE_ROLLED_BACK);
    expect_step(world, "key-1-2", LIFE_ROLLED_BACK);
    expect_step(world, "key-1-3", LIFE_CANARY);
    assert_int_equal(key_of(world, "key-1-3")->rotation, 1);
    promote(world);
    world_settle(world);
    world_check_end(world);
    world_end(&world);
}

static void test_attempts_end(void **state)
{
    static const struct {
        struct world_faults faults;
        const char *reason;
    } cases[] = {{{.create_refused = 100}, "refused"},
                 {{.unknown_key = 100}, "the provider does not know it"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world *world = world_begin(9 + i);

        world->faults = cases[i].faults;
        assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
        while (world_step(world))
            ;
        expect_step(world, "key-1", LIFE_ROLLED_BACK);
        assert_string_equal(key_of(world, "key-1")->reason, cases[i].reason);
        /* Waited 1, 2, 4 and 8 s between five attempts. */
        assert_true(world->now_us >= 16 * US_PER_SEC);
        world_check_end(world);
        world_end(&world);
    }
}

/* A store that is away stops a rotation where it is, and takes nothing away. */
/* A key that serves no more is not replaced; leaked, it is revoked at once, and that is all. */
static void test_key_that_was_replaced(void **state)
{
    struct world *world = world_begin(16);
    struct life_order again = {.name = SPAN("next"), .replaces = SPAN("key-1")};

    (void)state;
    for (int i = 0; i < 2; i++) {
        come_to_canary(world);
        promote(world);
        if (i == 0)
            world_settle(world);
    }
    for (int i = 0; i < 200 && key_of(world, "key-1")->step != LIFE_RETIRED; i++)
        world_step(world);
    assert_int_equal(life_begin(&world->life, &world->rules, &again, world->now_us, world->wall_us),
                     LIFE_GONE);
    again.trigger = LIFE_BY_LEAK;
    assert_int_equal(life_begin(&world->life, &world->rules, &again, world->now_us, world->wall_us),
                     LIFE_BUSY);
    for (int i = 0; i < 40 && world->keys[0].is_alive; i++)
        world_step(world);
    assert_false(world->keys[0].is_alive);
    assert_true(world->now_us < 600 * US_PER_SEC); /* the overlap was not waited for */
    assert_null(life_successor(&world->life));
    world_settle(world);
    expect_step(world, "key-1", LIFE_REVOKED);
    expect_step(world, "key-2", LIFE_ACTIVE);
    assert_int_equal(life_begin(&world->life, &world->rules, &again, world->now_us, world->wall_us),
                     LIFE_BUSY);
    world_end(&world);
}

/* What would be refused again is not asked again. */
static void test_clear_no(void **state)
{
    struct world *world = world_begin(15);
    struct life_task task;
    const struct life_result no = {.err = ERR_DENIED, .why = "no", .is_final = true};
    uint64_t next_us;

    (void)state;
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    do {
        assert_true(life_next(&world->life, &world->rules, 1, 1, &task, &next_us));
        if (task.act == LIFE_RECORD)
            life_end(&world->life, &world->rules, &task, &(struct life_result){.err = 0}, 1, 1);
    } while (task.act != LIFE_CREATE);
    life_end(&world->life, &world->rules, &task, &no, 1, 1);
    expect_step(world, "key-1", LIFE_ROLLED_BACK);
    world_end(&world);
}

static void test_store_is_away(void **state)
{
    struct world *world = world_begin(11);

    (void)state;
    world->faults.store_away = 100;
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    for (int i = 0; i < 100; i++)
        assert_true(world_step(world));
    assert_int_equal(world->key_count, 0); /* not asked for before it was written down */
    assert_int_equal(world_serving(world), 1);
    world_settle(world);
    expect_step(world, "key-1", LIFE_CANARY);
    world_end(&world);
}

static void test_names(void **state)
{
    static char longest[LIFE_NAME_BYTES + 1];
    struct world *world = world_begin(12);
    struct life_order order = {.replaces = SPAN("file")};

    (void)state;
    memset(longest, 'x', LIFE_NAME_BYTES);
    order.name = span_from_text(longest);
    assert_int_equal(life_begin(&world->life, &world->rules, &order, 1, 1), LIFE_NAMELESS);
    order.name = SPAN("file");
    assert_int_equal(life_begin(&world->life, &world->rules, &order, 1, 1), LIFE_NAMELESS);
    order.name = SPAN("");
    assert_int_equal(life_begin(&world->life, &world->rules, &order, 1, 1), LIFE_NAMELESS);
    assert_int_equal(world->life.count, 0);
    world_end(&world);
}

static bool is_retired(struct world *world, const char *name)
{
    return key_of(world, name)->step == LIFE_RETIRED;
}

/* Too many valid ones: the first retired goes before its time; where none is, nothing begins. */
static void test_max_keys(void **state)
{
    struct world *world = world_begin(13);

    (void)state;
    world->rules.max_keys = 2;
    for (int i = 1; i <= 2; i++) {
        assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
        while (!life_canary(&world->life))
            world_step(world);
        promote(world);
        for (int k = 0; k < 60 && !is_retired(world, i == 1 ? "file" : "key-1"); k++)
            world_step(world);
    }
    expect_step(world, "key-1", LIFE_RETIRED);
    assert_true(world->keys[0].is_alive);
    assert_int_equal(world_order(world, LIFE_BY_SCHEDULE), LIFE_BEGUN);
    while (!life_canary(&world->life))
        world_step(world);
    for (int k = 0; k < 60 && world->task_count; k++)
        world_step(world);
    assert_false(world->keys[0].is_alive);
    world_end(&world);
}

/* ---- pruning ---- */

static struct life_order prune_of(const char *name)
{
    return (struct life_order){
        .replaces = span_from_text(name), .trigger = LIFE_BY_ERROR_RATE, .why = "too many errors"};
}

static bool prune(struct world *world, const char *name)
{
    const struct life_order order = prune_of(name);

    return life_prune(&world->life, &order, world->now_us, world->wall_us);
}

/* Replaces a key that serves no more. */
static enum life_begun replace(struct world *world, const char *name, const char *by)
{
    const struct life_order order = {.name = span_from_text(by),
                                     .replaces = span_from_text(name),
                                     .trigger = LIFE_BY_ERROR_RATE};

    return life_begin(&world->life, &world->rules, &order, world->now_us, world->wall_us);
}

/* A key of ours that was pruned drains, is revoked in its time, and is replaced once. */
static void test_prune(void **state)
{
    struct world *world = world_begin(20);

    (void)state;
    world->may_be_empty = true; /* that another serves is for the triggers to see */
    come_to_canary(world);
    promote(world);
    world_settle(world);
    assert_true(prune(world, "key-1"));
    assert_false(prune(world, "key-1"));
    assert_string_equal(key_of(world, "key-1")->reason, "too many errors");
    for (int i = 0; i < 50 && !is_retired(world, "key-1"); i++)
        world_step(world);
    expect_step(world, "key-1", LIFE_RETIRED);
    assert_true(life_lacks_successor(key_of(world, "key-1")));
    assert_int_equal(replace(world, "key-1", "next"), LIFE_BEGUN);
    assert_int_equal(replace(world, "key-1", "other"), LIFE_BUSY);
    world_settle(world);
    promote(world);
    assert_false(life_lacks_successor(key_of(world, "key-1")));
    assert_int_equal(replace(world, "key-1", "other"), LIFE_GONE);
    world_settle(world);
    expect_step(world, "key-1", LIFE_REVOKED);
    assert_false(world->keys[0].is_alive);
    expect_step(world, "next", LIFE_ACTIVE);
    world_end(&world);
}

/* It is as good as new while it is still valid and nothing has come in its place. */
static void test_way_back_of_a_pruned_key(void **state)
{
    struct world *world = world_begin(21);

    (void)state;
    world->may_be_empty = true;
    assert_false(prune(world, ""));
    assert_true(prune(world, "file"));
    world_settle(world);
    expect_step(world, "file", LIFE_RETIRED);
    assert_int_equal(world_serving(world), 0);
    assert_true(life_roll_back(&world->life, key_of(world, "file"), "by hand", world->now_us,
                               world->wall_us));
    world_settle(world);
    assert_int_equal(world_serving(world), 1);
    assert_false(life_lacks_successor(key_of(world, "file")));
    assert_true(prune(world, "file"));
    world_end(&world);
}

/* A leaked key whose successor came to nothing may get another; one that was replaced may not. */
static void test_leaked_key_lacks_its_successor(void **state)
{
    struct world *world = world_begin(22);

    (void)state;
    assert_int_equal(world_order(world, LIFE_BY_LEAK), LIFE_BEGUN);
    world_settle(world);
    life_lose(&world->life, "it lost", world->now_us, world->wall_us);
    assert_int_equal(world->life.failures, 1);
    world_settle(world);
    assert_true(life_lacks_successor(key_of(world, "file")));
    assert_int_equal(replace(world, "file", "next"), LIFE_BEGUN);
    world_settle(world);
    promote(world);
    assert_int_equal(world->life.failures, 0);
    assert_false(life_lacks_successor(key_of(world, "file")));
    world_end(&world);
}

/* ---- the text ---- */

static void test_text_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "nonsense",
        "{\"version\":1}",
        "{\"version\":0,\"keys\":[]}",
        "{\"version\":1,\"rotations\":-1,\"ended_us\":0,\"keys\":[]}",
        "{\"version\":1,\"rotations\":1,\"ended_us\":0,\"keys\":[{}]}",
        ("{\"version\":1,\"rotations\":1,\"ended_us\":0,\"keys\":[{\"name\":\"a\",\"step\":"
         "\"best\"}"
         "]}"),
    };
    struct life life;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_int_equal(life_read(span_from_text(texts[i]), &life), ERR_SYNTAX);
    assert_int_equal(life_read(SPAN("{\"version\":3,\"keys\":[]}"), &life), ERR_UNSUPPORTED);
}

/* What version 1 wrote is read for ever. A key that served no more had its successor. */
static void test_text_of_version_1(void **state)
{
    static const char text[] =
        "{\"version\":1,\"rotations\":7,\"ended_us\":1790000000000000,\"keys\":["
        "{\"name\":\"file\",\"step\":\"retired\",\"trigger\":\"operator\",\"attempt\":0,"
        "\"since_us\":5,\"leaked\":true,\"identity\":\"a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5"
        "a5a5a5a5a5a5a5a5a5a5\"},"
        "{\"name\":\"key-7\",\"id\":\"id-7\",\"replaces\":\"file\",\"step\":\"active\","
        "\"trigger\":\"leaked\",\"attempt\":1,\"rotation\":7,\"created_us\":6,\"ours\":true,"
        "\"asked\":true,\"kept\":true,\"identity\":\"00000000000000000000000000000000000000000000"
        "00000000000000000000\"}]}";
    struct life life;

    (void)state;
    assert_int_equal(life_read(span_from_text(text), &life), 0);
    assert_int_equal(life.count, 2);
    assert_int_equal(life.rotations, 7);
    assert_int_equal(life.failures, 0);
    assert_int_equal(life.memory.last_wall_us, 0);
    assert_false(life_lacks_successor(&life.keys[0]));
    assert_int_equal(life.keys[1].step, LIFE_ACTIVE);
    assert_int_equal(life.keys[1].created_wall_us, 6);
}

static void test_text_tells_all(void **state)
{
    struct world *world = world_begin(14);
    struct life read;
    struct buf first, second;

    (void)state;
    come_to_canary(world);
    life_note(&world->life, SPAN("{\"step\":3,\"word\":\"\\u00e9 \\\"quoted\\\"\"}"));
    memset(world->life.keys[0].identity, 0xA5, LIFE_IDENTITY_BYTES);
    life_remember(&world->life, &(struct life_memory){5, 6, 7});
    world->life.failures = 3;
    world->life.keys[0].is_pruned = world->life.keys[1].is_replaced = true;
    buf_init(&first, 1 << 20);
    buf_init(&second, 1 << 20);
    life_write(&world->life, &first);
    assert_int_equal(life_read(buf_span(&first), &read), 0);
    assert_string_equal(read.note, world->life.note);
    assert_int_equal(read.memory.last_wall_us, 5);
    assert_int_equal(read.memory.round_wall_us, 6);
    assert_int_equal(read.memory.first_wall_us, 7);
    assert_int_equal(read.failures, 3);
    assert_true(read.keys[0].is_pruned && read.keys[1].is_replaced);
    assert_memory_equal(read.keys[0].identity, world->life.keys[0].identity, LIFE_IDENTITY_BYTES);
    life_write(&read, &second);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    buf_fini(&first);
    buf_fini(&second);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_life),
        cmocka_unit_test(test_steps_are_written_down),
        cmocka_unit_test(test_lost_canary),
        cmocka_unit_test(test_way_back),
        cmocka_unit_test(test_no_way_back),
        cmocka_unit_test(test_leak),
        cmocka_unit_test(test_new_secret_under_an_old_name),
        cmocka_unit_test(test_leak_in_a_crowd),
        cmocka_unit_test(test_leak_while_one_is_under_way),
        cmocka_unit_test(test_lost_answer),
        cmocka_unit_test(test_attempts_end),
        cmocka_unit_test(test_key_that_was_replaced),
        cmocka_unit_test(test_clear_no),
        cmocka_unit_test(test_store_is_away),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_max_keys),
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_way_back_of_a_pruned_key),
        cmocka_unit_test(test_leaked_key_lacks_its_successor),
        cmocka_unit_test(test_text_is_refused),
        cmocka_unit_test(test_text_of_version_1),
        cmocka_unit_test(test_text_tells_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
