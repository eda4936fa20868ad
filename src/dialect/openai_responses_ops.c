#include "dialect/openai_responses_inner.h"

/* A client's form alone: a provider that speaks it is sent the client's own bytes. */
const struct form_ops openai_responses_ops = {
    .read_request = responses_read_request,
    .reader_size = sizeof(struct responses_reader),
    .read_event = responses_read_event,
    .read_end = responses_read_end,
    .read_answer = responses_read_answer,
    .writer_size = sizeof(struct responses_writer),
    .write_event = responses_write_event,
    .writer_fini = responses_writer_fini,
    .write_answer = responses_write_answer,
};
