#include "keypool/health.h"

#include "base/bug.h"
#include "base/clock.h"

enum { STATE_BITS = 4, FAILURES_BITS = 16, UNTIL_SHIFT = STATE_BITS + FAILURES_BITS };

_Static_assert(HEALTH_FAILURES_MAX == (1 << FAILURES_BITS) - 1, "the count fills its bits");
_Static_assert(KEY_HEALTH_COUNT <= 1 << STATE_BITS, "every state fits");

#define BENCHES                                                                                    \
    (SM_TO(KEY_COOLING) | SM_TO(KEY_LIMITED) | SM_TO(KEY_FORBIDDEN) | SM_TO(KEY_DEPLETED))

/* A benched state may be entered again from itself: that is a later deadline. Between benched
 * states a move goes to the graver one alone. */
const struct sm_state key_health_rows[KEY_HEALTH_COUNT] = {
    [KEY_NEW] = {"new", "being validated",
                 SM_TO(KEY_TRIAL) | SM_TO(KEY_HEALTHY) | SM_TO(KEY_INVALID)},
    [KEY_TRIAL] = {"trial", "used without having been proven",
                   SM_TO(KEY_TRIAL) | SM_TO(KEY_HEALTHY) | BENCHES | SM_TO(KEY_INVALID)},
    [KEY_HEALTHY] = {"healthy", "proven", SM_TO(KEY_HEALTHY) | BENCHES | SM_TO(KEY_INVALID)},
    [KEY_COOLING] = {"cooling", "failed too often in a row",
                     BENCHES | SM_TO(KEY_TESTING) | SM_TO(KEY_INVALID)},
    [KEY_LIMITED] = {"cooling", "refused for its rate",
                     SM_TO(KEY_LIMITED) | SM_TO(KEY_FORBIDDEN) | SM_TO(KEY_DEPLETED) |
                         SM_TO(KEY_TESTING) | SM_TO(KEY_INVALID)},
    [KEY_FORBIDDEN] = {"forbidden", "known and refused",
                       SM_TO(KEY_FORBIDDEN) | SM_TO(KEY_DEPLETED) | SM_TO(KEY_TESTING) |
                           SM_TO(KEY_INVALID)},
    [KEY_DEPLETED] = {"depleted", "its money is used up",
                      SM_TO(KEY_DEPLETED) | SM_TO(KEY_TESTING) | SM_TO(KEY_INVALID)},
    [KEY_INVALID] = {"invalid", "refused as unknown", SM_TO(KEY_HEALTHY)},
    [KEY_TESTING] = {"testing", "one real request is finding out",
                     SM_TO(KEY_TESTING) | SM_TO(KEY_HEALTHY) | BENCHES | SM_TO(KEY_INVALID)},
};

const char *key_health_text(enum key_health health)
{
    return key_health_rows[health].name;
}

static uint64_t pack(struct health_view view)
{
    uint64_t until_ms = (view.until_us + US_PER_MS - 1) / US_PER_MS;

    return (uint64_t)view.state | (uint64_t)view.failures << STATE_BITS | until_ms << UNTIL_SHIFT;
}

static struct health_view unpack(uint64_t word)
{
    return (struct health_view){
        .state = (enum key_health)(word & ((1 << STATE_BITS) - 1)),
        .failures = (uint16_t)(word >> STATE_BITS),
        .until_us = (word >> UNTIL_SHIFT) * US_PER_MS,
    };
}

bool health_is_benched(enum key_health state)
{
    return (BENCHES & SM_TO(state)) != 0;
}

static bool invariant_holds(struct health_view view)
{
    switch (view.state) {
    case KEY_NEW:
    case KEY_INVALID:
        return view.until_us == 0;
    case KEY_TRIAL:
    case KEY_HEALTHY:
        return (view.failures == 0) == (view.until_us == 0);
    case KEY_COOLING:
    case KEY_LIMITED:
    case KEY_FORBIDDEN:
    case KEY_DEPLETED:
    case KEY_TESTING:
        return view.until_us > 0;
    case KEY_HEALTH_COUNT:
        break;
    }
    return false;
}

/* The only writer: checks the invariant, and counts. False where the word changed meanwhile; *word
 * is then the new one. */
static bool put(struct health *health, uint64_t *word, struct health_view next,
                struct health_moves *moves)
{
    enum key_health from = unpack(*word).state;

    bug_fatal_unless(invariant_holds(next));
    if (!atomic_compare_exchange_weak_explicit(&health->word, word, pack(next),
                                               memory_order_acq_rel, memory_order_acquire))
        return false;
    if (from != next.state)
        atomic_fetch_add_explicit(&moves->entered[next.state], 1, memory_order_relaxed);
    return true;
}

/* The same for what happens, which the table of moves allows. */
static bool health_move(struct health *health, uint64_t *word, struct health_view next,
                        struct health_moves *moves)
{
    bug_fatal_unless((key_health_rows[unpack(*word).state].moves & SM_TO(next.state)) != 0);
    return put(health, word, next, moves);
}

static uint64_t load(const struct health *health)
{
    return atomic_load_explicit(&health->word, memory_order_acquire);
}

void health_init(struct health *health, enum key_health first)
{
    struct health_view view = {.state = first};

    bug_fatal_unless(invariant_holds(view));
    atomic_init(&health->word, pack(view));
}

struct health_view health_read(const struct health *health)
{
    return unpack(load(health));
}

static bool is_trusted(enum key_health state)
{
    return state == KEY_TRIAL || state == KEY_HEALTHY;
}

bool health_is_well(const struct health *health)
{
    return is_trusted(health_read(health).state);
}

bool health_fail(struct health *health, const struct health_rules *rules, bool is_test,
                 uint64_t now_us, struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view, next;

    do {
        view = unpack(word);
        /* Whoever is benched already has its deadline from a graver cause, or from the failure
         * before this one; and a test is decided by its own request. */
        if (!is_trusted(view.state) && !(view.state == KEY_TESTING && is_test))
            return false;
        next = view;
        if (is_trusted(view.state) && view.until_us != 0 && view.until_us <= now_us)
            next.failures = 0;
        if (next.failures < HEALTH_FAILURES_MAX)
            next.failures++;
        next.until_us = now_us + (rules->ttl_us ? rules->ttl_us : 1);
        if (next.failures >= rules->max_failures) {
            next.state = KEY_COOLING;
            next.until_us = now_us + rules->cooldown_us + 1;
        } else if (view.state == KEY_TESTING) {
            next.state = KEY_HEALTHY;
        }
    } while (!health_move(health, &word, next, moves));
    return next.state != view.state;
}

bool health_bench(struct health *health, enum key_health state, uint64_t until_us,
                  struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view, next;

    do {
        view = unpack(word);
        if (!(key_health_rows[view.state].moves & SM_TO(state)))
            return false;
        next = (struct health_view){.state = state, .failures = view.failures};
        if (state != KEY_INVALID)
            next.until_us = until_us ? until_us : 1;
        if (state == view.state && next.until_us <= view.until_us)
            return false;
        if (health_is_benched(view.state) && state != KEY_INVALID && next.until_us < view.until_us)
            next.until_us = view.until_us;
    } while (!health_move(health, &word, next, moves));
    return next.state != view.state;
}

bool health_test(struct health *health, bool is_early, uint64_t lease_us, uint64_t now_us,
                 struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view, next;

    do {
        bool is_due;

        view = unpack(word);
        is_due = view.until_us <= now_us ||
                 (is_early && (view.state == KEY_COOLING || view.state == KEY_TESTING));
        if (!is_due || !(health_is_benched(view.state) || view.state == KEY_TESTING))
            return false;
        next = view;
        next.state = KEY_TESTING;
        next.until_us = now_us + lease_us + 1;
    } while (!health_move(health, &word, next, moves));
    return true;
}

bool health_pass(struct health *health, struct health_moves *moves)
{
    uint64_t word = load(health);

    do {
        if (unpack(word).state != KEY_TESTING)
            return false;
    } while (!health_move(health, &word, (struct health_view){.state = KEY_HEALTHY}, moves));
    return true;
}

void health_drop(struct health *health, uint64_t now_us, struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view;

    do {
        view = unpack(word);
        if (view.state != KEY_TESTING || view.until_us <= now_us)
            return;
        /* Rounded down, so that it is over now. */
        view.until_us = now_us > US_PER_MS ? now_us / US_PER_MS * US_PER_MS : US_PER_MS;
    } while (!health_move(health, &word, view, moves));
}

bool health_good(struct health *health, struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view;

    do {
        view = unpack(word);
        if (view.state != KEY_TRIAL && !(view.state == KEY_HEALTHY && view.failures))
            return false;
    } while (!health_move(health, &word, (struct health_view){.state = KEY_HEALTHY}, moves));
    return view.state != KEY_HEALTHY;
}

bool health_probed(struct health *health, enum key_health state, struct health_moves *moves)
{
    uint64_t word = load(health);
    struct health_view view;

    do {
        view = unpack(word);
        if (view.state == state || !(key_health_rows[view.state].moves & SM_TO(state)))
            return false;
    } while (!health_move(health, &word, (struct health_view){.state = state}, moves));
    return true;
}

/* No move of the table: a key does not go from NEW to a bench, but it may begin there. */
bool health_restore(struct health *health, enum key_health state, uint32_t failures,
                    uint64_t until_us, struct health_moves *moves)
{
    const struct health_view next = {
        .state = state,
        .failures = failures < HEALTH_FAILURES_MAX ? (uint16_t)failures : HEALTH_FAILURES_MAX,
        .until_us = state == KEY_INVALID ? 0
                    : until_us           ? until_us
                                         : 1,
    };
    uint64_t word = load(health);
    struct health_view view;

    if (!health_is_benched(state) && state != KEY_INVALID)
        return false;
    do {
        view = unpack(word);
        if (view.state != KEY_NEW && !is_trusted(view.state))
            return false;
        if (view.state == KEY_HEALTHY && state == KEY_INVALID)
            return false;
    } while (!put(health, &word, next, moves));
    return true;
}
