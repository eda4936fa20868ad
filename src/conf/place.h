/*
 * Where secrets are kept, as the file says it: "vault:secret/data/llm/openai", "dir:/run/keys",
 * "sealed". Plain values; any thread.
 */
#ifndef CONF_PLACE_H
#define CONF_PLACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum conf_store_kind {
    CONF_STORE_SEALED, /* our own file, beside the configuration */
    CONF_STORE_FOLDER, /* of files */
    CONF_STORE_VAULT,
    CONF_STORE_AWS,    /* Secrets Manager */
    CONF_STORE_GOOGLE, /* Secret Manager */
    CONF_STORE_AZURE,  /* Key Vault */
    CONF_STORE_KUBERNETES,
    CONF_STORE_KINDS,
};

enum { CONF_PLACE_MAX_BYTES = 1024 };

/* An entry, or a folder of entries, of one store. Texts are pieces of the one that was read. */
struct conf_place {
    enum conf_store_kind kind;
    struct span text; /* as the file says it */
    struct span root; /* FOLDER: the folder of the store; VAULT: the mount */
    unsigned kv;      /* VAULT: the version of the engine; 0: the server is asked */
    struct span path; /* in the store */
};

/* Where new keys are kept: 0 or ERR_SYNTAX. A folder is that of the keys: its own is the store's,
 * in which its name is the path. */
int conf_place_read(struct span text, struct conf_place *ret_place);

/* Only those that a reference may name: "vault:PATH", "aws:PATH", ...; the path is not empty. As
 * above. */
int conf_place_read_stored(struct span text, struct conf_place *ret_place);

/* True where the text begins with the name of such a store ("vault:"). */
bool conf_place_is_stored(struct span text);

/* What conf_place_read takes, for complaints. */
#define CONF_PLACE_ALLOWED                                                                         \
    "vault:MOUNT/data/PATH, vault:MOUNT/PATH, aws:PATH, google:PATH, azure:PATH, k8s:PATH, "       \
    "dir:/PATH, sealed"

/* The section of `secrets` that says how to reach stores of that kind: "vault"; "" where none is
 * needed. */
const char *conf_place_section(enum conf_store_kind kind);

#endif
