/*
 * Tells of keys that spend many times their usual (alerts/usual.h): a stolen client key, or a
 * program that has run wild. Once a minute it reads how many tokens each key has used. The control
 * thread's.
 */
#ifndef SERVER_SPEND_WATCH_H
#define SERVER_SPEND_WATCH_H

#include "alerts/alert.h"
#include "exchange/snapshot.h"
#include "io/loop.h"

/* Ten times its usual, and a million tokens an hour at least. */
#define SPEND_TIMES    10.0
#define SPEND_AT_LEAST 1e6

struct spend_watch;

/* on_alert: borrowed for the call. NULL without memory. Nothing is watched at first. */
struct spend_watch *spend_watch_new(struct loop *loop,
                                    void (*on_alert)(void *owner, const struct alert *alert),
                                    void *owner);

/* Accepts a pointer to NULL. */
void spend_watch_free(struct spend_watch **place);

/* The keys of that snapshot's providers from now on; borrowed until the next call. What a key
 * usually spends is remembered by its name, as long as it is there. */
void spend_watch_set(struct spend_watch *watch, const struct snapshot *snapshot);

#endif
