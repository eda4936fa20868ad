/*
 * The secret stores that the configuration names, each opened when it is first needed: one for each
 * kind and connection, shared by all who keep or read something there, and closed with the last of
 * them. With them what they work with, an HTTP client and a helper thread. The control thread's.
 */
#ifndef SERVER_SECRET_STORES_H
#define SERVER_SECRET_STORES_H

#include "base/secret.h"
#include "conf/config.h"
#include "io/helpers.h"
#include "io/loop.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

struct secret_stores;

/* NULL without memory. Both outlive it. */
struct secret_stores *secret_stores_new(struct loop *loop, struct secret_arena *secrets);

/* Nobody may use a store any more. Waits for the helper thread, and turns the loop once. Accepts a
 * pointer to NULL. */
void secret_stores_free(struct secret_stores **stores);

/* The store in which the place lies, under that configuration; to be given back. 0; ERR_NOMEM; what
 * opening ends with, and `why` (SECRET_WORDS_BYTES) says it. A sealed file is read at once, which
 * waits for the disk. */
int secret_stores_take(struct secret_stores *stores, const struct conf_secrets *conf,
                       const struct conf_place *place, char *why, struct secret_store **ret_store);

/* Accepts a pointer to NULL. */
void secret_stores_give(struct secret_stores *stores, struct secret_store **store);

/* Made at first need; NULL without memory. */
struct helpers *secret_stores_helpers(struct secret_stores *stores);

#endif
