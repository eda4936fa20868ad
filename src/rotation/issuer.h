/*
 * Who makes and destroys upstream keys: a provider's own key API, a declared request, a program of
 * the operator's, or a secret store into which somebody else puts the next key. All kinds behind
 * one interface, which the rotation alone uses. Belongs to the control thread, whose loop it uses;
 * nothing blocks, and an answer comes by a callback.
 *
 * Making a key is the one act here that cannot be asked twice without a thought: where it fails in
 * a way that leaves open whether there is a key now, the answer says so (may_exist), and whoever
 * asked looks for the name (issuer_find) and revokes what stands there before asking anew. The
 * secret of a key is told once, at its creation.
 */
#ifndef ROTATION_ISSUER_H
#define ROTATION_ISSUER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/secret.h"
#include "base/span.h"
#include "io/loop.h"
#include "rotation/issuer_settings.h"
#include "secrets/fetch.h"

struct issuer;
struct issuer_work;

enum {
    ISSUER_WHY_BYTES = 256,
    ISSUER_NAME_MAX_BYTES = 255,
    ISSUER_ID_MAX_BYTES = 512,   /* Google's are paths */
    ISSUER_KEY_MAX_BYTES = 4096, /* any provider's key, JWTs among them */
    ISSUER_TIME_BYTES = 15,
};

/* What an issuer is made from besides its settings; all of it outlives it. */
struct issuer_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
};

/* What this issuer can do. */
struct issuer_traits {
    bool can_find;
    bool can_revoke;
    bool takes_long; /* a key may come after days: its creation has no time-out */
};

/* Which key a call is about; borrowed for the call that begins it. Printable ASCII; a name without
 * spaces is the safest. */
struct issuer_subject {
    struct span name;           /* of 1 to ISSUER_NAME_MAX_BYTES */
    struct span id;             /* issuer_revoke only: as issuer_answer told it */
    struct secret *current_key; /* one that works now; NULL: there is none */
    /* That key is no news: it serves, or did; asked until the call ends. NULL: none is. */
    bool (*is_known)(void *owner, const struct secret *key);
    void *owner;
};

/* A key as its issuer told it. */
struct issued {
    const struct secret *key; /* take a reference to keep it; NULL: it cannot be used */
    struct span id;           /* the issuer's own name for it; empty: it told none */
    uint64_t expires_wall_us; /* Unix; 0: never, or not told */
};

/* What came of a call; borrowed for on_done. */
struct issuer_answer {
    /* 0: done. ERR_DENIED: a clear no. ERR_AGAIN: not now, 429 or 5xx. ERR_NOTFOUND (find): there
     * is none of that name. ERR_UNSUPPORTED: this issuer cannot do that. ERR_PROTO: it answered
     * what nobody can use. ERR_RANGE: the subject has what this issuer could not be told. Else
     * what kept the answer away: ERR_TIMEOUT, ERR_RESET, ERR_TLS, ERR_NOMEM, ... */
    int err;
    const char *why; /* with err: plain words, one line, that hold no secret; else "" */
    /* With err of a creation: a key may have been made all the same. Where issued.id is told, that
     * is it; else issuer_find by its name. */
    bool may_exist;
    bool may_retry; /* with err: the same call may go well later, as nothing is wrong with it */
    uint64_t retry_after_us; /* as the issuer said; 0: it did not */
    struct issued issued;    /* of a creation: all; of a find: id, and expiry where it is listed */
};

/* One call. Embedded in its owner, zeroed before its first use; on_done is the owner's. */
struct issuer_ask {
    struct issuer_work *work; /* NULL: nothing is under way */
    /* Called once, never before the call that began it has returned; the ask may then begin anew,
     * and the issuer may be freed. */
    void (*on_done)(struct issuer_ask *ask, const struct issuer_answer *answer);
};

/* Makes an issuer; the settings are copied. 0; ERR_SYNTAX or ERR_RANGE with `why`, which has
 * ISSUER_WHY_BYTES and says what is wrong with the settings; ERR_FULL (the arena) or ERR_NOMEM. */
int issuer_new(const struct issuer_options *options, const struct issuer_settings *settings,
               char *why, struct issuer **ret_issuer);

/* Nothing of it may be under way. Accepts NULL. */
void issuer_free(struct issuer **issuer);

struct issuer_traits issuer_traits(const struct issuer *issuer);

/* Makes a key of that name. 0, or ERR_NOMEM, in which nothing is under way. */
int issuer_create(struct issuer *issuer, struct issuer_ask *ask,
                  const struct issuer_subject *subject);

/* Is there a key of that name? Its secret is gone, so that it can only be revoked. One of several
 * is told: revoke it, and ask again until there is none. 0 or ERR_NOMEM, as above. */
int issuer_find(struct issuer *issuer, struct issuer_ask *ask,
                const struct issuer_subject *subject);

/* Destroys the key of that id. One that is gone already is a success. 0 or ERR_NOMEM, as above. */
int issuer_revoke(struct issuer *issuer, struct issuer_ask *ask,
                  const struct issuer_subject *subject);

/* Ends it untold: what was sent may take effect all the same. Harmless where nothing is under way.
 */
void issuer_cancel(struct issuer_ask *ask);

/* The time as names of keys have it, "20261120-101500": sorts, and stands in any URL. Writes
 * ISSUER_TIME_BYTES without a NUL. This is what {time} stands for. */
void issuer_write_time(uint64_t wall_us, char *out);

#endif
