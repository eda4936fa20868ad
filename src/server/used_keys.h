/*
 * The keys of one provider by which it tells what they used: how each is called there, and what was
 * used of it here and there (alerts/unexplained.h). Keys are known by the ids of the file, or by
 * the service accounts that the issuer made. Embedded in its owner; the control thread's.
 */
#ifndef SERVER_USED_KEYS_H
#define SERVER_USED_KEYS_H

#include "alerts/unexplained.h"
#include "base/roll.h"
#include "base/span.h"
#include "keypool/keypool.h"
#include "rotation/life.h"
#include "rotation/usage_answer.h"

/* Zeroed before its first use. */
struct used_keys {
    uint32_t span_s;
    struct roll by_name;
    struct roll aliases; /* by the provider's ids of keys, as it told them last */
};

void used_keys_init(struct used_keys *keys, uint32_t span_s);
void used_keys_fini(struct used_keys *keys);

/* Looks at what the keys have used here, of those of which an id is known; life may be NULL: there
 * is no rotation. Those that the pool has no more, or whose id is not known any more, are
 * forgotten. What finds no memory is not watched until the next look. To be called several times in
 * each span. */
void used_keys_look(struct used_keys *keys, const struct conf_provider *conf,
                    const struct life *life, struct keypool *pool, uint64_t now_us,
                    uint64_t wall_us);

/* None is watched. */
bool used_keys_is_empty(const struct used_keys *keys);

/* What the provider tells from now on is all there is; the ops take it, with the keys as owner. */
void used_keys_forget(struct used_keys *keys);
extern const struct usage_ops used_keys_ops;

/* Tells of the keys that used more there than here in a span before `end`. */
void used_keys_compare(struct used_keys *keys, const struct unexplained_rules *rules, uint64_t end,
                       void (*on_gap)(void *owner, struct span name, const struct use_gap *gap),
                       void *owner);

#endif
