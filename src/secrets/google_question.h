/*
 * What is asked of Google Secret Manager, step by step: the inside of secrets/google_store.h.
 * Control thread.
 */
#ifndef SECRETS_GOOGLE_QUESTION_H
#define SECRETS_GOOGLE_QUESTION_H

#include "secrets/cloud_store.h"

enum { GOOGLE_PARENT_BYTES = 256 };

enum google_step {
    GOOGLE_STEP_ACCESS,  /* what stands there: the latest version, or one that is named */
    GOOGLE_STEP_LATEST,  /* of what version the latest is */
    GOOGLE_STEP_NEWEST,  /* the newest version that is enabled, and the newest of all */
    GOOGLE_STEP_CREATE,  /* a secret, without a version */
    GOOGLE_STEP_ADD,     /* a version */
    GOOGLE_STEP_DESTROY, /* ours, as somebody else was quicker */
    GOOGLE_STEP_DELETE,
    GOOGLE_STEP_LIST,
    GOOGLE_STEP_VERSIONS,
};

struct google_store {
    struct cloud_store cloud;
    char parent[GOOGLE_PARENT_BYTES]; /* "projects/p/locations/l" */
    bool is_regional;
};

/* Writes the question of the errand's step. */
void google_question_write(struct cloud_errand *errand, struct cloud_question *question);

#endif
