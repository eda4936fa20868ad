/* The canary's turns among a worker's picks: one in each whole that the share adds up to. */
#include "keypool/trial_body.h"

enum { WHOLE = KEYPOOL_TRIAL_WHOLE };

/* Where in this whole its turn comes is drawn: a turn at a fixed place would meet the same kind of
 * request for ever where those have a rhythm of their own. */
static void draw_mark(struct trial_turns *turns)
{
    turns->mark = 1 + (int32_t)rand_below(&turns->rand, WHOLE);
    turns->is_due = false;
}

void trial_turns_init(struct trial_turns *turns, uint64_t seed)
{
    rand_init(&turns->rand, seed);
    turns->passed = 0;
    draw_mark(turns);
}

bool trial_turns_step(struct trial_turns *turns, uint32_t share_ppm)
{
    if (!turns->is_due)
        turns->passed += (int32_t)share_ppm;
    turns->is_due = turns->passed >= turns->mark;
    return turns->is_due;
}

void trial_turns_take(struct trial_turns *turns)
{
    turns->passed -= WHOLE;
    /* However long it stood in for others, it has its turns again soon after. */
    if (turns->passed < -WHOLE)
        turns->passed = -WHOLE;
    draw_mark(turns);
}

void trial_turns_give_back(struct trial_turns *turns)
{
    if (turns->passed < WHOLE)
        turns->passed += WHOLE;
    turns->mark = turns->passed; /* its turn is now, as it was then */
    turns->is_due = true;
}
