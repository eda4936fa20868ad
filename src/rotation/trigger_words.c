/* Why a key is to be replaced, in words for the history, the log and an alert. */
#include <stdio.h>

#include "base/datetime.h"
#include "conf/units.h"
#include "rotation/trigger_inner.h"

static void say_rate(const struct trigger_rules *rules, const struct trigger_key *key,
                     struct trigger_answer *answer)
{
    char rate[UNITS_TEXT_BYTES], most[UNITS_TEXT_BYTES];

    if (!trigger_is_over(rules, key)) {
        snprintf(answer->why, sizeof(answer->why), "it was taken out of service for its errors");
        return;
    }
    units_write_share(trigger_error_ppm(rules, key), rate);
    units_write_share(rules->max_error_ppm, most);
    snprintf(answer->why, sizeof(answer->why), "%s of its last %u requests failed, over %s", rate,
             (unsigned)key->requests, most);
}

static void say_date(const struct trigger_key *key, const struct trigger_now *now,
                     struct trigger_answer *answer)
{
    char date[RFC3339_BYTES];

    datetime_write_rfc3339(key->expires_wall_us, date);
    snprintf(answer->why, sizeof(answer->why), "it %s on %.*s",
             key->expires_wall_us <= now->wall_us ? "expired" : "expires", 10, date);
}

void trigger_say(const struct trigger_rules *rules, const struct trigger_key *key,
                 const struct trigger_now *now, struct trigger_answer *answer)
{
    char age[UNITS_TEXT_BYTES];

    switch (answer->trigger) {
    case LIFE_BY_EXPIRY:
        say_date(key, now, answer);
        return;
    case LIFE_BY_ERROR_RATE:
        say_rate(rules, key, answer);
        return;
    case LIFE_BY_REFUSAL:
        snprintf(answer->why, sizeof(answer->why), "its provider refuses it, and took it before");
        return;
    case LIFE_BY_STORE:
        snprintf(answer->why, sizeof(answer->why), "its secret was changed where it is kept");
        return;
    case LIFE_BY_LEAK:
        snprintf(answer->why, sizeof(answer->why), "it leaked");
        return;
    case LIFE_BY_AGE:
        units_write_duration(rules->max_age_us, age);
        if (key->created_wall_us || key->seen_wall_us)
            snprintf(answer->why, sizeof(answer->why), "it is %s old", age);
        else
            snprintf(answer->why, sizeof(answer->why), "nobody knows how old it is");
        return;
    case LIFE_BY_SCHEDULE:
        snprintf(answer->why, sizeof(answer->why), "the schedule has come round");
        return;
    case LIFE_BY_OPERATOR:
    case LIFE_TRIGGERS:
        return;
    }
}
