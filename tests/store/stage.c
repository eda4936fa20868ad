#include "stage.h"

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "store/database.h"
#include "store/store_body.h"

static void on_health(void *owner, const struct store_health *health)
{
    struct stage *stage = owner;

    stage->tellings++;
    stage->told = *health;
}

void stage_open(struct stage *stage)
{
    memset(stage, 0, sizeof(*stage));
    snprintf(stage->folder, sizeof(stage->folder), "/tmp/bw-store-XXXXXX");
    assert_non_null(mkdtemp(stage->folder));
    snprintf(stage->path, sizeof(stage->path), "%s/bellwether.db", stage->folder);
    stage->loop = loop_new_virtual(STAGE_START);
    assert_non_null(stage->loop);
}

void stage_begin(struct stage *stage, const struct schema *schema)
{
    const struct store_options options = {
        .loop = stage->loop, .path = stage->path, .on_health = on_health, .owner = stage};

    stage->tellings = 0;
    stage->store = store_new_with(&options, schema ? schema : &store_schema);
    assert_non_null(stage->store);
}

void stage_end(struct stage *stage)
{
    store_free(&stage->store);
    assert_null(stage->store);
}

void stage_close(struct stage *stage)
{
    DIR *folder = opendir(stage->folder);
    struct dirent *entry;

    stage_end(stage);
    loop_free(&stage->loop);
    assert_non_null(folder);
    while ((entry = readdir(folder)))
        unlinkat(dirfd(folder), entry->d_name, 0);
    closedir(folder);
    rmdir(stage->folder);
}

static void on_done(struct store_ask *ask, const struct store_answer *answer)
{
    struct reply *reply = container_of(ask, struct reply, ask);

    reply->calls++;
    reply->err = answer->err;
    reply->count = answer->count;
    snprintf(reply->why, sizeof(reply->why), "%s", answer->why);
    if (reply->look && !answer->err)
        reply->look(answer, reply->owner);
}

struct store_ask *reply_for(struct reply *reply)
{
    assert_null(reply->ask.op);
    reply->ask.on_done = on_done;
    reply->calls = 0;
    return &reply->ask;
}

void stage_turn(struct stage *stage)
{
    if (!store_is_idle(stage->store))
        usleep(100);
    assert_int_equal(loop_turn(stage->loop, US_PER_MS), 0);
}

int stage_await(struct stage *stage, struct reply *reply)
{
    uint64_t give_up_us = clock_now_us() + 60 * US_PER_SEC;

    while (!reply->calls) {
        stage_turn(stage);
        if (clock_now_us() > give_up_us)
            fail_msg("nothing was told: %s", store_health(stage->store)->why);
    }
    assert_int_equal(reply->calls, 1);
    return reply->err;
}

int stage_done(struct stage *stage, struct reply *reply, int begun)
{
    assert_int_equal(begun, 0);
    assert_int_equal(reply->calls, 0);
    return stage_await(stage, reply);
}

void stage_settle(struct stage *stage)
{
    stage_turn(stage);
    while (!store_is_idle(stage->store))
        stage_turn(stage);
    stage_turn(stage);
}

void stage_pass(struct stage *stage, uint64_t us)
{
    uint64_t end_us = loop_now_us(stage->loop) + us;

    while (loop_now_us(stage->loop) < end_us) {
        bool is_idle = store_is_idle(stage->store);

        if (!is_idle)
            usleep(100);
        loop_turn(stage->loop, is_idle ? end_us - loop_now_us(stage->loop) : 100);
    }
    stage_settle(stage);
}

struct sqlite3 *stage_connect(const char *path)
{
    sqlite3 *conn = NULL;

    assert_int_equal(sqlite3_open(path, &conn), SQLITE_OK);
    sqlite3_busy_timeout(conn, 5000);
    return conn;
}

int64_t stage_number(struct sqlite3 *conn, const char *statement)
{
    sqlite3_stmt *stmt = NULL;
    int64_t number = -1;

    if (sqlite3_prepare_v2(conn, statement, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        number = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return number;
}

void stage_execute(const char *path, const char *statements)
{
    sqlite3 *conn = stage_connect(path);
    char *why = NULL;

    if (sqlite3_exec(conn, statements, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s", why);
    sqlite3_close(conn);
}

char *stage_read(const char *path, size_t *ret_len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *bytes;

    *ret_len = SIZE_MAX;
    if (fd < 0)
        return NULL;
    assert_int_equal(fstat(fd, &status), 0);
    bytes = malloc((size_t)status.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(read(fd, bytes, (size_t)status.st_size), status.st_size);
    bytes[status.st_size] = '\0';
    close(fd);
    *ret_len = (size_t)status.st_size;
    return bytes;
}

void stage_write(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}
