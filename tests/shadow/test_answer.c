/* Answers that were kept as bytes, read again: each form, whole and as a stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "shadow/answer.h"

struct reading {
    struct arena_pool pool;
    struct arena arena;
    struct shadow_answer answer;
};

static int read_of(struct reading *reading, enum form form, bool is_stream, struct span body)
{
    const struct shadow_raw raw = {
        .form = form, .is_stream = is_stream, .body = body, .prompt_tokens = 7};

    arena_pool_init(&reading->pool, 0);
    arena_init(&reading->arena, &reading->pool, 4 << 20);
    return shadow_answer_read(&raw, &reading->arena, &reading->answer);
}

static void forget(struct reading *reading)
{
    arena_fini(&reading->arena);
    arena_pool_fini(&reading->pool);
}

static void expect_text(enum form form, bool is_stream, const char *body, const char *text,
                        enum chat_finish finish, uint64_t completion_tokens)
{
    struct reading reading;

    assert_int_equal(read_of(&reading, form, is_stream, span_from_text(body)), 0);
    assert_true(span_is_equal(reading.answer.text, span_from_text(text)));
    assert_int_equal(reading.answer.finish, finish);
    assert_int_equal(reading.answer.usage.completion_tokens, completion_tokens);
    forget(&reading);
}

static void expect_unread(enum form form, bool is_stream, const char *body)
{
    struct reading reading;

    int err = read_of(&reading, form, is_stream, span_from_text(body));

    if (err != ERR_SYNTAX)
        fail_msg("%d, not refused: %s", err, body);
    forget(&reading);
}

static void test_whole_answers(void **state)
{
    expect_text(FORM_CHAT, false,
                "{\"id\":\"1\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\","
                "\"content\":\"Ho ho\"},\"finish_reason\":\"stop\"}],\"usage\":{"
                "\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}",
                "Ho ho", CHAT_FINISH_STOP, 2);
    expect_text(FORM_MESSAGES, false,
                "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"c\","
                "\"content\":[{\"type\":\"thinking\",\"thinking\":\"Hm\",\"signature\":\"x\"},"
                "{\"type\":\"text\",\"text\":\"Ho\"},{\"type\":\"text\",\"text\":\" ho\"}],"
                "\"stop_reason\":\"max_tokens\",\"usage\":{\"input_tokens\":1,"
                "\"output_tokens\":4}}",
                "Ho ho", CHAT_FINISH_LENGTH, 4);
    expect_text(FORM_GENERATE, false,
                "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Ho ho\"}],"
                "\"role\":\"model\"},\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
                "\"promptTokenCount\":1,\"candidatesTokenCount\":3,\"totalTokenCount\":4}}",
                "Ho ho", CHAT_FINISH_STOP, 3);
    /* Nothing is told of what it used: guessed from the text. */
    expect_text(FORM_CHAT, false,
                "{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Ho ho ho\"},"
                "\"finish_reason\":\"length\"}]}",
                "Ho ho ho", CHAT_FINISH_LENGTH, 2);
}

static void test_streams(void **state)
{
    expect_text(FORM_CHAT, true,
                ": ping\n\n"
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Ho\"}}]}\n\n"
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" ho\"},"
                "\"finish_reason\":\"stop\"}]}\n\n"
                "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"
                "\"total_tokens\":5}}\n\n"
                "data: [DONE]\n\n",
                "Ho ho", CHAT_FINISH_STOP, 2);
    /* Without its terminal event, but finished. */
    expect_text(FORM_CHAT, true,
                "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Ho\"},"
                "\"finish_reason\":\"stop\"}]}\n\n",
                "Ho", CHAT_FINISH_STOP, 1);
    expect_text(FORM_GENERATE, true,
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"Ho\"}],"
                "\"role\":\"model\"}}]}\r\n\r\n"
                "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\" ho\"}],"
                "\"role\":\"model\"},\"finishReason\":\"STOP\"}],\"usageMetadata\":{"
                "\"promptTokenCount\":1,\"candidatesTokenCount\":3,\"totalTokenCount\":4}}\r\n\r\n",
                "Ho ho", CHAT_FINISH_STOP, 3);
}

static void test_calls(void **state)
{
    struct reading reading;

    assert_int_equal(
        read_of(&reading, FORM_CHAT, false,
                SPAN("{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
                     "null,\"tool_calls\":[{\"id\":\"c1\",\"type\":\"function\",\"function\":{"
                     "\"name\":\"weather\",\"arguments\":\"{\\\"city\\\":\\\"Rome\\\"}\"}},"
                     "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"news\","
                     "\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"}]}")),
        0);
    assert_int_equal(reading.answer.text.len, 0);
    assert_int_equal(reading.answer.finish, CHAT_FINISH_CALLS);
    assert_int_equal(reading.answer.call_count, 2);
    assert_true(span_is_equal(reading.answer.calls[0].name, SPAN("weather")));
    assert_true(span_is_equal(reading.answer.calls[0].arguments, SPAN("{\"city\":\"Rome\"}")));
    assert_true(span_is_equal(reading.answer.calls[1].name, SPAN("news")));
    forget(&reading);
}

static void test_forms(void **state)
{
    assert_true(shadow_can_read(FORM_CHAT) && shadow_can_read(FORM_RESPONSES));
    assert_true(shadow_can_read(FORM_MESSAGES) && shadow_can_read(FORM_GENERATE));
    assert_false(shadow_can_read(FORM_COMPLETIONS));
    assert_false(shadow_can_read(FORM_EMBEDDINGS) || shadow_can_read(FORM_COUNT_TOKENS));
}

/* A 200 is not yet a good answer. */
static void test_no_answer(void **state)
{
    expect_unread(FORM_CHAT, false, "");
    expect_unread(FORM_CHAT, false, "<html>");
    expect_unread(FORM_CHAT, false, "{\"error\":{\"message\":\"No.\",\"code\":429}}");
    expect_unread(FORM_CHAT, true, "");
    expect_unread(FORM_CHAT, true, "data: {\"error\":{\"message\":\"No.\"}}\n\n");
    expect_unread(FORM_CHAT, true,
                  "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Ho\"}}]}\n\n");
    expect_unread(FORM_MESSAGES, true,
                  "event: error\ndata: {\"type\":\"error\",\"error\":{"
                  "\"type\":\"overloaded_error\",\"message\":\"No.\"}}\n\n");
}

/* At every place that it could be cut, and of every form: read or refused, in bounded memory. */
static void test_cut_anywhere(void **state)
{
    static const char text[] =
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Ho\"}}]}\n\n"
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\","
        "\"function\":{\"name\":\"n\",\"arguments\":\"{}\"}}]},\"finish_reason\":"
        "\"tool_calls\"}]}\n\ndata: [DONE]\n\n";
    static const enum form forms[] = {FORM_CHAT, FORM_RESPONSES, FORM_MESSAGES, FORM_GENERATE};

    for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
        for (size_t len = 0; len < sizeof(text); len++) {
            for (int is_stream = 0; is_stream < 2; is_stream++) {
                struct reading reading;
                int err = read_of(&reading, forms[f], is_stream, span_of(text, len));

                assert_true(err == 0 || err == ERR_SYNTAX);
                forget(&reading);
            }
        }
    }
}

static void test_without_memory(void **state)
{
    const struct shadow_raw raw = {
        .form = FORM_CHAT,
        .body = SPAN("{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"Ho\"},"
                     "\"finish_reason\":\"stop\"}]}")};
    struct shadow_answer answer;
    struct arena_pool pool;
    struct arena arena;

    arena_pool_init(&pool, 0);
    for (size_t max = 0; max < 20000; max += 256) {
        int err;

        arena_init(&arena, &pool, max);
        err = shadow_answer_read(&raw, &arena, &answer);
        assert_true(err == 0 || err == ERR_NOMEM || err == ERR_FULL);
        assert_true(err || span_is_equal(answer.text, SPAN("Ho")));
        arena_fini(&arena);
    }
    arena_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_answers),  cmocka_unit_test(test_streams),
        cmocka_unit_test(test_forms),          cmocka_unit_test(test_calls),
        cmocka_unit_test(test_no_answer),      cmocka_unit_test(test_cut_anywhere),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
