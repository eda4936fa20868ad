/*
 * Who may call the data plane. A table made from one configuration and never changed: client keys
 * as SHA-256 digests, found by digest and compared in constant time. What a client has used stands
 * in its limiter, which outlives the table. Any number of threads may ask; the table belongs to the
 * snapshot, and the configuration it was made from must live as long.
 */
#ifndef ACCESS_CLIENTS_H
#define ACCESS_CLIENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access/limiter.h"
#include "access/purse.h"
#include "base/span.h"
#include "conf/config.h"

/* One caller. Borrowed from the table. */
struct client {
    struct span name;       /* "anonymous" for a caller without a key of its own */
    struct span class_name; /* "standard" where nothing is said */
    struct span pool_name;
    uint64_t pool;           /* map_hash of pool_name; 0: none */
    struct limiter *limiter; /* NULL: no limits */
    /* With budgets: what may be spent, its own and by all of its pool; NULL: no budget. */
    struct purse *purse, *pool_purse;
    const struct conf_budget *budget, *pool_budget;
    const struct conf_client *conf; /* NULL: anonymous */
    uint32_t index;                 /* below clients_count: for counters; or CLIENT_ISSUED */
};

struct clients;
struct issued;

/* The table of that configuration, with the limiters and purses of the books. 0, ERR_NOMEM or
 * ERR_FULL. */
int clients_new(const struct config *config, struct limiter_book *limiters,
                struct purse_book *purses, struct clients **ret_clients);
void clients_free(struct clients **place);

/* How many there are, the anonymous one among them; and each of them. */
size_t clients_count(const struct clients *clients);
const struct client *clients_at(const struct clients *clients, size_t index);

enum clients_verdict {
    CLIENTS_OK,
    CLIENTS_MISSING, /* no key was sent, and one is needed */
    CLIENTS_UNKNOWN,
    CLIENTS_EXPIRED,
};

enum { CLIENTS_MEMO_ENTRIES = 256, CLIENTS_TAG_BYTES = 16 };

/* Who sent which secret lately, so that its SHA-256 is not computed for every request: by a keyed
 * hash of 128 bits (SipHash-2-4), whose key nobody outside knows. Embedded in a worker, which
 * clears it whenever it changes to another table; one thread. */
struct clients_memo {
    uint8_t key[CLIENTS_TAG_BYTES];
    struct {
        uint8_t tag[CLIENTS_TAG_BYTES];
        const struct client *client; /* NULL: empty */
    } entries[CLIENTS_MEMO_ENTRIES];
};

/* Empties it. key: random bytes. */
void clients_memo_clear(struct clients_memo *memo, const uint8_t key[CLIENTS_TAG_BYTES]);

/* Whose secret that is, of these or of those that were issued (NULL: none); an empty one means that
 * none was sent. Where clients are open, any other caller is the anonymous client (an expired key
 * stays expired, one that was issued and revoked stays refused). memo may be NULL. *ret_client is
 * written with CLIENTS_OK. The time does not depend on the number of clients. */
enum clients_verdict clients_find(const struct clients *clients, const struct issued *issued,
                                  struct clients_memo *memo, struct span secret, uint64_t wall_us,
                                  const struct client **ret_client);

/* The token of an Authorization field: "Bearer TOKEN", the scheme in any case (RFC 6750 2.1). Empty
 * where it is something else. */
struct span clients_bearer(struct span field);

/* May it use the model of that name? */
bool client_may_use(const struct client *client, struct span model);

#endif
