/*
 * What a request is to libcurl, and what its end means: the inside of secrets/fetch.h, apart from
 * the loop that drives it. The thread of the loop.
 */
#ifndef SECRETS_FETCH_REQUEST_H
#define SECRETS_FETCH_REQUEST_H

#include "secrets/fetch.h"

/* Tells fetch->easy, which is new, all of it: 0 or ERR_NOMEM. */
int fetch_request_set(struct fetch *fetch, const struct fetch_ask *ask);

/* The enum err of a fetch that ended with that CURLcode, which is not 0. */
int fetch_request_err(const struct fetch *fetch, int code);

#endif
