/*
 * How a gateway proves to a cloud who it is: what the configuration declares of it. What comes of
 * it is a bearer token, or, for AWS, keys to sign with (secrets/cloud_session.h). Plain values,
 * borrowed by who reads them and copied by the stores; any thread.
 */
#ifndef SECRETS_CLOUD_LOGIN_H
#define SECRETS_CLOUD_LOGIN_H

#include "base/secret.h"
#include "secrets/credential.h"

enum cloud_login_kind {
    CLOUD_LOGIN_SECRET,     /* what is declared, as it is: a token, or AWS's access key */
    CLOUD_LOGIN_FILE,       /* a token that somebody writes, and replaces: read anew each minute */
    CLOUD_LOGIN_CREDENTIAL, /* exchanged for tokens: Google's service account, Entra */
    CLOUD_LOGIN_GOOGLE_METADATA,  /* the metadata server of Google's machines */
    CLOUD_LOGIN_AZURE_IDENTITY,   /* the managed identity of Azure's machines */
    CLOUD_LOGIN_AWS_WEB_IDENTITY, /* a token file for a role (IRSA), at AWS's STS */
    CLOUD_LOGIN_AWS_CONTAINER,    /* what ECS tasks and EKS pods are given */
    CLOUD_LOGIN_AWS_INSTANCE,     /* what EC2 machines are given, by IMDSv2 */
};

/* What a kind does not use is NULL. */
struct cloud_login {
    enum cloud_login_kind kind;
    struct secret *secret;  /* SECRET: the token, or AWS's secret access key */
    struct secret *session; /* SECRET of AWS: the session token; NULL: none */
    const char *name; /* SECRET of AWS: the access key id; AZURE_IDENTITY: the client id of one
                         of several identities, or NULL; AWS_WEB_IDENTITY: the role's ARN */
    const char *file; /* FILE; AWS_WEB_IDENTITY: of the token; AWS_CONTAINER: of what its request is
                         authorised with, or NULL. Read anew each time */
    const struct credential *credential; /* CREDENTIAL */
    /* AWS_CONTAINER: where its keys are asked for, whole. AWS_WEB_IDENTITY: the STS, NULL: the
     * region's own. GOOGLE_METADATA, AZURE_IDENTITY, AWS_INSTANCE: "http://HOST" in place of the
     * usual one; NULL: that. */
    const char *url;
};

#endif
