/*
 * Hedging: a second attempt beside a slow one, on another key of the same target. It begins when
 * the first has had no good event (or, where nothing streams, no first byte) for as long as `after`
 * says; whichever commits first is the answer, and the other is cancelled upstream. One that fails
 * while the other is under way is booked, and the other goes on; only when both have failed is
 * there a retry. One hedge an exchange.
 *
 * The parts of an exchange belong to the attempt at hand, as without hedging. What they hold of the
 * other one stands aside, and both change places when an event comes for it: no step, no reader and
 * no writer knows of the other, and an answer is relayed without a copy. Both send the same head,
 * the same edits and the same blocks of the body, which are freed with the exchange's end or after
 * both have ended.
 *
 * Its states, each with what leads on:
 *
 *   - off: retry.hedge is not there. One look at each attempt.
 *   - watched: the first attempt is under way, and the timer armed. Its answer: over; the time:
 *     slow.
 *   - slow: a key is looked for. Found: racing; none: over.
 *   - racing: both are under way. A commit of either: over; a failure of either: alone.
 *   - alone: one of both is under way, and goes on as any attempt.
 *
 * It takes nothing from anybody: a key only where there is plenty (keypool_select_beside) and
 * nobody waits, a connection only if none has to be waited for, and a share of exchanges
 * (`budget`). Where evidence is gathered, of a key on trial, of a migration, for a shadow, an
 * exchange is not hedged: the slow ones would be missing from it.
 *
 * One worker's.
 */
#ifndef EXCHANGE_HEDGE_H
#define EXCHANGE_HEDGE_H

#include <stdbool.h>
#include <stdint.h>

struct attempt;
struct exchange;
struct hedge;
struct hedge_times;
struct http_head;
struct outcome_row;

/* Of so many times the p95 may be told. */
enum { HEDGE_LEAST_TIMES = 100 };

/* What an exchange has of it. */
struct part_hedge {
    struct hedge *other;   /* once there is or was a second attempt; in the exchange's arena */
    uint64_t sent_us;      /* of the attempt that is watched; 0: none is */
    uint64_t lost_picousd; /* what the attempts cost that were cancelled for another */
    bool is_armed;         /* select.timer stands for the hedge */
    bool is_noted;         /* the watched attempt's time is known */
};

/* How a hedge ended, or why there was none: METRIC_HEDGE_* in their order. */
enum hedge_result {
    HEDGE_NONE,
    HEDGE_WON,    /* its answer is the client's */
    HEDGE_LOST,   /* the first attempt's is */
    HEDGE_FAILED, /* it failed by itself */
    HEDGE_CUT,    /* the exchange ended while both were under way */
    HEDGE_NO_BUDGET,
    HEDGE_NO_KEY,
    HEDGE_NO_CONNECTION,
};

/* "won", "lost", "failed" or "cut", as the log says it; NULL for the others. */
const char *hedge_result_text(enum hedge_result result);

/* How it ended with that exchange. */
enum hedge_result hedge_result_of(const struct exchange *x);

/* How many of its attempts were hedges. */
uint32_t hedge_attempts(const struct exchange *x);

/* Another attempt is under way beside the one at hand. */
bool hedge_is_racing(struct exchange *x);

/* The attempt at hand has begun to be sent, and retry.hedge is there. */
void hedge_watch(struct exchange *x);

/* select.timer is due, and is_armed. */
void hedge_begin(struct exchange *x);

/* An event of that attempt comes: it is at hand from now on. There is a second one (`other`). */
void hedge_turn_to(struct exchange *x, struct attempt *attempt);

/* ---- where x->hedge.sent_us is not 0 ---- */

/* The attempt at hand was answered with that status. */
void hedge_note_head(struct exchange *x, int status);

/* The answer of the attempt at hand goes to the client: the other one, if there is one, is
 * cancelled. */
void hedge_note_commit(struct exchange *x);

/* The attempt at hand has failed, and is booked; `was_sent`: its request had begun to go out. True
 * where the other one goes on, and is at hand now. */
bool hedge_goes_on(struct exchange *x, const struct outcome_row *row, bool was_sent);

/* The exchange goes on, or ends, with the attempt at hand: the other one, if there is one, is
 * cancelled, and none begins. */
void hedge_leave(struct exchange *x);

/* ---- its memory ---- */

/* With the exchange's end. */
void hedge_fini(struct exchange *x);

/* The host's: how long first tokens take. */
void hedge_times_free(struct hedge_times **times);

#endif
