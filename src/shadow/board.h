/*
 * What is known of the shadows of each model: what was drawn and mirrored, what came of it, what it
 * cost, and what stands in the way of the next one: the budget of the period, and a rest after
 * failures. Outlives configurations; shared by all workers, each under one lock for a few
 * instructions, once as a shadow begins and once as it ends: never on the road of an exchange that
 * is not mirrored. No I/O: times and prices are arguments. Any thread.
 */
#ifndef SHADOW_BOARD_H
#define SHADOW_BOARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "canary/latency.h"
#include "shadow/compare.h"
#include "shadow/period.h"

struct shadow_board;
struct shadow_entry;

enum { SHADOW_ENTRIES_MAX = 4096, SHADOW_RECENT = 8, SHADOW_ID_BYTES = 64 };

/* How long a target is left alone that has failed: twice as long each time, up to the most. */
#define SHADOW_REST_US     UINT64_C(1000000)
#define SHADOW_REST_MAX_US UINT64_C(60000000)

/* Why an exchange that was drawn led to no comparison. */
enum shadow_skip {
#define SHADOW_SKIP(symbol, name, meaning) SHADOW_SKIP_##symbol,
#include "tables/shadow.def"
#undef SHADOW_SKIP
    SHADOW_SKIPS,
};

const char *shadow_skip_name(enum shadow_skip skip);

/* Money in millionths of a millionth of a dollar. Of a cap 0 means none. */
struct shadow_spend {
    uint64_t pico_usd, requests, tokens;
};

struct shadow_cap {
    struct shadow_spend most;
    enum period per;
};

struct shadow_board *shadow_board_new(void); /* NULL without memory */
void shadow_board_free(struct shadow_board **place);

/* The entry of a model and its shadow's target ("PROVIDER/MODEL"), made where there is none; NULL
 * where there are SHADOW_ENTRIES_MAX, or without memory. Lives as long as the board. */
struct shadow_entry *shadow_board_entry(struct shadow_board *board, struct span model,
                                        struct span target);

/* The same, or NULL where there is none. */
struct shadow_entry *shadow_board_find(struct shadow_board *board, struct span model,
                                       struct span target);

/* ---- counting ---- */

/* An exchange was drawn: every one of them is told first. */
void shadow_entry_draw(struct shadow_entry *entry);

/* It was not mirrored. */
void shadow_entry_skip(struct shadow_entry *entry, enum shadow_skip skip);

/* May a shadow begin that will use about `estimate`? True: it is set aside, and shadow_entry_end
 * follows. False, with *ret_skip counted; *ret_is_news is true for the first that the budget of a
 * period refuses. now_us: any clock that only rises; wall_us: Unix time. */
bool shadow_entry_begin(struct shadow_entry *entry, const struct shadow_cap *cap,
                        const struct shadow_spend *estimate, uint64_t now_us, uint64_t wall_us,
                        enum shadow_skip *ret_skip, bool *ret_is_news);

/* One side of a comparison. */
struct shadow_side {
    uint64_t first_us; /* from the request sent to the answer's first byte */
    uint64_t total_us; /* to its last */
    uint64_t tokens;   /* of the answer */
    uint64_t bytes;    /* of its text */
};

struct shadow_end {
    struct shadow_spend estimate; /* as it was begun with */
    struct shadow_spend used;
    enum shadow_skip skip; /* SHADOW_SKIPS: it was compared, and what follows counts */
    struct comparison comparison;
    bool has_sides; /* both sides answered */
    struct shadow_side real, shadow;
    struct span request_id; /* of the real exchange */
    uint64_t now_us, wall_us;
};

void shadow_entry_end(struct shadow_entry *entry, const struct shadow_end *end);

/* ---- reading ---- */

/* What a migration's gate looks at (canary/evidence: compared, differing): only grows. */
struct shadow_counts {
    uint64_t compared, diverged;
};

/* Of the model and that target, since the process began; zeros where nothing was compared. */
struct shadow_counts shadow_board_counts(struct shadow_board *board, struct span model,
                                         struct span target);

/* Counts in buckets on a log scale: times in microseconds, or bytes of text. */
struct shadow_sketch {
    uint32_t counts[LATENCY_BUCKETS];
};

struct shadow_recent {
    char request_id[SHADOW_ID_BYTES];
    uint8_t request_id_len;
    uint32_t kinds;
    uint32_t similarity_milli;
    uint64_t wall_us;
};

/* All of an entry as it stands at one moment. */
struct shadow_report {
    uint64_t drawn;
    uint64_t skipped[SHADOW_SKIPS];
    struct shadow_counts counts;
    uint64_t diverged[DIVERGENCE_COUNT]; /* one comparison may count in several */
    uint64_t json_equal, json_different;
    uint32_t similarity[SIMILARITY_MAX / 10 + 1]; /* in hundredths */
    struct {
        struct shadow_sketch first, total, length;
        uint64_t tokens;
    } real, shadow;
    struct shadow_sketch slower,
        faster;                 /* how much later the shadow's last byte came, or earlier */
    struct shadow_spend spent;  /* in all */
    struct shadow_spend period; /* in the period that ends at ... */
    uint64_t period_end_us;     /* ... (Unix time); 0: none has begun */
    uint64_t under_way;
    bool is_stopped;                            /* by the budget, until then */
    struct shadow_recent recent[SHADOW_RECENT]; /* that diverged, the last first */
    size_t recent_count;
};

/* Copied under the lock. wall_us: Unix time; the sums of a period that is over by then are 0. */
void shadow_entry_report(struct shadow_entry *entry, uint64_t wall_us,
                         struct shadow_report *ret_report);

/* The share in thousandths lies at or below that: microseconds, or (shadow_sketch_bytes) bytes. 0
 * where there is nothing. */
uint64_t shadow_sketch_us(const struct shadow_sketch *sketch, unsigned milli);

/* The same of lengths. */
uint64_t shadow_sketch_bytes(const struct shadow_sketch *sketch, unsigned milli);

/* The same of how much later the shadow's last byte came; negative: earlier. */
int64_t shadow_report_added_us(const struct shadow_report *report, unsigned milli);

/* The same of the similarity, in hundredths. */
uint32_t shadow_report_similarity(const struct shadow_report *report, unsigned milli);

#endif
