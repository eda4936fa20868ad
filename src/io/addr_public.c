/* Which addresses are of the public internet: the special-purpose registries of IANA (RFC 6890),
 * and what stands for an IPv4 address within IPv6. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "io/addr.h"

struct net4 {
    uint32_t first;
    unsigned bits;
};

#define NET4(a, b, c, d, bits)                                                                     \
    {                                                                                              \
        (uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d), (bits)     \
    }

static const struct net4 reserved4[] = {
    NET4(0, 0, 0, 0, 8),        /* this host */
    NET4(10, 0, 0, 0, 8),       /* private */
    NET4(100, 64, 0, 0, 10),    /* shared by a carrier's customers */
    NET4(127, 0, 0, 0, 8),      /* loopback */
    NET4(168, 63, 129, 16, 32), /* the platform of a machine at Azure, in public clothes */
    NET4(169, 254, 0, 0, 16),   /* link-local: clouds tell their machines' secrets here */
    NET4(172, 16, 0, 0, 12),    /* private */
    NET4(192, 0, 0, 0, 24),     /* of protocols */
    NET4(192, 0, 2, 0, 24),     /* documentation */
    NET4(192, 88, 99, 0, 24),   /* relays of 6to4 */
    NET4(192, 168, 0, 0, 16),   /* private */
    NET4(198, 18, 0, 0, 15),    /* benchmarks */
    NET4(198, 51, 100, 0, 24),  /* documentation */
    NET4(203, 0, 113, 0, 24),   /* documentation */
    NET4(224, 0, 0, 0, 3),      /* multicast, reserved, broadcast */
};

struct net6 {
    uint8_t first[16];
    unsigned bits;
};

/* Within 2000::/3, outside of which there is nothing public but what stands for IPv4. */
static const struct net6 reserved6[] = {
    {{0x20, 0x01, 0x00}, 23},       /* of protocols, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff, 0x00}, 20},       /* documentation */
};

static const struct net6 global6 = {{0x20}, 3};

/* Where an IPv4 address stands in an address of IPv6. */
static const struct {
    struct net6 net;
    unsigned at;
} embedding[] = {
    {{{[10] = 0xff, [11] = 0xff}, 96}, 12}, /* mapped (RFC 4291) */
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},   /* NAT64 (RFC 6052) */
    {{{0x20, 0x02}, 16}, 2},                /* 6to4 (RFC 3056) */
};

static bool is_public4(uint32_t ip)
{
    for (size_t i = 0; i < sizeof(reserved4) / sizeof(reserved4[0]); i++) {
        if (((ip ^ reserved4[i].first) >> (32 - reserved4[i].bits)) == 0)
            return false;
    }
    return true;
}

static bool is_in(const uint8_t *ip, const struct net6 *net)
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;

    if (memcmp(ip, net->first, whole) != 0)
        return false;
    return rest == 0 || ((ip[whole] ^ net->first[whole]) >> (8 - rest)) == 0;
}

static bool is_public6(const uint8_t *ip)
{
    for (size_t i = 0; i < sizeof(embedding) / sizeof(embedding[0]); i++) {
        uint32_t inner;

        if (!is_in(ip, &embedding[i].net))
            continue;
        memcpy(&inner, ip + embedding[i].at, sizeof(inner));
        return is_public4(ntohl(inner));
    }
    for (size_t i = 0; i < sizeof(reserved6) / sizeof(reserved6[0]); i++) {
        if (is_in(ip, &reserved6[i]))
            return false;
    }
    return is_in(ip, &global6);
}

bool addr_is_public(const struct addr *addr)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->storage;

    if (addr->storage.ss_family == AF_INET)
        return is_public4(ntohl(v4->sin_addr.s_addr));
    return addr->storage.ss_family == AF_INET6 && is_public6(v6->sin6_addr.s6_addr);
}
