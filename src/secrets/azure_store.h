/*
 * The secrets of an Azure Key Vault as a store. A name there has letters, digits and '-', and large
 * letters count as small ones: of a path, '/' becomes "--", '-' "-h", '.' "-d", '_' "-u" and a
 * large letter "-c" with the small one (secrets/secret_name.h), so no two paths meet; one whose
 * name had more than 127 characters is not taken (ERR_UNSUPPORTED). What is no JSON object is a
 * key alone. Control thread.
 *
 * What cannot be had: Key Vault takes no condition, neither when a secret is set nor when it is
 * deleted. What is expected is compared just before, and only other writers can come in between.
 * A deleted secret keeps its name for the vault's retention: when it is written anew it is
 * recovered first, and for a moment is there as it was. An entry has at most 25,000 bytes (else
 * ERR_FULL).
 *
 * Rights that are needed: secrets get and list; to write, set and recover; to remove, delete.
 */
#ifndef SECRETS_AZURE_STORE_H
#define SECRETS_AZURE_STORE_H

#include "secrets/cloud_login.h"
#include "secrets/fetch.h"
#include "secrets/secret_store.h"

/* The scope of tokens that vaults of the public cloud take. */
#define AZURE_STORE_SCOPE "https://vault.azure.net/.default"

/* All texts are copied, the credential too. */
struct azure_options {
    struct loop *loop;
    struct fetcher *fetcher;
    struct secret_arena *secrets; /* of tokens */
    const char *url;              /* "https://VAULT.vault.azure.net" */
    const char *resource;         /* for managed identities; NULL: "https://vault.azure.net" */
    const char *ca_file;          /* PEM; NULL: the system's certificates */
    const char *prefix;           /* a folder that all paths are below; NULL: none */
    struct cloud_login login;     /* SECRET, FILE, CREDENTIAL or AZURE_IDENTITY */
    uint64_t poll_us;    /* between two looks at what is watched, give or take a tenth; 0: 60 s */
    uint64_t connect_us; /* 0: 5 s */
    uint64_t total_us;   /* of one request; 0: 15 s */
};

/* As aws_store_open. */
int azure_store_open(const struct azure_options *options, struct secret_store **ret_store,
                     char *why);

#endif
