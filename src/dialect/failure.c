#include "dialect/failure.h"

#include <stddef.h>

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

enum failure failure_of_framing(int status)
{
    static const enum failure framing[] = {
        FAILURE_REQUEST_TIMEOUT, FAILURE_LENGTH_REQUIRED, FAILURE_BODY_TOO_LARGE,
        FAILURE_URI_TOO_LONG,    FAILURE_MEDIA_TYPE,      FAILURE_EXPECTATION,
        FAILURE_HEAD_TOO_LARGE,  FAILURE_TRANSFER_CODING, FAILURE_HTTP_VERSION,
    };

    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++) {
        if (rows[framing[i]].status == status)
            return framing[i];
    }
    return FAILURE_BAD_FRAMING;
}

const char *failure_blame_text(enum failure_blame blame)
{
    switch (blame) {
    case BLAME_CLIENT:
        return "client";
    case BLAME_KEY:
        return "key";
    case BLAME_ENDPOINT:
        return "endpoint";
    case BLAME_GATEWAY:
        return "gateway";
    }
    return "gateway";
}
