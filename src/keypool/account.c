#include "keypool/account.h"

#include "base/alloc.h"

struct account *account_new(struct span name)
{
    struct account *account = mem_zalloc(1, sizeof(*account) + name.len + 1);

    if (!account)
        return NULL;
    health_init(&account->health, KEY_HEALTHY);
    quota_init(&account->quota);
    memcpy(account->text, name.ptr, name.len);
    account->name = span_of(account->text, name.len);
    return account;
}

void account_free(struct account **account)
{
    struct aside_table *asides;
    struct heard_table *heard;

    if (!*account)
        return;
    asides = atomic_load(&(*account)->asides);
    aside_free(&asides);
    heard = atomic_load(&(*account)->heard);
    heard_table_free(&heard);
    model_quotas_free(&(*account)->model_quotas);
    MEM_CLEAR(*account);
}
