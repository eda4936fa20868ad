/* Where it may go: the plan, and whether this client may ask for that model. */
#include "exchange/exchange.h"

struct move step_route(struct exchange *x)
{
    struct snapshot *snapshot = x->binding->snapshot;
    struct span model = openai_request_model(x->body.request);
    const struct span none = {NULL, 0};

    x->route.model = model;
    switch (plan_make(snapshot->routes, model, &x->host->rand, &x->route.plan)) {
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
    if (!client_may_use(x->auth.client, x->route.plan.model))
        return exchange_refuse(
            x, FAILURE_MODEL_NOT_ALLOWED,
            arena_printf(&x->arena, "This API key may not use the model '%.*s'.", SPAN_ARG(model)),
            SPAN("model"));
    return move_done(STEP_ADMIT);
}
