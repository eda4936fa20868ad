#include "peer.h"
#include "common.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

SSL_CTX *peer_tls_new(const char *certificate, const char *private_key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    errno = 0;
    if (tls == NULL || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256") != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, private_key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_set_session_id_context(tls, (const unsigned char *)"bench", 5) != 1)
        die("TLS: %s", ERR_error_string(ERR_get_error(), NULL));
    SSL_CTX_set_mode(tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return tls;
}

void peer_init(struct peer *peer, int fd, SSL_CTX *tls)
{
    *peer = (struct peer){.fd = fd};
    if (tls == NULL)
        return;
    peer->tls = SSL_new(tls);
    if (peer->tls == NULL || SSL_set_fd(peer->tls, fd) != 1)
        die("SSL_new");
    SSL_set_accept_state(peer->tls);
}

void peer_fini(struct peer *peer)
{
    SSL_free(peer->tls);
    close(peer->fd);
    free(peer->out.at);
}

void bytes_keep(struct bytes *store, const char *bytes, size_t size)
{
    store->at = need_realloc(store->at, store->size + size);
    memcpy(store->at + store->size, bytes, size);
    store->size += size;
}

void bytes_drop(struct bytes *store, size_t size)
{
    store->size -= size;
    memmove(store->at, store->at + size, store->size);
}

/* Whether a TLS call that returned `result` is only to be tried again. */
static bool wants_more(struct peer *peer, int result)
{
    int error = SSL_get_error(peer->tls, result);
    ERR_clear_error();
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
}

/* Sends what the connection takes: how many bytes; 0 when it is full or broken. */
static size_t send_some(struct peer *peer, const char *bytes, size_t size)
{
    bool is_full;
    ssize_t n;
    if (peer->tls != NULL) {
        n = SSL_write(peer->tls, bytes, (int)size);
        is_full = n <= 0 && wants_more(peer, (int)n);
    } else {
        n = send(peer->fd, bytes, size, MSG_NOSIGNAL);
        is_full = n < 0 && errno == EAGAIN;
    }
    if (n <= 0 && !is_full)
        peer->is_broken = true;
    return n > 0 ? (size_t)n : 0;
}

void peer_flush(struct peer *peer)
{
    size_t sent = 1;
    while (peer->out.size > 0 && sent > 0) {
        sent = send_some(peer, peer->out.at, peer->out.size);
        bytes_drop(&peer->out, sent);
    }
}

void peer_say(struct peer *peer, const struct bytes *bytes)
{
    size_t sent = peer->out.size == 0 ? send_some(peer, bytes->at, bytes->size) : 0;
    if (sent < bytes->size && !peer->is_broken) {
        bytes_keep(&peer->out, bytes->at + sent, bytes->size - sent);
        peer_flush(peer);
    }
}

static size_t read_tls(struct peer *peer, char *buffer, size_t room,
                       struct peer_handshakes *handshakes)
{
    bool was_open = SSL_is_init_finished(peer->tls);
    int n = SSL_read(peer->tls, buffer, (int)room);
    if (!was_open && SSL_is_init_finished(peer->tls)) {
        handshakes->done++;
        handshakes->resumed += SSL_session_reused(peer->tls) == 1;
    }
    if (n <= 0 && !wants_more(peer, n))
        peer->is_broken = true;
    return n > 0 ? (size_t)n : 0;
}

size_t peer_read(struct peer *peer, char *buffer, size_t room, struct peer_handshakes *handshakes)
{
    if (peer->tls != NULL)
        return read_tls(peer, buffer, room, handshakes);
    ssize_t n = recv(peer->fd, buffer, room, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        peer->is_broken = true;
    return n > 0 ? (size_t)n : 0;
}
