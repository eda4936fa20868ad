#include "exchange/remote.h"

#include <stdio.h>

/* IPv4 as ::ffff:a.b.c.d, as the networks stand in the configuration. */
static void bytes_of(const struct addr *addr, uint8_t ret_bytes[16])
{
    static const uint8_t local[4] = {127, 0, 0, 1};
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr->storage;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr->storage;

    if (addr->storage.ss_family == AF_INET6) {
        memcpy(ret_bytes, &v6->sin6_addr, 16);
        return;
    }
    memset(ret_bytes, 0, 10);
    memset(ret_bytes + 10, 0xff, 2);
    if (addr->storage.ss_family == AF_INET)
        memcpy(ret_bytes + 12, &v4->sin_addr, 4);
    else
        memcpy(ret_bytes + 12, local, sizeof(local));
}

static bool is_trusted(const struct conf_networks *trusted, const struct addr *addr)
{
    uint8_t bytes[16];

    bytes_of(addr, bytes);
    return conf_networks_contain(trusted, bytes);
}

/* Some proxies add the port. */
static bool read_entry(struct span text, struct addr *ret_addr)
{
    if (addr_from_ip(text, 0, ret_addr) == 0)
        return true;
    return addr_parse(text, ret_addr) == 0 && !addr_is_unix(ret_addr);
}

/* Cuts the last entry off *rest. False where none is left. */
static bool take_last(struct span *rest, struct span *ret_entry)
{
    size_t at = rest->len;

    if (!rest->ptr)
        return false;
    while (at > 0 && rest->ptr[at - 1] != ',')
        at--;
    *ret_entry = span_trim(span_skip(*rest, at));
    *rest = at ? span_of(rest->ptr, at - 1) : span_of(NULL, 0);
    return true;
}

/* Walks one field from its end; false once the walk is over. */
static bool walk(const struct conf_networks *trusted, struct span value, struct addr *addr,
                 bool *is_found)
{
    struct span entry;
    struct addr next;

    while (take_last(&value, &entry)) {
        if (!read_entry(entry, &next))
            return false;
        *addr = next;
        *is_found = true;
        if (!is_trusted(trusted, addr))
            return false;
    }
    return true;
}

bool remote_find(const struct conf_networks *trusted, const struct addr *peer,
                 const struct http_head *head, char ret_ip[INET6_ADDRSTRLEN])
{
    struct addr addr = *peer;
    char text[ADDR_TEXT_BYTES];
    bool is_found = false;

    if (trusted->count == 0 || !is_trusted(trusted, peer))
        return false;
    for (size_t i = head->field_count; i > 0; i--) {
        const struct http_field *field = &head->fields[i - 1];

        if (field->id == FIELD_X_FORWARDED_FOR && !walk(trusted, field->value, &addr, &is_found))
            break;
    }
    if (!is_found)
        return false;
    addr_write_ip(&addr, text);
    snprintf(ret_ip, INET6_ADDRSTRLEN, "%.*s", INET6_ADDRSTRLEN - 1, text);
    return true;
}
