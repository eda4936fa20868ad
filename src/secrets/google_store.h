/*
 * Google Secret Manager as a store: the secrets of one project, or of one location of it, whose
 * names begin with a prefix. A name there has letters, digits, '-' and '_': of a path, '/' becomes
 * "__", '.' "_d" and '_' "_u" (secrets/secret_name.h), so no two paths meet; one whose name had
 * more than 255 characters is not taken (ERR_UNSUPPORTED). What is no JSON object is a key alone.
 * Control thread.
 *
 * What is read is the newest version that is enabled. Google's addVersion takes no condition, but
 * counts: a write that expects a version looks at the newest one, adds its own, and where its
 * number is not the next one somebody else was quicker: then it is destroyed again, and ERR_EXISTS
 * told. So of two writers one wins; what cannot be had is that the loser's version is never seen,
 * or, where its process dies in that moment, does not stay. A removal is compared just before. An
 * entry has at most 65,536 bytes (else ERR_FULL).
 *
 * Rights that are needed: secretmanager.versions.access, versions.get (without it a look at what is
 * watched reads the entry itself), secrets.list, versions.list; to write, secrets.create,
 * versions.add, versions.destroy; to remove, secrets.delete.
 */
#ifndef SECRETS_GOOGLE_STORE_H
#define SECRETS_GOOGLE_STORE_H

#include "secrets/cloud_login.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

/* The scope of tokens that Google's API takes. */
#define GOOGLE_STORE_SCOPE "https://www.googleapis.com/auth/cloud-platform"

/* All texts are copied, the credential too. */
struct google_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets; /* of tokens */
    const char *project;          /* its id or number */
    const char *location;         /* "europe-west3": secrets that stay there; NULL: global ones */
    const char *url;              /* NULL: Google's own; else in its place, without a path */
    const char *ca_file;          /* PEM; NULL: the system's certificates */
    const char *prefix;           /* a folder that all paths are below; NULL: none */
    struct cloud_login login;     /* SECRET, FILE, CREDENTIAL or GOOGLE_METADATA */
    uint64_t poll_us;    /* between two looks at what is watched, give or take a tenth; 0: 60 s */
    uint64_t connect_us; /* 0: 5 s */
    uint64_t total_us;   /* of one request; 0: 15 s */
};

/* As aws_store_open. */
int google_store_open(const struct google_options *options, struct secret_store **ret_store,
                      char *why);

#endif
