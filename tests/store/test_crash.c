/* Killed in the middle of writing, many times over one file: what was told to be written is there,
 * whole, and the next start goes on. */
#include "stage.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "base/rand.h"
#include "store/key_states.h"
#include "store/rotations.h"

enum { KILLS = 40, KEYS = 300 };

/* One rotation that goes step by step, and all keys with it: their failures are its step. */
struct writer {
    struct store_ask rotation_ask, keys_ask;
    struct store *store;
    char id[16];
    uint32_t rotation_step, keys_step;
    int told; /* a pipe: what was acknowledged */
};

struct note {
    uint32_t is_keys, step;
};

static void tell(const struct writer *writer, bool is_keys, uint32_t step)
{
    const struct note note = {is_keys, step};

    if (write(writer->told, &note, sizeof(note)) != sizeof(note))
        _exit(2);
}

static int go_on_with_rotation(struct writer *writer)
{
    const struct rotation_row row = {.id = span_from_text(writer->id),
                                     .provider = SPAN("openai"),
                                     .cause = SPAN("schedule"),
                                     .state = SPAN("canary"),
                                     .step = writer->rotation_step,
                                     .started_wall_us = 1};

    return writer->rotation_step ? rotations_update(writer->store, &writer->rotation_ask, &row, 2)
                                 : rotations_add(writer->store, &writer->rotation_ask, &row);
}

static int go_on_with_keys(struct writer *writer)
{
    struct key_state keys[KEYS];
    char names[KEYS][8];

    for (unsigned i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "k%u", i);
        keys[i] = (struct key_state){.identity = {(uint8_t)i, (uint8_t)(i >> 8)},
                                     .provider = SPAN("openai"),
                                     .name = span_from_text(names[i]),
                                     .wish = SPAN("enabled"),
                                     .health = SPAN("healthy"),
                                     .breaker = SPAN("closed"),
                                     .failures = writer->keys_step};
    }
    return key_states_put(writer->store, &writer->keys_ask, keys, KEYS);
}

static void on_rotation(struct store_ask *ask, const struct store_answer *answer)
{
    struct writer *writer = container_of(ask, struct writer, rotation_ask);

    if (answer->err)
        _exit(3);
    tell(writer, false, writer->rotation_step++);
    if (go_on_with_rotation(writer) != 0)
        _exit(4);
}

static void on_keys(struct store_ask *ask, const struct store_answer *answer)
{
    struct writer *writer = container_of(ask, struct writer, keys_ask);

    if (answer->err)
        _exit(5);
    tell(writer, true, writer->keys_step++);
    if (go_on_with_keys(writer) != 0)
        _exit(6);
}

static void write_until_killed(const struct stage *stage, int round, uint32_t keys_step, int told)
{
    struct loop *loop = loop_new();
    struct store_options options = {.loop = loop, .path = stage->path};
    struct writer writer = {.rotation_ask.on_done = on_rotation,
                            .keys_ask.on_done = on_keys,
                            .store = store_new(&options),
                            .keys_step = keys_step,
                            .told = told};

    snprintf(writer.id, sizeof(writer.id), "r%d", round);
    if (!writer.store || go_on_with_rotation(&writer) != 0 || go_on_with_keys(&writer) != 0)
        _exit(7);
    loop_run(loop);
    _exit(8);
}

/* The highest steps that were acknowledged; -1: none. */
struct acknowledged {
    int64_t rotation, keys;
};

/* Kills it a moment after that many were acknowledged. */
static struct acknowledged run_and_kill(const struct stage *stage, int round, uint32_t keys_step,
                                        int after, useconds_t moment_us)
{
    struct acknowledged last = {-1, -1};
    struct note note;
    int told[2], status;
    pid_t child;

    assert_int_equal(pipe(told), 0);
    fflush(NULL);
    child = fork();
    if (child == 0) {
        close(told[0]);
        write_until_killed(stage, round, keys_step, told[1]);
    }
    close(told[1]);
    while (after-- > 0 && read(told[0], &note, sizeof(note)) == sizeof(note))
        *(note.is_keys ? &last.keys : &last.rotation) = note.step;
    usleep(moment_us);
    kill(child, SIGKILL);
    while (read(told[0], &note, sizeof(note)) == sizeof(note))
        *(note.is_keys ? &last.keys : &last.rotation) = note.step;
    close(told[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    return last;
}

static int64_t number_of(sqlite3 *conn, const char *format, int round)
{
    char statement[256];

    snprintf(statement, sizeof(statement), format, round);
    return stage_number(conn, statement);
}

/* All that was told is there, and nothing is there by halves. */
static int64_t look_at_what_is_left(const struct stage *stage, int round, struct acknowledged last)
{
    sqlite3 *conn = stage_connect(stage->path);
    int64_t step = number_of(conn, "SELECT step FROM rotations WHERE id = 'r%d'", round);
    int64_t moves = number_of(conn,
                              "SELECT count(*) FROM rotation_moves WHERE rotation = "
                              "(SELECT seq FROM rotations WHERE id = 'r%d')",
                              round);
    int64_t failures = stage_number(conn, "SELECT min(failures) FROM key_states");

    assert_true(step >= last.rotation);
    assert_true(step <= last.rotation + 1);
    assert_true(step < 0 || moves == step + 1);
    if (stage_number(conn, "SELECT count(*) FROM key_states") > 0) {
        assert_int_equal(stage_number(conn, "SELECT count(*) FROM key_states"), KEYS);
        assert_int_equal(stage_number(conn, "SELECT max(failures) FROM key_states"), failures);
        assert_true(last.keys < 0 || (failures >= last.keys && failures <= last.keys + 1));
    }
    assert_int_equal(stage_number(conn, "SELECT count(*) FROM pragma_integrity_check WHERE "
                                        "integrity_check <> 'ok'"),
                     0);
    sqlite3_close(conn);
    return failures;
}

static void no_acknowledged_write_is_lost(void **state)
{
    struct acknowledged last;
    struct rand rand;
    struct stage stage;
    int64_t steps = 0, keys_step = 0;

    rand_init(&rand, 4);
    stage_open(&stage);
    for (int round = 0; round < KILLS; round++) {
        last = run_and_kill(&stage, round, (uint32_t)(keys_step + 1), (int)rand_below(&rand, 12),
                            (useconds_t)rand_below(&rand, 8000));
        if (access(stage.path, F_OK) != 0)
            continue; /* killed before there was a file */
        keys_step = look_at_what_is_left(&stage, round, last);
        keys_step = keys_step < 0 ? 0 : keys_step;
        steps += last.rotation + 1;
    }
    assert_true(steps > KILLS); /* it was killed while it wrote */
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_write_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
