#include "admin/order.h"

#include <math.h>
#include <stdio.h>

#include "json/write.h"
#include "obs/log.h"

/* As heavy as a key of the file can be (conf: weight). */
enum { WEIGHT_MAX = 1000000 };

/* ---- whom it is about ---- */

static struct provider *find_provider(const struct order *order)
{
    const struct snapshot *snapshot = order->view->snapshot;

    for (size_t i = 0; i < snapshot->provider_count; i++) {
        struct provider *provider = snapshot->providers[i].provider;

        if (span_is_equal(provider_name(provider), order->provider))
            return provider;
    }
    return NULL;
}

/* With a reference. */
static struct key *find_key(const struct order *order, struct provider **ret_provider)
{
    *ret_provider = find_provider(order);
    return *ret_provider && order->name.len
               ? keypool_find_key(provider_keys(*ret_provider), order->name)
               : NULL;
}

/* ---- what came of it ---- */

const struct failure_row *order_refuse_body(struct page *page, const char *why)
{
    buf_append_span(&page->body, span_from_text(why));
    return refusal_row(REFUSAL_BAD_ORDER);
}

static void tell(const struct order *order, const char *what, uint32_t weight_milli)
{
    char from[ADDR_TEXT_BYTES];

    addr_write(order->peer, from);
    log_write(order->view->registry->log, LOG_LEVEL_INFO, "operator's order",
              LOG_TEXT("order", what), LOG_SPAN("provider", order->provider),
              LOG_SPAN("key", order->name), LOG_UINT("weight_milli", weight_milli),
              LOG_TEXT("from", from));
}

static uint32_t weight_of(struct provider *provider, const struct key *key, uint64_t now_us)
{
    struct keypool_row row;
    uint32_t weight_milli = 0;
    size_t at = 0;

    while (keypool_describe(provider_keys(provider), &at, now_us, &row)) {
        if (row.key == key)
            weight_milli = row.weight_milli;
        key_unref(&row.key);
    }
    return weight_milli;
}

static void end(const struct order *order, const char *what, struct provider *provider,
                const struct key *key, const struct keypool_effect *effect, struct page *page)
{
    uint32_t weight_milli = weight_of(provider, key, order->view->now_us);
    struct json_writer writer;

    order->on_effect(order->owner, provider, effect);
    tell(order, what, weight_milli);
    page->status = 202;
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_member_string(&writer, "provider", order->provider);
    json_member_string(&writer, "name", order->name);
    json_member_text(&writer, "wish", key_wish_text(key_wish(key)));
    json_member_double(&writer, "weight", weight_milli / 1000.0);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

/* ---- what its step allows ---- */

static const struct failure_row *refuse_step(const struct order *order, struct page *page)
{
    enum life_step step = page_step_of(order->view, order->provider, order->name);

    buf_printf(&page->body, "The key's step, '%s', does not allow that.", life_step_text(step));
    return refusal_row(REFUSAL_NO_WAY_BACK);
}

static const struct failure_row *refuse_busy(const struct order *order, uint64_t number,
                                             struct page *page)
{
    char to[ROTATION_ID_BYTES];
    struct span id = rotation_id(order->provider, number, to);

    if (id.len)
        buf_printf(&page->body, "A rotation of this provider's keys is under way: %.*s.",
                   SPAN_ARG(id));
    return refusal_row(REFUSAL_ROTATION_BUSY);
}

static struct rotation *find_rotation(const struct order *order)
{
    const struct admin_options *admin = order->view->admin;

    return admin->rotation(admin->owner, order->provider);
}

/* What rotation knows of the key; NULL: nothing. */
static const struct life_key *find_life(const struct order *order, const struct key *key)
{
    const struct rotation *rotation = find_rotation(order);
    const struct life *life = rotation ? rotation_life(rotation) : NULL;

    for (uint32_t i = 0; life && i < life->count; i++) {
        if (span_is_equal(span_from_text(life->keys[i].name), order->name) &&
            life_is_of(&life->keys[i], key_digest(key)))
            return &life->keys[i];
    }
    return NULL;
}

/* It serves no more, and is never to by hand: it ends as rotation says. */
static bool is_on_its_way_out(const struct order *order, const struct key *key)
{
    const struct life_key *life = find_life(order, key);

    return life && life->step >= LIFE_DRAINING;
}

/* What rotation does with a key on its way in or out is not undone by hand: neither who serves, nor
 * how much. One that it does not know, or that serves, is the operator's. */
static bool is_on_its_way(const struct order *order, const struct key *key)
{
    const struct life_key *life = find_life(order, key);

    return life && life->step != LIFE_ACTIVE;
}

/* ---- wishes ---- */

static const struct failure_row *wish(const struct order *order, enum key_wish wish,
                                      const char *what, struct page *page)
{
    struct provider *provider;
    struct key *key = find_key(order, &provider);
    struct keypool_effect effect;

    if (!key)
        return refusal_row(REFUSAL_NO_KEY);
    if (wish == KEY_ENABLED ? is_on_its_way(order, key) : is_on_its_way_out(order, key)) {
        key_unref(&key);
        return refuse_step(order, page);
    }
    effect = keypool_wish(provider_keys(provider), key, wish, order->view->now_us);
    end(order, what, provider, key, &effect, page);
    key_unref(&key);
    return NULL;
}

const struct failure_row *order_drain(const struct order *order, struct page *page)
{
    return wish(order, KEY_DRAINED, "drain", page);
}

const struct failure_row *order_disable(const struct order *order, struct page *page)
{
    return wish(order, KEY_DISABLED, "disable", page);
}

const struct failure_row *order_enable(const struct order *order, struct page *page)
{
    return wish(order, KEY_ENABLED, "enable", page);
}

/* ---- weight ---- */

static bool read_weight(const struct order *order, uint32_t *ret_milli)
{
    double weight;

    if (!json_tree_double(json_tree_member(order->body, "weight"), &weight) || !(weight >= 0) ||
        weight > WEIGHT_MAX)
        return false;
    *ret_milli = (uint32_t)llround(weight * 1000);
    /* 0 is a standby, which nobody may become by rounding. */
    return *ret_milli > 0 || weight <= 0;
}

const struct failure_row *order_weigh(const struct order *order, struct page *page)
{
    struct keypool_effect effect;
    struct provider *provider;
    uint32_t weight_milli;
    struct key *key;

    if (!read_weight(order, &weight_milli))
        return order_refuse_body(page,
                                 "'weight' is missing, or is no number from 0.001 to 1000000; 0: "
                                 "standby");
    key = find_key(order, &provider);
    if (!key)
        return refusal_row(REFUSAL_NO_KEY);
    if (is_on_its_way(order, key)) {
        key_unref(&key);
        return refuse_step(order, page);
    }
    effect = keypool_weigh(provider_keys(provider), key, weight_milli);
    end(order, "weight", provider, key, &effect, page);
    key_unref(&key);
    return NULL;
}

/* ---- rotation ---- */

static void end_rotation(const struct order *order, const char *what, uint64_t number,
                         struct page *page)
{
    char from[ADDR_TEXT_BYTES];
    struct json_writer writer;

    addr_write(order->peer, from);
    log_write(order->view->registry->log, LOG_LEVEL_INFO, "operator's order",
              LOG_TEXT("order", what), LOG_SPAN("provider", order->provider),
              LOG_SPAN("key", order->name), LOG_UINT("rotation", number), LOG_TEXT("from", from));
    page->status = 202;
    json_writer_init(&writer, &page->body);
    json_begin_object(&writer);
    json_member_string(&writer, "provider", order->provider);
    if (order->name.len)
        json_member_string(&writer, "name", order->name);
    json_member_uint(&writer, "rotation", number);
    page_put_rotation_id(&writer, order->provider, number);
    json_end_object(&writer);
    buf_append_byte(&page->body, '\n');
}

/* A slip of the pen here would leave a leaked key in use: nothing else is taken. */
static bool is_rotate_body(const struct order *order)
{
    yyjson_val *body = json_tree_plain(order->body), *leaked = yyjson_obj_get(body, "leaked");

    return yyjson_obj_size(body) == (leaked ? 1 : 0) && (!leaked || yyjson_is_bool(leaked));
}

static bool is_leak(const struct order *order)
{
    const yyjson_val *leaked = json_tree_member(order->body, "leaked");

    return yyjson_is_true(json_tree_plain(leaked));
}

static const struct life_key *find_named(const struct life *life, struct span name)
{
    for (uint32_t i = 0; i < life->count; i++) {
        if (span_is_equal(span_from_text(life->keys[i].name), name))
            return &life->keys[i];
    }
    return NULL;
}

/* A leaked key is off, also where none can be made in its place now. */
static bool is_put_out(const struct order *order)
{
    const struct life_key *key = find_named(rotation_life(find_rotation(order)), order->name);

    return key && key->is_leaked;
}

/* NULL: it has begun, or, of a leaked key, one that was begun before goes on. */
static const struct failure_row *begin(const struct order *order, bool is_leaked, uint64_t *ret_id,
                                       struct page *page)
{
    const struct admin_options *admin = order->view->admin;

    switch (admin->rotate(admin->owner, order->provider, order->name, is_leaked, ret_id)) {
    case ROTATION_BEGUN:
        return NULL;
    case ROTATION_BUSY:
        return is_leaked ? NULL : refuse_busy(order, *ret_id, page);
    case ROTATION_GONE:
        return refuse_step(order, page);
    case ROTATION_CROWDED:
        return is_leaked && is_put_out(order) ? NULL : refusal_row(REFUSAL_TOO_MANY_KEYS);
    case ROTATION_AWAY:
        break;
    }
    return refusal_row(REFUSAL_STORE_AWAY);
}

static const struct failure_row *rotate(const struct order *order, const char *what, bool is_leaked,
                                        struct page *page)
{
    const struct failure_row *refusal;
    uint64_t id;

    if (!find_rotation(order))
        return refusal_row(REFUSAL_NO_ROTATION);
    refusal = begin(order, is_leaked, &id, page);
    if (!refusal)
        end_rotation(order, what, id, page);
    return refusal;
}

const struct failure_row *order_rotate(const struct order *order, struct page *page)
{
    bool is_leaked = is_leak(order);
    struct provider *provider;
    struct key *key;
    bool is_there;

    if (!is_rotate_body(order))
        return order_refuse_body(page,
                                 "'rotate' takes {\"leaked\": true} or {\"leaked\": false} alone");
    key = find_key(order, &provider);
    is_there = key != NULL;
    key_unref(&key);
    return is_there ? rotate(order, is_leaked ? "rotate, leaked" : "rotate", is_leaked, page)
                    : refusal_row(REFUSAL_NO_KEY);
}

const struct failure_row *order_add(const struct order *order, struct page *page)
{
    return find_provider(order) ? rotate(order, "add", false, page)
                                : refusal_row(REFUSAL_NO_PROVIDER);
}

const struct failure_row *order_roll_back(const struct order *order, struct page *page)
{
    struct rotation *rotation = find_rotation(order);
    const struct life_key *key;
    uint64_t number;

    if (!rotation)
        return refusal_row(REFUSAL_NO_ROTATION);
    key = find_named(rotation_life(rotation), order->name);
    number = key ? key->rotation : 0;
    if (!rotation_roll_back(rotation, order->name, "by an operator"))
        return refuse_step(order, page);
    end_rotation(order, "rollback", number, page);
    return NULL;
}

/* ---- what is told of it ---- */

struct span order_word(const char *symbol, char to[ORDER_WORD_BYTES])
{
    size_t len = 0;

    for (; symbol[len] && len < ORDER_WORD_BYTES; len++)
        to[len] = symbol[len] >= 'A' && symbol[len] <= 'Z' ? (char)(symbol[len] + 'a' - 'A')
                                                           : symbol[len];
    return span_of(to, len);
}

struct span order_detail(const struct order *order, char *to, size_t cap)
{
    uint32_t weight_milli;
    double percentage;
    int len = 0;

    if (read_weight(order, &weight_milli))
        len = snprintf(to, cap, "weight %g", weight_milli / 1000.0);
    else if (is_leak(order))
        len = snprintf(to, cap, "leaked");
    else if (json_tree_double(json_tree_member(order->body, "percentage"), &percentage))
        len = snprintf(to, cap, "%g%% to the old side: %.*s", percentage,
                       SPAN_ARG(json_tree_string(order->body, "provider")));
    else if (!order->provider.len)
        len = snprintf(to, cap, "%.*s", SPAN_ARG(order->name));
    return span_of(to, len > 0 && (size_t)len < cap ? (size_t)len : 0);
}
