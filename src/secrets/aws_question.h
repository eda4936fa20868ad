/*
 * What is asked of AWS Secrets Manager, step by step: the inside of secrets/aws_store.h. Every
 * question is a signed POST of JSON. Control thread.
 */
#ifndef SECRETS_AWS_QUESTION_H
#define SECRETS_AWS_QUESTION_H

#include "secrets/cloud_store.h"

enum aws_step {
    AWS_STEP_VALUE,   /* what stands there */
    AWS_STEP_FIND,    /* which version is current */
    AWS_STEP_PUT,     /* a version that is current at once */
    AWS_STEP_CREATE,  /* a secret */
    AWS_STEP_RESTORE, /* one that is marked for deletion */
    AWS_STEP_PEND,    /* a version that is AWSPENDING */
    AWS_STEP_MOVE,    /* AWSCURRENT to it, from the one that was found */
    AWS_STEP_CHECK,   /* whether it was moved, or somebody else was quicker */
    AWS_STEP_DROP,    /* AWSPENDING of it */
    AWS_STEP_DELETE,
    AWS_STEP_LIST,
    AWS_STEP_VERSIONS,
};

struct aws_store {
    struct cloud_store cloud;
    struct span host; /* of the URL: "secretsmanager.eu-west-1.amazonaws.com" */
    char *region, *kms_key;
    unsigned recovery_days;
};

/* Writes the question of the errand's step; made is the id of the version to be. */
void aws_question_write(struct cloud_errand *errand, struct cloud_question *question);

#endif
