/*
 * Inside OpenAI's wire format: what openai_request.c, openai_answer.c and openai_failure.c offer to
 * the table in openai.c. The contracts are those of struct sim_dialect. One thread.
 */
#ifndef SIM_OPENAI_H
#define SIM_OPENAI_H

#include "sim/dialect.h"

enum { SIM_OPENAI_MAX_DIMENSIONS = 3072 };

/* --- openai_request.c --- */

/* As sim_dialect.parse. */
int sim_openai_parse(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure);

/* --- openai_failure.c --- */

/* As sim_dialect.write_failure. */
int sim_openai_write_failure(const struct sim_failure *failure, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_openai_write_failure_event(const struct sim_failure *failure,
                                    const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_fields. */
void sim_openai_write_fields(const struct sim_head_facts *facts, struct buf *fields);

/* The blank line behind an event. */
void sim_openai_end_event(const struct sim_stamp *stamp, struct buf *out);

/* --- openai_answer.c --- */

/* As sim_dialect.write_answer. */
void sim_openai_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body);

/* As sim_dialect.write_event. */
void sim_openai_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_embeddings. */
void sim_openai_write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                                 struct buf *body);

/* As sim_dialect.write_models. */
void sim_openai_write_models(const struct span *models, size_t count, struct buf *body);

/* As sim_dialect.write_model. */
void sim_openai_write_model(struct span model, struct buf *body);

#endif
