/*
 * How the provider of a kind speaks: its dialect, and where it differs from what that says. From
 * tables/providers.def. Constant; any thread.
 */
#ifndef DIALECT_TRAITS_H
#define DIALECT_TRAITS_H

#include "conf/config.h"
#include "dialect/dialect.h"
#include "dialect/quirks.h"

struct traits {
    enum dialect_id dialect;
    uint32_t quirks; /* of enum quirk */
};

/* Of this provider; a compatible one is known by its base URL too. */
struct traits traits_of(const struct conf_provider *provider);

#endif
