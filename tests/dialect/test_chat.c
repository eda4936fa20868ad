/* The small things that all dialects ask of the neutral form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/translate.h"

struct room {
    struct arena_pool pool;
    struct arena arena;
};

static int open_room(void **state)
{
    static struct room room;

    arena_pool_init(&room.pool, 1);
    arena_init(&room.arena, &room.pool, 65536);
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

static void test_data_urls(void **state)
{
    static const char *const none[] = {"",
                                       "data:",
                                       "data:image/png;base64",
                                       "data:image/png,abc",
                                       "data:;base64,abc",
                                       "https://host/a.png",
                                       "data:base64,abc"};
    struct chat_media media;

    (void)state;
    assert_true(chat_read_data_url(SPAN("data:image/png;base64,iVBO"), &media));
    assert_int_equal(media.source, CHAT_SOURCE_DATA);
    assert_true(span_is_equal(media.type, SPAN("image/png")));
    assert_true(span_is_equal(media.data, SPAN("iVBO")));
    assert_true(chat_read_data_url(SPAN("DATA:text/plain;charset=utf-8;BASE64,aA=="), &media));
    assert_true(span_is_equal(media.type, SPAN("text/plain")));
    assert_true(chat_read_data_url(SPAN("data:a/b;base64,"), &media));
    assert_int_equal(media.data.len, 0);
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(chat_read_data_url(span_from_text(none[i]), &media));
}

static void test_ids_are_fitted_always_the_same_way(void **state)
{
    struct room *room = *state;
    struct span odd = SPAN("call.1/ü"), made = chat_fit_id(odd, 64, &room->arena);

    assert_true(span_is_equal(chat_fit_id(SPAN("call_9-A"), 64, &room->arena), SPAN("call_9-A")));
    assert_true(span_has_prefix(made, SPAN("call_")));
    assert_true(span_is_equal(made, chat_fit_id(odd, 64, &room->arena)));
    assert_false(span_is_equal(made, chat_fit_id(SPAN("call.2"), 64, &room->arena)));
    assert_int_equal(chat_fit_id(SPAN("toolu_0123456789"), 9, &room->arena).len, 9);
    assert_true(chat_fit_id(SPAN(""), 64, &room->arena).len > 0);
}

static void test_ids_of_answers(void **state)
{
    struct room *room = *state;

    assert_true(span_is_equal(chat_rename_id(SPAN("msg_01A"), SPAN("chatcmpl-"), &room->arena),
                              SPAN("chatcmpl-01A")));
    assert_true(span_is_equal(chat_rename_id(SPAN("chatcmpl-9"), SPAN("msg_"), &room->arena),
                              SPAN("msg_9")));
    assert_true(
        span_is_equal(chat_rename_id(SPAN("msg_x"), SPAN("msg_"), &room->arena), SPAN("msg_x")));
    assert_true(
        span_is_equal(chat_rename_id(SPAN("r9"), SPAN("resp_"), &room->arena), SPAN("resp_r9")));
}

static void test_the_call_of_a_result(void **state)
{
    struct chat_part first[] = {{.kind = CHAT_PART_CALL, .id = SPAN("a"), .name = SPAN("old")},
                                {.kind = CHAT_PART_TEXT, .text = SPAN("a")}};
    struct chat_part later[] = {{.kind = CHAT_PART_CALL, .id = SPAN("a"), .name = SPAN("new")}};
    struct chat_message messages[] = {{.role = CHAT_ASSISTANT, .parts = first, .part_count = 2},
                                      {.role = CHAT_ASSISTANT, .parts = later, .part_count = 1}};
    struct chat chat = {.messages = messages, .message_count = 2};

    (void)state;
    assert_ptr_equal(chat_find_call(&chat, 1, SPAN("a")), &first[0]);
    assert_ptr_equal(chat_find_call(&chat, 2, SPAN("a")), &later[0]);
    assert_null(chat_find_call(&chat, 2, SPAN("b")));
    assert_null(chat_find_call(&chat, 0, SPAN("a")));
}

static void test_plain_text(void **state)
{
    struct room *room = *state;
    struct chat_part parts[] = {{.kind = CHAT_PART_TEXT, .text = SPAN("one ")},
                                {.kind = CHAT_PART_IMAGE},
                                {.kind = CHAT_PART_REFUSAL, .text = SPAN("two")}};

    assert_true(span_is_equal(chat_plain_text(parts, 3, &room->arena), SPAN("one two")));
    assert_ptr_equal(chat_plain_text(parts, 2, &room->arena).ptr, parts[0].text.ptr);
    assert_int_equal(chat_plain_text(parts, 0, &room->arena).len, 0);
}

static void test_the_first_refusal_wins(void **state)
{
    struct chat_refusal refusal = {.failure = FAILURE_UNSUPPORTED};

    (void)state;
    assert_int_equal(chat_refuse(&refusal, FAILURE_FIELD_VALUE, "n", "%d is too many", 3),
                     ERR_SYNTAX);
    assert_int_equal(chat_refuse(&refusal, FAILURE_FIELD_TYPE, "m", "other"), ERR_SYNTAX);
    assert_int_equal(refusal.failure, FAILURE_FIELD_VALUE);
    assert_string_equal(refusal.param, "n");
    assert_string_equal(refusal.message, "3 is too many");
}

static void test_parts_are_bounded(void **state)
{
    struct room *room = *state;
    struct chat_refusal refusal = {.failure = FAILURE_UNSUPPORTED};
    struct chat_reading reading = {
        .arena = &room->arena, .refusal = &refusal, .part_count = CHAT_PARTS_MAX - 1};

    assert_non_null(chat_parts_new(&reading, 1));
    assert_null(chat_parts_new(&reading, 1));
    assert_non_null(strstr(refusal.message, "parts"));
}

static void test_choices_of_tools_are_bounded(void **state)
{
    struct chat_refusal refusal = {.failure = FAILURE_UNSUPPORTED};
    struct arena_pool pool;
    struct arena arena;
    struct chat chat = {.model = SPAN("m")};
    struct chat_reading reading = {.arena = &arena, .chat = &chat, .refusal = &refusal};

    (void)state;
    arena_pool_init(&pool, 1);
    arena_init(&arena, &pool, 1 << 20);
    assert_int_equal(chat_choose_one(&reading, SPAN("f")), 0);
    assert_int_equal(chat.choice, CHAT_CHOICE_ONE);
    assert_int_equal(chat.choice_name_count, 1);
    assert_true(span_is_equal(chat.choice_names[0], SPAN("f")));
    assert_int_equal(chat_choice_names_new(&reading, CHAT_TOOLS_MAX), 0);
    assert_int_equal(chat.choice_name_count, 0);
    assert_int_equal(refusal.message[0], 0);
    assert_int_equal(chat_choice_names_new(&reading, CHAT_TOOLS_MAX + 1), ERR_SYNTAX);
    assert_int_equal(refusal.failure, FAILURE_FIELD_VALUE);
    assert_non_null(strstr(refusal.message, "16384 tools"));
    arena_fini(&arena);
    arena_pool_fini(&pool);
}

/* A request of that form whose choice names so many tools is read as `wanted` says. */
static void read_choice_of(enum form form, const char *head, const char *name, const char *tail,
                           size_t count, int wanted)
{
    struct translate_facts facts = {.form = form, .model = SPAN("m")};
    struct translation *translation = NULL;
    struct chat_refusal refusal;
    struct arena_pool pool;
    struct buf body;
    int err;

    arena_pool_init(&pool, 1);
    buf_init(&body, 16 << 20);
    buf_append_span(&body, span_from_text(head));
    for (size_t i = 0; i < count; i++)
        buf_printf(&body, "%s%s", i ? "," : "", name);
    buf_append_span(&body, span_from_text(tail));
    err = translate_read(&facts, buf_span(&body), &pool, &translation, &refusal);
    assert_int_equal(err, wanted);
    if (err)
        assert_non_null(strstr(refusal.message, "16384 tools"));
    translate_free(&translation);
    buf_fini(&body);
    arena_pool_fini(&pool);
}

static void test_every_form_bounds_its_choices(void **state)
{
    static const struct {
        enum form form;
        const char *head, *name, *tail;
    } rows[] = {
        {FORM_CHAT,
         "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"tool_choice\":{\"type\":"
         "\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[",
         "{\"name\":\"f\"}", "]}}}"},
        {FORM_RESPONSES, "{\"input\":\"x\",\"tool_choice\":{\"type\":\"allowed_tools\",\"tools\":[",
         "{\"type\":\"function\",\"name\":\"f\"}", "]}}"},
        {FORM_GENERATE,
         "{\"contents\":[{\"parts\":[{\"text\":\"x\"}]}],\"toolConfig\":{"
         "\"functionCallingConfig\":{\"mode\":\"ANY\",\"allowedFunctionNames\":[",
         "\"f\"", "]}}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        read_choice_of(rows[i].form, rows[i].head, rows[i].name, rows[i].tail, CHAT_TOOLS_MAX, 0);
        read_choice_of(rows[i].form, rows[i].head, rows[i].name, rows[i].tail, CHAT_TOOLS_MAX + 1,
                       ERR_SYNTAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_urls),
        cmocka_unit_test_setup_teardown(test_ids_are_fitted_always_the_same_way, open_room,
                                        close_room),
        cmocka_unit_test_setup_teardown(test_ids_of_answers, open_room, close_room),
        cmocka_unit_test(test_the_call_of_a_result),
        cmocka_unit_test_setup_teardown(test_plain_text, open_room, close_room),
        cmocka_unit_test(test_the_first_refusal_wins),
        cmocka_unit_test_setup_teardown(test_parts_are_bounded, open_room, close_room),
        cmocka_unit_test(test_choices_of_tools_are_bounded),
        cmocka_unit_test(test_every_form_bounds_its_choices),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
