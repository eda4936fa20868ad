#include "secrets/sealed.h"

#include <sodium.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/rand.h"

enum {
    MAGIC_BYTES = 8,
    FORMAT = 1,
    FORMAT_AT = MAGIC_BYTES,
    ID_AT = FORMAT_AT + 4,
    NONCE_AT = ID_AT + SEAL_ID_BYTES,
    NONCE_BYTES = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
    BASE64_FORM = sodium_base64_VARIANT_ORIGINAL,
};

_Static_assert((int)SEALED_HEADER_BYTES == NONCE_AT + NONCE_BYTES, "the header's parts");
_Static_assert((int)SEALED_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "the tag");
_Static_assert((int)SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "the key");

static const struct span prefix = SPAN_INIT("sealed:");

static const char *magic_of(enum sealed_kind kind)
{
    return kind == SEALED_FILE ? "BWSEALF\n" : "BWSEALT\n";
}

static const unsigned char *key_bytes(const struct seal_key *key)
{
    return (const unsigned char *)secret_reveal(key->bytes).ptr;
}

int sealed_close(const struct seal_key *key, enum sealed_kind kind, struct span plain,
                 struct buf *out)
{
    int err = buf_reserve(out, SEALED_HEADER_BYTES + plain.len + SEALED_TAG_BYTES);
    unsigned char *head;

    if (err)
        return err;
    head = (unsigned char *)out->data + out->len;
    memcpy(head, magic_of(kind), MAGIC_BYTES);
    memcpy(head + FORMAT_AT, (const unsigned char[]){0, 0, 0, FORMAT}, 4);
    memcpy(head + ID_AT, key->id, SEAL_ID_BYTES);
    rand_fill_secure(head + NONCE_AT, NONCE_BYTES);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        head + SEALED_HEADER_BYTES, NULL, (const unsigned char *)plain.ptr, plain.len, head,
        SEALED_HEADER_BYTES, NULL, head + NONCE_AT, key_bytes(key));
    out->len += SEALED_HEADER_BYTES + plain.len + SEALED_TAG_BYTES;
    return 0;
}

static int say(char *why, int err, const char *words)
{
    snprintf(why, SECRET_WORDS_BYTES, "%s", words);
    return err;
}

static int check_header(const struct seal_key *key, enum sealed_kind kind, struct span sealed,
                        char *why)
{
    const unsigned char *head = (const unsigned char *)sealed.ptr;
    uint32_t format;

    if (sealed.len < ID_AT || memcmp(head, magic_of(kind), MAGIC_BYTES) != 0)
        return say(why, ERR_SYNTAX, "is nothing that Bellwether has sealed");
    format = (uint32_t)head[FORMAT_AT] << 24 | (uint32_t)head[FORMAT_AT + 1] << 16 |
             (uint32_t)head[FORMAT_AT + 2] << 8 | head[FORMAT_AT + 3];
    if (format > FORMAT) {
        snprintf(why, SECRET_WORDS_BYTES, "was sealed by a newer version of Bellwether (format %u)",
                 (unsigned)format);
        return ERR_UNSUPPORTED;
    }
    if (format < FORMAT)
        return say(why, ERR_PROTO, "is damaged");
    if (sealed.len < SEALED_HEADER_BYTES + SEALED_TAG_BYTES)
        return say(why, ERR_PROTO, "is cut short");
    if (memcmp(head + ID_AT, key->id, SEAL_ID_BYTES) != 0)
        return say(why, ERR_DENIED, "is sealed under another key");
    return 0;
}

int sealed_open(const struct seal_key *key, enum sealed_kind kind, struct span sealed,
                struct buf *out, char *why)
{
    const unsigned char *head = (const unsigned char *)sealed.ptr;
    int err = check_header(key, kind, sealed, why);
    size_t len;

    if (err)
        return err;
    len = sealed.len - SEALED_HEADER_BYTES - SEALED_TAG_BYTES;
    /* A byte more than needed, as nothing at all has no place. */
    err = buf_reserve(out, len + 1);
    if (err)
        return say(why, err, err == ERR_FULL ? "is too large" : "finds no memory");
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(
            (unsigned char *)out->data + out->len, NULL, NULL, head + SEALED_HEADER_BYTES,
            len + SEALED_TAG_BYTES, head, SEALED_HEADER_BYTES, head + NONCE_AT, key_bytes(key)))
        return say(why, ERR_PROTO, "is damaged or cut short");
    out->len += len;
    return 0;
}

/* ---- one text ---- */

bool sealed_text_is(struct span text)
{
    return span_has_prefix(text, prefix);
}

int sealed_text_close(const struct seal_key *key, struct span text, struct buf *out)
{
    struct buf sealed;
    size_t room;
    int err;

    if (text.len > SEALED_TEXT_MAX_BYTES)
        return ERR_RANGE;
    buf_init(&sealed, SEALED_HEADER_BYTES + SEALED_TEXT_MAX_BYTES + SEALED_TAG_BYTES);
    err = sealed_close(key, SEALED_TEXT, text, &sealed);
    room = sodium_base64_ENCODED_LEN(sealed.len, BASE64_FORM); /* with its NUL */
    if (!err)
        err = buf_reserve(out, prefix.len + room);
    if (!err) {
        buf_append_span(out, prefix);
        sodium_bin2base64(out->data + out->len, room, (const unsigned char *)sealed.data,
                          sealed.len, BASE64_FORM);
        out->len += room - 1;
    }
    buf_fini(&sealed);
    return err;
}

int sealed_text_open(const struct seal_key *key, struct span sealed, struct buf *out, char *why)
{
    struct span text = sealed_text_is(sealed) ? span_skip(sealed, prefix.len) : (struct span){0};
    unsigned char *bytes;
    size_t len;
    int err;

    if (!text.len)
        return say(why, ERR_SYNTAX, "is nothing that Bellwether has sealed");
    bytes = mem_alloc(text.len);
    if (!bytes)
        return say(why, ERR_NOMEM, "finds no memory");
    if (sodium_base642bin(bytes, text.len, text.ptr, text.len, NULL, &len, NULL, BASE64_FORM))
        err = say(why, ERR_SYNTAX, "is no whole Base64 text");
    else
        err = sealed_open(key, SEALED_TEXT, span_of((char *)bytes, len), out, why);
    mem_free(bytes);
    return err;
}
