/*
 * The seal key: 32 random bytes in a file of their own, under which everything of ours that is
 * secret and lies on a disk is sealed (secrets/sealed.h). Whoever has it can read all of that, so
 * the file belongs to one user and nobody else may read it. These calls wait for the disk: at the
 * start of the program, or on a helper thread.
 */
#ifndef SECRETS_SEAL_KEY_H
#define SECRETS_SEAL_KEY_H

#include <stdint.h>

#include "base/secret.h"
#include "secrets/secret_store.h"

enum { SEAL_KEY_BYTES = 32, SEAL_ID_BYTES = 16 };

struct seal_key {
    struct secret *bytes;      /* NULL: there is none */
    uint8_t id[SEAL_ID_BYTES]; /* says which key it is, and nothing else of it */
};

/* Reads the file. 0; ERR_NOTFOUND where there is none; ERR_DENIED where others than its owner may
 * read it or it is somebody else's; ERR_SYNTAX where it is not 32 bytes long; ERR_IO, ERR_FULL,
 * ERR_NOMEM. With an error, `why` (SECRET_WORDS_BYTES) says it in words. */
int seal_key_read(const char *path, struct secret_arena *arena, struct seal_key *ret_key,
                  char *why);

/* Makes a new one, which is on the disk when this returns, readable by its owner alone; never in
 * the place of another: ERR_EXISTS. Other errors as above. */
int seal_key_make(const char *path, struct secret_arena *arena, struct seal_key *ret_key,
                  char *why);

/* One of given bytes, SEAL_KEY_BYTES of them: 0, ERR_FULL or ERR_NOMEM. */
int seal_key_init(struct seal_key *key, struct secret_arena *arena, const uint8_t *bytes);

void seal_key_fini(struct seal_key *key);

/* Has the folder that `path` stands in written to the disk: 0 or an error of that. */
int seal_sync_folder(const char *path);

#endif
