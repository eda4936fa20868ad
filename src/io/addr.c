#include "io/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/err.h"

int addr_from_ip(struct span ip, uint16_t port, struct addr *ret_addr)
{
    struct addr addr = {.len = 0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&addr.storage;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr.storage;
    char text[INET6_ADDRSTRLEN];

    if (ip.len == 0 || ip.len >= sizeof(text))
        return ERR_SYNTAX;
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        addr.len = sizeof(*v4);
    } else if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        addr.len = sizeof(*v6);
    } else {
        return ERR_SYNTAX;
    }
    *ret_addr = addr;
    return 0;
}

static int parse_unix(struct span path, struct addr *ret_addr)
{
    struct addr addr = {.len = sizeof(struct sockaddr_un)};
    struct sockaddr_un *un = (struct sockaddr_un *)&addr.storage;

    if (path.len == 0 || path.len >= sizeof(un->sun_path))
        return ERR_SYNTAX;
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path.ptr, path.len);
    *ret_addr = addr;
    return 0;
}

int addr_parse(struct span text, struct addr *ret_addr)
{
    struct span host = text;
    uint64_t port;
    size_t colon = SIZE_MAX;
    bool is_v6 = false;

    if (span_has_prefix(text, SPAN("unix:")))
        return parse_unix(span_skip(text, 5), ret_addr);
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == ':')
            colon = i;
    }
    if (colon == SIZE_MAX || span_to_u64(span_skip(text, colon + 1), &port) || port > 65535)
        return ERR_SYNTAX;
    host.len = colon;
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = span_of(host.ptr + 1, host.len - 2), is_v6 = true;
    if (is_v6 != (span_find_byte(host, ':') != SIZE_MAX))
        return ERR_SYNTAX; /* IPv6 needs brackets, IPv4 has none */
    return addr_from_ip(host, (uint16_t)port, ret_addr);
}

bool addr_is_unix(const struct addr *addr)
{
    return addr->storage.ss_family == AF_UNIX;
}

uint16_t addr_port(const struct addr *addr)
{
    if (addr->storage.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&addr->storage)->sin_port);
    if (addr->storage.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&addr->storage)->sin6_port);
    return 0;
}

bool addr_is_loopback(const struct addr *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->storage;

    switch (addr->storage.ss_family) {
    case AF_UNIX:
        return true;
    case AF_INET:
        return (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
    case AF_INET6:
        return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
    default:
        return false;
    }
}

void addr_write_ip(const struct addr *addr, char *out)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->storage;

    out[0] = '\0';
    if (addr->storage.ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, out, ADDR_TEXT_BYTES);
    else if (addr->storage.ss_family == AF_INET6)
        inet_ntop(AF_INET6, &v6->sin6_addr, out, ADDR_TEXT_BYTES);
    else if (addr_is_unix(addr))
        memcpy(out, "unix", sizeof("unix"));
}

void addr_write(const struct addr *addr, char *out)
{
    char ip[ADDR_TEXT_BYTES];

    if (addr_is_unix(addr)) {
        const struct sockaddr_un *un = (const struct sockaddr_un *)&addr->storage;

        snprintf(out, ADDR_TEXT_BYTES, "unix:%.*s", (int)sizeof(un->sun_path), un->sun_path);
        return;
    }
    addr_write_ip(addr, ip);
    if (addr->storage.ss_family == AF_INET6)
        snprintf(out, ADDR_TEXT_BYTES, "[%.64s]:%u", ip, addr_port(addr));
    else
        snprintf(out, ADDR_TEXT_BYTES, "%.64s:%u", ip, addr_port(addr));
}
