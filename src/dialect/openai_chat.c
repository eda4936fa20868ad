/* Chat completions as one of the forms. */
#include "dialect/openai_chat_inner.h"

const struct form_ops openai_chat_ops = {
    .read_request = openai_chat_read_request,
    .write_request = openai_chat_write_request,
    .reader_size = sizeof(struct openai_reader),
    .read_event = openai_chat_read_event,
    .read_end = openai_chat_read_end,
    .read_answer = openai_chat_read_answer,
    .writer_size = sizeof(struct openai_writer),
    .write_event = openai_chat_write_event,
    .writer_fini = openai_chat_writer_fini,
    .write_answer = openai_chat_write_answer,
};
