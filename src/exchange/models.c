/*
 * The models that a client may use. Where the file names models, those are the list; where it names
 * none, it is what the providers themselves say they serve, by their own names, each once.
 */
#include "base/clock.h"
#include "base/err.h"
#include "exchange/exchange.h"

/* --- one model --- */

static bool is_target(const struct plan *plan, size_t provider)
{
    for (uint32_t i = 0; i < plan->count; i++) {
        if (plan->targets[i].provider_index == provider)
            return true;
    }
    return false;
}

static bool may_use(struct exchange *x, struct span name, struct plan *ret_plan)
{
    return plan_make(x->binding->snapshot->routes, name, &x->host->rand, ret_plan) == PLAN_OK &&
           client_may_use(x->auth.client, ret_plan->model);
}

/* As the provider tells of it, where it does; the rest is what we know ourselves. */
static void write_model(const struct exchange *x, struct span id,
                        const struct conf_provider *provider, const struct openai_model *told,
                        struct buf *body)
{
    struct openai_model model = {
        .id = id,
        .owned_by = told && told->owned_by.len ? told->owned_by : provider->name,
        .created_s = told && told->created_s ? told->created_s
                                             : x->binding->snapshot->loaded_wall_us / US_PER_SEC,
    };

    openai_write_model(body, &model);
}

/* A provider whose models are not known may serve any. */
static bool write_planned(struct exchange *x, struct span name, const struct plan *plan,
                          struct buf *body)
{
    const struct snapshot *snapshot = x->binding->snapshot;
    bool is_named = config_find_model(snapshot->config, name) != NULL;

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_target *target = &plan->targets[i];
        struct openai_models *models =
            is_named ? NULL : provider_models(snapshot->providers[target->provider_index].provider);
        const struct openai_model *told = openai_models_find(models, target->model);
        bool is_served = !models || told;

        if (is_served)
            write_model(x, name, target->provider, told, body);
        openai_models_unref(&models);
        if (is_served)
            return true;
    }
    return false;
}

bool models_write_one(struct exchange *x, struct span name, struct buf *body)
{
    struct plan plan;

    return may_use(x, name, &plan) && write_planned(x, name, &plan, body);
}

/* --- the list --- */

static void put_comma(struct buf *body, size_t *count)
{
    if ((*count)++)
        buf_append_byte(body, ',');
}

static void list_named(struct exchange *x, const struct conf_models *models, struct buf *body)
{
    size_t count = 0;

    for (size_t i = 0; i < models->count; i++) {
        const struct conf_model *model = &models->items[i];

        if (!client_may_use(x->auth.client, model->name))
            continue;
        put_comma(body, &count);
        write_model(x, model->name, model->targets.items[0].provider, NULL, body);
    }
}

/* True where one that stands before it in the file serves the same name. */
static bool is_listed(struct openai_models *const *lists, size_t provider, const struct plan *plan,
                      struct span id)
{
    for (size_t i = 0; i < provider; i++) {
        if (is_target(plan, i) && openai_models_find(lists[i], id))
            return true;
    }
    return false;
}

static void list_own_of(struct exchange *x, struct openai_models *const *lists, size_t provider,
                        size_t *count, struct buf *body)
{
    const struct conf_provider *conf = x->binding->snapshot->providers[provider].conf;
    const struct openai_models *models = lists[provider];
    struct plan plan;

    for (size_t i = 0; models && i < models->count; i++) {
        const struct openai_model *model = &models->items[i];

        if (!may_use(x, model->id, &plan) || !is_target(&plan, provider) ||
            is_listed(lists, provider, &plan, model->id))
            continue;
        put_comma(body, count);
        write_model(x, model->id, conf, model, body);
    }
}

static void list_own(struct exchange *x, struct buf *body)
{
    const struct snapshot *snapshot = x->binding->snapshot;
    struct openai_models **lists =
        arena_alloc(&x->arena, snapshot->provider_count * sizeof(struct openai_models *));
    size_t count = 0;

    if (!lists) {
        body->err = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < snapshot->provider_count; i++)
        lists[i] = provider_models(snapshot->providers[i].provider);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        list_own_of(x, lists, i, &count, body);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        openai_models_unref(&lists[i]);
}

void models_write_list(struct exchange *x, struct buf *body)
{
    const struct conf_models *models = &exchange_config(x)->models;

    buf_append_span(body, SPAN("{\"object\":\"list\",\"data\":["));
    if (models->count)
        list_named(x, models, body);
    else
        list_own(x, body);
    buf_append_span(body, SPAN("]}"));
}
