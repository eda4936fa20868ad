/*
 * Names that a provider has retired, and the living models that take their place:
 * tables/retired.def. Constant; any thread. Pure.
 */
#ifndef ROUTE_RETIRED_H
#define ROUTE_RETIRED_H

#include "base/span.h"
#include "conf/provider_kind.h"

/* What a provider of that kind is asked for in place of that model; an empty span where it lives.
 */
struct span retired_successor(enum provider_kind kind, struct span model);

#endif
