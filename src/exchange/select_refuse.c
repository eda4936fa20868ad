/* What a client is told, and operators, where no key can be had in time. */
#include "base/err.h"
#include "exchange/notice.h"
#include "exchange/select_body.h"

static enum failure failure_of(enum keypool_reason reason)
{
    switch (reason) {
    case KEYPOOL_LIMITED:
    case KEYPOOL_AT_LIMIT:
    case KEYPOOL_FULL:
    case KEYPOOL_TESTING:
    case KEYPOOL_ENDPOINT_RESTING:
    case KEYPOOL_COOLING:
        return FAILURE_KEYS_COOLING;
    case KEYPOOL_VALIDATING:
    case KEYPOOL_ENDPOINT_OPEN:
    case KEYPOOL_DISABLED:
        return FAILURE_UPSTREAM_OPEN;
    case KEYPOOL_DEPLETED:
        return FAILURE_UPSTREAM_DEPLETED;
    case KEYPOOL_FORBIDDEN:
    case KEYPOOL_INVALID:
        return FAILURE_UPSTREAM_AUTH;
    case KEYPOOL_NO_MODEL:
        return FAILURE_MODEL_NOT_FOUND;
    case KEYPOOL_NO_CAPACITY:
    case KEYPOOL_NO_REASON:
    case KEYPOOL_REASONS:
        return FAILURE_OVERLOADED;
    case KEYPOOL_TRIED:
        break;
    }
    return FAILURE_UPSTREAM_FAILED;
}

/* The last try's own answer says more than that its key now rests, where it was an answer that
 * blames no key. That a model is missing is said only where nobody is left who may have it. */
static bool is_last_telling(const struct exchange *x, enum keypool_reason reason)
{
    const struct outcome_row *last = x->respond.last;

    if (!last)
        return false;
    if (last->class == CLASS_MODEL_MISSING)
        return reason == KEYPOOL_TRIED || reason == KEYPOOL_NO_MODEL;
    /* A connection that was refused tells no more than that the endpoint is shut. */
    if (last->class == CLASS_CONNECT)
        return reason == KEYPOOL_TRIED;
    return reason == KEYPOOL_TRIED || outcome_is_attempt(last->class);
}

/* That this exchange has tried them all, or that a model is unknown, is no shortage of keys. */
static void tell_shortage(const struct exchange *x, const struct survey *survey)
{
    const struct keypool_choice *choice = &survey->choice;
    const struct plan_target *target = &x->route.targets[survey->target];
    const struct snapshot_provider *row = x->binding->outlets[target->provider_index].row;
    struct notice notice = notice_of(x, row, keypool_reason_text(choice->reason));

    if (choice->reason != KEYPOOL_TRIED && choice->reason != KEYPOOL_NO_MODEL)
        notice_no_key(&notice, row->provider, target,
                      choice->verdict == KEYPOOL_LATER ? choice->free_at_us : 0);
}

struct move select_refuse(struct exchange *x, struct survey *survey, uint64_t now_us)
{
    enum keypool_reason reason = survey->choice.reason;
    uint64_t turn_us = select_turn_in_line(x, survey, now_us);
    const struct span none = {NULL, 0};

    /* Those who wait come before it when it is back. */
    if (turn_us > survey->choice.free_at_us)
        survey->choice.free_at_us = turn_us;
    tell_shortage(x, survey);
    if (survey->choice.verdict == KEYPOOL_LATER)
        x->respond.retry_after_us = survey->choice.free_at_us - now_us;
    if (is_last_telling(x, reason))
        return respond_with_last(x);
    if (reason == KEYPOOL_NO_MODEL)
        return exchange_refuse(
            x, FAILURE_MODEL_NOT_FOUND,
            arena_printf(&x->arena, "No key serves the model '%.*s'.", SPAN_ARG(x->route.model)),
            SPAN("model"));
    return exchange_refuse(x, failure_of(reason), none, none);
}

struct move select_refuse_entry(struct exchange *x, uint32_t target, int err)
{
    const struct plan_target *row = &x->route.targets[target];
    struct span name = provider_name(x->binding->outlets[row->provider_index].row->provider);
    struct span message = span_of(NULL, 0);

    if (err == ERR_FULL)
        message = arena_printf(
            &x->arena, "%d requests wait for a key of the provider '%.*s', and no more may.",
            PROVIDER_MAX_WAITING, SPAN_ARG(name));
    return exchange_refuse(x, FAILURE_OVERLOADED, message, span_of(NULL, 0));
}
