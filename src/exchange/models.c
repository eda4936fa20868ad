/*
 * The models that a client may use. Where the file names models, those are the list; where it names
 * none, it is what the providers themselves say they serve, by their own names, each once.
 */
#include "base/clock.h"
#include "base/err.h"
#include "dialect/model_write.h"
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
static struct model_entry describe(const struct exchange *x, struct span id,
                                   const struct conf_provider *provider,
                                   const struct model_entry *told)
{
    return (struct model_entry){
        .id = id,
        .owned_by = told && told->owned_by.len ? told->owned_by : provider->name,
        .created_s = told && told->created_s ? told->created_s
                                             : x->binding->snapshot->loaded_wall_us / US_PER_SEC,
    };
}

/* A provider whose models are not known may serve any. */
static bool write_planned(struct exchange *x, struct span name, const struct plan *plan,
                          struct buf *body)
{
    const struct snapshot *snapshot = x->binding->snapshot;
    bool is_named = config_find_model(snapshot->config, name) != NULL;

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_target *target = &plan->targets[i];
        struct model_list *models =
            is_named ? NULL : provider_models(snapshot->providers[target->provider_index].provider);
        const struct model_entry *told = model_list_find(models, target->model);
        bool is_served = !models || told;

        if (is_served) {
            struct model_entry model = describe(x, name, target->provider, told);

            model_write(body, x->head.dialect, &model);
        }
        model_list_unref(&models);
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

static void list_named(struct exchange *x, const struct conf_models *models,
                       struct model_writer *writer)
{
    for (size_t i = 0; i < models->count; i++) {
        const struct conf_model *model = &models->items[i];
        struct model_entry entry;
        struct plan plan;

        /* Of a model that chooses others, the one that it would use for nothing in particular. */
        if (!may_use(x, model->name, &plan))
            continue;
        entry = describe(x, model->name,
                         model->targets.count ? model->targets.items[0].provider
                                              : plan.targets[0].provider,
                         NULL);
        model_writer_add(writer, &entry);
    }
}

/* True where one that stands before it in the file serves the same name. */
static bool is_listed(struct model_list *const *lists, size_t provider, const struct plan *plan,
                      struct span id)
{
    for (size_t i = 0; i < provider; i++) {
        if (is_target(plan, i) && model_list_find(lists[i], id))
            return true;
    }
    return false;
}

static void list_own_of(struct exchange *x, struct model_list *const *lists, size_t provider,
                        struct model_writer *writer)
{
    const struct conf_provider *conf = x->binding->snapshot->providers[provider].conf;
    const struct model_list *models = lists[provider];
    struct plan plan;

    for (size_t i = 0; models && i < models->count; i++) {
        const struct model_entry *model = &models->items[i];
        struct model_entry entry;

        if (!may_use(x, model->id, &plan) || !is_target(&plan, provider) ||
            is_listed(lists, provider, &plan, model->id))
            continue;
        entry = describe(x, model->id, conf, model);
        model_writer_add(writer, &entry);
    }
}

/* The list is closed while the texts that it names are held. */
static void list_own(struct exchange *x, struct model_writer *writer)
{
    const struct snapshot *snapshot = x->binding->snapshot;
    struct model_list **lists =
        arena_alloc(&x->arena, snapshot->provider_count * sizeof(struct model_list *));

    if (!lists) {
        writer->buf->err = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < snapshot->provider_count; i++)
        lists[i] = provider_models(snapshot->providers[i].provider);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        list_own_of(x, lists, i, writer);
    model_writer_end(writer);
    for (size_t i = 0; i < snapshot->provider_count; i++)
        model_list_unref(&lists[i]);
}

void models_write_list(struct exchange *x, struct buf *body)
{
    const struct conf_models *models = &exchange_config(x)->models;
    struct model_writer writer;

    model_writer_begin(&writer, body, x->head.dialect);
    if (models->count) {
        list_named(x, models, &writer);
        model_writer_end(&writer);
    } else {
        list_own(x, &writer);
    }
}
