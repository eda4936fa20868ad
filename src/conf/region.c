#include "conf/region.h"

bool conf_region_find(const struct conf_regions *regions, struct span name, size_t *ret_index)
{
    for (size_t i = 0; i < regions->count; i++) {
        if (span_is_equal(regions->items[i].name, name)) {
            *ret_index = i;
            return true;
        }
    }
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

struct span conf_zone_place(struct span zone)
{
    size_t len = zone.len;

    if (len < 2 || zone.ptr[len - 1] < 'a' || zone.ptr[len - 1] > 'z')
        return zone;
    len--;
    if (len > 1 && zone.ptr[len - 1] == '-')
        len--;
    return is_digit(zone.ptr[len - 1]) ? span_of(zone.ptr, len) : zone;
}

static bool find_zone(const struct conf_provider *provider, struct span zone, size_t *ret_index)
{
    for (size_t i = 0; i < provider->zones.count; i++) {
        const struct conf_zone *row = &provider->zones.items[i];

        if (span_is_equal(row->zone, zone) &&
            conf_region_find(&provider->regions, row->region, ret_index))
            return true;
    }
    return conf_region_find(&provider->regions, zone, ret_index);
}

static bool find_near(const struct conf_provider *provider, struct span zone, size_t *ret_index)
{
    return zone.len && (find_zone(provider, zone, ret_index) ||
                        find_zone(provider, conf_zone_place(zone), ret_index));
}

/* Moves it to that place, and those between behind it. */
static void move_to(size_t *order, size_t count, size_t place, size_t index)
{
    size_t at = place;

    while (at < count && order[at] != index)
        at++;
    if (at == count)
        return; /* it stands before that place */
    for (; at > place; at--)
        order[at] = order[at - 1];
    order[place] = index;
}

void conf_region_order(const struct conf_provider *provider, struct span zone, size_t *order)
{
    size_t count = provider->regions.count, first = 0, index;

    for (size_t i = 0; i < count; i++)
        order[i] = i;
    if (find_near(provider, zone, &index))
        move_to(order, count, first++, index);
    if (conf_region_find(&provider->regions, provider->default_region, &index))
        move_to(order, count, first, index);
}

const char *conf_region_prior(const struct conf_provider *provider, struct span zone, size_t index)
{
    size_t other;

    if (find_near(provider, zone, &other) && other == index)
        return "zone";
    if (conf_region_find(&provider->regions, provider->default_region, &other) && other == index)
        return "default";
    return "file";
}
