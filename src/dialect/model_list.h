/*
 * What a provider says it serves: its answer to GET /models, kept by rising id. Made once and then
 * never changed; counted, so that workers may read a list that is being replaced. Pure; any thread.
 */
#ifndef DIALECT_MODEL_LIST_H
#define DIALECT_MODEL_LIST_H

#include <stdatomic.h>
#include <stddef.h>

#include <stdint.h>

#include "base/span.h"

enum {
    MODEL_LIST_BODY_MAX = 1 << 20, /* of an answer; a longer one is not read */
    MODEL_LIST_MAX = 2000,         /* models kept of one answer */
    MODEL_ID_MAX = 256,            /* bytes; a model with a longer id is left out */
};

struct model_entry {
    struct span id;
    struct span owned_by;
    uint64_t created_s; /* Unix seconds */
};

struct model_list {
    atomic_uint refs; /* acquire-release on the last drop */
    size_t count;
    struct model_entry items[]; /* their texts stand behind them in the same block */
};

/* Reads {"data":[{"id","created","owned_by"},…]} (OpenAI), with "created_at" as a date (Anthropic),
 * a bare array of such objects (Together), or {"models":[{"name":"models/…"},…]} (Gemini). What has
 * no id is left out, an id given twice stands once. 0, ERR_SYNTAX where it is no such list,
 * ERR_FULL where it is too large, ERR_NOMEM. */
int model_list_read(struct span body, struct model_list **ret_models);

struct model_list *model_list_ref(struct model_list *models);

/* Accepts a pointer to NULL. */
void model_list_unref(struct model_list **models);

/* The model of that id, or NULL; also where the list is NULL. */
const struct model_entry *model_list_find(const struct model_list *models, struct span id);

#endif
