#include "exchange/estimating.h"

#include "exchange/exchange.h"
#include "limits/estimates.h"

static bool has_key_limits(const struct conf_provider *provider)
{
    for (size_t i = 0; i < provider->keys.count; i++) {
        if (provider->keys.items[i].limits.tpm)
            return true;
    }
    return false;
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
    return config->names.limits.tpm != 0;
}

static struct estimate_text text_of(const struct exchange *x)
{
    struct request_text text = request_scan_text(x->body.request);

    return (struct estimate_text){text.kinds, text.numbers, text.tool_bytes, text.media};
}

static struct estimates_key key_of(const struct plan_target *target)
{
    return (struct estimates_key){target->provider->name, target->model, target->model_hash};
}

uint64_t estimating_guess(struct exchange *x, const struct plan_target *target,
                          uint64_t *ret_answer)
{
    uint64_t answer = request_scan_max_tokens(x->body.request);
    struct estimate_text text = text_of(x);

    if (text.kinds) {
        struct estimates_key key = key_of(target);
        struct estimates_guess guess = estimates_guess(x->host->registry->estimates, &key, &text);

        x->body.prompt_tokens = guess.prompt;
        if (!answer)
            answer = guess.answer * x->body.choices;
    }
    *ret_answer = answer;
    return x->body.prompt_tokens + answer;
}

static bool is_limited(const struct exchange *x)
{
    return keypool_counts_tokens(&x->select.grant) ||
           (x->admit.is_admitted && admission_counts_tokens(&x->admit.admission));
}

void estimating_tell(struct exchange *x)
{
    const struct dialect_usage *usage = &x->account.usage;
    struct estimate_text text;
    struct estimates_key key;

    /* With usage, there is a body that was read whole. */
    if (!usage->is_known || usage->is_estimated || !x->body.request->has_kinds || !is_limited(x))
        return;
    key = key_of(exchange_target(x));
    text = text_of(x);
    estimates_tell(x->host->registry->estimates, x->host->worker, &key, &text, usage->prompt_tokens,
                   usage->completion_tokens / x->body.choices);
}
