/*
 * Answers told to clients of OpenAI's Responses API: what the golden transcripts do not reach.
 * Every frame stands by itself whatever comes, memory has its bounds, and what a provider sealed
 * comes back as it was with the client's next request.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/chat_answer.h"
#include "dialect/sse.h"
#include "dialect/translate.h"
#include "json/tree.h"

enum { ARENA_MAX = 64 << 20, OUT_MAX = 64 << 20 };

struct play {
    struct arena_pool pool;
    struct arena arena;
    struct translation *translation;
    struct chat_frame frame;
    struct chat_writer *writer;
    struct buf out;
};

static void read_request(struct play *play, const char *text, struct translation **ret_translation)
{
    struct translate_facts facts = {.form = FORM_RESPONSES};
    struct chat_refusal refusal;
    int err = translate_read(&facts, span_from_text(text), &play->pool, ret_translation, &refusal);

    if (err)
        fail_msg("%s: %s %s", text, refusal.param, refusal.message);
}

/* A writer for a client that asked so. */
static void begin(struct play *play, const char *request)
{
    const struct form_ops *ops = form_ops(FORM_RESPONSES);

    *play = (struct play){.frame = {.request_id = SPAN("req_1"), .model = SPAN("m")}};
    arena_pool_init(&play->pool, 4);
    arena_init(&play->arena, &play->pool, ARENA_MAX);
    buf_init(&play->out, OUT_MAX);
    read_request(play, request, &play->translation);
    play->frame.chat = translation_chat(play->translation);
    play->writer = arena_zalloc(&play->arena, ops->writer_size);
    assert_non_null(play->writer);
    play->writer->frame = &play->frame;
    play->writer->out = &play->out;
    play->writer->arena = &play->arena;
}

static void finish(struct play *play)
{
    form_ops(FORM_RESPONSES)->writer_fini(play->writer);
    buf_fini(&play->out);
    translate_free(&play->translation);
    arena_fini(&play->arena);
    arena_pool_fini(&play->pool);
}

static void tell(struct play *play, struct chat_event event)
{
    form_ops(FORM_RESPONSES)->write_event(play->writer, &event);
}

static void tell_text(struct play *play, enum chat_event_kind kind, struct span text)
{
    tell(play, (struct chat_event){.kind = kind, .text = text, .signer = DIALECT_ANTHROPIC});
}

static void tell_call(struct play *play, unsigned call, struct span id, struct span arguments)
{
    tell(play, (struct chat_event){
                   .kind = CHAT_EVENT_CALL_BEGIN, .call = call, .id = id, .name = SPAN("f")});
    if (arguments.len)
        tell(play,
             (struct chat_event){.kind = CHAT_EVENT_CALL_ARGS, .call = call, .text = arguments});
    tell(play, (struct chat_event){.kind = CHAT_EVENT_CALL_END, .call = call});
}

/* Holds every frame to its shape; the last one's type, a literal or one of the frame's bytes. */
static struct span check_frames(const struct play *play)
{
    struct span rest = buf_span(&play->out), last = SPAN("");
    struct json_tree *tree = malloc(sizeof(*tree));
    struct sse_event event;
    int64_t wanted = 0, number;
    struct sse sse;

    assert_non_null(tree);
    assert_int_equal(play->out.err, 0);
    sse_init(&sse);
    while (sse_next(&sse, rest, &event)) {
        rest = span_skip(rest, event.raw.len);
        if (event.kind == SSE_PING)
            continue;
        assert_int_equal(json_tree_read_raw(tree, event.data, OUT_MAX * 4UL), 0);
        assert_true(
            span_is_equal(json_tree_string(yyjson_doc_get_root(tree->doc), "type"), event.name));
        assert_true(json_tree_int(
            json_tree_member(yyjson_doc_get_root(tree->doc), "sequence_number"), &number));
        assert_int_equal(number, wanted++);
        last = event.name;
        json_tree_fini(tree);
    }
    assert_int_equal(rest.len, 0);
    free(tree);
    return last;
}

#define PLAIN "{\"model\":\"m\",\"input\":\"Hi\",\"stream\":true}"

/* --- bounds --- */

static void a_text_beyond_the_bound_ends_with_an_error(void **state)
{
    static char piece[1 << 16];
    struct play play;
    size_t told;

    (void)state;
    memset(piece, 'a', sizeof(piece));
    begin(&play, PLAIN);
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_START});
    for (size_t i = 0; i < 129; i++)
        tell_text(&play, CHAT_EVENT_TEXT, span_of(piece, sizeof(piece)));
    assert_true(span_is_equal(check_frames(&play), SPAN("response.failed")));
    assert_true(span_find(buf_span(&play.out), SPAN("larger than this gateway")) != SIZE_MAX);
    told = play.out.len;
    tell_text(&play, CHAT_EVENT_TEXT, SPAN("more"));
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    assert_int_equal(play.out.len, told);
    finish(&play);
}

static void items_beyond_the_bound_end_with_an_error(void **state)
{
    struct play play;

    (void)state;
    begin(&play, PLAIN);
    for (size_t i = 0; i < 5000; i++)
        tell_text(&play, i % 2 ? CHAT_EVENT_TEXT : CHAT_EVENT_THINKING, SPAN("x"));
    assert_true(span_is_equal(check_frames(&play), SPAN("response.failed")));
    finish(&play);
}

static void without_memory_the_answer_ends_with_an_error(void **state)
{
    struct play play;

    (void)state;
    begin(&play, PLAIN);
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_START, .id = SPAN("chatcmpl-1")});
    play.arena.max = play.arena.held;
    for (unsigned i = 0; i < 200; i++)
        tell_call(&play, i, SPAN("call_1"), SPAN("{\"a\":1}"));
    assert_true(span_is_equal(check_frames(&play), SPAN("response.failed")));
    finish(&play);
}

static void a_whole_answer_may_be_longer_than_a_stream(void **state)
{
    const size_t len = 9 << 20;
    char *text = malloc(len);
    struct chat_part part = {.kind = CHAT_PART_TEXT, .text = span_of(text, len)};
    struct chat_choice choice = {.parts = &part, .part_count = 1, .finish = CHAT_FINISH_STOP};
    struct chat_answer answer = {.choices = &choice, .choice_count = 1};
    struct play play;

    (void)state;
    assert_non_null(text);
    memset(text, 'a', len);
    begin(&play, "{\"model\":\"m\",\"input\":\"Hi\"}");
    form_ops(FORM_RESPONSES)->write_answer(play.writer, &answer);
    assert_int_equal(play.out.err, 0);
    assert_true(play.out.len > len);
    finish(&play);
    free(text);
}

/* --- order --- */

static uint32_t next(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static const struct chat_media image = {
    .source = CHAT_SOURCE_DATA, .type = SPAN_INIT("image/png"), .data = SPAN_INIT("iVBO")};

/* Whatever it is, and whether or not it may come now. */
static struct chat_event any_event(uint32_t *random)
{
    static const struct dialect_usage usage = {.prompt_tokens = 3, .is_known = true};
    static const struct chat_logprob logprobs[] = {{.token = SPAN_INIT("x"), .logprob = -1}};
    struct chat_event event = {.kind = next(random) % (CHAT_EVENT_PING + 1),
                               .call = next(random) % 3,
                               .is_call = next(random) % 2,
                               .is_custom = next(random) % 2,
                               .choice = next(random) % 8 == 0,
                               .finish = next(random) % (CHAT_FINISH_ERROR + 1),
                               .signer = next(random) % DIALECT_COUNT,
                               .part_kind = CHAT_PART_IMAGE,
                               .text = SPAN("t\"#\xff\n"),
                               .id = SPAN("call_\"1"),
                               .name = SPAN("f\\"),
                               .media = &image,
                               .logprobs = logprobs,
                               .logprob_count = 1,
                               .usage = &usage};

    return event;
}

static void frames_are_whole_in_any_order(void **state)
{
    static const char *const requests[] = {
        PLAIN,
        "{\"model\":\"m\",\"input\":\"Hi\",\"reasoning\":{\"summary\":\"auto\"},\"include\":"
        "[\"reasoning.encrypted_content\",\"message.output_text.logprobs\"]}",
    };
    struct dialect_error error = dialect_no_error;
    uint32_t random = 11;

    (void)state;
    for (size_t round = 0; round < 4000; round++) {
        bool is_failed = round % 8 == 0;
        struct play play;
        struct span last;

        begin(&play, requests[round % 2]);
        for (size_t i = next(&random) % 24; i-- > 0;)
            tell(&play, any_event(&random));
        tell(&play, (struct chat_event){.kind = is_failed ? CHAT_EVENT_ERROR : CHAT_EVENT_END,
                                        .error = &error});
        last = check_frames(&play);
        assert_true(is_failed ? span_is_equal(last, SPAN("response.failed"))
                              : span_is_equal(last, SPAN("response.completed")) ||
                                    span_is_equal(last, SPAN("response.incomplete")) ||
                                    span_is_equal(last, SPAN("response.failed")));
        finish(&play);
    }
}

/* --- what is sealed --- */

/* The request by which a client goes on: the output of the response as it stands, and a result. */
static void go_on(struct play *play, struct translation **ret_translation)
{
    struct span rest = buf_span(&play->out);
    struct json_tree *tree = malloc(sizeof(*tree));
    struct sse_event event, last = {.data = SPAN("")};
    const yyjson_val *response;
    struct buf output, request;
    struct sse sse;

    assert_non_null(tree);
    sse_init(&sse);
    while (sse_next(&sse, rest, &event)) {
        rest = span_skip(rest, event.raw.len);
        last = event;
    }
    buf_init(&output, OUT_MAX);
    buf_init(&request, OUT_MAX);
    assert_int_equal(json_tree_read_raw(tree, last.data, OUT_MAX), 0);
    response = json_tree_member(yyjson_doc_get_root(tree->doc), "response");
    assert_int_equal(json_tree_write(&output, json_tree_member(response, "output")), 0);
    assert_int_equal(
        buf_printf(&request, "{\"model\":\"m\",\"input\":%.*s}", SPAN_ARG(buf_span(&output))), 0);
    read_request(play, buf_text(&request), ret_translation);
    buf_fini(&output);
    buf_fini(&request);
    json_tree_fini(tree);
    free(tree);
}

static void expect(struct span is, const char *wanted)
{
    if (!span_is_equal(is, span_from_text(wanted)))
        fail_msg("is '%.*s', wanted '%s'", SPAN_ARG(is), wanted);
}

static void check_thought(const struct chat_part *part, const char *text, const char *signature)
{
    assert_int_equal(part->kind, CHAT_PART_THINKING);
    expect(part->text, text);
    expect(part->signature, signature);
    if (signature[0])
        assert_int_equal(part->signer, DIALECT_ANTHROPIC);
}

static void play_thoughts(const char *request)
{
    struct translation *second;
    const struct chat *chat;
    struct play play;

    begin(&play, request);
    tell_text(&play, CHAT_EVENT_THINKING, SPAN("Hm #\"1\" \xc3\xa9"));
    tell_text(&play, CHAT_EVENT_THINKING, SPAN("\n."));
    tell_text(&play, CHAT_EVENT_SIGNATURE, SPAN("Eq\"QB+/=="));
    tell_text(&play, CHAT_EVENT_REDACTED, SPAN("Em#w\"K"));
    tell_text(&play, CHAT_EVENT_SIGNATURE, SPAN("alone"));
    tell_text(&play, CHAT_EVENT_THINKING, SPAN("unsigned"));
    tell_text(&play, CHAT_EVENT_TEXT, SPAN("Hi"));
    tell_call(&play, 0, SPAN("call_1"), SPAN("{\"a\":1}"));
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    assert_true(span_is_equal(check_frames(&play), SPAN("response.completed")));
    go_on(&play, &second);
    chat = translation_chat(second);
    assert_int_equal(chat->message_count, 1);
    assert_int_equal(chat->messages[0].role, CHAT_ASSISTANT);
    assert_int_equal(chat->messages[0].part_count, 6);
    check_thought(&chat->messages[0].parts[0], "Hm #\"1\" \xc3\xa9\n.", "Eq\"QB+/==");
    assert_int_equal(chat->messages[0].parts[1].kind, CHAT_PART_REDACTED);
    expect(chat->messages[0].parts[1].text, "Em#w\"K");
    check_thought(&chat->messages[0].parts[2], "", "alone");
    check_thought(&chat->messages[0].parts[3], "unsigned", "");
    expect(chat->messages[0].parts[4].text, "Hi");
    expect(chat->messages[0].parts[5].text, "{\"a\":1}");
    translate_free(&second);
    finish(&play);
}

#define SEALED "\"include\":[\"reasoning.encrypted_content\"]"

static void thoughts_come_back_as_they_were(void **state)
{
    (void)state;
    play_thoughts("{\"model\":\"m\",\"input\":\"Hi\"," SEALED "}");
    play_thoughts("{\"model\":\"m\",\"input\":\"Hi\"," SEALED
                  ",\"reasoning\":{\"summary\":\"auto\"}}");
}

static void signed_calls_come_back_signed(void **state)
{
    struct translation *second;
    const struct chat_part *parts;
    struct play play;

    (void)state;
    begin(&play, "{\"model\":\"m\",\"input\":\"Hi\"," SEALED "}");
    tell(&play, (struct chat_event){
                    .kind = CHAT_EVENT_CALL_BEGIN, .id = SPAN("a#\"1"), .name = SPAN("f")});
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_SIGNATURE,
                                    .is_call = true,
                                    .signer = DIALECT_GEMINI,
                                    .text = SPAN("U2\"ln")});
    tell_call(&play, 1, SPAN("b"), SPAN(""));
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_CALL_END});
    /* One that comes late. */
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_SIGNATURE,
                                    .call = 1,
                                    .is_call = true,
                                    .signer = DIALECT_GEMINI,
                                    .text = SPAN("bGF0ZQ")});
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    (void)check_frames(&play);
    go_on(&play, &second);
    assert_int_equal(translation_chat(second)->message_count, 1);
    assert_int_equal(translation_chat(second)->messages[0].part_count, 2);
    parts = translation_chat(second)->messages[0].parts;
    expect(parts[0].id, "a#\"1");
    expect(parts[0].signature, "U2\"ln");
    expect(parts[1].text, "{}");
    expect(parts[1].signature, "bGF0ZQ");
    assert_int_equal(parts[1].signer, DIALECT_GEMINI);
    translate_free(&second);
    finish(&play);
}

static void what_was_not_asked_for_is_not_told(void **state)
{
    struct play play;

    (void)state;
    begin(&play, PLAIN);
    tell_text(&play, CHAT_EVENT_THINKING, SPAN("secret"));
    tell_text(&play, CHAT_EVENT_SIGNATURE, SPAN("EqQB"));
    tell_text(&play, CHAT_EVENT_REDACTED, SPAN("EmwK"));
    tell_text(&play, CHAT_EVENT_TEXT, SPAN("Hi"));
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    (void)check_frames(&play);
    assert_int_equal(span_find(buf_span(&play.out), SPAN("secret")), SIZE_MAX);
    assert_int_equal(span_find(buf_span(&play.out), SPAN("EqQB")), SIZE_MAX);
    assert_int_equal(span_find(buf_span(&play.out), SPAN("EmwK")), SIZE_MAX);
    assert_int_equal(span_find(buf_span(&play.out), SPAN("encrypted_content")), SIZE_MAX);
    finish(&play);
}

/* Texts are borrowed until the call returns. */
static void ids_outlive_the_event_that_told_them(void **state)
{
    char id[] = "resp_a\"b", call[] = "call_1";
    struct play play;

    (void)state;
    begin(&play, PLAIN);
    tell(&play, (struct chat_event){
                    .kind = CHAT_EVENT_START, .id = span_of(id, 8), .name = span_of(call, 6)});
    tell_call(&play, 0, span_of(call, 6), SPAN("{}"));
    memset(id, '"', sizeof(id));
    memset(call, '"', sizeof(call));
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    assert_true(span_is_equal(check_frames(&play), SPAN("response.completed")));
    assert_int_equal(span_find(buf_span(&play.out), SPAN("\\\"\\\"")), SIZE_MAX);
    finish(&play);
}

static void a_provider_that_fails_without_a_word_is_an_error(void **state)
{
    struct play play;

    (void)state;
    begin(&play, PLAIN);
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_START, .id = SPAN("msg_1")});
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_FINISH, .finish = CHAT_FINISH_ERROR});
    tell(&play, (struct chat_event){.kind = CHAT_EVENT_END});
    assert_true(span_is_equal(check_frames(&play), SPAN("response.failed")));
    finish(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_beyond_the_bound_ends_with_an_error),
        cmocka_unit_test(items_beyond_the_bound_end_with_an_error),
        cmocka_unit_test(without_memory_the_answer_ends_with_an_error),
        cmocka_unit_test(a_whole_answer_may_be_longer_than_a_stream),
        cmocka_unit_test(frames_are_whole_in_any_order),
        cmocka_unit_test(thoughts_come_back_as_they_were),
        cmocka_unit_test(signed_calls_come_back_signed),
        cmocka_unit_test(what_was_not_asked_for_is_not_told),
        cmocka_unit_test(ids_outlive_the_event_that_told_them),
        cmocka_unit_test(a_provider_that_fails_without_a_word_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
