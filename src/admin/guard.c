#include "admin/guard.h"

#include "admin/refusal.h"
#include "base/secret.h"

/* The bearer token (RFC 6750 2.1), or an empty span. */
static struct span bearer(const struct http_head *head)
{
    struct span value = http_head_find(head, SPAN("authorization")), scheme = SPAN("bearer ");

    if (value.len < scheme.len || !span_is_equal_nocase(span_of(value.ptr, scheme.len), scheme))
        return span_of(NULL, 0);
    return span_trim(span_skip(value, scheme.len));
}

static const struct failure_row *check_token(const struct http_head *head,
                                             const struct secret *token)
{
    struct span given = bearer(head);
    bool is_right;

    if (!given.len)
        return refusal_row(REFUSAL_NO_TOKEN);
    is_right = secret_is_equal(token, given);
    secret_wipe((char *)(uintptr_t)given.ptr, given.len);
    return is_right ? NULL : refusal_row(REFUSAL_WRONG_TOKEN);
}

/* The authority that the request is for: that of an absolute target counts before Host (RFC 9112
 * 3.2.2). */
static struct span authority_of(const struct http_head *head)
{
    size_t scheme = span_find(head->target, SPAN("://"));
    struct span rest;

    if (!head->target.len || head->target.ptr[0] == '/' || scheme == SIZE_MAX)
        return http_head_find(head, SPAN("host"));
    rest = span_skip(head->target, scheme + 3);
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] == '/' || rest.ptr[i] == '?')
            return span_of(rest.ptr, i);
    }
    return rest;
}

/* The host of an authority: without port, and without the brackets of an IPv6 address (RFC 3986
 * 3.2.2). Empty where it is malformed. */
static struct span host_of(struct span authority)
{
    bool is_bracketed = authority.len && authority.ptr[0] == '[';
    struct span rest = is_bracketed ? span_skip(authority, 1) : authority;
    size_t end = span_find_byte(rest, is_bracketed ? ']' : ':');

    if (!is_bracketed)
        return end == SIZE_MAX ? rest : span_of(rest.ptr, end);
    if (end == SIZE_MAX || (end + 1 < rest.len && rest.ptr[end + 1] != ':'))
        return span_of(NULL, 0);
    return span_of(rest.ptr, end);
}

static bool is_loopback(struct span host)
{
    struct addr addr;

    return span_is_equal_nocase(host, SPAN("localhost")) ||
           (addr_from_ip(host, 0, &addr) == 0 && addr_is_loopback(&addr));
}

const struct failure_row *guard_refuse(const struct http_head *head, const struct addr *peer,
                                       const struct secret *token, bool is_token_asked)
{
    if (token)
        return is_token_asked ? check_token(head, token) : NULL;
    if (http_head_find(head, SPAN("origin")).ptr)
        return refusal_row(REFUSAL_FOREIGN_ORIGIN);
    if (!addr_is_unix(peer) && !is_loopback(host_of(authority_of(head))))
        return refusal_row(REFUSAL_FOREIGN_HOST);
    return NULL;
}
