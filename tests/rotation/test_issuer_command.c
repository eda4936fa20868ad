/* Programs of the operator's: small scripts of the shell, which only the tests have. */
#include "stage.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

static const struct double_step no_script[] = {{.line = NULL}};

static void open_script(struct stage *stage, const char *script, uint64_t timeout_us)
{
    const char *const argv[] = {"/bin/sh", "-c", script, "program", "an argument", NULL};
    struct secret *token;
    struct issuer_settings settings = {.kind = ISSUER_COMMAND, .timeout_us = timeout_us};
    struct issuer_field environment[2];

    stage_open_on(stage, no_script, loop_new());
    token = stage_secret(stage, "correct horse");
    environment[0] = (struct issuer_field){SPAN("TOKEN"), token};
    environment[1] = (struct issuer_field){SPAN("EMPTY"), NULL};
    settings.command = (struct issuer_command_settings){.argv = argv,
                                                        .environment = environment,
                                                        .environment_count = 2,
                                                        .can_find = true,
                                                        .can_revoke = true};
    assert_int_equal(stage_new_issuer(stage, &settings), 0);
    secret_unref(&token);
}

#define LONG (60 * US_PER_SEC)

static void a_key_is_made(void **state)
{
    static const char script[] =
        "read -r line; test \"$line\" = '{\"action\":\"create\",\"name\":\"a\\\"b\"}' || exit 3; "
        "echo '{\"key\":\"sk-new\",\"id\":\"k_1\",\"expires\":\"2026-12-20T10:15:00Z\"}'";
    struct stage stage;

    (void)state;
    open_script(&stage, script, LONG);
    assert_true(issuer_traits(stage.issuer).can_find);
    assert_true(issuer_traits(stage.issuer).can_revoke);
    assert_int_equal(stage_create(&stage, "a\"b"), 0);
    assert_string_equal(stage.key, "sk-new");
    assert_string_equal(stage.id, "k_1");
    assert_true(stage.answer.issued.expires_wall_us == STAGE_START + 30 * 86400 * US_PER_SEC);
    stage_close(&stage);
}

static void found_and_revoked(void **state)
{
    static const char script[] = "read -r line; case $line in "
                                 "'{\"action\":\"find\",\"name\":\"n\"}') echo '{\"id\":7}';; "
                                 "'{\"action\":\"find\",\"name\":\"m\"}') echo '{}';; "
                                 "'{\"action\":\"revoke\",\"name\":\"n\",\"id\":\"7\"}') ;; "
                                 "*) exit 3;; esac";
    struct stage stage;

    (void)state;
    open_script(&stage, script, LONG);
    assert_int_equal(stage_find(&stage, "n"), 0);
    assert_string_equal(stage.id, "7");
    assert_int_equal(stage_find(&stage, "m"), ERR_NOTFOUND);
    assert_int_equal(stage_revoke(&stage, "n", "7"), 0);
    assert_int_equal(stage_revoke(&stage, "n", "8"), ERR_IO);
    assert_false(stage.answer.may_exist);
    stage_close(&stage);
}

/* Neither our variables nor our descriptors, signals or folder. (glibc itself leaves two signals of
 * its own ignored, 32 and 33.) */
static void its_surroundings_are_its_own(void **state)
{
    static const char script[] =
        "test \"$(env | cut -d= -f1 | grep -v '^_$\\|^PWD$\\|^SHLVL$\\|^OLDPWD$' | sort | tr '\\n' "
        "' ')\""
        " = 'EMPTY PATH TOKEN ' || { echo variables >&2; exit 1; }; "
        "test \"$TOKEN\" = 'correct horse' || { echo token >&2; exit 1; }; "
        "test \"$1\" = 'an argument' || { echo argument >&2; exit 1; }; "
        "test \"$(pwd)\" = / || { echo folder >&2; exit 1; }; "
        "grep -q '^SigIgn:.*0000000$' /proc/self/status || { echo ignored >&2; exit 1; }; "
        "grep -q '^SigBlk:.*0000000$' /proc/self/status || { echo blocked >&2; exit 1; }; "
        "ls -l /proc/$$/fd | grep 'socket:\\|anon_inode:' >&2 && exit 1; "
        "echo '{\"key\":\"k\",\"id\":\"1\"}'";
    const struct sigaction ignore = {.sa_handler = SIG_IGN}, usual = {.sa_handler = SIG_DFL};
    struct stage stage;

    (void)state;
    open_script(&stage, script, LONG);
    assert_int_equal(sigaction(SIGPIPE, &ignore, NULL), 0);
    stage_create(&stage, "n");
    assert_string_equal(stage.told_why, "");
    assert_int_equal(sigaction(SIGPIPE, &usual, NULL), 0);
    stage_close(&stage);
}

static void failures(void **state)
{
    static const struct {
        const char *script;
        int err;
        bool may_exist, may_retry;
        const char *why;
    } cases[] = {
        {"printf 'no \\033[1msuch\\tproject\\nmore\\n' >&2; exit 2", ERR_DENIED, false, false,
         "the program ended with 2: no [1msuch project"},
        {"echo later >&2; exit 75", ERR_AGAIN, false, true, "the program ended with 75: later"},
        {"exit 1", ERR_IO, true, true, "the program ended with 1"},
        {"kill -SEGV $$", ERR_IO, true, true, "the program was ended by signal 11"},
        {"exec /nowhere", ERR_IO, true, true, NULL},
        {"true", ERR_PROTO, true, false, "the program wrote no JSON object"},
        {"echo '[]'", ERR_PROTO, true, false, "the program wrote no JSON object"},
        {"echo '{\"key\":\"k\"}'", ERR_PROTO, true, false, "the answer holds no id at /id"},
        {"echo '{\"key\":\"a b\",\"id\":1}'", ERR_PROTO, true, false,
         "the answer holds a key that no header could carry at /key"},
        {"echo \"what is $TOKEN ?\" >&2; exit 2", ERR_DENIED, false, false,
         "refused, in words that hold our own secret"},
        {"echo '{\"key\":\"sk-0123456789\"}'; echo 'got sk-0123456789' >&2; exit 2", ERR_DENIED,
         false, false, "refused, in words that hold our own secret"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage stage;

        open_script(&stage, cases[i].script, LONG);
        assert_int_equal(stage_create(&stage, "n"), cases[i].err);
        if (cases[i].why)
            assert_string_equal(stage.told_why, cases[i].why);
        assert_int_equal(stage.answer.may_exist, cases[i].may_exist);
        assert_int_equal(stage.answer.may_retry, cases[i].may_retry);
        stage_close(&stage);
    }
}

/* True once nobody holds the other end of the pipe. */
static bool is_left(int fd)
{
    struct pollfd end = {.fd = fd};

    return poll(&end, 1, 10000) == 1 && end.revents & POLLHUP;
}

/* Its children go with it: they alone hold a descriptor that we see the end of. */
static void a_time_out_kills_its_group(void **state)
{
    char script[256];
    struct stage stage;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    snprintf(script, sizeof(script), "exec 5>/proc/%d/fd/%d; sleep 1000 & sleep 1000", getpid(),
             ends[1]);
    open_script(&stage, script, 300 * US_PER_MS);
    assert_int_equal(stage_create(&stage, "n"), ERR_TIMEOUT);
    close(ends[1]);
    assert_string_equal(stage.told_why, "the program took too long and was killed");
    assert_true(stage.answer.may_exist);
    assert_true(stage.answer.may_retry);
    assert_true(is_left(ends[0]));
    close(ends[0]);
    stage_close(&stage);
}

/* A child that keeps the pipes open is not waited for. */
static void what_it_leaves_running_is_killed(void **state)
{
    struct stage stage;

    (void)state;
    open_script(&stage, "sleep 1000 & echo '{\"key\":\"k\",\"id\":\"1\"}'", LONG);
    assert_int_equal(stage_create(&stage, "n"), 0);
    assert_string_equal(stage.key, "k");
    stage_close(&stage);
}

static void cancelled_it_is_killed(void **state)
{
    char script[256];
    struct stage stage;
    struct issuer_subject subject;
    int ends[2];

    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    snprintf(script, sizeof(script), "exec 5>/proc/%d/fd/%d; echo x >&5; sleep 1000", getpid(),
             ends[1]);
    open_script(&stage, script, LONG);
    subject = stage_subject(&stage, "n", NULL);
    assert_int_equal(issuer_create(stage.issuer, &stage.ask, &subject), 0);
    assert_int_equal(read(ends[0], script, 2), 2);
    close(ends[1]);
    issuer_cancel(&stage.ask);
    assert_true(is_left(ends[0]));
    assert_int_equal(stage.answers, 0);
    close(ends[0]);
    stage_close(&stage);
}

static void output_is_bounded(void **state)
{
    struct stage stage;

    (void)state;
    open_script(&stage, "while :; do echo ' '; done", LONG);
    assert_int_equal(stage_create(&stage, "n"), ERR_FULL);
    assert_string_equal(stage.told_why, "the program wrote too much and was killed");
    assert_true(stage.answer.may_exist);
    issuer_free(&stage.issuer);
    stage_close(&stage);
    /* Of complaints the beginning is kept. */
    open_script(&stage,
                "i=0; while [ $i -lt 20000 ]; do echo line $i >&2; i=$((i+1)); done; exit 2", LONG);
    assert_int_equal(stage_create(&stage, "n"), ERR_DENIED);
    assert_string_equal(stage.told_why, "the program ended with 2: line 0");
    stage_close(&stage);
}

/* A program that reads nothing, and one that writes slowly and in pieces. */
static void in_its_own_time(void **state)
{
    struct stage stage;

    (void)state;
    open_script(&stage,
                "exec <&-; printf '{\"key\":'; sleep 0.05; printf '\"k\",'; sleep 0.05; "
                "printf '\"id\":\"1\"}'",
                LONG);
    for (int i = 0; i < 3; i++)
        assert_int_equal(stage_create(&stage, "n"), 0);
    stage_close(&stage);
}

static void settings_that_cannot_work(void **state)
{
    const char *const missing[] = {"/nowhere/program", NULL}, *const folder[] = {"/usr", NULL};
    const char *const relative[] = {"program", NULL};
    struct issuer_settings settings = {.kind = ISSUER_COMMAND};
    struct issuer_field variable = {SPAN("A=B"), NULL};
    struct stage stage;

    (void)state;
    stage_open(&stage, no_script);
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    settings.command.argv = relative;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the program is wanted by its whole path");
    settings.command.argv = missing;
    settings.command.environment = &variable;
    settings.command.environment_count = 1;
    assert_int_equal(stage_new_issuer(&stage, &settings), ERR_SYNTAX);
    assert_string_equal(stage.why, "the environment cannot hold such a variable");
    settings.command.environment_count = 0;
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_IO);
    assert_string_equal(stage.told_why, "the program cannot be started: there is no such file");
    assert_false(stage.answer.may_exist);
    assert_int_equal(stage_find(&stage, "n"), ERR_UNSUPPORTED);
    assert_int_equal(stage_revoke(&stage, "n", "1"), ERR_UNSUPPORTED);
    settings.command.argv = folder;
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    assert_int_equal(stage_create(&stage, "n"), ERR_IO);
    assert_string_equal(stage.told_why, "the program cannot be started: it may not be executed");
    stage_close(&stage);
}

/* One that cannot revoke need not name its keys. */
static void a_key_without_an_id(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo '{\"key\":\"k\"}'", NULL};
    struct issuer_settings settings = {.kind = ISSUER_COMMAND, .command.argv = argv};
    struct stage stage;

    (void)state;
    stage_open_on(&stage, no_script, loop_new());
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    assert_int_equal(stage_create(&stage, "n"), 0);
    assert_string_equal(stage.key, "k");
    assert_string_equal(stage.id, "");
    stage_close(&stage);
}

/* Whatever allocation fails, it is said, or the call ends well; nothing is left behind. */
static void without_memory(void **state)
{
    const char *const argv[] = {"/bin/sh", "-c", "echo '{\"key\":\"k\",\"id\":\"1\"}'", NULL};
    struct issuer_field variable = {SPAN("A"), NULL};
    struct issuer_settings settings = {
        .kind = ISSUER_COMMAND,
        .command = {.argv = argv, .environment = &variable, .environment_count = 1}};
    bool is_pending = !stage_has_faults();
    struct issuer_subject subject;
    struct stage stage;

    (void)state;
    stage_open_on(&stage, no_script, loop_new());
    stage_new_without_memory(&stage, &settings);
    assert_int_equal(stage_new_issuer(&stage, &settings), 0);
    subject = stage_subject(&stage, "n", NULL);
    for (long after = 0; !is_pending; after++) {
        int err;

        mem_fail_after(after);
        err = issuer_create(stage.issuer, &stage.ask, &subject);
        if (!err)
            stage_wait(&stage);
        is_pending = mem_fail_is_pending();
        mem_fail_after(-1);
        assert_true(err == 0 || err == ERR_NOMEM);
        if (!err && !is_pending && stage.answer.err)
            assert_true(stage.answer.may_exist);
    }
    assert_int_equal(stage.answer.err, 0);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_is_made),
        cmocka_unit_test(found_and_revoked),
        cmocka_unit_test(its_surroundings_are_its_own),
        cmocka_unit_test(failures),
        cmocka_unit_test(a_time_out_kills_its_group),
        cmocka_unit_test(what_it_leaves_running_is_killed),
        cmocka_unit_test(cancelled_it_is_killed),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(in_its_own_time),
        cmocka_unit_test(settings_that_cannot_work),
        cmocka_unit_test(a_key_without_an_id),
        cmocka_unit_test(without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
