#include "conf/address.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/err.h"

enum { HOST_MAX_BYTES = 253, UNIX_PATH_MAX_BYTES = 107 /* sockaddr_un, with a NUL behind it */ };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

/* The literal address as 16 bytes, IPv4 mapped; *ret_bits is the width of its family. */
static bool read_literal(struct span text, uint8_t bytes[16], unsigned *ret_bits)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len == 0 || text.len >= sizeof(copy))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    memcpy(bytes, mapped_prefix, sizeof(mapped_prefix));
    if (inet_pton(AF_INET, copy, bytes + 12) == 1) {
        *ret_bits = 32;
        return true;
    }
    *ret_bits = 128;
    return inet_pton(AF_INET6, copy, bytes) == 1;
}

static bool is_host_name(struct span host)
{
    if (host.len == 0 || host.len > HOST_MAX_BYTES)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '.' || c == '-' || c == '_'))
            return false;
    }
    return true;
}

static int read_port(struct span text, uint16_t *ret_port)
{
    uint64_t port;

    if (text.len > 5 || span_to_u64(text, &port) || port > UINT16_MAX)
        return ERR_SYNTAX;
    *ret_port = (uint16_t)port;
    return 0;
}

static int parse_unix(struct conf_address *address)
{
    address->is_unix = true;
    address->path = span_skip(address->text, 5);
    if (!address->path.len || address->path.len > UNIX_PATH_MAX_BYTES ||
        span_find_byte(address->path, '\0') != SIZE_MAX)
        return ERR_SYNTAX;
    return 0;
}

/* The host, and behind it the place of the colon before the port. */
static int parse_host(struct conf_address *address, size_t *ret_colon)
{
    struct span text = address->text;
    uint8_t bytes[16];
    unsigned bits;
    size_t end;

    if (text.len && text.ptr[0] == '[') {
        end = span_find_byte(text, ']');
        if (end == SIZE_MAX)
            return ERR_SYNTAX;
        address->host = span_of(text.ptr + 1, end - 1);
        *ret_colon = end + 1;
        return read_literal(address->host, bytes, &bits) && bits == 128 ? 0 : ERR_SYNTAX;
    }
    end = span_find_byte(text, ':');
    if (end == SIZE_MAX)
        return ERR_SYNTAX;
    address->host = span_of(text.ptr, end);
    *ret_colon = end;
    return is_host_name(address->host) ? 0 : ERR_SYNTAX;
}

int conf_address_parse(struct span text, struct conf_address *ret_address)
{
    struct conf_address address = {.text = text};
    size_t colon;
    int err;

    if (span_has_prefix(text, SPAN("unix:"))) {
        err = parse_unix(&address);
    } else {
        err = parse_host(&address, &colon);
        if (!err && (colon >= text.len || text.ptr[colon] != ':'))
            err = ERR_SYNTAX;
        if (!err)
            err = read_port(span_skip(text, colon + 1), &address.port);
    }
    if (!err)
        *ret_address = address;
    return err;
}

bool conf_address_is_loopback(const struct conf_address *address)
{
    static const uint8_t v6_loopback[16] = {[15] = 1};
    uint8_t bytes[16];
    unsigned bits;

    if (address->is_unix)
        return true;
    if (span_is_equal_nocase(address->host, SPAN("localhost")))
        return true;
    if (!read_literal(address->host, bytes, &bits))
        return false;
    return !memcmp(bytes, v6_loopback, sizeof(bytes)) ||
           (!memcmp(bytes, mapped_prefix, sizeof(mapped_prefix)) && bytes[12] == 127);
}

int conf_network_parse(struct span text, struct conf_network *ret_network)
{
    struct conf_network network = {.text = text};
    size_t slash = span_find_byte(text, '/');
    struct span literal = {text.ptr, slash == SIZE_MAX ? text.len : slash};
    uint64_t prefix;
    unsigned bits;

    if (!read_literal(literal, network.bytes, &bits))
        return ERR_SYNTAX;
    prefix = bits;
    if (slash != SIZE_MAX && (span_to_u64(span_skip(text, slash + 1), &prefix) || prefix > bits))
        return ERR_SYNTAX;
    network.prefix_bits = (uint8_t)(prefix + 128 - bits);
    *ret_network = network;
    return 0;
}

static bool network_contains(const struct conf_network *network, const uint8_t bytes[16])
{
    size_t whole = network->prefix_bits / 8;
    unsigned rest = network->prefix_bits % 8;

    if (memcmp(network->bytes, bytes, whole) != 0)
        return false;
    return rest == 0 || ((network->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

bool conf_networks_contain(const struct conf_networks *networks, const uint8_t bytes[16])
{
    for (size_t i = 0; i < networks->count; i++) {
        if (network_contains(&networks->items[i], bytes))
            return true;
    }
    return false;
}
