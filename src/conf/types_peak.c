/* The hours at which models cost something else. */
#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/yaml.h"

/* "22:00-06:00", then a space and the zone. */
enum { TIMES_LENGTH = 11 };

static struct span zone_of(struct span hours)
{
    return hours.len > TIMES_LENGTH ? span_skip(hours, TIMES_LENGTH + 1) : SPAN("UTC");
}

static void read_hours(struct loading *loading, struct conf_mark mark, struct span text,
                       struct hours *ret_hours)
{
    int err = hours_read(text, ret_hours);

    if (!err)
        (void)loading_own_zone(loading, ret_hours->zone);
    else if (err == ERR_NOMEM)
        loading->err = err;
    else
        loading_error(loading, mark,
                      "the zone of '%.*s' cannot be read any more; allowed: one of "
                      "the system",
                      SPAN_ARG(text));
}

/* Without hours it is all of each of its days. */
void conf_peak_settle(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                      struct conf_price_peak *peak)
{
    static const struct span all_day = SPAN_INIT("00:00-24:00");
    const struct span *texts = peak->hours.count ? peak->hours.items : &all_day;
    size_t count = peak->hours.count ? peak->hours.count : 1;
    struct hours *hours = loading_alloc(loading, count, sizeof(*hours));

    if (!hours)
        return;
    if (!yaml_find(node, SPAN("hours")) && !yaml_find(node, SPAN("days")))
        loading_error(loading, mark, "hours and days are missing; allowed: one of them, or both");
    if (!peak->days)
        loading_error(loading, mark,
                      "days has none; allowed: at least one of mon, tue, wed, thu, "
                      "fri, sat, sun");
    for (size_t i = 0; i < count && !loading->err; i++)
        read_hours(loading, mark, texts[i], &hours[i]);
    peak->list = (struct hours_list){hours, texts, count};
}

/* Where one of several stands in the file. */
static struct conf_mark mark_of(const struct yaml_node *node, size_t index)
{
    const struct yaml_item *item = yaml_find(node, SPAN("peak"));

    if (item->value->kind != YAML_LIST)
        return item->value->mark;
    item = item->value->first;
    for (; index; index--)
        item = item->next;
    return item->mark;
}

/* The hours `at` of a price with those before them. */
static void check_hours(struct loading *loading, struct conf_mark mark,
                        const struct conf_price_peaks *peaks, const struct conf_price_peak *peak,
                        size_t at)
{
    struct span text = peak->list.texts[at], zone = zone_of(text);

    for (const struct conf_price_peak *other = peaks->items; other <= peak; other++) {
        size_t count = other == peak ? at : other->list.count;

        for (size_t i = 0; i < count; i++) {
            struct span before = other->list.texts[i];

            if (!span_is_equal(zone, zone_of(before))) {
                loading_error(loading, mark,
                              "'%.*s' and '%.*s' are of two zones; allowed: one for all hours of a "
                              "price",
                              SPAN_ARG(before), SPAN_ARG(text));
                return;
            }
            if (hours_overlap(&other->list.items[i], other->days, &peak->list.items[at],
                              peak->days)) {
                loading_error(loading, mark,
                              "'%.*s' and '%.*s' have hours in common; allowed: each hour once",
                              SPAN_ARG(before), SPAN_ARG(text));
                return;
            }
        }
    }
}

void conf_peaks_check(struct loading *loading, const struct yaml_node *node,
                      const struct conf_price_peaks *peaks)
{
    size_t outer = loading_enter(loading, SPAN("peak"));

    for (size_t p = 0; p < peaks->count; p++) {
        size_t before = peaks->count > 1 ? loading_enter_index(loading, p) : 0;

        for (size_t i = 0; i < peaks->items[p].list.count; i++)
            check_hours(loading, mark_of(node, p), peaks, &peaks->items[p], i);
        if (peaks->count > 1)
            loading_leave(loading, before);
    }
    loading_leave(loading, outer);
}
