/*
 * Inside OpenAI's wire format: what openai_request.c, openai_answer.c, openai_stream.c,
 * openai_models.c and openai_failure.c offer to the table in openai.c and to its kin. The contracts
 * are those of struct sim_dialect. One thread.
 */
#ifndef SIM_OPENAI_H
#define SIM_OPENAI_H

#include <yyjson.h>

#include "sim/dialect.h"

/* --- openai_request.c --- */

struct sim_request;

/* What routes of OpenAI's kin carry as their form. */
enum sim_openai_form { SIM_OPENAI_PLAIN, SIM_OPENAI_AZURE, SIM_OPENAI_DEEPSEEK };

/* Reads a body of the route's op, as sim_request_read wants it. */
int sim_openai_read(struct sim_request *in);

/* Whether an effort of reasoning (NULL: none is named) makes the answer think. */
int sim_openai_read_effort(struct sim_request *in, yyjson_val *effort, struct span field);

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

/* --- openai_answer.c --- */

/* As sim_dialect.write_answer. */
void sim_openai_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body);

/* What every answer and every chunk begins with, up to its choices. */
void sim_openai_write_opening(const struct sim_answer *answer, const struct sim_stamp *stamp,
                              const char *object, struct buf *out);

/* The object that is called usage. */
void sim_openai_write_usage(const struct sim_answer *answer, const struct sim_stamp *stamp,
                            struct buf *out);

/* The finish_reason of a choice, a JSON string. */
void sim_openai_write_finish(const struct sim_answer *answer, size_t choice, struct buf *out);

/* The members of one tool call; `arguments` is JSON text, or a custom tool's input. */
void sim_openai_write_tool_call(const struct sim_answer *answer, size_t choice, size_t call,
                                struct span arguments, struct buf *out);

/* Azure's verdicts on a text: an object. */
void sim_openai_write_filters(bool is_blocked, struct buf *out);

/* The member prompt_filter_results. */
void sim_openai_write_prompt_filters(struct buf *out);

/* --- openai_stream.c --- */

/* The member obfuscation, of a length that varies from event to event, as the real one has it
 * against eavesdroppers. */
void sim_openai_write_padding(const struct sim_stamp *stamp, struct buf *out);

/* As sim_dialect.write_event. */
void sim_openai_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body);

/* --- openai_models.c --- */

/* As sim_dialect.write_embeddings. */
void sim_openai_write_embeddings(const struct sim_ask *ask, const struct sim_stamp *stamp,
                                 struct buf *body);

/* As sim_dialect.write_models. */
void sim_openai_write_models(const struct span *models, size_t count, struct buf *body);

/* As sim_dialect.write_model. */
void sim_openai_write_model(struct span model, struct buf *body);

#endif
