/*
 * Names that a provider has retired, and the living models that take their place:
 * tables/retired.def; and those whose end is announced for a day: tables/abilities.def. Constant;
 * any thread. Pure.
 */
#ifndef ROUTE_RETIRED_H
#define ROUTE_RETIRED_H

#include "base/span.h"
#include "conf/provider_kind.h"

/* What a provider of that kind is asked for in place of that model; an empty span where it lives.
 */
struct span retired_successor(enum provider_kind kind, struct span model);

/* An announced end. */
struct retired_end {
    enum provider_kind kind;
    struct span model;
    uint64_t wall_us;      /* from that moment on */
    struct span successor; /* empty: nothing takes its place */
};

/* What is announced of that model, by any of its names; NULL: nothing. */
const struct retired_end *retired_find_end(enum provider_kind kind, struct span model);

#endif
