/*
 * The inside of the issuer for Google Cloud's API Keys: its struct, a call's, and the requests that
 * a call is a chain of. Included by issuer_gcp*.c alone. The control thread.
 */
#ifndef ROTATION_ISSUER_GCP_H
#define ROTATION_ISSUER_GCP_H

#include "base/buf.h"
#include "base/secret.h"
#include "rotation/issuer_inner.h"
#include "secrets/credential.h"
#include "secrets/fetch.h"
#include "secrets/token_request.h"

enum { GCP_URL_MAX_BYTES = 4096 };

struct gcp_issuer {
    struct issuer base;
    char *root; /* "https://apikeys.googleapis.com/v2/" */
    char *keys; /* "projects/P/locations/global/keys" */
    struct credential *credential;
    struct secret *restrictions; /* NULL: none */
    struct secret *token;        /* NULL: none yet */
    uint64_t token_until_us;
};

enum gcp_step { GCP_TOKEN, GCP_CREATE, GCP_LIST, GCP_DELETE, GCP_POLL, GCP_STRING };

struct gcp_work {
    struct issuer_work base;
    struct fetch fetch;
    struct token_request token_request;
    struct loop_timer timer; /* until the operation is asked after again */
    uint64_t poll_us, asked_us, deadline_us;
    enum gcp_step step;
    char *name, *id; /* id: of a key that is revoked */
    struct buf url, line, body;
    struct buf operation; /* its name */
    struct buf page;      /* that is asked for; empty: the first */
    unsigned pages;
    struct issuer_result made; /* the key whose text is asked for: its id */
};

static inline struct gcp_issuer *gcp_issuer_of(const struct gcp_work *work)
{
    return container_of(work->base.issuer, struct gcp_issuer, base);
}

/* A name that Google gave: it may stand in a URL as it is, leads nowhere else, and has that prefix.
 */
bool gcp_is_resource(struct span name, struct span prefix);

/* Each sends the next request of a call, whose step it then is: 0; ERR_FULL; ERR_SYNTAX (the
 * credential's private key); ERR_NOMEM. */
int gcp_send_token_request(struct gcp_work *work);
int gcp_send_first(struct gcp_work *work); /* what the call is about; there is a token */
int gcp_send_list(struct gcp_work *work);  /* the page that work->page names */
int gcp_send_poll(struct gcp_work *work);
int gcp_send_string(struct gcp_work *work);

#endif
