/*
 * URLs whose bytes an exchange waits for, on their way from its worker to the control thread, which
 * fetches them, and back. Made and freed on the worker; between being sent and coming back it
 * belongs to whoever fetches, but for one flag. An exchange that has gone meanwhile is not found.
 */
#ifndef EXCHANGE_MEDIA_ERRAND_H
#define EXCHANGE_MEDIA_ERRAND_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "dialect/media.h"
#include "io/loop.h"
#include "keypool/waiting.h"

struct exchange_host;

enum { MEDIA_ERRAND_TYPE_BYTES = 128 };

/* One URL and what came of it. */
struct media_parcel {
    struct span url; /* with a NUL behind it; the errand's */
    int err;         /* 0: it is there; ERR_NOMEM; any other: it cannot be had, as `why` says */
    struct buf base64;
    char type[MEDIA_ERRAND_TYPE_BYTES]; /* its Content-Type; empty: none */
    char why[MEDIA_WORDS_BYTES];        /* as for media_fail */
};

struct media_errand {
    struct loop_mail mail; /* of whoever sends it */
    struct exchange_host *host;
    struct waiting_ticket ticket; /* of the exchange that waits */
    void *keeper;                 /* free for whoever fetches, with the three below */
    struct list link;
    size_t begun, ended; /* parcels */
    uint64_t max_bytes;  /* of each one, before Base64 */
    uint64_t timeout_us;
    bool is_private; /* from private addresses too */
    struct {
        /* Set by the worker when nobody waits any more, read by whoever fetches: relaxed, for
         * nothing hangs on it but time. */
        atomic_bool is_unwanted;
    } shared;
    size_t count;
    struct media_parcel parcels[];
};

/* For these URLs, which are copied; NULL without memory. */
struct media_errand *media_errand_new(const struct span *urls, size_t count);

/* All parcels have ended: goes back to its worker, which frees it. Any thread; the host's loop must
 * live. */
void media_errand_return(struct media_errand *errand);

/* Accepts a pointer to NULL. */
void media_errand_free(struct media_errand **errand);

#endif
