/*
 * Opens the secret stores of clouds as the configuration declares them. The control thread's.
 */
#ifndef SERVER_CLOUD_STORES_H
#define SERVER_CLOUD_STORES_H

#include "conf/config.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

/* What a store works with, and is outlived by. */
struct cloud_tools {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
};

/* One of those kinds, which the configuration has. 0; ERR_SYNTAX where the store cannot be opened
 * so, and `why` (SECRET_WORDS_BYTES) says what of it; ERR_NOMEM; ERR_UNSUPPORTED: no such kind. */
int cloud_open(const struct cloud_tools *tools, const struct conf_secrets *conf,
               enum conf_store_kind kind, char *why, struct secret_store **ret_store);

#endif
