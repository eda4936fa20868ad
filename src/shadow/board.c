#include "shadow/board.h"

#include <pthread.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"

/* Bytes are put into buckets made for microseconds, whose finest are 64 of them. */
enum { BYTES_SHIFT = 6, REST_DOUBLINGS = 6, NAME_MAX_BYTES = 1024 };

struct shadow_entry {
    pthread_mutex_t *lock; /* the board's: guards all that follows */
    struct shadow_report report;
    struct shadow_spend set_aside; /* of the period, by those under way */
    uint32_t failures;             /* in a row */
    uint64_t rests_until_us;
    bool is_told; /* that the budget of the period is used up */
    size_t name_len;
    char name[]; /* "MODEL\nPROVIDER/MODEL" */
};

struct shadow_board {
    pthread_mutex_t lock;
    struct map entries;
};

const char *shadow_skip_name(enum shadow_skip skip)
{
    static const char *const names[SHADOW_SKIPS] = {
#define SHADOW_SKIP(symbol, name, meaning) [SHADOW_SKIP_##symbol] = name,
#include "tables/shadow.def"
#undef SHADOW_SKIP
    };

    return names[skip];
}

struct shadow_board *shadow_board_new(void)
{
    struct shadow_board *board = mem_zalloc(1, sizeof(*board));

    if (!board)
        return NULL;
    pthread_mutex_init(&board->lock, NULL);
    map_init(&board->entries, SHADOW_ENTRIES_MAX);
    return board;
}

void shadow_board_free(struct shadow_board **place)
{
    struct shadow_board *board = *place;
    struct shadow_entry *entry;
    struct span name;
    size_t at = 0;

    *place = NULL;
    if (!board)
        return;
    while ((entry = map_next(&board->entries, &at, &name)))
        mem_free(entry);
    map_fini(&board->entries);
    pthread_mutex_destroy(&board->lock);
    mem_free(board);
}

static struct shadow_entry *new_entry(struct shadow_board *board, struct span name)
{
    struct shadow_entry *entry = mem_zalloc(1, sizeof(*entry) + name.len);

    if (!entry)
        return NULL;
    entry->lock = &board->lock;
    entry->name_len = name.len;
    memcpy(entry->name, name.ptr, name.len);
    return entry;
}

/* Under the lock. */
static struct shadow_entry *add_entry(struct shadow_board *board, struct span name)
{
    struct shadow_entry *entry = new_entry(board, name);

    if (entry && map_add(&board->entries, span_of(entry->name, entry->name_len), entry))
        MEM_CLEAR(entry);
    return entry;
}

static struct shadow_entry *find(struct shadow_board *board, struct span model, struct span target,
                                 bool is_made)
{
    char text[NAME_MAX_BYTES];
    struct buf name = {.data = text, .cap = sizeof(text), .max = sizeof(text)};
    struct shadow_entry *entry;

    buf_append_span(&name, model);
    buf_append_byte(&name, '\n');
    buf_append_span(&name, target);
    if (name.err)
        return NULL;
    pthread_mutex_lock(&board->lock);
    entry = map_find(&board->entries, buf_span(&name));
    if (!entry && is_made)
        entry = add_entry(board, buf_span(&name));
    pthread_mutex_unlock(&board->lock);
    return entry;
}

struct shadow_entry *shadow_board_entry(struct shadow_board *board, struct span model,
                                        struct span target)
{
    return find(board, model, target, true);
}

struct shadow_entry *shadow_board_find(struct shadow_board *board, struct span model,
                                       struct span target)
{
    return find(board, model, target, false);
}

/* ---- the budget ---- */

static void add(struct shadow_spend *sum, const struct shadow_spend *more)
{
    sum->pico_usd += more->pico_usd;
    sum->requests += more->requests;
    sum->tokens += more->tokens;
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

static void take_away(struct shadow_spend *sum, const struct shadow_spend *part)
{
    sum->pico_usd = less(sum->pico_usd, part->pico_usd);
    sum->requests = less(sum->requests, part->requests);
    sum->tokens = less(sum->tokens, part->tokens);
}

static bool is_over(uint64_t most, uint64_t spent, uint64_t set_aside, uint64_t more)
{
    return most && spent + set_aside + more > most;
}

static bool is_beyond(const struct shadow_entry *entry, const struct shadow_cap *cap,
                      const struct shadow_spend *more)
{
    const struct shadow_spend *spent = &entry->report.period, *aside = &entry->set_aside;

    return is_over(cap->most.pico_usd, spent->pico_usd, aside->pico_usd, more->pico_usd) ||
           is_over(cap->most.requests, spent->requests, aside->requests, more->requests) ||
           is_over(cap->most.tokens, spent->tokens, aside->tokens, more->tokens);
}

/* A new period begins with nothing spent; what is under way counts where it ends. Where the period
 * became a shorter one, or the clock was set back, what was spent stands until the end that holds
 * now. */
static void turn_period(struct shadow_entry *entry, uint64_t end_us, uint64_t wall_us)
{
    struct shadow_report *report = &entry->report;

    if (wall_us < report->period_end_us) {
        if (end_us < report->period_end_us)
            report->period_end_us = end_us;
        return;
    }
    report->period_end_us = end_us;
    memset(&report->period, 0, sizeof(report->period));
    report->is_stopped = false;
    entry->is_told = false;
}

/* ---- counting ---- */

void shadow_entry_draw(struct shadow_entry *entry)
{
    pthread_mutex_lock(entry->lock);
    entry->report.drawn++;
    pthread_mutex_unlock(entry->lock);
}

void shadow_entry_skip(struct shadow_entry *entry, enum shadow_skip skip)
{
    pthread_mutex_lock(entry->lock);
    entry->report.skipped[skip]++;
    pthread_mutex_unlock(entry->lock);
}

/* SHADOW_SKIPS: nothing stands against it. */
static enum shadow_skip look(struct shadow_entry *entry, const struct shadow_cap *cap,
                             const struct shadow_spend *estimate, uint64_t now_us)
{
    if (is_beyond(entry, cap, estimate)) {
        entry->report.is_stopped = true;
        return SHADOW_SKIP_BUDGET;
    }
    return now_us < entry->rests_until_us ? SHADOW_SKIP_RESTING : SHADOW_SKIPS;
}

bool shadow_entry_begin(struct shadow_entry *entry, const struct shadow_cap *cap,
                        const struct shadow_spend *estimate, uint64_t now_us, uint64_t wall_us,
                        enum shadow_skip *ret_skip, bool *ret_is_news)
{
    uint64_t end_us = period_end_us(cap->per, wall_us);
    enum shadow_skip skip;

    pthread_mutex_lock(entry->lock);
    turn_period(entry, end_us, wall_us);
    skip = look(entry, cap, estimate, now_us);
    *ret_is_news = skip == SHADOW_SKIP_BUDGET && !entry->is_told;
    entry->is_told |= *ret_is_news;
    if (skip == SHADOW_SKIPS) {
        add(&entry->set_aside, estimate);
        entry->report.under_way++;
    } else {
        entry->report.skipped[skip]++;
        *ret_skip = skip;
    }
    pthread_mutex_unlock(entry->lock);
    return skip == SHADOW_SKIPS;
}

static void rest(struct shadow_entry *entry, uint64_t now_us)
{
    uint64_t rest_us = SHADOW_REST_US
                       << (entry->failures < REST_DOUBLINGS ? entry->failures : REST_DOUBLINGS);

    entry->failures++;
    entry->rests_until_us = now_us + (rest_us < SHADOW_REST_MAX_US ? rest_us : SHADOW_REST_MAX_US);
}

static void note_us(struct shadow_sketch *sketch, uint64_t us)
{
    sketch->counts[latency_bucket(us)]++;
}

static void note_sides(struct shadow_report *report, const struct shadow_end *end)
{
    uint64_t real_us = end->real.total_us, shadow_us = end->shadow.total_us;

    note_us(&report->real.first, end->real.first_us);
    note_us(&report->real.total, real_us);
    note_us(&report->real.length, end->real.bytes << BYTES_SHIFT);
    note_us(&report->shadow.first, end->shadow.first_us);
    note_us(&report->shadow.total, shadow_us);
    note_us(&report->shadow.length, end->shadow.bytes << BYTES_SHIFT);
    report->real.tokens += end->real.tokens;
    report->shadow.tokens += end->shadow.tokens;
    if (shadow_us >= real_us)
        note_us(&report->slower, shadow_us - real_us);
    else
        note_us(&report->faster, real_us - shadow_us);
}

static void remember(struct shadow_report *report, const struct shadow_end *end)
{
    struct shadow_recent *first = &report->recent[0];
    size_t len = end->request_id.len < SHADOW_ID_BYTES ? end->request_id.len : SHADOW_ID_BYTES;

    memmove(first + 1, first, (SHADOW_RECENT - 1) * sizeof(*first));
    if (report->recent_count < SHADOW_RECENT)
        report->recent_count++;
    *first = (struct shadow_recent){.request_id_len = (uint8_t)len,
                                    .kinds = end->comparison.kinds,
                                    .similarity_milli = end->comparison.similarity_milli,
                                    .wall_us = end->wall_us};
    if (len)
        memcpy(first->request_id, end->request_id.ptr, len);
}

static void note_comparison(struct shadow_report *report, const struct shadow_end *end)
{
    const struct comparison *comparison = &end->comparison;

    report->counts.compared++;
    report->json_equal += comparison->json == JSON_SAME_EQUAL;
    report->json_different += comparison->json == JSON_SAME_DIFFERENT;
    if (comparison->similarity_milli != SIMILARITY_UNKNOWN)
        report->similarity[comparison->similarity_milli / 10]++;
    if (end->has_sides)
        note_sides(report, end);
    if (!comparison->kinds)
        return;
    report->counts.diverged++;
    for (unsigned i = 0; i < DIVERGENCE_COUNT; i++)
        report->diverged[i] += comparison->kinds >> i & 1;
    remember(report, end);
}

void shadow_entry_end(struct shadow_entry *entry, const struct shadow_end *end)
{
    struct shadow_report *report = &entry->report;

    pthread_mutex_lock(entry->lock);
    take_away(&entry->set_aside, &end->estimate);
    add(&report->spent, &end->used);
    add(&report->period, &end->used);
    report->under_way--;
    if (end->skip != SHADOW_SKIPS) {
        report->skipped[end->skip]++;
        if (end->skip == SHADOW_SKIP_FAILED)
            rest(entry, end->now_us);
    } else {
        entry->failures = 0;
        note_comparison(report, end);
    }
    pthread_mutex_unlock(entry->lock);
}

/* ---- reading ---- */

struct shadow_counts shadow_board_counts(struct shadow_board *board, struct span model,
                                         struct span target)
{
    struct shadow_entry *entry = shadow_board_find(board, model, target);
    struct shadow_counts counts = {0, 0};

    if (!entry)
        return counts;
    pthread_mutex_lock(entry->lock);
    counts = entry->report.counts;
    pthread_mutex_unlock(entry->lock);
    return counts;
}

void shadow_entry_report(struct shadow_entry *entry, uint64_t wall_us,
                         struct shadow_report *ret_report)
{
    pthread_mutex_lock(entry->lock);
    *ret_report = entry->report;
    pthread_mutex_unlock(entry->lock);
    /* The next shadow begins the next period: until then the last one's sums would mislead. */
    if (ret_report->period_end_us && wall_us >= ret_report->period_end_us) {
        memset(&ret_report->period, 0, sizeof(ret_report->period));
        ret_report->period_end_us = 0;
        ret_report->is_stopped = false;
    }
}

/* How many lie at or below the share: at least one of them. */
static uint64_t rank_of(uint64_t count, unsigned milli)
{
    uint64_t rank = (count * milli + 999) / 1000;

    return rank ? rank : 1;
}

/* The bucket of that rank; the last where there are fewer. */
static uint32_t bucket_at(const struct shadow_sketch *sketch, uint64_t rank)
{
    uint64_t seen = 0;

    for (uint32_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += sketch->counts[i];
        if (seen >= rank)
            return i;
    }
    return LATENCY_BUCKETS - 1;
}

uint64_t shadow_sketch_us(const struct shadow_sketch *sketch, unsigned milli)
{
    uint64_t count = latency_count(sketch->counts);

    return count ? latency_of(bucket_at(sketch, rank_of(count, milli))) : 0;
}

uint64_t shadow_sketch_bytes(const struct shadow_sketch *sketch, unsigned milli)
{
    return shadow_sketch_us(sketch, milli) >> BYTES_SHIFT;
}

int64_t shadow_report_added_us(const struct shadow_report *report, unsigned milli)
{
    uint64_t faster = latency_count(report->faster.counts);
    uint64_t count = faster + latency_count(report->slower.counts);
    uint64_t rank = rank_of(count, milli);

    if (count == 0)
        return 0;
    /* Of those that were earlier, the ones by most come first. */
    if (rank <= faster)
        return -(int64_t)latency_of(bucket_at(&report->faster, faster - rank + 1));
    return (int64_t)latency_of(bucket_at(&report->slower, rank - faster));
}

uint32_t shadow_report_similarity(const struct shadow_report *report, unsigned milli)
{
    const uint32_t places = sizeof(report->similarity) / sizeof(report->similarity[0]);
    uint64_t count = 0, seen = 0, rank;

    for (uint32_t i = 0; i < places; i++)
        count += report->similarity[i];
    if (count == 0)
        return 0;
    rank = rank_of(count, milli);
    for (uint32_t i = 0; i < places; i++) {
        seen += report->similarity[i];
        if (seen >= rank)
            return i;
    }
    return places - 1;
}
