/* Files as a store: an operator's folder, one that Kubernetes mounts, and one file alone. */
#include "store_play.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "secrets/folder_disk.h"
#include "secrets/folder_store.h"

#define NEVER_US (3600 * US_PER_SEC)

struct stage {
    struct play play;
    char folder[512];
    int swaps;
};

static int open_store(struct stage *stage, const char *name, uint64_t poll_us)
{
    char path[600];
    struct folder_store_options options = {.loop = stage->play.loop,
                                           .helpers = stage->play.helpers,
                                           .path = path,
                                           .is_file = name != NULL,
                                           .poll_us = poll_us};

    snprintf(path, sizeof(path), "%s%s%s", stage->folder, name ? "/" : "", name ? name : "");
    stage->play.store = folder_store_new(&options);
    return stage->play.store ? 0 : ERR_NOMEM;
}

static void open_stage(struct stage *stage)
{
    play_open(&stage->play);
    stage->swaps = 0;
    play_make_folder(stage->folder, sizeof(stage->folder));
}

static void close_stage(struct stage *stage)
{
    play_close(&stage->play);
    play_remove_folder(stage->folder);
}

static const char *path_in(const struct stage *stage, const char *name)
{
    static char paths[4][1200];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", stage->folder, name);
    return path;
}

static void put(const struct stage *stage, const char *name, const char *text)
{
    play_write_file(path_in(stage, name), text, strlen(text), 0600);
}

static void it_is_a_store(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    assert_string_equal(secret_store_kind(stage.play.store), "folder");
    store_conforms(&stage.play);
    close_stage(&stage);
}

static void what_files_may_hold(void **state)
{
    static const struct {
        const char *text, *entry;
    } good[] = {
        {"sk-1", "{\"api_key\":\"sk-1\"}"},
        {"sk-1\n", "{\"api_key\":\"sk-1\"}"},
        {"sk-1\r\n", "{\"api_key\":\"sk-1\"}"},
        {"sk \"1\"\n", "{\"api_key\":\"sk \\\"1\\\"\"}"},
        {"{\"api_key\": \"sk-1\"}\n", "{\"api_key\": \"sk-1\"}"},
        {"{\n}\n", "{\n}"},
    };
    static const struct {
        const char *text, *why;
    } wrong[] = {
        {"", "/a is empty"},
        {"\n", "/a is empty"},
        {"sk-1\n\n", "/a holds a key with control characters"},
        {"sk-1\nsk-2\n", "/a holds a key with control characters"},
        {"sk\t1", "/a holds a key with control characters"},
        {"sk-1\x7f", "/a holds a key with control characters"},
        {"{", "/a is no JSON"},
        {"{\"api_key\":\"a\\tb\"}", "/a holds an api_key that is no string, empty, or has"},
        {"{\"api_key\":{}}", "/a holds an api_key that is no string, empty, or has"},
        {"{\"a\":1,\"a\":2}", "/a holds a member twice"},
    };
    static char large[SECRET_ENTRY_MAX_BYTES + 2];
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        put(&stage, "a", good[i].text);
        assert_int_equal(play_read(&stage.play, "a"), 0);
        assert_string_equal(stage.play.text, good[i].entry);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        put(&stage, "a", wrong[i].text);
        assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
        assert_string_equal(stage.play.text, "");
        if (!strstr(stage.play.why, wrong[i].why))
            fail_msg("it says: %s", stage.play.why);
    }
    memset(large, 'x', sizeof(large) - 1);
    put(&stage, "a", large);
    assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
    large[SECRET_ENTRY_MAX_BYTES - 1] = '\0';
    put(&stage, "a", large);
    assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
    assert_non_null(strstr(stage.play.why, "is larger than 128 KiB"));
    /* Nobody writes at its other end. */
    assert_int_equal(unlink(path_in(&stage, "a")), 0);
    assert_int_equal(mkfifo(path_in(&stage, "a"), 0600), 0);
    assert_int_equal(play_read(&stage.play, "a"), ERR_SYNTAX);
    assert_non_null(strstr(stage.play.why, "/a is no plain file"));
    /* What the store itself would write over is written, broken as it is. */
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, SECRET_ANY), 0);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    close_stage(&stage);
}

static void written_for_the_owner_alone(void **state)
{
    char bytes[256];
    struct stage stage;
    struct stat about;
    size_t len;

    (void)state;
    open_stage(&stage);
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    assert_int_equal(play_write(&stage.play, "b/c", PLAY_ONE, 0), 0);
    assert_int_equal(stat(path_in(&stage, "b/c"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0600);
    assert_int_equal(stat(path_in(&stage, "b"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0700);
    len = play_read_file(path_in(&stage, "b/c"), bytes, sizeof(bytes));
    assert_true(span_is_equal(span_of(bytes, len), SPAN(PLAY_ONE "\n")));
    /* Where a folder stands no entry can be, nor below one. */
    assert_int_equal(play_write(&stage.play, "b", PLAY_ONE, SECRET_ANY), ERR_IO);
    assert_non_null(strstr(stage.play.why, "/b: Is a directory"));
    assert_int_equal(play_write(&stage.play, "b/c/d", PLAY_ONE, SECRET_ANY), ERR_IO);
    assert_int_equal(play_remove(&stage.play, "b", SECRET_ANY), ERR_IO);
    assert_int_equal(play_list(&stage.play, "b"), 0);
    assert_string_equal(stage.play.names, "c\n");
    close_stage(&stage);
}

static void no_folder(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    play_remove_folder(stage.folder);
    assert_int_equal(open_store(&stage, NULL, 20 * US_PER_MS), 0);
    assert_int_equal(play_read(&stage.play, "a"), ERR_NOTFOUND);
    assert_non_null(strstr(stage.play.why, "No such file or directory"));
    assert_int_equal(play_write(&stage.play, "a", PLAY_ONE, SECRET_ANY), ERR_NOTFOUND);
    assert_int_equal(play_list(&stage.play, ""), ERR_NOTFOUND);
    /* And told once, until it is there. */
    play_watch(&stage.play, "a");
    play_until(&stage.play, &stage.play.troubles, 1);
    assert_non_null(strstr(stage.play.trouble, "No such file or directory"));
    for (int i = 0; i < 5; i++)
        play_turn(&stage.play);
    assert_int_equal(stage.play.troubles, 1);
    assert_int_equal(mkdir(stage.folder, 0700), 0);
    play_until(&stage.play, &stage.play.troubles, 2);
    assert_string_equal(stage.play.trouble, "(over)");
    put(&stage, "a", "sk-1");
    play_until(&stage.play, &stage.play.changes, 2);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-1\"}");
    close_stage(&stage);
}

/* Heard of by inotify alone. */
static void changes_are_heard_of(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(mkdir(path_in(&stage, "b"), 0700), 0);
    put(&stage, "b/a", "sk-1");
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    play_watch(&stage.play, "b/a");
    play_until(&stage.play, &stage.play.changes, 1);
    put(&stage, "b/a", "sk-2");
    play_until(&stage.play, &stage.play.changes, 2);
    put(&stage, "b/.new", "sk-3");
    assert_int_equal(rename(path_in(&stage, "b/.new"), path_in(&stage, "b/a")), 0);
    play_until(&stage.play, &stage.play.changes, 3);
    assert_int_equal(play_read(&stage.play, "b/a"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-3\"}");
    /* Not of this one. */
    put(&stage, "b/other", "sk-4");
    put(&stage, "b/a", "");
    play_until(&stage.play, &stage.play.troubles, 1);
    assert_non_null(strstr(stage.play.trouble, "/b/a is empty"));
    assert_int_equal(stage.play.changes, 3);
    put(&stage, "b/a", "sk-3");
    play_until(&stage.play, &stage.play.troubles, 2);
    assert_int_equal(stage.play.changes, 3);
    assert_int_equal(unlink(path_in(&stage, "b/a")), 0);
    play_until(&stage.play, &stage.play.changes, 4);
    assert_int_equal(play_read(&stage.play, "b/a"), 0);
    assert_int_equal(stage.play.version, 0);
    close_stage(&stage);
}

/* Of what is written through a mapping inotify tells nothing. */
static void changes_are_looked_for(void **state)
{
    struct stage stage;
    char *bytes;
    int fd;

    (void)state;
    open_stage(&stage);
    put(&stage, "a", "sk-1");
    fd = open(path_in(&stage, "a"), O_RDWR);
    bytes = mmap(NULL, 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_true(bytes != MAP_FAILED);
    assert_int_equal(open_store(&stage, NULL, 20 * US_PER_MS), 0);
    play_watch(&stage.play, "a");
    play_until(&stage.play, &stage.play.changes, 1);
    bytes[3] = '2';
    play_until(&stage.play, &stage.play.changes, 2);
    assert_int_equal(play_read(&stage.play, "a"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-2\"}");
    munmap(bytes, 4);
    close(fd);
    close_stage(&stage);
}

/* ---- as Kubernetes does it ---- */

/* The files of now, a pair of them, swapped in as kubelet's atomic writer does. */
static void swap(struct stage *stage, const char *first, const char *second)
{
    char name[64], old[256] = "", file[128];
    ssize_t len = readlink(path_in(stage, "..data"), old, sizeof(old) - 1);

    old[len > 0 ? len : 0] = '\0';
    snprintf(name, sizeof(name), "..2026_11_21_10_15_00.%d", stage->swaps++);
    assert_int_equal(mkdir(path_in(stage, name), 0700), 0);
    snprintf(file, sizeof(file), "%s/first", name);
    put(stage, file, first);
    if (second) {
        snprintf(file, sizeof(file), "%s/second", name);
        put(stage, file, second);
    }
    assert_int_equal(symlink(name, path_in(stage, "..data_tmp")), 0);
    assert_int_equal(rename(path_in(stage, "..data_tmp"), path_in(stage, "..data")), 0);
    (void)!symlink("..data/first", path_in(stage, "first"));
    (void)!symlink("..data/second", path_in(stage, "second"));
    if (old[0])
        play_remove_folder(path_in(stage, old));
}

static void a_mounted_folder(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    swap(&stage, "sk-1\n", "sk-2\n");
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "first\nsecond\n");
    assert_int_equal(play_read(&stage.play, "first"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-1\"}");
    assert_int_equal(play_write(&stage.play, "first", PLAY_ONE, SECRET_ANY), ERR_UNSUPPORTED);
    assert_non_null(strstr(stage.play.why, "is mounted: it is changed where it comes from"));
    assert_int_equal(play_remove(&stage.play, "first", SECRET_ANY), ERR_UNSUPPORTED);

    play_watch(&stage.play, "second");
    play_until(&stage.play, &stage.play.changes, 1);
    swap(&stage, "sk-1\n", "sk-3\n");
    play_until(&stage.play, &stage.play.changes, 2);
    assert_int_equal(play_read(&stage.play, "second"), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-3\"}");
    swap(&stage, "sk-1\n", NULL);
    play_until(&stage.play, &stage.play.changes, 3);
    assert_int_equal(play_read(&stage.play, "second"), 0);
    assert_int_equal(stage.play.version, 0);
    swap(&stage, "sk-1\n", "sk-4\n");
    play_until(&stage.play, &stage.play.changes, 4);
    assert_int_equal(stage.play.troubles, 0);
    close_stage(&stage);
}

/* Swapped again and again while it is read: never is anything missing. */
static void swapped_while_it_is_read(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    swap(&stage, "sk-0", "sk-0");
    assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
    for (int i = 1; i < 50; i++) {
        char key[32], entry[64];

        snprintf(key, sizeof(key), "sk-%d", i);
        stage.play.ask.on_done = play_on_done;
        assert_int_equal(secret_store_read(stage.play.store, &stage.play.ask, SPAN("first")), 0);
        assert_int_equal(loop_turn(stage.play.loop, 0), 0);
        swap(&stage, key, key);
        assert_int_equal(play_wait(&stage.play, 0), 0);
        assert_int_not_equal(stage.play.version, 0);
        assert_int_equal(play_read(&stage.play, "second"), 0);
        snprintf(entry, sizeof(entry), "{\"api_key\":\"%s\"}", key);
        assert_string_equal(stage.play.text, entry);
    }
    close_stage(&stage);
}

/* Swapped between the opening of the folder and that of a file: what is not found there may be in
 * the next, and that is known. */
static void a_place_that_was_swapped_away(void **state)
{
    char why[SECRET_WORDS_BYTES];
    struct folder_place place;
    struct stage stage;
    struct buf entry;
    uint64_t version;

    (void)state;
    open_stage(&stage);
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    swap(&stage, "sk-1", NULL);
    assert_int_equal(folder_place_open(&place, stage.folder, why), 0);
    assert_true(folder_place_is_current(&place));
    assert_int_equal(folder_read(&place, "first", &entry, &version, why), 0);
    assert_int_not_equal(version, 0);
    swap(&stage, "sk-2", NULL);
    assert_int_equal(folder_read(&place, "first", &entry, &version, why), 0);
    assert_int_equal(version, 0);
    assert_false(folder_place_is_current(&place));
    folder_place_close(&place);
    buf_fini(&entry);
    close_stage(&stage);
}

/* ---- one file ---- */

static void one_file(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    assert_int_equal(open_store(&stage, "openai key", NEVER_US), 0);
    assert_string_equal(secret_store_kind(stage.play.store), "file");
    assert_int_equal(play_read(&stage.play, FOLDER_STORE_FILE), 0);
    assert_int_equal(stage.play.version, 0);
    play_watch(&stage.play, FOLDER_STORE_FILE);
    play_until(&stage.play, &stage.play.changes, 1);
    put(&stage, "openai key", "sk-1\n");
    play_until(&stage.play, &stage.play.changes, 2);
    assert_int_equal(play_read(&stage.play, FOLDER_STORE_FILE), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-1\"}");
    assert_int_equal(play_list(&stage.play, ""), 0);
    assert_string_equal(stage.play.names, "key\n");
    assert_int_equal(play_list(&stage.play, "key"), 0);
    assert_string_equal(stage.play.names, "");
    /* Nothing else stands there, whatever the folder holds. */
    put(&stage, "other", "sk-2\n");
    assert_int_equal(play_read(&stage.play, "other"), 0);
    assert_int_equal(stage.play.version, 0);
    assert_int_equal(play_write(&stage.play, "other", PLAY_ONE, SECRET_ANY), ERR_UNSUPPORTED);
    assert_int_equal(play_remove(&stage.play, "other", SECRET_ANY), 0);
    assert_int_equal(play_remove(&stage.play, "other", 7), ERR_EXISTS);
    assert_int_equal(play_read(&stage.play, FOLDER_STORE_FILE), 0);
    assert_int_equal(play_write(&stage.play, FOLDER_STORE_FILE, PLAY_TWO, stage.play.version), 0);
    assert_int_equal(play_read(&stage.play, FOLDER_STORE_FILE), 0);
    assert_string_equal(stage.play.text, PLAY_TWO);
    assert_int_equal(play_remove(&stage.play, FOLDER_STORE_FILE, stage.play.version), 0);
    assert_int_equal(access(path_in(&stage, "openai key"), F_OK), -1);
    assert_int_equal(access(path_in(&stage, "other"), F_OK), 0);
    close_stage(&stage);
}

static void one_file_that_is_mounted(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    swap(&stage, "sk-1\n", NULL);
    assert_int_equal(open_store(&stage, "first", NEVER_US), 0);
    play_watch(&stage.play, FOLDER_STORE_FILE);
    play_until(&stage.play, &stage.play.changes, 1);
    swap(&stage, "sk-2\n", NULL);
    play_until(&stage.play, &stage.play.changes, 2);
    assert_int_equal(play_read(&stage.play, FOLDER_STORE_FILE), 0);
    assert_string_equal(stage.play.text, "{\"api_key\":\"sk-2\"}");
    close_stage(&stage);
}

/* ---- ends ---- */

static void freed_at_work(void **state)
{
    struct stage stage;

    (void)state;
    open_stage(&stage);
    put(&stage, "a", "sk-1");
    for (int turns = 0; turns < 3; turns++) {
        assert_int_equal(open_store(&stage, NULL, NEVER_US), 0);
        stage.play.ask.on_done = play_on_done;
        play_watch(&stage.play, "a");
        assert_int_equal(secret_store_read(stage.play.store, &stage.play.ask, SPAN("a")), 0);
        for (int i = 0; i < turns; i++)
            assert_int_equal(loop_turn(stage.play.loop, 0), 0);
        secret_watch_cancel(&stage.play.watch);
        secret_store_free(&stage.play.store);
        assert_null(stage.play.ask.store);
        assert_null(stage.play.watch.store);
    }
    close_stage(&stage);
}

#ifdef BW_FAULTS
static void without_memory(void **state)
{
    struct stage stage;
    bool is_pending = false;

    (void)state;
    open_stage(&stage);
    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = open_store(&stage, NULL, NEVER_US);
        if (!err)
            err = play_write(&stage.play, "b/c", PLAY_TWO, SECRET_ANY);
        if (!err)
            err = play_read(&stage.play, "b/c");
        if (!err)
            err = play_list(&stage.play, "b");
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_int_equal(err, is_pending ? 0 : ERR_NOMEM);
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
        cmocka_unit_test(what_files_may_hold),
        cmocka_unit_test(written_for_the_owner_alone),
        cmocka_unit_test(no_folder),
        cmocka_unit_test(changes_are_heard_of),
        cmocka_unit_test(changes_are_looked_for),
        cmocka_unit_test(a_mounted_folder),
        cmocka_unit_test(swapped_while_it_is_read),
        cmocka_unit_test(a_place_that_was_swapped_away),
        cmocka_unit_test(one_file),
        cmocka_unit_test(one_file_that_is_mounted),
        cmocka_unit_test(freed_at_work),
#ifdef BW_FAULTS
        cmocka_unit_test(without_memory),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
