/*
 * What is known of each kind of provider, from tables/providers.def. Constant data; any thread.
 */
#ifndef CONF_PROVIDER_KIND_H
#define CONF_PROVIDER_KIND_H

#include <stdbool.h>

#include "base/span.h"

enum provider_kind {
#define KIND(id, ...) PROVIDER_##id,
#include "tables/providers.def"
#undef KIND
    PROVIDER_KINDS
};

/* May `stream_options.include_usage` be asked for. */
enum include_usage { INCLUDE_USAGE_NO, INCLUDE_USAGE_YES, INCLUDE_USAGE_TRY };

struct provider_row {
    struct span name;
    struct span base_url;    /* empty: the file must say it */
    struct span environment; /* "OPENAI" of OPENAI_API_KEY; empty: none */
    struct span key_header;  /* "Authorization" */
    struct span key_prefix;  /* "Bearer ": what stands before the key in the field */
    struct span usual_look;  /* "sk-": what keys start with; empty: anything */
    struct span probe_method;
    struct span probe_path;
    enum include_usage include_usage;
};

/* The row of a kind; never NULL. */
const struct provider_row *provider_row(enum provider_kind kind);

/* The kind of that name: true and *ret_kind, or false. */
bool provider_kind_find(struct span name, enum provider_kind *ret_kind);

#endif
