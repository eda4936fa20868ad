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

/* Loads the file (NULL: as config_load says) or, if text is not NULL, that text; prints all
 * complaints to stderr. 0 or an error, after which nothing is left to say. */
int setup_load(struct setup *setup, const char *path, const char *text, struct config **ret_config);

#endif
