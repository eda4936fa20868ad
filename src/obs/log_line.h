/*
 * A program line as bytes: time, level, message and fields, as JSON or text. Pure; any thread.
 */
#ifndef OBS_LOG_LINE_H
#define OBS_LOG_LINE_H

#include <stddef.h>

#include "obs/log.h"

struct log_line {
    const char *time; /* RFC3339_BYTES */
    enum log_level level;
    const char *message;
    const struct log_field *const *fields;
    size_t field_count;
};

/* Puts the line, its newline included, at `out`, which has LOG_LINE_BYTES; texts are cut so that it
 * fits and stays well formed. Returns its end. */
char *log_line_put(char *out, enum log_format format, const struct log_line *line);

/* "error", "warning", "info" or "debug". */
const char *log_level_text(enum log_level level);

#endif
