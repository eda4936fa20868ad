#include "dialect/failure.h"

#include "base/bug.h"

static const struct failure_row rows[FAILURE_COUNT] = {
#define FAILURE(name, label, status, code, type, may_retry, blame, message)                        \
    [FAILURE_##name] = {label, status, code, type, may_retry, blame, message},
#include "tables/failures.def"
#undef FAILURE
};

const struct failure_row *failure_row(enum failure failure)
{
    bug_fatal_unless((unsigned)failure < FAILURE_COUNT);
    return &rows[failure];
}
