/* obs/log: what reaches the file, from one thread and from many, and what is lost and counted. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "obs/access.h"
#include "obs/log.h"
#include "obs/log_writer.h"

#define TIME "2026-11-20T10:15:00.123Z"

enum { SMALL_RING = 64 * 1024, READ_MAX = 64 * 1024 * 1024 };

/* A folder of the test's own, and a log that writes into it. */
struct stage {
    char folder[32];
    char file[64];
    char other[64];
    struct log *log;
    struct buf text;
};

static uint64_t fixed_wall_us(void)
{
    return 1795169700 * US_PER_SEC + 123 * US_PER_MS;
}

static int set_up(void **state)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    memcpy(stage->folder, "/tmp/bw-log-XXXXXX", sizeof("/tmp/bw-log-XXXXXX"));
    if (!mkdtemp(stage->folder))
        return -1;
    snprintf(stage->file, sizeof(stage->file), "%s/log", stage->folder);
    snprintf(stage->other, sizeof(stage->other), "%s/other", stage->folder);
    buf_init(&stage->text, READ_MAX);
    *state = stage;
    return 0;
}

static int tear_down(void **state)
{
    struct stage *stage = *state;

    log_free(&stage->log);
    unlink(stage->file);
    unlink(stage->other);
    rmdir(stage->folder);
    buf_fini(&stage->text);
    free(stage);
    return 0;
}

static struct log_options options_of(struct stage *stage)
{
    return (struct log_options){.level = LOG_LEVEL_INFO,
                                .has_access = true,
                                .file = stage->file,
                                .ring_bytes = SMALL_RING,
                                .wall_us = fixed_wall_us};
}

static void start(struct stage *stage)
{
    struct log_options options = options_of(stage);

    assert_int_equal(log_new(&options, &stage->log), 0);
}

/* What stands in the file now. */
static const char *read_file(struct stage *stage, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len;

    assert_true(fd >= 0);
    buf_clear(&stage->text);
    do {
        assert_int_equal(buf_reserve(&stage->text, 65536), 0);
        len = read(fd, stage->text.data + stage->text.len, 65536);
        assert_true(len >= 0);
        stage->text.len += (size_t)len;
    } while (len > 0);
    close(fd);
    return buf_text(&stage->text);
}

static void writes_what_was_said_before_the_end(void **state)
{
    struct stage *stage = *state;

    start(stage);
    log_write(stage->log, LOG_LEVEL_INFO, "listening", LOG_TEXT("address", "127.0.0.1:8080"));
    log_write(stage->log, LOG_LEVEL_ERROR, "bye");
    log_free(&stage->log);
    assert_null(stage->log);
    assert_string_equal(read_file(stage, stage->file),
                        "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"listening\","
                        "\"address\":\"127.0.0.1:8080\"}\n"
                        "{\"time\":\"" TIME "\",\"level\":\"error\",\"message\":\"bye\"}\n");
}

static int evaluated;

static uint64_t count_evaluation(void)
{
    return (uint64_t)++evaluated;
}

static void keeps_quiet_above_its_level(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);

    start(stage);
    assert_true(log_is_on(stage->log, LOG_LEVEL_WARNING));
    assert_false(log_is_on(stage->log, LOG_LEVEL_DEBUG));
    assert_false(log_is_on(NULL, LOG_LEVEL_ERROR));
    log_write(stage->log, LOG_LEVEL_DEBUG, "no", LOG_UINT("n", count_evaluation()));
    log_write(NULL, LOG_LEVEL_ERROR, "no", LOG_UINT("n", count_evaluation()));
    assert_int_equal(evaluated, 0);
    options.level = LOG_LEVEL_DEBUG;
    options.format = LOG_FORMAT_TEXT;
    assert_int_equal(log_reconfigure(stage->log, &options), 0);
    log_write(stage->log, LOG_LEVEL_DEBUG, "yes", LOG_UINT("n", count_evaluation()));
    log_free(&stage->log);
    assert_string_equal(read_file(stage, stage->file), TIME " debug yes n=1\n");
}

static void writes_a_line_for_each_exchange(void **state)
{
    struct stage *stage = *state;
    struct access_record record = {.wall_us = fixed_wall_us(), .status = 200, .attempts = 1};
    struct log_options options = options_of(stage);
    struct log_ring *ring;

    start(stage);
    ring = log_ring_new(stage->log);
    assert_non_null(ring);
    access_write(ring, &record);
    options.has_access = false;
    assert_int_equal(log_reconfigure(stage->log, &options), 0);
    access_write(ring, &record);
    options.has_access = true;
    options.format = LOG_FORMAT_TEXT;
    assert_int_equal(log_reconfigure(stage->log, &options), 0);
    access_write(ring, &record);
    log_free(&stage->log);
    assert_string_equal(read_file(stage, stage->file),
                        "{\"time\":\"" TIME "\",\"kind\":\"access\",\"status\":200,\"attempts\":1,"
                        "\"bytes_in\":0,\"bytes_out\":0,\"duration_us\":0}\n" TIME
                        " access status=200 attempts=1 bytes_in=0 bytes_out=0 duration_us=0\n");
}

static void says_where_it_cannot_write(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);

    options.file = "/nowhere/at/all";
    assert_int_equal(log_new(&options, &stage->log), ERR_NOTFOUND);
    assert_null(stage->log);
}

/* With the build option `faults` each allocation fails in its turn, else the first try succeeds. */
static void starts_whole_or_not_at_all(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);
    struct log_ring *ring = NULL;
    long after = 0;

    do {
        mem_fail_after(after);
    } while (log_new(&options, &stage->log) == ERR_NOMEM && after++ < 100);
    mem_fail_after(-1);
    assert_non_null(stage->log);
    for (after = 0; !ring && after < 100; after++) {
        mem_fail_after(after);
        ring = log_ring_new(stage->log);
    }
    mem_fail_after(-1);
    assert_non_null(ring);
    mem_fail_after(0);
    if (log_reconfigure(stage->log, &options) == ERR_NOMEM)
        assert_int_equal(log_reconfigure(stage->log, &options), 0);
    mem_fail_after(-1);
    access_write(NULL, &(struct access_record){0});
    access_write(ring, &(struct access_record){0});
    log_free(&stage->log);
    assert_non_null(strstr(read_file(stage, stage->file), "access"));
}

static void uses_stderr_without_a_file(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);
    int saved = dup(STDERR_FILENO);
    int fd = open(stage->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    options.file = NULL;
    options.format = LOG_FORMAT_TEXT;
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(log_new(&options, &stage->log), 0);
    log_write(stage->log, LOG_LEVEL_WARNING, "to stderr");
    log_free(&stage->log);
    /* Still open: it is not ours. */
    assert_int_equal(write(STDERR_FILENO, "more\n", 5), 5);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(fd);
    assert_string_equal(read_file(stage, stage->file), TIME " warning to stderr\nmore\n");
}

/* Rotation: the file is moved away; after log_reopen lines go to a new one. The helper thread
 * opens it in its own time, so the test looks until it is there. */
static void wait_for_file(const char *path)
{
    for (int tries = 0; tries < 10000 && access(path, F_OK); tries++)
        poll(NULL, 0, 1);
    assert_int_equal(access(path, F_OK), 0);
}

static void wait_for_text(struct stage *stage, const char *path, const char *text)
{
    for (int tries = 0; tries < 10000 && !strstr(read_file(stage, path), text); tries++)
        poll(NULL, 0, 1);
    assert_non_null(strstr(read_file(stage, path), text));
}

static void reopens_its_file_after_rotation(void **state)
{
    struct stage *stage = *state;

    start(stage);
    log_write(stage->log, LOG_LEVEL_INFO, "before");
    wait_for_text(stage, stage->file, "before");
    assert_int_equal(rename(stage->file, stage->other), 0);
    log_reopen(stage->log);
    wait_for_file(stage->file);
    log_write(stage->log, LOG_LEVEL_INFO, "after");
    log_free(&stage->log);
    assert_null(strstr(read_file(stage, stage->other), "after"));
    assert_null(strstr(read_file(stage, stage->file), "before"));
    assert_non_null(strstr(read_file(stage, stage->file), "after"));
}

static void keeps_the_old_file_where_the_new_one_cannot_be_opened(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);

    start(stage);
    options.file = "/nowhere/at/all";
    assert_int_equal(log_reconfigure(stage->log, &options), 0);
    wait_for_text(stage, stage->file, "log file cannot be opened");
    assert_non_null(strstr(read_file(stage, stage->file), "\"file\":\"/nowhere/at/all\""));
    options.file = stage->other;
    assert_int_equal(log_reconfigure(stage->log, &options), 0);
    wait_for_file(stage->other);
    log_write(stage->log, LOG_LEVEL_INFO, "moved");
    log_free(&stage->log);
    assert_non_null(strstr(read_file(stage, stage->other), "moved"));
}

/* Many threads: every line is whole, each thread's come in order, and what is missing is counted.
 */
enum { WORKERS = 4, LINES = 20000 };

struct worker {
    pthread_t thread;
    struct log *log;
    char name[8];
    unsigned next; /* the least number that may come */
};

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct log_ring *ring = log_ring_new(worker->log);
    struct access_record record = {.wall_us = fixed_wall_us(),
                                   .client = span_from_text(worker->name)};

    for (unsigned i = 0; ring && i < LINES; i++) {
        record.bytes_in = i;
        access_write(ring, &record);
        if (i % 1000 == 0)
            log_write(worker->log, LOG_LEVEL_INFO, "progress", LOG_UINT("lines", i));
    }
    return NULL;
}

/* The line's bytes_in, for a line of an exchange; its worker's name in *ret_worker. */
static bool read_line(struct span line, unsigned *ret_worker, unsigned *ret_number)
{
    char text[256];

    assert_true(line.len < sizeof(text));
    memcpy(text, line.ptr, line.len);
    text[line.len] = '\0';
    assert_memory_equal(text, "{\"time\":\"" TIME "\",", 35);
    assert_int_equal(text[line.len - 1], '}');
    if (strstr(text, "\"level\":"))
        return false;
    assert_non_null(strstr(text, "\"client\":\"w"));
    *ret_worker = (unsigned)(strstr(text, "\"client\":\"w")[11] - '0');
    *ret_number = (unsigned)strtoul(strstr(text, "\"bytes_in\":") + 11, NULL, 10);
    return true;
}

static void mixes_no_lines_of_many_threads(void **state)
{
    struct stage *stage = *state;
    struct worker workers[WORKERS];
    struct span rest, line;
    uint64_t dropped, lines = 0;
    unsigned from, number;

    start(stage);
    for (unsigned i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.log = stage->log};
        snprintf(workers[i].name, sizeof(workers[i].name), "w%u", i);
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    dropped = log_dropped(stage->log);
    log_free(&stage->log);
    read_file(stage, stage->file);
    rest = buf_span(&stage->text);
    while (span_next_token(&rest, '\n', &line)) {
        if (!line.len || !read_line(line, &from, &number))
            continue;
        lines++;
        assert_true(from < WORKERS);
        assert_true(number >= workers[from].next && number < LINES);
        workers[from].next = number + 1;
    }
    assert_true(lines > 1000);
    /* Program lines have a ring of their own, with room for all of these. */
    assert_int_equal(lines + dropped, WORKERS * LINES);
}

/* A pipe whose reader takes nothing at first. */
struct reader {
    pthread_t thread;
    int fd;
    struct buf *text;
};

static int open_pipe(struct stage *stage)
{
    int fd;

    assert_int_equal(mkfifo(stage->file, 0600), 0);
    fd = open(stage->file, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void *read_to_the_end(void *argument)
{
    struct reader *reader = argument;
    ssize_t len = 1;

    fcntl(reader->fd, F_SETFL, 0);
    while (len > 0 && !buf_reserve(reader->text, 65536)) {
        len = read(reader->fd, reader->text->data + reader->text->len, 65536);
        reader->text->len += len > 0 ? (size_t)len : 0;
    }
    return NULL;
}

/* The number behind the words, where they stand in the line. */
static bool find_number(struct span line, struct span words, uint64_t *ret_number)
{
    size_t at = span_find(line, words);
    struct span rest, digits;

    if (at == SIZE_MAX)
        return false;
    rest = span_skip(line, at + words.len);
    assert_true(span_next_token(&rest, '}', &digits));
    assert_int_equal(span_to_u64(digits, ret_number), 0);
    return true;
}

static void counts_what_a_stalled_destination_makes_it_drop(void **state)
{
    struct stage *stage = *state;
    struct access_record record = {.wall_us = fixed_wall_us()};
    struct reader reader = {.fd = open_pipe(stage), .text = &stage->text};
    struct log_ring *ring;
    uint64_t dropped, told, lines = 0, told_lines = 0;
    struct span rest, line;

    start(stage);
    ring = log_ring_new(stage->log);
    /* More than pipe and ring hold together: it never waits, and begins to drop. */
    for (int i = 0; i < 20000; i++)
        access_write(ring, &record);
    dropped = log_dropped(stage->log);
    assert_in_range(dropped, 1000, 20000);
    /* The reader wakes up: all that was not dropped comes, and lines that tell of the rest. */
    assert_int_equal(pthread_create(&reader.thread, NULL, read_to_the_end, &reader), 0);
    log_free(&stage->log);
    assert_int_equal(pthread_join(reader.thread, NULL), 0);
    close(reader.fd);
    rest = buf_span(&stage->text);
    while (span_next_token(&rest, '\n', &line)) {
        lines += span_find(line, SPAN("\"kind\":\"access\"")) != SIZE_MAX;
        if (find_number(line, SPAN("\"message\":\"log lines dropped\",\"lines\":"), &told))
            told_lines += told;
    }
    assert_int_equal(lines + dropped, 20000);
    assert_int_equal(told_lines, dropped);
}

static void counts_what_a_full_disk_loses(void **state)
{
    struct stage *stage = *state;
    struct log_options options = options_of(stage);

    options.file = "/dev/full";
    assert_int_equal(log_new(&options, &stage->log), 0);
    for (int i = 0; i < 100; i++)
        log_write(stage->log, LOG_LEVEL_INFO, "lost");
    for (int tries = 0; tries < 10000 && log_dropped(stage->log) < 100; tries++)
        poll(NULL, 0, 1);
    assert_int_equal(log_dropped(stage->log), 100);
}

/* A disk that fills up inside a line: what comes after it has room begins on a line of its own. */
static void goes_on_after_a_line_that_was_cut(void **state)
{
    struct stage *stage = *state;
    struct rlimit old, low = {.rlim_cur = 130};

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low.rlim_max = old.rlim_max;
    start(stage);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    log_write(stage->log, LOG_LEVEL_INFO, "first");
    log_write(stage->log, LOG_LEVEL_INFO, "second");
    for (int tries = 0; tries < 10000 && !log_dropped(stage->log); tries++)
        poll(NULL, 0, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_write(stage->log, LOG_LEVEL_INFO, "third");
    log_free(&stage->log);
    assert_string_equal(read_file(stage, stage->file),
                        "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"first\"}\n"
                        "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"\n"
                        "{\"time\":\"" TIME "\",\"level\":\"info\",\"message\":\"third\"}\n"
                        "{\"time\":\"" TIME
                        "\",\"level\":\"warning\",\"message\":\"log lines dropped\","
                        "\"lines\":1}\n");
}

static void ignore_written(void *context)
{
}

static void ignore_open_failed(void *context, const char *file, int err)
{
}

/* Nobody reads: the end is not held up, and nothing that the helper thread uses is taken away. */
static void gives_up_on_a_destination_that_takes_nothing(void **state)
{
    struct stage *stage = *state;
    const struct log_writer_events events = {ignore_written, ignore_open_failed, NULL};
    struct log_writer *writer = calloc(1, sizeof(*writer));
    char taken[65536];
    struct ring ring;
    int reader = open_pipe(stage);

    assert_int_equal(ring_init(&ring, 1024 * 1024), 0);
    assert_int_equal(log_writer_start(writer, stage->file, &events), 0);
    assert_int_equal(log_writer_add(writer, &ring), 0);
    for (char *out; (out = ring_reserve(&ring, 4096));) {
        memset(out, '\n', 4096);
        ring_commit(&ring, 4096);
        log_writer_hint(writer, log_writer_is_filling(&ring));
    }
    assert_int_equal(log_writer_stop(writer, 20), ERR_TIMEOUT);
    while (log_writer_stop(writer, 1))
        while (read(reader, taken, sizeof(taken)) > 0)
            continue;
    ring_fini(&ring);
    free(writer);
    close(reader);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(writes_what_was_said_before_the_end),
        TEST(keeps_quiet_above_its_level),
        TEST(writes_a_line_for_each_exchange),
        TEST(says_where_it_cannot_write),
        TEST(starts_whole_or_not_at_all),
        TEST(uses_stderr_without_a_file),
        TEST(reopens_its_file_after_rotation),
        TEST(keeps_the_old_file_where_the_new_one_cannot_be_opened),
        TEST(mixes_no_lines_of_many_threads),
        TEST(counts_what_a_stalled_destination_makes_it_drop),
        TEST(counts_what_a_full_disk_loses),
        TEST(goes_on_after_a_line_that_was_cut),
        TEST(gives_up_on_a_destination_that_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
