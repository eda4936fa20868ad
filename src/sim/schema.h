/*
 * JSON that fits a JSON Schema, as an answer to a text: how a structured output is computed. The
 * same schema and text give the same bytes. Pure; any thread.
 */
#ifndef SIM_SCHEMA_H
#define SIM_SCHEMA_H

#include <yyjson.h>

#include "base/buf.h"
#include "sim/ask.h"

/* Appends a value that fits: of an object its required properties in the order in which they are
 * declared, or all of them where nothing is required; docs/simulator.md has the rules. Written with
 * a space behind each colon and comma. A NULL schema gives {"text": TEXT, "hash": "HASH"}. 0,
 * ERR_FULL where the buffer's maximum or the depth is reached, ERR_NOMEM. */
int sim_schema_fill(yyjson_val *schema, const struct sim_text *text, struct buf *out);

/* The same where only the text counts. */
void sim_schema_plain(const struct sim_text *text, struct buf *out);

#endif
