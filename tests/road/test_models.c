/* GET /v1/models and GET /v1/models/{id}: what clients may ask for. */
#include "road.h"

#include "dialect/openai_models.h"
#include "upstream/provider.h"

/* The provider has told these models, as its probes learn them. */
static void learn(struct road *road, size_t provider, const char *list)
{
    struct openai_models *models;

    assert_int_equal(openai_models_read(span_from_text(list), &models), 0);
    provider_set_models(road->snapshot->providers[provider].provider, models);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_names),
        cmocka_unit_test(test_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
