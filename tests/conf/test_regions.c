/* A provider's regions: what the file may say of them, and which is near. */
#include "fake.h"

#include "conf/region.h"

static const struct fake_pair variables[] = {
    {"AVAILABILITY_ZONE", "eu-west-1b"}, {"PLACE", "eu-west"}, {"NOWHERE", "mars"}, {NULL, NULL}};

#define THREE                                                                                      \
    "providers:\n"                                                                                 \
    "  p:\n"                                                                                       \
    "    kind: compatible\n"                                                                       \
    "    keys: [sk-a]\n"                                                                           \
    "    regions: {us-east: \"http://a/v1\", eu-west: \"http://b/v1\", asia: \"http://c/v1\"}\n"

static const struct conf_provider *load(void **state, const char *yaml)
{
    return &fake_must_load(*state, yaml)->providers.items[0];
}

/* The names in their order, with a space behind each. */
static void assert_order(const struct conf_provider *provider, const char *zone,
                         const char *expected)
{
    size_t order[8];
    struct buf names;

    buf_init(&names, 256);
    conf_region_order(provider, span_from_text(zone), order);
    for (size_t i = 0; i < provider->regions.count; i++)
        buf_printf(&names, "%.*s ", SPAN_ARG(provider->regions.items[order[i]].name));
    assert_string_equal(buf_text(&names), expected);
    buf_fini(&names);
}

static void nearest_comes_first(void **state)
{
    const struct conf_provider *p =
        load(state, THREE "    zones: {us-east-1: us-east, eu-west-1: eu-west, x-1a: asia, "
                          "europe-west4: eu-west}\n"
                          "    default_region: asia\n");

    assert_order(p, "us-east-1a", "us-east asia eu-west ");
    assert_order(p, "us-east-1", "us-east asia eu-west ");
    assert_order(p, "eu-west-1c", "eu-west asia us-east ");
    assert_order(p, "europe-west4-b", "eu-west asia us-east ");
    assert_order(p, "x-1a", "asia us-east eu-west ");
    /* A zone that no row has; none at all. */
    assert_order(p, "sa-east-1a", "asia us-east eu-west ");
    assert_order(p, "", "asia us-east eu-west ");
    /* The region's own name. */
    assert_order(p, "eu-west", "eu-west asia us-east ");
    assert_string_equal(conf_region_prior(p, SPAN("us-east-1a"), 0), "zone");
    assert_string_equal(conf_region_prior(p, SPAN("us-east-1a"), 2), "default");
    assert_string_equal(conf_region_prior(p, SPAN("us-east-1a"), 1), "file");
}

static void without_zones_the_first_is_first(void **state)
{
    const struct conf_provider *p = load(state, THREE);

    assert_order(p, "nowhere-1a", "us-east eu-west asia ");
    assert_order(p, "", "us-east eu-west asia ");
    assert_string_equal(conf_region_prior(p, SPAN(""), 0), "file");
}

static void letters_are_taken_off(void **state)
{
    static const char *const pairs[][2] = {{"us-east-1a", "us-east-1"},
                                           {"us-central1-f", "us-central1"},
                                           {"us-east-1", "us-east-1"},
                                           {"eastus", "eastus"},
                                           {"a", "a"},
                                           {"", ""},
                                           {"-a", "-a"},
                                           {"1a", "1"}};

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        assert_true(span_is_equal(conf_zone_place(span_from_text(pairs[i][0])),
                                  span_from_text(pairs[i][1])));
}

/* What else is asked of the base URL is asked of the nearest as the file has it. */
static void base_url_is_the_first(void **state)
{
    const struct conf_provider *p = load(state, THREE "    default_region: eu-west\n");

    assert_true(span_is_equal(p->base_url.text, SPAN("http://b/v1")));
    assert_string_equal(fake_complaints(*state), "");
    p = load(state, "providers: {p: {kind: compatible, keys: [k], regions: {a: \"http://x/v1\", "
                    "b: \"http://y/v1\"}, base_url: \"http://z/v1\"}}\n");
    assert_true(span_is_equal(p->base_url.text, SPAN("http://x/v1")));
    assert_string_equal(fake_complaints(*state),
                        "b.yaml:1:93: warning: providers.p.base_url: nobody is sent there, for "
                        "regions are declared; allowed: without it, or as one of the regions\n");
}

static void versions_are_cut_from_each(void **state)
{
    const struct conf_provider *p =
        load(state, "providers: {anthropic: {keys: [sk-ant-k], regions: {a: \"http://x/v1\", "
                    "b: \"http://y\"}}}\n");

    assert_int_equal(p->regions.items[0].url.path.len, 0);
    assert_int_equal(p->regions.items[1].url.path.len, 0);
    p = load(state, "providers: {azure: {keys: [k], regions: {a: \"http://x/openai/v1\", "
                    "b: \"http://y/openai/v1\"}}}\n");
    assert_int_equal(p->api_version.len, 0);
    p = load(state, "providers: {azure: {keys: [k], regions: {a: \"http://x\", "
                    "b: \"http://y/openai\"}}}\n");
    assert_int_equal(p->regions.items[1].url.path.len, 0);
    assert_true(p->api_version.len > 0);
}

static void wrong_values_are_told(void **state)
{
    fake_expect(
        *state,
        "providers:\n"
        "  p:\n"
        "    kind: compatible\n"
        "    keys: [k]\n"
        "    regions: {a: \"http://x/v1\", b: nowhere, c d: \"http://y\", e: \"http://x/v1\"}\n"
        "    zones: {z-1: a, z-2: z, \"y 1\": a, n: \"${env:NOWHERE}\"}\n"
        "    default_region: q\n"
        "  r:\n"
        "    kind: compatible\n"
        "    keys: [k]\n"
        "    base_url: http://r/v1\n"
        "    zones: {z-1: a}\n"
        "    default_region: a\n"
        "  s: {kind: compatible, keys: [k], regions: [\"http://x\"], zones: []}\n"
        "  t: {kind: compatible, keys: [k], regions: {}}\n"
        "  azure: {keys: [k], regions: {a: \"http://x/openai/v1\", b: \"http://y\"}}\n"
        "server: {zone: \"a b\"}\n",
        "b.yaml:5:36: providers.p.regions.b: this is no base URL: it starts with neither http:// "
        "nor https://; allowed: https://host/v1, http://host:port/path, or "
        "http://unix:/path/to/socket:/path\n"
        "b.yaml:5:45: providers.p.regions.c d: this is no name; allowed: 1 to 64 letters, digits "
        "or any of . _ : @ -\n"
        "b.yaml:5:65: providers.p.regions.e: the same URL as a; allowed: one of each region's own\n"
        "b.yaml:6:26: providers.p.zones.z-2: there is no such region; allowed: a, e\n"
        "b.yaml:6:29: providers.p.zones.y 1: this is no name; allowed: 1 to 64 letters, digits or "
        "any of . _ : @ -\n"
        "b.yaml:6:42: providers.p.zones.n: there is no such region; allowed: a, e\n"
        "b.yaml:7:21: providers.p.default_region: there is no such region; allowed: a, e\n"
        "b.yaml:12:5: providers.r.zones: there are no regions to choose from; allowed: beside "
        "regions\n"
        "b.yaml:13:5: providers.r.default_region: there are no regions to choose from; allowed: "
        "beside regions\n"
        "b.yaml:14:45: providers.s.regions: a list stands where a map should; allowed: a map of 1 "
        "to 64 regions and their base URLs, such as us-east: https://host/v1\n"
        "b.yaml:14:66: providers.s.zones: a list stands where a map should; allowed: a map of 1 to "
        "1000 availability zones and the names of regions\n"
        "b.yaml:15:45: providers.t.regions: a map is empty; allowed: a map of 1 to 64 regions and "
        "their base URLs, such as us-east: https://host/v1\n"
        "b.yaml:16:22: providers.azure: regions of Azure's v1 API and of its deployments; allowed: "
        "URLs that all end in /openai/v1, or none of them\n"
        "b.yaml:17:16: server.zone: 'a b' is no name; allowed: 1 to 64 letters, digits or any of . "
        "_ : @ -\n");
}

static void prints_what_was_read(void **state)
{
    struct fake *fake = *state;
    const char *text;

    load(state, "server: {zone: \"${env:AVAILABILITY_ZONE}\"}\n" THREE
                "    zones: {eu-west-1: \"${env:PLACE}\"}\n"
                "    default_region: asia\n");
    buf_clear(&fake->text);
    assert_int_equal(config_print(fake->config, &fake->text), 0);
    text = buf_text(&fake->text);
    assert_non_null(strstr(text, "  zone: eu-west-1b\n"));
    assert_non_null(strstr(text, "    regions:\n      us-east: http://a/v1\n      eu-west: "
                                 "http://b/v1\n      asia: http://c/v1\n"));
    assert_non_null(strstr(text, "    zones:\n      eu-west-1: eu-west\n"));
    assert_non_null(strstr(text, "    default_region: asia\n"));
}

static int set_up(void **state)
{
    return fake_set_up(state, variables, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nearest_comes_first, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(without_zones_the_first_is_first, set_up, fake_tear_down),
        cmocka_unit_test(letters_are_taken_off),
        cmocka_unit_test_setup_teardown(base_url_is_the_first, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(versions_are_cut_from_each, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(wrong_values_are_told, set_up, fake_tear_down),
        cmocka_unit_test_setup_teardown(prints_what_was_read, set_up, fake_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
