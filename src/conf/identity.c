#include "conf/identity.h"

#include <sodium.h>

_Static_assert(CONF_IDENTITY_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

/* SHA-256, because libsodium's wipes what it works with; its BLAKE2b leaves the message on the
 * stack. */
void conf_key_identity(struct span provider, struct span secret,
                       uint8_t ret_identity[CONF_IDENTITY_BYTES])
{
    static const unsigned char between = 0;
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    crypto_hash_sha256_update(&state, (const unsigned char *)provider.ptr, provider.len);
    crypto_hash_sha256_update(&state, &between, 1);
    crypto_hash_sha256_update(&state, (const unsigned char *)secret.ptr, secret.len);
    crypto_hash_sha256_final(&state, ret_identity);
}
