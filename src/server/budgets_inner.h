/*
 * What the two files of budgets share: gateway_budgets.c looks at what was spent and says who
 * rests, gateway_budgets_kept.c keeps it in the durable store. Included by these alone; control
 * thread.
 */
#ifndef SERVER_BUDGETS_INNER_H
#define SERVER_BUDGETS_INNER_H

#include "access/purse.h"
#include "base/map.h"
#include "ledger/budget.h"
#include "server/gateway_inner.h"
#include "store/totals.h"

/* Whose budget it is. */
enum seat_kind { SEAT_KEY, SEAT_CLIENT, SEAT_POOL, SEAT_KINDS };

/* Whoever has a budget: found again by its id, so that a reload keeps what was counted. */
struct seat {
    enum seat_kind kind;
    struct provider *provider; /* with the next: SEAT_KEY alone */
    struct key *key;
    struct purse *purse; /* of the others */
    struct budget budget;
    enum budget_period period;
    uint64_t limit_nanousd;
    struct total kept; /* as the store has it, or is about to */
    bool is_resting;
    bool is_asked, is_told;  /* what the store knows of it: to be read, and read */
    uint64_t near_wall_us;   /* the period of which it was told that it is nearly spent */
    uint64_t passed_wall_us; /* the same: that it is spent */
    uint64_t until_us;       /* of a key that rests: as its pool was told */
    uint64_t round;          /* in which it was looked at last */
    struct span name;        /* in the store, behind the id's first byte */
    size_t len;
    char id[]; /* a letter for the kind, and the name: a key's is its identity, in hex */
};

struct budgets {
    struct gateway *gateway;
    struct loop_timer timer;
    struct map seats; /* by id */
    uint64_t round;
    struct store_ask loads[SEAT_KINDS], put;
    uint64_t quiet_until_us; /* after trouble with the store */
};

/* The id of a name; empty where it is too long. */
enum { SEAT_NAME_BYTES = 256 };
struct span seat_id(enum seat_kind kind, struct span name, char out[SEAT_NAME_BYTES]);

/* All that was ever spent by it, in this process. */
uint64_t seat_sum(const struct seat *seat);

void budgets_look_at_all(struct budgets *budgets);

/* Reads what was spent before of those who are new, and writes what has changed. */
void budgets_keep(struct budgets *budgets);

void budgets_init_kept(struct budgets *budgets);

/* At the end: writes what was spent since the last look, of which nothing else follows. */
void budgets_fini_kept(struct budgets *budgets);

#endif
