/* The table of steps (exchange/steps.def) and its runner. The steps themselves are replaced here by
 * one that does as the test says: what they really do is the matter of tests/road. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/bug.h"
#include "exchange/exchange.h"
#include "exchange/select.h"
#include "exchange/turn.h"

/* --- the steps of the test --- */

static struct move script[STEP_COUNT]; /* what each step says */
static unsigned visits[STEP_COUNT];
static bool has_ended;

static struct move play(const struct exchange *x)
{
    visits[x->step]++;
    return script[x->step];
}

/* The last row's function belongs to the runner. */
struct move step_end_of_the_test(struct exchange *x);
#define step_end step_end_of_the_test
#define STEP(id, name, to, gone, deadline, shutdown, settles)                                      \
    struct move step_##name(struct exchange *x)                                                    \
    {                                                                                              \
        return play(x);                                                                            \
    }
#include "exchange/steps.def"
#undef STEP
#undef step_end

/* What else the runner's file asks of its neighbours. */
void relay_note_head(struct exchange *x, const struct http_head *head)
{
    (void)x, (void)head;
}

void select_note_wait_over(struct exchange *x)
{
    (void)x;
}

void account_note_interrupted(struct exchange *x)
{
    (void)x;
}

void hedge_watch(struct exchange *x)
{
    (void)x;
}

bool turn_counts_tokens(const struct exchange *x)
{
    (void)x;
    return false;
}

bool hedge_is_racing(struct exchange *x)
{
    (void)x;
    return false;
}

void hedge_begin(struct exchange *x)
{
    (void)x;
}

void hedge_turn_to(struct exchange *x, struct attempt *attempt)
{
    (void)x, (void)attempt;
}

void hedge_fini(struct exchange *x)
{
    (void)x;
}

void exchange_host_spare(struct exchange_host *host, struct exchange *x)
{
    (void)host, (void)x;
    has_ended = true;
}

/* --- the table, read once more --- */

#define TO(step) (1u << STEP_##step)
static const struct {
    const char *name;
    unsigned to;
    enum step gone, deadline, shutdown;
} rows[STEP_COUNT] = {
#define STEP(id, name, to, gone, deadline, shutdown, settles)                                      \
    [STEP_##id] = {#name, to, STEP_##gone, STEP_##deadline, STEP_##shutdown},
#include "exchange/steps.def"
#undef STEP
};

/* --- an exchange that stands anywhere --- */

static atomic_uint_least64_t cells[16];
static struct metrics metrics = {.shared = {.cells = cells}};
static struct exchange_host host;
static struct exchange x;

static void stand_at(enum step step)
{
    memset(script, 0, sizeof(script));
    memset(visits, 0, sizeof(visits));
    for (int i = 0; i < STEP_COUNT; i++)
        script[i] = move_park();
    has_ended = false;
    host = (struct exchange_host){.metrics = &metrics};
    arena_pool_init(&host.arenas, 0);
    arena_pool_init(&host.scanners, 0);
    x = (struct exchange){.host = &host, .step = step};
    list_init(&x.link);
    arena_init(&x.arena, &host.arenas, 4096);
    arena_init(&x.attempt_arena, &host.arenas, 4096);
    arena_init(&x.scan_arena, &host.scanners, 4096);
    buf_init(&x.relay.held, 16);
    x.send.live = &x.send.attempt;
    host.exchange_count = 1;
}

/* --- the table --- */

static void test_moves_are_a_road(void **state)
{
    unsigned reached = 1u << STEP_HEAD;

    (void)state;
    for (int i = 0; i < STEP_COUNT; i++) {
        assert_string_equal(step_name((enum step)i), rows[i].name);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(rows[i].name, rows[k].name);
        assert_true(reached & (1u << i));
        reached |= rows[i].to;
        /* Onwards only, but for the tries. */
        for (int to = 0; to <= i; to++) {
            if (rows[i].to & (1u << to))
                assert_true(to == STEP_SELECT && (i == STEP_SEND || i == STEP_RELAY));
        }
        assert_true((rows[i].to == 0) == (i == STEP_END));
    }
    assert_int_equal(reached, (1u << STEP_COUNT) - 1);
}

/* Whatever happens, the exchange is accounted for, and a client that is still there is answered. */
static void test_interrupts_lead_to_the_end(void **state)
{
    (void)state;
    for (int i = 0; i < STEP_COUNT; i++) {
        enum step tail = i < STEP_ACCOUNT ? STEP_ACCOUNT : STEP_END;
        enum step answer = i < STEP_RESPOND ? STEP_RESPOND : tail;

        assert_int_equal(rows[i].gone, tail);
        assert_int_equal(rows[i].deadline, answer);
        assert_int_equal(rows[i].shutdown, answer);
    }
}

/* --- the runner --- */

static void test_straight_road(void **state)
{
    (void)state;
    stand_at(STEP_HEAD);
    for (int i = 0; i < STEP_RELAY; i++)
        script[i] = move_done((enum step)(i + 1));
    script[STEP_RELAY] = move_done(STEP_ACCOUNT);
    script[STEP_ACCOUNT] = move_done(STEP_END);
    exchange_run(&x);
    assert_true(has_ended);
    assert_int_equal(host.exchange_count, 0);
    for (int i = 0; i < STEP_END; i++)
        assert_int_equal(visits[i], i != STEP_RESPOND);
}

static void test_park_and_go_on(void **state)
{
    (void)state;
    stand_at(STEP_BODY);
    exchange_run(&x);
    exchange_run(&x);
    assert_int_equal(visits[STEP_BODY], 2);
    assert_int_equal(x.step, STEP_BODY);
    assert_false(x.is_running);
    script[STEP_BODY] = move_done(STEP_ROUTE);
    exchange_run(&x);
    assert_int_equal(visits[STEP_BODY], 3);
    assert_int_equal(visits[STEP_ROUTE], 1);
    assert_int_equal(x.step, STEP_ROUTE);
}

static void test_every_declared_move(void **state)
{
    (void)state;
    for (int from = 0; from < STEP_END; from++) {
        for (int to = 0; to < STEP_COUNT; to++) {
            if (!(rows[from].to & (1u << to)) || to == from)
                continue;
            stand_at((enum step)from);
            script[from] = move_done((enum step)to);
            exchange_run(&x);
            assert_int_equal(has_ended, to == STEP_END);
            assert_int_equal(x.step, to);
        }
    }
}

/* What a child does with a move that the table does not know: a signal's number, or 0 where it led
 * on to the end with 500. */
static int refuse_in_child(enum step from, enum step to)
{
    pid_t child;
    int status;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        enum step next = from < STEP_RESPOND ? STEP_RESPOND : from + 1;

        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        stand_at(from);
        script[from] = move_done(to);
        exchange_run(&x);
        _exit(x.step == next && x.respond.failure == FAILURE_INTERNAL && bug_count() == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_every_undeclared_move(void **state)
{
#ifdef BW_RELEASE
    int expected = 0;
#else
    int expected = SIGABRT;
#endif

    (void)state;
    for (int from = 0; from < STEP_END; from++) {
        for (int to = 0; to < STEP_COUNT; to++) {
            if (!(rows[from].to & (1u << to)))
                assert_int_equal(refuse_in_child((enum step)from, (enum step)to), expected);
        }
    }
}

static void test_every_interrupt(void **state)
{
    (void)state;
    for (int from = 0; from < STEP_ACCOUNT; from++) {
        for (enum interrupt what = INTERRUPT_CLIENT_GONE; what <= INTERRUPT_SHUTDOWN; what++) {
            enum step to = what == INTERRUPT_CLIENT_GONE ? rows[from].gone
                           : what == INTERRUPT_DEADLINE  ? rows[from].deadline
                                                         : rows[from].shutdown;
            struct http_server_conn *conn = (struct http_server_conn *)&host;

            stand_at((enum step)from);
            x.conn = conn;
            exchange_interrupt(&x, what);
            assert_int_equal(x.step, to);
            assert_int_equal(visits[to], 1);
            assert_int_equal(x.account.cut_by, what);
            assert_ptr_equal(x.conn, what == INTERRUPT_CLIENT_GONE ? NULL : conn);
            assert_int_equal(x.respond.has_failure, to == STEP_RESPOND);
            if (to == STEP_RESPOND)
                assert_int_equal(x.respond.failure, what == INTERRUPT_SHUTDOWN
                                                        ? FAILURE_SHUTTING_DOWN
                                                        : FAILURE_TIMEOUT);
        }
    }
}

/* The first failure is the exchange's failure. */
static void test_first_failure_wins(void **state)
{
    (void)state;
    stand_at(STEP_SELECT);
    exchange_refuse(&x, FAILURE_KEYS_COOLING, SPAN("first"), SPAN("p"));
    exchange_refuse(&x, FAILURE_TIMEOUT, SPAN("second"), SPAN("q"));
    exchange_interrupt(&x, INTERRUPT_SHUTDOWN);
    assert_int_equal(x.respond.failure, FAILURE_KEYS_COOLING);
    assert_true(span_is_equal(x.respond.message, SPAN("first")));
    assert_true(span_is_equal(x.respond.param, SPAN("p")));
    assert_int_equal(x.account.cut_by, INTERRUPT_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moves_are_a_road),
        cmocka_unit_test(test_interrupts_lead_to_the_end),
        cmocka_unit_test(test_straight_road),
        cmocka_unit_test(test_park_and_go_on),
        cmocka_unit_test(test_every_declared_move),
        cmocka_unit_test(test_every_undeclared_move),
        cmocka_unit_test(test_every_interrupt),
        cmocka_unit_test(test_first_failure_wins),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
