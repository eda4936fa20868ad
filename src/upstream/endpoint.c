#include "upstream/endpoint.h"

#include <sys/stat.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/err.h"

struct endpoint {
    struct endpoint_health health;
    struct endpoint_news news;
    struct region *region;   /* NULL: none of several */
    struct tls_context *tls; /* NULL: plain */
    struct buf text;         /* url, then what makes it the same again: see identity() */
    struct span url, authority, path, host, unix_path;
    uint16_t port;
    struct {
        atomic_uint refs; /* acquire-release on the last drop */
        atomic_uint
            usage; /* enum endpoint_usage; relaxed: a late reader asks once more than needed */
        /* Connections that stand, and all there ever were: relaxed, for they guard nothing. Written
         * once a connection, not once an attempt, so that workers may share them. */
        atomic_uint_least64_t connections, connections_total;
    } shared;
};

/* A file by its name and by what tells one that was renewed; of one that cannot be read whoever
 * uses it complains. */
static void put_file(struct buf *text, struct span path)
{
    struct stat file;

    buf_printf(text, " %.*s", SPAN_ARG(path));
    if (path.len && stat(path.ptr, &file) == 0)
        buf_printf(text, " %llu %lld %lld.%ld", (unsigned long long)file.st_ino,
                   (long long)file.st_size, (long long)file.st_mtim.tv_sec, file.st_mtim.tv_nsec);
}

/* Everything that decides where connections go and whom they trust. */
static int identity(const struct conf_provider *provider, const struct conf_url *url,
                    struct buf *text)
{
    const struct conf_upstream_tls *tls = &provider->tls;

    /* Of the same URL another kind may take another path. */
    buf_printf(text, "%.*s %zu %d", SPAN_ARG(url->text), url->path.len, tls->verify);
    put_file(text, tls->ca);
    put_file(text, tls->client.certificate);
    put_file(text, tls->client.private_key);
    return text->err;
}

static const char *path_or_null(struct span path)
{
    return path.len ? path.ptr : NULL;
}

static int make_tls(struct endpoint *endpoint, const struct conf_provider *provider,
                    const struct conf_url *url, char *ret_error)
{
    struct tls_client_options options = {
        .ca_path = path_or_null(provider->tls.ca),
        .certificate_path = path_or_null(provider->tls.client.certificate),
        .private_key_path = path_or_null(provider->tls.client.private_key),
        .is_unverified = !provider->tls.verify,
    };

    if (!url->is_tls)
        return 0;
    return tls_client_context_new(&options, ret_error, &endpoint->tls);
}

/* Copies a span of the configuration behind the identity in text; the buffer was reserved. */
static struct span keep(struct endpoint *endpoint, struct span from)
{
    size_t at = endpoint->text.len;

    buf_append_span(&endpoint->text, from);
    return span_of(endpoint->text.data + at, from.len);
}

static int copy_url(struct endpoint *endpoint, const struct conf_url *url)
{
    int err = buf_reserve(&endpoint->text, url->text.len + url->authority.len + url->path.len +
                                               url->host.len + url->unix_path.len);

    if (err)
        return err;
    endpoint->url = keep(endpoint, url->text);
    endpoint->authority = keep(endpoint, url->authority);
    endpoint->path = keep(endpoint, url->path);
    endpoint->host = keep(endpoint, url->host);
    endpoint->unix_path = keep(endpoint, url->unix_path);
    endpoint->port = url->port;
    return 0;
}

int endpoint_new(const struct conf_provider *provider, const struct conf_url *url, char *ret_error,
                 struct endpoint **ret_endpoint)
{
    struct endpoint *endpoint = mem_zalloc(1, sizeof(*endpoint));
    int err;

    ret_error[0] = '\0';
    if (!endpoint)
        return ERR_NOMEM;
    atomic_init(&endpoint->shared.refs, 1);
    endpoint_health_init(&endpoint->health);
    endpoint_news_init(&endpoint->news);
    buf_init(&endpoint->text, 65536);
    /* Before the files are read: what changes in between is found at the next reload. */
    err = identity(provider, url, &endpoint->text);
    if (!err)
        err = buf_append_byte(&endpoint->text, '\0');
    if (!err)
        err = copy_url(endpoint, url);
    if (!err)
        err = make_tls(endpoint, provider, url, ret_error);
    if (err) {
        endpoint_unref(&endpoint);
        return err;
    }
    *ret_endpoint = endpoint;
    return 0;
}

struct endpoint *endpoint_ref(struct endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->shared.refs, 1, memory_order_relaxed);
    return endpoint;
}

struct endpoint_tally *endpoint_tally_new(struct endpoint *endpoint)
{
    struct endpoint_tally *tally = mem_zalloc(1, sizeof(*tally));

    if (tally)
        endpoint_health_join(&endpoint->health, tally);
    return tally;
}

static void free_tallies(struct endpoint *endpoint)
{
    struct endpoint_tally *tally =
        atomic_load_explicit(&endpoint->health.tallies, memory_order_relaxed);

    while (tally) {
        struct endpoint_tally *next = tally->next;

        mem_free(tally);
        tally = next;
    }
}

static void free_region(struct endpoint *endpoint)
{
    struct region_tally *tally;

    if (!endpoint->region)
        return;
    tally = atomic_load_explicit(&endpoint->region->shared.tallies, memory_order_relaxed);
    while (tally) {
        struct region_tally *next = tally->next;

        mem_free(tally);
        tally = next;
    }
    MEM_CLEAR(endpoint->region);
}

void endpoint_unref(struct endpoint **endpoint)
{
    struct endpoint *e = *endpoint;

    *endpoint = NULL;
    if (!e || atomic_fetch_sub_explicit(&e->shared.refs, 1, memory_order_acq_rel) != 1)
        return;
    tls_context_unref(&e->tls);
    free_tallies(e);
    free_region(e);
    buf_fini(&e->text);
    mem_free(e);
}

bool endpoint_is_same(const struct endpoint *endpoint, const struct conf_provider *provider,
                      const struct conf_url *url)
{
    struct buf text;
    bool is_same;

    buf_init(&text, 65536);
    is_same = identity(provider, url, &text) == 0 &&
              span_is_equal(buf_span(&text), span_from_text(endpoint->text.data));
    buf_fini(&text);
    return is_same;
}

struct region *endpoint_make_region(struct endpoint *endpoint)
{
    if (endpoint->region)
        return endpoint->region;
    endpoint->region = mem_zalloc(1, sizeof(*endpoint->region));
    if (endpoint->region)
        region_init(endpoint->region);
    return endpoint->region;
}

struct region *endpoint_region(struct endpoint *endpoint)
{
    return endpoint->region;
}

struct region_tally *endpoint_region_tally_new(struct endpoint *endpoint)
{
    struct region_tally *tally = mem_zalloc(1, sizeof(*tally));

    if (tally)
        region_join(endpoint->region, tally);
    return tally;
}

struct endpoint_health *endpoint_health_of(struct endpoint *endpoint)
{
    return &endpoint->health;
}

struct endpoint_news *endpoint_news_of(struct endpoint *endpoint)
{
    return &endpoint->news;
}

struct span endpoint_authority(const struct endpoint *endpoint)
{
    return endpoint->authority;
}

struct span endpoint_path(const struct endpoint *endpoint)
{
    return endpoint->path;
}

struct span endpoint_url(const struct endpoint *endpoint)
{
    return endpoint->url;
}

enum endpoint_usage endpoint_usage(const struct endpoint *endpoint)
{
    return (enum endpoint_usage)atomic_load_explicit(&endpoint->shared.usage, memory_order_relaxed);
}

void endpoint_set_usage(struct endpoint *endpoint, enum endpoint_usage usage)
{
    atomic_store_explicit(&endpoint->shared.usage, usage, memory_order_relaxed);
}

void endpoint_note_connected(struct endpoint *endpoint)
{
    atomic_fetch_add_explicit(&endpoint->shared.connections, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&endpoint->shared.connections_total, 1, memory_order_relaxed);
}

void endpoint_note_closed(struct endpoint *endpoint)
{
    atomic_fetch_sub_explicit(&endpoint->shared.connections, 1, memory_order_relaxed);
}

uint64_t endpoint_connections(const struct endpoint *endpoint, uint64_t *ret_total)
{
    *ret_total = atomic_load_explicit(&endpoint->shared.connections_total, memory_order_relaxed);
    return atomic_load_explicit(&endpoint->shared.connections, memory_order_relaxed);
}

struct tls_context *endpoint_tls(const struct endpoint *endpoint)
{
    return endpoint->tls;
}

struct span endpoint_host(const struct endpoint *endpoint)
{
    return endpoint->host;
}

struct span endpoint_unix_path(const struct endpoint *endpoint)
{
    return endpoint->unix_path;
}

uint16_t endpoint_port(const struct endpoint *endpoint)
{
    return endpoint->port;
}
