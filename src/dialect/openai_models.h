/*
 * What a provider says it serves: its answer to GET /models, kept by rising id. Made once and then
 * never changed; counted, so that workers may read a list that is being replaced. Pure; any thread.
 */
#ifndef DIALECT_OPENAI_MODELS_H
#define DIALECT_OPENAI_MODELS_H

#include <stdatomic.h>
#include <stddef.h>

#include "base/span.h"
#include "dialect/openai_error.h"

enum {
    OPENAI_MODELS_BODY_MAX = 1 << 20, /* of an answer; a longer one is not read */
    OPENAI_MODELS_MAX = 2000,         /* models kept of one answer */
    OPENAI_MODEL_ID_MAX = 256,        /* bytes; a model with a longer id is left out */
};

struct openai_models {
    atomic_uint refs; /* acquire-release on the last drop */
    size_t count;
    struct openai_model items[]; /* their texts stand behind them in the same block */
};

/* Reads {"data":[{"id","created","owned_by"},…]}, or a bare array of such objects. What has no id
 * is left out, an id given twice stands once. 0, ERR_SYNTAX where it is no such list, ERR_FULL
 * where it is too large, ERR_NOMEM. */
int openai_models_read(struct span body, struct openai_models **ret_models);

struct openai_models *openai_models_ref(struct openai_models *models);

/* Accepts a pointer to NULL. */
void openai_models_unref(struct openai_models **models);

/* The model of that id, or NULL; also where the list is NULL. */
const struct openai_model *openai_models_find(const struct openai_models *models, struct span id);

#endif
