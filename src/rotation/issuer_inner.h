/*
 * What the kinds of issuers share among themselves: the table of what a kind does, a call under
 * way, and what came of it. Nobody outside src/rotation/issuer*.c includes it. The control thread.
 */
#ifndef ROTATION_ISSUER_INNER_H
#define ROTATION_ISSUER_INNER_H

#include "rotation/issuer.h"

enum issuer_call { ISSUER_CREATE, ISSUER_FIND, ISSUER_REVOKE };

/* What came of a call, with the memory that its answer borrows. On the stack of whoever ends the
 * call; holds a secret by reference alone. */
struct issuer_result {
    struct issuer_answer answer; /* without why, id and key, which are set from these */
    struct secret *key;
    char id[ISSUER_ID_MAX_BYTES];
    size_t id_len;
    char why[ISSUER_WHY_BYTES];
};

/* A call under way; the first member of a kind's own struct. */
struct issuer_work {
    struct issuer *issuer;
    struct issuer_ask *ask;
    enum issuer_call call;
    struct loop_task failing; /* the call ends with what follows at the end of this turn */
    int err;
    const char *why; /* static */
};

struct issuer_ops {
    /* What the call needs, zeroed but for `base`, which issuer.c fills; NULL without memory. */
    struct issuer_work *(*work_new)(struct issuer *issuer);
    /* Begins. Anything but 0 ends the call with that error in a moment, and *ret_why (static) says
     * why; no answer may come before it has returned. */
    int (*begin)(struct issuer_work *work, const struct issuer_subject *subject,
                 const char **ret_why);
    /* Ends what is under way, and frees. */
    void (*work_free)(struct issuer_work *work);
    void (*free)(struct issuer *issuer);
};

/* The first member of a kind's own struct. */
struct issuer {
    const struct issuer_ops *ops;
    struct issuer_options options;
    struct issuer_traits traits;
    uint64_t timeout_us;
};

/* Each makes its kind: as issuer_new. */
int issuer_http_new(const struct issuer_options *options, const struct issuer_settings *settings,
                    char *why, struct issuer **ret_issuer);
int issuer_command_new(const struct issuer_options *options, const struct issuer_settings *settings,
                       char *why, struct issuer **ret_issuer);
int issuer_gcp_new(const struct issuer_options *options, const struct issuer_settings *settings,
                   char *why, struct issuer **ret_issuer);
int issuer_store_new(const struct issuer_options *options, const struct issuer_settings *settings,
                     char *why, struct issuer **ret_issuer);
int issuer_openai_new(const struct issuer_options *options, const struct issuer_settings *settings,
                      char *why, struct issuer **ret_issuer);
int issuer_openrouter_new(const struct issuer_options *options,
                          const struct issuer_settings *settings, char *why,
                          struct issuer **ret_issuer);

/* Fills what all kinds have. */
void issuer_init(struct issuer *issuer, const struct issuer_ops *ops,
                 const struct issuer_options *options, const struct issuer_settings *settings);

/* Ends the call: its work is freed, then its owner told, who may free the issuer. The result's key
 * goes with it. */
void issuer_finish(struct issuer_work *work, struct issuer_result *result);

/* Fills the result with a failure in plain words, cleaned and cut. */
void issuer_result_fail(struct issuer_result *result, int err, const char *why);

/* "create's url": what is wrong with the settings, into `why` of issuer_new. Returns err. */
int issuer_complain(char *why, int err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
