/*
 * Reads a configuration: YAML text, references, defaults and the rules across fields. Blocks on
 * files; called at start and at reload, never by a worker.
 */
#ifndef CONF_LOAD_H
#define CONF_LOAD_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/secret.h"
#include "conf/complaint.h"
#include "conf/config.h"
#include "conf/stored.h"
#include "conf/system.h"

enum { CONF_FILE_MAX_BYTES = 4 << 20 };

/* What of a configuration is wanted. Where it is only a part, references to stores elsewhere stand
 * for themselves, and no store is asked for what nobody needs. */
enum conf_wish {
    CONF_WISH_ALL,
    CONF_WISH_ADMIN,   /* where the gateway is */
    CONF_WISH_SECRETS, /* where secrets are: what is wrong elsewhere does not matter */
};

/* What a load needs from outside; all borrowed for its duration, the arena as long as a config made
 * with it lives. */
struct conf_source {
    const struct conf_system *system;
    struct secret_arena *secrets;
    struct conf_stored *stored; /* what secret stores told; NULL: references to them are refused */
    enum conf_wish wish;
};

/*
 * Loads the file at `path`; where that is NULL, the file that CONFIG_PATH names; where there is
 * none of these, a configuration from the environment alone. Complaints (also warnings) are added
 * to `complaints`, sorted. 0 with *ret_config, which the caller frees with config_free; ERR_SYNTAX
 * where an error stands among the complaints, in which nothing is written; ERR_NOMEM; ERR_AGAIN:
 * source->stored wants more (conf/stored.h). Then *ret_config is there too, of which `secrets`
 * alone may be read, and the complaints are to be thrown away.
 */
int config_load(const struct conf_source *source, const char *path, struct complaints *complaints,
                struct config **ret_config);

/* The same from text; `file` is how complaints name it, and where relative paths start. */
int config_load_text(const struct conf_source *source, struct span file, struct span text,
                     struct complaints *complaints, struct config **ret_config);

#endif
