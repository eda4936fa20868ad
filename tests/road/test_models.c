/* GET /v1/models and GET /v1/models/{id}: what clients may ask for. */
#include "road.h"

#include "dialect/model_list.h"
#include "upstream/provider.h"

/* The provider has told these models, as its probes learn them. */
static void learn(struct road *road, size_t provider, const char *list)
{
    struct model_list *models;

    assert_int_equal(model_list_read(span_from_text(list), &models), 0);
    provider_set_models(road->snapshot->providers[provider].provider, models);
    registry_learn(&road->registry, road->snapshot->providers[provider].provider);
}

static void expect_get(struct road *road, const char *path, const char *key, int status,
                       const char *body)
{
    int client = road_connect(road);
    char request[256];

    snprintf(request, sizeof(request),
             "GET %s HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\n\r\n", path, key);
    wire_say(road->loop, client, request);
    if (status == 200)
        road_expect(road, client, status, body);
    else
        road_expect_error(road, client, status, body);
    close(client);
}

#define LIST(models) "{\"object\":\"list\",\"data\":[" models "]}"

/* Wall time of the snapshot stands where nobody tells better. */
#define MODEL(id, created, owner)                                                                  \
    "{\"id\":\"" id "\",\"object\":\"model\",\"created\":" created ",\"owned_by\":\"" owner "\"}"
#define LOADED "1700000000"

/* Every provider's own models by their own names, each once, and only those that the client may
 * use. */
static void test_own_names(void **state)
{
    struct road road;

    (void)state;
    road_begin(&road, "providers:\n"
                      "  one: {kind: compatible, base_url: '@a', keys: [k1]}\n"
                      "  two: {kind: compatible, base_url: '@b', keys: [k2]}\n"
                      "clients: {keys: [{name: all, secret: client-all},\n"
                      "  {name: few, secret: client-few, models: ['b*']}]}\n"
                      "names: {direct: true}\n");
    expect_get(&road, "/v1/models", "client-all", 200, LIST(""));
    expect_get(&road, "/v1/models/a", "client-all", 200, MODEL("a", LOADED, "one"));

    learn(&road, 0, "{\"data\":[{\"id\":\"b\",\"created\":5,\"owned_by\":\"me\"},{\"id\":\"a\"}]}");
    learn(&road, 1, "{\"data\":[{\"id\":\"b\"},{\"id\":\"bc\",\"created\":9}]}");
    expect_get(
        &road, "/v1/models", "client-all", 200,
        LIST(MODEL("a", LOADED, "one") "," MODEL("b", "5", "me") "," MODEL("bc", "9", "two")));
    expect_get(&road, "/v1/models", "client-few", 200,
               LIST(MODEL("b", "5", "me") "," MODEL("bc", "9", "two")));
    expect_get(&road, "/v1/models/bc", "client-all", 200, MODEL("bc", "9", "two"));
    expect_get(&road, "/v1/models/two%2Fb", "client-all", 200, MODEL("two/b", LOADED, "two"));
    expect_get(&road, "/v1/models/one/bc", "client-all", 404, "model_not_found");
    expect_get(&road, "/v1/models/nope", "client-all", 404, "model_not_found");
    expect_get(&road, "/v1/models/a", "client-few", 404, "model_not_found");
    road_end(&road);
}

/* Where the file names models, those are the list, whatever the providers say. */
static void test_named(void **state)
{
    struct road road;

    (void)state;
    road_begin(&road, "providers: {up: {kind: compatible, base_url: '@a', keys: [k1]}}\n"
                      "models: {chat: up/m, small: up/s}\n"
                      "clients: {keys: [{name: all, secret: client-all}]}\n");
    learn(&road, 0, "{\"data\":[{\"id\":\"m\",\"created\":5}]}");
    expect_get(&road, "/v1/models", "client-all", 200,
               LIST(MODEL("chat", LOADED, "up") "," MODEL("small", LOADED, "up")));
    expect_get(&road, "/v1/models/small", "client-all", 200, MODEL("small", LOADED, "up"));
    expect_get(&road, "/v1/models/m", "client-all", 404, "model_not_found");
    expect_get(&road, "/v1/models", "wrong", 401, "invalid_api_key");
    road_end(&road);
}

/* Asks "up" for each model once; all are served. */
static void serve(struct road *road, const char *const *models)
{
    int client = road_connect(road), upstream = -1;

    for (; *models; models++) {
        char body[128];

        snprintf(body, sizeof(body), "{\"model\":\"%s\",\"messages\":[]}", *models);
        road_post(road, client, "/v1/chat/completions", "", body);
        upstream = road_attempt_with(road, 'a', upstream, "key-one");
        road_reply_ok(road, upstream);
        road_expect(road, client, 200, road_ok);
    }
    close(upstream);
    close(client);
}

static void expect_served(struct road *road, const char *model, uint64_t times)
{
    char line[128];

    snprintf(line, sizeof(line),
             "bellwether_requests_total{provider=\"up\",model=\"%s\",status=\"2xx\"}", model);
    assert_int_equal(road_metric(road, line), times);
}

/* Metrics name the models that the provider lists, and no others: a client could think of any. */
static void test_metrics_of_own_names(void **state)
{
    struct road road;

    (void)state;
    road_begin(&road, road_one_key);
    serve(&road, (const char *const[]){"a", NULL});
    expect_served(&road, "other", 1);
    learn(&road, 0, "{\"data\":[{\"id\":\"a\"},{\"id\":\"b\"}]}");
    serve(&road, (const char *const[]){"a", "up/a", "b", "c", NULL});
    expect_served(&road, "a", 2);
    expect_served(&road, "b", 1);
    expect_served(&road, "other", 2);
    expect_served(&road, "c", 0);
    assert_int_equal(road_metric(&road, "bellwether_request_latency_ms_count{provider=\"up\","
                                        "model=\"a\"}"),
                     2);
    /* What was learned outlives a reload; a list that has grown adds to it. */
    road_reload(&road, road_one_key);
    learn(&road, 0, "{\"data\":[{\"id\":\"b\"},{\"id\":\"c\"}]}");
    serve(&road, (const char *const[]){"a", "b", "c", NULL});
    expect_served(&road, "a", 3);
    expect_served(&road, "b", 2);
    expect_served(&road, "c", 1);
    expect_served(&road, "other", 2);
    road_end(&road);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_names),
        cmocka_unit_test(test_named),
        cmocka_unit_test(test_metrics_of_own_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
