/*
 * Where Azure's wire format differs from OpenAI's: what azure_failure.c offers to the tables in
 * azure.c and responses.c. The contracts are those of struct sim_dialect. One thread.
 */
#ifndef SIM_AZURE_H
#define SIM_AZURE_H

#include "sim/dialect.h"

/* --- azure.c --- */

/* As sim_dialect.credential. */
struct span sim_azure_credential(const struct http_head *head);

/* True where the query names an api-version, without which the older paths lead nowhere. */
bool sim_azure_has_version(struct span query);

/* --- azure_failure.c --- */

/* As sim_dialect.write_failure. */
int sim_azure_write_failure(const struct sim_failure *failure, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_azure_write_failure_event(const struct sim_failure *failure, const struct sim_stamp *stamp,
                                   struct buf *body);

/* As sim_dialect.write_fields. */
void sim_azure_write_fields(const struct sim_head_facts *facts, struct buf *fields);

#endif
