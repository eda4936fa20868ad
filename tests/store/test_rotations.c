/* Rotations and their history: what a driver writes, and what an operator or a restart reads. */
#include "stage.h"

#include "store/rotations.h"

/* What was read, as lines. */
struct page {
    size_t count;
    uint64_t last_seq;
    char text[65536];
};

static void look_at_rows(const struct store_answer *answer, void *owner)
{
    const struct rotation_row *rows = rotations_told(answer);
    struct page *page = owner;
    size_t len = 0;

    page->count = answer->count;
    page->text[0] = '\0';
    for (size_t i = 0; i < answer->count; i++) {
        const struct rotation_row *r = &rows[i];

        page->last_seq = r->seq;
        len += (size_t)snprintf(
            page->text + len, sizeof(page->text) - len,
            "%.*s %.*s [%.*s %.*s]->[%.*s %.*s] %.*s: %.*s %u (%.*s) %llu %llu %llu\n",
            SPAN_ARG(r->id), SPAN_ARG(r->provider), SPAN_ARG(r->predecessor),
            SPAN_ARG(r->predecessor_id), SPAN_ARG(r->successor), SPAN_ARG(r->successor_id),
            SPAN_ARG(r->cause), SPAN_ARG(r->state), r->step, SPAN_ARG(r->reason),
            (unsigned long long)r->started_wall_us, (unsigned long long)r->until_wall_us,
            (unsigned long long)r->ended_wall_us);
    }
}

static void look_at_moves(const struct store_answer *answer, void *owner)
{
    const struct rotation_move *moves = rotations_moves_told(answer);
    struct page *page = owner;
    size_t len = 0;

    page->count = answer->count;
    page->text[0] = '\0';
    for (size_t i = 0; i < answer->count; i++) {
        page->last_seq = moves[i].seq;
        len += (size_t)snprintf(page->text + len, sizeof(page->text) - len,
                                "%llu: %.*s->%.*s %u (%.*s)\n",
                                (unsigned long long)moves[i].at_wall_us, SPAN_ARG(moves[i].from),
                                SPAN_ARG(moves[i].to), moves[i].step, SPAN_ARG(moves[i].reason));
    }
}

static struct rotation_row rotation(const char *id, const char *provider)
{
    return (struct rotation_row){.id = span_from_text(id),
                                 .provider = span_from_text(provider),
                                 .predecessor = SPAN("main"),
                                 .predecessor_id = SPAN("key_1"),
                                 .cause = SPAN("schedule"),
                                 .state = SPAN("issued"),
                                 .started_wall_us = 1000};
}

static int add(struct stage *stage, const struct rotation_row *row)
{
    struct reply reply = {0};

    return stage_done(stage, &reply, rotations_add(stage->store, reply_for(&reply), row));
}

static int update(struct stage *stage, const struct rotation_row *row, uint64_t at_wall_us)
{
    struct reply reply = {0};

    return stage_done(stage, &reply,
                      rotations_update(stage->store, reply_for(&reply), row, at_wall_us));
}

static int list(struct stage *stage, const struct rotations_page *wanted, struct page *page)
{
    struct reply reply = {.look = look_at_rows, .owner = page};

    return stage_done(stage, &reply, rotations_list(stage->store, reply_for(&reply), wanted));
}

static int history(struct stage *stage, const char *id, uint64_t after, size_t limit,
                   struct page *page)
{
    struct reply reply = {.look = look_at_moves, .owner = page};

    return stage_done(
        stage, &reply,
        rotations_history(stage->store, reply_for(&reply), span_from_text(id), after, limit));
}

static int find(struct stage *stage, const char *id, struct page *page)
{
    struct reply reply = {.look = look_at_rows, .owner = page};

    return stage_done(stage, &reply,
                      rotations_find(stage->store, reply_for(&reply), span_from_text(id)));
}

static void a_rotation_is_followed_move_by_move(void **state)
{
    struct rotation_row row = rotation("r1", "openai");
    static struct page page;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(add(&stage, &row), 0);
    row.successor = SPAN("auto-rotate-2");
    row.successor_id = SPAN("key_2");
    row.state = SPAN("canary");
    row.until_wall_us = 5000;
    assert_int_equal(update(&stage, &row, 2000), 0);
    assert_int_equal(update(&stage, &row, 2500), 0); /* nothing new: no line */
    row.step = 1;
    row.reason = SPAN("112 requests, 0 errors");
    assert_int_equal(update(&stage, &row, 3000), 0);
    row.state = SPAN("rolled_back");
    row.reason = SPAN("401 from the provider");
    row.ended_wall_us = 4000;
    row.until_wall_us = 0;
    assert_int_equal(update(&stage, &row, 4000), 0);
    stage_end(&stage);

    stage_begin(&stage, NULL);
    assert_int_equal(find(&stage, "r1", &page), 0);
    assert_string_equal(page.text, "r1 openai [main key_1]->[auto-rotate-2 key_2] schedule: "
                                   "rolled_back 1 (401 from the provider) 1000 0 4000\n");
    assert_int_equal(history(&stage, "r1", 0, 500, &page), 0);
    assert_string_equal(page.text, "1000: ->issued 0 ()\n"
                                   "2000: issued->canary 0 ()\n"
                                   "3000: canary->canary 1 (112 requests, 0 errors)\n"
                                   "4000: canary->rolled_back 1 (401 from the provider)\n");
    assert_int_equal(history(&stage, "r1", 0, 3, &page), 0);
    assert_int_equal(history(&stage, "r1", page.last_seq, 3, &page), 0);
    assert_string_equal(page.text, "4000: canary->rolled_back 1 (401 from the provider)\n");
    stage_close(&stage);
}

static void ids_are_unique_and_must_be_there(void **state)
{
    struct rotation_row row = rotation("r1", "openai"), other = rotation("r2", "openai");
    static struct page page;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(add(&stage, &row), 0);
    row.state = SPAN("stored");
    assert_int_equal(add(&stage, &row), ERR_EXISTS);
    assert_int_equal(history(&stage, "r1", 0, 10, &page), 0);
    assert_string_equal(page.text, "1000: ->issued 0 ()\n"); /* nothing of it was written */
    assert_int_equal(update(&stage, &other, 2000), ERR_NOTFOUND);
    assert_int_equal(find(&stage, "r2", &page), ERR_NOTFOUND);
    assert_int_equal(history(&stage, "r2", 0, 10, &page), 0);
    assert_int_equal(page.count, 0);
    assert_int_equal(store_health(stage.store)->err, 0); /* this is no trouble of the store's */
    stage_close(&stage);
}

/* Rotations 0 to count-1, of providers a and b in turn; each tenth is under way. */
static void add_many(struct stage *stage, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char id[16];
        struct rotation_row row;

        snprintf(id, sizeof(id), "r%u", i);
        row = rotation(id, i % 2 ? "b" : "a");
        row.started_wall_us = 1000 + i;
        row.ended_wall_us = i % 10 ? 2000 + i : 0;
        assert_int_equal(rotations_add(stage->store, NULL, &row), 0);
    }
    stage_settle(stage);
}

static void lists_come_newest_first_in_pages(void **state)
{
    struct rotations_page wanted = {.limit = 20};
    static struct page page;
    struct stage stage;
    size_t seen = 0;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    add_many(&stage, 50);
    do {
        char first[8];

        assert_int_equal(list(&stage, &wanted, &page), 0);
        snprintf(first, sizeof(first), "r%u ", 49 - (unsigned)seen);
        assert_memory_equal(page.text, first, strlen(first));
        seen += page.count;
        wanted.before_seq = page.last_seq;
    } while (page.count == wanted.limit);
    assert_int_equal(seen, 50);
    wanted = (struct rotations_page){.limit = 500, .provider = SPAN("b")};
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 25);
    wanted = (struct rotations_page){.limit = 500, .is_open = true};
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 5);
    wanted.provider = SPAN("b");
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, 0);
    stage_close(&stage);
}

static void old_ones_are_pruned_but_for_the_last_hundred(void **state)
{
    struct rotations_page wanted = {.limit = 500, .provider = SPAN("b")};
    struct reply reply = {0};
    static struct page page;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    add_many(&stage, 440); /* 220 each; of a's each fifth is under way */
    assert_int_equal(
        stage_done(&stage, &reply, rotations_prune(stage.store, reply_for(&reply), 2100)), 0);
    assert_int_equal(reply.count, 50 + 40); /* r0 to r99, without a's that are under way */
    assert_int_equal(
        stage_done(&stage, &reply, rotations_prune(stage.store, reply_for(&reply), 9999)), 0);
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, ROTATIONS_KEPT);
    wanted.provider = SPAN("a");
    assert_int_equal(list(&stage, &wanted, &page), 0);
    assert_int_equal(page.count, ROTATIONS_KEPT + 24);
    assert_int_equal(history(&stage, "r1", 0, 10, &page), 0);
    assert_int_equal(page.count, 0);
    assert_int_equal(history(&stage, "r439", 0, 10, &page), 0);
    assert_int_equal(page.count, 1);
    stage_close(&stage);
}

static void reasons_are_cut_and_cleaned_names_are_refused(void **state)
{
    struct rotation_row row = rotation("r1", "openai");
    char much[600];
    static struct page page;
    struct reply reply = {0};
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    memset(much, 'x', sizeof(much));
    memcpy(much, "one\ntwo\0", 8);
    memcpy(much + 510, "\xe2\x82\xac", 3); /* a character that would be cut in two */
    row.reason = span_of(much, sizeof(much));
    assert_int_equal(add(&stage, &row), 0);
    assert_int_equal(history(&stage, "r1", 0, 1, &page), 0);
    assert_memory_equal(page.text, "1000: ->issued 0 (one two xx", 28);
    assert_int_equal(strcspn(page.text, ")") - strcspn(page.text, "("), 511);

    row.successor = span_of(much, 257);
    assert_int_equal(rotations_update(stage.store, reply_for(&reply), &row, 1), ERR_RANGE);
    row.successor = SPAN("new");
    row.successor_id = span_of(much + 60, 520); /* issuers have long ones */
    memset(much + 60, 'x', 520);
    assert_int_equal(update(&stage, &row, 1), 0);
    row.successor_id.len++;
    assert_int_equal(rotations_update(stage.store, reply_for(&reply), &row, 1), ERR_RANGE);
    row = rotation("", "openai");
    assert_int_equal(rotations_add(stage.store, reply_for(&reply), &row), ERR_RANGE);
    row = rotation("r2", "openai");
    row.started_wall_us = 0;
    assert_int_equal(rotations_add(stage.store, reply_for(&reply), &row), ERR_RANGE);
    assert_int_equal(rotations_list(stage.store, reply_for(&reply), &(struct rotations_page){0}),
                     ERR_RANGE);
    assert_int_equal(rotations_history(stage.store, reply_for(&reply), SPAN("r1"), 0, 501),
                     ERR_RANGE);
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_rotation_is_followed_move_by_move),
        cmocka_unit_test(ids_are_unique_and_must_be_there),
        cmocka_unit_test(lists_come_newest_first_in_pages),
        cmocka_unit_test(old_ones_are_pruned_but_for_the_last_hundred),
        cmocka_unit_test(reasons_are_cut_and_cleaned_names_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
