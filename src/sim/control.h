/*
 * The calls under /sim/ on a simulator's own address, by which a test looks and changes things
 * while it runs; docs/simulator.md lists them. One thread.
 */
#ifndef SIM_CONTROL_H
#define SIM_CONTROL_H

#include <stdbool.h>

#include "http/server.h"
#include "sim/sim.h"

/* True where the request is for the control calls; it then answers by itself. */
bool sim_control_begin(struct sim *sim, struct http_server_conn *conn,
                       const struct http_head *head);

#endif
