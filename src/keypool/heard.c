#include "keypool/heard.h"

#include <string.h>

#include "base/alloc.h"
#include "base/latch.h"

struct heard {
    struct latch latch;
    _Atomic uint32_t kinds; /* bits of limits that were told; of the others no memory is touched */
    uint64_t model_hash;    /* under the latch */
    struct foreseen limits[LIMITS_KINDS];
    /* Under the latch: what was refused last, with that margin, and until when one may wait for it.
     */
    struct heard_need wanted;
    uint32_t wanted_margin_ppm;
    uint64_t wanted_until_us;
    char name[HEARD_NAME_BYTES]; /* under the latch */
};

/* A place keeps its memory when it goes to another model, so that whoever reads it meanwhile reads
 * the limits of the wrong model at worst, for one pick. */
struct heard_table {
    struct {
        _Atomic uint64_t model; /* hash; 0: free */
        _Atomic(struct heard *) item;
    } places[HEARD_MODELS];
    struct heard first; /* item of the first place: of most keys the only one, found by one look */
    struct latch latch; /* who gives away places */
};

void heard_table_free(struct heard_table **table)
{
    for (int i = 1; *table && i < HEARD_MODELS; i++) {
        struct heard *heard = atomic_load(&(*table)->places[i].item);

        mem_free(heard);
    }
    MEM_CLEAR(*table);
}

struct heard_table *heard_table_ensure(_Atomic(struct heard_table *) *place)
{
    struct heard_table *table = atomic_load_explicit(place, memory_order_acquire);
    struct heard_table *made;

    if (table)
        return table;
    made = mem_zalloc(1, sizeof(*made));
    if (!made)
        return NULL;
    latch_init(&made->latch);
    latch_init(&made->first.latch);
    if (atomic_compare_exchange_strong_explicit(place, &table, made, memory_order_acq_rel,
                                                memory_order_acquire))
        return made;
    heard_table_free(&made); /* another worker was first; `table` is its */
    return table;
}

/* ---- places ---- */

static bool is_at(const struct heard_table *table, int place, uint64_t model_hash)
{
    return atomic_load_explicit(&table->places[place].model, memory_order_acquire) == model_hash;
}

struct heard *heard_find(struct heard_table *table, uint64_t model_hash)
{
    if (!table)
        return NULL;
    if (is_at(table, 0, model_hash))
        return &table->first;
    for (int i = 1; i < HEARD_MODELS; i++) {
        if (is_at(table, i, model_hash))
            return atomic_load_explicit(&table->places[i].item, memory_order_acquire);
    }
    return NULL;
}

static uint32_t kinds_of(const struct heard *heard)
{
    return atomic_load_explicit(&heard->kinds, memory_order_relaxed);
}

static uint64_t last_word(const struct heard *heard)
{
    uint64_t last_us = 0;

    for (int i = 0; i < LIMITS_KINDS; i++) {
        uint64_t heard_us = atomic_load_explicit(&heard->limits[i].heard_us, memory_order_relaxed);

        last_us = heard_us > last_us ? heard_us : last_us;
    }
    return last_us;
}

/* A free place, or the one that was not heard of for longest. Under the table's latch. */
static int find_oldest(const struct heard_table *table)
{
    uint64_t oldest_us = UINT64_MAX;
    int at = 0;

    for (int i = 0; i < HEARD_MODELS; i++) {
        const struct heard *heard =
            atomic_load_explicit(&table->places[i].item, memory_order_relaxed);
        uint64_t last_us = heard ? last_word(heard) : 0;

        if (!heard)
            return i;
        if (last_us < oldest_us) {
            oldest_us = last_us;
            at = i;
        }
    }
    return at;
}

static void set_model(struct heard *heard, uint64_t model_hash, struct span name)
{
    size_t len = name.len < HEARD_NAME_BYTES - 1 ? name.len : HEARD_NAME_BYTES - 1;

    latch_take(&heard->latch);
    heard->model_hash = model_hash;
    atomic_store_explicit(&heard->kinds, 0, memory_order_relaxed);
    heard->wanted_until_us = 0;
    for (int i = 0; i < LIMITS_KINDS; i++)
        foreseen_init(&heard->limits[i]);
    if (len)
        memcpy(heard->name, name.ptr, len);
    heard->name[len] = '\0';
    latch_give(&heard->latch);
}

/* Puts the model into the table. `fresh` is used where its place has no memory yet, and is else
 * left; NULL: there is none, and the first place will do. Under the table's latch. */
static struct heard *give_place(struct heard_table *table, uint64_t model_hash, struct span name,
                                struct heard **fresh)
{
    int at = find_oldest(table);
    struct heard *heard = atomic_load_explicit(&table->places[at].item, memory_order_relaxed);

    if (at != 0 && !heard) {
        heard = *fresh;
        *fresh = NULL;
    }
    if (!heard) {
        at = 0;
        heard = &table->first;
    }
    atomic_store_explicit(&table->places[at].model, 0, memory_order_release);
    set_model(heard, model_hash, name);
    atomic_store_explicit(&table->places[at].item, heard, memory_order_release);
    atomic_store_explicit(&table->places[at].model, model_hash, memory_order_release);
    return heard;
}

struct heard *heard_claim(struct heard_table *table, uint64_t model_hash, struct span name)
{
    struct heard *heard = heard_find(table, model_hash), *fresh;

    if (heard)
        return heard;
    fresh = mem_zalloc(1, sizeof(*fresh)); /* nothing is allocated under a latch */
    if (fresh)
        latch_init(&fresh->latch);
    latch_take(&table->latch);
    heard = heard_find(table, model_hash);
    if (!heard)
        heard = give_place(table, model_hash, name, &fresh);
    latch_give(&table->latch);
    mem_free(fresh);
    return heard;
}

/* ---- looking ---- */

static uint64_t units_of(struct heard_need need, int kind)
{
    switch ((enum limits_kind)kind) {
    case LIMITS_REQUESTS:
        return 1;
    case LIMITS_TOKENS:
        return need.tokens;
    case LIMITS_INPUT:
        return need.tokens > need.output ? need.tokens - need.output : 0;
    case LIMITS_OUTPUT:
        return need.output;
    case LIMITS_KINDS:
        break;
    }
    return 0;
}

/* The limits that hold such a request up: those told of and not declared, as bits. */
static uint32_t asked_of(const struct heard *heard, struct heard_need need)
{
    uint32_t declared = need.has_tpm ? ~(1u << LIMITS_REQUESTS) : 0;

    if (need.has_rpm)
        declared |= 1u << LIMITS_REQUESTS;
    return kinds_of(heard) & ~declared;
}

uint64_t heard_wait_us(const struct heard *heard, struct heard_need need, uint32_t margin_ppm,
                       uint64_t now_us)
{
    uint32_t asked = heard ? asked_of(heard, need) : 0;
    uint64_t longest_us = 0;

    for (int i = 0; asked; i++, asked >>= 1) {
        uint64_t wait_us =
            asked & 1 ? foreseen_wait_us(&heard->limits[i], units_of(need, i), margin_ppm, now_us)
                      : 0;

        longest_us = wait_us > longest_us ? wait_us : longest_us;
    }
    return longest_us;
}

uint32_t heard_share(const struct heard *heard, struct heard_need need, uint64_t now_us)
{
    uint32_t asked = heard ? asked_of(heard, need) : 0, least = HEARD_WHOLE;

    for (int i = 0; asked; i++, asked >>= 1) {
        uint32_t share =
            asked & 1 ? foreseen_share(&heard->limits[i], units_of(need, i), now_us) : HEARD_WHOLE;

        least = share < least ? share : least;
    }
    return least;
}

static bool is_known(const struct heard *heard, uint64_t now_us)
{
    uint32_t kinds = heard ? kinds_of(heard) : 0;

    for (int i = 0; kinds; i++, kinds >>= 1) {
        if (kinds & 1 && foreseen_is_known(&heard->limits[i], now_us))
            return true;
    }
    return false;
}

/* ---- who waits; under the latch ---- */

static void note_refused(struct heard *heard, struct heard_need need, uint32_t margin_ppm,
                         uint64_t until_us)
{
    heard->wanted = need;
    heard->wanted_margin_ppm = margin_ppm;
    if (heard->wanted_until_us < until_us)
        heard->wanted_until_us = until_us;
}

/* What stands in the way: of whom the limits as such refuse, and of who was refused last. */
struct shortness {
    bool is_short, lacks_wanted;
};

static struct shortness find_shortness(const struct heard *heard, uint64_t now_us)
{
    const struct heard_need least = {.tokens = 1, .output = 1};

    return (struct shortness){
        .is_short = heard_wait_us(heard, least, 0, now_us) != 0,
        .lacks_wanted = heard->wanted_until_us > now_us &&
                        heard_wait_us(heard, heard->wanted, heard->wanted_margin_ppm, now_us) != 0,
    };
}

static bool is_eased(const struct heard *heard, struct shortness before, uint64_t now_us)
{
    struct shortness now = find_shortness(heard, now_us);

    return (before.is_short && !now.is_short) || (before.lacks_wanted && !now.lacks_wanted);
}

/* ---- taking ---- */

static void take_all(struct heard *heard, struct heard_need need, uint64_t now_us,
                     struct heard_hold *hold)
{
    uint32_t kinds = kinds_of(heard);

    for (int i = 0; i < LIMITS_KINDS; i++, kinds >>= 1) {
        hold->stamps[i] = kinds & 1 ? foreseen_take(&heard->limits[i], units_of(need, i), now_us)
                                    : (struct foreseen_stamp){.units = 0};
    }
}

/* Under the latch: 0 where it was taken. Nothing is written before it is known to be there: views
 * read without the latch, and a window begins with what is taken. */
static uint64_t take_or_wait(struct heard *heard, struct heard_need need, uint32_t margin_ppm,
                             uint64_t now_us, struct heard_hold *hold)
{
    uint64_t wait_us = heard_wait_us(heard, need, margin_ppm, now_us);

    if (wait_us) {
        note_refused(heard, need, margin_ppm, now_us + wait_us);
        return wait_us;
    }
    hold->heard = heard;
    hold->model_hash = heard->model_hash;
    take_all(heard, need, now_us, hold);
    return 0;
}

bool heard_take(struct heard *heard, uint64_t model_hash, struct heard_need need,
                uint32_t margin_ppm, uint64_t now_us, struct heard_hold *ret_hold,
                uint64_t *ret_wait_us, uint64_t *shared_writes)
{
    if (!is_known(heard, now_us))
        return true;
    (*shared_writes)++;
    *ret_wait_us = 0;
    latch_take(&heard->latch);
    if (heard->model_hash == model_hash)
        *ret_wait_us = take_or_wait(heard, need, margin_ppm, now_us, ret_hold);
    latch_give(&heard->latch);
    return *ret_wait_us == 0;
}

bool heard_give_back(struct heard_hold *hold, uint64_t now_us, uint64_t *shared_writes)
{
    struct heard *heard = hold->heard;
    bool is_mine, has_eased;
    struct shortness before;

    if (!heard)
        return false;
    (*shared_writes)++;
    latch_take(&heard->latch);
    is_mine = heard->model_hash == hold->model_hash;
    before = find_shortness(heard, now_us);
    for (int i = 0; is_mine && i < LIMITS_KINDS; i++)
        foreseen_give_back(&heard->limits[i], &hold->stamps[i], now_us);
    has_eased = is_mine && is_eased(heard, before, now_us);
    latch_give(&heard->latch);
    *hold = (struct heard_hold){.heard = NULL};
    return has_eased;
}

static bool settle_tokens(struct heard *heard, struct heard_hold *hold, uint64_t tokens,
                          uint64_t sent_us, uint64_t now_us)
{
    struct shortness before = find_shortness(heard, now_us);

    foreseen_settle(&heard->limits[LIMITS_TOKENS], &hold->stamps[LIMITS_TOKENS], tokens, sent_us,
                    now_us);
    return is_eased(heard, before, now_us);
}

/* An answer's own head has mostly told what it took: then nothing is written. */
bool heard_settle(struct heard_hold *hold, uint64_t tokens, uint64_t sent_us, uint64_t now_us,
                  uint64_t *shared_writes)
{
    struct heard *heard = hold->heard;
    bool has_eased = false;

    if (heard && tokens && sent_us && foreseen_is_known(&heard->limits[LIMITS_TOKENS], now_us) &&
        atomic_load_explicit(&heard->limits[LIMITS_TOKENS].heard_us, memory_order_relaxed) <
            sent_us) {
        (*shared_writes)++;
        latch_take(&heard->latch);
        if (heard->model_hash == hold->model_hash)
            has_eased = settle_tokens(heard, hold, tokens, sent_us, now_us);
        latch_give(&heard->latch);
    }
    *hold = (struct heard_hold){.heard = NULL};
    return has_eased;
}

bool heard_note(struct heard *heard, const struct limits_told *told, const struct heard_hold *hold,
                uint64_t sent_us, uint64_t now_us)
{
    static const struct foreseen_stamp none;
    bool is_mine = hold->heard == heard, has_eased;
    struct shortness before;

    latch_take(&heard->latch);
    before = find_shortness(heard, now_us);
    for (int i = 0; i < LIMITS_KINDS; i++) {
        const struct foreseen_told one = {told->items[i].limit,    told->items[i].remaining,
                                          told->items[i].reset_us, told->items[i].is_whole,
                                          told->is_refused,        told->items[i].window_us};

        if (one.limit == 0)
            continue;
        atomic_store_explicit(&heard->kinds,
                              atomic_load_explicit(&heard->kinds, memory_order_relaxed) | 1u << i,
                              memory_order_relaxed);
        foreseen_hear(&heard->limits[i], &one,
                      is_mine && hold->model_hash == heard->model_hash ? &hold->stamps[i] : &none,
                      sent_us, now_us);
    }
    has_eased = is_eased(heard, before, now_us);
    latch_give(&heard->latch);
    return has_eased;
}

/* ---- telling ---- */

bool heard_next(struct heard_table *table, uint32_t *at, uint64_t now_us, struct heard_row *ret_row)
{
    while (table && *at < HEARD_MODELS * LIMITS_KINDS) {
        uint32_t place = *at / LIMITS_KINDS, kind = *at % LIMITS_KINDS;
        struct heard *heard =
            atomic_load_explicit(&table->places[place].item, memory_order_acquire);
        bool is_there;

        (*at)++;
        if (!heard)
            continue;
        latch_take(&heard->latch);
        is_there = foreseen_is_known(&heard->limits[kind], now_us);
        *ret_row = (struct heard_row){.kind = (enum limits_kind)kind};
        memcpy(ret_row->model, heard->name, sizeof(ret_row->model));
        ret_row->limit = atomic_load_explicit(&heard->limits[kind].limit, memory_order_relaxed);
        ret_row->remaining = foreseen_remaining(&heard->limits[kind], now_us);
        ret_row->reset_us = foreseen_reset_us(&heard->limits[kind], now_us);
        latch_give(&heard->latch);
        if (is_there)
            return true;
    }
    return false;
}
