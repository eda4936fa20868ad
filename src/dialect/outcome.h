/*
 * What an attempt's end means: one of the outcomes of tables/outcomes.def. An answer is looked up
 * in that table by dialect, status, the provider's words and headers; ends without an answer
 * (connect, time-out, reset) are outcomes that the attempt names itself. Constant and pure; any
 * thread.
 */
#ifndef DIALECT_OUTCOME_H
#define DIALECT_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "dialect/dialect.h"

/* What cools down or is set aside. */
enum outcome_scope {
    SCOPE_REQUEST,   /* nothing: only this request is concerned */
    SCOPE_KEY_MODEL, /* this key for this model */
    SCOPE_KEY,
    SCOPE_ACCOUNT, /* all keys of the key's account */
    SCOPE_ENDPOINT,
    SCOPE_MODEL, /* this model at this provider, with any key */
    SCOPE_PROVIDER,
};

/* What may be done before commit. */
enum outcome_remedy {
    REMEDY_GIVE_UP, /* the client gets this answer */
    REMEDY_LATER,   /* it would be answered so again: only time helps, and no other key */
    REMEDY_NEXT_KEY,
    REMEDY_NEXT_TARGET,
};

/* The words of `retry.on`, and those that stand outside it. */
enum outcome_class {
    CLASS_NONE, /* success, or nothing that a retry could mend */
    CLASS_CONNECT,
    CLASS_TIMEOUT,
    CLASS_RATE_LIMIT,
    CLASS_OVERLOADED,
    CLASS_SERVER_ERROR,
    CLASS_BAD_KEY,
    CLASS_DEPLETED,
    CLASS_MODEL_MISSING, /* not served by this key or target: the others are always asked */
    CLASS_BAD_REQUEST,
    CLASS_COUNT,
};

/* What becomes of the key's health. */
enum outcome_health {
    HEALTH_UNCHANGED,
    HEALTH_GOOD,
    HEALTH_FAILED,  /* counts towards max_failures */
    HEALTH_COOLING, /* until its reset hint or the row's cooldown */
    HEALTH_DEPLETED,
    HEALTH_INVALID,
};

/* What it says of the key in a trial of keys (keypool/trial.h). */
enum outcome_trial {
    TRIAL_SILENT, /* nothing: the request is left out */
    TRIAL_GOOD,
    TRIAL_FAILED,
    TRIAL_REFUSED, /* failed, and the provider refused the key itself */
};

enum outcome {
#define OUTCOME(name, label, scope, per_model, remedy, class, health, blames, trial, cooldown_ms,  \
                failure, meaning)                                                                  \
    OUTCOME_##name,
#include "tables/outcomes.def"
#undef OUTCOME
    OUTCOME_COUNT,
};

enum { PASSED_ON = -1 };

struct outcome_row {
    enum outcome outcome;
    const char *label; /* in logs and metrics */
    enum outcome_scope scope;
    bool is_per_model; /* SCOPE_ACCOUNT: the limit is this model's alone */
    enum outcome_remedy remedy;
    enum outcome_class class;
    enum outcome_health health;
    bool blames_key;      /* counts for the key's breaker */
    bool blames_endpoint; /* counts for the endpoint's */
    enum outcome_trial trial;
    uint32_t cooldown_ms; /* where no reset hint is given; 0: the provider's `health` decides */
    int failure; /* enum failure shown to the client once nothing is left to try, or PASSED_ON: the
                    answer itself goes to the client */
    const char *meaning;
};

/* True for connect, timeout, overloaded and server_error: the upstream may have worked, so it
 * counts against retry.attempts. The rest counts against retry.rotations. */
bool outcome_is_attempt(enum outcome_class class);

/* The row; outcome is below OUTCOME_COUNT. */
const struct outcome_row *outcome_row(enum outcome outcome);

/* An answer as a provider gave it. */
struct outcome_answer {
    enum dialect_id dialect;
    int status;
    const struct dialect_error *error; /* NULL: no error was told (a success) */
    const struct dialect_header *headers;
    size_t header_count;
};

/* The answer's row among the ANSWERs of outcomes.def, counted from 0; -1 for a success. */
int outcome_match(const struct outcome_answer *answer);

/* What that answer means. An error inside a 200 or as the first event of a stream is given as
 * status 200 with its error. Never NULL. */
const struct outcome_row *outcome_classify(const struct outcome_answer *answer);

#endif
