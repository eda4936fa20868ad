/*
 * Which session an exchange belongs to, for providers whose keys are picked by it. Its worker.
 */
#ifndef EXCHANGE_SESSION_H
#define EXCHANGE_SESSION_H

#include <stdint.h>

struct exchange;

/* By the first of these that is there: the field X-Session-Id; prompt_cache_key, user or
 * metadata.user_id of the body, all of this client alone; else how the conversation begins
 * (dialect/prompt_start.h), whosever it is. Evenly spread (hash_mix); 0 where there is nothing to
 * tell it by. Found out once an exchange; the body must be whole. */
uint64_t session_of(struct exchange *x);

#endif
