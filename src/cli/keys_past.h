/*
 * What `bellwether keys` shows of the past: rotations that are over, and the audit trail. Main
 * thread.
 */
#ifndef CLI_KEYS_PAST_H
#define CLI_KEYS_PAST_H

#include <stdbool.h>
#include <stddef.h>

#include "json/tree.h"

/* Of an answer to GET /v1/admin/rotations: those that have ended, the newest first. */
void keys_show_past(const yyjson_val *root);

/* Of an answer to GET /v1/admin/audit. */
void keys_show_audit(const yyjson_val *root);

/* "/v1/admin/audit" for a provider, for a key of it ("PROVIDER/KEY"), or (NULL) for all. False
 * where it is neither; names need no escapes (conf/names.h). */
bool keys_audit_path(const char *about, char *to, size_t cap);

#endif
