/*
 * Tells of keys of which their provider counts more use than went through here, so that somebody
 * else has them too. The providers are asked whose issuer has an administrator's key by which that
 * can be known (OpenAI's), once in a span of time, some time after its end; a provider that does
 * not answer is asked ever more seldom, and the log says so. The control thread's.
 */
#ifndef SERVER_USAGE_WATCH_H
#define SERVER_USAGE_WATCH_H

#include "alerts/alert.h"
#include "exchange/snapshot.h"
#include "io/loop.h"
#include "obs/log.h"
#include "rotation/rotation.h"
#include "secrets/fetch.h"

/* Ten requests with 100,000 tokens in a span at least; more than a hundredth of our requests, and
 * than a tenth of our tokens, which are not known of each. */
#define USAGE_REQUESTS_AT_LEAST 10
#define USAGE_TOKENS_AT_LEAST   100000
#define USAGE_REQUESTS_ABOVE    0.01
#define USAGE_TOKENS_ABOVE      0.1

struct usage_watch;

/* All of it outlives the watch. */
struct usage_watch_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    struct log *log;
    struct rotation *(*rotation)(void *owner, struct span provider); /* NULL: it has none */
    void (*on_alert)(void *owner, const struct alert *alert);        /* borrowed for the call */
    void *owner;
};

/* NULL without memory. Nothing is watched at first. */
struct usage_watch *usage_watch_new(const struct usage_watch_options *options);

/* What is under way ends untold. Accepts a pointer to NULL. */
void usage_watch_free(struct usage_watch **place);

/* The providers of that snapshot from now on; borrowed until the next call. What was counted for
 * one that stays is kept, where its spans are the same. One for which there is no memory is not
 * watched, until the next call. */
void usage_watch_set(struct usage_watch *watch, const struct snapshot *snapshot);

#endif
