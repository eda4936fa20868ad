#include "keypool/aside.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/latch.h"
#include "base/sm.h"

enum { STATE_BITS = 4 };

struct aside_entry {
    _Atomic uint64_t model; /* hash; 0: free */
    _Atomic uint64_t word;  /* state and deadline in microseconds; 0: ASIDE_NONE */
};

struct aside_table {
    _Atomic uint32_t held; /* entries that are not ASIDE_NONE: most tables have none */
    struct aside_entry entries[ASIDE_MODELS];
    struct latch latch;
    uint32_t clock;                 /* under the latch, as all that follows */
    uint32_t touched[ASIDE_MODELS]; /* the clock at the last write */
    char names[ASIDE_MODELS][ASIDE_NAME_BYTES];
};

static const struct sm_state rows[ASIDE_STATES] = {
    [ASIDE_NONE] = {"free", "nothing stands against it",
                    SM_TO(ASIDE_LIMITED) | SM_TO(ASIDE_CROWDED) | SM_TO(ASIDE_FORBIDDEN) |
                        SM_TO(ASIDE_MISSING)},
    [ASIDE_LIMITED] = {"limited", "refused for its rate",
                       SM_TO(ASIDE_LIMITED) | SM_TO(ASIDE_FORBIDDEN) | SM_TO(ASIDE_MISSING) |
                           SM_TO(ASIDE_TESTING)},
    [ASIDE_CROWDED] = {"crowded", "no capacity",
                       SM_TO(ASIDE_CROWDED) | SM_TO(ASIDE_LIMITED) | SM_TO(ASIDE_FORBIDDEN) |
                           SM_TO(ASIDE_MISSING) | SM_TO(ASIDE_TESTING)},
    [ASIDE_FORBIDDEN] = {"forbidden", "may not be used",
                         SM_TO(ASIDE_FORBIDDEN) | SM_TO(ASIDE_MISSING) | SM_TO(ASIDE_TESTING)},
    [ASIDE_MISSING] = {"missing", "does not exist", SM_TO(ASIDE_MISSING) | SM_TO(ASIDE_TESTING)},
    [ASIDE_TESTING] = {"testing", "one real request is finding out",
                       SM_TO(ASIDE_TESTING) | SM_TO(ASIDE_NONE) | SM_TO(ASIDE_LIMITED) |
                           SM_TO(ASIDE_CROWDED) | SM_TO(ASIDE_FORBIDDEN) | SM_TO(ASIDE_MISSING)},
};

static struct aside_view unpack(uint64_t word)
{
    return (struct aside_view){(enum aside_state)(word & ((1 << STATE_BITS) - 1)),
                               word >> STATE_BITS};
}

static uint64_t pack(struct aside_view view)
{
    return (uint64_t)view.state | view.until_us << STATE_BITS;
}

static uint64_t load(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void store(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

struct aside_table *aside_new(void)
{
    struct aside_table *table = mem_zalloc(1, sizeof(*table));

    if (table)
        latch_init(&table->latch);
    return table;
}

void aside_free(struct aside_table **table)
{
    MEM_CLEAR(*table);
}

struct aside_table *aside_ensure(_Atomic(struct aside_table *) *place)
{
    struct aside_table *table = atomic_load_explicit(place, memory_order_acquire);
    struct aside_table *made;

    if (table)
        return table;
    made = aside_new();
    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong_explicit(place, &table, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    aside_free(&made); /* another worker was first; `table` is its */
    return table;
}

struct aside_view aside_find(const struct aside_table *table, uint64_t model_hash)
{
    const struct aside_view none = {ASIDE_NONE, 0};

    if (!table || atomic_load_explicit(&table->held, memory_order_acquire) == 0)
        return none;
    for (int i = 0; i < ASIDE_MODELS; i++) {
        const struct aside_entry *entry = &table->entries[i];
        uint64_t word;

        if (load(&entry->model) != model_hash)
            continue;
        word = load(&entry->word);
        /* The place may have been given to another model between the two loads. */
        return load(&entry->model) == model_hash ? unpack(word) : none;
    }
    return none;
}

static void count_held(struct aside_table *table)
{
    uint32_t held = 0;

    for (int i = 0; i < ASIDE_MODELS; i++)
        held += load(&table->entries[i].word) != 0;
    atomic_store_explicit(&table->held, held, memory_order_release);
}

/* The only writer of an entry's state; under the latch. */
static void move(struct aside_table *table, int at, struct aside_view next)
{
    struct aside_entry *entry = &table->entries[at];
    enum aside_state from = unpack(load(&entry->word)).state;

    bug_fatal_unless((rows[from].moves & SM_TO(next.state)) != 0);
    bug_fatal_unless((next.state == ASIDE_NONE) == (next.until_us == 0));
    store(&entry->word, pack(next));
    table->touched[at] = ++table->clock;
    count_held(table);
}

static int find_place(const struct aside_table *table, uint64_t model_hash)
{
    for (int i = 0; i < ASIDE_MODELS; i++) {
        if (load(&table->entries[i].model) == model_hash)
            return i;
    }
    return -1;
}

/* The place of that model, taken from the least recently touched where it has none. */
static int claim_place(struct aside_table *table, uint64_t model_hash, struct span name)
{
    int at = find_place(table, model_hash);
    size_t len = name.len < ASIDE_NAME_BYTES - 1 ? name.len : ASIDE_NAME_BYTES - 1;

    if (at >= 0)
        return at;
    at = 0;
    for (int i = 1; i < ASIDE_MODELS; i++) {
        if (table->clock - table->touched[i] > table->clock - table->touched[at])
            at = i;
    }
    /* Whoever reads meanwhile finds either model with nothing against it. */
    store(&table->entries[at].word, 0);
    store(&table->entries[at].model, model_hash);
    if (len)
        memcpy(table->names[at], name.ptr, len);
    table->names[at][len] = '\0';
    return at;
}

void aside_set(struct aside_table *table, uint64_t model_hash, struct span name,
               enum aside_state state, uint64_t until_us)
{
    struct aside_view old, next = {state, until_us ? until_us : 1};
    int at;

    latch_take(&table->latch);
    at = claim_place(table, model_hash, name);
    old = unpack(load(&table->entries[at].word));
    if (old.state != ASIDE_TESTING && old.until_us > next.until_us)
        next.until_us = old.until_us;
    if (rows[old.state].moves & SM_TO(state))
        move(table, at, next);
    latch_give(&table->latch);
}

bool aside_test(struct aside_table *table, uint64_t model_hash, bool is_urgent, uint64_t lease_us,
                uint64_t now_us)
{
    bool is_taken = false;
    int at;

    latch_take(&table->latch);
    at = find_place(table, model_hash);
    if (at >= 0) {
        struct aside_view old = unpack(load(&table->entries[at].word));

        is_taken = (old.state != ASIDE_NONE && old.until_us <= now_us) ||
                   (old.state == ASIDE_TESTING && is_urgent);
        if (is_taken)
            move(table, at, (struct aside_view){ASIDE_TESTING, now_us + lease_us + 1});
    }
    latch_give(&table->latch);
    return is_taken;
}

bool aside_pass(struct aside_table *table, uint64_t model_hash)
{
    bool is_passed = false;
    int at;

    latch_take(&table->latch);
    at = find_place(table, model_hash);
    if (at >= 0 && unpack(load(&table->entries[at].word)).state == ASIDE_TESTING) {
        move(table, at, (struct aside_view){ASIDE_NONE, 0});
        is_passed = true;
    }
    latch_give(&table->latch);
    return is_passed;
}

void aside_drop(struct aside_table *table, uint64_t model_hash, uint64_t now_us)
{
    int at;

    latch_take(&table->latch);
    at = find_place(table, model_hash);
    if (at >= 0 && unpack(load(&table->entries[at].word)).state == ASIDE_TESTING)
        move(table, at, (struct aside_view){ASIDE_TESTING, now_us ? now_us : 1});
    latch_give(&table->latch);
}

bool aside_next(struct aside_table *table, uint32_t *at, uint64_t now_us,
                struct aside_view *ret_view, char ret_name[ASIDE_NAME_BYTES])
{
    bool is_found = false;

    if (!table)
        return false;
    latch_take(&table->latch);
    while (*at < ASIDE_MODELS && !is_found) {
        struct aside_view view = unpack(load(&table->entries[*at].word));

        is_found = view.state != ASIDE_NONE && view.until_us > now_us;
        if (is_found) {
            *ret_view = view;
            memcpy(ret_name, table->names[*at], ASIDE_NAME_BYTES);
        }
        (*at)++;
    }
    latch_give(&table->latch);
    return is_found;
}
