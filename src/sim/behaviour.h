/*
 * How one key behaves: the values that a scenario or a control call sets. Never changed once a key
 * has it: a change makes a new one, so that requests under way keep theirs. Counted, for thousands
 * of keys may share one; one thread.
 */
#ifndef SIM_BEHAVIOUR_H
#define SIM_BEHAVIOUR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "sim/failure.h"
#include "sim/latency.h"
#include "sim/window.h"

enum { SIM_NAME_BYTES = 96, SIM_MAX_NAMES = 16, SIM_MAX_FAULTS = 24 };

struct sim_name {
    char text[SIM_NAME_BYTES]; /* NUL-terminated */
};

struct sim_names {
    struct sim_name names[SIM_MAX_NAMES];
    unsigned count;
};

static inline struct span sim_name_span(const struct sim_name *name)
{
    return span_from_text(name->text);
}

enum sim_key_state {
    SIM_KEY_VALID,
    SIM_KEY_REVOKED,   /* 401 */
    SIM_KEY_DEPLETED,  /* 429 insufficient_quota */
    SIM_KEY_UNPAID,    /* 402 */
    SIM_KEY_FORBIDDEN, /* 403 */
};

enum sim_reset_form {
    SIM_RESET_GO,      /* 6m0s, 7.66s, 76ms */
    SIM_RESET_SECONDS, /* 7.66 */
    SIM_RESET_EPOCH,
    SIM_RESET_RFC3339,
    SIM_RESET_HTTP_DATE,
    SIM_RESET_NONE /* no rate-limit fields at all */
};

enum sim_retry_form {
    SIM_RETRY_SECONDS, /* Retry-After in whole seconds */
    SIM_RETRY_DATE,    /* Retry-After as an HTTP-date */
    SIM_RETRY_MS,      /* retry-after-ms */
    SIM_RETRY_BOTH,    /* seconds and retry-after-ms */
    SIM_RETRY_NONE
};

struct sim_limits {
    uint64_t rpm, tpm, concurrent; /* 0: no limit; requests and tokens are per period */
    uint64_t period_us;
    enum sim_window_kind window;
    enum sim_reset_form reset_form;
    enum sim_retry_form retry_form;
};

enum sim_fault_kind {
#define X(NAME, text, is_failure) SIM_FAULT_##NAME,
#include "sim/faults.def"
#undef X
    SIM_FAULT_COUNT
};

/* How a cut ends the connection. */
enum sim_cut { SIM_CUT_CLOSE, SIM_CUT_RESET, SIM_CUT_END };

enum sim_when { SIM_WHEN_ANY, SIM_WHEN_STREAM, SIM_WHEN_PLAIN };

struct sim_fault {
    enum sim_fault_kind kind;
    enum sim_failure_kind failure; /* of STATUS, ERROR_BODY, ERROR_EVENT, EARLY */
    int status;
    double share;         /* of the requests that the rest speaks of, 0 to 1 */
    uint64_t skip, first; /* spares the first `skip` requests, then befalls `first`; 0: all */
    uint64_t every_us;    /* once in each such period; 0: always */
    unsigned ops;         /* 1 << enum sim_op */
    enum sim_when when;
    struct sim_name model; /* a pattern; empty: any */
    uint64_t for_us, gap_us;
    uint64_t after; /* events before it */
    uint64_t bytes;
    uint64_t retry_after_us;
    enum sim_cut cut;
    struct sim_name reason; /* of FINISH */
};

struct sim_behaviour {
    unsigned refs;
    enum sim_key_state state;
    struct sim_name account; /* empty: one of its own */
    struct sim_limits limits;
    struct sim_latency latency; /* from the whole request to the answer's first byte */
    uint64_t event_gap_us;      /* between the events of a stream */
    uint64_t min_tokens;        /* of an answer */
    uint64_t tool_calls;        /* of an answer to a request with tools */
    uint64_t context_tokens;    /* of a prompt; 0: any */
    uint64_t cached_tokens;     /* at most so many of a prompt count as cached */
    bool has_bare_calls;        /* tools are called without arguments */
    bool tells_usage;           /* on a stream's last chunk, asked or not */
    struct sim_names models;    /* patterns; none: all that the scenario has */
    struct sim_names refused_fields;
    uint64_t refused_status;
    struct sim_fault faults[SIM_MAX_FAULTS];
    unsigned fault_count;
};

/* Valid, instant and without limits, held once. NULL without memory. */
struct sim_behaviour *sim_behaviour_new(void);

/* A copy to change, held once. NULL without memory. */
struct sim_behaviour *sim_behaviour_copy(const struct sim_behaviour *behaviour);

struct sim_behaviour *sim_behaviour_ref(struct sim_behaviour *behaviour);
void sim_behaviour_unref(struct sim_behaviour **behaviour);

/* True where the kind is a failure and not an oddity. */
bool sim_fault_is_failure(enum sim_fault_kind kind);

/* Its name in a scenario. */
const char *sim_fault_name(enum sim_fault_kind kind);

/* True where no pattern stands, or one covers the model. */
bool sim_behaviour_allows(const struct sim_behaviour *behaviour, struct span model);

#endif
