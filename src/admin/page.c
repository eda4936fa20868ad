#include "admin/page.h"

#include "base/clock.h"
#include "base/datetime.h"
#include "base/decimal.h"
#include "ledger/price.h"

uint64_t page_wall_of(const struct page_view *view, uint64_t at_us)
{
    if (at_us == 0)
        return 0;
    /* A worker's clock may be a turn ahead of ours. */
    return at_us > view->now_us ? view->wall_us + (at_us - view->now_us)
                                : view->wall_us - (view->now_us - at_us);
}

void page_put_time(struct json_writer *writer, const char *name, uint64_t wall_us)
{
    char text[RFC3339_BYTES];

    if (wall_us == 0) {
        json_member_null(writer, name);
        return;
    }
    datetime_write_rfc3339(wall_us, text);
    json_member_string(writer, name, span_of(text, sizeof(text)));
}

void page_put_models(struct json_writer *writer, const struct conf_strings *models)
{
    json_name(writer, "models");
    json_begin_array(writer);
    if (models->count == 0)
        json_text(writer, "*");
    for (size_t i = 0; i < models->count; i++)
        json_string(writer, models->items[i]);
    json_end_array(writer);
}

void page_put_rotation_id(struct json_writer *writer, struct span provider, uint64_t number)
{
    char to[ROTATION_ID_BYTES];
    struct span id = rotation_id(provider, number, to);

    if (id.len)
        json_member_string(writer, "id", id);
    else
        json_member_null(writer, "id");
}

void page_put_nano(struct json_writer *writer, const char *name, uint64_t billionths)
{
    char buffer[DECIMAL_NANO_BYTES];

    json_name(writer, name);
    json_raw(writer, decimal_nano_text(billionths, buffer));
}

void page_begin_cost(struct json_writer *writer, const struct page_view *view, uint64_t nanousd)
{
    const struct conf_currency *currency = view->snapshot->config->currency;
    char buffer[DECIMAL_NANO_BYTES];

    json_name(writer, "cost");
    json_begin_object(writer);
    page_put_nano(writer, "usd", nanousd);
    if (!currency)
        return;
    json_name_span(writer, currency->second);
    json_raw(writer, decimal_nano_text(price_in_currency(nanousd, currency->rate), buffer));
}

void page_put_ms(struct json_writer *writer, const char *name, uint64_t us)
{
    json_member_double(writer, name, (double)us / US_PER_MS);
}
