/* bellwether regions: where a running gateway sends the traffic of providers with several regions,
 * and what it knows of each. */
#include <stdio.h>

#include "cli/commands.h"
#include "cli/target.h"

/* "812 / 2100": of what is known. */
static void print_meter(const yyjson_val *meter)
{
    char text[40] = "-";

    if (json_tree_member(meter, "ewma_ms"))
        snprintf(text, sizeof(text), "%.0f / %.0f", target_number(meter, "ewma_ms"),
                 target_number(meter, "p95_ms"));
    printf("  %14s", text);
}

static void print_region(const yyjson_val *region)
{
    struct span until = json_tree_string(region, "ejected_until"),
                cause = json_tree_string(region, "cause");
    const yyjson_val *traffic = json_tree_member(region, "traffic");

    printf("%-14.*s %-16.*s %-8.*s %5.1f%%", SPAN_ARG(json_tree_string(region, "provider")),
           SPAN_ARG(json_tree_string(region, "region")),
           SPAN_ARG(json_tree_string(region, "prior")),
           traffic ? target_number(region, "share") * 100 : 100.0);
    print_meter(traffic);
    print_meter(json_tree_member(region, "probes"));
    printf("  %-9.*s  %.*s", SPAN_ARG(json_tree_string(region, "breaker")),
           SPAN_ARG(json_tree_string(region, "state")));
    if (until.len)
        printf(" until %.*s", SPAN_ARG(until));
    if (cause.len)
        printf(" (%.*s)", SPAN_ARG(cause));
    printf("  %.*s\n", SPAN_ARG(json_tree_string(region, "url")));
}

static void show(const yyjson_val *root)
{
    yyjson_val *regions = json_tree_plain(json_tree_member(root, "regions")), *region;
    struct span zone = json_tree_string(root, "zone");
    size_t i, count;

    if (yyjson_arr_size(regions) == 0) {
        printf("no provider has regions\n");
        return;
    }
    printf("zone: %.*s\n", SPAN_ARG(zone.len ? zone : SPAN("not known (server.zone)")));
    printf("%-14s %-16s %-8s %6s  %14s  %14s  %-9s  %s\n", "PROVIDER", "REGION", "PRIOR", "SHARE",
           "TRAFFIC ms", "PROBES ms", "BREAKER", "STATE");
    yyjson_arr_foreach(regions, i, count, region) print_region(region);
    printf("times: average / p95, until the first byte\n");
}

static int list(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/admin/regions", "", show);
}

static const struct target_verb verbs[] = {{"", 0, 0, "nothing more", list}, {0}};

int command_regions(int argc, char **argv)
{
    return target_command("regions", verbs, argc, argv);
}
