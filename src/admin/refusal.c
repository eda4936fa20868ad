#include "admin/refusal.h"

static const struct failure_row rows[] = {
#define ADMIN_REFUSAL(symbol, status, code, message)                                               \
    [REFUSAL_##                                                                                    \
        symbol] = {code, status, code, "invalid_request_error", false, BLAME_CLIENT, message},
#include "tables/admin.def"
#undef ADMIN_REFUSAL
};

const struct failure_row *refusal_row(enum refusal refusal)
{
    return &rows[refusal];
}
