/*
 * Socket addresses: IPv4, IPv6 and unix paths, as values. Any thread.
 */
#ifndef IO_ADDR_H
#define IO_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/span.h"

struct addr {
    struct sockaddr_storage storage;
    socklen_t len;
};

enum { ADDR_TEXT_BYTES = 128 };

/* "127.0.0.1:80", "[::1]:80" or "unix:/path" without name resolution: 0 or ERR_SYNTAX. A host name
 * is ERR_SYNTAX. */
int addr_parse(struct span text, struct addr *ret_addr);

/* A literal IPv4 or IPv6 address (no brackets) and a port: 0 or ERR_SYNTAX. */
int addr_from_ip(struct span ip, uint16_t port, struct addr *ret_addr);

/* The text form as addr_parse reads it, NUL-terminated; out has ADDR_TEXT_BYTES bytes. */
void addr_write(const struct addr *addr, char *out);

/* The address alone, without port or brackets, NUL-terminated. */
void addr_write_ip(const struct addr *addr, char *out);

bool addr_is_unix(const struct addr *addr);
bool addr_is_loopback(const struct addr *addr); /* also every unix socket */

/* True for an address of the public internet: none of loopback, link-local, private, a carrier's
 * shared, multicast, documentation and other special networks (RFC 6890), also where one of these
 * is written as IPv4 within IPv6 (mapped, NAT64, 6to4). Of a unix socket: false. */
bool addr_is_public(const struct addr *addr);

uint16_t addr_port(const struct addr *addr); /* 0 for unix */

#endif
