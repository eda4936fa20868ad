/*
 * What may be a name in a configuration. Pure; any thread.
 */
#ifndef CONF_NAMES_H
#define CONF_NAMES_H

#include <stdbool.h>

#include "base/span.h"

/* Of a provider, key, account, client or pool: it stands in paths of the admin API, in labels of
 * metrics and in header values. */
bool conf_name_is_valid(struct span name);

#define CONF_NAME_ALLOWED "1 to 64 letters, digits or any of . _ : @ -"

/* Of a model, also as a pattern: visible UTF-8 without spaces. */
bool conf_model_is_valid(struct span name);

/* The same in full: no pattern. */
bool conf_model_is_full(struct span name);

#define CONF_MODEL_ALLOWED "1 to 256 characters without spaces"

/* A header field (RFC 9110 5.1) that a provider's `headers` may set: none of those that frame a
 * message or belong to the connection, for these are the gateway's own. */
bool conf_header_name_is_allowed(struct span name);

/* A header field of a client that `forward_headers` may send upstream: of the above, none that
 * carries a credential or tells who the client is. */
bool conf_field_name_is_allowed(struct span name);

/* True for a field that by its name carries a credential: its value is not printed. */
bool conf_header_name_is_secret(struct span name);

#endif
