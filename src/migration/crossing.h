/*
 * Where a model's requests go over from one target, the old side, to another, the new one: the
 * share that goes, whose turn it is, and what became of both. Shared by the control thread, which
 * sets the share and reads the counts, and the workers, each of which takes turns and counts in
 * words of its own: a request reads one shared word, and writes none. Found by name in a book that
 * outlives configurations, so that a reload changes neither share nor counts. Counted; pure.
 */
#ifndef MIGRATION_CROSSING_H
#define MIGRATION_CROSSING_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "canary/evidence.h"
#include "migration/side.h"

struct crossing;
struct crossing_book;

enum crossing_side { CROSSING_OLD, CROSSING_NEW, CROSSING_SIDES };

#define CROSSING_WHOLE_PPM UINT32_C(1000000)

/* Who serves. A side that is there and has no turn stands behind the other one, as a fallback. At
 * least one is there. */
struct crossing_stand {
    uint32_t share_ppm; /* of the new side, where both are there */
    bool has_old, has_new;
};

/* ---- the book; the thread that loads configurations ---- */

/* For that many workers. NULL without memory. */
struct crossing_book *crossing_book_new(uint32_t workers);

/* Crossings live on with their references. Accepts a pointer to NULL. */
void crossing_book_free(struct crossing_book **place);

/* The crossing of that model between those targets ("PROVIDER/MODEL"), with a reference: the one
 * that is there, or a new one, at which the old side serves and the new one stands behind it. 0 or
 * ERR_NOMEM. */
int crossing_book_get(struct crossing_book *book, struct span model, struct span from,
                      struct span to, struct crossing **ret_crossing);

/* Forgets those that nobody holds any more. */
void crossing_book_sweep(struct crossing_book *book);

struct crossing *crossing_ref(struct crossing *crossing);
void crossing_unref(struct crossing **place);

/* ---- the control thread ---- */

/* From the workers' next request on. A share beyond the whole is the whole. */
void crossing_set(struct crossing *crossing, struct crossing_stand stand);

/* What has become known since the last time, over all workers, nothing twice, nothing lost: for the
 * evidence (requests, failures, first bytes), and added to the two sides. `compared` and
 * `differing` are 0. */
void crossing_take(struct crossing *crossing, struct evidence_tick *ret_tick,
                   struct side sides[CROSSING_SIDES]);

/* The rest of the sides, which no evidence needs: totals, lengths, costs. */
void crossing_take_rest(struct crossing *crossing, struct side sides[CROSSING_SIDES]);

/* ---- workers ---- */

struct crossing_stand crossing_stand(const struct crossing *crossing);

/* One more request for which both sides are there: whose turn is it? */
enum crossing_side crossing_turn(struct crossing *crossing, uint32_t worker);

/* Its first good bytes are here, that long after it was sent (0: not known). */
void crossing_note_good(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                        uint64_t first_byte_us);

/* It failed by this side's fault: before anything was told to the client; or after (is_broken):
 * then it was counted as good before, and counts once more. */
void crossing_note_failed(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                          bool is_refused, bool is_broken);

/* Its answer is whole. */
struct crossing_answer {
    uint64_t total_us;
    uint64_t prompt_tokens, completion_tokens;
    uint64_t cost_nano;
    bool has_usage, has_cost;
};

void crossing_note_whole(struct crossing *crossing, uint32_t worker, enum crossing_side side,
                         const struct crossing_answer *answer);

#endif
