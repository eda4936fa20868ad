/*
 * Streams of the Messages API. Reading: whatever comes in whatever order, the promises of
 * dialect/chat_answer.h hold. Writing: whatever is told, clients get a stream whose blocks follow
 * one another, and in it all that was said. Single streams stand in tests/dialect/golden/.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/chat_answer.h"
#include "promise.h"

enum { OUT_MAX = 64 << 20, ARENA_MAX = 64 << 20, CALLS_MAX = 8, TEXT_MAX = 4096 };

/* --- what a client makes of a stream --- */

struct heard_call {
    char id[64], name[64], args[TEXT_MAX];
};

struct heard {
    bool has_started, has_stopped, has_delta, has_error;
    int64_t open, next; /* the open block's index, or -1; the next one's */
    char open_type[32];
    struct heard_call calls[CALLS_MAX];
    size_t call_count;
    char text[TEXT_MAX], thoughts[TEXT_MAX], signatures[TEXT_MAX], redacted[TEXT_MAX];
    char stop_reason[64];
};

static void add(char *to, struct span text)
{
    size_t len = strlen(to);

    assert_true(len + text.len < TEXT_MAX);
    if (text.len)
        memcpy(to + len, text.ptr, text.len);
    to[len + text.len] = 0;
}

static void keep(char *to, size_t cap, struct span text)
{
    snprintf(to, cap, "%.*s", SPAN_ARG(text));
}

static int64_t number_of(const yyjson_val *object, const char *name)
{
    int64_t number = -1;

    assert_true(json_tree_int(json_tree_member(object, name), &number));
    return number;
}

static void hear_block_start(struct heard *heard, const yyjson_val *root)
{
    const yyjson_val *block = json_tree_member(root, "content_block");

    assert_int_equal(heard->open, -1);
    assert_int_equal(number_of(root, "index"), heard->next);
    heard->open = heard->next++;
    keep(heard->open_type, sizeof(heard->open_type), json_tree_string(block, "type"));
    if (!strcmp(heard->open_type, "redacted_thinking"))
        add(heard->redacted, json_tree_string(block, "data"));
    if (!strcmp(heard->open_type, "tool_use")) {
        struct heard_call *call = &heard->calls[heard->call_count++];

        assert_true(heard->call_count <= CALLS_MAX);
        keep(call->id, sizeof(call->id), json_tree_string(block, "id"));
        keep(call->name, sizeof(call->name), json_tree_string(block, "name"));
        assert_true(call->id[0] && call->name[0]);
    }
}

static void hear_delta(struct heard *heard, const yyjson_val *root)
{
    const yyjson_val *delta = json_tree_member(root, "delta");
    struct span type = json_tree_string(delta, "type");

    assert_int_equal(number_of(root, "index"), heard->open);
    if (span_is_equal(type, SPAN("text_delta"))) {
        assert_string_equal(heard->open_type, "text");
        add(heard->text, json_tree_string(delta, "text"));
    } else if (span_is_equal(type, SPAN("thinking_delta"))) {
        assert_string_equal(heard->open_type, "thinking");
        add(heard->thoughts, json_tree_string(delta, "thinking"));
    } else if (span_is_equal(type, SPAN("signature_delta"))) {
        assert_string_equal(heard->open_type, "thinking");
        add(heard->signatures, json_tree_string(delta, "signature"));
        add(heard->signatures, SPAN(" "));
    } else {
        assert_true(span_is_equal(type, SPAN("input_json_delta")));
        assert_string_equal(heard->open_type, "tool_use");
        add(heard->calls[heard->call_count - 1].args, json_tree_string(delta, "partial_json"));
    }
}

static void hear_message_delta(struct heard *heard, const yyjson_val *root)
{
    assert_int_equal(heard->open, -1);
    assert_false(heard->has_delta);
    heard->has_delta = true;
    keep(heard->stop_reason, sizeof(heard->stop_reason),
         json_tree_string(json_tree_member(root, "delta"), "stop_reason"));
    assert_true(number_of(json_tree_member(root, "usage"), "output_tokens") >= 0);
    assert_true(number_of(json_tree_member(root, "usage"), "input_tokens") >= 0);
}

static void hear(struct heard *heard, struct span type, const yyjson_val *root)
{
    assert_false(heard->has_stopped || heard->has_error);
    if (span_is_equal(type, SPAN("ping")))
        return;
    if (span_is_equal(type, SPAN("error"))) {
        heard->has_error = true;
        return;
    }
    assert_int_equal(heard->has_started, !span_is_equal(type, SPAN("message_start")));
    heard->has_started = true;
    if (span_is_equal(type, SPAN("content_block_start"))) {
        hear_block_start(heard, root);
    } else if (span_is_equal(type, SPAN("content_block_delta"))) {
        hear_delta(heard, root);
    } else if (span_is_equal(type, SPAN("content_block_stop"))) {
        assert_int_equal(number_of(root, "index"), heard->open);
        heard->open = -1;
    } else if (span_is_equal(type, SPAN("message_delta"))) {
        hear_message_delta(heard, root);
    } else if (span_is_equal(type, SPAN("message_stop"))) {
        assert_true(heard->has_delta);
        heard->has_stopped = true;
    } else {
        assert_true(span_is_equal(type, SPAN("message_start")));
    }
}

/* Reads what was written as a client does, and fails where no client could. */
static void hear_all(struct heard *heard, struct span stream)
{
    struct sse_event event;
    struct sse sse;

    *heard = (struct heard){.open = -1};
    sse_init(&sse);
    while (sse_next(&sse, stream, &event)) {
        struct json_tree tree;
        struct span type;

        stream = span_skip(stream, event.raw.len);
        assert_int_equal(json_tree_read_raw(&tree, event.data, OUT_MAX), 0);
        type = json_tree_string(yyjson_doc_get_root(tree.doc), "type");
        assert_true(span_is_equal(type, event.name));
        hear(heard, type, yyjson_doc_get_root(tree.doc));
        json_tree_fini(&tree);
    }
    assert_int_equal(stream.len, 0);
}

/* --- a reader and a writer --- */

struct bench {
    struct chat_sink sink; /* to the writer */
    struct arena_pool pool;
    struct arena arena;
    struct chat chat;
    struct chat_frame frame;
    struct chat_writer *writer;
    struct chat_reader *reader;
    struct promise *promise;
    struct buf out;
};

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct bench *bench = (struct bench *)sink; /* its first member */

    form_ops(FORM_MESSAGES)->write_event(bench->writer, event);
}

static struct bench *bench_new(bool shows_thoughts)
{
    const struct form_ops *ops = form_ops(FORM_MESSAGES);
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    bench->sink.put = put;
    arena_pool_init(&bench->pool, 4);
    arena_init(&bench->arena, &bench->pool, ARENA_MAX);
    buf_init(&bench->out, OUT_MAX);
    bench->chat.form = FORM_MESSAGES;
    bench->chat.thinking.budget = shows_thoughts ? 1024 : 0;
    bench->frame =
        (struct chat_frame){.chat = &bench->chat, .request_id = SPAN("req_1"), .model = SPAN("m")};
    bench->writer = arena_zalloc(&bench->arena, ops->writer_size);
    bench->reader = arena_zalloc(&bench->arena, ops->reader_size);
    bench->promise = promise_new(&bench->sink);
    assert_true(bench->writer && bench->reader && bench->promise);
    bench->writer->frame = &bench->frame;
    bench->writer->arena = &bench->arena;
    bench->writer->out = &bench->out;
    bench->reader->sink = &bench->promise->sink;
    bench->reader->arena = &bench->arena;
    bench->reader->seed = 7;
    return bench;
}

static void bench_free(struct bench *bench)
{
    form_ops(FORM_MESSAGES)->writer_fini(bench->writer);
    promise_free(&bench->promise);
    buf_fini(&bench->out);
    arena_fini(&bench->arena);
    arena_pool_fini(&bench->pool);
    free(bench);
}

static void take(struct bench *bench, const char *name, struct span data)
{
    const struct sse_event event = {
        .kind = SSE_DATA, .data = data, .name = span_from_text(name), .data_lines = 1};

    (void)form_ops(FORM_MESSAGES)->read_event(bench->reader, &event);
    if (promise_broken(bench->promise))
        fail_msg("%s, at %.*s", promise_broken(bench->promise), SPAN_ARG(data));
}

/* A generator of its own, so that a failure comes again. */
static unsigned draw(uint64_t *seed, unsigned below)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(*seed >> 33) % below;
}

/* --- reading --- */

static const char *const stream[] = {
    "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"c\",\"usage\":"
    "{\"input_tokens\":5,\"cache_read_input_tokens\":7,\"output_tokens\":1}}}",
    "{\"type\":\"ping\"}",
    "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\","
    "\"thinking\":\"\",\"signature\":\"\"}}",
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\","
    "\"thinking\":\"Hm\"}}",
    "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\","
    "\"signature\":\"EqQB\"}}",
    "{\"type\":\"content_block_stop\",\"index\":0}",
    "{\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\","
    "\"text\":\"\"}}",
    "{\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\","
    "\"text\":\"a\"}}",
    "{\"type\":\"content_block_stop\",\"index\":1}",
    "{\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\","
    "\"id\":\"toolu_1\",\"name\":\"f\",\"input\":{}}}",
    "{\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\","
    "\"partial_json\":\"{}\"}}",
    "{\"type\":\"content_block_stop\",\"index\":2}",
    "{\"type\":\"content_block_start\",\"index\":3,\"content_block\":{\"type\":\"tool_use\","
    "\"name\":\"g\",\"input\":{\"a\":1}}}",
    "{\"type\":\"content_block_stop\",\"index\":3}",
    "{\"type\":\"content_block_start\",\"index\":4,\"content_block\":{\"type\":"
    "\"redacted_thinking\",\"data\":\"EmwK\"}}",
    "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":"
    "{\"output_tokens\":9,\"input_tokens\":null}}",
    "{\"type\":\"message_stop\"}",
    "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}",
    "{\"type\":\"hologram\",\"index\":-9223372036854775808}",
    "{\"type\":\"content_block_start\",\"index\":1e300,\"content_block\":{\"type\":\"tool_use\","
    "\"id\":5,\"name\":\"\",\"input\":[]}}",
    "{\"type\":\"content_block_delta\",\"index\":\"2\",\"delta\":[]}",
    "{\"type\":\"message_delta\",\"delta\":null,\"usage\":{\"output_tokens\":-4,"
    "\"input_tokens\":1e30,\"cache_creation_input_tokens\":99999999999999999999}}",
    "[]",
    "{\"type\":7}",
};

enum { EVENTS = sizeof(stream) / sizeof(stream[0]), WHOLE = 17 };

static void a_whole_stream_is_told(void **state)
{
    struct bench *bench = bench_new(true);
    struct heard heard;

    (void)state;
    for (size_t i = 0; i < WHOLE; i++)
        take(bench, "", span_from_text(stream[i]));
    hear_all(&heard, buf_span(&bench->out));
    assert_true(bench->promise->has_end && heard.has_stopped);
    assert_string_equal(heard.text, "a");
    assert_string_equal(heard.thoughts, "Hm");
    assert_string_equal(heard.signatures, "EqQB ");
    assert_string_equal(heard.stop_reason, "tool_use");
    assert_int_equal(heard.call_count, 2);
    assert_string_equal(heard.calls[0].args, "{}");
    assert_string_equal(heard.calls[1].id, "toolu_0000000000000007001");
    assert_string_equal(heard.calls[1].args, "{\"a\":1}");
    assert_int_equal(bench->promise->usage.prompt_tokens, 12);
    assert_int_equal(bench->promise->usage.completion_tokens, 9);
    bench_free(bench);
}

/* One that misses, doubles, swaps and breaks events, and ends anywhere. */
static void play_at_random(uint64_t seed)
{
    struct bench *bench = bench_new(draw(&seed, 2));
    unsigned length = draw(&seed, 2 * EVENTS), at = 0;
    struct heard heard;

    for (unsigned i = 0; i < length; i++) {
        unsigned what = draw(&seed, 10);
        const char *event = stream[what < 7 ? at++ % WHOLE : draw(&seed, EVENTS)];
        size_t len = strlen(event);

        take(bench, "", span_of(event, what == 9 ? draw(&seed, (unsigned)len) : len));
    }
    form_ops(FORM_MESSAGES)->read_end(bench->reader);
    if (promise_broken(bench->promise))
        fail_msg("at the end: %s", promise_broken(bench->promise));
    hear_all(&heard, buf_span(&bench->out));
    assert_int_equal(heard.has_stopped, bench->promise->has_end);
    assert_int_equal(heard.has_error, bench->promise->has_error);
    bench_free(bench);
}

static void promises_hold_whatever_comes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4000; seed++)
        play_at_random(seed);
}

static void a_stream_without_its_last_event_is_whole_if_it_said_why_it_stopped(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < WHOLE; cut++) {
        struct bench *bench = bench_new(false);

        for (size_t i = 0; i < cut; i++)
            take(bench, "", span_from_text(stream[i]));
        form_ops(FORM_MESSAGES)->read_end(bench->reader);
        assert_int_equal(bench->promise->has_end, cut == WHOLE - 1);
        bench_free(bench);
    }
}

static void too_many_calls_end_with_an_error(void **state)
{
    struct bench *bench = bench_new(false);
    char event[160];

    (void)state;
    bench->promise->next = NULL;
    for (int i = 0; i <= PROMISE_CALLS_MAX; i++) {
        int len = snprintf(event, sizeof(event),
                           "{\"type\":\"content_block_start\",\"index\":%d,\"content_block\":"
                           "{\"type\":\"tool_use\",\"id\":\"t%d\",\"name\":\"f\"}}",
                           i, i);

        assert_false(bench->promise->has_error);
        take(bench, "", span_of(event, (size_t)len));
    }
    assert_true(bench->promise->has_error);
    bench_free(bench);
}

static void an_error_that_is_no_json_is_told_as_it_came(void **state)
{
    struct bench *bench = bench_new(false);

    (void)state;
    take(bench, "error", SPAN("upstream connect error"));
    assert_true(bench->promise->has_error);
    assert_true(span_find(buf_span(&bench->out), SPAN("upstream connect error")) != SIZE_MAX);
    bench_free(bench);
}

/* --- writing --- */

static void tell(struct bench *bench, enum chat_event_kind kind, unsigned call, const char *text)
{
    const struct chat_event event = {.kind = kind,
                                     .call = call,
                                     .text = span_from_text(text),
                                     .id =
                                         kind == CHAT_EVENT_CALL_BEGIN ? SPAN("call_1") : SPAN(""),
                                     .name = SPAN("f"),
                                     .signer = DIALECT_GEMINI,
                                     .finish = CHAT_FINISH_STOP};

    bench->promise->sink.put(&bench->promise->sink, &event);
}

/* Several calls in turns, with texts and thoughts between: what each was told must come out. */
static void tell_at_random(uint64_t seed)
{
    struct bench *bench = bench_new(true);
    char text[TEXT_MAX] = "", thoughts[TEXT_MAX] = "", args[CALLS_MAX][TEXT_MAX] = {""};
    char redacted[TEXT_MAX] = "";
    bool has_ended[CALLS_MAX] = {false};
    unsigned calls = 0, length = draw(&seed, 60);
    struct heard heard;

    tell(bench, CHAT_EVENT_START, 0, "");
    for (unsigned i = 0; i < length; i++) {
        unsigned call = calls ? draw(&seed, calls) : 0, what = draw(&seed, 8);
        char piece[16];

        snprintf(piece, sizeof(piece), "%u ", i);
        if (what == 0) {
            tell(bench, CHAT_EVENT_TEXT, 0, piece);
            add(text, span_from_text(piece));
        } else if (what == 1) {
            tell(bench, CHAT_EVENT_THINKING, 0, piece);
            add(thoughts, span_from_text(piece));
        } else if (what == 2 && calls < CALLS_MAX) {
            tell(bench, CHAT_EVENT_CALL_BEGIN, calls++, "");
        } else if (what == 3 && calls && !has_ended[call]) {
            tell(bench, CHAT_EVENT_CALL_END, call, "");
            has_ended[call] = true;
        } else if (what == 4) {
            tell(bench, CHAT_EVENT_REDACTED, 0, piece);
            add(redacted, SPAN("gemini#"));
            add(redacted, span_from_text(piece));
        } else if (what > 4 && calls && !has_ended[call]) {
            tell(bench, CHAT_EVENT_CALL_ARGS, call, piece);
            add(args[call], span_from_text(piece));
        }
    }
    for (unsigned i = 0; i < calls; i++) {
        if (!has_ended[i])
            tell(bench, CHAT_EVENT_CALL_END, i, "");
    }
    tell(bench, CHAT_EVENT_FINISH, 0, "");
    tell(bench, CHAT_EVENT_END, 0, "");
    assert_null(promise_broken(bench->promise));
    hear_all(&heard, buf_span(&bench->out));
    assert_true(heard.has_stopped);
    assert_string_equal(heard.text, text);
    assert_string_equal(heard.thoughts, thoughts);
    assert_string_equal(heard.redacted, redacted);
    assert_int_equal(heard.call_count, calls);
    for (unsigned i = 0; i < calls; i++)
        assert_string_equal(heard.calls[i].args, args[i]);
    assert_string_equal(heard.stop_reason, calls ? "tool_use" : "end_turn");
    bench_free(bench);
}

static void calls_in_turns_come_out_one_after_another(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 4000; seed++)
        tell_at_random(seed);
}

static void a_signature_of_another_provider_says_so(void **state)
{
    struct bench *bench = bench_new(true);
    const struct chat_event signed_call = {.kind = CHAT_EVENT_SIGNATURE,
                                           .is_call = true,
                                           .signer = DIALECT_GEMINI,
                                           .text = SPAN("c2ln")};
    struct heard heard;

    (void)state;
    tell(bench, CHAT_EVENT_START, 0, "");
    tell(bench, CHAT_EVENT_THINKING, 0, "one");
    tell(bench, CHAT_EVENT_SIGNATURE, 0, "dGhv");
    tell(bench, CHAT_EVENT_THINKING, 0, "two");
    tell(bench, CHAT_EVENT_CALL_BEGIN, 0, "");
    bench->promise->sink.put(&bench->promise->sink, &signed_call);
    tell(bench, CHAT_EVENT_CALL_ARGS, 0, "{}");
    tell(bench, CHAT_EVENT_CALL_END, 0, "");
    tell(bench, CHAT_EVENT_FINISH, 0, "");
    tell(bench, CHAT_EVENT_END, 0, "");
    hear_all(&heard, buf_span(&bench->out));
    assert_string_equal(heard.signatures, "gemini#dGhv unsigned# ");
    assert_true(span_find(buf_span(&bench->out),
                          SPAN("\"name\":\"f\",\"input\":{},\"signature\":\"gemini#c2ln\"}")) !=
                SIZE_MAX);
    bench_free(bench);
}

static void what_waits_is_bounded(void **state)
{
    enum { PIECE = 1 << 20 };
    char *piece = malloc(PIECE + 1);
    struct bench *bench = bench_new(false);
    struct heard heard;

    (void)state;
    assert_non_null(piece);
    memset(piece, 'x', PIECE);
    piece[PIECE] = 0;
    tell(bench, CHAT_EVENT_START, 0, "");
    tell(bench, CHAT_EVENT_CALL_BEGIN, 0, "");
    tell(bench, CHAT_EVENT_CALL_BEGIN, 1, "");
    for (int i = 0; i < 20; i++)
        tell(bench, CHAT_EVENT_CALL_ARGS, 1, piece);
    hear_all(&heard, buf_span(&bench->out));
    assert_true(heard.has_error);
    bench_free(bench);
    free(piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_stream_is_told),
        cmocka_unit_test(promises_hold_whatever_comes),
        cmocka_unit_test(a_stream_without_its_last_event_is_whole_if_it_said_why_it_stopped),
        cmocka_unit_test(too_many_calls_end_with_an_error),
        cmocka_unit_test(an_error_that_is_no_json_is_told_as_it_came),
        cmocka_unit_test(calls_in_turns_come_out_one_after_another),
        cmocka_unit_test(a_signature_of_another_provider_says_so),
        cmocka_unit_test(what_waits_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
