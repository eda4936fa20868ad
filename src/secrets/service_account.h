/*
 * The key file that Google hands out for a service account: JSON with the account's address, its
 * private key, and where tokens are to be asked for. Lives on the stack of who reads it, and is
 * wiped there; one thread.
 */
#ifndef SECRETS_SERVICE_ACCOUNT_H
#define SECRETS_SERVICE_ACCOUNT_H

#include "base/span.h"
#include "json/tree.h"

struct service_account {
    struct span email;
    struct span private_key; /* PEM */
    struct span key_id;      /* empty: not told */
    struct span token_uri;   /* Google's own where the file names none */
    struct json_tree tree;   /* which the texts are borrowed from */
};

/* Reads a key file's text: 0; ERR_SYNTAX with *ret_why, a static text that says what is wrong and
 * shows nothing of it; ERR_NOMEM. service_account_fini is right in any case. */
int service_account_read(struct span json, struct service_account *account, const char **ret_why);

/* Wipes what was read. */
void service_account_fini(struct service_account *account);

#endif
