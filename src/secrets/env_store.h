/*
 * The process's environment as a store that is only read: a path is a variable's name, its value an
 * entry's JSON object, or a key alone. Variables do not change, so nothing that is watched does;
 * writing and removing end with ERR_UNSUPPORTED. Control thread.
 */
#ifndef SECRETS_ENV_STORE_H
#define SECRETS_ENV_STORE_H

#include "secrets/secret_store.h"

/* NULL without memory. */
struct secret_store *env_store_new(struct loop *loop);

#endif
