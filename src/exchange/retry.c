#include "exchange/retry.h"

/* The bit of retry.on for a class; 0 for classes outside it. */
static uint32_t cause_of(enum outcome_class class)
{
    switch (class) {
    case CLASS_CONNECT:
        return CONF_RETRY_CONNECT;
    case CLASS_TIMEOUT:
        return CONF_RETRY_TIMEOUT;
    case CLASS_RATE_LIMIT:
        return CONF_RETRY_RATE_LIMIT;
    case CLASS_OVERLOADED:
        return CONF_RETRY_OVERLOADED;
    case CLASS_SERVER_ERROR:
        return CONF_RETRY_SERVER_ERROR;
    case CLASS_BAD_KEY:
        return CONF_RETRY_BAD_KEY;
    case CLASS_DEPLETED:
        return CONF_RETRY_DEPLETED;
    case CLASS_NONE:
    case CLASS_MODEL_MISSING:
    case CLASS_BAD_REQUEST:
    case CLASS_COUNT:
        break;
    }
    return 0;
}

bool retry_counts_try(const struct outcome_row *row)
{
    /* Nothing was sent, and the endpoint's own gate lets one connect in 100 ms try: retry.wait
     * bounds it. */
    if (row->outcome == OUTCOME_CONNECT_FAILED)
        return false;
    return outcome_is_attempt(row->class);
}

static bool is_wanted(const struct retry_facts *facts)
{
    const struct outcome_row *row = facts->row;

    if (facts->is_committed || row->remedy == REMEDY_GIVE_UP)
        return false;
    /* Who lacks the model says nothing about the others: they are always asked. */
    if (row->class == CLASS_MODEL_MISSING)
        return true;
    return (facts->conf->on & cause_of(row->class)) != 0;
}

static bool has_tries_left(const struct retry_facts *facts)
{
    const struct outcome_row *row = facts->row;

    if (row->class == CLASS_TIMEOUT && facts->was_sent && facts->timeouts >= facts->conf->timeouts)
        return false;
    if (retry_counts_try(row))
        return facts->tries < facts->conf->attempts;
    if (row->class == CLASS_CONNECT)
        return true; /* bounded by retry.wait */
    return facts->rotations <= facts->conf->rotations;
}

enum retry_verdict retry_decide(const struct retry_facts *facts)
{
    if (!is_wanted(facts) || !has_tries_left(facts))
        return RETRY_NO;
    if (facts->row->remedy != REMEDY_NEXT_TARGET)
        return RETRY_KEY;
    if (facts->has_other_target)
        return RETRY_TARGET;
    /* The only way: it is asked again once it rests no longer. A place that is refused for good is
     * not. */
    return facts->row->class == CLASS_MODEL_MISSING ? RETRY_NO : RETRY_KEY;
}
