/*
 * Where DeepSeek's wire format differs from OpenAI's: what deepseek_failure.c offers to the table
 * in deepseek.c. The contracts are those of struct sim_dialect. One thread.
 */
#ifndef SIM_DEEPSEEK_H
#define SIM_DEEPSEEK_H

#include "sim/dialect.h"

/* As sim_dialect.write_failure. */
int sim_deepseek_write_failure(const struct sim_failure *failure, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_deepseek_write_failure_event(const struct sim_failure *failure,
                                      const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_fields. */
void sim_deepseek_write_fields(const struct sim_head_facts *facts, struct buf *fields);

#endif
