/*
 * Addresses that the gateway listens on, and networks that it trusts, as the file writes them.
 * Nothing is resolved here. Pure; any thread.
 */
#ifndef CONF_ADDRESS_H
#define CONF_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct conf_address {
    struct span text; /* as written */
    struct span host; /* a name or a literal address, without brackets; empty for a unix socket */
    uint16_t port;    /* 0: the system picks one */
    bool is_unix;
    struct span path; /* of the unix socket, as written; else empty */
};

struct conf_addresses {
    struct conf_address *items;
    size_t count;
};

/* An address with the leading bits that count. IPv4 stands as ::ffff:a.b.c.d. */
struct conf_network {
    struct span text;
    uint8_t bytes[16];
    uint8_t prefix_bits; /* 0 to 128 */
};

struct conf_networks {
    struct conf_network *items;
    size_t count;
};

/* "host:port", "[v6]:port" or "unix:/path", borrowed from text: 0 or ERR_SYNTAX. */
int conf_address_parse(struct span text, struct conf_address *ret_address);

/* True for 127.0.0.0/8, ::1, "localhost" and every unix socket: only this machine can reach it. */
bool conf_address_is_loopback(const struct conf_address *address);

/* "10.0.0.0/8", "fd00::/8" or one address alone: 0 or ERR_SYNTAX. */
int conf_network_parse(struct span text, struct conf_network *ret_network);

/* True where the address (16 bytes, IPv4 mapped) lies in one of the networks. */
bool conf_networks_contain(const struct conf_networks *networks, const uint8_t bytes[16]);

#endif
