/*
 * What the stores of clouds share: a question to one on its way through all that it takes (a login,
 * then request after request, as the kind says), the login once anew where it was refused, pages of
 * lists, looks at what is watched, and the words for what failed. A kind is a struct cloud_kind and
 * a struct that begins with a struct cloud_store. Control thread.
 */
#ifndef SECRETS_CLOUD_STORE_H
#define SECRETS_CLOUD_STORE_H

#include "secrets/cloud_session.h"
#include "secrets/secret_name.h"
#include "secrets/secret_store_kind.h"
#include "secrets/secret_versions.h"
#include "secrets/store_looks.h"

struct cloud_errand;
struct cloud_store;

struct cloud_kind {
    struct secret_store_ops ops; /* cloud_store_begin and the rest; free is the kind's */
    const char *label;           /* "aws": in front of words */
    enum secret_name_style names;
    size_t entry_max;
    /* Picks the errand's first step. */
    unsigned (*first_step)(struct cloud_errand *errand);
    /* Writes the step's question; the buffers remember failures. */
    void (*ask)(struct cloud_errand *errand, struct cloud_question *question);
    /* Reads its answer, of whatever status: calls one of cloud_errand_... and touches the errand no
     * more. */
    void (*take)(struct cloud_errand *errand, const struct cloud_reply *reply);
    /* The answer says that the login is none, or no more. */
    bool (*is_login_refused)(const struct cloud_reply *reply);
    /* Appends why it was refused, as the server says it; nothing where it does not. Returns the
     * enum err that it stands for. */
    int (*refusal)(const struct cloud_reply *reply, struct buf *words);
};

struct cloud_store {
    struct secret_store store;
    const struct cloud_kind *kind;
    struct cloud_server server;
    struct cloud_session *session;
    struct store_looks looks;
    char *url; /* without a '/' at its end */
    char *ca_file, *prefix;
};

/* What all kinds are opened with; see their own headers. Texts are copied. */
struct cloud_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets;
    const char *url, *ca_file, *prefix, *region, *resource;
    const struct cloud_login *login;
    uint64_t poll_us, connect_us, total_us;
    bool (*is_busy)(int status, struct span body);
};

/* What of the options cannot be, or NULL. */
const char *cloud_options_fault(const struct cloud_options *options);

/* "aws: the region is missing" into `why` (SECRET_WORDS_BYTES). Returns ERR_SYNTAX. */
int cloud_options_refuse(const char *label, const char *fault, char *why);

/* Opens a zeroed one (NULL: there was no memory for it), which is the store's, or is freed by the
 * kind: 0 or ERR_NOMEM, in `why` (SECRET_WORDS_BYTES) too. */
int cloud_store_open(struct cloud_store *store, const struct cloud_kind *kind,
                     const struct cloud_options *options, struct secret_store **ret_store,
                     char *why);

/* All but the memory of the struct itself; and, where a kind has nothing else, that too (a member
 * of struct secret_store_ops). */
void cloud_store_fini(struct cloud_store *store);
void cloud_store_free(struct secret_store *base);

/* Members of struct cloud_kind, where refusals are told by their status and JSON words. */
bool cloud_reply_refuses_login(const struct cloud_reply *reply);
int cloud_reply_refusal(const struct cloud_reply *reply, struct buf *words);

/* Members of struct secret_store_ops. */
int cloud_store_begin(struct secret_store *base, struct secret_ask *ask,
                      const struct secret_request *request);
void cloud_store_cancel(struct secret_ask *ask);
int cloud_store_watch(struct secret_store *base, struct secret_watch *watch);
void cloud_store_unwatch(struct secret_watch *watch);

/* The looks of all of them. */
extern const struct store_looks_ops cloud_looks_ops;

/* One question on its way. */
struct cloud_errand {
    struct cloud_store *store;
    struct secret_ask *ask;  /* NULL: it is a look's */
    struct store_look *look; /* NULL: it is an ask's */
    enum secret_act act;     /* of a look: SECRET_READ */
    uint64_t expected;
    char path[SECRET_PATH_MAX_BYTES + 1];
    char name[SECRET_NAME_BYTES];               /* in the cloud; of a list, the folder's */
    char version[SECRET_VERSION_MAX_BYTES + 1]; /* that is to be read; "": the current one */
    struct buf text;                            /* to be written, or as it was read; secret */
    int fault;                                  /* why it cannot be asked; 0 */
    struct secret *secret;                      /* the login that it is asked with */
    bool was_refused;
    struct cloud_wait wait;
    struct cloud_call call;
    struct loop_timer timer;
    /* The kind's. */
    unsigned step, tries;
    uint64_t found; /* the version that is there; 0: none */
    bool has_found;
    bool is_other;                           /* a second way is gone */
    char id[SECRET_VERSION_MAX_BYTES + 1];   /* the found version's name, or the like */
    char made[SECRET_VERSION_MAX_BYTES + 1]; /* of the one being made */
    uint64_t number;
    struct buf page; /* where a list goes on */
    struct secret_names names;
    struct secret_versions versions;
};

static inline bool cloud_errand_is_change(const struct cloud_errand *errand)
{
    return errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE;
}

/* Asks the next step; or after a while. */
void cloud_errand_go(struct cloud_errand *errand, unsigned step);
void cloud_errand_pause(struct cloud_errand *errand, unsigned step, uint64_t us);

/* The end, well: a version alone (0: it is not there, or was removed); what stands there, a JSON
 * object or a key alone; what was gathered in names or versions. */
void cloud_errand_end(struct cloud_errand *errand, uint64_t version);
void cloud_errand_end_text(struct cloud_errand *errand, struct span text, uint64_t version);
void cloud_errand_end_names(struct cloud_errand *errand);

/* The end, otherwise: what the server refuses; an answer that is not the cloud's (ERR_PROTO), or
 * that there is no memory for; another version than was expected; anything else. */
void cloud_errand_end_refused(struct cloud_errand *errand, const struct cloud_reply *reply);
void cloud_errand_end_unread(struct cloud_errand *errand, int err);
void cloud_errand_end_other(struct cloud_errand *errand);
void cloud_errand_end_failed(struct cloud_errand *errand, int err, const char *words);

/* A cloud's name of a list, if it is below the folder: 0, ERR_FULL or ERR_NOMEM. */
int cloud_errand_add_name(struct cloud_errand *errand, struct span name);

/* Copies a text of at most SECRET_VERSION_MAX_BYTES; false where it is longer, or no version's name
 * could be. */
bool cloud_copy_id(char id[SECRET_VERSION_MAX_BYTES + 1], struct span text);

#endif
