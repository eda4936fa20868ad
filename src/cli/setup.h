/*
 * What commands that load a configuration share: the arena of secrets, the loader, and complaints
 * on stderr. Main thread.
 */
#ifndef CLI_SETUP_H
#define CLI_SETUP_H

#include <stdbool.h>

#include "base/secret.h"
#include "conf/config.h"
#include "conf/load.h"
#include "server/config_reader.h"

enum { SECRETS_MAX_BYTES = 8 << 20 };

struct setup {
    struct secret_arena *secrets;
    bool is_locked;
    struct conf_source source;
};

/* 0 or ERR_NOMEM. */
int setup_init(struct setup *setup);
/* Every secret must be gone. */
void setup_fini(struct setup *setup);

/* Reads the file (NULL: as config_load says), turning the reader's loop while secret stores are
 * asked; prints all complaints to stderr. 0 or an error, after which nothing is left to say. */
int setup_read(struct config_reader *reader, const char *path, struct config **ret_config);

/* The same with a reader of its own; or, if text is not NULL, from that text. */
int setup_load(struct setup *setup, const char *path, const char *text, struct config **ret_config);

#endif
