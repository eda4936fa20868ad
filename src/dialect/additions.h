/*
 * Parameters that a configuration adds to a request where its client sends none (`set` of a model):
 * as text that goes into the client's own body, in the words of its form, so that what happens to
 * the body later on (passing through, translation, another target) treats them like the client's.
 * Pure; any thread.
 */
#ifndef DIALECT_ADDITIONS_H
#define DIALECT_ADDITIONS_H

#include "conf/config.h"
#include "dialect/request_scan.h"

enum { ADDITIONS_BYTES = 1024 };

struct additions {
    uint64_t offset; /* where in the body */
    size_t len;      /* 0: nothing is missing */
    char text[ADDITIONS_BYTES];
};

/* What is missing of `set`. The request must have been looked through for signs. is_old_max: the
 * answer's length is called max_tokens in FORM_CHAT, for providers that do not know its new name. A
 * form that has no such parameter gets none; one that the client sends as null is sent. */
void additions_of(const struct request_scan *request, const struct conf_set *set, bool is_old_max,
                  struct additions *ret_additions);

/* They stand in the body now: what the scan found is moved to where it stands, and the most tokens
 * of the answer are what they say. */
void additions_note(struct request_scan *request, const struct conf_set *set,
                    const struct additions *additions);

#endif
