/* Where it may go: the plan, and whether this client may ask for that model. */
#include "dialect/additions.h"
#include "exchange/cross.h"
#include "exchange/turn.h"

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

/* What a model must be able to do, as far as the request shows it. */
static uint32_t needs_of(const struct exchange *x)
{
    const struct request_scan *request = x->body.request;
    uint32_t needs = 0;

    if (request_scan_has_tools(request))
        needs |= 1u << CONF_TOOLS;
    if (request_scan_has(request, REQUEST_HAS_IMAGE))
        needs |= 1u << CONF_VISION;
    if (request_scan_has(request, REQUEST_HAS_AUDIO))
        needs |= 1u << CONF_AUDIO;
    if (request_scan_has(request, REQUEST_HAS_SCHEMA))
        needs |= 1u << CONF_STRUCTURED;
    if (form_row(x->head.facts.form)->purpose == PURPOSE_EMBED)
        needs |= 1u << CONF_EMBEDDINGS;
    return needs;
}

static enum plan_verdict make_plan(struct exchange *x, uint64_t wall_us, struct plan *ret_plan)
{
    const struct plan_ask ask = {
        .name = x->route.model,
        .chars = x->body.request->text_chars,
        .prompt_tokens = x->body.prompt_tokens,
        .max_tokens = request_scan_max_tokens_each(x->body.request),
        .choices = request_scan_written(x->body.request),
        .needs = needs_of(x),
        .wall_us = wall_us,
    };

    return plan_make_for(x->binding->snapshot->routes, &ask, &x->host->rand, ret_plan);
}

/* Whether a chat says OpenAI's max_completion_tokens by its older name: where somebody of the plan
 * may know no other, and nobody wants the new one. With both of them in the plan it has the new
 * name: those who are known to know only the old one are told that (QUIRK_MAX_TOKENS), and OpenAI's
 * models that think refuse the old one. */
static bool has_old_max(const struct plan *plan)
{
    bool has_old = false;

    for (uint32_t i = 0; i < plan->count; i++) {
        const struct conf_provider *provider = plan->targets[i].provider;

        if (provider->kind == PROVIDER_OPENAI || provider->kind == PROVIDER_AZURE)
            return false;
        has_old |= traits_of(provider).dialect == DIALECT_OPENAI;
    }
    return has_old;
}

/* What the model adds goes into the client's own body, before anybody else sees that: so it passes,
 * or is translated, like what the client sent itself. False without memory. */
static bool add_parameters(struct exchange *x, const struct plan *plan)
{
    struct additions additions;

    additions_of(x->body.request, plan->set, has_old_max(plan), &additions);
    if (additions.len == 0)
        return true;
    if (body_insert(x->body.body, additions.offset, span_of(additions.text, additions.len)))
        return false;
    additions_note(x->body.request, plan->set, &additions);
    return true;
}

struct move step_route(struct exchange *x)
{
    struct span model =
        x->head.facts.model.len ? x->head.facts.model : request_scan_model(x->body.request);
    const struct span none = {NULL, 0};
    uint64_t wall_us = turn_opens_wall_us(x);
    struct plan plan;

    x->route.model = model;
    switch (make_plan(x, wall_us, &plan)) {
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
    plan_settle(&plan, wall_us);
    if ((plan.set && !add_parameters(x, &plan)) || !keep(x, &plan))
        return exchange_refuse(x, FAILURE_OVERLOADED, none, none);
    if (plan.shadow)
        shadow_draw(x, plan.shadow);
    return move_done(is_measured_here(x) ? STEP_RESPOND : STEP_ADMIT);
}
