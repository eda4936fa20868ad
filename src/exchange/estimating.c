#include "exchange/estimating.h"

#include "exchange/exchange.h"
#include "exchange/turn.h"
#include "limits/estimates.h"

static bool has_model_limits(const struct conf_limits_by_model *models)
{
    for (size_t i = 0; i < models->count; i++) {
        if (models->items[i].limits.tpm)
            return true;
    }
    return false;
}

static bool has_key_limits(const struct conf_provider *provider)
{
    for (size_t i = 0; i < provider->keys.count; i++) {
        const struct conf_key *key = &provider->keys.items[i];

        if (key->limits.tpm || has_model_limits(&key->model_limits))
            return true;
    }
    return has_model_limits(&provider->model_limits);
}

bool estimating_is_wanted(const struct config *config)
{
    for (size_t i = 0; i < config->providers.count; i++) {
        const struct conf_provider *provider = &config->providers.items[i];

        /* Of headroom, what answers tell of limits counts. */
        if (provider->selection == CONF_SELECTION_HEADROOM || has_key_limits(provider))
            return true;
    }
    for (size_t i = 0; i < config->clients.keys.count; i++) {
        if (config->clients.keys.items[i].limits.tpm)
            return true;
    }
    for (size_t i = 0; i < config->models.count; i++) {
        if (config->models.items[i].limits.tpm)
            return true;
    }
    for (size_t i = 0; i < config->classes.count; i++) {
        if (config->classes.items[i].limits.tpm)
            return true;
    }
    return config->names.limits.tpm != 0;
}

static struct estimate_text text_of(const struct exchange *x)
{
    struct request_text text = request_scan_text(x->body.request);

    return (struct estimate_text){text.kinds, text.numbers, text.tool_bytes, text.media};
}

static struct estimates_key key_of(const struct plan_target *target)
{
    return (struct estimates_key){target->provider->name, target->model, target->estimate_hash};
}

static void guess(struct exchange *x, const struct plan_target *target)
{
    struct part_body *body = &x->body;
    struct estimate_text text = text_of(x);

    body->answer_tokens = request_scan_max_tokens(body->request);
    if (text.kinds) {
        struct estimates_key key = key_of(target);
        struct estimates_guess guess = estimates_guess(x->host->registry->estimates, &key, &text);

        body->prompt_tokens = guess.prompt;
        if (!body->answer_tokens)
            body->answer_tokens = guess.answer * body->choices;
    }
}

/* Mostly the same target is asked about twice, where the exchange is admitted and where its key is
 * chosen: what was reserved there holds here. */
uint64_t estimating_guess(struct exchange *x, const struct plan_target *target,
                          uint64_t *ret_answer)
{
    if (x->body.estimated_hash != target->estimate_hash) {
        guess(x, target);
        x->body.estimated_hash = target->estimate_hash;
    }
    *ret_answer = x->body.answer_tokens;
    return x->body.prompt_tokens + x->body.answer_tokens;
}

static bool is_limited(const struct exchange *x)
{
    return keypool_counts_tokens(&x->select.grant) || turn_counts_tokens(x) ||
           (x->admit.is_admitted && admission_counts_tokens(&x->admit.admission));
}

void estimating_tell(struct exchange *x)
{
    const struct dialect_usage *usage = &x->account.usage;
    struct estimates *estimates = x->host->registry->estimates;
    struct estimate_text text;
    struct estimates_key key;

    /* With usage, there is a body that was read whole. */
    if (!usage->is_known || usage->is_estimated || !x->body.request->has_kinds ||
        !estimates_has_room(estimates, x->host->worker) || !is_limited(x))
        return;
    key = key_of(exchange_target(x));
    text = text_of(x);
    estimates_tell(estimates, x->host->worker, &key, &text, usage->prompt_tokens,
                   usage->completion_tokens / x->body.choices);
}
