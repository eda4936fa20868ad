/* Key states: written, only where they differ, and read again as they were. */
#include "stage.h"

#include "store/key_states.h"

/* What was loaded, copied. */
struct loaded {
    size_t count;
    struct {
        uint8_t first; /* of the identity */
        char text[512];
    } keys[8];
};

static void look(const struct store_answer *answer, void *owner)
{
    const struct key_state *states = key_states_told(answer);
    struct loaded *loaded = owner;

    loaded->count = answer->count;
    for (size_t i = 0; i < answer->count && i < 8; i++) {
        const struct key_state *s = &states[i];
        char *text = loaded->keys[i].text;
        int len = snprintf(text, 512, "%.*s/%.*s %.*s %.*s %u/%u until %llu failures %u %.*s %llu",
                           SPAN_ARG(s->provider), SPAN_ARG(s->name), SPAN_ARG(s->wish),
                           SPAN_ARG(s->health), s->weight_milli, s->said_milli,
                           (unsigned long long)s->until_wall_us, s->failures, SPAN_ARG(s->breaker),
                           (unsigned long long)s->breaker_until_wall_us);

        loaded->keys[i].first = s->identity[0];
        for (size_t j = 0; j < s->aside_count; j++)
            len += snprintf(text + len, (size_t)(512 - len), "; %.*s %.*s %llu",
                            SPAN_ARG(s->asides[j].model), SPAN_ARG(s->asides[j].state),
                            (unsigned long long)s->asides[j].until_wall_us);
    }
}

static void load(struct stage *stage, struct loaded *loaded)
{
    struct reply reply = {.look = look, .owner = loaded};

    memset(loaded, 0, sizeof(*loaded));
    assert_int_equal(stage_done(stage, &reply, key_states_load(stage->store, reply_for(&reply))),
                     0);
    assert_int_equal(reply.count, loaded->count);
}

/* How many were written. */
static size_t put(struct stage *stage, const struct key_state *states, size_t count)
{
    struct reply reply = {0};

    assert_int_equal(
        stage_done(stage, &reply, key_states_put(stage->store, reply_for(&reply), states, count)),
        0);
    return reply.count;
}

static struct key_state key(uint8_t first, const char *name)
{
    return (struct key_state){.identity = {first, 1, 2},
                              .provider = SPAN("openai"),
                              .name = span_from_text(name),
                              .wish = SPAN("enabled"),
                              .health = SPAN("healthy"),
                              .breaker = SPAN("closed"),
                              .weight_milli = 1000,
                              .said_milli = 1000};
}

static void states_come_back_after_a_restart(void **state)
{
    const struct key_state_aside asides[] = {{SPAN("o3"), SPAN("forbidden"), 77},
                                             {SPAN("gpt-4.1"), SPAN("limited"), 99}};
    struct key_state keys[2] = {key(9, "main"), key(3, "Zweitschlüssel")};
    struct loaded loaded;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    keys[0].asides = asides;
    keys[0].aside_count = 2;
    keys[1].wish = SPAN("drained");
    keys[1].health = SPAN("limited");
    keys[1].weight_milli = 0;
    keys[1].said_milli = 1000;
    keys[1].until_wall_us = UINT64_MAX;
    keys[1].failures = UINT32_MAX;
    keys[1].breaker = SPAN("half_open");
    keys[1].breaker_until_wall_us = 5;
    assert_int_equal(put(&stage, keys, 2), 2);
    stage_end(&stage);

    stage_begin(&stage, NULL);
    load(&stage, &loaded);
    assert_int_equal(loaded.count, 2);
    assert_int_equal(loaded.keys[0].first, 3);
    assert_string_equal(loaded.keys[0].text,
                        "openai/Zweitschlüssel drained limited 0/1000 until 9223372036854775807 "
                        "failures 4294967295 half_open 5");
    assert_string_equal(loaded.keys[1].text,
                        "openai/main enabled healthy 1000/1000 until 0 failures 0 closed 0; "
                        "gpt-4.1 limited 99; o3 forbidden 77");
    stage_close(&stage);
}

static void only_what_differs_is_written(void **state)
{
    struct key_state_aside asides[] = {{SPAN("o3"), SPAN("forbidden"), 77},
                                       {SPAN("o4"), SPAN("limited"), 78}};
    struct key_state keys[2] = {key(1, "a"), key(2, "b")};
    struct loaded loaded;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    assert_int_equal(put(&stage, keys, 2), 2);
    assert_int_equal(put(&stage, keys, 2), 0);
    keys[1].failures = 4;
    assert_int_equal(put(&stage, keys, 2), 1);
    keys[0].asides = asides;
    keys[0].aside_count = 2;
    assert_int_equal(put(&stage, keys, 2), 1);
    assert_int_equal(put(&stage, keys, 2), 0);
    asides[1].until_wall_us++;
    assert_int_equal(put(&stage, keys, 2), 1);
    keys[0].aside_count = 1; /* a model is free again */
    assert_int_equal(put(&stage, keys, 2), 1);
    assert_int_equal(put(&stage, keys, 0), 0);
    load(&stage, &loaded);
    assert_string_equal(
        loaded.keys[0].text,
        "openai/a enabled healthy 1000/1000 until 0 failures 0 closed 0; o3 forbidden 77");
    stage_close(&stage);
}

/* Clients may have named the models: one that is odd keeps no other from being written. */
static void odd_models_are_made_fit(void **state)
{
    static char much[300];
    const struct key_state_aside asides[] = {{SPAN("a\nb"), SPAN("limited"), 1},
                                             {SPAN(""), SPAN("limited"), 2},
                                             {SPAN("a b"), SPAN("missing"), 3},
                                             {span_of(much, 300), SPAN("limited"), UINT64_MAX}};
    struct key_state one = key(1, "a");
    struct loaded loaded;
    struct stage stage;

    memset(much, 'm', sizeof(much));
    stage_open(&stage);
    stage_begin(&stage, NULL);
    one.asides = asides;
    one.aside_count = 4;
    assert_int_equal(put(&stage, &one, 1), 1);
    assert_int_equal(put(&stage, &one, 1), 0);
    load(&stage, &loaded);
    assert_non_null(strstr(loaded.keys[0].text, "; a b missing 3; mmm"));
    assert_int_equal(strspn(strstr(loaded.keys[0].text, "mmm"), "m"), 256);
    stage_close(&stage);
}

static void forgotten_keys_are_gone_with_their_models(void **state)
{
    const struct key_state_aside aside = {SPAN("o3"), SPAN("forbidden"), 77};
    struct key_state keys[3] = {key(1, "a"), key(2, "b"), key(3, "c")};
    uint8_t identities[3][STORE_IDENTITY_BYTES] = {{1, 1, 2}, {3, 1, 2}, {7}};
    struct reply reply = {0};
    struct loaded loaded;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    for (int i = 0; i < 3; i++) {
        keys[i].asides = &aside;
        keys[i].aside_count = 1;
    }
    put(&stage, keys, 3);
    assert_int_equal(
        stage_done(&stage, &reply,
                   key_states_forget(stage.store, reply_for(&reply),
                                     (const uint8_t(*)[STORE_IDENTITY_BYTES])identities, 3)),
        0);
    assert_int_equal(reply.count, 2);
    load(&stage, &loaded);
    assert_int_equal(loaded.count, 1);
    assert_string_equal(
        loaded.keys[0].text,
        "openai/b enabled healthy 1000/1000 until 0 failures 0 closed 0; o3 forbidden 77");
    stage_close(&stage);
}

static void nothing_is_kept_at_first(void **state)
{
    struct loaded loaded;
    struct stage stage;

    stage_open(&stage);
    stage_begin(&stage, NULL);
    load(&stage, &loaded);
    assert_int_equal(loaded.count, 0);
    stage_close(&stage);
}

static void expect_refusal(struct stage *stage, struct key_state state)
{
    struct key_state states[2] = {key(1, "sound"), state};
    struct reply reply = {0};

    assert_int_equal(key_states_put(stage->store, reply_for(&reply), states, 2), ERR_RANGE);
    assert_null(reply.ask.op);
    stage_settle(stage);
    assert_int_equal(reply.calls, 0);
}

static void what_is_no_state_is_refused(void **state)
{
    static char much[300];
    struct key_state_aside asides[65];
    struct key_state wrong;
    struct stage stage;

    memset(much, 'a', sizeof(much));
    stage_open(&stage);
    stage_begin(&stage, NULL);
    wrong = key(2, "");
    expect_refusal(&stage, wrong);
    wrong = key(2, "two\nlines");
    expect_refusal(&stage, wrong);
    wrong = key(2, "x");
    wrong.provider = span_of(much, 257);
    expect_refusal(&stage, wrong);
    wrong = key(2, "x");
    wrong.health = SPAN("");
    expect_refusal(&stage, wrong);
    wrong.health = span_of(much, 33);
    expect_refusal(&stage, wrong);
    wrong.health = SPAN("sk-proj-0123");
    expect_refusal(&stage, wrong);
    for (int i = 0; i < 65; i++)
        asides[i] = (struct key_state_aside){SPAN("o3"), SPAN("limited"), 1};
    wrong = key(2, "x");
    wrong.asides = asides;
    wrong.aside_count = 65;
    expect_refusal(&stage, wrong);
    wrong.aside_count = 1;
    asides[0].state = SPAN("Not a word");
    expect_refusal(&stage, wrong);
    assert_int_equal(access(stage.path, F_OK), -1); /* nor was there need of a file */
    stage_close(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(states_come_back_after_a_restart),
        cmocka_unit_test(only_what_differs_is_written),
        cmocka_unit_test(odd_models_are_made_fit),
        cmocka_unit_test(forgotten_keys_are_gone_with_their_models),
        cmocka_unit_test(nothing_is_kept_at_first),
        cmocka_unit_test(what_is_no_state_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
