/* Endpoints: what makes one the same again, and what it remembers. */
#include "../conf/fake.h"

#include <stdio.h>
#include <unistd.h>

#include "io/tls.h"
#include "upstream/endpoint.h"

struct stage {
    struct fake fake;
    struct endpoint *endpoint;
    char path[64];
};

static const struct conf_provider *provider_of(struct stage *stage, const char *settings)
{
    char yaml[1024];

    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, keys: [s], base_url: 'http://unix:%s:/v1', %s}}\n"
             "clients: {open: true}\n",
             stage->path, settings);
    return &fake_must_load(&stage->fake, yaml)->providers.items[0];
}

static int make(const struct conf_provider *provider, char *error, struct endpoint **ret_endpoint)
{
    return endpoint_new(provider, &provider->base_url, error, ret_endpoint);
}

static bool is_same(const struct endpoint *endpoint, const struct conf_provider *provider)
{
    return endpoint_is_same(endpoint, provider, &provider->base_url);
}

static void begin(struct stage *stage, const char *settings)
{
    char error[TLS_ERROR_BYTES];

    memset(stage, 0, sizeof(*stage));
    fake_init(&stage->fake);
    snprintf(stage->path, sizeof(stage->path), "/tmp/bellwether-endpoint-%d", (int)getpid());
    assert_int_equal(make(provider_of(stage, settings), error, &stage->endpoint), 0);
}

static void end(struct stage *stage)
{
    endpoint_unref(&stage->endpoint);
    fake_fini(&stage->fake);
}

static void test_the_same(void **state)
{
    struct stage stage;
    char error[TLS_ERROR_BYTES], yaml[1024];
    struct endpoint *endpoint;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    /* Neither keys nor time-outs make another endpoint of it. */
    assert_true(is_same(stage.endpoint, provider_of(&stage, "timeouts: {connect: 1s}")));
    assert_false(is_same(stage.endpoint, provider_of(&stage, "tls: {verify: false}")));
    snprintf(yaml, sizeof(yaml),
             "providers: {up: {kind: compatible, keys: [s], base_url: 'http://unix:%s:/v2'}}\n"
             "clients: {open: true}\n",
             stage.path);
    assert_int_equal(make(&fake_must_load(&stage.fake, yaml)->providers.items[0], error, &endpoint),
                     0);
    assert_span(endpoint_path(endpoint), "/v2");
    assert_span(endpoint_host(endpoint), "localhost");
    assert_span(endpoint_authority(endpoint), "localhost");
    assert_span(endpoint_unix_path(endpoint), stage.path);
    assert_null(endpoint_tls(endpoint));
    assert_false(is_same(endpoint, provider_of(&stage, "health: {ttl: 60s}")));
    endpoint_unref(&endpoint);
    assert_null(endpoint);
    endpoint_unref(&endpoint);
    end(&stage);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* The same files, renewed: whom it trusts and who it is stands in them. */
static void test_renewed_files(void **state)
{
    static const char *const settings[] = {
        "tls: {ca: %s}",
        "tls: {certificate: %s, private_key: /dev/null}",
        "tls: {certificate: /dev/null, private_key: %s}",
    };
    struct stage stage;
    char path[96], other[104], text[192], error[TLS_ERROR_BYTES];
    const struct fake_pair files[] = {{path, "there"}, {"/dev/null", "there"}, {NULL, NULL}};

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    stage.fake.files = files;
    snprintf(path, sizeof(path), "%s.pem", stage.path);
    snprintf(other, sizeof(other), "%s.new", path);
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        struct endpoint *endpoint;

        write_file(path, "one");
        snprintf(text, sizeof(text), settings[i], path);
        assert_int_equal(make(provider_of(&stage, text), error, &endpoint), 0);
        assert_true(is_same(endpoint, provider_of(&stage, text)));
        /* Another file in its place, alike but for what stands in it. */
        write_file(other, "two");
        assert_int_equal(rename(other, path), 0);
        assert_false(is_same(endpoint, provider_of(&stage, text)));
        endpoint_unref(&endpoint);
    }
    unlink(path);
    end(&stage);
}

static void test_usage_is_remembered(void **state)
{
    struct stage stage;

    (void)state;
    begin(&stage, "health: {ttl: 60s}");
    assert_int_equal(endpoint_usage(stage.endpoint), ENDPOINT_USAGE_UNTRIED);
    endpoint_set_usage(stage.endpoint, ENDPOINT_USAGE_REFUSED);
    assert_int_equal(endpoint_usage(stage.endpoint), ENDPOINT_USAGE_REFUSED);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same),
        cmocka_unit_test(test_renewed_files),
        cmocka_unit_test(test_usage_is_remembered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
