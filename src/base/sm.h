/*
 * State machines as tables: the states with their meaning, and the moves that are allowed. One
 * function per machine moves it, and calls sm_move, which is the only writer of the state. One
 * thread per machine.
 *
 *     static const struct sm_state rows[] = { [IDLE] = {"idle", "nothing asked yet", SM_TO(BUSY)},
 * ... };
 */
#ifndef BASE_SM_H
#define BASE_SM_H

#include <stdbool.h>
#include <stdint.h>

#define SM_TO(state) (UINT64_C(1) << (state))

struct sm_state {
    const char *name;
    const char *meaning;
    uint64_t moves; /* SM_TO of every state that may follow */
};

struct sm {
    const struct sm_state *rows;
    int state;
};

static inline void sm_init(struct sm *sm, const struct sm_state *rows, int first)
{
    *sm = (struct sm){rows, first};
}

static inline bool sm_may(const struct sm *sm, int next)
{
    return (sm->rows[sm->state].moves & SM_TO(next)) != 0;
}

/* False, and nothing moved, where the table does not allow it: a bug of the caller. */
static inline bool sm_move(struct sm *sm, int next)
{
    if (!sm_may(sm, next))
        return false;
    sm->state = next;
    return true;
}

static inline const char *sm_name(const struct sm *sm)
{
    return sm->rows[sm->state].name;
}

#endif
