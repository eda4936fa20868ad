#include "secrets/jwt.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "base/err.h"

/* RSA of 16384 bits, which is more than anybody has. */
enum { SIGNATURE_BYTES = 2048 };

int jwt_base64url(struct buf *out, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        bits = bits << 8 | (unsigned char)bytes.ptr[i];
        for (count += 8; count >= 6; count -= 6)
            buf_append_byte(out, digits[bits >> (count - 6) & 63]);
    }
    if (count)
        buf_append_byte(out, digits[bits << (6 - count) & 63]);
    return out->err;
}

/* Without this OpenSSL would ask for a passphrase on the terminal. */
static int refuse_passphrase(char *text, int size, int is_writing, void *arg)
{
    (void)text, (void)size, (void)is_writing, (void)arg;
    return 0;
}

static int read_key(struct span pem, EVP_PKEY **ret_key)
{
    BIO *bio;
    EVP_PKEY *key;

    if (!pem.len || pem.len > INT_MAX)
        return ERR_SYNTAX;
    bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (!bio)
        return ERR_NOMEM;
    key = PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
    BIO_free(bio);
    /* TLS on this thread must not find our failure among its own. */
    ERR_clear_error();
    if (key && EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    if (!key)
        return ERR_SYNTAX;
    *ret_key = key;
    return 0;
}

int jwt_check_key(struct span pem)
{
    EVP_PKEY *key;
    int err = read_key(pem, &key);

    if (!err)
        EVP_PKEY_free(key);
    return err;
}

static int sign(EVP_PKEY *key, struct span text, unsigned char *signature, size_t *len)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_signed;

    if (!context)
        return ERR_NOMEM;
    is_signed =
        EVP_DigestSignInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
        EVP_DigestSign(context, signature, len, (const unsigned char *)text.ptr, text.len) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    return is_signed ? 0 : ERR_SYNTAX;
}

int jwt_sign(struct buf *out, struct span header, struct span claims, struct span pem)
{
    unsigned char signature[SIGNATURE_BYTES];
    size_t start = out->len, len = sizeof(signature);
    EVP_PKEY *key;
    int err = read_key(pem, &key);

    if (err)
        return err;
    jwt_base64url(out, header);
    buf_append_byte(out, '.');
    err = jwt_base64url(out, claims);
    if (!err)
        err = sign(key, span_of(out->data + start, out->len - start), signature, &len);
    EVP_PKEY_free(key);
    if (err)
        return err;
    buf_append_byte(out, '.');
    return jwt_base64url(out, span_of((const char *)signature, len));
}
