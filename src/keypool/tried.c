#include "keypool/pick.h"

enum trial keypool_tried_find(const struct keypool_tried *tried, const struct key *key)
{
    for (uint32_t i = 0; tried && i < tried->count; i++) {
        if (tried->items[i].key == key)
            return tried->items[i].is_final ? TRIED_FOR_GOOD : TRIED;
    }
    return NOT_TRIED;
}

static uint64_t account_id(const struct key *key)
{
    const struct account *account = key_account_of(key);

    return account ? (uint64_t)(uintptr_t)account : (uint64_t)(uintptr_t)key;
}

bool keypool_tried_account(const struct keypool_tried *tried, const struct key *key)
{
    uint64_t id = account_id(key);

    for (uint32_t i = 0; tried && i < tried->count; i++) {
        if (tried->items[i].account == id)
            return true;
    }
    return false;
}

bool keypool_tried_add(struct keypool_tried *tried, const struct key *key, bool is_final)
{
    uint64_t id = account_id(key);
    bool is_new_account = true;

    for (uint32_t i = 0; i < tried->count; i++) {
        is_new_account = is_new_account && tried->items[i].account != id;
        if (tried->items[i].key != key)
            continue;
        tried->items[i].is_final = tried->items[i].is_final || is_final;
        return false;
    }
    if (tried->count < KEYPOOL_MAX_TRIED) {
        tried->items[tried->count].key = key;
        tried->items[tried->count].pool = key->pool;
        tried->items[tried->count].account = id;
        tried->items[tried->count++].is_final = is_final;
    }
    return is_new_account;
}
