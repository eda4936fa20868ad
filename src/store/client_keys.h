/*
 * The client keys that the gateway has issued: who holds them, what they may, until when. Of a
 * key's secret only its SHA-256 is here, which is all that it takes to know it again. One that was
 * revoked stays for a while, so that it is refused where any other caller is welcome. The thread of
 * the loop.
 */
#ifndef STORE_CLIENT_KEYS_H
#define STORE_CLIENT_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include "store/store.h"

enum {
    CLIENT_KEYS_MAX = 16384,     /* that are loaded: the newest */
    CLIENT_KEYS_MAX_MODELS = 64, /* of one */
};

/* One client key. Names have 1 to 256 bytes. */
struct client_key_row {
    struct span id; /* a name; unique */
    struct span name, class_name;
    uint8_t sha256[STORE_IDENTITY_BYTES]; /* unique */
    const struct span *models;            /* names, or patterns of such; none: all */
    size_t model_count;
    uint64_t rpm, tpm, concurrent, burst; /* 0: no limit */
    uint64_t created_wall_us;
    uint64_t expires_wall_us, revoked_wall_us; /* 0: never, not */
};

/* Writes one, in place of what stands under its id. The answer: ERR_EXISTS where another has its
 * digest. */
int client_keys_put(struct store *store, struct store_ask *ask, const struct client_key_row *row);

/* Forgets one, by id; one that is not kept is no error. The answer's count: keys that were. */
int client_keys_forget(struct store *store, struct store_ask *ask, struct span id);

/* Reads all of them, oldest first (client_keys_told). */
int client_keys_load(struct store *store, struct store_ask *ask);

static inline const struct client_key_row *client_keys_told(const struct store_answer *answer)
{
    return answer->rows;
}

#endif
