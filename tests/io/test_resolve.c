/* Only names that need no network: literals, localhost, and names that cannot exist (RFC 6761). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/resolve.h"
#include "names.h"
#include "wire.h"

enum { MANY = 50 };

struct question {
    struct resolve_query query;
    int answers;
};

static void on_done(struct resolve_query *query)
{
    struct question *question = container_of(query, struct question, query);

    question->answers++;
    loop_stop(query->job.loop);
}

static void ask(struct resolver *resolver, struct loop *loop, struct question *question,
                const char *host)
{
    *question = (struct question){.query = {.job.loop = loop, .port = 8443, .on_done = on_done}};
    snprintf(question->query.host, sizeof(question->query.host), "%s", host);
    resolver_ask(resolver, &question->query);
    assert_int_equal(question->answers, 0); /* never before the call returns */
}

static void await(struct loop *loop, struct question *question)
{
    while (!question->answers)
        assert_int_equal(loop_run(loop), 0);
    assert_int_equal(question->answers, 1);
}

static void expect_address(struct question *question, const char *text)
{
    char written[ADDR_TEXT_BYTES];

    assert_int_equal(question->query.err, 0);
    assert_int_equal(question->query.count, 1);
    addr_write(&question->query.addrs[0], written);
    assert_string_equal(written, text);
}

static void test_literals(void **state)
{
    struct resolver *resolver = resolver_new(4);
    struct loop *loop = loop_new();
    struct question question;

    ask(resolver, loop, &question, "192.0.2.7");
    await(loop, &question);
    expect_address(&question, "192.0.2.7:8443");
    ask(resolver, loop, &question, "2001:db8::7");
    await(loop, &question);
    expect_address(&question, "[2001:db8::7]:8443");
    resolver_free(&resolver);
    assert_null(resolver);
    loop_free(&loop);
}

static void test_names(void **state)
{
    struct resolver *resolver = resolver_new(4);
    struct loop *loop = loop_new();
    struct question question;

    ask(resolver, loop, &question, "localhost");
    await(loop, &question);
    assert_int_equal(question.query.err, 0);
    assert_true(question.query.count >= 1);
    for (size_t i = 0; i < question.query.count; i++) {
        assert_true(addr_is_loopback(&question.query.addrs[i]));
        assert_int_equal(addr_port(&question.query.addrs[i]), 8443);
    }
    ask(resolver, loop, &question, "");
    await(loop, &question);
    assert_int_equal(question.query.err, ERR_RESOLVE);
    ask(resolver, loop, &question, "bad name with spaces");
    await(loop, &question);
    assert_int_equal(question.query.err, ERR_RESOLVE);
    assert_int_equal(question.query.count, 0);
    resolver_free(&resolver);
    loop_free(&loop);
}

/* The queue is bounded: who finds it full is told so, everybody is answered once. */
static void test_many(void **state)
{
    struct resolver *resolver = resolver_new(2);
    struct loop *loop = loop_new();
    static struct question questions[MANY];
    int full = 0;

    for (int i = 0; i < MANY; i++)
        ask(resolver, loop, &questions[i], "localhost");
    for (int i = 0; i < MANY; i++)
        await(loop, &questions[i]);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(questions[i].answers, 1);
        assert_true(questions[i].query.err == 0 || questions[i].query.err == ERR_FULL);
        full += questions[i].query.err == ERR_FULL;
    }
    assert_true(full < MANY);
    resolver_free(&resolver);
    loop_free(&loop);
}

static void test_ending_answers_everybody(void **state)
{
    static struct question questions[MANY];
    struct resolver *resolver = resolver_new(MANY);
    struct loop *loop = loop_new();

    for (int i = 0; i < MANY; i++)
        ask(resolver, loop, &questions[i], "localhost");
    resolver_free(&resolver);
    for (int i = 0; i < MANY; i++) {
        await(loop, &questions[i]);
        assert_true(questions[i].query.err == 0 || questions[i].query.err == ERR_CANCELLED);
    }
    resolver_free(&resolver);
    loop_free(&loop);
}

static void test_a_slow_name_holds_up_no_other(void **state)
{
    static struct question slow[3], question;
    struct resolver *resolver = resolver_new(MANY);
    struct loop *loop = loop_new();

    names_begin();
    for (int i = 0; i < 3; i++)
        ask(resolver, loop, &slow[i], "held.test");
    ask(resolver, loop, &question, "localhost");
    await(loop, &question);
    assert_int_equal(question.query.err, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(slow[i].answers, 0);
        sem_post(&names_release);
    }
    for (int i = 0; i < 3; i++) {
        await(loop, &slow[i]);
        assert_int_equal(slow[i].query.err, ERR_RESOLVE);
    }
    resolver_free(&resolver);
    loop_free(&loop);
    names_end();
}

static void test_without_memory(void **state)
{
    if (!wire_can_fail())
        skip();
    for (long after = 0; after < 2; after++) {
        mem_fail_after(after);
        assert_null(resolver_new(4));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_literals),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_ending_answers_everybody),
        cmocka_unit_test(test_a_slow_name_holds_up_no_other),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
