#include "secrets/sigv4.h"

#include <sodium.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/secret.h"

_Static_assert(SIGV4_DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

enum { CANONICAL_MAX_BYTES = 256 << 10, HEX_BYTES = 2 * SIGV4_DIGEST_BYTES, DAY_BYTES = 8 };

void sigv4_date(uint64_t wall_us, char date[SIGV4_DATE_BYTES + 1])
{
    time_t seconds = (time_t)(wall_us / US_PER_SEC);
    struct tm parts;
    char text[64];

    gmtime_r(&seconds, &parts);
    snprintf(text, sizeof(text), "%04d%02d%02dT%02d%02d%02dZ", parts.tm_year + 1900,
             parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
    snprintf(date, SIGV4_DATE_BYTES + 1, "%.*s", SIGV4_DATE_BYTES, text);
}

static void put_hex(struct buf *out, const unsigned char digest[SIGV4_DIGEST_BYTES])
{
    char hex[HEX_BYTES + 1];

    sodium_bin2hex(hex, sizeof(hex), digest, SIGV4_DIGEST_BYTES);
    buf_append(out, hex, HEX_BYTES);
}

static void put_hash(struct buf *out, struct span text)
{
    unsigned char digest[SIGV4_DIGEST_BYTES];

    crypto_hash_sha256(digest, (const unsigned char *)text.ptr, text.len);
    put_hex(out, digest);
}

static void put_value(struct buf *out, struct span value)
{
    value = span_trim(value);
    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] != ' ' || value.ptr[i - 1] != ' ')
            buf_append_byte(out, value.ptr[i]);
    }
}

static void put_names(struct buf *out, const struct sigv4_request *request)
{
    for (size_t i = 0; i < request->header_count; i++) {
        if (i)
            buf_append_byte(out, ';');
        buf_append_span(out, request->headers[i].name);
    }
}

int sigv4_canonical(struct buf *out, const struct sigv4_request *request)
{
    buf_append_span(out, request->method);
    buf_append_byte(out, '\n');
    buf_append_span(out, request->path);
    buf_append_byte(out, '\n');
    buf_append_span(out, request->query);
    buf_append_byte(out, '\n');
    for (size_t i = 0; i < request->header_count; i++) {
        buf_append_span(out, request->headers[i].name);
        buf_append_byte(out, ':');
        put_value(out, request->headers[i].value);
        buf_append_byte(out, '\n');
    }
    buf_append_byte(out, '\n');
    put_names(out, request);
    buf_append_byte(out, '\n');
    put_hash(out, request->body);
    return out->err;
}

static void sign(const unsigned char *key, size_t key_len, struct span text,
                 unsigned char digest[SIGV4_DIGEST_BYTES])
{
    crypto_auth_hmacsha256_state state;

    crypto_auth_hmacsha256_init(&state, key, key_len);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)text.ptr, text.len);
    crypto_auth_hmacsha256_final(&state, digest);
    secret_wipe(&state, sizeof(state));
}

/* Each step's key signs the next word: 0, ERR_FULL or ERR_NOMEM. */
static int signing_key(const struct sigv4_scope *scope, unsigned char key[SIGV4_DIGEST_BYTES])
{
    const struct span words[] = {span_of(scope->date, DAY_BYTES), scope->region, scope->service,
                                 SPAN("aws4_request")};
    struct buf first;
    int err;

    buf_init(&first, CANONICAL_MAX_BYTES);
    first.is_secret = true;
    buf_append_span(&first, SPAN("AWS4"));
    buf_append_span(&first, scope->secret);
    err = first.err;
    if (!err)
        sign((const unsigned char *)first.data, first.len, words[0], key);
    buf_fini(&first);
    for (size_t i = 1; !err && i < sizeof(words) / sizeof(words[0]); i++) {
        unsigned char last[SIGV4_DIGEST_BYTES];

        memcpy(last, key, sizeof(last));
        sign(last, sizeof(last), words[i], key);
        secret_wipe(last, sizeof(last));
    }
    return err;
}

static void put_scope(struct buf *out, const struct sigv4_scope *scope)
{
    buf_printf(out, "%.*s/%.*s/%.*s/aws4_request", DAY_BYTES, scope->date, SPAN_ARG(scope->region),
               SPAN_ARG(scope->service));
}

static int text_to_sign(struct buf *out, const struct sigv4_request *request,
                        const struct sigv4_scope *scope)
{
    struct buf canonical;
    int err;

    buf_init(&canonical, CANONICAL_MAX_BYTES);
    canonical.is_secret = true;
    err = sigv4_canonical(&canonical, request);
    buf_printf(out, "AWS4-HMAC-SHA256\n%.*s\n", SIGV4_DATE_BYTES, scope->date);
    put_scope(out, scope);
    buf_append_byte(out, '\n');
    put_hash(out, buf_span(&canonical));
    buf_fini(&canonical);
    return err ? err : out->err;
}

int sigv4_authorization(struct buf *out, const struct sigv4_request *request,
                        const struct sigv4_scope *scope)
{
    unsigned char key[SIGV4_DIGEST_BYTES], digest[SIGV4_DIGEST_BYTES];
    struct buf text;
    int err;

    buf_init(&text, CANONICAL_MAX_BYTES);
    err = text_to_sign(&text, request, scope);
    if (!err)
        err = signing_key(scope, key);
    if (!err) {
        sign(key, sizeof(key), buf_span(&text), digest);
        buf_printf(out, "AWS4-HMAC-SHA256 Credential=%.*s/", SPAN_ARG(scope->key_id));
        put_scope(out, scope);
        buf_append_span(out, SPAN(", SignedHeaders="));
        put_names(out, request);
        buf_append_span(out, SPAN(", Signature="));
        put_hex(out, digest);
    }
    secret_wipe(key, sizeof(key));
    buf_fini(&text);
    return err ? err : out->err;
}
