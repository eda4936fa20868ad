/* GET /v1/admin/keys: the members are the contract of docs/admin.md, these and no others. */
#include "admin/page.h"
#include "base/clock.h"

enum life_step page_step_of(const struct page_view *view, struct span provider, struct span key)
{
    const struct rotation *rotation = view->admin->rotation(view->admin->owner, provider);
    const struct life *life = rotation ? rotation_life(rotation) : NULL;

    for (uint32_t i = 0; life && i < life->count; i++) {
        if (span_is_equal(span_from_text(life->keys[i].name), key))
            return life->keys[i].step;
    }
    return LIFE_ACTIVE;
}

static void put_limit(struct json_writer *writer, const struct page_view *view,
                      const struct keypool_row_limit *limit)
{
    json_begin_object(writer);
    json_member_text(writer, "scope", limit->scope);
    json_member_uint(writer, "limit", limit->limit);
    json_member_uint(writer, "remaining", limit->remaining);
    page_put_time(writer, "reset", limit->reset_us ? view->wall_us + limit->reset_us : 0);
    json_end_object(writer);
}

static void put_limits(struct json_writer *writer, const struct page_view *view,
                       const struct keypool_row *row)
{
    json_name(writer, "limits");
    json_begin_array(writer);
    for (size_t i = 0; i < row->limit_count; i++)
        put_limit(writer, view, &row->limits[i]);
    json_end_array(writer);
}

static void put_last_success(struct json_writer *writer, const struct page_view *view,
                             uint64_t last_us)
{
    uint64_t ago_ms = view->now_us > last_us ? (view->now_us - last_us) / US_PER_MS : 0;

    if (last_us == 0)
        json_member_null(writer, "last_success_seconds_ago");
    else
        json_member_double(writer, "last_success_seconds_ago", (double)ago_ms / 1000.0);
}

static void put_key(struct json_writer *writer, const struct page_view *view, struct span provider,
                    const struct keypool_row *row)
{
    json_begin_object(writer);
    json_member_string(writer, "provider", provider);
    json_member_string(writer, "name", row->name);
    if (row->account.len)
        json_member_string(writer, "account", row->account);
    else
        json_member_null(writer, "account");
    json_member_text(writer, "wish", key_wish_text(row->wish));
    json_member_text(writer, "health", row->health_text);
    json_member_bool(writer, "healthy", row->is_healthy);
    json_member_text(writer, "step", life_step_text(page_step_of(view, provider, row->name)));
    json_member_double(writer, "weight", row->weight_milli / 1000.0);
    page_put_models(writer, &row->models);
    json_member_uint(writer, "failures", row->failures);
    json_member_uint(writer, "request_count", row->requests);
    json_member_uint(writer, "error_count", row->errors);
    page_put_nano(writer, "spent_usd", row->spent_nanousd);
    page_put_time(writer, "last_used", page_wall_of(view, row->last_used_us));
    put_last_success(writer, view, row->last_success_us);
    page_put_time(writer, "cooldown_until", page_wall_of(view, row->cooldown_until_us));
    put_limits(writer, view, row);
    json_end_object(writer);
}

static void put_provider(struct json_writer *writer, const struct page_view *view,
                         struct provider *provider)
{
    struct keypool_row row;
    size_t at = 0;

    while (keypool_describe(provider_keys(provider), &at, view->now_us, &row)) {
        put_key(writer, view, provider_name(provider), &row);
        key_unref(&row.key);
    }
}

void page_keys(const struct page_view *view, struct page *page)
{
    struct json_writer writer;

    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_name(&writer, "keys");
    json_begin_array(&writer);
    for (size_t i = 0; i < view->snapshot->provider_count; i++)
        put_provider(&writer, view, view->snapshot->providers[i].provider);
    json_end_array(&writer);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}
