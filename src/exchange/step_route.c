/* Where it may go: the plan, and whether this client may ask for that model. */
#include "exchange/cross.h"

/* What of the plan the later steps read. */
static bool keep(struct exchange *x, const struct plan *plan)
{
    struct plan_target *targets = arena_alloc(&x->arena, plan->count * sizeof(*targets));

    if (!targets)
        return false;
    memcpy(targets, plan->targets, plan->count * sizeof(*targets));
    x->route.targets = targets;
    x->route.target_count = plan->count;
    x->route.label_index = plan->label_index;
    x->route.limiter = plan->limiter;
    return true;
}

/* Whoever speaks OpenAI's dialect can't be asked how many tokens there are: they are estimated. */
static bool is_measured_here(const struct exchange *x)
{
    return form_row(x->head.facts.form)->purpose == PURPOSE_MEASURE &&
           traits_of(x->route.targets[0].provider).dialect == DIALECT_OPENAI;
}

struct move step_route(struct exchange *x)
{
    struct snapshot *snapshot = x->binding->snapshot;
    struct span model =
        x->head.facts.model.len ? x->head.facts.model : request_scan_model(x->body.request);
    const struct span none = {NULL, 0};
    struct plan plan;

    x->route.model = model;
    switch (plan_make(snapshot->routes, model, &x->host->rand, &plan)) {
    case PLAN_ABSENT:
        return exchange_refuse(x, FAILURE_MODEL_ABSENT, none, SPAN("model"));
    case PLAN_UNKNOWN:
        return exchange_refuse(
            x, FAILURE_MODEL_NOT_FOUND,
            arena_printf(&x->arena, "The model '%.*s' does not exist here.", SPAN_ARG(model)),
            SPAN("model"));
    case PLAN_OK:
        break;
    }
    if (!client_may_use(x->auth.client, plan.model))
        return exchange_refuse(
            x, FAILURE_MODEL_NOT_ALLOWED,
            arena_printf(&x->arena, "This API key may not use the model '%.*s'.", SPAN_ARG(model)),
            SPAN("model"));
    if (plan.crossing)
        cross_begin(x, &plan);
    if (!keep(x, &plan))
        return exchange_refuse(x, FAILURE_OVERLOADED, none, none);
    if (plan.shadow)
        shadow_draw(x, plan.shadow);
    return move_done(is_measured_here(x) ? STEP_RESPOND : STEP_ADMIT);
}
