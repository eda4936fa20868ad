/* Which call a result answers, where a turn has several. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dialect/gemini_calls.h"

enum { MANY = 20000 };

struct room {
    struct arena_pool pool;
    struct arena arena;
};

static int open_room(void **state)
{
    static struct room room;

    arena_pool_init(&room.pool, 1);
    arena_init(&room.arena, &room.pool, 8 << 20);
    *state = &room;
    return 0;
}

static int close_room(void **state)
{
    struct room *room = *state;

    arena_fini(&room->arena);
    arena_pool_fini(&room->pool);
    return 0;
}

static struct chat_part call(const char *id, const char *name)
{
    return (struct chat_part){
        .kind = CHAT_PART_CALL, .id = span_from_text(id), .name = span_from_text(name)};
}

static struct gemini_calls *calls_of(struct room *room, struct chat_message *turn,
                                     struct chat_part *parts, size_t count)
{
    struct gemini_calls *calls;

    *turn = (struct chat_message){.role = CHAT_ASSISTANT, .parts = parts, .part_count = count};
    calls = gemini_calls_new(&room->arena, turn);
    assert_non_null(calls);
    return calls;
}

static void results_in_order_answer_the_calls_in_order(void **state)
{
    struct chat_part parts[] = {{.kind = CHAT_PART_TEXT, .text = SPAN("f")},
                                call("a", "f"),
                                {.kind = CHAT_PART_THINKING, .text = SPAN("f")},
                                call("b", "g"),
                                call("c", "f")};
    struct chat_message turn;
    struct gemini_calls *calls = calls_of(*state, &turn, parts, 5);

    assert_ptr_equal(gemini_calls_take(calls, SPAN(""), SPAN("f")), &parts[1]);
    assert_ptr_equal(gemini_calls_take(calls, SPAN("b"), SPAN("g")), &parts[3]);
    assert_ptr_equal(gemini_calls_take(calls, SPAN(""), SPAN("f")), &parts[4]);
    assert_null(gemini_calls_take(calls, SPAN(""), SPAN("f")));
}

static void an_id_goes_before_a_name(void **state)
{
    struct chat_part parts[] = {call("a", "f"), call("b", "f"), call("c", "f")};
    struct chat_message turn;
    struct gemini_calls *calls = calls_of(*state, &turn, parts, 3);

    assert_ptr_equal(gemini_calls_take(calls, SPAN("c"), SPAN("f")), &parts[2]);
    assert_ptr_equal(gemini_calls_take(calls, SPAN("b"), SPAN("g")), &parts[1]);
    /* An id that nobody has: the name says which. */
    assert_ptr_equal(gemini_calls_take(calls, SPAN("z"), SPAN("f")), &parts[0]);
    assert_null(gemini_calls_take(calls, SPAN("a"), SPAN("f")));
}

static void each_call_is_answered_once(void **state)
{
    struct chat_part parts[] = {call("a", "f"), call("a", "f"), call("b", "g")};
    struct chat_message turn;
    struct gemini_calls *calls = calls_of(*state, &turn, parts, 3);

    assert_ptr_equal(gemini_calls_take(calls, SPAN("b"), SPAN("g")), &parts[2]);
    assert_null(gemini_calls_take(calls, SPAN("b"), SPAN("g")));
    assert_null(gemini_calls_take(calls, SPAN(""), SPAN("g")));
    assert_non_null(gemini_calls_take(calls, SPAN("a"), SPAN("f")));
    assert_non_null(gemini_calls_take(calls, SPAN("a"), SPAN("f")));
    assert_null(gemini_calls_take(calls, SPAN("a"), SPAN("f")));
}

static void a_turn_without_calls_has_none(void **state)
{
    struct chat_part parts[] = {{.kind = CHAT_PART_TEXT, .text = SPAN("f"), .id = SPAN("a")}};
    struct chat_message turn;
    struct gemini_calls *calls = calls_of(*state, &turn, parts, 1);

    assert_null(gemini_calls_take(calls, SPAN("a"), SPAN("")));
    assert_null(gemini_calls_take(calls_of(*state, &turn, NULL, 0), SPAN("a"), SPAN("f")));
}

/* Backwards, and all of one name: were each sought through all the others, this would take minutes.
 */
static void many_are_found_from_the_last_to_the_first(void **state)
{
    struct room *room = *state;
    struct chat_part *parts = calloc(MANY, sizeof(*parts));
    char(*ids)[16] = calloc(MANY, sizeof(*ids));
    struct gemini_calls *calls;
    struct chat_message turn;

    assert_non_null(parts);
    assert_non_null(ids);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof(ids[i]), "c%zu", i);
        parts[i] = call(ids[i], "f");
    }
    calls = calls_of(room, &turn, parts, MANY);
    for (size_t i = MANY; i-- > MANY / 2;)
        assert_ptr_equal(gemini_calls_take(calls, parts[i].id, SPAN("f")), &parts[i]);
    for (size_t i = 0; i < MANY / 2; i++)
        assert_ptr_equal(gemini_calls_take(calls, SPAN("none"), SPAN("f")), &parts[i]);
    assert_null(gemini_calls_take(calls, SPAN("none"), SPAN("f")));
    free(ids);
    free(parts);
}

static void without_memory_there_is_no_answer(void **state)
{
    struct chat_part parts[] = {call("a", "f"), call("b", "g")};
    const struct chat_message turn = {.parts = parts, .part_count = 2};
    struct gemini_calls *calls;
    struct arena_pool pool;
    struct arena arena;

    (void)state;
    arena_pool_init(&pool, 0);
    arena_init(&arena, &pool, 64);
    assert_null(gemini_calls_new(&arena, &turn));
    arena_fini(&arena);
    arena_init(&arena, &pool, 1 << 16);
    calls = gemini_calls_new(&arena, &turn);
    assert_non_null(calls);
    arena.max = 0;
    /* The next in order needs no table; any other does. */
    assert_null(gemini_calls_take(calls, SPAN("b"), SPAN("g")));
    assert_ptr_equal(gemini_calls_take(calls, SPAN("a"), SPAN("f")), &parts[0]);
    assert_ptr_equal(gemini_calls_take(calls, SPAN("b"), SPAN("g")), &parts[1]);
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_in_order_answer_the_calls_in_order, open_room,
                                        close_room),
        cmocka_unit_test_setup_teardown(an_id_goes_before_a_name, open_room, close_room),
        cmocka_unit_test_setup_teardown(each_call_is_answered_once, open_room, close_room),
        cmocka_unit_test_setup_teardown(a_turn_without_calls_has_none, open_room, close_room),
        cmocka_unit_test_setup_teardown(many_are_found_from_the_last_to_the_first, open_room,
                                        close_room),
        cmocka_unit_test(without_memory_there_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
