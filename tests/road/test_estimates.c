/* Tokens are reserved by an estimate that learns from what the provider counts. */
#include "scene.h"

#include "limits/estimates.h"

/* The provider counts a hundred tokens in a prompt that looks like ten. */
static const char limited[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  selection: least_used, keys: [{name: one, secret: key-one}]}}\n"
    "models: {m: up/m}\n"
    "clients: {keys: [{name: web, secret: web-key, limits: {tpm: 1000}}]}\n";

static const char unlimited[] =
    "providers: {up: {kind: compatible, base_url: '@a', health: {validate_new: false},\n"
    "  selection: least_used, keys: [{name: one, secret: key-one}]}}\n"
    "models: {m: up/m}\n"
    "clients: {keys: [{name: web, secret: web-key}]}\n";

static const char counted[] =
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
    "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
    "\"usage\":{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_tokens\":120}}";

static void ask(struct road *road, int client, const char *more)
{
    char body[256];

    snprintf(
        body, sizeof(body),
        "{\"model\":\"m\",%s\"messages\":[{\"role\":\"user\",\"content\":\"Tell me of it.\"}]}",
        more);
    road_post(road, client, "/v1/chat/completions", "Authorization: Bearer web-key\r\n", body);
}

static void exchange(struct road *road, const char *answer)
{
    int client = road_connect(road), upstream;

    ask(road, client, "");
    upstream = road_attempt_with(road, 'a', -1, "key-one");
    road_reply(road, upstream, 200, "", answer);
    road_expect(road, client, 200, answer);
    close(client);
    close(upstream);
}

/* So many exchanges, slow enough for the limit, and learned from. */
static void learn(struct road *road, unsigned exchanges, const char *answer)
{
    for (unsigned i = 0; i < exchanges; i++) {
        exchange(road, answer);
        road_pass_ms(road, 10000);
    }
    estimates_learn(road->registry.estimates);
    road_pass_ms(road, 60000);
}

/* How many such requests are let in at once, before one is refused. */
static unsigned let_in(struct road *road, const char *more)
{
    enum { MOST = 100 };
    int clients[MOST], upstreams[MOST];
    unsigned count = 0;
    struct road_answer answer;

    for (; count < MOST; count++) {
        clients[count] = road_connect(road);
        ask(road, clients[count], more);
        road_hear(road, clients[count], &answer);
        if (answer.status == 429)
            break;
        road_answer_free(&answer);
        upstreams[count] = road_attempt_with(road, 'a', -1, "key-one");
    }
    assert_true(count < MOST);
    road_answer_free(&answer);
    close(clients[count]);
    for (unsigned i = 0; i < count; i++) {
        road_reply(road, upstreams[i], 200, "", counted);
        road_expect(road, clients[i], 200, counted);
        close(clients[i]);
        close(upstreams[i]);
    }
    road_pass_ms(road, 600000);
    return count;
}

static void test_reserves_what_the_provider_counts(void **state)
{
    struct road road;

    (void)state;
    road_begin(&road, limited);
    assert_in_range(let_in(&road, ""), 50, 99);
    learn(&road, 40, counted);
    /* 120 each: the answers' tokens are known too by now. */
    assert_in_range(let_in(&road, ""), 8, 9);
    /* An answer that may have 400 has no more than that, and no less is reserved. */
    assert_int_equal(let_in(&road, "\"max_tokens\":400,"), 2);
    road_reload(&road, limited);
    assert_in_range(let_in(&road, ""), 8, 9);
    road_end(&road);
}

static void test_learns_nothing_where_no_tokens_are_limited(void **state)
{
    struct estimates_row row;
    struct road road;
    size_t at = 0;

    (void)state;
    road_begin(&road, unlimited);
    learn(&road, 5, counted);
    assert_false(estimates_next(road.registry.estimates, &at, &row));
    road_reload(&road, limited);
    learn(&road, 5, counted);
    at = 0;
    assert_true(estimates_next(road.registry.estimates, &at, &row));
    assert_int_equal(row.learned, 5);
    assert_true(span_is_equal(row.provider, SPAN("up")));
    assert_true(span_is_equal(row.model, SPAN("m")));
    road_end(&road);
}

/* What a provider tells may be nonsense: the estimate stays one that can be reserved. */
static void test_bears_nonsense(void **state)
{
    static const char nonsense[] =
        "{\"id\":\"c1\",\"object\":\"chat.completion\",\"model\":\"m\",\"choices\":[{\"index\":0,"
        "\"message\":{\"role\":\"assistant\",\"content\":\"Hi\"},\"finish_reason\":\"stop\"}],"
        "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":0,\"total_tokens\":1}}";
    struct road road;

    (void)state;
    road_begin(&road, limited);
    learn(&road, 60, counted);
    learn(&road, 3, nonsense);
    assert_in_range(let_in(&road, ""), 7, 11);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reserves_what_the_provider_counts),
        cmocka_unit_test(test_learns_nothing_where_no_tokens_are_limited),
        cmocka_unit_test(test_bears_nonsense),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
