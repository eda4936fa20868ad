#include "secrets/fetch_request.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/err.h"
#include "io/addr.h"

_Static_assert((int)FETCH_WORDS_BYTES >= CURL_ERROR_SIZE, "libcurl's words fit");

/* ---- what comes in ---- */

static size_t take_bytes(struct fetch *fetch, const char *data, size_t len)
{
    int err = fetch->on_bytes ? fetch->on_bytes(fetch, span_of(data, len))
                              : buf_append(&fetch->answer, data, len);

    if (!err)
        return len;
    fetch->is_too_large = true;
    return 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *user)
{
    return take_bytes(user, data, size * count);
}

/* Read by libcurl itself; only their number is bounded here. */
static size_t on_field(char *data, size_t size, size_t count, void *user)
{
    struct fetch *fetch = user;

    (void)data;
    fetch->head_bytes += size * count;
    fetch->is_too_large |= fetch->head_bytes > FETCH_ANSWER_MAX_BYTES;
    return fetch->is_too_large ? 0 : size * count;
}

/* The certificates that the endpoints' TLS trusts too, and SSL_CERT_FILE where that is set; or
 * those that were asked for. */
static CURLcode on_tls_context(CURL *easy, void *context, void *user)
{
    const struct fetch *fetch = user;
    int is_set = fetch->ca_file ? SSL_CTX_load_verify_file(context, fetch->ca_file)
                                : SSL_CTX_set_default_verify_paths(context);

    (void)easy;
    return is_set == 1 ? CURLE_OK : CURLE_SSL_CACERT_BADFILE;
}

/* Where a connection would go, after names and redirects have been followed. */
static curl_socket_t on_open(void *user, curlsocktype purpose, struct curl_sockaddr *place)
{
    struct fetch *fetch = user;
    struct addr addr = {.len = place->addrlen};

    (void)purpose;
    if (place->addrlen <= sizeof(addr.storage))
        memcpy(&addr.storage, &place->addr, place->addrlen);
    if (!addr_is_public(&addr)) {
        fetch->is_denied = true;
        return CURL_SOCKET_BAD;
    }
    return socket(place->family, place->socktype | SOCK_CLOEXEC, place->protocol);
}

/* ---- what is asked ---- */

static int put_fields(struct fetch *fetch, const char *const *fields)
{
    for (size_t i = 0; fields[i]; i++) {
        struct curl_slist *longer = curl_slist_append(fetch->fields, fields[i]);

        if (!longer)
            return ERR_NOMEM;
        fetch->fields = longer;
    }
    return 0;
}

/* What is not set stays as libcurl has it: peers and names verified. */
static CURLcode set_safety(struct fetch *fetch)
{
    CURL *easy = fetch->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    /* Ended while its name is looked up, a fetch would else wait for the helper thread. */
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (!code && !curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_tls_context)) {
        code = curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, fetch);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
    return code;
}

/* Where it may lead, and how much may come. */
static CURLcode set_bounds(struct fetch *fetch, const struct fetch_ask *ask)
{
    CURL *easy = fetch->easy;
    CURLcode code =
        curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(ask->connect_us / US_PER_MS));

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(ask->total_us / US_PER_MS));
    if (!code && ask->max_bytes)
        code = curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)ask->max_bytes);
    if (!code && ask->redirects) {
        code = curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)ask->redirects);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    }
    if (!code && ask->is_public) {
        code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open);
        if (!code)
            code = curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, fetch);
    }
    return code;
}

/* Whatever its method is called, libcurl sends it as it does a POST. */
static CURLcode set_body(CURL *easy, const struct fetch_ask *ask)
{
    CURLcode code = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)ask->body.len);

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_POSTFIELDS, ask->body.len ? ask->body.ptr : "");
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, ask->method);
    return code;
}

static CURLcode set_request(struct fetch *fetch, const struct fetch_ask *ask)
{
    CURL *easy = fetch->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_URL, ask->url);

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->fields);
    if (!code && strcmp(ask->method, "GET") != 0)
        code = set_body(easy, ask);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_USERAGENT, "bellwether/" BW_VERSION);
    return code;
}

static CURLcode set_callbacks(struct fetch *fetch)
{
    CURL *easy = fetch->easy;
    CURLcode code = curl_easy_setopt(easy, CURLOPT_PRIVATE, fetch);

    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->why);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_WRITEDATA, fetch);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
    if (!code)
        code = curl_easy_setopt(easy, CURLOPT_HEADERDATA, fetch);
    return code;
}

int fetch_request_set(struct fetch *fetch, const struct fetch_ask *ask)
{
    int err = put_fields(fetch, ask->fields);

    if (!err && (set_safety(fetch) || set_bounds(fetch, ask) || set_request(fetch, ask) ||
                 set_callbacks(fetch)))
        err = ERR_NOMEM;
    return err;
}

int fetch_request_err(const struct fetch *fetch, int code)
{
    if (fetch->is_too_large)
        return fetch->answer.err == ERR_NOMEM ? ERR_NOMEM : ERR_FULL;
    /* Another address of the same name may have been tried: that it failed is no news. */
    if (fetch->is_denied && code == CURLE_COULDNT_CONNECT)
        return ERR_DENIED;
    switch (code) {
    case CURLE_FILESIZE_EXCEEDED:
        return ERR_FULL;
    case CURLE_TOO_MANY_REDIRECTS:
        return ERR_RANGE;
    case CURLE_OPERATION_TIMEDOUT:
        return ERR_TIMEOUT;
    case CURLE_COULDNT_RESOLVE_HOST:
        return ERR_RESOLVE;
    case CURLE_COULDNT_CONNECT:
        return ERR_REFUSED;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return ERR_TLS;
    case CURLE_OUT_OF_MEMORY:
        return ERR_NOMEM;
    default: /* of many codes, which mean one thing here */
        return ERR_PROTO;
    }
}
