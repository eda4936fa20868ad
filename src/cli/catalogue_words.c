/* What the catalogue's text and its JSON say alike. */
#include "cli/catalogue.h"

#include "base/clock.h"
#include "base/datetime.h"

enum { DATE_CHARS = 10 };

#define DAY_US (UINT64_C(86400) * US_PER_SEC)

const char *const catalogue_day_names[CATALOGUE_DAYS] = {"mon", "tue", "wed", "thu",
                                                         "fri", "sat", "sun"};

struct span catalogue_amount(uint64_t rate, char text[DECIMAL_NANO_BYTES])
{
    return decimal_nano_text(rate * 1000, text);
}

struct span catalogue_moment(uint64_t wall_us, char text[CATALOGUE_TIME_BYTES])
{
    datetime_write_rfc3339(wall_us, text);
    return span_of(text, wall_us % DAY_US ? RFC3339_BYTES : DATE_CHARS);
}

struct span catalogue_times(uint32_t permille, char text[DECIMAL_NANO_BYTES])
{
    return decimal_nano_text((uint64_t)permille * 1000000, text);
}

bool catalogue_has_kind(const struct catalogue_entries *entries, enum provider_kind kind)
{
    for (size_t i = 0; i < entries->count; i++) {
        if (price_kind(entries->items[i].kind) == kind)
            return true;
    }
    return false;
}

bool catalogue_entry_alias_next(const struct catalogue_entry *entry, size_t *at,
                                struct span *ret_alias)
{
    return entry->config &&
           catalogue_own_alias_next(entry->config, entry->of, entry->model, at, ret_alias);
}
