/*
 * What the admin address refuses with words of its own: the rows of tables/admin.def. Constant; any
 * thread.
 */
#ifndef ADMIN_REFUSAL_H
#define ADMIN_REFUSAL_H

#include "dialect/failure.h"

enum refusal {
#define ADMIN_REFUSAL(symbol, status, code, message) REFUSAL_##symbol,
#include "tables/admin.def"
#undef ADMIN_REFUSAL
    REFUSAL_COUNT,
};

/* The row; refusal is below REFUSAL_COUNT. */
const struct failure_row *refusal_row(enum refusal refusal);

#endif
