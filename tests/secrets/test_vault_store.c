/* Vault as a store, against a strict double on this machine. Where lives of tokens are played, the
 * loop's time is virtual, and creeps only while the server is asked. */
#include "vault_stage.h"

#include "base/alloc.h"
#include "secrets/vault_answer.h"

/* ---- the store ---- */

static void it_is_a_store(void **state)
{
    for (int kv = 1; kv <= 2; kv++) {
        struct stage stage;

        (void)state;
        open_stage(&stage, kv);
        open_store(&stage);
        assert_string_equal(secret_store_kind(stage.play.store), "vault");
        store_conforms(&stage.play);
        assert_int_equal(stage.vault->refusals, 0);
        close_stage(&stage);
    }
}

/* The same below a folder, in a namespace, of a mount whose version is told. */
static void in_a_folder_of_a_namespace(void **state)
{
    for (int kv = 1; kv <= 2; kv++) {
        struct stage stage;

        (void)state;
        open_stage(&stage, kv);
        stage.vault->name_space = "team/eu";
        stage.options.name_space = "team/eu";
        stage.options.prefix = "llm/gateway";
        stage.options.kv = (unsigned)kv;
        open_store(&stage);
        store_conforms(&stage.play);
        assert_int_equal(stage.vault->mounts, 0);
        assert_int_equal(stage.vault->refusals, 0);
        assert_non_null(vd_find(stage.vault, "llm/gateway/anthropic"));
        assert_null(vd_find(stage.vault, "anthropic"));
        close_stage(&stage);
    }
}

static void every_write_names_a_version(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->is_cas_required = true;
    open_store(&stage);
    store_conforms(&stage.play);
    close_stage(&stage);
}

static void deleted_versions(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_store(&stage);
    vd_put(stage.vault, "a", PLAY_ONE);
    vd_put(stage.vault, "a", PLAY_TWO);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.play.version, 2);
    vd_delete(stage.vault, "a");
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.play.version, 0);
    assert_string_equal(stage.play.text, "");
    assert_int_equal(play_write(&stage.play, "a", PLAY_TWO, 2), ERR_EXISTS);
    assert_int_equal(play_remove(&stage.play, "a", 2), ERR_EXISTS);
    assert_int_equal(play_remove(&stage.play, "a", 0), 0);
    /* Written anew, it counts on. */
    assert_int_equal(play_write(&stage.play, "a", PLAY_THREE, 0), 0);
    assert_int_equal(stage.play.version, 3);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.play.version, 3);
    close_stage(&stage);
}

/* The newest first; those that are destroyed, or deleted by now, are none. */
static void versions_that_can_be_read(void **state)
{
    static const char body[] =
        "{\"data\":{\"current_version\":11,\"versions\":{"
        "\"2\":{\"created_time\":\"2026-11-20T10:00:00.5Z\",\"deletion_time\":\"\",\"destroyed\":"
        "true},"
        "\"9\":{\"created_time\":\"2026-11-20T10:00:00.123456789Z\",\"deletion_time\":\"\"},"
        "\"10\":{\"created_time\":\"odd\",\"deletion_time\":\"2026-11-21T10:00:00Z\"},"
        "\"11\":{\"created_time\":\"2026-11-20T11:00:00Z\",\"destroyed\":false}}}}";
    struct buf names;

    (void)state;
    buf_init(&names, SECRET_LIST_MAX_BYTES);
    /* 2026-11-21T09:00:00Z, and two hours later. */
    assert_int_equal(
        vault_answer_versions(span_from_text(body), UINT64_C(1795251600) * US_PER_SEC, &names), 0);
    assert_string_equal(buf_text(&names),
                        "11 2026-11-20T11:00:00.000Z\n10\n9 2026-11-20T10:00:00.123Z\n");
    buf_clear(&names);
    assert_int_equal(
        vault_answer_versions(span_from_text(body), UINT64_C(1795258800) * US_PER_SEC, &names), 0);
    assert_string_equal(buf_text(&names),
                        "11 2026-11-20T11:00:00.000Z\n9 2026-11-20T10:00:00.123Z\n");
    buf_clear(&names);
    assert_int_equal(vault_answer_versions(SPAN("{\"data\":{}}"), 1, &names), ERR_PROTO);
    assert_int_equal(vault_answer_versions(SPAN("{\"data\":{\"versions\":{\"x\":{}}}}"), 1, &names),
                     ERR_PROTO);
    buf_fini(&names);
}

/* Somebody else writes between our look at an entry and our write. */
static void somebody_else_is_quicker(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->is_cas_required = true;
    open_store(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    stage.vault->races = 1;
    refused(&stage, play_write(&stage.play, "a", PLAY_TWO, 1), ERR_EXISTS,
            "vault: another version is there than was expected");
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"another's\"}");
    assert_int_equal(stage.play.version, 2);
    stage.vault->races = 1;
    refused(&stage, play_write(&stage.play, "b", PLAY_TWO, 0), ERR_EXISTS,
            "vault: another version is there than was expected");
    /* Where any version will do it is written over; where that never succeeds it is told. */
    stage.vault->races = 2;
    assert_int_equal(play_write(&stage.play, "a", PLAY_TWO, SECRET_ANY), 0);
    assert_int_equal(stage.play.version, 5);
    stage.vault->races = 100;
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, SECRET_ANY), ERR_PROTO);
    assert_non_null(strstr(stage.play.why, "did not match the current version"));
    close_stage(&stage);
}

static void what_is_no_entry(void **state)
{
    static const char *const texts[] = {"{\"api_key\":1}", "{\"api_key\":\"a\\nb\"}",
                                        "{\"api_key\":\"\"}"};

    for (int kv = 1; kv <= 2; kv++) {
        struct stage stage;

        (void)state;
        open_stage(&stage, kv);
        open_store(&stage);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
            if (i)
                assert_int_equal(play_remove(&stage.play, "a", SECRET_ANY), 0);
            vd_put(stage.vault, "a", texts[i]);
            assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
            assert_non_null(strstr(stage.play.why, kv == 2 ? "vault: secret/data/a holds an"
                                                           : "vault: secret/a holds an"));
            assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), ERR_EXISTS);
        }
        assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, SECRET_ANY), 0);
        assert_int_equal(play_read(&stage.play, "a"), 0);
        close_stage(&stage);
    }
}

static void wrong_options(void **state)
{
    struct stage stage;
    struct vault_options good;

    (void)state;
    open_stage(&stage, 2);
    good = stage.options;
#define WRONG(member, value, words)                                                                \
    stage.options = good;                                                                          \
    stage.options.member = (value);                                                                \
    assert_int_equal(vault_store_open(&stage.options, &stage.play.store, stage.why), ERR_SYNTAX);  \
    assert_non_null(strstr(stage.why, words))
    WRONG(url, "vault.example", "the address begins neither");
    WRONG(mount, "", "the mount is no path");
    WRONG(mount, "secret/", "the mount is no path");
    WRONG(mount, NULL, "the mount is no path");
    WRONG(prefix, "../x", "the prefix is no path");
    WRONG(name_space, "a\r\nb", "the namespace is no path");
    WRONG(kv, 3, "no such version");
    WRONG(login.mount, "a b", "the login's mount");
    WRONG(login.secret, NULL, "no token is given");
    WRONG(login.kind, VAULT_LOGIN_TOKEN_FILE, "no file is given");
    WRONG(login.kind, VAULT_LOGIN_APPROLE, "no role id is given");
    WRONG(login.kind, VAULT_LOGIN_KUBERNETES, "no role is given");
#undef WRONG
    assert_null(stage.play.store);
    close_stage(&stage);
}

static void places_as_they_are_spelled(void **state)
{
    static const struct {
        const char *text, *mount;
        unsigned kv;
        const char *path;
    } good[] = {
        {"secret/data/llm/openai", "secret", 2, "llm/openai"},
        {"secret/llm/openai", "secret", 0, "llm/openai"},
        {"kv-1/database", "kv-1", 0, "database"},
        {"secret/data", "secret", 2, ""},
        {"secret", "secret", 0, ""},
    };
    static const char *const wrong[] = {"",          "/secret",     "secret/",
                                        "secret//a", "secret/../a", "a b"};
    struct span mount, path;
    unsigned kv;

    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(vault_store_place(span_from_text(good[i].text), &mount, &kv, &path));
        assert_true(span_is_equal(mount, span_from_text(good[i].mount)));
        assert_true(span_is_equal(path, span_from_text(good[i].path)));
        assert_int_equal(kv, good[i].kv);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(vault_store_place(span_from_text(wrong[i]), &mount, &kv, &path));
}

/* ---- what can go wrong ---- */

static void failures_in_plain_words(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_store(&stage);
    stage.vault->is_sealed = true;
    refused(&stage, play_read(&stage.play, "llm"), ERR_UNREACHABLE,
            "vault: Vault is sealed for sys/internal/ui/mounts/secret (503)");
    stage.vault->is_sealed = false;
    stage.vault->is_old = true;
    refused(&stage, play_read(&stage.play, "llm"), ERR_DENIED,
            "vault: permission denied for sys/internal/ui/mounts/secret (403)");
    stage.vault->is_old = false;
    assert_int_equal(play_read(&stage.play, "llm"), 0);
    stage.vault->is_all_forbidden = true;
    refused(&stage, play_read(&stage.play, "llm"), ERR_DENIED,
            "vault: permission denied for secret/data/llm (403)");
    refused(&stage, play_write(&stage.play, "llm", PLAY_ONE, SECRET_ANY), ERR_DENIED,
            "vault: permission denied for secret/data/llm (403)");
    refused(&stage, play_remove(&stage.play, "llm", SECRET_ANY), ERR_DENIED,
            "vault: permission denied for secret/metadata/llm (403)");
    refused(&stage, play_list(&stage.play, ""), ERR_DENIED,
            "vault: permission denied for secret/metadata/?list=true (403)");
    stage.vault->is_all_forbidden = false;
    stage.vault->canned = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";
    refused(&stage, play_read(&stage.play, "llm"), ERR_UNREACHABLE,
            "vault: the server failed for secret/data/llm (500)");
    stage.vault->canned = "HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nabcd";
    refused(&stage, play_read(&stage.play, "llm"), ERR_PROTO,
            "vault: secret/data/llm is answered in a way that is not Vault's");
    stage.vault->canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    refused(&stage, play_write(&stage.play, "llm", PLAY_ONE, SECRET_ANY), ERR_PROTO,
            "vault: secret/data/llm is answered in a way that is not Vault's");
    stage.vault->canned = "HTTP/1.1 200 X\r\nContent-Length: 2\r\n\r\n{}";
    refused(&stage, play_list(&stage.play, "x"), ERR_PROTO,
            "vault: secret/metadata/x/?list=true is answered in a way that is not Vault's");
    /* Words that hold our own token are not shown. */
    stage.vault->canned = "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n"
                          "{\"errors\":[\"what is root-token?\"]}";
    assert_int_equal(play_read(&stage.play, "llm"), ERR_PROTO);
    assert_null(strstr(stage.play.why, "root-token"));
    close_stage(&stage);
}

/* Of a proxy, or a wrong address: no key goes because of it. */
static void a_404_of_somebody_else(void **state)
{
    static const char answer[] = "HTTP/1.1 404 X\r\nContent-Length: 18\r\n\r\n404 page not found";
    struct stage stage;

    for (int kv = 1; kv <= 2; kv++) {
        (void)state;
        open_stage(&stage, kv);
        open_store(&stage);
        assert_int_equal(play_read(&stage.play, "a"), 0);
        stage.vault->canned = answer;
        refused(&stage, play_read(&stage.play, "a"), ERR_PROTO,
                kv == 2 ? "vault: no such path for secret/data/a (404)"
                        : "vault: no such path for secret/a (404)");
        stage.vault->canned = answer;
        assert_int_equal(play_list(&stage.play, ""), ERR_PROTO);
        stage.vault->canned = answer;
        assert_int_equal(play_remove(&stage.play, "a", SECRET_ANY), ERR_PROTO);
        close_stage(&stage);
    }
}

static void unreachable(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    open_store(&stage);
    vd_stop(stage.vault);
    assert_int_equal(play_read(&stage.play, "a"), ERR_REFUSED);
    assert_non_null(strstr(stage.play.why, "vault: Failed to connect to 127.0.0.1"));
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), ERR_REFUSED);
    assert_int_equal(play_remove(&stage.play, "a", 0), ERR_REFUSED);
    assert_int_equal(play_list(&stage.play, ""), ERR_REFUSED);
    close_stage(&stage);
}

/* It takes the question, and says nothing: asked, and looked at, it is given up after a while. */
static void a_server_that_says_nothing(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.options.total_us = 100 * US_PER_MS;
    open_store(&stage);
    atomic_store(&stage.vault->is_silent, true);
    assert_int_equal(play_read(&stage.play, "a"), ERR_TIMEOUT);
    assert_non_null(strstr(stage.play.why, "vault: Operation timed out"));
    play_watch(&stage.play, "a");
    play_until(&stage.play, &stage.play.troubles, 1);
    atomic_store(&stage.vault->is_silent, false);
    play_until(&stage.play, &stage.play.troubles, 2);
    assert_string_equal(stage.play.trouble, "(over)");
    close_stage(&stage);
}

/* A server that lags behind the others is asked again; for a while. */
static void a_server_that_lags(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.options.kv = 2;
    open_store(&stage);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    stage.vault->behind = 3;
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_int_equal(stage.vault->behind, 0);
    stage.vault->behind = 100;
    refused(&stage, play_read(&stage.play, "a"), ERR_UNREACHABLE,
            "vault: required index state not present for secret/data/a (412)");
    assert_int_equal(stage.vault->behind, 96);
    close_stage(&stage);
}

/* A standby leads to the active node, with all that was asked; once. */
static void a_standby(void **state)
{
    struct vault_double *active = vd_open(2);
    char url[64], elsewhere[] = "ftp://127.0.0.1";
    struct stage stage;
    int requests;

    (void)state;
    open_stage(&stage, 2);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", active->port);
    stage.vault->redirect = url;
    open_store(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    assert_non_null(vd_find(active, "a"));
    assert_null(vd_find(stage.vault, "a"));
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, PLAY_ONE);
    assert_int_equal(active->refusals, 0);
    active->redirect = url;
    requests = active->requests;
    refused(&stage, play_read(&stage.play, "a"), ERR_PROTO,
            "vault: the server leads elsewhere, where no token is taken");
    assert_int_equal(active->requests, requests + 1);
    stage.vault->redirect = elsewhere;
    refused(&stage, play_read(&stage.play, "a"), ERR_PROTO,
            "vault: the server leads elsewhere, where no token is taken");
    close_stage(&stage);
    vd_close(&active);
}

/* ---- watching ---- */

static void changes_are_looked_for(void **state)
{
    for (int kv = 1; kv <= 2; kv++) {
        struct stage stage;

        (void)state;
        open_stage(&stage, kv);
        open_store(&stage);
        vd_put(stage.vault, "a", PLAY_ONE);
        play_watch(&stage.play, "a");
        play_until(&stage.play, &stage.play.changes, 1);
        pass(&stage, 300 * US_PER_SEC);
        assert_int_equal(stage.play.changes, 1);
        assert_in_range(kv == 2 ? stage.vault->metadata_reads : stage.vault->data_reads, 9, 13);
        assert_int_equal(kv == 2 ? stage.vault->data_reads : stage.vault->metadata_reads, 0);
        if (kv == 2)
            vd_put(stage.vault, "a", PLAY_TWO);
        else
            assert_int_equal(play_write(&stage.play, "a", PLAY_TWO, SECRET_ANY), 0);
        pass(&stage, 34 * US_PER_SEC);
        assert_in_range(stage.play.changes, 2, 3);
        stage.play.changes = 0;
        if (kv == 2)
            vd_delete(stage.vault, "a");
        else
            assert_int_equal(play_remove(&stage.play, "a", SECRET_ANY), 0);
        pass(&stage, 34 * US_PER_SEC);
        assert_in_range(stage.play.changes, 1, 2);
        stage.play.changes = 0;
        vd_put(stage.vault, "a", PLAY_ONE);
        pass(&stage, 34 * US_PER_SEC);
        assert_int_equal(stage.play.changes, 1);
        assert_int_equal(stage.play.troubles, 0);
        close_stage(&stage);
    }
}

/* A policy that lets nobody read metadata: the entry itself tells. */
static void metadata_are_forbidden(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    stage.vault->are_metadata_forbidden = true;
    open_approle(&stage);
    vd_put(stage.vault, "a", PLAY_ONE);
    play_watch(&stage.play, "a");
    play_until(&stage.play, &stage.play.changes, 1);
    pass(&stage, 300 * US_PER_SEC);
    assert_int_equal(stage.vault->refusals, 1);
    assert_int_equal(stage.vault->logins, 1);
    vd_put(stage.vault, "a", PLAY_TWO);
    pass(&stage, 34 * US_PER_SEC);
    assert_int_equal(stage.play.changes, 2);
    vd_delete(stage.vault, "a");
    pass(&stage, 34 * US_PER_SEC);
    assert_int_equal(stage.play.changes, 3);
    assert_int_equal(stage.play.troubles, 0);
    /* A token that has ended is replaced, and the metadata tried again. */
    vd_revoke_all(stage.vault);
    stage.vault->are_metadata_forbidden = false;
    vd_put(stage.vault, "a", PLAY_THREE);
    pass(&stage, 34 * US_PER_SEC);
    assert_int_equal(stage.vault->logins, 2);
    assert_int_equal(stage.vault->metadata_reads > 0, true);
    assert_int_equal(stage.play.changes, 4);
    close_stage(&stage);
}

struct others {
    struct secret_watch watches[5];
    int changes, troubles;
};

static struct others others;

static void on_other_change(struct secret_watch *watch)
{
    (void)watch;
    others.changes++;
}

/* The first that hears of it ends all. */
static void on_other_trouble(struct secret_watch *watch, const char *why)
{
    (void)watch;
    assert_string_equal(why, "vault: Vault is sealed for secret/metadata/p0 (503)");
    others.troubles++;
    for (int i = 0; i < 5; i++)
        secret_watch_cancel(&others.watches[i]);
}

/* One request says that the server is away, for all that are watched. */
static void trouble_is_told_once(void **state)
{
    struct stage stage;
    int requests;

    (void)state;
    open_stage(&stage, 2);
    stage.options.kv = 2;
    open_store(&stage);
    memset(&others, 0, sizeof(others));
    for (int i = 0; i < 5; i++) {
        char path[8];

        snprintf(path, sizeof(path), "p%d", i);
        others.watches[i].on_change = on_other_change;
        others.watches[i].on_trouble = i == 4 ? on_other_trouble : NULL;
        assert_int_equal(
            secret_store_watch(stage.play.store, &others.watches[i], span_from_text(path)), 0);
    }
    play_until(&stage.play, &others.changes, 5);
    play_watch(&stage.play, "a");
    play_until(&stage.play, &stage.play.changes, 1);
    requests = stage.vault->requests;
    stage.vault->is_sealed = true;
    play_until(&stage.play, &others.troubles, 1);
    assert_in_range(stage.vault->requests - requests, 1, 2);
    play_until(&stage.play, &stage.play.troubles, 1);
    pass(&stage, 34 * US_PER_SEC);
    stage.play.troubles = 0;
    pass(&stage, 300 * US_PER_SEC);
    assert_int_equal(stage.play.troubles, 0);
    stage.vault->is_sealed = false;
    play_until(&stage.play, &stage.play.troubles, 1);
    assert_string_equal(stage.play.trouble, "(over)");
    assert_int_equal(stage.play.changes, 1);
    close_stage(&stage);
}

/* ---- ends ---- */

static void freed_at_work(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage, 2);
    for (int turns = 0; turns < 12; turns++) {
        open_approle(&stage);
        stage.play.ask.on_done = play_on_done;
        play_watch(&stage.play, "a");
        assert_int_equal(secret_store_read(stage.play.store, &stage.play.ask, SPAN("a")), 0);
        for (int i = 0; i < turns; i++)
            play_turn(&stage.play);
        secret_store_free(&stage.play.store);
        assert_null(stage.play.watch.store);
        assert_null(stage.play.ask.store);
    }
    close_stage(&stage);
}

#ifdef BW_FAULTS
static void without_memory(void **state)
{
    struct stage stage;
    bool is_pending = false;

    (void)state;
    open_stage(&stage, 2);
    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = vault_store_open(&stage.options, &stage.play.store, stage.why);
        if (!err)
            err = play_write(&stage.play, "b/c", PLAY_TWO, SECRET_ANY);
        if (!err)
            err = play_read(&stage.play, "b/c");
        if (!err)
            err = play_list(&stage.play, "b");
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        /* Asking for the token's life may fail unseen. */
        if (err && err != ERR_NOMEM)
            fail_msg("after %ld: %d %s", after, err, stage.play.why);
        play_close_store(&stage.play);
    }
    assert_string_equal(stage.play.names, "c\n");
    close_stage(&stage);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store),
        cmocka_unit_test(in_a_folder_of_a_namespace),
        cmocka_unit_test(every_write_names_a_version),
        cmocka_unit_test(deleted_versions),
        cmocka_unit_test(versions_that_can_be_read),
        cmocka_unit_test(somebody_else_is_quicker),
        cmocka_unit_test(what_is_no_entry),
        cmocka_unit_test(wrong_options),
        cmocka_unit_test(places_as_they_are_spelled),
        cmocka_unit_test(failures_in_plain_words),
        cmocka_unit_test(a_404_of_somebody_else),
        cmocka_unit_test(unreachable),
        cmocka_unit_test(a_server_that_says_nothing),
        cmocka_unit_test(a_server_that_lags),
        cmocka_unit_test(a_standby),
        cmocka_unit_test(changes_are_looked_for),
        cmocka_unit_test(metadata_are_forbidden),
        cmocka_unit_test(trouble_is_told_once),
        cmocka_unit_test(freed_at_work),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
