#include "dialect/anthropic.h"

#include "dialect/anthropic_inner.h"

const struct form_ops anthropic_messages_ops = {
    .read_request = anthropic_read_request,
    .write_request = anthropic_write_request,
    .reader_size = sizeof(struct anthropic_reader),
    .read_event = anthropic_read_event,
    .read_end = anthropic_read_end,
    .read_answer = anthropic_read_answer,
    .writer_size = sizeof(struct anthropic_writer),
    .write_event = anthropic_write_event,
    .writer_fini = anthropic_writer_fini,
    .write_answer = anthropic_write_answer,
};

const struct form_ops anthropic_count_ops = {
    .read_request = anthropic_read_request,
    .write_request = anthropic_write_request,
};
