/* What is known of keys, written as it changes and given back at the start: on virtual time, with a
 * file of its own. */
#include "../keypool/pool_play.h"
#include "../store/stage.h"

#include "server/keeper.h"
#include "store/key_states.h"

struct keeping {
    struct stage stage;
    struct play play;
    struct keeper *keeper;
    struct keeper_word word; /* what rotation says of the first key */
    bool has_word;
    int reads, read_err;
    size_t read_count;
    int effects;
};

static struct keypool *pool_at(void *owner, size_t at)
{
    return at == 0 ? ((struct keeping *)owner)->play.pool : NULL;
}

static bool rotation_says(void *owner, struct keypool *pool, const uint8_t *identity,
                          struct keeper_word *ret_word)
{
    const struct keeping *keeping = owner;

    (void)pool;
    *ret_word = keeping->word;
    return keeping->has_word && !memcmp(identity, keeping->play.keys[0].identity, 32);
}

static void on_effect(void *owner, struct keypool *pool, const struct keypool_effect *effect)
{
    struct keeping *keeping = owner;

    (void)pool, (void)effect;
    keeping->effects++;
    keeper_look(keeping->keeper); /* whoever hears of one may ask for more */
}

static void on_read(void *owner, int err, size_t count)
{
    struct keeping *keeping = owner;

    keeping->reads++;
    keeping->read_err = err;
    keeping->read_count = count;
}

static void begin_keeper(struct keeping *keeping)
{
    const struct keeper_options options = {.loop = keeping->stage.loop,
                                           .store = keeping->stage.store,
                                           .pool = pool_at,
                                           .rotation_says = rotation_says,
                                           .on_effect = on_effect,
                                           .on_read = on_read,
                                           .owner = keeping};

    keeping->reads = keeping->effects = 0;
    keeping->keeper = keeper_new(&options);
    assert_non_null(keeping->keeper);
    assert_true(store_await(keeping->stage.store, 60 * US_PER_SEC));
}

static void begin(struct keeping *keeping, size_t keys)
{
    memset(keeping, 0, sizeof(*keeping));
    stage_open(&keeping->stage);
    stage_begin(&keeping->stage, NULL);
    play_init(&keeping->play, keys);
    keeping->play.now = loop_now_us(keeping->stage.loop);
    play_apply(&keeping->play);
    begin_keeper(keeping);
}

/* The process ends, and another knows the same keys. */
static void restart(struct keeping *keeping, bool is_killed)
{
    size_t keys = keeping->play.conf.keys.count;

    if (!is_killed)
        keeper_end(keeping->keeper);
    keeper_free(&keeping->keeper);
    stage_end(&keeping->stage);
    play_end(&keeping->play);
    stage_begin(&keeping->stage, NULL);
    play_init(&keeping->play, keys);
    keeping->play.now = loop_now_us(keeping->stage.loop);
    play_apply(&keeping->play);
    begin_keeper(keeping);
}

static void end(struct keeping *keeping)
{
    keeper_free(&keeping->keeper);
    play_end(&keeping->play);
    stage_close(&keeping->stage);
}

static void pass(struct keeping *keeping, uint64_t us)
{
    stage_pass(&keeping->stage, us);
    stage_settle(&keeping->stage);
    keeping->play.now = loop_now_us(keeping->stage.loop);
}

static uint64_t written(const struct keeping *keeping)
{
    return store_health(keeping->stage.store)->written;
}

static void wish(struct keeping *keeping, size_t id, enum key_wish wish)
{
    struct key *key = keypool_find_key(keeping->play.pool, span_from_text(keeping->play.names[id]));

    keypool_wish(keeping->play.pool, key, wish, keeping->play.now);
    key_unref(&key);
}

static void weigh(struct keeping *keeping, size_t id, uint32_t weight_milli)
{
    struct key *key = keypool_find_key(keeping->play.pool, span_from_text(keeping->play.names[id]));

    keypool_weigh(keeping->play.pool, key, weight_milli);
    key_unref(&key);
}

static void what_has_changed_is_written_and_nothing_else(void **state)
{
    struct keeping keeping;

    begin(&keeping, 3);
    assert_int_equal(keeping.reads, 1);
    pass(&keeping, 10 * SECONDS);
    assert_int_equal(written(&keeping), 0); /* nothing is wrong with any */
    play_request(&keeping.play, "a", OUTCOME_DEPLETED, 0);
    pass(&keeping, 2 * SECONDS);
    assert_int_equal(written(&keeping), 1);
    pass(&keeping, 60 * SECONDS);
    assert_int_equal(written(&keeping), 1);
    restart(&keeping, true);
    assert_int_equal(keeping.read_count, 1);
    assert_int_equal(keeping.effects, 1);
    assert_int_equal(play_health(&keeping.play, 0), KEY_DEPLETED);
    end(&keeping);
}

static void the_rest_of_a_key_goes_on_where_it_was(void **state)
{
    struct keeping keeping;
    uint64_t until_us;

    begin(&keeping, 1);
    play_request(&keeping.play, "a", OUTCOME_DEPLETED, 0);
    until_us = play_row(&keeping.play, 0).cooldown_until_us;
    pass(&keeping, 100 * SECONDS);
    restart(&keeping, true);
    assert_in_range(play_row(&keeping.play, 0).cooldown_until_us, until_us - 2000, until_us + 2000);
    end(&keeping);
}

static void an_order_is_written_at_once(void **state)
{
    struct keeping keeping;

    begin(&keeping, 2);
    wish(&keeping, 1, KEY_DISABLED);
    keeper_hurry(keeping.keeper);
    wish(&keeping, 0, KEY_DRAINED);
    keeper_hurry(keeping.keeper); /* beside the one that is on its way */
    stage_settle(&keeping.stage);
    assert_int_equal(written(&keeping), 2);
    restart(&keeping, true);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_DRAINED);
    assert_int_equal(play_row(&keeping.play, 1).wish, KEY_DISABLED);
    end(&keeping);
}

static void the_end_of_a_process_writes_the_last_change(void **state)
{
    struct keeping keeping;

    begin(&keeping, 1);
    weigh(&keeping, 0, 2500);
    restart(&keeping, false);
    assert_int_equal(play_row(&keeping.play, 0).weight_milli, 2500);
    end(&keeping);
}

static void a_key_that_is_well_again_is_kept_so(void **state)
{
    struct keeping keeping;

    begin(&keeping, 1);
    wish(&keeping, 0, KEY_DISABLED);
    pass(&keeping, 2 * SECONDS);
    wish(&keeping, 0, KEY_ENABLED);
    pass(&keeping, 2 * SECONDS);
    assert_int_equal(written(&keeping), 2);
    restart(&keeping, true);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_ENABLED);
    end(&keeping);
}

/* It goes with a reload, and comes with another: nobody is asked to write it off meanwhile. */
static void a_key_that_comes_later(void **state)
{
    struct keeping keeping;

    begin(&keeping, 2);
    wish(&keeping, 1, KEY_DISABLED);
    pass(&keeping, 2 * SECONDS);
    keeping.play.conf.keys.count = 1;
    restart(&keeping, true);
    assert_int_equal(keeping.effects, 0);
    play_declare(&keeping.play, 1, 1);
    keeping.play.conf.keys.count = 2;
    play_apply(&keeping.play);
    pass(&keeping, 5 * SECONDS); /* also where nobody says that there is a new one */
    assert_int_equal(play_row(&keeping.play, 1).wish, KEY_DISABLED);
    end(&keeping);
}

/* What rotation asks is not the operator's; what an operator asks beside it is. */
static void what_rotation_asks_is_not_kept(void **state)
{
    struct keeping keeping;

    begin(&keeping, 1);
    keeping.has_word = true;
    keeping.word = (struct keeper_word){KEY_DRAINED, 300};
    wish(&keeping, 0, KEY_DRAINED);
    weigh(&keeping, 0, 300);
    pass(&keeping, 2 * SECONDS);
    assert_int_equal(written(&keeping), 0);
    wish(&keeping, 0, KEY_DISABLED);
    pass(&keeping, 2 * SECONDS);
    restart(&keeping, true);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_DISABLED);
    assert_int_equal(play_row(&keeping.play, 0).weight_milli, 1000);
    end(&keeping);
}

/* The file is another process's at first: nothing is written before it was read. */
static void a_store_that_opens_late(void **state)
{
    struct keeping keeping;
    struct store *other;

    begin(&keeping, 2);
    wish(&keeping, 0, KEY_DISABLED);
    pass(&keeping, 2 * SECONDS);
    keeper_free(&keeping.keeper);
    other = keeping.stage.store;
    keeping.stage.store = NULL;
    play_end(&keeping.play);
    stage_begin(&keeping.stage, NULL);
    play_start(&keeping.play, 2);
    begin_keeper(&keeping);
    assert_int_equal(keeping.read_err, ERR_AGAIN);
    wish(&keeping, 1, KEY_DRAINED);
    pass(&keeping, 3 * SECONDS);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_ENABLED);
    store_free(&other);
    pass(&keeping, 11 * SECONDS);
    assert_int_equal(keeping.read_err, 0);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_DISABLED);
    restart(&keeping, true);
    assert_int_equal(play_row(&keeping.play, 0).wish, KEY_DISABLED);
    assert_int_equal(play_row(&keeping.play, 1).wish, KEY_DRAINED);
    end(&keeping);
}

/* A write that fails for good is made again. */
static void what_was_not_written_is_written_again(void **state)
{
    struct keeping keeping;

    begin(&keeping, 1);
    stage_execute(keeping.stage.path, "ALTER TABLE key_states RENAME TO elsewhere");
    wish(&keeping, 0, KEY_DISABLED);
    pass(&keeping, 3 * SECONDS);
    assert_int_equal(written(&keeping), 0);
    assert_int_not_equal(store_health(keeping.stage.store)->err, 0);
    stage_execute(keeping.stage.path, "ALTER TABLE elsewhere RENAME TO key_states");
    pass(&keeping, 12 * SECONDS);
    assert_int_equal(written(&keeping), 1);
    assert_int_equal(store_health(keeping.stage.store)->err, 0);
    end(&keeping);
}

static void what_no_pool_has_is_forgotten_in_time(void **state)
{
    struct keeping keeping;
    uint64_t wall_us;

    begin(&keeping, 2);
    wish(&keeping, 0, KEY_DISABLED);
    wish(&keeping, 1, KEY_DISABLED);
    pass(&keeping, 2 * SECONDS);
    keeping.play.conf.keys.count = 1;
    restart(&keeping, true);
    wall_us = loop_wall_us(keeping.stage.loop);
    assert_int_equal(keeper_prune(keeping.keeper, 1), 0);
    assert_int_equal(keeper_prune(keeping.keeper, wall_us + SECONDS), 1);
    stage_settle(&keeping.stage);
    restart(&keeping, true);
    assert_int_equal(keeping.read_count, 1);
    end(&keeping);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_changed_is_written_and_nothing_else),
        cmocka_unit_test(the_rest_of_a_key_goes_on_where_it_was),
        cmocka_unit_test(an_order_is_written_at_once),
        cmocka_unit_test(the_end_of_a_process_writes_the_last_change),
        cmocka_unit_test(a_key_that_is_well_again_is_kept_so),
        cmocka_unit_test(a_key_that_comes_later),
        cmocka_unit_test(what_rotation_asks_is_not_kept),
        cmocka_unit_test(a_store_that_opens_late),
        cmocka_unit_test(what_was_not_written_is_written_again),
        cmocka_unit_test(what_no_pool_has_is_forgotten_in_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
