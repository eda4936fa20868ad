/*
 * The inside of a shadow: for exchange/shadow.c (what it hears, and what it asks) and
 * exchange/shadow_end.c (what comes of it) alone.
 */
#ifndef EXCHANGE_SHADOW_BODY_H
#define EXCHANGE_SHADOW_BODY_H

#include "exchange/exchange.h"
#include "exchange/rewrite.h"
#include "exchange/shadow.h"
#include "io/helpers.h"
#include "shadow/board.h"

/* Prices are not known: the dearest of the large models' list prices is taken, so that a budget in
 * money is never passed. In millionths of a millionth of a dollar a token: 15 and 75 USD a million.
 */
#define SHADOW_PROMPT_PICO_USD     UINT64_C(15000000)
#define SHADOW_COMPLETION_PICO_USD UINT64_C(75000000)
#define SHADOW_PICO_IN_MICRO       UINT64_C(1000000)

enum shadow_phase {
    SHADOW_DRAWN,   /* hears its real exchange, which it belongs to */
    SHADOW_READY,   /* has what it needs of that, and begins when the turn's answers are sent */
    SHADOW_WRITING, /* the body is told anew, by a helper */
    SHADOW_ASKING,  /* the attempt is under way */
    SHADOW_COMPARING,
    SHADOW_DROPPED, /* comes back from a helper, and is freed */
};

/* What was heard of one side. */
struct shadow_heard {
    struct buf bytes;
    int status;
    enum form form;
    bool is_stream, is_coded, is_long;
    bool is_good; /* whole, with a 2xx: it is read. Else it has refused the request */
    uint64_t begun_us, first_us, last_us; /* 0: not yet */
};

struct shadow {
    struct list link; /* in host->shadows, once it has begun */
    struct loop_task start;
    struct exchange_host *host;
    struct shadow_entry *entry;
    const struct plan_shadow *plan; /* of the snapshot: not for helpers */
    uint32_t least_milli;           /* of similarity */
    struct binding *binding;        /* NULL: drawn, or ended */
    enum shadow_phase phase;
    struct arena_pool pool; /* keeps no block: helpers fill from it */
    struct arena arena;
    struct dialect_usage likely; /* what it will use, about */
    struct shadow_spend estimate;
    uint64_t prompt_tokens, most_tokens;
    uint64_t client_pool; /* of keys, as the client's */
    struct span request_id;

    struct body_lease lease; /* of the shadows' own budget */
    struct body *body;       /* the client's bytes; NULL: not taken over */
    bool is_body_lost;       /* there was no room for it */
    bool is_streaming;
    struct request_edits edits; /* where those go as they are */
    struct rewrite rewrite;
    struct buf told;
    struct chat_drops drops;
    struct chat_refusal refusal;
    struct buf head; /* of its request */
    int err;         /* of the job */

    struct attempt attempt;
    size_t site; /* of its provider's: the one that had the traffic when its head was written */
    struct keypool_grant grant;
    bool is_sent, is_rewritten;
    uint64_t sent_wall_us; /* with is_sent: what prices go by */
    struct shadow_heard real, own;

    struct helper_job job;
    bool is_away; /* a helper has it: what it works on is not looked at */
    struct comparison comparison;
    struct shadow_answer answers[2];
    const struct shadow_answer *real_answer, *own_answer; /* NULL: none that can be read */
};

static inline struct outlet *shadow_outlet(const struct shadow *shadow)
{
    return &shadow->binding->outlets[shadow->plan->target.provider_index];
}

static inline uint64_t shadow_now_us(const struct shadow *shadow)
{
    return loop_now_us(shadow->host->loop);
}

/* What that usage costs at the shadow's target, by the prices of that configuration; where they do
 * not know it, a high price. */
struct shadow_spend shadow_spend_of(const struct shadow *shadow, const struct binding *binding,
                                    const struct dialect_usage *usage);

/* Of so many bytes of an answer, as much as is kept; from the first on the time is noted. */
void shadow_keep(struct shadow_heard *heard, const char *data, size_t len, uint64_t now_us);

/* Whether the status says that the request itself is refused, and not the key, its limits or the
 * time. */
bool shadow_is_refusal(int status);

/* Has a helper do the work, and comes back to on_done. */
void shadow_send_job(struct shadow *shadow, enum shadow_phase phase,
                     void (*work)(struct helper_job *job),
                     void (*on_done)(struct helper_job *job, int err));

/* The attempt has come to an answer: its connection is given back, and a helper compares. */
void shadow_compare(struct shadow *shadow);

/* It came to nothing that could be compared. Frees it, or leaves that to the helper that has it. */
void shadow_end(struct shadow *shadow, enum shadow_skip skip);

/* It was drawn, and never began. */
void shadow_discard(struct shadow *shadow, enum shadow_skip skip);

#endif
