/*
 * Inside the wire format of OpenAI's Responses: what responses_request.c, responses_answer.c and
 * responses_stream.c offer to the tables in responses.c. The contracts are those of struct
 * sim_dialect. One thread.
 */
#ifndef SIM_RESPONSES_H
#define SIM_RESPONSES_H

#include "sim/dialect.h"

/* --- responses_request.c --- */

/* As sim_dialect.parse. */
int sim_responses_parse(const struct sim_route *route, struct span body,
                        const struct sim_names *refused, int refused_status, struct arena *arena,
                        struct sim_ask *ret_ask, struct sim_failure *ret_failure);

/* --- responses_answer.c --- */

/* True where a reasoning item stands before the rest of the output. */
bool sim_responses_has_thought(const struct sim_answer *answer);

/* True where the output is calls of tools. */
bool sim_responses_has_calls(const struct sim_answer *answer);

/* How far an item has come. */
enum sim_responses_stage { SIM_RESPONSES_ADDED, SIM_RESPONSES_DONE };

/* The items of an output: empty where they are only added. */
void sim_responses_write_reasoning(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                   enum sim_responses_stage stage, struct buf *out);
void sim_responses_write_message(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                 enum sim_responses_stage stage, struct buf *out);
void sim_responses_write_call(const struct sim_answer *answer, size_t call,
                              enum sim_responses_stage stage, struct buf *out);

/* The part of a message that is text. */
void sim_responses_write_part(const struct sim_answer *answer, enum sim_responses_stage stage,
                              struct buf *out);

/* An item's id, as a JSON string. */
void sim_responses_write_call_id(const struct sim_answer *answer, size_t call, struct buf *out);

/* How the whole response ends: "completed" or "incomplete". */
const char *sim_responses_status(const struct sim_answer *answer);

/* The response; while it is in progress its output is empty. */
void sim_responses_write_response(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                  enum sim_responses_stage stage, struct buf *out);

/* As sim_dialect.write_answer. */
void sim_responses_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                struct buf *body);

/* --- responses_stream.c --- */

/* As sim_dialect.write_event. */
void sim_responses_write_event(const struct sim_answer *answer, const struct sim_event *event,
                               const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_responses_write_failure_event(const struct sim_failure *failure,
                                       const struct sim_stamp *stamp, struct buf *body);

#endif
