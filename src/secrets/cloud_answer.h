/*
 * Answers of clouds' REST APIs, as far as they are alike: an object, and of a refusal a reason and
 * a message (Google: error.status; Azure: error.code, or error.innererror.code; Kubernetes:
 * reason). Read without trust. No state; any thread.
 */
#ifndef SECRETS_CLOUD_ANSWER_H
#define SECRETS_CLOUD_ANSWER_H

#include <stdbool.h>

#include "secrets/secret_store_kind.h"

/* The root object; NULL, with ERR_PROTO or ERR_NOMEM, where there is none. secret_tree_fini in any
 * case. */
yyjson_val *cloud_answer_root(struct json_tree *tree, struct span body, int *ret_err);

/* The body's reason is that word. */
bool cloud_answer_is(struct span body, const char *reason);

/* Appends "NOT_FOUND: Secret [..] not found", as the server says it. */
void cloud_answer_words(struct span body, struct buf *out);

/* What a status that is no success stands for. */
int cloud_answer_err(int status);

/* What follows the last '/': of a resource's name, or a URL. */
struct span cloud_answer_tail(struct span name);

#endif
