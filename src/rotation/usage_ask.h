/*
 * Asks OpenAI how much each key of a project was used, with the administrator's key that its issuer
 * has: first for the project's keys, as what an issuer knows is the service account of each, then
 * for what they used, completions and embeddings. Belongs to the control thread, whose loop the
 * fetcher uses; nothing blocks, and answers come by callbacks.
 */
#ifndef ROTATION_USAGE_ASK_H
#define ROTATION_USAGE_ASK_H

#include "rotation/issuer_settings.h"
#include "rotation/usage_answer.h"
#include "secrets/fetch.h"

struct usage_work;

/* What is asked for. */
struct usage_question {
    struct fetcher *fetcher; /* these two outlive the ask */
    struct secret_arena *secrets;
    struct issuer_openai_settings openai; /* borrowed for the call that begins it */
    uint64_t timeout_us;                  /* of each request; 0: 30 s */
    uint64_t start_s;                     /* Unix, a multiple of span_s */
    uint32_t span_s;                      /* 60 or 3600 */
    const struct usage_ops *ops;          /* static; they may not end the ask */
};

/* One question. Embedded in its owner, which the ops get as theirs; zeroed before its first use. */
struct usage_ask {
    struct usage_work *work; /* NULL: nothing is under way */
    void *owner;
    /* Called once, never before usage_ask_begin has returned; the ask may then begin anew. err 0:
     * all was told; else an error of issuer_answer with plain words that hold no secret.
     * retry_after_us: as the server said; 0: it did not. */
    void (*on_done)(struct usage_ask *ask, int err, const char *why, uint64_t retry_after_us);
};

/* 0, or ERR_NOMEM, ERR_FULL (the arena, or a text that is too long) or ERR_SYNTAX (of the
 * settings), in which nothing is under way. */
int usage_ask_begin(struct usage_ask *ask, const struct usage_question *question);

/* Ends it untold. Harmless where nothing is under way. */
void usage_ask_cancel(struct usage_ask *ask);

#endif
