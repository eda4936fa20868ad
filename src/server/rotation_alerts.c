#include "server/rotation_alerts.h"

#define BY_HAND                                                                                    \
    "it stands in the file, so that its id is not known: revoke it there, then take it out of "    \
    "the file"

#define CHANGED_BY_HAND                                                                            \
    "its secret was changed in the file, so that its id is not known: revoke the one before there"

/* Of a key that the gateway did not make. */
static const char *by_hand(const struct life_key *key)
{
    return key->is_kept ? CHANGED_BY_HAND : BY_HAND;
}

/* The rotation goes on with another key. */
static bool is_renewed(const struct life *life, const struct life_key *failed)
{
    for (uint32_t i = 0; i < life->count; i++) {
        const struct life_key *key = &life->keys[i];

        if (key != failed && key->rotation == failed->rotation && key->step < LIFE_ACTIVE)
            return true;
    }
    return false;
}

static struct alert make(enum alert_kind kind, const struct life_key *key, const char *reason)
{
    return (struct alert){
        .kind = kind, .key = span_from_text(key->name), .reason = span_from_text(reason)};
}

bool rotation_alert_of_news(const struct life *life, const struct rotation_news *news,
                            struct alert *ret_alert)
{
    const struct life_key *key = news->key;

    if (news->from == LIFE_STEPS || key->is_leaked)
        return false; /* a leaked one was told as such */
    switch (key->step) {
    case LIFE_ACTIVE:
        *ret_alert = make(ALERT_PROMOTED, key, key->reason);
        return news->from < LIFE_ACTIVE;
    case LIFE_ROLLED_BACK:
        *ret_alert = make(news->from >= LIFE_CANARY ? ALERT_ROLLED_BACK : ALERT_ROTATION_FAILED,
                          key, key->reason);
        return !is_renewed(life, key);
    case LIFE_RETIRED:
        *ret_alert = make(ALERT_REVOKE_BY_HAND, key, by_hand(key));
        return !key->is_ours;
    case LIFE_ISSUING:
    case LIFE_ISSUED:
    case LIFE_STORED:
    case LIFE_VALIDATING:
    case LIFE_CANARY:
    case LIFE_DRAINING:
    case LIFE_REVOKED:
    case LIFE_STEPS:
        break;
    }
    return false;
}

size_t rotation_alerts_of_leak(const struct life *life, struct span name,
                               struct alert ret_alerts[ROTATION_LEAK_ALERTS])
{
    for (uint32_t i = 0; i < life->count; i++) {
        const struct life_key *key = &life->keys[i];

        if (!key->is_leaked || !span_is_equal(span_from_text(key->name), name))
            continue;
        ret_alerts[0] = make(ALERT_KEY_LEAKED, key, "");
        ret_alerts[1] = make(ALERT_REVOKE_BY_HAND, key, by_hand(key));
        return key->is_ours ? 1 : 2;
    }
    return 0;
}
