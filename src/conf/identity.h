/*
 * By what a key is known again: across reloads, and wherever its secret comes from. Pure; any
 * thread.
 */
#ifndef CONF_IDENTITY_H
#define CONF_IDENTITY_H

#include <stdint.h>

#include "base/span.h"
#include "conf/config.h"

/* The identity (struct conf_key) of a bare key: SHA-256 over the provider's name, a NUL and the
 * secret. Equal exactly where both are, and telling nothing of the secret, of which no copy is left
 * behind. */
void conf_key_identity(struct span provider, struct span secret,
                       uint8_t ret_identity[CONF_IDENTITY_BYTES]);

#endif
