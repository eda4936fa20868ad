#include "canary/turns.h"

enum { WHOLE = TURNS_WHOLE_PPM };

/* Where in this whole its turn comes is drawn: a turn at a fixed place would meet the same kind of
 * request for ever where those have a rhythm of their own. */
static void draw_mark(struct turns *turns)
{
    turns->mark = 1 + (int32_t)rand_below(&turns->rand, WHOLE);
    turns->is_due = false;
}

void turns_init(struct turns *turns, uint64_t seed)
{
    rand_init(&turns->rand, seed);
    turns->passed = 0;
    draw_mark(turns);
}

bool turns_step(struct turns *turns, uint32_t share_ppm)
{
    if (!turns->is_due)
        turns->passed += (int32_t)share_ppm;
    turns->is_due = turns->passed >= turns->mark;
    return turns->is_due;
}

void turns_take(struct turns *turns)
{
    turns->passed -= WHOLE;
    /* However long it stood in for others, it has its turns again soon after. */
    if (turns->passed < -WHOLE)
        turns->passed = -WHOLE;
    draw_mark(turns);
}

void turns_give_back(struct turns *turns)
{
    if (turns->passed < WHOLE)
        turns->passed += WHOLE;
    turns->mark = turns->passed; /* its turn is now, as it was then */
    turns->is_due = true;
}
