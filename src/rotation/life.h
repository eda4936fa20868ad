/*
 * The life of one provider's keys: from the order to replace one, by way of its successor's issue,
 * proof and ramp, to the revocation of the old one or the way back. Plain code over values: what is
 * to be done next is a task (life_next), whoever did it says what came of it (life_end), and the
 * time is an argument. The steps stand in rotation/life.def.
 *
 * Every change is written down (LIFE_RECORD, rotation/life_text.h) before anything is done because
 * of it. So a process that dies at any point goes on from what was written down last: what it was
 * doing then is done again, which is harmless for all tasks but LIFE_CREATE. That one is asked for
 * once for each name: where nobody knows what came of it, the name is given up, looked for at the
 * issuer and revoked, and another begun.
 *
 * One successor at a time. Before it is promoted its predecessor serves on; then that drains, stays
 * valid at its provider for the overlap, and is revoked. A leaked key is off at once, and one that
 * is pruned drains: either may be replaced later, once.
 *
 * Owned by who drives it; the control thread. No secret stands here.
 */
#ifndef ROTATION_LIFE_H
#define ROTATION_LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum life_step {
#define LIFE(id, name, to, standing, meaning) LIFE_##id,
#include "rotation/life.def"
#undef LIFE
    LIFE_STEPS,
};

/* What the pool makes of a key. */
enum life_standing {
    LIFE_STANDS_NONE,  /* it is not there */
    LIFE_STANDS_PROOF, /* probed, without traffic */
    LIFE_STANDS_SHARE, /* with the canary's share */
    LIFE_STANDS_FULL,
    LIFE_STANDS_OFF, /* what it has under way ends */
};

enum life_trigger {
    LIFE_BY_OPERATOR,
    LIFE_BY_SCHEDULE,
    LIFE_BY_AGE,
    LIFE_BY_EXPIRY,
    LIFE_BY_ERROR_RATE,
    LIFE_BY_REFUSAL, /* a key that used to work gets 401 */
    LIFE_BY_STORE,   /* its secret was changed where it is kept */
    LIFE_BY_LEAK,
    LIFE_TRIGGERS,
};

enum {
    LIFE_KEYS_MAX = 24, /* of one provider that have to do with rotation */
    LIFE_OVER_MAX = 4,  /* of them, those about which nothing is to be done any more */
    LIFE_NAME_BYTES = 128,
    LIFE_ID_BYTES = 520, /* an issuer's longest, and a NUL */
    LIFE_REASON_BYTES = 200,
    LIFE_IDENTITY_BYTES = 32,
    LIFE_NOTE_BYTES = 2048, /* of a canary's state */
};

struct life_key {
    char name[LIFE_NAME_BYTES];
    char id[LIFE_ID_BYTES];         /* by which its issuer knows it; empty: not known */
    char replaces[LIFE_NAME_BYTES]; /* its predecessor; empty: none */
    char reason[LIFE_REASON_BYTES]; /* of the step, in plain words; empty: the usual */
    uint64_t rotation;              /* which rotation made it, from 1; 0: none did */
    uint32_t attempt;               /* of that rotation to have a key made, from 1 */
    enum life_step step;
    enum life_trigger trigger;                 /* why it was made */
    uint64_t since_wall_us;                    /* when the step began */
    uint64_t created_wall_us, expires_wall_us; /* 0: not known; never */
    uint64_t until_wall_us;                    /* RETIRED: when it may be revoked */
    uint8_t identity[LIFE_IDENTITY_BYTES]; /* of its secret (struct conf_key); zeroes: not known */
    bool is_ours;                          /* made by the issuer: it can be revoked there */
    bool is_asked;                         /* ISSUING: from here on it may exist */
    bool is_leaked;
    bool is_kept;     /* its secret stands in the store, or may */
    bool is_pruned;   /* taken out of service, without waiting for a successor */
    bool is_replaced; /* a successor was promoted in its place */
    bool is_ending;   /* RETIRED: from here on it may be revoked, and there is no way back */
    bool is_gone;     /* revoked at its issuer, or nothing is known there, or nobody can */

    /* What is not written down. */
    struct {
        uint64_t not_before_us; /* a failed task is tried again */
        uint64_t since_us;      /* when the step began, on the monotonic clock; 0: before this
                                   process did */
        uint32_t tries;         /* of the task, that failed */
        uint32_t finds;         /* that found nothing */
        bool is_busy;           /* a task is under way */
        bool has_secret;        /* ISSUED: it is in memory */
        bool is_asked_here;     /* by this process */
        bool has_traffic;       /* ROLLED_BACK: it had some, which may not have ended */
        bool is_back;           /* ACTIVE: again */
    } live;
};

/* What the triggers remember (rotation/trigger.h); 0: never, none. */
struct life_memory {
    uint64_t last_wall_us;  /* the schedule was followed, or first seen */
    uint64_t round_wall_us; /* the round that goes on began */
    uint64_t first_wall_us; /* ages first mattered: keys that were there then, and of which nobody
                               knows when they were made, count from it */
};

struct life {
    struct life_key keys[LIFE_KEYS_MAX]; /* in no order; each stays where it is */
    uint32_t count;
    uint64_t rotations;     /* begun so far */
    uint64_t ended_wall_us; /* when the last one ended; 0: never */
    uint32_t failures;      /* of them in a row, up to the last, that came to nothing */
    struct life_memory memory;
    char note[LIFE_NOTE_BYTES]; /* the canary's state, as its driver writes it; empty: none */

    /* What is not written down. */
    struct {
        bool is_dirty;     /* there is something to write down */
        bool is_recording; /* it is being written */
        uint64_t not_before_us;
        uint32_t tries;
        uint64_t ended_us; /* the last rotation, by the clock of this process; 0: before it began */
    } live;
};

/* What the configuration says. */
struct life_rules {
    uint64_t overlap_us;
    uint32_t max_keys;      /* that are valid at once; at least 2 */
    uint32_t attempts;      /* of a creation and of a validation */
    uint64_t base_delay_us; /* doubled for each further attempt */
    bool has_ramp;          /* else it is promoted once it was validated */
    bool can_find;          /* the issuer can be asked for a key by its name */
};

/* ---- orders ---- */

struct life_order {
    struct span name;          /* of the successor: unlike all that were used before */
    struct span replaces;      /* which key; empty: none, there is to be one more */
    const uint8_t *identity;   /* of the replaced key's secret; NULL: not known */
    enum life_trigger trigger; /* LIFE_BY_LEAK: it is off at once */
    const char *why;           /* in plain words; NULL: the trigger says all */
};

enum life_begun {
    LIFE_BEGUN,
    LIFE_BUSY, /* a successor is under way; of a leaked key: it is off, and that one goes on, or it
                  was replaced before */
    LIFE_GONE, /* the key serves no more: there is nothing to replace */
    LIFE_CROWDED,  /* as many keys as max_keys allows, and none may go before its time */
    LIFE_NAMELESS, /* the name is empty, too long, or was used */
};

void life_init(struct life *life);

/* A rotation begins, or the reason why not. A leaked key is off in any case, but where there is no
 * room to remember that (is_leaked of its record tells). */
enum life_begun life_begin(struct life *life, const struct life_rules *rules,
                           const struct life_order *order, uint64_t now_us, uint64_t wall_us);

/* Takes the replaced key of the order, which serves, out of service: it drains, and is revoked
 * where rotation has made it. That another serves is the caller's to know. The order's name means
 * nothing. False where it serves no more, or there is no room. */
bool life_prune(struct life *life, const struct life_order *order, uint64_t now_us,
                uint64_t wall_us);

/* It was put out for a leak or pruned, and nothing has come in its place yet: life_begin replaces
 * it, though it serves no more. */
bool life_lacks_successor(const struct life_key *key);

/* The operator's way back: of a successor that is under way, of one that serves while its
 * predecessor is still valid, which serves again, or of a pruned key that is still valid. False
 * where the step does not allow it. */
bool life_roll_back(struct life *life, struct life_key *key, const char *reason, uint64_t now_us,
                    uint64_t wall_us);

/* ---- the file ---- */

/* The secret of a key of the file is another one. */
struct life_change {
    struct span name;            /* the key's: from now on the new secret's */
    struct span before;          /* the old one's from now on: unlike all that were used before */
    const uint8_t *old_identity; /* of the secret that stood there */
    const uint8_t *identity;     /* of the one that stands there now */
};

/* The new secret is proven as a successor is, once no other one is under way; the one that served
 * until now serves on, and is to be kept (LIFE_KEEP), as the file has it no more. *ret_old: that
 * one, whose secret is known already where it was kept before. LIFE_GONE: none serves, or the file
 * is back at it: the new one is to be taken as it stands. LIFE_CROWDED, LIFE_NAMELESS. */
enum life_begun life_adopt(struct life *life, const struct life_change *change, uint64_t now_us,
                           uint64_t wall_us, struct life_key **ret_old);

/* The one that serves on while the key of that name, of that identity, proves itself, or as it did
 * not; NULL: none. */
struct life_key *life_stand_in(struct life *life, struct span name, const uint8_t *identity);

/* The file does not have the key: one of its own that is off is not spoken of again, one that was
 * to prove itself is given up, and one that stands in for none any more drains. To be asked twice,
 * as the last follows from the others. */
void life_release(struct life *life, struct life_key *key, uint64_t now_us, uint64_t wall_us);

/* The secret of a key that serves on, and that rotation did not make, is nowhere any more: what was
 * to come in its place serves. */
void life_lose_secret(struct life *life, struct life_key *old, uint64_t now_us, uint64_t wall_us);

/* ---- tasks ---- */

enum life_act {
    LIFE_RECORD,   /* write down what life_write gives now; key is NULL */
    LIFE_CREATE,   /* have the issuer make a key of that name */
    LIFE_KEEP,     /* put its secret into the store */
    LIFE_VALIDATE, /* ask its provider whether it knows it */
    LIFE_DRAIN,    /* ends when nothing is under way on it any more */
    LIFE_FIND,     /* does the issuer know one of that name? */
    LIFE_REVOKE,   /* by its id; one that is gone is as good */
    LIFE_FORGET,   /* take its secret out of the store */
};

struct life_task {
    enum life_act act;
    struct life_key *key; /* stays there until the task has ended */
};

/* What is to be done now; false where nothing is, with when to ask again (UINT64_MAX: after the end
 * of a task, or an order). To be asked until it says so. */
bool life_next(struct life *life, const struct life_rules *rules, uint64_t now_us, uint64_t wall_us,
               struct life_task *ret_task, uint64_t *ret_next_us);

/* What came of a task. */
struct life_result {
    int err;                  /* 0; ERR_NOTFOUND and ERR_UNSUPPORTED of FIND and REVOKE */
    const char *why;          /* with err */
    bool may_exist;           /* CREATE failed, and may have made it all the same */
    bool is_final;            /* CREATE failed, and would do so again */
    struct span id;           /* of CREATE, FIND */
    uint64_t expires_wall_us; /* of CREATE; 0: never */
    const uint8_t *identity;  /* of CREATE */
    uint64_t retry_after_us;  /* 0: it was not said */
};

void life_end(struct life *life, const struct life_rules *rules, const struct life_task *task,
              const struct life_result *result, uint64_t now_us, uint64_t wall_us);

/* ---- the canary ---- */

/* The key that is being ramped in; NULL: none. */
struct life_key *life_canary(struct life *life);

/* It has proven itself; or it has lost. Its predecessor drains, or serves as before. */
void life_promote(struct life *life, uint64_t now_us, uint64_t wall_us);
void life_lose(struct life *life, const char *reason, uint64_t now_us, uint64_t wall_us);

/* What the triggers remember, to be written down with the rest. */
void life_remember(struct life *life, const struct life_memory *memory);

/* The canary's state, to be written down with the rest. Cut texts are not kept. */
void life_note(struct life *life, struct span note);

/* ---- what there is ---- */

/* Whether a record speaks of the key of that identity: unknown ones (zeroes) agree with all. */
bool life_is_of(const struct life_key *key, const uint8_t *identity);

/* The identity of its secret is known; it is that one from now on. */
bool life_has_identity(const struct life_key *key);
void life_identify(struct life *life, struct life_key *key, const uint8_t *identity);

/* The key of that name; NULL. */
struct life_key *life_find(struct life *life, struct span name);

/* The successor that is under way; NULL: none. */
struct life_key *life_successor(struct life *life);

/* What the pool is to make of the key, once that was written down (life_is_recorded). */
enum life_standing life_standing(const struct life_key *key);

/* Whether that is to be followed at once, written down or not: it leads back, and to nothing that
 * could not be undone. Keys that are to serve again come first, then those that are off. */
bool life_is_urgent(const struct life_key *key);

/* All that has changed was written down. */
bool life_is_recorded(const struct life *life);

/* "issuing", ...; "operator", ... */
const char *life_step_text(enum life_step step);
const char *life_trigger_text(enum life_trigger trigger);

#endif
