/*
 * What a client can see go wrong: the rows of tables/failures.def, with the enum that names them.
 * Constant; any thread.
 */
#ifndef DIALECT_FAILURE_H
#define DIALECT_FAILURE_H

#include <stdbool.h>

enum failure {
#define FAILURE(name, label, status, code, type, may_retry, blame, message) FAILURE_##name,
#include "tables/failures.def"
#undef FAILURE
    FAILURE_COUNT,
};

/* Who is to blame, for logs and metrics. */
enum failure_blame {
    BLAME_CLIENT,
    BLAME_KEY,
    BLAME_ENDPOINT,
    BLAME_GATEWAY,
};

struct failure_row {
    const char *label; /* in logs and metrics */
    int status;        /* HTTP status */
    const char *code;  /* the body's `code` */
    const char *type;  /* the body's `type` in OpenAI's dialect */
    bool may_retry;    /* false: x-should-retry: false, whatever the status suggests */
    enum failure_blame blame;
    const char *message; /* where nothing better is known */
};

/* The row; failure is below FAILURE_COUNT. */
const struct failure_row *failure_row(enum failure failure);

#endif
