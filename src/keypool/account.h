/*
 * An account at a provider that several keys belong to: they share its limits, and cool together
 * where an answer says that the account is meant. Found by name in its pool; it lives as long as
 * the pool does. A key without a declared account has none: what concerns its account concerns the
 * key. Internal to keypool/. The words in it are shared by all threads.
 */
#ifndef KEYPOOL_ACCOUNT_H
#define KEYPOOL_ACCOUNT_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/span.h"
#include "conf/config.h"
#include "keypool/aside.h"
#include "keypool/health.h"
#include "keypool/heard.h"
#include "keypool/model_quota.h"
#include "keypool/quota.h"

struct account {
    struct health health;                 /* KEY_HEALTHY, a benched state, or KEY_TESTING */
    _Atomic(struct aside_table *) asides; /* NULL until the first model is set aside */
    _Atomic(struct heard_table *) heard;  /* NULL until its provider tells of a limit */
    struct quota quota;
    _Atomic(struct model_quotas *) model_quotas; /* NULL until one of its keys declares some */
    struct model_quotas *fresh_models; /* while a configuration is applied: control thread */
    _Atomic bool has_quota;            /* one of its keys declares limits */
    struct conf_limits merging;        /* while a configuration is applied: control thread */
    struct span name;
    struct account *next; /* all of the pool, under its lock */
    char text[];
};

/* NULL without memory. */
struct account *account_new(struct span name);
void account_free(struct account **account);

#endif
