/*
 * Inside Anthropic's wire format: what anthropic_request.c, anthropic_messages.c,
 * anthropic_rules.c, anthropic_answer.c and anthropic_failure.c offer to the table in anthropic.c.
 * The contracts are those of struct sim_dialect. One thread.
 */
#ifndef SIM_ANTHROPIC_H
#define SIM_ANTHROPIC_H

#include <yyjson.h>

#include "sim/dialect.h"

struct sim_request;

/* What the anthropic-version header said: a route's form. */
enum sim_anthropic_form {
    SIM_ANTHROPIC_2023, /* 2023-06-01 */
    SIM_ANTHROPIC_2026, /* 2026-10-21, which knows no sampling parameters */
    SIM_ANTHROPIC_UNVERSIONED,
    SIM_ANTHROPIC_MISVERSIONED
};

/* --- anthropic_request.c --- */

/* As sim_dialect.parse. */
int sim_anthropic_parse(const struct sim_route *route, struct span body,
                        const struct sim_names *refused, int refused_status, struct arena *arena,
                        struct sim_ask *ret_ask, struct sim_failure *ret_failure);

/* ERR_SYNTAX where `object`, which stands at `path` (empty: the root), has a member that is none of
 * `names`, words with spaces between them. */
int sim_anthropic_check_names(struct sim_request *in, yyjson_val *object, struct span path,
                              const char *names);

/* True for one or more letters, digits, dashes and underscores. */
bool sim_anthropic_is_name(struct span name);

/* --- anthropic_messages.c --- */

struct sim_anthropic_talk {
    bool is_user_last; /* and says more than results of tools */
    size_t marks;      /* blocks with cache_control */
};

/* Checks the messages and makes the ask's text and tokens of them. `is_thinking`: blocks of thought
 * must come before calls that are being answered. */
int sim_anthropic_read_messages(struct sim_request *in, bool is_thinking,
                                struct sim_anthropic_talk *ret_talk);

/* --- anthropic_rules.c --- */

/* What a model's generation changes; all false for names that are not Anthropic's. */
struct sim_anthropic_rules {
    bool has_no_sampling;    /* temperature, top_p and top_k only at their defaults */
    bool has_no_budget;      /* thinking cannot be `enabled` */
    bool has_no_adaptive;    /* nor `adaptive` */
    bool is_always_thinking; /* nor `disabled` */
    bool has_no_force;       /* tools cannot be forced */
    bool has_no_prefill;     /* the last message is never the assistant's */
};

struct sim_anthropic_rules sim_anthropic_rules_of(struct span model);

/* Checks `thinking` against model and max_tokens, and sets ask->is_thinking. */
int sim_anthropic_read_thinking(struct sim_request *in);

/* Checks temperature, top_p and top_k against version, model and thinking. */
int sim_anthropic_check_sampling(struct sim_request *in);

/* --- anthropic_answer.c --- */

enum { SIM_ANTHROPIC_SIGNATURE_BYTES = 40 };

/* What proves that a thought is ours: NUL-terminated, a function of its text. */
void sim_anthropic_sign(struct span thought, char signature[SIM_ANTHROPIC_SIGNATURE_BYTES]);

/* As sim_dialect.write_answer. */
void sim_anthropic_write_answer(const struct sim_answer *answer, const struct sim_stamp *stamp,
                                struct buf *body);

/* As sim_dialect.write_event. */
void sim_anthropic_write_event(const struct sim_answer *answer, const struct sim_event *event,
                               const struct sim_stamp *stamp, struct buf *body);

/* --- anthropic_failure.c --- */

/* As sim_dialect.write_failure. */
int sim_anthropic_write_failure(const struct sim_failure *failure, struct buf *body);

/* As sim_dialect.write_failure_event. */
void sim_anthropic_write_failure_event(const struct sim_failure *failure,
                                       const struct sim_stamp *stamp, struct buf *body);

/* As sim_dialect.write_fields. */
void sim_anthropic_write_fields(const struct sim_head_facts *facts, struct buf *fields);

#endif
