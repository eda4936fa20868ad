/*
 * The demo's first part: a plain and a streamed answer through the gateway, shown as they come. The
 * thread of the loop.
 */
#ifndef CLI_DEMO_TALK_H
#define CLI_DEMO_TALK_H

#include "io/addr.h"
#include "io/loop.h"

struct demo_talk;

/* A request that anybody can repeat. */
extern const char demo_question[];

/* Begins at once; addr is the gateway's, copied. on_end is called once, not before this has
 * returned, and may free it; why: what went wrong, NULL: nothing. NULL without memory. */
struct demo_talk *demo_talk_new(struct loop *loop, const struct addr *addr,
                                void (*on_end)(void *owner, const char *why), void *owner);

/* Accepts a pointer to NULL. */
void demo_talk_free(struct demo_talk **place);

#endif
