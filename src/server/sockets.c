#include "server/sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "io/listener.h"

/* A name such as "localhost" is looked up once, at start; the control thread has nothing else to do
 * yet. */
static int resolve(const struct conf_address *from, struct addr *ret_addr)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    char host[256], port[8];

    if (from->is_unix)
        return addr_parse(from->text, ret_addr);
    if (addr_from_ip(from->host, from->port, ret_addr) == 0)
        return 0;
    snprintf(host, sizeof(host), "%.*s", SPAN_ARG(from->host));
    snprintf(port, sizeof(port), "%u", from->port);
    if (getaddrinfo(host, port, &hints, &found) || !found)
        return ERR_RESOLVE;
    *ret_addr = (struct addr){.len = found->ai_addrlen};
    memcpy(&ret_addr->storage, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return 0;
}

static int tell(char *ret_error, size_t cap, const struct conf_address *address, int err)
{
    snprintf(ret_error, cap, "cannot listen on %.*s: %s", SPAN_ARG(address->text),
             err == ERR_EXISTS ? "the address is in use" : err_text(err));
    return err;
}

static void set_port(struct addr *addr, uint16_t port)
{
    if (addr->storage.ss_family == AF_INET)
        ((struct sockaddr_in *)&addr->storage)->sin_port = htons(port);
    else if (addr->storage.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&addr->storage)->sin6_port = htons(port);
}

/* A port in use by somebody who shares it as well would go unseen: the first bind does not share.
 */
static int claim(struct addr *addr)
{
    struct addr bound;
    int fd, err = listener_open(addr, false, &fd, &bound);

    if (err)
        return err;
    close(fd);
    set_port(addr, addr_port(&bound));
    return 0;
}

static int open_tcp(struct sockets *sockets, size_t at, struct addr *addr)
{
    int err = claim(addr);

    for (uint32_t w = 0; w < sockets->workers && !err; w++) {
        struct worker_socket *socket = &sockets->items[w * sockets->address_count + at];

        err = listener_open(addr, true, &socket->fd, NULL);
    }
    return err;
}

static int open_unix(struct sockets *sockets, size_t at, const struct addr *addr)
{
    int fd, err = listener_open(addr, false, &fd, NULL);

    for (uint32_t w = 0; w < sockets->workers && !err; w++)
        sockets->items[w * sockets->address_count + at] = (struct worker_socket){fd, true};
    return err;
}

static int open_address(struct sockets *sockets, const struct conf_address *from, size_t at,
                        char *ret_error, size_t cap)
{
    struct addr addr;
    int err = resolve(from, &addr);

    if (!err)
        err = addr_is_unix(&addr) ? open_unix(sockets, at, &addr) : open_tcp(sockets, at, &addr);
    if (err)
        return tell(ret_error, cap, from, err);
    sockets->addrs[at] = addr;
    return 0;
}

static int open_admin(struct sockets *sockets, const struct conf_address *from, char *ret_error,
                      size_t cap)
{
    int err = resolve(from, &sockets->admin);

    if (!err)
        err = listener_open(&sockets->admin, false, &sockets->admin_fd, &sockets->admin);
    sockets->has_admin = !err;
    return err ? tell(ret_error, cap, from, err) : 0;
}

int sockets_open(struct sockets *sockets, const struct config *config, uint32_t workers,
                 char *ret_error, size_t cap)
{
    const struct conf_addresses *listen = &config->server.listen;
    int err = 0;

    *sockets = (struct sockets){.address_count = listen->count, .workers = workers, .admin_fd = -1};
    sockets->items = mem_alloc(workers * listen->count * sizeof(*sockets->items));
    sockets->addrs = mem_zalloc(listen->count, sizeof(*sockets->addrs));
    if (!sockets->items || !sockets->addrs) {
        MEM_CLEAR(sockets->items);
        MEM_CLEAR(sockets->addrs);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < workers * listen->count; i++)
        sockets->items[i] = (struct worker_socket){-1, false};
    for (size_t i = 0; i < listen->count && !err; i++)
        err = open_address(sockets, &listen->items[i], i, ret_error, cap);
    if (!err)
        err = open_admin(sockets, &config->admin.listen.items[0], ret_error, cap);
    if (err)
        sockets_close(sockets, 0);
    return err;
}

const struct worker_socket *sockets_of(const struct sockets *sockets, uint32_t worker)
{
    return &sockets->items[worker * sockets->address_count];
}

static void remove_file(const struct addr *addr)
{
    if (addr_is_unix(addr))
        unlink(((const struct sockaddr_un *)&addr->storage)->sun_path);
}

void sockets_hide(struct sockets *sockets, bool is_admin_too)
{
    /* By what was opened: a reload may have named other addresses since. */
    for (size_t i = 0; sockets->items && !sockets->is_hidden && i < sockets->address_count; i++) {
        if (sockets->items[i].fd >= 0)
            remove_file(&sockets->addrs[i]);
    }
    sockets->is_hidden = true;
    if (is_admin_too && sockets->has_admin) {
        remove_file(&sockets->admin);
        sockets->has_admin = false;
    }
}

void sockets_close(struct sockets *sockets, uint32_t first_left)
{
    sockets_hide(sockets, true);
    for (uint32_t w = 0; sockets->items && w < sockets->workers; w++) {
        for (size_t i = 0; i < sockets->address_count; i++) {
            struct worker_socket *socket = &sockets->items[w * sockets->address_count + i];

            /* A shared socket is one descriptor for all; a worker's own is closed by its listener.
             */
            if (socket->fd >= 0 && (socket->is_shared ? w == 0 : w >= first_left))
                close(socket->fd);
        }
    }
    if (sockets->admin_fd >= 0)
        close(sockets->admin_fd);
    sockets->admin_fd = -1;
    MEM_CLEAR(sockets->items);
    MEM_CLEAR(sockets->addrs);
}
