/*
 * AWS Secrets Manager as a store: the secrets of one region whose names begin with a prefix. A path
 * is a name as it stands (every character of a path may stand in one), so no two paths meet. What
 * is no JSON object is a key alone. Control thread.
 *
 * A write that expects a version is a true check-and-set: the new one is put as AWSPENDING, and
 * AWSCURRENT is moved to it from the version that was expected, which AWS refuses where it is not
 * there; the old one becomes AWSPREVIOUS. A rotation of AWS's own that is under way meanwhile loses
 * its AWSPENDING. What cannot be had: a removal is compared just before, as DeleteSecret takes no
 * condition; a list lags behind by some seconds; and an entry removed with `recovery_days` that is
 * written anew is for a moment there as it was. An entry has at most 65,536 bytes (else ERR_FULL).
 *
 * Rights that are needed: secretsmanager:GetSecretValue, DescribeSecret, ListSecrets,
 * ListSecretVersionIds; to write, PutSecretValue, CreateSecret, UpdateSecretVersionStage,
 * RestoreSecret; to remove, DeleteSecret; with `kms_key`, kms:GenerateDataKey and kms:Decrypt.
 */
#ifndef SECRETS_AWS_STORE_H
#define SECRETS_AWS_STORE_H

#include "secrets/cloud_login.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

/* All texts are copied, the credential too. */
struct aws_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets; /* of keys that are got */
    const char *region;           /* "eu-west-1" */
    const char *url; /* NULL: the region's own; else "https://vpce-1.example", for private ones */
    const char *ca_file;    /* PEM; NULL: the system's certificates */
    const char *prefix;     /* a folder that all paths are below; NULL: none */
    const char *kms_key;    /* that new secrets are sealed with; NULL: AWS's own for the account */
    unsigned recovery_days; /* 7 to 30: so long a removed entry can be had back; 0: it cannot */
    struct cloud_login login; /* SECRET or one of AWS_... */
    uint64_t poll_us;    /* between two looks at what is watched, give or take a tenth; 0: 60 s */
    uint64_t connect_us; /* 0: 5 s */
    uint64_t total_us;   /* of one request; 0: 15 s */
};

/* Nothing is asked yet. 0; ERR_SYNTAX where the options cannot be, and `why` (SECRET_WORDS_BYTES)
 * says what of them; ERR_NOMEM. */
int aws_store_open(const struct aws_options *options, struct secret_store **ret_store, char *why);

#endif
