/* Embeddings, from each dialect to each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/embed.h"

enum { MAX = 16 << 20 };

struct stage {
    struct arena_pool pool;
    struct arena arena;
    struct json_tree tree, answer_tree;
    struct embed embed;
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct buf out;
};

static struct stage *set_up(void)
{
    struct stage *stage = calloc(1, sizeof(*stage));

    assert_non_null(stage);
    arena_pool_init(&stage->pool, 4);
    arena_init(&stage->arena, &stage->pool, MAX);
    buf_init(&stage->out, MAX);
    return stage;
}

static void strike(struct stage *stage)
{
    buf_fini(&stage->out);
    json_tree_fini(&stage->tree);
    json_tree_fini(&stage->answer_tree);
    arena_fini(&stage->arena);
    arena_pool_fini(&stage->pool);
    free(stage);
}

static int read_request(struct stage *stage, enum form form, struct span body)
{
    struct embed_reading reading = {.arena = &stage->arena,
                                    .embed = &stage->embed,
                                    .refusal = &stage->refusal,
                                    .drops = &stage->drops};

    stage->embed.form = form;
    assert_int_equal(json_tree_read_raw(&stage->tree, body, MAX), 0);
    return embed_ops(form)->read_request(&reading, yyjson_doc_get_root(stage->tree.doc));
}

static int write_request(struct stage *stage, enum form form)
{
    struct embed_writing writing = {.embed = &stage->embed,
                                    .model = SPAN("up"),
                                    .out = &stage->out,
                                    .drops = &stage->drops,
                                    .refusal = &stage->refusal};

    return embed_ops(form)->write_request(&writing);
}

static void requests_are_told_in_the_other_dialect(void **state)
{
    static const struct {
        enum form from, to;
        const char *body, *told, *dropped;
    } cases[] = {
        {FORM_EMBEDDINGS, FORM_EMBED_BATCH,
         "{\"model\":\"m\",\"input\":[\"a\",\"b\"],\"dimensions\":8,\"encoding_format\":\"base64\","
         "\"user\":\"u\",\"odd\":1}",
         "{\"requests\":[{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"a\"}]},"
         "\"outputDimensionality\":8},{\"model\":\"models/up\",\"content\":{\"parts\":"
         "[{\"text\":\"b\"}]},\"outputDimensionality\":8}]}",
         "odd, user"},
        {FORM_EMBEDDINGS, FORM_EMBED_BATCH, "{\"model\":\"m\",\"input\":\"a\"}",
         "{\"requests\":[{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"a\"}]}}]}",
         ""},
        {FORM_EMBED, FORM_EMBEDDINGS,
         "{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"},{\"text\":\"b\"}]},"
         "\"taskType\":\"RETRIEVAL_QUERY\",\"outputDimensionality\":8}",
         "{\"model\":\"up\",\"input\":\"ab\",\"encoding_format\":\"float\",\"dimensions\":8}",
         "taskType"},
        {FORM_EMBED_BATCH, FORM_EMBEDDINGS,
         "{\"requests\":[{\"model\":\"models/m\",\"content\":{\"parts\":[{\"text\":\"a\"}]}},"
         "{\"content\":{\"parts\":[{\"text\":\"b\"}]}}]}",
         "{\"model\":\"up\",\"input\":[\"a\",\"b\"],\"encoding_format\":\"float\"}", ""},
        {FORM_EMBEDDINGS, FORM_EMBEDDINGS,
         "{\"input\":[[1,2],[3]],\"encoding_format\":\"base64\",\"user\":\"u\"}",
         "{\"model\":\"up\",\"input\":[[1,2],[3]],\"encoding_format\":\"base64\",\"user\":\"u\"}",
         ""},
        {FORM_EMBED, FORM_EMBED,
         "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"task_type\":\"CLUSTERING\",\"title\":\"t\","
         "\"output_dimensionality\":\"9\"}",
         "{\"model\":\"models/up\",\"content\":{\"parts\":[{\"text\":\"a\"}]},"
         "\"taskType\":\"CLUSTERING\",\"title\":\"t\",\"outputDimensionality\":9}",
         ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up();

        assert_int_equal(read_request(stage, cases[i].from, span_from_text(cases[i].body)), 0);
        assert_int_equal(write_request(stage, cases[i].to), 0);
        assert_string_equal(buf_text(&stage->out), cases[i].told);
        assert_true(span_is_equal(span_of(stage->drops.text, stage->drops.len),
                                  span_from_text(cases[i].dropped)));
        strike(stage);
    }
}

static void what_cannot_be_told_is_refused(void **state)
{
    static const struct {
        enum form from;
        const char *body, *param;
    } cases[] = {
        {FORM_EMBEDDINGS, "{\"input\":[1,2,3]}", "input"},
        {FORM_EMBEDDINGS, "{\"input\":[[1],[2]]}", "input"},
        {FORM_EMBEDDINGS, "{}", "input"},
        {FORM_EMBEDDINGS, "{\"input\":[]}", "input"},
        {FORM_EMBEDDINGS, "{\"input\":[\"a\",{}]}", "input"},
        {FORM_EMBEDDINGS, "{\"input\":\"a\",\"dimensions\":0}", "dimensions"},
        {FORM_EMBEDDINGS, "{\"input\":\"a\",\"encoding_format\":\"x\"}", "encoding_format"},
        {FORM_EMBED, "{}", "content"},
        {FORM_EMBED, "{\"content\":{\"parts\":[{\"inlineData\":{}}]}}", "content.parts"},
        {FORM_EMBED, "{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":-1}",
         "outputDimensionality"},
        {FORM_EMBED_BATCH, "{\"requests\":[]}", "requests"},
        {FORM_EMBED_BATCH,
         "{\"requests\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"outputDimensionality\":1},"
         "{\"content\":{\"parts\":[{\"text\":\"b\"}]},\"outputDimensionality\":2}]}",
         "requests"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up();
        int err = read_request(stage, cases[i].from, span_from_text(cases[i].body));

        if (!err)
            err = write_request(stage, FORM_EMBED_BATCH);
        assert_int_equal(err, ERR_SYNTAX);
        assert_string_equal(stage->refusal.param, cases[i].param);
        assert_true(stage->refusal.message[0]);
        strike(stage);
    }
}

static void gemini_takes_a_hundred_texts(void **state)
{
    (void)state;
    for (int count = 100; count <= 101; count++) {
        struct stage *stage = set_up();
        struct buf body;

        buf_init(&body, MAX);
        buf_printf(&body, "{\"input\":[");
        for (int i = 0; i < count; i++)
            buf_printf(&body, "%s\"t\"", i ? "," : "");
        buf_printf(&body, "]}");
        assert_int_equal(read_request(stage, FORM_EMBEDDINGS, buf_span(&body)), 0);
        assert_int_equal(write_request(stage, FORM_EMBED_BATCH), count > 100 ? ERR_SYNTAX : 0);
        buf_fini(&body);
        strike(stage);
    }
}

static int tell_answer(struct stage *stage, enum form from, enum form to, const char *body)
{
    struct embed_frame frame = {.embed = &stage->embed, .model = SPAN("up"), .prompt_tokens = 5};
    struct embed_answer answer;
    int err;

    assert_int_equal(json_tree_read_raw(&stage->answer_tree, span_from_text(body), MAX), 0);
    err = embed_ops(from)->read_answer(&stage->arena, yyjson_doc_get_root(stage->answer_tree.doc),
                                       &answer);
    return err ? err : embed_ops(to)->write_answer(&stage->out, &frame, &answer);
}

static void answers_are_told_in_the_other_dialect(void **state)
{
    static const struct {
        enum form from, to;
        bool is_base64;
        const char *body, *told;
    } cases[] = {
        {FORM_EMBED_BATCH, FORM_EMBEDDINGS, false,
         "{\"embeddings\":[{\"values\":[0.10,-2]},{\"values\":[1e-7,3]}]}",
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
         "\"embedding\":[0.10,-2]},{\"object\":\"embedding\",\"index\":1,\"embedding\":[1e-7,3]}],"
         "\"model\":\"up\",\"usage\":{\"prompt_tokens\":5,\"total_tokens\":5}}"},
        {FORM_EMBED_BATCH, FORM_EMBEDDINGS, true,
         "{\"embeddings\":[{\"values\":[1,-2.5]}],\"usageMetadata\":{\"promptTokenCount\":3}}",
         "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
         "\"embedding\":\"AACAPwAAIMA=\"}],"
         "\"model\":\"up\",\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3}}"},
        {FORM_EMBEDDINGS, FORM_EMBED, false,
         "{\"object\":\"list\",\"data\":[{\"index\":0,\"embedding\":[0.1,2]}],\"model\":\"x\","
         "\"usage\":{\"prompt_tokens\":4,\"total_tokens\":4}}",
         "{\"embedding\":{\"values\":[0.1,2]},\"usageMetadata\":{\"promptTokenCount\":4,"
         "\"totalTokenCount\":4}}"},
        {FORM_EMBEDDINGS, FORM_EMBED_BATCH, false,
         "{\"data\":[{\"index\":1,\"embedding\":\"AACAPwAAIMA=\"},{\"index\":0,"
         "\"embedding\":[7]}]}",
         "{\"embeddings\":[{\"values\":[7]},{\"values\":[1,-2.5]}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up();

        stage->embed.is_base64 = cases[i].is_base64;
        assert_int_equal(tell_answer(stage, cases[i].from, cases[i].to, cases[i].body), 0);
        assert_string_equal(buf_text(&stage->out), cases[i].told);
        strike(stage);
    }
}

static void broken_answers_are_known(void **state)
{
    static const struct {
        enum form from, to;
        const char *body;
    } cases[] = {
        {FORM_EMBED, FORM_EMBED, "{}"},
        {FORM_EMBED, FORM_EMBED, "{\"embedding\":{\"values\":\"x\"}}"},
        {FORM_EMBED, FORM_EMBED, "{\"embedding\":{\"values\":[\"x\"]}}"},
        {FORM_EMBED_BATCH, FORM_EMBEDDINGS, "{\"embeddings\":[{}]}"},
        {FORM_EMBED_BATCH, FORM_EMBED, "{\"embeddings\":[{\"values\":[1]},{\"values\":[1]}]}"},
        {FORM_EMBEDDINGS, FORM_EMBED, "{\"data\":[]}"},
        {FORM_EMBEDDINGS, FORM_EMBED, "{\"data\":[{\"index\":1,\"embedding\":[1]}]}"},
        {FORM_EMBEDDINGS, FORM_EMBED_BATCH,
         "{\"data\":[{\"index\":0,\"embedding\":[1]},{\"index\":0,\"embedding\":[1]}]}"},
        {FORM_EMBEDDINGS, FORM_EMBED, "{\"data\":[{\"embedding\":\"%%%\"}]}"},
        {FORM_EMBEDDINGS, FORM_EMBED, "{\"data\":[{\"embedding\":\"AAA=\"}]}"},
        {FORM_EMBEDDINGS, FORM_EMBED, "{\"data\":[{\"embedding\":\"AADAfw==\"}]}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct stage *stage = set_up();

        assert_int_equal(tell_answer(stage, cases[i].from, cases[i].to, cases[i].body), ERR_SYNTAX);
        strike(stage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_told_in_the_other_dialect),
        cmocka_unit_test(what_cannot_be_told_is_refused),
        cmocka_unit_test(gemini_takes_a_hundred_texts),
        cmocka_unit_test(answers_are_told_in_the_other_dialect),
        cmocka_unit_test(broken_answers_are_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
