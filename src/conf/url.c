#include "conf/url.h"

#include "base/err.h"

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static bool is_literal_byte(char c)
{
    return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == '.' ||
           c == ':';
}

static bool holds_only(struct span text, bool (*is_allowed)(char))
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_allowed(text.ptr[i]))
            return false;
    }
    return text.len > 0;
}

/* What may stand in a path as it is: visible ASCII (RFC 3986 3.3 has less, but what a provider
 * hands out as its base URL is sent as it is). */
static bool is_path_byte(char c)
{
    return c > ' ' && c < 0x7f;
}

static int fail(const char **ret_why, const char *why)
{
    *ret_why = why;
    return ERR_SYNTAX;
}

/* Cuts the host, and returns what stands behind it in the authority. */
static int read_host(struct span authority, struct span *ret_host, struct span *ret_rest)
{
    size_t end;

    if (authority.len && authority.ptr[0] == '[') {
        end = span_find_byte(authority, ']');
        if (end == SIZE_MAX)
            return ERR_SYNTAX;
        *ret_host = span_of(authority.ptr + 1, end - 1);
        *ret_rest = span_skip(authority, end + 1);
        return holds_only(*ret_host, is_literal_byte) ? 0 : ERR_SYNTAX;
    }
    end = span_find_byte(authority, ':');
    if (end == SIZE_MAX)
        end = authority.len;
    *ret_host = span_of(authority.ptr, end);
    *ret_rest = span_skip(authority, end);
    return holds_only(*ret_host, is_name_byte) ? 0 : ERR_SYNTAX;
}

static int read_authority(struct conf_url *url, struct span authority, const char **ret_why)
{
    struct span rest;
    uint64_t port;

    if (span_find_byte(authority, '@') != SIZE_MAX)
        return fail(ret_why, "it holds a user or password, which belong into keys or headers");
    if (read_host(authority, &url->host, &rest))
        return fail(ret_why, "its host is no name and no address");
    url->port = url->is_tls ? 443 : 80;
    url->authority = authority;
    if (!rest.len)
        return 0;
    if (rest.ptr[0] != ':' || rest.len > 6 || span_to_u64(span_skip(rest, 1), &port) || port == 0 ||
        port > UINT16_MAX)
        return fail(ret_why, "its port is no number from 1 to 65535");
    url->port = (uint16_t)port;
    return 0;
}

/* "unix:/path/to/socket" or "unix:/path/to/socket:/v1", as nginx writes it. */
static int read_unix(struct conf_url *url, struct span rest, const char **ret_why)
{
    size_t end = span_find_byte(rest, ':');

    url->unix_path = span_of(rest.ptr, end == SIZE_MAX ? rest.len : end);
    url->path = end == SIZE_MAX ? span_of(rest.ptr + rest.len, 0) : span_skip(rest, end + 1);
    url->host = url->authority = SPAN("localhost");
    url->port = url->is_tls ? 443 : 80;
    if (!url->unix_path.len || url->unix_path.ptr[0] != '/' || url->unix_path.len > 107)
        return fail(ret_why, "the path of its socket must start with '/' and fit 107 bytes");
    return 0;
}

int conf_url_parse(struct span text, struct conf_url *ret_url, const char **ret_why)
{
    struct conf_url url = {.text = text};
    struct span rest;
    size_t slash;
    int err;

    if (span_has_prefix(text, SPAN("https://")))
        url.is_tls = true;
    else if (!span_has_prefix(text, SPAN("http://")))
        return fail(ret_why, "it starts with neither http:// nor https://");
    rest = span_skip(text, url.is_tls ? 8 : 7);
    if (!holds_only(rest, is_path_byte))
        return fail(ret_why, "it is empty or holds a space or a byte outside of ASCII");
    if (span_find_byte(rest, '?') != SIZE_MAX || span_find_byte(rest, '#') != SIZE_MAX)
        return fail(ret_why, "it holds a query or a fragment");
    if (span_has_prefix(rest, SPAN("unix:"))) {
        err = read_unix(&url, span_skip(rest, 5), ret_why);
    } else {
        slash = span_find_byte(rest, '/');
        if (slash == SIZE_MAX)
            slash = rest.len;
        url.path = span_skip(rest, slash);
        err = read_authority(&url, span_of(rest.ptr, slash), ret_why);
    }
    if (err)
        return err;
    if (url.path.len && url.path.ptr[0] != '/')
        return fail(ret_why, "its path does not start with '/'");
    while (url.path.len && url.path.ptr[url.path.len - 1] == '/')
        url.path.len--;
    *ret_url = url;
    return 0;
}
