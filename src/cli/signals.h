/*
 * Signals as events of a loop: they are blocked, and read from a descriptor. Main thread, before
 * others start.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "io/loop.h"

struct signals;

/* on_signal is called with SIGINT, SIGTERM, SIGHUP or SIGUSR1. 0, ERR_NOMEM or ERR_FULL. */
int signals_new(struct loop *loop, void (*on_signal)(void *owner, int number), void *owner,
                struct signals **ret_signals);
void signals_free(struct signals **signals);

#endif
