/*
 * Asks secret stores for what configurations refer to (conf/stored.h): for what a load wants, in
 * parallel and for a bounded time; and again whenever a store tells that something changed. A store
 * that cannot be asked leaves what it told last in force, is asked again, ever more seldom, and
 * holds up no other. The control thread's.
 */
#ifndef SERVER_STORED_READER_H
#define SERVER_STORED_READER_H

#include "conf/config.h"
#include "conf/stored.h"
#include "server/secret_stores.h"

struct stored_reader;

struct stored_reader_options {
    struct loop *loop;
    struct secret_arena *secrets;
    struct secret_stores *stores;
    struct conf_stored *stored; /* all of these outlive it */
    uint64_t within_us;         /* of stored_reader_ask */
    /* All that was wanted was asked for. */
    void (*on_asked)(void *owner);
    /* Something is another than it was. */
    void (*on_change)(void *owner);
    /* A place cannot be read, for a reason that is new; NULL: it can be again. */
    void (*on_trouble)(void *owner, struct span place, const char *why);
    /* A store cannot be reached any more, as was seen at that place; NULL: all that are still asked
     * can be again. */
    void (*on_away)(void *owner, struct span place, const char *why);
    void *owner;
};

/* NULL without memory. */
struct stored_reader *stored_reader_new(const struct stored_reader_options *options);

/* Accepts a pointer to NULL. */
void stored_reader_free(struct stored_reader **reader);

/* Asks for all that the last load used and is wanted, in the stores of that configuration. on_asked
 * follows, never before this returns. 0 or ERR_NOMEM. Borrows nothing. */
int stored_reader_ask(struct stored_reader *reader, const struct conf_secrets *conf);

/* on_asked does not come any more. */
void stored_reader_cancel(struct stored_reader *reader);

/* Watches what the last load used from now on, in the stores of that configuration, and forgets the
 * rest. What cannot be watched for want of memory is told as trouble. */
void stored_reader_follow(struct stored_reader *reader, const struct conf_secrets *conf);

#endif
