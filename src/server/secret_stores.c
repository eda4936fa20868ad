#include "server/secret_stores.h"

#include <sodium.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "secrets/folder_store.h"
#include "secrets/sealed_file.h"
#include "secrets/vault_store.h"
#include "server/cloud_stores.h"

enum { DIGEST_BYTES = 32, HELPER_THREADS = 1, HELPER_QUEUE = 256 };

/* One store and who has it. */
struct seat {
    struct list link;
    struct secret_store *store;
    unsigned takers;
    uint8_t digest[DIGEST_BYTES]; /* of the kind and the connection */
};

struct secret_stores {
    struct loop *loop;
    struct secret_arena *secrets;
    struct fetcher *fetcher; /* NULL: none yet */
    struct helpers *helpers; /* NULL: none yet */
    struct list seats;
};

struct secret_stores *secret_stores_new(struct loop *loop, struct secret_arena *secrets)
{
    struct secret_stores *stores = mem_zalloc(1, sizeof(*stores));

    if (!stores)
        return NULL;
    stores->loop = loop;
    stores->secrets = secrets;
    list_init(&stores->seats);
    return stores;
}

void secret_stores_free(struct secret_stores **stores)
{
    struct secret_stores *s = *stores;

    *stores = NULL;
    if (!s)
        return;
    while (!list_is_empty(&s->seats)) {
        struct seat *seat = container_of(list_pop_front(&s->seats), struct seat, link);

        secret_store_free(&seat->store);
        mem_free(seat);
    }
    fetcher_free(&s->fetcher);
    /* What it was at work on comes back to the loop. */
    helpers_free(&s->helpers);
    loop_turn(s->loop, 0);
    mem_free(s);
}

struct helpers *secret_stores_helpers(struct secret_stores *stores)
{
    if (!stores->helpers)
        stores->helpers = helpers_new(HELPER_THREADS, HELPER_QUEUE);
    return stores->helpers;
}

static struct fetcher *fetcher_of(struct secret_stores *stores)
{
    if (!stores->fetcher)
        stores->fetcher = fetcher_new(stores->loop);
    return stores->fetcher;
}

/* ---- which store it is ---- */

static void add(crypto_hash_sha256_state *state, struct span text)
{
    uint64_t len = text.len;

    crypto_hash_sha256_update(state, (const unsigned char *)&len, sizeof(len));
    crypto_hash_sha256_update(state, (const unsigned char *)text.ptr, text.len);
}

static void add_secret(crypto_hash_sha256_state *state, const struct secret *secret)
{
    add(state, secret ? secret_reveal(secret) : SPAN(""));
}

static void add_vault(crypto_hash_sha256_state *state, const struct conf_vault *vault,
                      const struct conf_place *place)
{
    const char numbers[] = {(char)('0' + vault->auth), (char)('0' + place->kv)};

    add(state, span_of(numbers, sizeof(numbers)));
    add(state, place->root);
    add(state, vault->address);
    add_secret(state, vault->token);
    add(state, vault->token_file);
    add(state, vault->role_id);
    add_secret(state, vault->secret_id);
    add(state, vault->secret_id_file);
    add(state, vault->role);
    add(state, vault->jwt_file);
    add(state, vault->auth_mount);
    add(state, vault->name_space);
    add(state, vault->ca);
}

static void add_cloud(crypto_hash_sha256_state *state, const struct conf_cloud *cloud)
{
    const struct span texts[] = {
        cloud->url,
        cloud->region,
        cloud->project,
        cloud->location,
        cloud->name_space,
        cloud->prefix,
        cloud->access_key_id,
        cloud->role,
        cloud->credentials_url,
        cloud->token_file,
        cloud->client_id,
        cloud->kms_key,
        cloud->ca,
    };
    uint8_t account[CREDENTIAL_DIGEST_BYTES] = {0};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        add(state, texts[i]);
    add_secret(state, cloud->secret_access_key);
    add_secret(state, cloud->session_token);
    if (cloud->account)
        credential_digest(cloud->account, SPAN(""), account);
    add(state, span_of((const char *)account, sizeof(account)));
    add(state, span_of((const char *)&cloud->recovery_days, sizeof(cloud->recovery_days)));
}

static void digest(const struct conf_secrets *conf, const struct conf_place *place,
                   uint8_t ret_digest[DIGEST_BYTES])
{
    const char kind = (char)('0' + place->kind);
    crypto_hash_sha256_state state;

    crypto_hash_sha256_init(&state);
    add(&state, span_of(&kind, 1));
    /* The sealed file is not polled: two that write it would be in each other's way. */
    if (place->kind != CONF_STORE_SEALED)
        add(&state, span_of((const char *)&conf->poll_us, sizeof(conf->poll_us)));
    switch (place->kind) {
    case CONF_STORE_SEALED:
        add(&state, conf->sealed_file);
        add(&state, conf->seal_key);
        break;
    case CONF_STORE_FOLDER:
        add(&state, place->root);
        break;
    case CONF_STORE_VAULT:
        add_vault(&state, conf->vault, place);
        break;
    case CONF_STORE_AWS:
        add_cloud(&state, conf->aws);
        break;
    case CONF_STORE_GOOGLE:
        add_cloud(&state, conf->google);
        break;
    case CONF_STORE_AZURE:
        add_cloud(&state, conf->azure);
        break;
    case CONF_STORE_KUBERNETES:
        add_cloud(&state, conf->kubernetes);
        break;
    case CONF_STORE_KINDS:
        break;
    }
    crypto_hash_sha256_final(&state, ret_digest);
}

/* ---- opening ---- */

static int open_sealed(struct secret_stores *stores, const struct conf_secrets *conf, char *why,
                       struct secret_store **ret_store)
{
    const struct sealed_file_options options = {.loop = stores->loop,
                                                .helpers = secret_stores_helpers(stores),
                                                .secrets = stores->secrets,
                                                .path = conf->sealed_file.ptr,
                                                .key_path = conf->seal_key.ptr};

    return options.helpers ? sealed_file_open(&options, ret_store, why) : ERR_NOMEM;
}

static int open_folder(struct secret_stores *stores, const struct conf_secrets *conf,
                       const struct conf_place *place, struct secret_store **ret_store)
{
    char *path = mem_strdup(place->root.ptr, place->root.len);
    const struct folder_store_options options = {.loop = stores->loop,
                                                 .helpers = secret_stores_helpers(stores),
                                                 .path = path,
                                                 .poll_us = conf->poll_us};

    *ret_store = path && options.helpers ? folder_store_new(&options) : NULL;
    mem_free(path);
    return *ret_store ? 0 : ERR_NOMEM;
}

static const char *text_or_null(struct span text)
{
    return text.len ? text.ptr : NULL;
}

static struct vault_login login_of(const struct conf_vault *vault)
{
    struct vault_login login = {.mount = text_or_null(vault->auth_mount)};

    switch (vault->auth) {
    case CONF_VAULT_TOKEN:
        login.kind = vault->token ? VAULT_LOGIN_TOKEN : VAULT_LOGIN_TOKEN_FILE;
        login.secret = vault->token;
        login.file = text_or_null(vault->token_file);
        break;
    case CONF_VAULT_APPROLE:
        login.kind = VAULT_LOGIN_APPROLE;
        login.role = text_or_null(vault->role_id);
        login.secret = vault->secret_id;
        login.file = text_or_null(vault->secret_id_file);
        break;
    case CONF_VAULT_KUBERNETES:
        login.kind = VAULT_LOGIN_KUBERNETES;
        login.role = text_or_null(vault->role);
        login.file = text_or_null(vault->jwt_file);
        break;
    }
    return login;
}

static int open_vault(struct secret_stores *stores, const struct conf_secrets *conf,
                      const struct conf_place *place, char *why, struct secret_store **ret_store)
{
    const struct conf_vault *vault = conf->vault;
    char *mount = mem_strdup(place->root.ptr, place->root.len);
    const struct vault_options options = {.loop = stores->loop,
                                          .fetcher = fetcher_of(stores),
                                          .secrets = stores->secrets,
                                          .url = vault->address.ptr,
                                          .name_space = text_or_null(vault->name_space),
                                          .ca_file = text_or_null(vault->ca),
                                          .mount = mount,
                                          .kv = place->kv,
                                          .login = login_of(vault),
                                          .poll_us = conf->poll_us};
    int err = mount && options.fetcher ? vault_store_open(&options, ret_store, why) : ERR_NOMEM;

    mem_free(mount);
    return err;
}

static int open_store(struct secret_stores *stores, const struct conf_secrets *conf,
                      const struct conf_place *place, char *why, struct secret_store **ret_store)
{
    struct cloud_tools tools = {.loop = stores->loop, .secrets = stores->secrets};

    switch (place->kind) {
    case CONF_STORE_SEALED:
        return open_sealed(stores, conf, why, ret_store);
    case CONF_STORE_FOLDER:
        return open_folder(stores, conf, place, ret_store);
    case CONF_STORE_VAULT:
        return open_vault(stores, conf, place, why, ret_store);
    case CONF_STORE_AWS:
    case CONF_STORE_GOOGLE:
    case CONF_STORE_AZURE:
    case CONF_STORE_KUBERNETES:
        tools.fetcher = fetcher_of(stores);
        return tools.fetcher ? cloud_open(&tools, conf, place->kind, why, ret_store) : ERR_NOMEM;
    case CONF_STORE_KINDS:
        break;
    }
    return ERR_UNSUPPORTED;
}

/* ---- sharing ---- */

static struct seat *find(const struct secret_stores *stores, const uint8_t wanted[DIGEST_BYTES])
{
    list_for_each (link, &stores->seats) {
        struct seat *seat = container_of(link, struct seat, link);

        if (!memcmp(seat->digest, wanted, DIGEST_BYTES))
            return seat;
    }
    return NULL;
}

int secret_stores_take(struct secret_stores *stores, const struct conf_secrets *conf,
                       const struct conf_place *place, char *why, struct secret_store **ret_store)
{
    uint8_t wanted[DIGEST_BYTES];
    struct seat *seat;
    int err;

    why[0] = '\0';
    digest(conf, place, wanted);
    seat = find(stores, wanted);
    if (!seat) {
        seat = mem_zalloc(1, sizeof(*seat));
        if (!seat)
            return ERR_NOMEM;
        err = open_store(stores, conf, place, why, &seat->store);
        if (err) {
            mem_free(seat);
            return err;
        }
        memcpy(seat->digest, wanted, DIGEST_BYTES);
        /* Ours stays open: two of one file, one still writing, would refuse each other's changes.
         */
        seat->takers = place->kind == CONF_STORE_SEALED;
        list_push_back(&stores->seats, &seat->link);
    }
    seat->takers++;
    *ret_store = seat->store;
    return 0;
}

void secret_stores_give(struct secret_stores *stores, struct secret_store **store)
{
    struct secret_store *given = *store;

    *store = NULL;
    list_for_each (link, &stores->seats) {
        struct seat *seat = container_of(link, struct seat, link);

        if (seat->store != given)
            continue;
        if (--seat->takers == 0) {
            list_remove(&seat->link);
            secret_store_free(&seat->store);
            mem_free(seat);
        }
        return;
    }
}
