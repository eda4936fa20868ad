/* The line of work: when the file is opened, in which order asks are done and told, what shares a
 * transaction, and what becomes of asks that are given up. */
#include "stage.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "disk.h"
#include "store/audit.h"
#include "store/key_states.h"
#include "store/meta.h"
#include "store/op.h"
#include "store/rotations.h"

static const struct audit_line some_line = {.at_wall_us = 1,
                                            .actor = SPAN_INIT("ops"),
                                            .action = SPAN_INIT("rotate"),
                                            .result = SPAN_INIT("done")};

static int count_lines(struct stage *stage)
{
    struct sqlite3 *conn = stage_connect(stage->path);
    int count = (int)stage_number(conn, "SELECT count(*) FROM audit");

    sqlite3_close(conn);
    return count;
}

static void the_file_is_opened_at_first_need(void **state)
{
    struct reply reply = {0};
    struct stat status;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    stage_pass(&stage, 3600 * US_PER_SEC);
    assert_int_equal(access(stage.path, F_OK), -1);
    assert_false(store_health(stage.store)->is_open);
    assert_int_equal(
        stage_done(&stage, &reply, meta_get(stage.store, reply_for(&reply), SPAN("a"))),
        ERR_NOTFOUND);
    assert_true(store_health(stage.store)->is_open);
    assert_int_equal(stat(stage.path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    stage_end(&stage);
    stage_begin(&stage, NULL); /* never asked: it ends as quietly */
    stage_close(&stage);
}

static void a_store_in_memory_leaves_nothing(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    snprintf(stage.path, sizeof(stage.path), ":memory:");
    stage_begin(&stage, NULL);
    assert_int_equal(
        stage_done(&stage, &reply, meta_set(stage.store, reply_for(&reply), SPAN("a"), SPAN("b"))),
        0);
    assert_int_equal(
        stage_done(&stage, &reply, meta_get(stage.store, reply_for(&reply), SPAN("a"))), 0);
    assert_int_equal(access(":memory:", F_OK), -1);
    stage_close(&stage);
}

/* Several asks, and in which order they were told. */
struct numbered {
    struct store_ask ask;
    struct order *order;
    int number;
};

struct order {
    struct numbered items[300];
    int told[300], errs[300];
    int count;
};

static void on_done(struct store_ask *ask, const struct store_answer *answer)
{
    struct numbered *item = container_of(ask, struct numbered, ask);
    struct order *order = item->order;

    order->told[order->count] = item->number;
    order->errs[order->count++] = answer->err;
}

static struct store_ask *nth(struct order *order, int i)
{
    order->items[i] = (struct numbered){.ask.on_done = on_done, .order = order, .number = i};
    return &order->items[i].ask;
}

static void asks_are_done_and_told_in_order(void **state)
{
    static struct order order;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int i = 0; i < 300; i += 3) { /* more than one transaction's */
        char name[3] = {(char)('a' + i % 26), (char)('a' + i / 26), 0};

        assert_int_equal(meta_get(stage.store, nth(&order, i), span_from_text(name)), 0);
        assert_int_equal(meta_set(stage.store, nth(&order, i + 1), span_from_text(name), SPAN("")),
                         0);
        assert_int_equal(meta_get(stage.store, nth(&order, i + 2), span_from_text(name)), 0);
    }
    assert_int_equal(store_health(stage.store)->queued, 300);
    stage_settle(&stage);
    assert_int_equal(order.count, 300);
    for (int i = 0; i < 300; i++) {
        assert_int_equal(order.told[i], i);
        assert_int_equal(order.errs[i], i % 3 ? 0 : ERR_NOTFOUND);
    }
    assert_int_equal(store_health(stage.store)->written, 100);
    assert_int_equal(store_health(stage.store)->queued, 0);
    assert_int_equal(store_health(stage.store)->held_bytes, 0);
    stage_close(&stage);
}

static void asks_of_one_turn_share_a_transaction(void **state)
{
    struct reply reply = {0};
    struct stage stage;
    int together, alone;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    meta_set(stage.store, NULL, SPAN("a"), SPAN("b"));
    stage_settle(&stage);
    disk_syncs();
    stage_done(&stage, &reply, audit_add(stage.store, reply_for(&reply), &some_line));
    alone = disk_syncs();
    assert_true(alone >= 1); /* told once it is on the disk */
    for (int i = 0; i < 100; i++)
        assert_int_equal(audit_add(stage.store, NULL, &some_line), 0);
    stage_settle(&stage);
    together = disk_syncs();
    assert_true(together <= 2 * alone);
    /* What changes nothing needs no disk. */
    for (int i = 0; i < 2; i++) {
        const struct key_state key = {.provider = SPAN("p"),
                                      .name = SPAN("k"),
                                      .wish = SPAN("enabled"),
                                      .health = SPAN("new"),
                                      .breaker = SPAN("closed")};

        disk_syncs();
        stage_done(&stage, &reply, key_states_put(stage.store, reply_for(&reply), &key, 1));
    }
    assert_int_equal(disk_syncs(), 0);
    stage_close(&stage);
}

static void one_failure_takes_nothing_else_back(void **state)
{
    const struct rotation_row row = {.id = SPAN("r"),
                                     .provider = SPAN("p"),
                                     .cause = SPAN("age"),
                                     .state = SPAN("issued"),
                                     .started_wall_us = 1};
    struct reply replies[3] = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(rotations_add(stage.store, reply_for(&replies[i]), &row), 0);
    assert_int_equal(audit_add(stage.store, reply_for(&replies[2]), &some_line), 0);
    assert_int_equal(stage_await(&stage, &replies[2]), 0);
    assert_int_equal(replies[0].err, 0);
    assert_int_equal(replies[1].err, ERR_EXISTS);
    assert_non_null(strstr(replies[1].why, "UNIQUE"));
    assert_int_equal(count_lines(&stage), 1);
    stage_close(&stage);
}

/* A matter whose second statement fails. */
static int write_and_fail(struct sql *sql, struct store_op *op)
{
    int err = sql_do(sql, "INSERT INTO meta VALUES ('half', '', 0)");

    (void)op;
    return err ? err : sql_do(sql, "INSERT INTO meta VALUES ('NO WORD', '', 0)");
}

static const struct store_op_kind failing = {.is_write = true, .run = write_and_fail};

static void a_failure_takes_all_of_its_own_back(void **state)
{
    struct reply before = {0}, reply = {0}, after = {0}, read = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(audit_add(stage.store, reply_for(&before), &some_line), 0);
    assert_int_equal(store_submit(stage.store, reply_for(&reply),
                                  store_op_new(sizeof(struct store_op), &failing), true),
                     0);
    assert_int_equal(audit_add(stage.store, reply_for(&after), &some_line), 0);
    assert_int_equal(meta_get(stage.store, reply_for(&read), SPAN("half")), 0);
    assert_int_equal(stage_await(&stage, &read), ERR_NOTFOUND);
    assert_int_equal(reply.err, ERR_RANGE);
    assert_int_equal(before.err + after.err, 0);
    assert_int_equal(count_lines(&stage), 2);
    assert_int_equal(stage.tellings, 0);
    stage_close(&stage);
}

static void what_is_cancelled_is_written_untold(void **state)
{
    struct reply replies[3] = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    store_cancel(&replies[0].ask); /* nothing is under way */
    assert_int_equal(audit_add(stage.store, reply_for(&replies[0]), &some_line), 0);
    assert_int_equal(audit_add(stage.store, reply_for(&replies[1]), &some_line), 0);
    assert_int_equal(meta_get(stage.store, reply_for(&replies[2]), SPAN("a")), 0);
    store_cancel(&replies[0].ask);
    store_cancel(&replies[2].ask);
    assert_null(replies[0].ask.op);
    stage_await(&stage, &replies[1]);
    stage_settle(&stage);
    assert_int_equal(replies[0].calls, 0);
    assert_int_equal(replies[2].calls, 0);
    assert_int_equal(count_lines(&stage), 2);
    assert_int_equal(store_health(stage.store)->queued, 0);
    stage_close(&stage);
}

/* An ask that begins the next one as it is told. */
struct chain {
    struct store_ask ask;
    struct store *store;
    int left;
};

static void on_link(struct store_ask *ask, const struct store_answer *answer)
{
    struct chain *chain = container_of(ask, struct chain, ask);

    assert_int_equal(answer->err, 0);
    if (--chain->left)
        assert_int_equal(audit_add(chain->store, ask, &some_line), 0);
}

static void an_ask_may_begin_anew_when_it_is_told(void **state)
{
    struct stage stage;
    struct chain chain = {.ask.on_done = on_link, .left = 5};

    stage_open(&stage);
    stage_begin(&stage, NULL);
    chain.store = stage.store;
    assert_int_equal(audit_add(stage.store, &chain.ask, &some_line), 0);
    stage_settle(&stage);
    assert_int_equal(chain.left, 0);
    assert_int_equal(count_lines(&stage), 5);
    stage_close(&stage);
}

static void the_end_writes_what_is_queued(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(audit_add(stage.store, NULL, &some_line), 0);
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &some_line), 0);
    stage_end(&stage);
    assert_int_equal(reply.calls, 0);
    assert_null(reply.ask.op);
    assert_int_equal(count_lines(&stage), 1001);
    stage_close(&stage);
}

static void a_flush_waits_and_tells_in_the_next_turn(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(store_flush(stage.store), 0);
    assert_int_equal(audit_add(stage.store, NULL, &some_line), 0);
    stage_turn(&stage); /* the first may be with the writer */
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &some_line), 0);
    assert_int_equal(store_flush(stage.store), 0);
    assert_int_equal(reply.calls, 0);
    assert_int_equal(count_lines(&stage), 2);
    assert_int_equal(loop_turn(stage.loop, 0), 0);
    assert_int_equal(reply.calls, 1);
    assert_int_equal(reply.err, 0);
    stage_close(&stage);
}

static void the_queue_is_bounded(void **state)
{
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int i = 0; i < STORE_MAX_QUEUED; i++)
        assert_int_equal(audit_add(stage.store, NULL, &some_line), 0);
    assert_int_equal(audit_add(stage.store, reply_for(&reply), &some_line), ERR_FULL);
    assert_null(reply.ask.op);
    stage_settle(&stage);
    assert_int_equal(
        stage_done(&stage, &reply, audit_add(stage.store, reply_for(&reply), &some_line)), 0);
    assert_int_equal(count_lines(&stage), STORE_MAX_QUEUED + 1);
    stage_close(&stage);
}

/* ---- without memory ---- */

static int begin_each(struct stage *stage, int which, struct store_ask *ask)
{
    const struct key_state_aside aside = {SPAN("o3"), SPAN("limited"), 1};
    const struct key_state key = {.provider = SPAN("p"),
                                  .name = SPAN("k"),
                                  .wish = SPAN("enabled"),
                                  .health = SPAN("new"),
                                  .breaker = SPAN("closed"),
                                  .asides = &aside,
                                  .aside_count = 1};
    const struct rotation_row row = {.id = SPAN("r"),
                                     .provider = SPAN("p"),
                                     .cause = SPAN("age"),
                                     .state = SPAN("issued"),
                                     .reason = SPAN("because"),
                                     .started_wall_us = 1};
    const uint8_t identities[1][STORE_IDENTITY_BYTES] = {{9}};

    switch (which) {
    case 0:
        return key_states_put(stage->store, ask, &key, 1);
    case 1:
        return rotations_add(stage->store, ask, &row);
    case 2:
        return audit_add(stage->store, ask, &some_line);
    case 3:
        return meta_set(stage->store, ask, SPAN("a"), SPAN("b"));
    case 4:
        return key_states_load(stage->store, ask);
    case 5:
        return rotations_update(stage->store, ask, &row, 2);
    case 6:
        return rotations_list(stage->store, ask, &(struct rotations_page){.limit = 3});
    case 7:
        return rotations_find(stage->store, ask, SPAN("r"));
    case 8:
        return rotations_history(stage->store, ask, SPAN("r"), 0, 3);
    case 9:
        return audit_list(stage->store, ask, &(struct audit_page){.limit = 3});
    case 10:
        return meta_get(stage->store, ask, SPAN("a"));
    case 11:
        return rotations_prune(stage->store, ask, 0);
    case 12:
        return audit_prune(stage->store, ask, 0);
    case 13:
        return key_states_forget(stage->store, ask, identities, 1);
    }
    return 1;
}

/* Each allocation of each ask fails once: it does not begin, or its answer says so, or nobody
 * needed it; and the next ask is as good as ever. */
static void without_memory_an_ask_fails_alone(void **state)
{
    struct reply reply = {0};
    struct stage stage;
    int refused = 0, failed = 0;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int which = 0; which < 14; which++) {
        bool is_pending = false;

        for (long after = 0; !is_pending && after < 100; after++) {
            int err;

            mem_fail_after(after);
            err = begin_each(&stage, which, reply_for(&reply));
            if (err) {
                assert_int_equal(err, ERR_NOMEM);
                refused++;
            } else if (stage_await(&stage, &reply) == ERR_NOMEM) {
                failed++;
            }
            is_pending = mem_fail_is_pending();
            mem_fail_after(-1);
            stage_pass(&stage, 6 * US_PER_SEC); /* the writer itself could not be made */
#ifndef BW_FAULTS
            is_pending = true;
#endif
        }
        if (begin_each(&stage, which, reply_for(&reply)) == 0)
            assert_true(stage_await(&stage, &reply) == 0 ||
                        (which == 1 && reply.err == ERR_EXISTS));
    }
#ifdef BW_FAULTS
    assert_true(refused > 20);
    assert_true(failed >= 4); /* reads that have no block of memory yet */
#endif
    assert_int_equal(store_health(stage.store)->queued, 0);
    assert_int_equal(store_health(stage.store)->held_bytes, 0);
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
        cmocka_unit_test(the_file_is_opened_at_first_need),
        cmocka_unit_test(a_store_in_memory_leaves_nothing),
        cmocka_unit_test(asks_are_done_and_told_in_order),
        cmocka_unit_test(asks_of_one_turn_share_a_transaction),
        cmocka_unit_test(one_failure_takes_nothing_else_back),
        cmocka_unit_test(a_failure_takes_all_of_its_own_back),
        cmocka_unit_test(what_is_cancelled_is_written_untold),
        cmocka_unit_test(an_ask_may_begin_anew_when_it_is_told),
        cmocka_unit_test(the_end_writes_what_is_queued),
        cmocka_unit_test(a_flush_waits_and_tells_in_the_next_turn),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(without_memory_an_ask_fails_alone),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
