/*
 * A configuration written back as YAML, for `check-config`: every default filled in, secrets
 * masked. Any thread.
 */
#ifndef CONF_PRINT_H
#define CONF_PRINT_H

#include "base/buf.h"
#include "conf/config.h"

/* Appends the effective configuration. A secret reads "***". With the masks replaced by secrets it
 * loads again to an equal configuration. 0 or the buffer's error. */
int config_print(const struct config *config, struct buf *out);

/* Appends every setting that the file knows, from the table: path, type, default, what is allowed
 * and its meaning, tab-separated, a line each. 0 or the buffer's error. */
int config_schema_print(struct buf *out);

#endif
