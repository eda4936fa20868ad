#include "rotation/key_watch.h"

#include <string.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/list.h"
#include "base/map.h"
#include "rotation/error_window.h"

enum { PPM = 1000000, KEYS_MAX = KEYPOOL_MAX_KEYS + LIFE_KEYS_MAX };

/* A key, as long as it is seen. */
struct watched {
    struct list link; /* in key_watch.all */
    uint8_t identity[LIFE_IDENTITY_BYTES];
    char name[LIFE_NAME_BYTES];
    struct error_window window;
    uint64_t look;         /* the last that saw it */
    uint64_t seen_wall_us; /* it came while this process looked; 0: it was there before */
    uint64_t refused_since_us;
    uint64_t warned_of_us; /* the date */
    uint64_t kept_until_us;
    bool is_changed;
};

struct key_watch {
    struct list all;
    struct map by_identity;
    struct trigger_key *keys; /* of the last look */
    struct watched **watched; /* beside them */
    size_t count, cap;
    uint64_t looks;
};

struct key_watch *key_watch_new(void)
{
    struct key_watch *watch = mem_zalloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    list_init(&watch->all);
    map_init(&watch->by_identity, 2 * KEYS_MAX);
    return watch;
}

static struct span identity_span(const uint8_t *identity)
{
    return span_of((const char *)identity, LIFE_IDENTITY_BYTES);
}

static void forget(struct key_watch *watch, struct watched *key)
{
    (void)map_remove(&watch->by_identity, identity_span(key->identity));
    list_remove(&key->link);
    mem_free(key);
}

void key_watch_free(struct key_watch **place)
{
    struct key_watch *watch = *place;

    *place = NULL;
    if (!watch)
        return;
    while (!list_is_empty(&watch->all))
        forget(watch, container_of(watch->all.next, struct watched, link));
    map_fini(&watch->by_identity);
    mem_free(watch->keys);
    mem_free(watch->watched);
    mem_free(watch);
}

/* The key of that identity, which is made where it is new. NULL without memory. */
static struct watched *find(struct key_watch *watch, const uint8_t *identity, uint64_t wall_us)
{
    struct watched *key = map_find(&watch->by_identity, identity_span(identity));

    if (key)
        return key;
    key = mem_zalloc(1, sizeof(*key));
    if (!key)
        return NULL;
    memcpy(key->identity, identity, LIFE_IDENTITY_BYTES);
    if (map_add(&watch->by_identity, identity_span(key->identity), key)) {
        mem_free(key);
        return NULL;
    }
    list_push_back(&watch->all, &key->link);
    key->seen_wall_us = watch->looks > 1 ? wall_us : 0;
    return key;
}

/* ---- a look ---- */

/* The pool tells them in the order of the file: most are found where they are looked for first. */
static const struct conf_key *file_key(const struct conf_provider *conf, size_t guess,
                                       struct span name)
{
    if (guess < conf->keys.count && span_is_equal(conf->keys.items[guess].name, name))
        return &conf->keys.items[guess];
    for (size_t i = 0; i < conf->keys.count; i++) {
        if (span_is_equal(conf->keys.items[i].name, name))
            return &conf->keys.items[i];
    }
    return NULL;
}

static const struct life_key *life_key(const struct life *life, struct span name,
                                       const uint8_t *identity)
{
    const struct life_key *key = life_find((struct life *)(uintptr_t)life, name);

    return key && life_is_of(key, identity) ? key : NULL;
}

static int make_room(struct key_watch *watch)
{
    size_t cap = watch->cap ? 2 * watch->cap : 2 * LIFE_KEYS_MAX;
    struct trigger_key *keys;
    struct watched **watched;

    if (watch->count < watch->cap)
        return 0;
    keys = mem_realloc(watch->keys, cap * sizeof(*keys));
    if (!keys)
        return ERR_NOMEM;
    watch->keys = keys;
    watched = mem_realloc(watch->watched, cap * sizeof(*watched));
    if (!watched)
        return ERR_NOMEM;
    watch->watched = watched;
    watch->cap = cap;
    return 0;
}

/* What the life of the keys knows; of a key that it does not, it is the file's, and serves. */
static void add_life(const struct life_key *life, struct trigger_key *fact)
{
    bool lacks = life && life_lacks_successor(life);

    fact->step = LIFE_ACTIVE;
    if (!life)
        return;
    fact->created_wall_us = life->created_wall_us;
    fact->expires_wall_us = life->expires_wall_us;
    fact->is_pruned = lacks && life->is_pruned;
    fact->is_leaked = lacks && life->is_leaked;
    /* One that was pruned serves no more, and may be replaced all the same. */
    if (!fact->is_pruned || fact->is_leaked)
        fact->step = life->step;
}

/* A key is to be replaced because it is refused only where it was good before; that it was in the
 * life of keys says so, even after a restart. */
static void add_health(struct watched *key, const struct life_key *life,
                       const struct keypool_row *row, const struct trigger_now *now,
                       struct trigger_key *fact)
{
    uint64_t until_us;
    enum key_health health = key_health(row->key, &until_us);
    bool has_worked = row->has_worked || (life && life->step == LIFE_ACTIVE);

    if (health != KEY_INVALID || !has_worked)
        key->refused_since_us = 0;
    else if (!key->refused_since_us)
        key->refused_since_us = now->us ? now->us : 1;
    fact->refused_since_us = key->refused_since_us;
    fact->is_away = row->wish != KEY_ENABLED || health == KEY_NEW || health == KEY_INVALID ||
                    health == KEY_DEPLETED || health == KEY_FORBIDDEN;
}

static struct trigger_key *add(struct key_watch *watch, const struct key_watch_look *look,
                               struct span name, const uint8_t *identity)
{
    struct watched *key;
    struct trigger_key *fact;

    if (name.len >= LIFE_NAME_BYTES || make_room(watch))
        return NULL;
    key = find(watch, identity, look->now->wall_us);
    if (!key)
        return NULL;
    memcpy(key->name, name.ptr, name.len);
    key->name[name.len] = '\0';
    key->look = watch->looks;
    fact = &watch->keys[watch->count];
    watch->watched[watch->count++] = key;
    *fact = (struct trigger_key){.name = span_of(key->name, name.len)};
    return fact;
}

static int add_row(struct key_watch *watch, const struct key_watch_look *look,
                   const struct keypool_row *row)
{
    const struct life_key *life = life_key(look->life, row->name, row->identity);
    const struct conf_key *conf = file_key(look->conf, watch->count, row->name);
    struct trigger_key *fact = add(watch, look, row->name, row->identity);
    struct watched *key;

    if (!fact)
        return ERR_NOMEM;
    key = watch->watched[watch->count - 1];
    add_life(life, fact);
    /* What an operator has put off is left to the operator. */
    if (row->wish != KEY_ENABLED && fact->step == LIFE_ACTIVE && !fact->is_pruned)
        fact->step = LIFE_DRAINING;
    if (conf && !fact->expires_wall_us)
        fact->expires_wall_us = conf->expires_wall_us;
    fact->seen_wall_us = key->seen_wall_us ? key->seen_wall_us : look->life->memory.first_wall_us;
    add_health(key, life, row, look->now, fact);
    error_window_note(&key->window, look->conf->rotation->error_rate.window_us,
                      row->requests - (row->in_flight < row->requests ? row->in_flight : 0),
                      row->faults, look->now->us);
    error_window_sum(&key->window, &fact->requests, &fact->errors);
    fact->is_changed = key->is_changed;
    fact->is_warned = key->warned_of_us && key->warned_of_us == fact->expires_wall_us;
    fact->is_kept = key->kept_until_us > look->now->us;
    return 0;
}

static int add_rows(struct key_watch *watch, const struct key_watch_look *look)
{
    struct keypool_row row;
    size_t at = 0;
    int err = 0;

    while (!err && keypool_describe(look->pool, &at, look->now->us, &row)) {
        err = add_row(watch, look, &row);
        key_unref(&row.key);
    }
    return err;
}

static bool is_seen(const struct key_watch *watch, const struct life_key *key)
{
    const struct watched *known = map_find(&watch->by_identity, identity_span(key->identity));

    if (known && known->look == watch->looks)
        return true;
    for (size_t i = 0; i < watch->count; i++) {
        if (span_is_equal(watch->keys[i].name, span_from_text(key->name)))
            return true;
    }
    return false;
}

/* Those that the pool has no more, and in whose place nothing has come yet. */
static int add_lacking(struct key_watch *watch, const struct key_watch_look *look)
{
    for (uint32_t i = 0; i < look->life->count; i++) {
        const struct life_key *life = &look->life->keys[i];
        struct trigger_key *fact;

        if (!life_lacks_successor(life) || is_seen(watch, life))
            continue;
        fact = add(watch, look, span_from_text(life->name), life->identity);
        if (!fact)
            return ERR_NOMEM;
        add_life(life, fact);
    }
    return 0;
}

static void drop_unseen(struct key_watch *watch)
{
    struct list *at = watch->all.next;

    while (at != &watch->all) {
        struct watched *key = container_of(at, struct watched, link);

        at = at->next;
        /* One whose change was told before it was seen for the first time stays a while. */
        if (key->look != watch->looks && !(key->is_changed && key->look == 0))
            forget(watch, key);
    }
}

/* ---- whose errors they are ---- */

struct sums {
    uint64_t requests, errors;
};

static bool is_high(const struct trigger_rules *rules, uint64_t requests, uint64_t errors)
{
    return requests && requests >= rules->min_requests &&
           errors * PPM / requests > rules->max_error_ppm;
}

static void clear_common_errors(struct key_watch *watch, const struct trigger_rules *rules)
{
    struct sums all = {0};

    for (size_t i = 0; i < watch->count; i++) {
        all.requests += watch->keys[i].requests;
        all.errors += watch->keys[i].errors;
    }
    for (size_t i = 0; i < watch->count; i++) {
        struct trigger_key *key = &watch->keys[i];

        if (is_high(rules, all.requests - key->requests, all.errors - key->errors))
            key->errors = 0;
    }
}

int key_watch_look(struct key_watch *watch, const struct key_watch_look *look,
                   struct trigger_facts *ret_facts)
{
    int err;

    watch->looks++;
    watch->count = 0;
    err = add_rows(watch, look);
    if (!err)
        err = add_lacking(watch, look);
    if (err)
        return err;
    drop_unseen(watch);
    clear_common_errors(watch, look->rules);
    *ret_facts = (struct trigger_facts){.keys = watch->keys, .count = watch->count};
    ret_facts->is_busy = life_successor((struct life *)(uintptr_t)look->life) != NULL;
    ret_facts->failures = look->life->failures;
    ret_facts->ended_us = look->life->live.ended_us;
    if (!ret_facts->ended_us && look->life->ended_wall_us) {
        uint64_t ago_us = look->now->wall_us > look->life->ended_wall_us
                              ? look->now->wall_us - look->life->ended_wall_us
                              : 0;

        ret_facts->ended_us = look->now->us > ago_us ? look->now->us - ago_us : 1;
    }
    return 0;
}

/* ---- what is remembered of a key ---- */

const uint8_t *key_watch_identity(const struct key_watch *watch, size_t at)
{
    return watch->watched[at]->identity;
}

void key_watch_warned(struct key_watch *watch, size_t at)
{
    watch->watched[at]->warned_of_us = watch->keys[at].expires_wall_us;
}

void key_watch_keep(struct key_watch *watch, size_t at, uint64_t until_us)
{
    watch->watched[at]->kept_until_us = until_us;
}

void key_watch_changed(struct key_watch *watch, const uint8_t identity[LIFE_IDENTITY_BYTES])
{
    struct watched *key = find(watch, identity, 0);

    if (key)
        key->is_changed = true;
}

void key_watch_begun(struct key_watch *watch, size_t at)
{
    watch->watched[at]->is_changed = false;
}
