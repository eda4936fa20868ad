/*
 * The listening sockets of a configuration, opened before any worker starts, so that a port in use
 * is an error of the start. Control thread.
 */
#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf/config.h"
#include "io/addr.h"
#include "server/worker.h"

struct sockets {
    struct worker_socket *items; /* [worker][address] */
    size_t address_count;
    uint32_t workers;
    struct addr *addrs; /* of the data plane, as bound */
    int admin_fd;       /* -1: taken over */
    struct addr admin;
    bool has_admin; /* it was opened, by whomever it is used now */
    bool is_hidden; /* the files of the data plane's unix sockets are gone */
};

/* 0, or an error with one line of why. */
int sockets_open(struct sockets *sockets, const struct config *config, uint32_t workers,
                 char *ret_error, size_t cap);

/* The sockets of one worker: they are its own from now on. */
const struct worker_socket *sockets_of(const struct sockets *sockets, uint32_t worker);

/* Removes the files of unix sockets, once, before their sockets refuse: whoever takes the path over
 * then keeps it. Those that have connected are not touched. */
void sockets_hide(struct sockets *sockets, bool is_admin_too);

/* Closes the sockets that nobody took over, from worker `first_left` on, hidden first. */
void sockets_close(struct sockets *sockets, uint32_t first_left);

#endif
