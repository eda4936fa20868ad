/*
 * A private RSA key made for the tests, so that none lies about; and what it signed, verified by
 * OpenSSL.
 */
#ifndef TESTS_SECRETS_RSA_H
#define TESTS_SECRETS_RSA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <string.h>

#include "base/span.h"

struct rsa {
    EVP_PKEY *key;
    char pem[4096];
};

static inline void rsa_write(EVP_PKEY *key, char *pem, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len;

    assert_non_null(bio);
    assert_int_equal(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    len = BIO_read(bio, pem, (int)cap - 1);
    assert_true(len > 0);
    pem[len] = '\0';
    BIO_free(bio);
}

static inline void rsa_make(struct rsa *rsa)
{
    rsa->key = EVP_RSA_gen(2048);
    assert_non_null(rsa->key);
    rsa_write(rsa->key, rsa->pem, sizeof(rsa->pem));
}

static inline void rsa_drop(struct rsa *rsa)
{
    EVP_PKEY_free(rsa->key);
}

/* base64url back to bytes, with a NUL behind them; their number. */
static inline size_t rsa_decode(struct span text, char *out, size_t cap)
{
    char padded[8192];
    size_t len = text.len;
    int n;

    assert_true(len + 4 < sizeof(padded) && len / 4 * 3 + 3 < cap);
    for (size_t i = 0; i < len; i++)
        padded[i] = (char)(text.ptr[i] == '-' ? '+' : text.ptr[i] == '_' ? '/' : text.ptr[i]);
    while (len % 4)
        padded[len++] = '=';
    n = EVP_DecodeBlock((unsigned char *)out, (const unsigned char *)padded, (int)len);
    assert_true(n >= 0);
    n -= (int)(len - text.len);
    out[n] = '\0';
    return (size_t)n;
}

/* Takes "HEADER.CLAIMS.SIGNATURE" apart and verifies it. */
static inline void rsa_verify(const struct rsa *rsa, struct span jwt, char *header, char *claims,
                              size_t cap)
{
    size_t first = span_find_byte(jwt, '.'), second, len;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    char signature[1024];

    assert_true(first != SIZE_MAX);
    second = span_find_byte(span_skip(jwt, first + 1), '.');
    assert_true(second != SIZE_MAX);
    second += first + 1;
    rsa_decode(span_of(jwt.ptr, first), header, cap);
    rsa_decode(span_of(jwt.ptr + first + 1, second - first - 1), claims, cap);
    len = rsa_decode(span_skip(jwt, second + 1), signature, sizeof(signature));
    assert_non_null(context);
    assert_int_equal(EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, rsa->key), 1);
    assert_int_equal(EVP_DigestVerify(context, (unsigned char *)signature, len,
                                      (const unsigned char *)jwt.ptr, second),
                     1);
    EVP_MD_CTX_free(context);
}

#endif
