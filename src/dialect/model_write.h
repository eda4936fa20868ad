/*
 * The models that a client may use, as its dialect lists them. Pure; any thread.
 */
#ifndef DIALECT_MODEL_WRITE_H
#define DIALECT_MODEL_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/span.h"
#include "dialect/dialect.h"
#include "dialect/model_list.h"

/* Appends one model, as GET …/models/{id} answers. 0, ERR_FULL or ERR_NOMEM, remembered by the
 * buffer. */
int model_write(struct buf *buf, enum dialect_id dialect, const struct model_entry *model);

/* A list that is written one model after another. */
struct model_writer {
    struct buf *buf;
    enum dialect_id dialect;
    size_t count;
    struct span first, last; /* ids; borrowed until model_writer_end */
};

void model_writer_begin(struct model_writer *writer, struct buf *buf, enum dialect_id dialect);
void model_writer_add(struct model_writer *writer, const struct model_entry *model);
void model_writer_end(struct model_writer *writer);

#endif
