/* The environment as a store. */
#include "store_play.h"

#include "base/alloc.h"
#include "secrets/env_store.h"

static void open_store(struct play *play)
{
    play_open(play);
    play->store = env_store_new(play->loop);
    assert_non_null(play->store);
    assert_string_equal(secret_store_kind(play->store), "environment");
}

static void what_variables_hold(void **state)
{
    static const struct {
        const char *value;
        int err;
        const char *text;
    } rows[] = {
        {"sk-plain", 0, "{\"api_key\":\"sk-plain\"}"},
        {PLAY_ONE, 0, PLAY_ONE},
        {"", 0, ""},
        {"a\nb", ERR_SYNTAX, ""},
        {"{\"api_key\":1}", ERR_SYNTAX, ""},
        {"{", ERR_SYNTAX, ""},
    };
    struct play play;
    uint64_t version;

    (void)state;
    open_store(&play);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(setenv("BW_TEST_KEY", rows[i].value, 1), 0);
        assert_int_equal(play_read(&play, "BW_TEST_KEY"), rows[i].err);
        assert_string_equal(play.text, rows[i].text);
        assert_int_equal(play.version != 0, *rows[i].text != '\0');
    }
    assert_int_equal(setenv("BW_TEST_KEY", "sk-plain", 1), 0);
    assert_int_equal(play_read(&play, "BW_TEST_KEY"), 0);
    version = play.version;
    assert_int_equal(play_read(&play, "BW_TEST_KEY"), 0);
    assert_true(play.version == version);
    assert_int_equal(unsetenv("BW_TEST_KEY"), 0);
    assert_int_equal(play_read(&play, "BW_TEST_KEY"), 0);
    assert_int_equal(play.version, 0);
    assert_int_equal(play_read(&play, "no/such.path-at_all"), 0);
    assert_int_equal(play.version, 0);
    assert_int_equal(play_read(&play, "a b"), ERR_SYNTAX);
    play_close(&play);
}

static void it_is_only_read(void **state)
{
    struct play play;

    (void)state;
    open_store(&play);
    assert_int_equal(setenv("BW_TEST_KEY", "sk-plain", 1), 0);
    assert_int_equal(play_write(&play, "BW_TEST_KEY", PLAY_ONE, SECRET_ANY), ERR_UNSUPPORTED);
    assert_string_equal(play.why, "the environment cannot be changed");
    assert_int_equal(play_remove(&play, "BW_TEST_KEY", SECRET_ANY), ERR_UNSUPPORTED);
    assert_int_equal(play_versions(&play, "BW_TEST_KEY"), ERR_UNSUPPORTED);
    assert_int_equal(play_read_version(&play, "BW_TEST_KEY", "1"), ERR_UNSUPPORTED);
    assert_int_equal(play_read(&play, "BW_TEST_KEY"), 0);
    assert_string_equal(play.text, "{\"api_key\":\"sk-plain\"}");
    play_watch(&play, "BW_TEST_KEY");
    play_turn(&play);
    assert_int_equal(play.changes, 0);
    assert_int_equal(unsetenv("BW_TEST_KEY"), 0);
    play_close(&play);
}

static void names(void **state)
{
    struct play play;

    (void)state;
    open_store(&play);
    assert_int_equal(clearenv(), 0);
    assert_int_equal(play_list(&play, ""), 0);
    assert_string_equal(play.names, "");
    assert_int_equal(setenv("KEY_B", "2", 1), 0);
    assert_int_equal(setenv("KEY_A", "1", 1), 0);
    assert_int_equal(setenv("odd name", "1", 1), 0);
    assert_int_equal(play_list(&play, ""), 0);
    assert_string_equal(play.names, "KEY_A\nKEY_B\n");
    assert_int_equal(play_list(&play, "KEY_A"), 0);
    assert_string_equal(play.names, "");
    play_close(&play);
}

static void ends(void **state)
{
    struct play play;

    (void)state;
    open_store(&play);
    assert_int_equal(secret_store_read(play.store, &play.ask, SPAN("A")), 0);
    secret_ask_cancel(&play.ask);
    assert_int_equal(secret_store_versions(play.store, &play.ask, SPAN("A")), 0);
    secret_ask_cancel(&play.ask);
    assert_int_equal(secret_store_list(play.store, &play.ask, SPAN("")), 0);
    play_close(&play);
    assert_int_equal(play.done, 0);
}

#ifdef BW_FAULTS
static void without_memory(void **state)
{
    struct play play;
    bool is_pending = false;

    (void)state;
    open_store(&play);
    assert_int_equal(setenv("BW_TEST_KEY", "sk-plain", 1), 0);
    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = play_read(&play, "BW_TEST_KEY");
        if (!err)
            err = play_list(&play, "");
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_true(!err || err == ERR_NOMEM);
    }
    play_close(&play);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_variables_hold),
        cmocka_unit_test(it_is_only_read),
        cmocka_unit_test(names),
        cmocka_unit_test(ends),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
