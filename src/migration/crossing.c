#include "migration/crossing.h"

#include <stdatomic.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "canary/turns.h"

enum { LINE_BYTES = 64, MAX_CROSSINGS = 10000 };

/* What one worker has counted of one side. One writer, one reader; a request's good or bad end is
 * one store, so that whoever reads meanwhile sees it wholly or not at all. 32-bit words wrap: the
 * reader takes differences. */
struct counts {
    _Atomic uint32_t untimed; /* good, and its latency is unknown */
    _Atomic uint32_t failed;
    _Atomic uint32_t refused;
    _Atomic uint32_t broken;
    _Atomic uint32_t whole;
    _Atomic uint32_t buckets[SIDE_MEASURES][LATENCY_BUCKETS];
    _Atomic uint64_t prompt_tokens, completion_tokens, cost_nano;
};

/* On cache lines of its own. */
struct local {
    _Alignas(LINE_BYTES) struct counts sides[CROSSING_SIDES];
    struct turns turns;
};

/* The same as the control thread has seen it. */
struct seen {
    uint32_t untimed, failed, refused, broken, whole;
    uint32_t buckets[SIDE_MEASURES][LATENCY_BUCKETS];
    uint64_t prompt_tokens, completion_tokens, cost_nano;
};

struct crossing {
    _Alignas(LINE_BYTES) _Atomic uint32_t stand; /* read by all: on a line that is hardly written */
    uint32_t workers;
    struct local *locals; /* one a worker */
    _Alignas(LINE_BYTES) _Atomic uint32_t refs;
    void *block; /* that it stands in */
    void *locals_block;
    struct seen *seen; /* [worker][side] */
    char *key;         /* in the book */
    size_t key_len;
};

struct crossing_book {
    uint32_t workers;
    struct map by_key;
};

/* ---- the word that all read ---- */

#define HAS_OLD (UINT32_C(1) << 30)
#define HAS_NEW (UINT32_C(1) << 31)

static uint32_t word_of(struct crossing_stand stand)
{
    uint32_t share_ppm =
        stand.share_ppm < CROSSING_WHOLE_PPM ? stand.share_ppm : CROSSING_WHOLE_PPM;

    return share_ppm | (stand.has_old ? HAS_OLD : 0) | (stand.has_new ? HAS_NEW : 0);
}

void crossing_set(struct crossing *crossing, struct crossing_stand stand)
{
    atomic_store_explicit(&crossing->stand, word_of(stand), memory_order_relaxed);
}

struct crossing_stand crossing_stand(const struct crossing *crossing)
{
    uint32_t word = atomic_load_explicit(&crossing->stand, memory_order_relaxed);

    return (struct crossing_stand){word & ~(HAS_OLD | HAS_NEW), word & HAS_OLD, word & HAS_NEW};
}

/* ---- life ---- */

static uintptr_t aligned(const void *block)
{
    return ((uintptr_t)block + LINE_BYTES - 1) & ~(uintptr_t)(LINE_BYTES - 1);
}

static void crossing_free(struct crossing *crossing)
{
    mem_free(crossing->locals_block);
    mem_free(crossing->seen);
    mem_free(crossing->key);
    mem_free(crossing->block);
}

struct crossing *crossing_ref(struct crossing *crossing)
{
    atomic_fetch_add_explicit(&crossing->refs, 1, memory_order_relaxed);
    return crossing;
}

void crossing_unref(struct crossing **place)
{
    struct crossing *crossing = *place;

    *place = NULL;
    if (crossing && atomic_fetch_sub_explicit(&crossing->refs, 1, memory_order_acq_rel) == 1)
        crossing_free(crossing);
}

static struct crossing *crossing_new(uint32_t workers, struct span key)
{
    /* One more than there are, as the first must begin a cache line. */
    void *block = mem_zalloc(2, sizeof(struct crossing));
    struct crossing *crossing;

    if (!block)
        return NULL;
    crossing = (void *)aligned(block);
    crossing->block = block;
    crossing->workers = workers;
    atomic_init(&crossing->refs, 1);
    crossing->locals_block = mem_zalloc((size_t)workers + 1, sizeof(*crossing->locals));
    crossing->seen = mem_zalloc((size_t)workers * CROSSING_SIDES, sizeof(*crossing->seen));
    crossing->key = mem_strdup(key.ptr, key.len);
    if (!crossing->locals_block || !crossing->seen || !crossing->key) {
        crossing_free(crossing);
        return NULL;
    }
    crossing->locals = (void *)aligned(crossing->locals_block);
    crossing->key_len = key.len;
    for (uint32_t i = 0; i < workers; i++)
        turns_init(&crossing->locals[i].turns, map_hash(key) ^ ((uint64_t)i << 48));
    crossing_set(crossing, (struct crossing_stand){0, true, true});
    return crossing;
}

/* ---- the book ---- */

struct crossing_book *crossing_book_new(uint32_t workers)
{
    struct crossing_book *book = mem_zalloc(1, sizeof(*book));

    if (!book)
        return NULL;
    book->workers = workers;
    map_init(&book->by_key, MAX_CROSSINGS);
    return book;
}

void crossing_book_free(struct crossing_book **place)
{
    struct crossing_book *book = *place;
    struct crossing *crossing;
    size_t at = 0;

    *place = NULL;
    if (!book)
        return;
    while ((crossing = map_next(&book->by_key, &at, NULL)))
        crossing_unref(&crossing);
    map_fini(&book->by_key);
    mem_free(book);
}

int crossing_book_get(struct crossing_book *book, struct span model, struct span from,
                      struct span to, struct crossing **ret_crossing)
{
    struct crossing *crossing;
    struct buf key;
    int err;

    buf_init(&key, 4096);
    err = buf_printf(&key, "%.*s %.*s %.*s", SPAN_ARG(model), SPAN_ARG(from), SPAN_ARG(to));
    crossing = err ? NULL : map_find(&book->by_key, buf_span(&key));
    if (!err && !crossing) {
        crossing = crossing_new(book->workers, buf_span(&key));
        err = crossing ? map_add(&book->by_key, span_of(crossing->key, crossing->key_len), crossing)
                       : ERR_NOMEM;
        if (err)
            crossing_unref(&crossing);
    }
    buf_fini(&key);
    if (!err)
        *ret_crossing = crossing_ref(crossing);
    return err;
}

void crossing_book_sweep(struct crossing_book *book)
{
    struct crossing *crossing;
    size_t at = 0;

    while ((crossing = map_next(&book->by_key, &at, NULL))) {
        if (atomic_load_explicit(&crossing->refs, memory_order_acquire) > 1)
            continue;
        map_remove(&book->by_key, span_of(crossing->key, crossing->key_len));
        crossing_unref(&crossing);
        at = 0; /* the map has moved its entries */
    }
}

/* ---- workers ---- */

enum crossing_side crossing_turn(struct crossing *crossing, uint32_t worker)
{
    struct turns *turns = &crossing->locals[worker].turns;

    if (!turns_step(turns, crossing_stand(crossing).share_ppm))
        return CROSSING_OLD;
    turns_take(turns);
    return CROSSING_NEW;
}

/* One writer: no read-modify-write. */
static void bump(_Atomic uint32_t *word)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

static void add(_Atomic uint64_t *word, uint64_t more)
{
    atomic_store_explicit(word, atomic_load_explicit(word, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

void crossing_note_good(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                        uint64_t first_byte_us)
{
    struct counts *counts = &crossing->locals[worker].sides[side];

    if (first_byte_us)
        bump(&counts->buckets[SIDE_FIRST_BYTE][latency_bucket(first_byte_us)]);
    else
        bump(&counts->untimed);
}

void crossing_note_failed(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                          bool is_refused, bool is_broken)
{
    struct counts *counts = &crossing->locals[worker].sides[side];

    if (is_broken)
        bump(&counts->broken);
    else if (is_refused)
        bump(&counts->refused);
    else
        bump(&counts->failed);
}

void crossing_note_whole(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                         const struct crossing_answer *answer)
{
    struct counts *counts = &crossing->locals[worker].sides[side];

    bump(&counts->whole);
    bump(&counts->buckets[SIDE_TOTAL][latency_bucket(answer->total_us)]);
    if (answer->has_usage) {
        bump(&counts->buckets[SIDE_LENGTH][latency_bucket(answer->completion_tokens * 1000)]);
        add(&counts->prompt_tokens, answer->prompt_tokens);
        add(&counts->completion_tokens, answer->completion_tokens);
    }
    if (answer->has_cost) {
        bump(&counts->buckets[SIDE_COST][latency_bucket(answer->cost_nano)]);
        add(&counts->cost_nano, answer->cost_nano);
    }
}

/* ---- the control thread ---- */

static uint32_t take_word(const _Atomic uint32_t *word, uint32_t *seen)
{
    uint32_t now = atomic_load_explicit(word, memory_order_relaxed);
    uint32_t more = now - *seen;

    *seen = now;
    return more;
}

static uint64_t take_sum(const _Atomic uint64_t *word, uint64_t *seen)
{
    uint64_t now = atomic_load_explicit(word, memory_order_relaxed);
    uint64_t more = now - *seen;

    *seen = now;
    return more;
}

static uint32_t take_measure(const struct counts *counts, struct seen *seen,
                             enum side_measure measure, uint64_t *sums, uint32_t *ticks)
{
    uint32_t all = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        uint32_t more = take_word(&counts->buckets[measure][i], &seen->buckets[measure][i]);

        sums[i] += more;
        if (ticks)
            ticks[i] += more;
        all += more;
    }
    return all;
}

static void take_side(const struct counts *counts, struct seen *seen, struct evidence_arm *arm,
                      struct side *side)
{
    /* Failures first: what came meanwhile is then rather a success too many than a failure. */
    uint32_t refused = take_word(&counts->refused, &seen->refused);
    uint32_t broken = take_word(&counts->broken, &seen->broken);
    uint32_t failures = take_word(&counts->failed, &seen->failed) + refused + broken;
    uint32_t requests = failures + take_word(&counts->untimed, &seen->untimed);

    requests +=
        take_measure(counts, seen, SIDE_FIRST_BYTE, side->counts[SIDE_FIRST_BYTE], arm->latencies);
    arm->requests += requests;
    arm->failures += failures;
    arm->refused += refused;
    side->requests += requests;
    side->failures += failures;
    side->refused += refused;
    side->broken += broken;
}

static void take_rest(const struct counts *counts, struct seen *seen, struct side *side)
{
    side->whole += take_word(&counts->whole, &seen->whole);
    side->prompt_tokens += take_sum(&counts->prompt_tokens, &seen->prompt_tokens);
    side->completion_tokens += take_sum(&counts->completion_tokens, &seen->completion_tokens);
    side->cost_nano += take_sum(&counts->cost_nano, &seen->cost_nano);
    for (int measure = SIDE_TOTAL; measure < SIDE_MEASURES; measure++)
        take_measure(counts, seen, (enum side_measure)measure, side->counts[measure], NULL);
}

void crossing_take(struct crossing *crossing, struct evidence_tick *ret_tick,
                   struct side sides[CROSSING_SIDES])
{
    *ret_tick = (struct evidence_tick){.compared = 0};
    for (uint32_t i = 0; i < crossing->workers; i++) {
        struct counts *counts = crossing->locals[i].sides;
        struct seen *seen = &crossing->seen[(size_t)i * CROSSING_SIDES];

        take_side(&counts[CROSSING_NEW], &seen[CROSSING_NEW], &ret_tick->canary,
                  &sides[CROSSING_NEW]);
        take_side(&counts[CROSSING_OLD], &seen[CROSSING_OLD], &ret_tick->control,
                  &sides[CROSSING_OLD]);
    }
}

void crossing_take_rest(struct crossing *crossing, struct side sides[CROSSING_SIDES])
{
    for (uint32_t i = 0; i < crossing->workers; i++) {
        for (int side = 0; side < CROSSING_SIDES; side++)
            take_rest(&crossing->locals[i].sides[side],
                      &crossing->seen[(size_t)i * CROSSING_SIDES + (size_t)side], &sides[side]);
    }
}
