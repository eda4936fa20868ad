/* The sealed file as a store: on a real folder, through helper threads. */
#include "store_play.h"

#include <signal.h>
#include <sys/resource.h>

#include "base/alloc.h"
#include "secrets/sealed.h"
#include "secrets/sealed_file.h"

enum { FILE_BYTES = 8 << 20, MANY = 10000 };

struct stage {
    struct play play;
    char folder[512], path[600], key_path[600];
    char why[SECRET_WORDS_BYTES];
};

static int open_store(struct stage *stage)
{
    struct sealed_file_options options = {.loop = stage->play.loop,
                                          .helpers = stage->play.helpers,
                                          .secrets = stage->play.secrets,
                                          .path = stage->path,
                                          .key_path = stage->key_path};

    return sealed_file_open(&options, &stage->play.store, stage->why);
}

static void open_stage(struct stage *stage)
{
    play_open(&stage->play);
    play_make_folder(stage->folder, sizeof(stage->folder));
    snprintf(stage->path, sizeof(stage->path), "%s/bellwether.sealed", stage->folder);
    snprintf(stage->key_path, sizeof(stage->key_path), "%s/bellwether.key", stage->folder);
    assert_int_equal(open_store(stage), 0);
}

static void reopen(struct stage *stage)
{
    play_close_store(&stage->play);
    assert_int_equal(open_store(stage), 0);
}

static void close_stage(struct stage *stage)
{
    play_close(&stage->play);
    play_remove_folder(stage->folder);
}

static int files_in(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = -2; /* "." and ".." */

    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void it_is_a_store(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_string_equal(secret_store_kind(stage.play.store), "sealed file");
    store_conforms(&stage.play);
    close_stage(&stage);
}

static void entries_outlive_the_program(void **state)
{
    static char bytes[FILE_BYTES];
    struct stage stage;
    uint64_t version;
    struct stat about;
    size_t len;

    (void)state;
    open_stage(&stage);
    assert_int_equal(files_in(stage.folder), 0);
    assert_int_equal(play_write(&stage.play, "a/b", PLAY_ONE, 0), 0);
    version = stage.play.version;
    assert_int_equal(play_write(&stage.play, "gone", PLAY_TWO, 0), 0);
    assert_int_equal(play_remove(&stage.play, "gone", SECRET_ANY), 0);
    assert_int_equal(files_in(stage.folder), 2);
    assert_int_equal(stat(stage.path, &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    len = play_read_file(stage.path, bytes, sizeof(bytes));
    assert_true(span_find(span_of(bytes, len), SPAN("api_key")) == SIZE_MAX);
    assert_true(span_find(span_of(bytes, len), SPAN("sk-one")) == SIZE_MAX);

    reopen(&stage);
    assert_int_equal(play_read(&stage.play, "a/b"), 0);
    assert_string_equal(stage.play.text, PLAY_ONE);
    assert_true(stage.play.version == version);
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a/\n");
    /* A version never comes back, not even that of what was removed last. */
    assert_int_equal(play_write(&stage.play, "gone", PLAY_ONE, 0), 0);
    assert_true(stage.play.version > version + 1);
    close_stage(&stage);
}

struct many {
    struct secret_ask ask;
    struct stage *stage;
    int err;
    uint64_t version;
};

static int many_done;

static void on_many(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct many *many = container_of(ask, struct many, ask);

    many->err = answer->err;
    many->version = answer->entry.version;
    many_done++;
}

/* Changes that come in one go, and while one is written, see each other in their order. */
static void changes_are_put_together(void **state)
{
    struct many many[20] = {0};
    struct stage stage;
    int changes = 0;

    (void)state;
    open_stage(&stage);
    many_done = 0;
    for (int i = 0; i < 20; i++) {
        char text[64];

        many[i].ask.on_done = on_many;
        snprintf(text, sizeof(text), "{\"api_key\":\"sk-%d\"}", i);
        /* All but the first of each half find that another was there. */
        assert_int_equal(secret_store_write(stage.play.store, &many[i].ask, SPAN("one"),
                                            span_from_text(text), i == 10 ? SECRET_ANY : 0),
                         0);
        changes++;
        if (i == 9)
            play_turn(&stage.play);
    }
    assert_true(secret_store_is_busy(stage.play.store));
    play_until(&stage.play, &many_done, changes);
    assert_false(secret_store_is_busy(stage.play.store));
    for (int i = 0; i < 20; i++)
        assert_int_equal(many[i].err, i == 0 || i == 10 ? 0 : ERR_EXISTS);
    reopen(&stage);
    assert_int_equal(play_read(&stage.play, "one"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-10\"}");
    assert_true(stage.play.version == many[10].version);
    close_stage(&stage);
}

/* What was begun is written, though nobody asks any more, and though the store goes. */
static void freed_while_it_is_written(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    stage.play.ask.on_done = play_on_done;
    assert_int_equal(
        secret_store_write(stage.play.store, &stage.play.ask, SPAN("a"), SPAN(PLAY_ONE), 0), 0);
    assert_int_equal(loop_turn(stage.play.loop, 0), 0);
    assert_true(secret_store_is_busy(stage.play.store));
    secret_store_free(&stage.play.store);
    while (access(stage.path, F_OK))
        usleep(1000);
    assert_int_equal(stage.play.done, 0);
    helpers_free(&stage.play.helpers);
    assert_int_equal(loop_turn(stage.play.loop, 0), 0);
    stage.play.helpers = helpers_new(1, 8);
    assert_int_equal(open_store(&stage), 0);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, PLAY_ONE);
    close_stage(&stage);
}

/* A store may be freed by the very answer of one of several changes. */
static void on_done_frees(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct many *many = container_of(ask, struct many, ask);

    on_many(ask, answer);
    secret_store_free(&many->stage->play.store);
}

static void freed_by_an_answer(void **state)
{
    struct many many[3] = {0};
    struct stage stage;

    (void)state;
    open_stage(&stage);
    many_done = 0;
    for (int i = 0; i < 3; i++) {
        many[i].stage = &stage;
        many[i].ask.on_done = i == 1 ? on_done_frees : on_many;
        assert_int_equal(secret_store_write(stage.play.store, &many[i].ask, SPAN("x"),
                                            SPAN(PLAY_ONE), SECRET_ANY),
                         0);
    }
    play_until(&stage.play, &many_done, 2);
    play_turn(&stage.play);
    assert_int_equal(many_done, 2);
    assert_null(many[2].ask.store);
    assert_null(stage.play.store);
    close_stage(&stage);
}

/* ---- what is wrong is told, and left as it is ---- */

static void refused(struct stage *stage, int err, const char *words)
{
    static char before[FILE_BYTES], after[FILE_BYTES];
    size_t len = play_read_file(stage->path, before, sizeof(before));

    assert_int_equal(open_store(stage), err);
    assert_null(stage->play.store);
    if (!strstr(stage->why, words))
        fail_msg("it says: %s", stage->why);
    assert_int_equal(play_read_file(stage->path, after, sizeof(after)), len);
    assert_memory_equal(before, after, len);
}

static void a_broken_file_is_refused(void **state)
{
    static char bytes[FILE_BYTES];
    struct stage stage;
    size_t len;

    (void)state;
    open_stage(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    play_close_store(&stage.play);
    len = play_read_file(stage.path, bytes, sizeof(bytes));

    play_write_file(stage.path, bytes, len - 1, 0600);
    refused(&stage, ERR_PROTO, "bellwether.sealed is damaged or cut short");
    play_write_file(stage.path, bytes, 40, 0600);
    refused(&stage, ERR_PROTO, "bellwether.sealed is cut short");
    play_write_file(stage.path, "", 0, 0600);
    refused(&stage, ERR_SYNTAX, "bellwether.sealed is nothing that Bellwether has sealed");
    bytes[len - 20] ^= 1;
    play_write_file(stage.path, bytes, len, 0600);
    refused(&stage, ERR_PROTO, "is damaged");
    bytes[len - 20] ^= 1;
    bytes[11] = 9;
    play_write_file(stage.path, bytes, len, 0600);
    refused(&stage, ERR_UNSUPPORTED, "by a newer version of Bellwether (format 9)");
    bytes[11] = 1;
    play_write_file(stage.path, bytes, len, 0600);
    assert_int_equal(open_store(&stage), 0);
    close_stage(&stage);
}

static void a_wrong_key_is_refused(void **state)
{
    uint8_t other[SEAL_KEY_BYTES] = {7};
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    play_close_store(&stage.play);
    assert_int_equal(chmod(stage.key_path, 0640), 0);
    refused(&stage, ERR_DENIED, "chmod 600");
    play_write_file(stage.key_path, other, sizeof(other), 0600);
    refused(&stage, ERR_DENIED, "bellwether.sealed is sealed under another key than the one in");
    assert_int_equal(unlink(stage.key_path), 0);
    refused(&stage, ERR_NOTFOUND, "cannot be opened: its key");
    assert_int_equal(access(stage.key_path, F_OK), -1);
    close_stage(&stage);
}

/* Sealed well, and yet no store. */
static void what_is_sealed_is_checked(void **state)
{
    static const char twice[] = "{\"last_version\":1,\"entries\":{"
                                "\"a\":{\"version\":1,\"entry\":{}},"
                                "\"a\":{\"version\":1,\"entry\":{}}}}";
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"entries\":{}}",
        "{\"last_version\":-1,\"entries\":{}}",
        "{\"last_version\":1,\"entries\":[]}",
        "{\"last_version\":1,\"entries\":{\"a\":{}}}",
        "{\"last_version\":1,\"entries\":{\"a\":{\"version\":2,\"entry\":{}}}}",
        "{\"last_version\":1,\"entries\":{\"a\":{\"version\":0,\"entry\":{}}}}",
        "{\"last_version\":1,\"entries\":{\"a\":{\"version\":1,\"entry\":[]}}}",
        "{\"last_version\":1,\"entries\":{\"a\":{\"version\":1,\"entry\":{\"api_key\":\"\"}}}}",
        "{\"last_version\":1,\"entries\":{\"../a\":{\"version\":1,\"entry\":{}}}}",
        twice,
        "{\"last_version\":1,\"entries\":{\"a\":{\"version\":1,\"entry\":{\"api_key\":1}}}}",
        "{\"last_version\":18446744073709551615,\"entries\":{}}",
    };
    struct seal_key key;
    struct stage stage;

    (void)state;
    open_stage(&stage);
    play_close_store(&stage.play);
    assert_int_equal(seal_key_make(stage.key_path, stage.play.secrets, &key, stage.why), 0);
    for (size_t i = 0; i <= sizeof(texts) / sizeof(texts[0]); i++) {
        bool is_good = i == sizeof(texts) / sizeof(texts[0]);
        struct buf sealed;

        buf_init(&sealed, 4096);
        assert_int_equal(
            sealed_close(&key, SEALED_FILE,
                         is_good ? SPAN("{\"last_version\":1,\"entries\":{\"a\":{\"version\":1,"
                                        "\"entry\":{}}}}")
                                 : span_from_text(texts[i]),
                         &sealed),
            0);
        play_write_file(stage.path, sealed.data, sealed.len, 0600);
        buf_fini(&sealed);
        if (is_good)
            assert_int_equal(open_store(&stage), 0);
        else
            refused(&stage, ERR_PROTO, "holds no secrets that this version can read");
    }
    seal_key_fini(&key);
    close_stage(&stage);
}

static void a_file_that_somebody_else_changed_is_kept(void **state)
{
    struct sealed_file_options options;
    struct secret_store *other;
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    other = stage.play.store;
    options = (struct sealed_file_options){.loop = stage.play.loop,
                                           .helpers = stage.play.helpers,
                                           .secrets = stage.play.secrets,
                                           .path = stage.path,
                                           .key_path = stage.key_path};
    assert_int_equal(sealed_file_open(&options, &stage.play.store, stage.why), 0);
    assert_int_equal(play_write(&stage.play, "b", PLAY_TWO, 0), 0);
    secret_store_free(&stage.play.store);
    stage.play.store = other;
    assert_int_equal(play_write(&stage.play, "c", PLAY_TWO, 0), ERR_DENIED);
    assert_non_null(strstr(stage.play.why, "was changed by somebody else"));
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a\n");
    assert_int_equal(files_in(stage.folder), 2);
    reopen(&stage);
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a\nb\n");
    close_stage(&stage);
}

/* A disk that takes no more: the change is refused, all else stays, and the next one may succeed.
 */
static void a_full_disk(void **state)
{
    const struct sigaction ignored = {.sa_handler = SIG_IGN};
    struct rlimit limit, small;
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(sigaction(SIGXFSZ, &ignored, NULL), 0);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    small = limit;
    small.rlim_cur = 60;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    play_watch(&stage.play, "a");
    assert_int_equal(play_write(&stage.play, "a", PLAY_TWO, SECRET_ANY), ERR_IO);
    assert_non_null(strstr(stage.play.why, "File too large"));
    assert_int_equal(play_write(&stage.play, "b", PLAY_TWO, SECRET_ANY), ERR_IO);
    assert_int_equal(play_remove(&stage.play, "a", SECRET_ANY), ERR_IO);
    assert_int_equal(stage.play.changes, 0);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, PLAY_ONE);
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a\n");
    assert_int_equal(files_in(stage.folder), 2);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_int_equal(play_write(&stage.play, "b", PLAY_TWO, 0), 0);
    assert_int_equal(play_write(&stage.play, "a", PLAY_TWO, 1), 0);
    assert_int_equal(stage.play.changes, 1);
    reopen(&stage);
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a\nb\n");
    close_stage(&stage);
}

static void no_folder(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    play_close_store(&stage.play);
    snprintf(stage.path, sizeof(stage.path), "%s/none/bellwether.sealed", stage.folder);
    assert_int_equal(open_store(&stage), 0);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), ERR_NOTFOUND);
    assert_non_null(strstr(stage.play.why, "No such file or directory"));
    close_stage(&stage);
}

/* No place in the locked memory for another entry. */
static void a_full_arena(void **state)
{
    struct secret_arena *whole, *small;
    struct stage stage;
    bool is_locked;
    int count = 0;

    (void)state;
    open_stage(&stage);
    play_close_store(&stage.play);
    whole = stage.play.secrets;
    small = stage.play.secrets = secret_arena_new(4096, &is_locked);
    assert_int_equal(open_store(&stage), 0);
    for (int err = 0; !err; count += !err) {
        char path[16];

        snprintf(path, sizeof(path), "p%d", count);
        err = play_write(&stage.play, path, PLAY_ONE, 0);
    }
    assert_in_range(count, 10, 64);
    assert_int_equal(stage.play.err, ERR_FULL);
    assert_int_equal(play_remove(&stage.play, "p0", SECRET_ANY), 0);
    assert_int_equal(play_write(&stage.play, "again", PLAY_ONE, 0), 0);
    play_close_store(&stage.play);
    stage.play.secrets = whole;
    secret_arena_free(&small);
    close_stage(&stage);
}

/* ---- many ---- */

/* Ten thousand entries are written, and read again, within a second each (where nothing watches
 * each byte). */
static void ten_thousand(void **state)
{
    struct many *many = calloc(MANY, sizeof(*many));
    uint64_t began_us, wrote_us, read_us;
    struct stage stage;
    char text[256], path[64];

    (void)state;
    assert_non_null(many);
    open_stage(&stage);
    many_done = 0;
    began_us = clock_now_us();
    for (int i = 0; i < MANY; i++) {
        snprintf(path, sizeof(path), "provider-%d/key-%d", i % 50, i);
        snprintf(text, sizeof(text),
                 "{\"api_key\":\"sk-proj-%064d\",\"key_id\":\"key_%d\",\"created_by\":\"rotation\","
                 "\"created_at\":\"2026-11-21T18:00:00Z\"}",
                 i, i);
        many[i].ask.on_done = on_many;
        assert_int_equal(secret_store_write(stage.play.store, &many[i].ask, span_from_text(path),
                                            span_from_text(text), 0),
                         0);
    }
    play_until(&stage.play, &many_done, MANY);
    wrote_us = clock_now_us() - began_us;
    for (int i = 0; i < MANY; i++)
        assert_int_equal(many[i].err, 0);
    play_close_store(&stage.play);
    began_us = clock_now_us();
    assert_int_equal(open_store(&stage), 0);
    read_us = clock_now_us() - began_us;
    print_message("%d entries: written in %llu us, read in %llu us\n", MANY,
                  (unsigned long long)wrote_us, (unsigned long long)read_us);
    assert_true(wrote_us < 20 * US_PER_SEC && read_us < 20 * US_PER_SEC);
    assert_int_equal(play_read(&stage.play, "provider-49/key-9999"), 0);
    assert_non_null(strstr(stage.play.text, "\"key_id\":\"key_9999\""));
    free(many);
    close_stage(&stage);
}

#ifdef BW_FAULTS
/* Whatever allocation fails, what was there stays, and the store goes on. */
static void without_memory(void **state)
{
    struct stage stage;
    bool is_pending = false;

    (void)state;
    open_stage(&stage);
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, 0), 0);
    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = play_write(&stage.play, "b/c", PLAY_TWO, SECRET_ANY);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_true(err == 0 || err == ERR_NOMEM);
        assert_true(err == ERR_NOMEM || is_pending);
        assert_int_equal(play_read(&stage.play, "b/c"), 0);
        assert_int_equal(stage.play.version != 0, err == 0);
        assert_int_equal(play_read(&stage.play, "a"), 0);
        assert_string_equal(stage.play.text, PLAY_ONE);
    }
    is_pending = false;
    for (long after = 0; !is_pending; after++) {
        int err;

        play_close_store(&stage.play);
        mem_fail_after(after);
        err = open_store(&stage);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_int_equal(err, is_pending ? 0 : ERR_NOMEM);
    }
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "a\nb/\n");
    close_stage(&stage);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_a_store),
        cmocka_unit_test(entries_outlive_the_program),
        cmocka_unit_test(changes_are_put_together),
        cmocka_unit_test(freed_while_it_is_written),
        cmocka_unit_test(freed_by_an_answer),
        cmocka_unit_test(a_broken_file_is_refused),
        cmocka_unit_test(a_wrong_key_is_refused),
        cmocka_unit_test(what_is_sealed_is_checked),
        cmocka_unit_test(a_file_that_somebody_else_changed_is_kept),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(no_folder),
        cmocka_unit_test(a_full_arena),
        cmocka_unit_test(ten_thousand),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
