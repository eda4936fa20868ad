/*
 * The gateway as one process runs it: the control thread's part (configuration, probes, admin API,
 * life and death) and the workers. Everything here belongs to the control thread, whose loop is
 * given.
 */
#ifndef SERVER_GATEWAY_H
#define SERVER_GATEWAY_H

#include "base/secret.h"
#include "conf/config.h"
#include "conf/load.h"
#include "io/addr.h"
#include "io/loop.h"

struct config_reader;
struct gateway;

struct gateway_options {
    struct loop *loop;
    struct secret_arena *secrets;
    bool is_locked;          /* see secret_arena_new */
    const char *config_path; /* for reloads; NULL: the environment */
    const struct conf_source *source;
    /* That read the configuration, and outlives the gateway; NULL: none, as it refers to no store.
     */
    struct config_reader *reader;
};

enum { GATEWAY_ERROR_BYTES = 512 };

/* Opens all sockets, starts the log and the workers. The configuration becomes the gateway's, also
 * on failure. ret_error says in one line what went wrong. 0 or an error. */
int gateway_new(const struct gateway_options *options, struct config *config, char *ret_error,
                struct gateway **ret_gateway);

/* Cuts what still runs, joins the workers, frees. Accepts NULL. */
void gateway_free(struct gateway **gateway);

/* Reads the configuration again; a bad one leaves the running one in force, and the log says why.
 */
void gateway_reload(struct gateway *gateway);

/* Has the log file opened anew. */
void gateway_reopen_log(struct gateway *gateway);

/* Begins to shut down: /ready says 503, after shutdown_delay listening ends, requests under way are
 * answered, and at the end of shutdown_grace what still runs is cut. Then the loop is stopped. A
 * second call skips what is left of the grace. */
void gateway_shut_down(struct gateway *gateway);

/* The first address of the data plane and that of the admin API, as bound. */
const struct addr *gateway_listen_addr(const struct gateway *gateway);
const struct addr *gateway_admin_addr(const struct gateway *gateway);

#endif
