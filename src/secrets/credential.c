#include "secrets/credential.h"

#include <sodium.h>

#include "base/alloc.h"

_Static_assert(CREDENTIAL_DIGEST_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

enum { TEXTS = 10 };

struct span credential_kind_text(enum credential_kind kind)
{
    switch (kind) {
    case CREDENTIAL_AZURE_ENTRA:
        return SPAN("azure_entra");
    case CREDENTIAL_GOOGLE_SERVICE_ACCOUNT:
        return SPAN("google_service_account");
    case CREDENTIAL_ANTHROPIC_FEDERATION:
        return SPAN("anthropic_federation");
    case CREDENTIAL_KINDS:
        break;
    }
    return SPAN("");
}

/* Every text of it, so that what is hashed and what is copied are the same. */
static void list_texts(struct credential *credential, struct span *ret_texts[TEXTS])
{
    struct span *texts[TEXTS] = {
        &credential->url,       &credential->tenant,       &credential->client_id,
        &credential->key_id,    &credential->token_file,   &credential->scope,
        &credential->rule,      &credential->organization, &credential->service_account,
        &credential->workspace,
    };

    memcpy(ret_texts, texts, sizeof(texts));
}

/* With its length before it, so that no two lists of texts read alike. */
static void hash_text(crypto_hash_sha256_state *state, struct span text)
{
    uint64_t len = text.len;

    crypto_hash_sha256_update(state, (const unsigned char *)&len, sizeof(len));
    if (len)
        crypto_hash_sha256_update(state, (const unsigned char *)text.ptr, len);
}

void credential_digest(const struct credential *credential, struct span provider,
                       uint8_t ret_digest[CREDENTIAL_DIGEST_BYTES])
{
    struct credential copy = *credential;
    struct span *texts[TEXTS];
    crypto_hash_sha256_state state;

    list_texts(&copy, texts);
    crypto_hash_sha256_init(&state);
    hash_text(&state, provider);
    hash_text(&state, credential_kind_text(credential->kind));
    for (size_t i = 0; i < TEXTS; i++)
        hash_text(&state, *texts[i]);
    hash_text(&state, credential->secret ? secret_reveal(credential->secret) : span_of(NULL, 0));
    crypto_hash_sha256_final(&state, ret_digest);
    secret_wipe(&state, sizeof(state));
}

struct credential *credential_copy(const struct credential *credential)
{
    struct credential from = *credential, *copy;
    struct span *texts[TEXTS], *copies[TEXTS];
    size_t len = 0;
    char *at;

    list_texts(&from, texts);
    for (size_t i = 0; i < TEXTS; i++)
        len += texts[i]->len + 1;
    copy = mem_zalloc(1, sizeof(*copy) + len);
    if (!copy)
        return NULL;
    *copy = from;
    if (from.secret)
        copy->secret = secret_ref(from.secret);
    at = (char *)(copy + 1);
    list_texts(copy, copies);
    for (size_t i = 0; i < TEXTS; i++) {
        if (texts[i]->len)
            memcpy(at, texts[i]->ptr, texts[i]->len);
        *copies[i] = span_of(at, texts[i]->len);
        at += texts[i]->len + 1;
    }
    return copy;
}

void credential_free(struct credential **credential)
{
    struct credential *c = *credential;

    *credential = NULL;
    if (!c)
        return;
    secret_unref(&c->secret);
    mem_free(c);
}
