#include "dialect/openai_error.h"

#include "dialect/error_write.h"

bool openai_error_names_stream_options(const struct dialect_error *error)
{
    const struct span names[] = {SPAN("stream_options"), SPAN("include_usage")};

    for (size_t i = 0; i < 2; i++) {
        if (span_find(dialect_error_message(error), names[i]) != SIZE_MAX ||
            span_find(dialect_error_param(error), names[i]) != SIZE_MAX)
            return true;
    }
    return false;
}

int openai_write_error(struct buf *buf, const struct failure_row *row, struct span message,
                       struct span param)
{
    const struct error_ours ours = {.row = row, .message = message, .param = param};

    return error_write(buf, DIALECT_OPENAI, &ours);
}
