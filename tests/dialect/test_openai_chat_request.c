/*
 * Requests for chat completions: what is read into the neutral form and written from it again is
 * the same; what no quirk touches passes as it stands, and openai_chat_needs_rewrite knows which.
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
#include "dialect/openai_chat.h"
#include "dialect/parameters.h"
#include "dialect/quirks.h"

enum { MEMORY_MAX = 8 << 20, QUIRKS = 23 };

struct play {
    struct arena_pool pool;
    struct arena arena;
    struct json_tree *tree;
    struct chat chat;
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct buf out;
    int err;
};

/* Reads a body of a chat client. */
static void begin(struct play *play, const char *body)
{
    struct chat_reading reading = {
        .arena = &play->arena, .chat = &play->chat, .refusal = &play->refusal};

    *play = (struct play){.tree = malloc(sizeof(*play->tree))};
    assert_non_null(play->tree);
    arena_pool_init(&play->pool, 4);
    arena_init(&play->arena, &play->pool, MEMORY_MAX);
    buf_init(&play->out, MEMORY_MAX);
    assert_int_equal(json_tree_read_raw(play->tree, span_from_text(body), MEMORY_MAX), 0);
    play->chat.form = FORM_CHAT;
    play->chat.root = yyjson_doc_get_root(play->tree->doc);
    play->err = form_ops(FORM_CHAT)->read_request(&reading, play->chat.root);
}

/* Writes it for a model "m", as if a client of `form` had asked. */
static void write(struct play *play, enum form form, uint32_t quirks)
{
    struct chat_target target = {.model = SPAN("m"), .quirks = quirks};
    struct chat_writing writing = {.chat = &play->chat,
                                   .target = &target,
                                   .out = &play->out,
                                   .arena = &play->arena,
                                   .drops = &play->drops,
                                   .refusal = &play->refusal};

    if (play->err)
        fail_msg("%s: %s", play->refusal.param, play->refusal.message);
    play->chat.form = form;
    play->err = form_ops(FORM_CHAT)->write_request(&writing);
}

static void end(struct play *play)
{
    json_tree_fini(play->tree);
    free(play->tree);
    buf_fini(&play->out);
    arena_fini(&play->arena);
    arena_pool_fini(&play->pool);
}

static bool is_same(struct span is, struct span wanted)
{
    struct json_tree *left = malloc(sizeof(*left)), *right = malloc(sizeof(*right));
    bool same;

    assert_non_null(left);
    assert_non_null(right);
    if (json_tree_read_raw(left, is, MEMORY_MAX))
        fail_msg("no JSON: %.*s", SPAN_ARG(is));
    assert_int_equal(json_tree_read_raw(right, wanted, MEMORY_MAX), 0);
    same = yyjson_equals(yyjson_doc_get_root(left->doc), yyjson_doc_get_root(right->doc));
    json_tree_fini(left);
    json_tree_fini(right);
    free(left);
    free(right);
    return same;
}

static void assert_told(struct play *play, const char *wanted)
{
    if (play->err)
        fail_msg("%d %s: %s", play->err, play->refusal.param, play->refusal.message);
    if (!is_same(buf_span(&play->out), span_from_text(wanted)))
        fail_msg("is\n%.*s\nwanted\n%s", SPAN_ARG(buf_span(&play->out)), wanted);
}

#define MESSAGES       "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]"
#define BODY(members)  "{\"model\":\"m\"," MESSAGES "," members "}"
#define TALK(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"
#define TOOL                                                                                       \
    "{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","                   \
    "\"parameters\":{\"z\":1.0,\"a\":[12345678901234567890]},\"strict\":true}}"
#define OTHER "{\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"format\":{\"type\":\"text\"}}}"

/* Each says what the neutral form models, in the way in which it is written. */
static const char *const bodies[] = {
    "{\"model\":\"m\"," MESSAGES "}",
    TALK("{\"role\":\"developer\",\"content\":\"a\",\"name\":\"x\"},"
         "{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":\"b\"},"
         "{\"type\":\"text\",\"text\":\"c\"}]},{\"role\":\"user\",\"content\":\"\"}"),
    TALK("{\"role\":\"user\",\"name\":\"ann\",\"content\":["
         "{\"type\":\"text\",\"text\":\"look\"},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64,AA\\\"A\\n=\","
         "\"detail\":\"low\"}},"
         "{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://example.com/a.png\"}},"
         "{\"type\":\"input_audio\",\"input_audio\":{\"data\":\"BBBB\",\"format\":\"mp3\"}},"
         "{\"type\":\"file\",\"file\":{\"filename\":\"a.pdf\","
         "\"file_data\":\"data:application/pdf;base64,CCCC\"}},"
         "{\"type\":\"file\",\"file\":{\"file_id\":\"file-1\"}}]}"),
    TALK("{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":null,"
         "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{\\\"x\\\":1.0\"}},{\"id\":\"b\",\"type\":\"custom\","
         "\"custom\":{\"name\":\"sh\",\"input\":\"\"}}]},"
         "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"1\"},"
         "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"\"},"
         "{\"role\":\"user\",\"content\":\"go on\"},"
         "{\"role\":\"assistant\",\"content\":\"ok\",\"refusal\":\"no\"},"
         "{\"role\":\"assistant\",\"content\":\"\"}"),
    BODY("\"max_completion_tokens\":9,\"temperature\":0.10,\"top_p\":1e0,\"n\":3,\"stop\":\"a\","
         "\"seed\":12345678901234567890,\"presence_penalty\":0.5,\"frequency_penalty\":-2,"
         "\"logit_bias\":{\"1\":2},\"logprobs\":true,\"top_logprobs\":4,\"user\":\"u\","
         "\"safety_identifier\":\"s\",\"store\":true,\"metadata\":{\"a\":\"b\"},"
         "\"service_tier\":\"flex\",\"verbosity\":\"low\",\"modalities\":[\"text\",\"audio\"],"
         "\"audio\":{\"voice\":\"x\",\"format\":\"wav\"},\"web_search_options\":{},"
         "\"prediction\":{\"type\":\"content\",\"content\":\"x\"},\"prompt_cache_key\":\"k\","
         "\"moderation\":{\"model\":\"y\"}"),
    BODY("\"stop\":[\"a\",\"b\"],\"reasoning_effort\":\"none\",\"stream\":true"),
    BODY("\"reasoning_effort\":\"minimal\",\"response_format\":{\"type\":\"json_object\"}"),
    BODY("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"x\","
         "\"description\":\"y\",\"schema\":{\"b\":1.50,\"a\":{}},\"strict\":false}}"),
    BODY("\"tools\":[" TOOL "," OTHER "],\"tool_choice\":\"auto\",\"parallel_tool_calls\":false"),
    BODY("\"tools\":[" TOOL "],\"tool_choice\":\"none\""),
    BODY("\"tools\":[" TOOL "],\"tool_choice\":\"required\""),
    BODY("\"tools\":[" OTHER
         "],\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}}"),
    BODY("\"tools\":[" TOOL "," OTHER "],\"tool_choice\":{\"type\":\"allowed_tools\","
         "\"allowed_tools\":{\"mode\":\"required\",\"tools\":[{\"type\":\"function\","
         "\"function\":{\"name\":\"f\"}},{\"type\":\"custom\",\"custom\":{\"name\":\"sh\"}}]}}"),
};

static void test_reading_and_writing_is_the_identity(void **state)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct play play;

        begin(&play, bodies[i]);
        write(&play, FORM_RESPONSES, 0);
        assert_told(&play, bodies[i]);
        assert_int_equal(play.drops.len, 0);
        end(&play);
    }
}

/* Whatever is not touched stays; whatever is touched is another body, or none. */
static void test_what_needs_no_rewrite_is_the_same(void **state)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        for (int bit = 0; bit < QUIRKS; bit++) {
            uint32_t quirks = UINT32_C(1) << bit;
            bool is_needed;
            struct play play;

            begin(&play, bodies[i]);
            is_needed = openai_chat_needs_rewrite(play.chat.root, quirks);
            write(&play, FORM_CHAT, quirks);
            if (play.err && !is_needed)
                fail_msg("body %zu, bit %d: %s", i, bit, play.refusal.message);
            if (!play.err && is_same(buf_span(&play.out), span_from_text(bodies[i])) == is_needed)
                fail_msg("body %zu, bit %d: %s\n%.*s", i, bit, is_needed ? "needed" : "not needed",
                         SPAN_ARG(buf_span(&play.out)));
            end(&play);
        }
    }
}

/* What was suited to a provider suits it. */
static void test_a_rewritten_body_needs_no_other(void **state)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        for (int bit = 0; bit < QUIRKS; bit++) {
            uint32_t quirks = UINT32_C(1) << bit;
            struct json_tree *tree = malloc(sizeof(*tree));
            struct play play;

            assert_non_null(tree);
            begin(&play, bodies[i]);
            write(&play, FORM_CHAT, quirks);
            if (!play.err) {
                assert_int_equal(json_tree_read_raw(tree, buf_span(&play.out), MEMORY_MAX), 0);
                if (openai_chat_needs_rewrite(yyjson_doc_get_root(tree->doc), quirks))
                    fail_msg("body %zu, bit %d: %.*s", i, bit, SPAN_ARG(buf_span(&play.out)));
                json_tree_fini(tree);
            }
            free(tree);
            end(&play);
        }
    }
}

/* A client of another dialect is told by the same quirks. */
static void test_quirks_hold_for_other_dialects_too(void **state)
{
    struct play play;

    begin(&play, BODY("\"max_tokens\":9,\"seed\":4,\"reasoning_effort\":\"xhigh\""));
    write(&play, FORM_MESSAGES, QUIRK_MAX_TOKENS | QUIRK_RANDOM_SEED | QUIRK_DEEPSEEK_EFFORT);
    assert_told(&play, BODY("\"max_tokens\":9,\"random_seed\":4,\"reasoning_effort\":\"high\""));
    end(&play);

    begin(&play, BODY("\"n\":2"));
    write(&play, FORM_GENERATE, QUIRK_NO_LOGPROBS);
    assert_int_equal(play.err, ERR_SYNTAX);
    assert_string_equal(play.refusal.param, "generationConfig.candidateCount");
    end(&play);
}

static void test_thoughts_go_where_they_are_wanted(void **state)
{
    const char *talk = TALK("{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
                            "\"content\":\"x\",\"thinking_blocks\":[{\"type\":\"thinking\","
                            "\"thinking\":\"hm\",\"signature\":\"s\"}]}");
    struct play play;

    begin(&play, talk);
    write(&play, FORM_MESSAGES, 0);
    assert_told(&play, TALK("{\"role\":\"user\",\"content\":\"hi\"},"
                            "{\"role\":\"assistant\",\"content\":\"x\"}"));
    end(&play);
    begin(&play, talk);
    write(&play, FORM_MESSAGES, QUIRK_REASONING_BACK);
    assert_told(&play, TALK("{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
                            "\"content\":\"x\",\"reasoning_content\":\"hm\"}"));
    end(&play);
    begin(&play, talk);
    write(&play, FORM_MESSAGES, QUIRK_OPENROUTER_REASONING);
    assert_told(&play, TALK("{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\","
                            "\"content\":\"x\",\"reasoning\":\"hm\"}"));
    end(&play);
}

static void test_thinking_is_asked_for_in_the_provider_s_way(void **state)
{
    static const struct {
        const char *asked;
        uint32_t quirks;
        const char *told;
    } rows[] = {
        {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}", 0,
         ",\"reasoning_effort\":\"low\""},
        {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000}", 0,
         ",\"reasoning_effort\":\"medium\""},
        {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":32000}", 0,
         ",\"reasoning_effort\":\"high\""},
        {"\"thinking\":{\"type\":\"adaptive\"}", 0, ""},
        {"\"thinking\":{\"type\":\"disabled\"}", 0, ""},
        {"\"thinking\":{\"type\":\"disabled\"}", QUIRK_DEEPSEEK_THINKING,
         ",\"reasoning_effort\":\"none\""},
        {"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":5000}", QUIRK_OPENROUTER_REASONING,
         ",\"reasoning\":{\"max_tokens\":5000}"},
        {"\"reasoning_effort\":\"high\"", QUIRK_OPENROUTER_REASONING,
         ",\"reasoning\":{\"effort\":\"high\"}"},
        {"\"reasoning\":{\"enabled\":true,\"exclude\":true}", QUIRK_OPENROUTER_REASONING,
         ",\"reasoning\":{\"enabled\":true,\"exclude\":true}"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[512], wanted[512];
        struct play play;

        snprintf(body, sizeof(body), "{\"model\":\"m\"," MESSAGES ",%s}", rows[i].asked);
        snprintf(wanted, sizeof(wanted), "{\"model\":\"m\"," MESSAGES "%s}", rows[i].told);
        begin(&play, body);
        write(&play, FORM_MESSAGES, rows[i].quirks);
        assert_told(&play, wanted);
        end(&play);
    }
}

/* What a tool message cannot hold follows in the user's, behind all results. */
static void test_images_of_tools_follow_their_results(void **state)
{
    struct play play;

    begin(
        &play,
        TALK(
            "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
            "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}},"
            "{\"id\":\"b\",\"type\":\"function\",\"function\":{\"name\":\"f\","
            "\"arguments\":\"{}\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":["
            "{\"type\":\"text\",\"text\":\"see\"},{\"type\":\"image_url\",\"image_url\":"
            "{\"url\":\"data:image/png;base64,AAAA\"}}]},"
            "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"2\"},"
            "{\"role\":\"user\",\"content\":\"well?\"}"));
    write(&play, FORM_MESSAGES, 0);
    assert_told(&play, TALK("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":["
                            "{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                            "\"arguments\":\"{}\"}},{\"id\":\"b\",\"type\":\"function\","
                            "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"a\",\"content\":\"see\"},"
                            "{\"role\":\"tool\",\"tool_call_id\":\"b\",\"content\":\"2\"},"
                            "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                            "{\"url\":\"data:image/png;base64,AAAA\"}},"
                            "{\"type\":\"text\",\"text\":\"well?\"}]}"));
    end(&play);
}

/* What was fetched for a provider that fetches nothing is told instead of its URL. */
static void test_fetched_images_are_told_as_data(void **state)
{
    struct chat_media *media;
    struct play play;

    begin(&play, TALK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                      "{\"url\":\"https://example.com/a.png\",\"detail\":\"high\"},\"x\":1}]}"));
    media = &play.chat.messages[0].parts[0].media;
    media->source = CHAT_SOURCE_DATA;
    media->type = SPAN("image/png");
    media->data = SPAN("AAAA");
    write(&play, FORM_CHAT, QUIRK_NO_IMAGE_URL);
    assert_told(&play, TALK("{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":"
                            "{\"url\":\"data:image/png;base64,AAAA\",\"detail\":\"high\"},"
                            "\"x\":1}]}"));
    end(&play);
}

static void test_signatures_are_read_back(void **state)
{
    const struct chat_message *message;
    struct play play;

    begin(
        &play,
        TALK("{\"role\":\"assistant\",\"content\":\"x\",\"reasoning_content\":\"hm\","
             "\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"s\"}],"
             "\"tool_calls\":[{\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
             "\"arguments\":{\"n\":1.0}},\"extra_content\":{\"google\":"
             "{\"thought_signature\":\"t\"}}}]}"));
    assert_int_equal(play.err, 0);
    message = &play.chat.messages[0];
    assert_int_equal(message->part_count, 3);
    assert_int_equal(message->parts[0].kind, CHAT_PART_THINKING);
    assert_true(span_is_equal(message->parts[0].text, SPAN("hm")));
    assert_true(span_is_equal(message->parts[0].signature, SPAN("s")));
    assert_int_equal(message->parts[0].signer, DIALECT_ANTHROPIC);
    assert_int_equal(message->parts[2].kind, CHAT_PART_CALL);
    assert_true(span_is_equal(message->parts[2].text, SPAN("{\"n\":1.0}")));
    assert_true(span_is_equal(message->parts[2].signature, SPAN("t")));
    assert_int_equal(message->parts[2].signer, DIALECT_GEMINI);
    end(&play);
}

static void test_marks_for_caches(void **state)
{
    struct play play;

    begin(&play,
          TALK("{\"role\":\"user\",\"content\":["
               "{\"type\":\"text\",\"text\":\"a\",\"cache_control\":{\"type\":\"ephemeral\"}},"
               "{\"type\":\"text\",\"text\":\"b\",\"cache_control\":{\"type\":\"ephemeral\","
               "\"ttl\":\"1h\"}},{\"type\":\"text\",\"text\":\"c\","
               "\"prompt_cache_breakpoint\":{\"mode\":\"explicit\"}}]}"));
    assert_int_equal(play.err, 0);
    assert_int_equal(play.chat.messages[0].parts[0].cache, CHAT_CACHE_SHORT);
    assert_int_equal(play.chat.messages[0].parts[1].cache, CHAT_CACHE_LONG);
    assert_int_equal(play.chat.messages[0].parts[2].cache, CHAT_CACHE_SHORT);
    write(&play, FORM_MESSAGES, QUIRK_OPENROUTER_REASONING);
    assert_told(&play, TALK("{\"role\":\"user\",\"content\":["
                            "{\"type\":\"text\",\"text\":\"a\",\"cache_control\":"
                            "{\"type\":\"ephemeral\"}},{\"type\":\"text\",\"text\":\"b\","
                            "\"cache_control\":{\"type\":\"ephemeral\",\"ttl\":\"1h\"}},"
                            "{\"type\":\"text\",\"text\":\"c\",\"cache_control\":"
                            "{\"type\":\"ephemeral\"}}]}"));
    end(&play);
}

/* OpenAI answers in JSON only where the word falls. */
static void test_json_is_spoken_of(void **state)
{
    struct play play;

    begin(&play, BODY("\"response_format\":{\"type\":\"json_object\"}"));
    write(&play, FORM_GENERATE, 0);
    assert_told(&play, "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":"
                       "\"Answer with one JSON object.\"},{\"role\":\"user\",\"content\":\"hi\"}],"
                       "\"response_format\":{\"type\":\"json_object\"}}");
    end(&play);
    begin(&play,
          "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"In Json, please\"}],"
          "\"response_format\":{\"type\":\"json_object\"}}");
    write(&play, FORM_GENERATE, 0);
    assert_int_equal(play.err, 0);
    assert_true(span_find(buf_span(&play.out), SPAN("system")) == SIZE_MAX);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_and_writing_is_the_identity),
        cmocka_unit_test(test_what_needs_no_rewrite_is_the_same),
        cmocka_unit_test(test_a_rewritten_body_needs_no_other),
        cmocka_unit_test(test_quirks_hold_for_other_dialects_too),
        cmocka_unit_test(test_thoughts_go_where_they_are_wanted),
        cmocka_unit_test(test_thinking_is_asked_for_in_the_provider_s_way),
        cmocka_unit_test(test_images_of_tools_follow_their_results),
        cmocka_unit_test(test_fetched_images_are_told_as_data),
        cmocka_unit_test(test_signatures_are_read_back),
        cmocka_unit_test(test_marks_for_caches),
        cmocka_unit_test(test_json_is_spoken_of),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
