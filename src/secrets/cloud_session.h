/*
 * What proves to a cloud who asks, kept while it lives: got when it is first wanted, and again when
 * its end is near or it was refused; one getting at a time, whoever waits for it. Control thread.
 */
#ifndef SECRETS_CLOUD_SESSION_H
#define SECRETS_CLOUD_SESSION_H

#include "base/list.h"
#include "secrets/cloud_call.h"
#include "secrets/cloud_login.h"

struct cloud_session;

struct cloud_session_options {
    const struct cloud_server
        *server; /* borrowed: its loop and bounds; the system's certificates */
    struct secret_arena *secrets;
    const struct cloud_login *login; /* copied */
    const char *region;              /* of AWS; copied; may be NULL */
    const char *resource;            /* of AZURE_IDENTITY; copied; may be NULL */
};

/* Wants it. Embedded in its owner; zeroed before its first use. */
struct cloud_wait {
    struct list link;
    /* Called once, later: 0, and cloud_session_secret is it; else why there is none. */
    void (*on_secret)(struct cloud_wait *wait, int err, const char *why);
};

/* NULL without memory. */
struct cloud_session *cloud_session_new(const struct cloud_session_options *options);

/* Nobody may wait any more. Accepts a pointer to NULL. */
void cloud_session_free(struct cloud_session **session);

/* Cannot fail. A getting that failed less than a second ago is not tried again, but told again. */
void cloud_session_wait(struct cloud_session *session, struct cloud_wait *wait);

/* Harmless where it does not wait. */
void cloud_wait_cancel(struct cloud_wait *wait);

/* That of now, borrowed (secrets/cloud_proof.h says what it holds); NULL: there is none. */
struct secret *cloud_session_secret(const struct cloud_session *session);

/* A request with it was refused: true where another is to be waited for and tried, at most once a
 * minute. */
bool cloud_session_refused(struct cloud_session *session, const struct secret *secret);

/* NULL: a store of that family cannot log in so; else a text that says what is missing. */
const char *cloud_login_fault(const struct cloud_login *login);

#endif
