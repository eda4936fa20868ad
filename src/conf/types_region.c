/* Regions: base URLs of one provider by name, and which of them is near. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/region.h"
#include "conf/url.h"

static bool is_map_within(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node)
{
    if (node->kind != YAML_MAP)
        loading_refuse(loading, row, node, "stands where a map should");
    else if (node->count > row->max)
        loading_refuse(loading, row, node, "is too long");
    else if (node->count == 0)
        loading_refuse(loading, row, node, "is empty");
    return node->kind == YAML_MAP && node->count <= row->max && node->count > 0;
}

/* --- regions --- */

static bool read_region_url(struct loading *loading, const struct conf_row *row,
                            const struct yaml_node *node, struct conf_url *url)
{
    const char *why = "";
    struct span text;
    bool is_valid;

    if (!loading_text(loading, row, node, &text))
        return false;
    is_valid = !conf_url_parse(text, url, &why);
    if (!is_valid)
        loading_error(loading, node->mark,
                      "this is no base URL: %s; allowed: https://host/v1, http://host:port/path, "
                      "or http://unix:/path/to/socket:/path",
                      why);
    /* Parsed again from the copy that stays: its pieces point into it. */
    else if (conf_url_parse(loading_keep(loading, text), url, &why))
        loading->err = ERR_NOMEM;
    loading_end_text(loading);
    return is_valid;
}

static void read_region(struct loading *loading, const struct conf_row *row,
                        const struct yaml_item *item, struct conf_regions *regions)
{
    struct conf_region *region = &regions->items[regions->count];
    size_t before = loading_enter(loading, item->key);

    if (!conf_name_is_valid(item->key)) {
        loading_error(loading, item->mark, "this is no name; allowed: " CONF_NAME_ALLOWED);
    } else if (read_region_url(loading, row, item->value, &region->url)) {
        for (size_t i = 0; i < regions->count; i++) {
            if (span_is_equal(regions->items[i].url.text, region->url.text))
                loading_error(loading, item->value->mark,
                              "the same URL as %.*s; allowed: one of each region's own",
                              SPAN_ARG(regions->items[i].name));
        }
        region->name = loading_keep(loading, item->key);
        regions->count++;
    }
    loading_leave(loading, before);
}

static void read_regions(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    struct conf_regions *regions = field;

    if (!is_map_within(loading, row, node))
        return;
    regions->items = loading_alloc(loading, node->count, sizeof(*regions->items));
    if (!regions->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next)
        read_region(loading, row, item, regions);
}

static void print_regions(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_regions *regions = field;

    if (!regions->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth++;
    for (size_t i = 0; i < regions->count; i++)
        print_line(printing, regions->items[i].name, regions->items[i].url.text);
    printing->depth--;
}

static void tell_regions(const struct conf_row *row, struct buf *out)
{
    buf_printf(out,
               "a map of 1 to %llu regions and their base URLs, such as "
               "us-east: https://host/v1",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_regions = {
    .name = "map of URLs", .read = read_regions, .print = print_regions, .tell = tell_regions};

/* --- zones --- */

static void read_zone(struct loading *loading, const struct conf_row *row,
                      const struct yaml_item *item, struct conf_zones *zones)
{
    struct conf_zone *zone = &zones->items[zones->count];
    size_t before = loading_enter(loading, item->key);
    struct span text;

    if (!conf_name_is_valid(item->key)) {
        loading_error(loading, item->mark, "this is no name; allowed: " CONF_NAME_ALLOWED);
    } else if (loading_text(loading, row, item->value, &text)) {
        zone->zone = loading_keep(loading, item->key);
        zone->region = loading_keep(loading, text);
        zones->count++;
        loading_end_text(loading);
    }
    loading_leave(loading, before);
}

static void read_zones(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    struct conf_zones *zones = field;

    if (!is_map_within(loading, row, node))
        return;
    zones->items = loading_alloc(loading, node->count, sizeof(*zones->items));
    if (!zones->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next)
        read_zone(loading, row, item, zones);
}

static void print_zones(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_zones *zones = field;

    if (!zones->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth++;
    for (size_t i = 0; i < zones->count; i++)
        print_line(printing, zones->items[i].zone, zones->items[i].region);
    printing->depth--;
}

static void tell_zones(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a map of 1 to %llu availability zones and the names of regions",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_zones = {
    .name = "map of names", .read = read_zones, .print = print_zones, .tell = tell_zones};

/* --- what must fit --- */

/* "us-east, eu-west": as many as go into the buffer. */
static void name_regions(const struct conf_regions *regions, struct buf *out)
{
    for (size_t i = 0; i < regions->count; i++)
        buf_printf(out, "%s%.*s", i ? ", " : "", SPAN_ARG(regions->items[i].name));
}

static void refuse_name(struct loading *loading, struct conf_mark mark,
                        const struct conf_regions *regions)
{
    struct buf names;

    buf_init(&names, 8192);
    name_regions(regions, &names);
    loading_error(loading, mark, "there is no such region; allowed: %s", buf_text(&names));
    buf_fini(&names);
}

static void check_zones(struct loading *loading, const struct yaml_node *node,
                        const struct conf_provider *provider)
{
    size_t before = loading_enter(loading, SPAN("zones")), index;

    for (size_t i = 0; i < provider->zones.count; i++) {
        const struct conf_zone *zone = &provider->zones.items[i];
        const struct yaml_item *item = yaml_find(node, zone->zone);
        size_t inner = loading_enter(loading, zone->zone);

        if (item && !conf_region_find(&provider->regions, zone->region, &index))
            refuse_name(loading, item->value->mark, &provider->regions);
        loading_leave(loading, inner);
    }
    loading_leave(loading, before);
}

static void refuse_without_regions(struct loading *loading, const struct yaml_node *node,
                                   struct span name)
{
    const struct yaml_item *item = yaml_find(node, name);
    size_t before;

    if (!item)
        return;
    before = loading_enter(loading, name);
    loading_error(loading, item->mark,
                  "there are no regions to choose from; allowed: beside "
                  "regions");
    loading_leave(loading, before);
}

/* It is not used, but what a provider's name presets stands in many files. */
static void check_base_url(struct loading *loading, const struct yaml_node *node,
                           const struct conf_provider *provider)
{
    const struct yaml_item *item = yaml_find(node, SPAN("base_url"));
    size_t before;

    if (!item)
        return;
    for (size_t i = 0; i < provider->regions.count; i++) {
        if (span_is_equal(provider->regions.items[i].url.text, provider->base_url.text))
            return;
    }
    before = loading_enter(loading, SPAN("base_url"));
    loading_warning(loading, item->mark,
                    "nobody is sent there, for regions are declared; allowed: without it, or as "
                    "one of the regions");
    loading_leave(loading, before);
}

void conf_regions_check(struct loading *loading, const struct yaml_node *node,
                        const struct conf_provider *provider)
{
    const struct yaml_item *zones = yaml_find(node, SPAN("zones")),
                           *first = yaml_find(node, SPAN("default_region"));
    size_t before, index;

    if (!yaml_find(node, SPAN("regions"))) {
        refuse_without_regions(loading, node, SPAN("zones"));
        refuse_without_regions(loading, node, SPAN("default_region"));
        return;
    }
    if (!provider->regions.count)
        return; /* complained of */
    check_base_url(loading, node, provider);
    if (zones && zones->value->kind == YAML_MAP)
        check_zones(loading, zones->value, provider);
    if (!first || !provider->default_region.len ||
        conf_region_find(&provider->regions, provider->default_region, &index))
        return;
    before = loading_enter(loading, SPAN("default_region"));
    refuse_name(loading, first->value->mark, &provider->regions);
    loading_leave(loading, before);
}
