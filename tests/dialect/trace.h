/*
 * Writes down what a reader of answers tells, one line an event, for tests to compare with:
 *
 *     START id=chatcmpl-1 model=m created=7
 *     TEXT 0 "Hi"
 *     CALL_BEGIN 0/0 id=call_1 name=f
 *     CALL_ARGS 0/0 "{}"
 *     FINISH 0 stop
 *     USAGE 5+2=7 cached=1
 *     END
 *
 * A sink; owned by the test.
 */
#ifndef TESTS_DIALECT_TRACE_H
#define TESTS_DIALECT_TRACE_H

#include "dialect/chat_answer.h"

struct trace {
    struct chat_sink sink;
    struct buf text;
};

void trace_init(struct trace *trace);
void trace_fini(struct trace *trace);

#endif
