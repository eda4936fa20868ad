/*
 * Bytes that grow, and HTTP messages in them, read by code of the tests' own. They ask the heap
 * behind the program's back, so that a test may make any allocation of the program fail meanwhile.
 */
#ifndef TESTS_ROAD_TEXT_H
#define TESTS_ROAD_TEXT_H

#include <stddef.h>

#include "base/span.h"

/* NUL-terminated once anything has been added. Zeroed: empty. */
struct text {
    char *data;
    size_t len, cap;
};

void text_add(struct text *text, const char *data, size_t len);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *text);
void text_free(struct text *text);

/* Bytes of the first message in `rest`, by its strict framing; 0: not whole. *ret_head: its head,
 * empty where that is not whole. */
size_t message_length(struct span rest, struct span *ret_head);

/* The value of a field of a head; empty where there is none. */
struct span message_field(struct span head, const char *name);

#endif
