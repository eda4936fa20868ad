/*
 * Calls of a command to a running gateway: it may block, as it does nothing else. Main thread.
 */
#ifndef CLI_CALL_H
#define CLI_CALL_H

#include "base/buf.h"
#include "base/secret.h"
#include "conf/address.h"

/* A connection to one of the address's places; its calls give up after seconds without progress.
 * -1 with errno. The caller closes it. */
int call_open(const struct conf_address *target);

/* One request, and its whole answer: the status, with the body in *ret_body; -1 with errno where
 * none came. token: NULL for none. body: "" for none. */
int call_ask(const struct conf_address *address, const char *method, const char *path,
             const struct secret *token, const char *body, struct buf *ret_body);

#endif
