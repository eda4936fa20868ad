/* Parameters by their table: what a form calls them, and what becomes of them in another dialect.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "dialect/parameters.h"

struct play {
    struct json_tree tree;
    struct arena_pool pool;
    struct arena arena;
    struct chat chat;
    struct chat_refusal refusal;
    struct chat_drops drops;
    struct chat_reading reading;
};

/* Takes every member of the body; 0 or the first error. */
static int take(struct play *play, enum form form, const char *body)
{
    yyjson_obj_iter members;
    yyjson_val *name;
    int first = 0;

    memset(play, 0, sizeof(*play));
    arena_pool_init(&play->pool, 1);
    arena_init(&play->arena, &play->pool, 65536);
    assert_int_equal(json_tree_read_raw(&play->tree, span_from_text(body), 65536), 0);
    play->chat.form = form;
    play->reading = (struct chat_reading){
        .arena = &play->arena, .chat = &play->chat, .refusal = &play->refusal};
    members = yyjson_obj_iter_with(yyjson_doc_get_root(play->tree.doc));
    while ((name = yyjson_obj_iter_next(&members))) {
        int err;

        if (!parameter_take(&play->reading, SPAN(""), json_tree_text(name),
                            yyjson_obj_iter_get_val(name), &err))
            parameter_note_unknown(&play->reading, SPAN(""), json_tree_text(name),
                                   yyjson_obj_iter_get_val(name));
        first = first ? first : err;
    }
    return first;
}

static void end(struct play *play)
{
    json_tree_fini(&play->tree);
    arena_fini(&play->arena);
    arena_pool_fini(&play->pool);
}

static int fit(struct play *play, enum dialect_id dialect)
{
    play->drops.len = 0;
    memset(&play->refusal, 0, sizeof(play->refusal));
    return parameters_fit(&play->chat, dialect, &play->drops, &play->refusal);
}

static void assert_drops(const struct play *play, const char *wanted)
{
    assert_true(span_is_equal(span_of(play->drops.text, play->drops.len), span_from_text(wanted)));
}

static void test_what_no_one_misses_is_dropped(void **state)
{
    struct play play;

    (void)state;
    assert_int_equal(take(&play, FORM_CHAT,
                          "{\"seed\":7,\"temperature\":0.5,\"store\":true,\"what\":1,\"a,b\":2}"),
                     0);
    assert_int_equal(fit(&play, DIALECT_ANTHROPIC), 0);
    assert_drops(&play, "seed, store, what");
    assert_int_equal(fit(&play, DIALECT_GEMINI), 0);
    assert_drops(&play, "store, what"); /* seeds are known there; "a,b" is fit for no header */
    end(&play);
}

static void test_what_changes_the_answer_is_refused(void **state)
{
    struct play play;

    (void)state;
    assert_int_equal(take(&play, FORM_CHAT, "{\"n\":2}"), 0);
    assert_int_equal(fit(&play, DIALECT_ANTHROPIC), ERR_SYNTAX);
    assert_int_equal(play.refusal.failure, FAILURE_UNSUPPORTED);
    assert_string_equal(play.refusal.param, "n");
    assert_non_null(strstr(play.refusal.message, "Anthropic"));
    assert_int_equal(fit(&play, DIALECT_GEMINI), 0);
    end(&play);
}

static void test_idle_values_ask_for_nothing(void **state)
{
    struct play play;

    (void)state;
    assert_int_equal(take(&play, FORM_CHAT,
                          "{\"n\":1,\"logprobs\":false,\"modalities\":[\"text\"],\"logit_bias\":{},"
                          "\"user\":\"\",\"service_tier\":\"auto\",\"seed\":null}"),
                     0);
    assert_int_equal(fit(&play, DIALECT_ANTHROPIC), 0);
    assert_drops(&play, "");
    end(&play);
}

static void test_a_wrong_type_is_named(void **state)
{
    struct play play;

    (void)state;
    assert_int_equal(take(&play, FORM_CHAT, "{\"seed\":\"x\"}"), ERR_SYNTAX);
    assert_int_equal(play.refusal.failure, FAILURE_FIELD_TYPE);
    assert_string_equal(play.refusal.param, "seed");
    end(&play);
}

static void test_names_are_the_form_s_own(void **state)
{
    struct play play;

    (void)state;
    assert_int_equal(take(&play, FORM_MESSAGES, "{\"stop_sequences\":[\"x\"],\"stop\":[\"y\"]}"),
                     0);
    assert_non_null(play.chat.params[CHAT_STOP_PARAM]);
    assert_int_equal(play.chat.unknown_count, 1);
    assert_true(span_is_equal(play.chat.unknown[0].name, SPAN("stop")));
    assert_true(span_is_equal(parameter_name(&play.chat, CHAT_STOP_PARAM), SPAN("stop_sequences")));
    end(&play);
}

static void test_many_unknown_names(void **state)
{
    static char body[65536];
    struct play play;
    size_t len = 0;

    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)snprintf(body + len, sizeof(body) - len, "%c\"field_%d\":%d", i ? ',' : '{',
                                i, i);
    snprintf(body + len, sizeof(body) - len, "}");
    assert_int_equal(take(&play, FORM_CHAT, body), 0);
    assert_int_equal(play.chat.unknown_count, 1000);
    assert_int_equal(fit(&play, DIALECT_GEMINI), 0);
    assert_in_range(play.drops.len, 400, sizeof(play.drops.text)); /* as many as have room */
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_no_one_misses_is_dropped),
        cmocka_unit_test(test_what_changes_the_answer_is_refused),
        cmocka_unit_test(test_idle_values_ask_for_nothing),
        cmocka_unit_test(test_a_wrong_type_is_named),
        cmocka_unit_test(test_names_are_the_form_s_own),
        cmocka_unit_test(test_many_unknown_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
