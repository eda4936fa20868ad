/*
 * What clients may ask for, from tables/inbound.def. Constant; any thread.
 */
#ifndef EXCHANGE_INBOUND_H
#define EXCHANGE_INBOUND_H

#include "base/span.h"
#include "http/head.h"

enum inbound_kind {
#define INBOUND(kind, method, path, access, meaning) INBOUND_##kind,
#include "tables/inbound.def"
#undef INBOUND
    INBOUND_COUNT,
};

enum inbound_access { ACCESS_GENERATE, ACCESS_LIST, ACCESS_OPEN };

struct inbound_row {
    enum inbound_kind kind;
    enum http_method method;
    struct span path; /* without the '*' */
    bool is_prefix;
    enum inbound_access access;
};

enum inbound_verdict { INBOUND_FOUND, INBOUND_NO_PATH, INBOUND_NO_METHOD };

/* The row for a method (HEAD is taken as GET) and a path; *ret_row also with INBOUND_NO_METHOD, for
 * the Allow field. */
enum inbound_verdict inbound_find(enum http_method method, struct span path,
                                  const struct inbound_row **ret_row);

#endif
