/*
 * Who sent a request, where it came through proxies: the peer of the connection, or what a trusted
 * peer says in X-Forwarded-For. For logs alone; nothing is decided by it. Pure; any thread.
 */
#ifndef EXCHANGE_REMOTE_H
#define EXCHANGE_REMOTE_H

#include <netinet/in.h>

#include "conf/address.h"
#include "http/head.h"
#include "io/addr.h"

/* Writes the address, NUL-terminated. Read from the right, for each proxy appends whom it heard:
 * the first that is not trusted itself is the client; where all are, the leftmost. What stands left
 * of an entry that is no address is not believed. A unix socket counts as 127.0.0.1. False, with
 * nothing written, where the peer itself is meant. */
bool remote_find(const struct conf_networks *trusted, const struct addr *peer,
                 const struct http_head *head, char ret_ip[INET6_ADDRSTRLEN]);

#endif
