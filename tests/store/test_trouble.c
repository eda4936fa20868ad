/* A disk that is full, or fails, under an open store; another process in the way; damage that comes
 * to light. */
#include "stage.h"

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "disk.h"
#include "store/audit.h"
#include "store/meta.h"

static struct audit_line line_at(uint64_t at)
{
    return (struct audit_line){.at_wall_us = at,
                               .actor = SPAN("ops"),
                               .action = SPAN("rotate"),
                               .result = SPAN("done"),
                               .detail = SPAN("a few words that take some room on a disk")};
}

static int add(struct stage *stage, struct reply *reply, uint64_t at)
{
    const struct audit_line line = line_at(at);

    return audit_add(stage->store, reply ? reply_for(reply) : NULL, &line);
}

static int get(struct stage *stage, struct span name)
{
    struct reply reply = {0};

    return stage_done(stage, &reply, meta_get(stage->store, reply_for(&reply), name));
}

static int64_t number_in(const struct stage *stage, const char *statement)
{
    struct sqlite3 *conn = stage_connect(stage->path);
    int64_t number = stage_number(conn, statement);

    sqlite3_close(conn);
    return number;
}

static void open_with_a_line(struct stage *stage)
{
    struct reply reply = {0};

    disk_set(DISK_FINE);
    stage_open(stage);
    stage_begin(stage, NULL);
    assert_int_equal(stage_done(stage, &reply, add(stage, &reply, 1)), 0);
    assert_int_equal(stage->tellings, 0);
}

/* Whatever the disk's mood: told once, kept, tried again, written in order, told once that it is
 * over. */
static void play_trouble(enum disk_mood mood, int err)
{
    struct reply replies[20] = {0}, read = {0};
    struct stage stage;

    open_with_a_line(&stage);
    disk_set(mood);
    assert_int_equal(meta_get(stage.store, reply_for(&read), SPAN("a")), 0);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(add(&stage, &replies[i], 2 + i), 0);
        stage_pass(&stage, 600 * US_PER_MS);
    }
    stage_pass(&stage, 3600 * US_PER_SEC);
    assert_int_equal(stage.tellings, 1);
    assert_int_equal(stage.told.err, err);
    assert_true(stage.told.is_keeping);
    assert_true(stage.told.since_wall_us > 0);
    assert_true(strlen(stage.told.why) > 0);
    assert_int_equal(store_health(stage.store)->queued, 20);
    assert_int_equal(read.calls, 1); /* though it shared a transaction with the first write */
    assert_int_equal(read.err, ERR_NOTFOUND);
    assert_int_equal(get(&stage, SPAN("a")), ERR_NOTFOUND);
    for (int i = 0; i < 20; i++)
        assert_int_equal(replies[i].calls, 0);

    disk_set(DISK_FINE);
    stage_pass(&stage, 30 * US_PER_SEC);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(replies[i].calls, 1);
        assert_int_equal(replies[i].err, 0);
    }
    assert_int_equal(stage.tellings, 2);
    assert_int_equal(stage.told.err, 0);
    assert_false(stage.told.is_keeping);
    assert_int_equal(stage.told.since_wall_us, 0);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), 21);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit WHERE seq <> at_us"), 0);
    stage_close(&stage);
}

static void a_full_disk(void **state)
{
    play_trouble(DISK_FULL, ERR_FULL);
}

static void a_disk_that_fails(void **state)
{
    play_trouble(DISK_BROKEN, ERR_IO);
}

static void a_disk_that_makes_nothing_last(void **state)
{
    play_trouble(DISK_UNSYNCED, ERR_IO);
}

static void tries_grow_rare(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    open_with_a_line(&stage);
    disk_set(DISK_UNSYNCED);
    disk_syncs();
    assert_int_equal(add(&stage, &reply, 2), 0);
    stage_pass(&stage, 500 * US_PER_MS);
    assert_int_equal(disk_syncs(), 1);
    stage_pass(&stage, 32 * US_PER_SEC); /* after 1, 3, 7, 15, 31 s */
    assert_int_equal(disk_syncs(), 5);
    stage_pass(&stage, 300 * US_PER_SEC); /* every 30 s */
    assert_int_equal(disk_syncs(), 10);
    assert_int_equal(reply.calls, 0);
    disk_set(DISK_FINE);
    stage_close(&stage);
    assert_int_equal(reply.calls, 0);
}

static void kept_writes_are_bounded(void **state)
{
    struct reply reply = {0};
    struct stage stage;
    int begun = 0;

    open_with_a_line(&stage);
    disk_set(DISK_FULL);
    while (begun < 10000 && add(&stage, NULL, 2) == 0) {
        if (++begun % 100 == 0)
            stage_settle(&stage);
    }
    assert_int_equal(begun, STORE_MAX_QUEUED);
    assert_int_equal(add(&stage, &reply, 3), ERR_FULL);
    disk_set(DISK_FINE);
    stage_pass(&stage, 60 * US_PER_SEC);
    assert_int_equal(stage_done(&stage, &reply, add(&stage, &reply, 3)), 0);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), STORE_MAX_QUEUED + 2);
    stage_close(&stage);
}

/* The end tries once more, and does not wait for better times. */
static void the_end_gives_up_what_cannot_be_written(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    open_with_a_line(&stage);
    disk_set(DISK_FULL);
    assert_int_equal(add(&stage, &reply, 2), 0);
    stage_settle(&stage);
    assert_int_equal(store_flush(stage.store), ERR_FULL);
    assert_int_equal(store_health(stage.store)->queued, 1);
    stage_end(&stage);
    assert_int_equal(reply.calls, 0);
    disk_set(DISK_FINE);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), 1);

    stage_begin(&stage, NULL);
    disk_set(DISK_FULL);
    assert_int_equal(add(&stage, &reply, 2), 0);
    stage_settle(&stage);
    disk_set(DISK_FINE);
    assert_int_equal(store_flush(stage.store), ERR_OK); /* now there is room */
    stage_end(&stage);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), 2);
    stage_close(&stage);
}

/* Another process that writes holds us up, and is waited for. */
static void another_process_in_the_way(void **state)
{
    struct reply reply = {0};
    struct stage stage;
    sqlite3 *other;

    open_with_a_line(&stage);
    other = stage_connect(stage.path);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(add(&stage, &reply, 2), 0);
    while (!stage.tellings)
        stage_turn(&stage);
    assert_int_equal(stage.told.err, ERR_AGAIN);
    assert_true(stage.told.is_keeping);
    assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    stage_pass(&stage, 30 * US_PER_SEC);
    assert_int_equal(reply.calls, 1);
    assert_int_equal(reply.err, 0);
    assert_int_equal(stage.tellings, 2);
    stage_close(&stage);
}

/* Another process of this program has the file, be it idle or not: said so, and taken over once
 * that one has gone. */
static void another_store_has_the_file(void **state)
{
    struct reply reply = {0};
    struct store *other;
    struct stage stage;

    open_with_a_line(&stage);
    other = stage.store;
    stage.store = NULL;
    stage_begin(&stage, NULL);
    assert_int_equal(stage_done(&stage, &reply, add(&stage, &reply, 2)), ERR_AGAIN);
    assert_non_null(strstr(reply.why, "is in use by another process"));
    assert_int_equal(stage.told.err, ERR_AGAIN);
    store_free(&other);
    stage_pass(&stage, 5 * US_PER_SEC);
    reply = (struct reply){0};
    assert_int_equal(stage_done(&stage, &reply, add(&stage, &reply, 3)), 0);
    assert_int_equal(stage.told.err, 0);
    assert_int_equal(number_in(&stage, "SELECT count(*) FROM audit"), 2);
    stage_close(&stage);
}

/* Who begins waits for what it must know, and is told of it without a turn of the loop. */
static void waited_for_at_the_start(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_true(store_await(stage.store, 0)); /* nothing is under way */
    assert_int_equal(add(&stage, &reply, 1), 0);
    assert_true(store_await(stage.store, 60 * US_PER_SEC));
    assert_int_equal(reply.calls, 1);
    assert_int_equal(reply.err, 0);
    stage_settle(&stage);
    assert_int_equal(reply.calls, 1);
    stage_close(&stage);
}

/* Tables that are not as we made them: each ask is answered, and nothing is kept for ever. */
static void damage_that_comes_to_light(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    open_with_a_line(&stage);
    assert_int_equal(get(&stage, SPAN("a")), ERR_NOTFOUND);
    stage_execute(stage.path, "DROP TABLE audit");
    assert_int_equal(stage_done(&stage, &reply, add(&stage, &reply, 2)), ERR_SYNTAX);
    assert_non_null(strstr(reply.why, "no such table: audit"));
    assert_false(store_health(stage.store)->is_open);
    assert_false(store_health(stage.store)->is_keeping);
    assert_int_equal(stage.tellings, 1);
    assert_int_equal(get(&stage, SPAN("a")), ERR_SYNTAX);
    stage_pass(&stage, 6 * US_PER_SEC);
    assert_int_equal(get(&stage, SPAN("a")), ERR_NOTFOUND);
    assert_int_equal(stage.told.err, 0);
    stage_close(&stage);
}

/* ---- the limit of a file's size, as a real disk would have it ---- */

enum { ADDED = 3000, SHARE = 100 };

/* How many were told to be written, before and after the limit was taken away. */
static int write_under_a_limit(struct stage *stage)
{
    struct rlimit limit = {.rlim_cur = 160000, .rlim_max = RLIM_INFINITY};
    int begun = 0;

    setrlimit(RLIMIT_FSIZE, &limit);
    stage_begin(stage, NULL);
    for (; begun < ADDED && !stage->tellings; begun++) {
        if (add(stage, NULL, (uint64_t)begun + 1) != 0)
            return 1;
        if (begun % SHARE == 0)
            stage_settle(stage);
    }
    if (stage->tellings != 1 || !stage->told.is_keeping || !stage->told.err)
        return 2;
    limit.rlim_cur = RLIM_INFINITY;
    setrlimit(RLIMIT_FSIZE, &limit);
    stage_pass(stage, 60 * US_PER_SEC);
    if (stage->tellings != 2 || stage->told.err)
        return 3;
    stage_end(stage);
    return number_in(stage, "SELECT count(*) FROM audit") == begun &&
                   number_in(stage, "SELECT count(*) FROM audit WHERE seq <> at_us") == 0
               ? 0
               : 4;
}

static void a_file_that_may_not_grow(void **state)
{
    struct stage stage;
    int status;
    pid_t child;

    stage_open(&stage);
    fflush(NULL);
    child = fork();
    if (child == 0)
        _exit(write_under_a_limit(&stage));
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    stage_close(&stage);
}

static int set_up(void **state)
{
    disk_install();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_may_not_grow), /* forks: before any thread */
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_disk_that_fails),
        cmocka_unit_test(a_disk_that_makes_nothing_last),
        cmocka_unit_test(tries_grow_rare),
        cmocka_unit_test(kept_writes_are_bounded),
        cmocka_unit_test(the_end_gives_up_what_cannot_be_written),
        cmocka_unit_test(another_process_in_the_way),
        cmocka_unit_test(another_store_has_the_file),
        cmocka_unit_test(waited_for_at_the_start),
        cmocka_unit_test(damage_that_comes_to_light),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
