/*
 * Inside Gemini's wire format: what gemini_names.c, gemini_request.c, gemini_contents.c,
 * gemini_answer.c and gemini_failure.c offer to the table in gemini.c. The contracts are those of
 * struct sim_dialect. One thread.
 */
#ifndef SIM_GEMINI_H
#define SIM_GEMINI_H

#include <yyjson.h>

#include "sim/dialect.h"

struct sim_request;

/* What the path and its query say besides: a route's form. */
enum sim_gemini_form {
    SIM_GEMINI_PLAIN,
    SIM_GEMINI_SSE,   /* a stream of events */
    SIM_GEMINI_ARRAY, /* a stream that is one JSON array */
    SIM_GEMINI_BATCH  /* several embeddings */
};

/* --- gemini_names.c --- */

/* The kinds of messages whose fields are known. */
enum sim_gemini_message {
    SIM_GEMINI_GENERATE,
    SIM_GEMINI_COUNT,
    SIM_GEMINI_EMBED,
    SIM_GEMINI_EMBEDS
};

/* Refuses fields that the message does not have and values that do not fit theirs, to any depth. */
int sim_gemini_check_names(struct sim_request *in, enum sim_gemini_message message);

/* A member that is there and not null, or NULL. `name` is in snake_case; the request may spell it
 * so or in camelCase. */
yyjson_val *sim_gemini_member(yyjson_val *object, const char *name);

/* The same where a text is wanted; ptr NULL: there is none. */
struct span sim_gemini_text(yyjson_val *object, const char *name);

/* --- gemini_contents.c --- */

enum { SIM_GEMINI_SIGNATURE_BYTES = 24 };

/* What the first call of a turn is signed with: NUL-terminated base64, for this model and function
 * alone. */
void sim_gemini_sign(struct span model, struct span function,
                     char signature[SIM_GEMINI_SIGNATURE_BYTES]);

/* True for the models that sign their calls, and want the signature back. */
bool sim_gemini_signs(struct span model);

/* Checks contents and system instruction, and makes the ask's text and tokens of them.
 * *ret_is_user_last: the last content says more than results of functions. */
int sim_gemini_read_contents(struct sim_request *in, bool *ret_is_user_last);

/* Puts one content's text, an input to embed, into the ask, and its tokens. */
int sim_gemini_read_input(struct sim_request *in, yyjson_val *content, struct span field);

/* --- gemini_request.c --- */

/* As sim_dialect.parse. */
int sim_gemini_parse(const struct sim_route *route, struct span body,
                     const struct sim_names *refused, int refused_status, struct arena *arena,
                     struct sim_ask *ret_ask, struct sim_failure *ret_failure);

/* --- gemini_answer.c --- */

/* As sim_dialect.write_answer. */
void sim_gemini_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                             struct buf *body);

/* As sim_dialect.write_event. */
void sim_gemini_write_event(const struct sim_answer *answer, const struct sim_event *event,
                            const struct sim_stamp *stamp, struct buf *body);

/* --- gemini_failure.c --- */

/* As sim_dialect.write_failure. */
int sim_gemini_write_failure(const struct sim_failure *failure, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_gemini_write_failure_event(const struct sim_failure *failure,
                                    const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_fields. */
void sim_gemini_write_fields(const struct sim_head_facts *facts, struct buf *fields);

#endif
