/*
 * The token with which Vault is asked: got by logging in when one is first wanted, renewed at about
 * two thirds of its life, and got anew where it cannot be renewed any more, nears the longest that
 * it may live, or is refused. One login or renewal at a time, whoever waits for it. Control thread.
 */
#ifndef SECRETS_VAULT_SESSION_H
#define SECRETS_VAULT_SESSION_H

#include "base/list.h"
#include "secrets/vault_call.h"

enum vault_login_kind {
    VAULT_LOGIN_TOKEN,      /* a token of the configuration; renewed if it can be */
    VAULT_LOGIN_TOKEN_FILE, /* one that an agent writes, and renews; read anew where it is refused
                             */
    VAULT_LOGIN_APPROLE,
    VAULT_LOGIN_KUBERNETES,
};

/* What a kind does not use is NULL. */
struct vault_login {
    enum vault_login_kind kind;
    struct secret *secret; /* TOKEN: that; APPROLE: the secret id, where it stands in no file */
    const char *file;      /* TOKEN_FILE; APPROLE: of the secret id; KUBERNETES: of the JWT. Each is
                              read anew for each login */
    const char *role;      /* APPROLE: the role id; KUBERNETES: the role */
    const char *mount;     /* of the auth method; NULL: "approle", "kubernetes" */
};

struct vault_session;

/* Wants a token. Embedded in its owner; zeroed before its first use. */
struct vault_wait {
    struct list link;
    /* Called once, later: 0, and vault_session_token is one; else why there is none. */
    void (*on_token)(struct vault_wait *wait, int err, const char *why);
};

/* The server is borrowed, the login copied. NULL without memory. */
struct vault_session *vault_session_new(const struct vault_server *server,
                                        const struct vault_login *login,
                                        struct secret_arena *secrets);

/* Nobody may wait any more. Accepts a pointer to NULL. */
void vault_session_free(struct vault_session **session);

/* Cannot fail. */
void vault_session_wait(struct vault_session *session, struct vault_wait *wait);

/* Harmless where it does not wait. */
void vault_wait_cancel(struct vault_wait *wait);

/* The token of now, borrowed; NULL: there is none. */
struct secret *vault_session_token(const struct vault_session *session);

/* A request with that token was refused (403), which may be for what it asked: true where another
 * token is to be waited for and tried. Where another one did not help lately it is false, for a
 * minute at first and at most for an hour, as each login leaves a token with the server. */
bool vault_session_refused(struct vault_session *session, const struct secret *token);

/* It did help. */
void vault_session_helped(struct vault_session *session);

#endif
