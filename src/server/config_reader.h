/*
 * Reads configurations whose secrets stand elsewhere: loads the file, asks the secret stores for
 * what it refers to, and loads it again with that; then watches all of it, and says when the file
 * is to be read once more. It has the secret stores, which others share. The control thread's.
 */
#ifndef SERVER_CONFIG_READER_H
#define SERVER_CONFIG_READER_H

#include "conf/load.h"
#include "server/secret_stores.h"

struct config_reader;

struct config_reader_ops {
    /* A secret is another than it was: the file is to be read again, from what is known. */
    void (*on_change)(void *owner);
    /* A place cannot be read, so that its last value stands; NULL: it can be again. */
    void (*on_trouble)(void *owner, struct span place, const char *why);
    /* A store cannot be reached any more, as was seen at that place; NULL: all can be again. */
    void (*on_away)(void *owner, struct span place, const char *why);
};

/* What came of a reading; the complaints are borrowed for the call, the config is the owner's. */
struct config_read {
    int err; /* as config_load's, but for ERR_AGAIN */
    const struct complaints *complaints;
    struct config *config; /* where err is 0 */
};

/* NULL without memory. The loop, what the source names and the arena outlive it; source->stored is
 * not looked at. */
struct config_reader *config_reader_new(struct loop *loop, const struct conf_source *source);

/* Nobody may use its stores any more. Accepts a pointer to NULL. */
void config_reader_free(struct config_reader **reader);

struct secret_stores *config_reader_stores(struct config_reader *reader);

/* Begins to read the file (as config_load's path; copied). With `is_fresh` all stores are asked
 * again; else only for what was never told. on_read comes once, perhaps before this returns; one
 * reading at a time. */
void config_reader_begin(struct config_reader *reader, const char *path, bool is_fresh,
                         void (*on_read)(void *owner, const struct config_read *read), void *owner);

/* The same, turning the loop until it is done: for the start of a program. */
int config_reader_read(struct config_reader *reader, const char *path,
                       struct complaints *complaints, struct config **ret_config);

/* Ends a reading untold. Harmless where none is under way. */
void config_reader_cancel(struct config_reader *reader);

/* That configuration, which was read last, is in force now: watches what it was made from. */
void config_reader_follow(struct config_reader *reader, const struct config *config,
                          const struct config_reader_ops *ops, void *owner);

/* Nobody listens any more. */
void config_reader_leave(struct config_reader *reader);

#endif
