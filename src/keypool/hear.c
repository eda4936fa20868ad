/* What answers tell of limits, and whose they are. */
#include "base/alloc.h"
#include "keypool/view_body.h"

enum { ORGANISATIONS_MAX = 1024 };

void keypool_free_organisations(struct keypool *pool)
{
    while (pool->organisations) {
        struct organisation *organisation = pool->organisations;
        struct heard_table *heard = atomic_load(&organisation->heard);

        pool->organisations = organisation->next;
        heard_table_free(&heard);
        mem_free(organisation);
    }
}

static bool has_name(const struct organisation *organisation, struct span name)
{
    return span_is_equal(span_of(organisation->name, organisation->len), name);
}

/* Under the pool's lock. NULL without memory, or where there are too many. */
static struct organisation *find_organisation(struct keypool *pool, struct span name)
{
    struct organisation *organisation = pool->organisations;

    while (organisation && !has_name(organisation, name))
        organisation = organisation->next;
    if (organisation || pool->organisation_count == ORGANISATIONS_MAX)
        return organisation;
    organisation = mem_zalloc(1, sizeof(*organisation) + name.len);
    if (!organisation)
        return NULL;
    atomic_init(&organisation->heard, NULL);
    memcpy(organisation->name, name.ptr, name.len);
    organisation->len = name.len;
    organisation->next = pool->organisations;
    pool->organisations = organisation;
    pool->organisation_count++;
    return organisation;
}

/* The key belongs to that organisation from now on. */
static void note_organisation(struct keypool_view *view, struct key *key, struct span name)
{
    struct organisation *known =
        atomic_load_explicit(&key->shared.organisation, memory_order_acquire);

    if (known && has_name(known, name))
        return;
    pthread_mutex_lock(&view->pool->lock);
    known = find_organisation(view->pool, name);
    pthread_mutex_unlock(&view->pool->lock);
    view->shared_writes += 2;
    if (known)
        atomic_store_explicit(&key->shared.organisation, known, memory_order_release);
}

struct keypool_effect keypool_hear(struct keypool_view *view, const struct keypool_grant *grant,
                                   const struct limits_told *told, uint64_t now_us)
{
    struct keypool_effect effect = {.wakes = 0};
    struct heard_table *table;
    struct heard *heard;

    if (told->account.len && !key_account_of(grant->key))
        note_organisation(view, grant->key, told->account);
    table = heard_table_ensure(key_heard_place(grant->key));
    if (!table)
        return effect; /* without memory it is as if nothing had been told */
    heard = heard_claim(table, grant->model_hash, grant->model);
    if (!atomic_load_explicit(&view->pool->shared.has_heard, memory_order_relaxed))
        atomic_store_explicit(&view->pool->shared.has_heard, true, memory_order_relaxed);
    view->shared_writes++;
    if (heard_note(heard, told, &grant->heard, grant->sent_us ? grant->sent_us : now_us, now_us)) {
        effect.wakes = 1;
        view->shared_writes++;
        keypool_tell(view->pool, grant->key->place);
    }
    return effect;
}
