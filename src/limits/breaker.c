#include "limits/breaker.h"

#include "base/bug.h"
#include "base/clock.h"
#include "base/sm.h"

static const struct sm_state rows[BREAKER_STATES] = {
    [BREAKER_CLOSED] = {"closed", "all calls pass and are counted", SM_TO(BREAKER_OPEN)},
    [BREAKER_OPEN] = {"open", "no call passes until its time is up",
                      SM_TO(BREAKER_HALF_OPEN) | SM_TO(BREAKER_CLOSED)},
    [BREAKER_HALF_OPEN] = {"half_open", "a few calls try",
                           SM_TO(BREAKER_OPEN) | SM_TO(BREAKER_CLOSED) | SM_TO(BREAKER_HALF_OPEN)},
};

/* The word, unpacked. 38 bits of milliseconds are eight years of uptime. */
struct view {
    enum breaker_state state;
    uint8_t turn;   /* counts half-open times */
    uint8_t issued; /* calls let through in this half-open time */
    uint8_t good;   /* of those, how many went well */
    uint64_t
        until_ms; /* OPEN: when it ends; HALF_OPEN: when calls without a result count as lost */
};

static struct view unpack(uint64_t word)
{
    return (struct view){
        .state = (enum breaker_state)(word & 3),
        .turn = (uint8_t)(word >> 2),
        .issued = (uint8_t)(word >> 10),
        .good = (uint8_t)(word >> 18),
        .until_ms = word >> 26,
    };
}

static uint64_t pack(struct view view)
{
    uint64_t word = view.until_ms;

    word = word << 8 | view.good;
    word = word << 8 | view.issued;
    word = word << 8 | view.turn;
    return word << 2 | (uint64_t)view.state;
}

static uint64_t ms_up(uint64_t us)
{
    return (us + US_PER_MS - 1) / US_PER_MS;
}

static uint8_t calls_of(const struct breaker_settings *settings)
{
    uint32_t calls = settings->half_open_calls;

    if (calls < 1)
        return 1;
    return (uint8_t)(calls < BREAKER_MAX_CALLS ? calls : BREAKER_MAX_CALLS);
}

static bool invariant_holds(struct view view)
{
    switch (view.state) {
    case BREAKER_CLOSED:
        return view.issued == 0 && view.good == 0 && view.until_ms == 0;
    case BREAKER_OPEN:
        return view.issued == 0 && view.good == 0 && view.until_ms > 0;
    case BREAKER_HALF_OPEN:
        return view.good <= view.issued && view.until_ms > 0;
    case BREAKER_STATES:
        break;
    }
    return false;
}

/* The only writer of the word: checks the move, and counts it where the state is another one. False
 * where the word changed meanwhile; *word is then the new one. */
static bool move(struct breaker *breaker, uint64_t *word, struct view next)
{
    enum breaker_state from = unpack(*word).state;

    bug_fatal_unless(from == next.state || (rows[from].moves & SM_TO(next.state)));
    bug_fatal_unless(invariant_holds(next));
    if (!atomic_compare_exchange_weak_explicit(&breaker->word, word, pack(next),
                                               memory_order_acq_rel, memory_order_acquire))
        return false;
    if (from != next.state)
        atomic_fetch_add_explicit(&breaker->moves[next.state], 1, memory_order_relaxed);
    return true;
}

static uint64_t load(const struct breaker *breaker)
{
    return atomic_load_explicit(&breaker->word, memory_order_acquire);
}

void breaker_init(struct breaker *breaker)
{
    atomic_init(&breaker->word, 0);
    tally_init(&breaker->failures);
    for (int i = 0; i < BREAKER_STATES; i++)
        atomic_init(&breaker->moves[i], 0);
}

const char *breaker_state_text(enum breaker_state state)
{
    return rows[state].name;
}

enum breaker_state breaker_state(const struct breaker *breaker, uint64_t now_us)
{
    struct view view = unpack(load(breaker));

    if (view.state == BREAKER_OPEN && view.until_ms * US_PER_MS <= now_us)
        return BREAKER_HALF_OPEN;
    return view.state;
}

enum breaker_state breaker_look(const struct breaker *breaker, uint64_t now_us,
                                uint64_t *ret_until_us)
{
    struct view view = unpack(load(breaker));
    bool is_open = view.state == BREAKER_OPEN && view.until_ms * US_PER_MS > now_us;

    *ret_until_us = is_open ? view.until_ms * US_PER_MS : 0;
    return view.state == BREAKER_OPEN && !is_open ? BREAKER_HALF_OPEN : view.state;
}

bool breaker_restore(struct breaker *breaker, uint64_t until_us)
{
    uint64_t word = load(breaker);
    struct view view;

    do {
        view = unpack(word);
        if (view.state != BREAKER_CLOSED)
            return false;
        view.state = BREAKER_OPEN;
        view.until_ms = until_us ? ms_up(until_us) : 1;
    } while (!move(breaker, &word, view));
    return true;
}

uint64_t breaker_shut_until(const struct breaker *breaker, const struct breaker_settings *settings,
                            uint64_t now_us)
{
    struct view view = unpack(load(breaker));
    uint64_t until_us = view.until_ms * US_PER_MS;

    if (view.state == BREAKER_HALF_OPEN && view.issued < calls_of(settings))
        return 0;
    return until_us > now_us ? until_us : 0;
}

bool breaker_enter(struct breaker *breaker, const struct breaker_settings *settings,
                   bool is_last_way, uint64_t now_us, struct breaker_pass *ret_pass)
{
    uint64_t word = load(breaker);
    struct view view, next;

    do {
        view = unpack(word);
        if (view.state == BREAKER_CLOSED) {
            *ret_pass = (struct breaker_pass){.is_trial = false};
            return true;
        }
        next = view;
        if (view.state == BREAKER_HALF_OPEN && view.issued < calls_of(settings)) {
            next.issued++;
        } else {
            bool may_turn = view.until_ms * US_PER_MS <= now_us;

            if (!may_turn && !(view.state == BREAKER_OPEN && is_last_way))
                return false;
            next = (struct view){.state = BREAKER_HALF_OPEN, .turn = view.turn, .issued = 1};
            next.turn++;
        }
        next.until_ms = ms_up(now_us + settings->open_us) + 1;
    } while (!move(breaker, &word, next));
    *ret_pass = (struct breaker_pass){.is_trial = true, .turn = next.turn};
    return true;
}

static bool is_over(const struct breaker *breaker, const struct breaker_settings *settings,
                    uint64_t good, uint64_t now_us)
{
    uint64_t failures = tally_sum(&breaker->failures, settings->window_us, now_us);

    return failures >= settings->failures &&
           failures * 1000000 >= (uint64_t)settings->ratio_ppm * (failures + good);
}

/* A failure in a closed breaker: counted, and maybe one too many. A result that comes when it is no
 * longer closed changes nothing: the trials decide. */
static bool fail_closed(struct breaker *breaker, const struct breaker_settings *settings,
                        uint64_t good, uint64_t now_us)
{
    uint64_t word;
    struct view view;

    tally_add_shared(&breaker->failures, settings->window_us, now_us);
    if (!is_over(breaker, settings, good, now_us))
        return false;
    word = load(breaker);
    do {
        view = unpack(word);
        if (view.state != BREAKER_CLOSED)
            return false;
        view.state = BREAKER_OPEN;
        view.until_ms = ms_up(now_us + settings->open_us) + 1;
    } while (!move(breaker, &word, view));
    return true;
}

/* What a trial's result makes of the word. */
static struct view after_trial(struct view view, const struct breaker_settings *settings,
                               enum breaker_result result, uint64_t now_us)
{
    switch (result) {
    case BREAKER_GOOD:
        if (++view.good >= calls_of(settings))
            view = (struct view){.state = BREAKER_CLOSED, .turn = view.turn};
        break;
    case BREAKER_BAD:
        view = (struct view){.state = BREAKER_OPEN, .turn = view.turn};
        view.until_ms = ms_up(now_us + settings->open_us) + 1;
        break;
    case BREAKER_NEUTRAL:
        if (view.issued > view.good)
            view.issued--;
        break;
    }
    return view;
}

static bool leave_trial(struct breaker *breaker, const struct breaker_settings *settings,
                        uint8_t turn, enum breaker_result result, uint64_t now_us)
{
    uint64_t word = load(breaker);
    struct view view, next;

    do {
        view = unpack(word);
        if (view.state != BREAKER_HALF_OPEN || view.turn != turn)
            return false;
        next = after_trial(view, settings, result, now_us);
    } while (!move(breaker, &word, next));
    if (next.state == BREAKER_CLOSED)
        tally_clear(&breaker->failures);
    return next.state != view.state;
}

bool breaker_leave(struct breaker *breaker, const struct breaker_settings *settings,
                   struct breaker_pass pass, enum breaker_result result, uint64_t good,
                   uint64_t now_us)
{
    if (pass.is_trial)
        return leave_trial(breaker, settings, pass.turn, result, now_us);
    if (result == BREAKER_BAD)
        return fail_closed(breaker, settings, good, now_us);
    return false;
}

bool breaker_close(struct breaker *breaker)
{
    uint64_t word = load(breaker);
    struct view view;

    do {
        view = unpack(word);
        if (view.state == BREAKER_CLOSED)
            return false;
        view = (struct view){.state = BREAKER_CLOSED, .turn = view.turn};
    } while (!move(breaker, &word, view));
    tally_clear(&breaker->failures);
    return true;
}
