/*
 * What surrounds a rotation, for its tests: a store in memory that may be out of reach, an issuer
 * that makes keys in memory, and a pool that keeps what it was told. Virtual time; answers come
 * when the loop turns. The shop outlives processes: a rotation that ends and another that begins
 * find what the first has written.
 */
#ifndef TESTS_ROTATION_SHOP_H
#define TESTS_ROTATION_SHOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "io/loop.h"
#include "rotation/issuer_inner.h"
#include "rotation/rotation.h"
#include "secrets/secret_store_kind.h"

enum {
    SHOP_ENTRIES = 64,
    SHOP_KEYS = 64,
    SHOP_STANDS = LIFE_KEYS_MAX,
    SHOP_NEWS = 256,
    SHOP_FILE = 2
};

struct shop_entry {
    char path[SECRET_PATH_MAX_BYTES + 1];
    char text[SECRET_ENTRY_MAX_BYTES];
    size_t len;
    uint64_t version; /* 0: removed */
};

struct shop_key {
    char name[LIFE_NAME_BYTES], id[32];
    bool is_alive;
};

struct shop_stand {
    char name[LIFE_NAME_BYTES];
    char secret[64]; /* empty: none */
    uint8_t identity[LIFE_IDENTITY_BYTES];
    enum life_standing standing;
    uint32_t share_ppm;
};

struct shop {
    struct secret_store store;
    struct issuer issuer;
    struct loop *loop;
    struct secret_arena *secrets;
    struct rotation *rotation;
    struct rotation_settings settings;

    struct shop_entry entries[SHOP_ENTRIES];
    size_t entry_count;
    uint64_t versions;
    bool is_away; /* the store */
    int writes;

    struct shop_key keys[SHOP_KEYS];
    size_t key_count;
    bool is_lost;      /* of a creation the answer is lost */
    const char *gives; /* its secret, behind "sk-"; NULL: its name */
    bool has_file;
    uint8_t file[SHOP_FILE][LIFE_IDENTITY_BYTES]; /* of the keys of the file; zeroes: none */

    struct shop_stand stands[SHOP_STANDS];
    size_t stand_count;
    int refused_stands;              /* how many more times the pool cannot follow */
    char validated[LIFE_NAME_BYTES]; /* who was to be validated last */
    struct loop_task validating;
    int validate_err;
    bool is_silent; /* whoever is asked whether a provider knows a key */
    bool is_drained;
    struct evidence_tick tick; /* told with each take */
    char news[SHOP_NEWS];      /* "key-1:issuing key-1:issued ..." */
    char trouble[SECRET_WORDS_BYTES];
    int troubles;
    char taken[LIFE_NAME_BYTES]; /* whose changed secret was taken unproven */
    int changes;                 /* of a secret, by somebody else */
    uint8_t changed[LIFE_IDENTITY_BYTES];
};

struct shop *shop_open(void);
void shop_close(struct shop **place);

/* A process begins; it ends by shop_stop, or by shop_close. */
void shop_start(struct shop *shop);
void shop_stop(struct shop *shop);

/* Turns the loop for so long. */
void shop_pass(struct shop *shop, uint64_t us);

/* How the key stands in the pool; LIFE_STANDS_NONE where it is not there. */
const struct shop_stand *shop_stand(const struct shop *shop, const char *name);

/* The entry of that name in the rotation's folder; NULL: none. */
const struct shop_entry *shop_entry(const struct shop *shop, const char *name);

/* Somebody else writes that secret into the entry of that name. */
void shop_change(struct shop *shop, const char *name, const char *secret);

/* By which the shop tells secrets apart. */
void shop_identity(struct span secret, uint8_t ret_identity[LIFE_IDENTITY_BYTES]);

/* How many keys are alive at the issuer. */
size_t shop_alive(const struct shop *shop);

/* The step of a key, as text; "" where it is not known. */
const char *shop_step(const struct shop *shop, const char *name);

#endif
