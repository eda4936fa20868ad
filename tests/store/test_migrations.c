/* Migrations of models and their history: what a driver writes, and what a restart or an operator
 * reads. */
#include "stage.h"

#include "store/migrations.h"

struct seen {
    size_t count;
    char text[4096];
};

static void look_at_row(const struct store_answer *answer, void *owner)
{
    const struct migration_row *row = migrations_told(answer);
    struct seen *seen = owner;

    seen->count = answer->count;
    if (answer->count)
        snprintf(seen->text, sizeof(seen->text),
                 "%.*s %.*s->%.*s %.*s %u %u (%.*s) [%.*s %.*s %.*s]", SPAN_ARG(row->model),
                 SPAN_ARG(row->from), SPAN_ARG(row->to), SPAN_ARG(row->state), (unsigned)row->run,
                 row->share_ppm, SPAN_ARG(row->reason), SPAN_ARG(row->note),
                 SPAN_ARG(row->old_side), SPAN_ARG(row->new_side));
}

static void look_at_moves(const struct store_answer *answer, void *owner)
{
    const struct migration_move *moves = migrations_moves_told(answer);
    struct seen *seen = owner;
    size_t len = 0;

    seen->count = answer->count;
    seen->text[0] = '\0';
    for (size_t i = 0; i < answer->count && i < 10; i++)
        len += (size_t)snprintf(seen->text + len, sizeof(seen->text) - len, "%u %.*s>%.*s %u;",
                                (unsigned)moves[i].run, SPAN_ARG(moves[i].from),
                                SPAN_ARG(moves[i].to), moves[i].share_ppm);
}

static struct migration_row migration(const char *state, uint32_t share_ppm)
{
    return (struct migration_row){.model = SPAN("chat"),
                                  .from = SPAN("legacy/y"),
                                  .to = SPAN("new/x"),
                                  .state = span_from_text(state),
                                  .run = 1,
                                  .share_ppm = share_ppm,
                                  .reason = SPAN("by an operator"),
                                  .note = SPAN("migration/1 state=1;canary/1 ln=-5"),
                                  .old_side = SPAN("side/1 first_byte=1:2,3:4"),
                                  .new_side = SPAN("")};
}

static void write_row(struct stage *stage, const struct migration_row *row)
{
    struct reply reply = {0};

    assert_int_equal(
        stage_done(stage, &reply, migrations_put(stage->store, reply_for(&reply), row, 7000000)),
        0);
}

static void expect_row(struct stage *stage, const char *text)
{
    struct seen seen = {0};
    struct reply reply = {.look = look_at_row, .owner = &seen};

    assert_int_equal(
        stage_done(stage, &reply, migrations_find(stage->store, reply_for(&reply), SPAN("chat"))),
        0);
    assert_string_equal(seen.text, text);
}

static void it_is_found_again(void **state)
{
    struct migration_row row = migration("ramping", 50000);
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(
        stage_done(&stage, &reply, migrations_find(stage.store, reply_for(&reply), SPAN("chat"))),
        ERR_NOTFOUND);
    write_row(&stage, &row);
    row.state = SPAN("cut_over");
    row.share_ppm = 1000000;
    write_row(&stage, &row);
    stage_end(&stage);
    stage_begin(&stage, NULL);
    expect_row(&stage, "chat legacy/y->new/x cut_over 1 1000000 (by an operator) "
                       "[migration/1 state=1;canary/1 ln=-5 side/1 first_byte=1:2,3:4 ]");
    stage_close(&stage);
}

/* A line for each move, none for evidence that has grown. */
static void its_history(void **state)
{
    struct migration_row row = migration("planned", 0);
    struct seen seen = {0};
    struct reply reply = {.look = look_at_moves, .owner = &seen};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    write_row(&stage, &row);
    row = migration("ramping", 50000);
    write_row(&stage, &row);
    row.note = SPAN("more=1");
    write_row(&stage, &row);
    row.share_ppm = 250000;
    write_row(&stage, &row);
    assert_int_equal(
        stage_done(&stage, &reply,
                   migrations_history(stage.store, reply_for(&reply), SPAN("chat"), 10)),
        0);
    assert_int_equal(seen.count, 3);
    assert_string_equal(seen.text,
                        "1 ramping>ramping 250000;1 planned>ramping 50000;1 >planned 0;");
    for (uint32_t i = 0; i < MIGRATION_MOVES_KEPT + 20; i++) {
        row.share_ppm = i;
        assert_int_equal(migrations_put(stage.store, NULL, &row, 1), 0);
    }
    stage_settle(&stage);
    assert_int_equal(stage_done(&stage, &reply,
                                migrations_history(stage.store, reply_for(&reply), SPAN("chat"),
                                                   STORE_MAX_ROWS)),
                     0);
    assert_int_equal(seen.count, MIGRATION_MOVES_KEPT);
    stage_close(&stage);
}

static void what_is_not_taken(void **state)
{
    struct migration_row row;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    row = migration("ramping", 0);
    row.note = SPAN("key=sk-Proj"); /* capital letters stand in no note */
    assert_int_equal(migrations_put(stage.store, NULL, &row, 1), ERR_RANGE);
    row = migration("Ramping", 0);
    assert_int_equal(migrations_put(stage.store, NULL, &row, 1), ERR_RANGE);
    row = migration("ramping", 0);
    row.model = SPAN("");
    assert_int_equal(migrations_put(stage.store, NULL, &row, 1), ERR_RANGE);
    row = migration("ramping", 0);
    row.to = SPAN("");
    assert_int_equal(migrations_put(stage.store, NULL, &row, 1), ERR_RANGE);
    assert_int_equal(migrations_history(stage.store, NULL, SPAN("chat"), 0), ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_found_again),
        cmocka_unit_test(its_history),
        cmocka_unit_test(what_is_not_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
