/*
 * Requests to the provider's own key API: POST, GET and DELETE under /v1/keys on a simulator's
 * address; docs/simulator.md has them. One thread.
 */
#ifndef SIM_ISSUING_CALL_H
#define SIM_ISSUING_CALL_H

#include <stdbool.h>

#include "http/server.h"
#include "sim/call.h"

/* True where the request is for the key API; it then answers by itself, in the world as it stands
 * when the request is whole. */
bool sim_issuing_begin(struct sim_calls *calls, struct http_server_conn *conn,
                       const struct http_head *head);

#endif
