/*
 * A path of secrets/secret_store.h as the name that a cloud lets a secret have, and back. Each
 * character of a path is written in its own way, none of which begins another, so no two paths meet
 * in one name; and a name that is not exactly what its path is written as is none of ours. Pure;
 * any thread.
 *
 *     path             Google               Azure                  Kubernetes
 *     openai/pool-a    openai__pool-a       openai--pool-ha        openai.pool-a
 *     team.eu/Key_1    team_deu__Key_u1     team-deu---ckey-u1     teamzdeu.zckeyzu1
 */
#ifndef SECRETS_SECRET_NAME_H
#define SECRETS_SECRET_NAME_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/span.h"

enum secret_name_style {
    SECRET_NAME_PLAIN,      /* as it is (AWS): at most 512 characters */
    SECRET_NAME_GOOGLE,     /* letters, digits, '-', '_': at most 255 */
    SECRET_NAME_AZURE,      /* small letters, digits, '-': at most 127 */
    SECRET_NAME_KUBERNETES, /* a DNS subdomain (RFC 1123): at most 253 */
};

/* Room for any name with its NUL, and for any path. */
enum { SECRET_NAME_BYTES = 520 };

/* Writes the name of a good path, of two parts that '/' joins where both are there, with a NUL. 0,
 * or ERR_RANGE where it would be longer than such names may be. */
int secret_name_write(enum secret_name_style style, struct span folder, struct span path,
                      char name[SECRET_NAME_BYTES]);

/* The path that has this name; false where none has. */
bool secret_name_read(enum secret_name_style style, struct span name, char path[SECRET_NAME_BYTES]);

#endif
