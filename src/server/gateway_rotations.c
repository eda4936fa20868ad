/* The rotations that the file asks for: a rotor for each provider that has one, and the stores in
 * which their keys are kept. Rotors outlive reloads, as their keys do. */
#include "server/gateway_inner.h"

#include "base/alloc.h"
#include "base/err.h"
#include "server/gateway_store.h"
#include "server/rotor.h"

struct rotor_seat {
    struct list link; /* in gateway->rotors */
    struct rotor *rotor;
    struct secret_store *store; /* where its keys are kept */
    char *folder, *created_by;  /* the folder there, and who makes entries */
    /* Where somebody puts the next one; of former configurations too, as an issuer may still be
     * waiting there. */
    struct list from; /* struct held */
};

struct held {
    struct list link;
    struct secret_store *store;
};

static struct rotor_seat *find(const struct gateway *gateway, struct span provider)
{
    for (struct list *at = gateway->rotors.next; at != &gateway->rotors; at = at->next) {
        struct rotor_seat *seat = container_of(at, struct rotor_seat, link);

        if (span_is_equal(rotor_provider(seat->rotor), provider))
            return seat;
    }
    return NULL;
}

struct rotor *gateway_find_rotor(const struct gateway *gateway, struct span provider)
{
    struct rotor_seat *seat = find(gateway, provider);

    return seat ? seat->rotor : NULL;
}

struct rotation *gateway_rotation(void *owner, struct span provider)
{
    struct rotor_seat *seat = find(owner, provider);

    return seat ? rotor_rotation(seat->rotor) : NULL;
}

enum rotation_begun gateway_rotate(void *owner, struct span provider, struct span name,
                                   bool is_leaked, uint64_t *ret_id)
{
    struct rotor_seat *seat = find(owner, provider);

    *ret_id = 0;
    return seat ? rotor_rotate(seat->rotor, name, is_leaked ? LIFE_BY_LEAK : LIFE_BY_OPERATOR,
                               ret_id)
                : ROTATION_AWAY;
}

/* ---- what they need ---- */

static void complain(struct gateway *gateway, struct span provider, const char *why)
{
    log_write(gateway->log, LOG_LEVEL_ERROR, "keys of a provider are not rotated",
              LOG_SPAN("provider", provider), LOG_TEXT("reason", why));
}

/* Where the issuer takes keys from: NULL with 0 where it makes them. */
static int take_from(struct gateway *gateway, const struct conf_issuer *issuer,
                     struct rotor_seat *seat, char *why, struct secret_store **ret_from)
{
    struct secret_stores *stores = config_reader_stores(gateway->reader);
    struct held *held;
    int err;

    *ret_from = NULL;
    if (issuer->kind != CONF_ISSUER_STORE)
        return 0;
    held = mem_zalloc(1, sizeof(*held));
    if (!held)
        return ERR_NOMEM;
    err = secret_stores_take(stores, &gateway->snapshot->config->secrets, &issuer->from, why,
                             &held->store);
    if (err) {
        mem_free(held);
        return err;
    }
    *ret_from = held->store;
    list_for_each (link, &seat->from) {
        if (container_of(link, struct held, link)->store != held->store)
            continue;
        secret_stores_give(stores, &held->store);
        mem_free(held);
        return 0;
    }
    list_push_back(&seat->from, &held->link);
    return 0;
}

static void close_seat(struct gateway *gateway, struct rotor_seat *seat)
{
    struct secret_stores *stores = config_reader_stores(gateway->reader);

    rotor_free(&seat->rotor);
    secret_stores_give(stores, &seat->store);
    while (!list_is_empty(&seat->from)) {
        struct held *held = container_of(list_pop_front(&seat->from), struct held, link);

        secret_stores_give(stores, &held->store);
        mem_free(held);
    }
    mem_free(seat->folder);
    mem_free(seat->created_by);
    mem_free(seat);
}

/* The sealed file has a folder for each provider; elsewhere the file names it. */
static struct span folder_of(const struct conf_provider *conf)
{
    const struct conf_place *place = &conf->rotation->keep_in;

    return place->kind == CONF_STORE_SEALED ? conf->name : place->path;
}

static char *copy_of(struct span text)
{
    return mem_strdup(text.ptr, text.len);
}

/* Where its keys are kept, for as long as the rotor lives. */
static int open_place(struct gateway *gateway, const struct conf_provider *conf,
                      struct rotor_seat *seat, char *why)
{
    const struct conf_place *place = &conf->rotation->keep_in;

    seat->folder = copy_of(folder_of(conf));
    seat->created_by =
        copy_of(conf_secrets_created_by(&gateway->snapshot->config->secrets, place->kind));
    if (!seat->folder || !seat->created_by)
        return ERR_NOMEM;
    return secret_stores_take(config_reader_stores(gateway->reader),
                              &gateway->snapshot->config->secrets, place, why, &seat->store);
}

static bool is_busy(void *owner)
{
    const struct gateway *gateway = owner;

    return gateway->reload.snapshot || gateway->reload.is_committing;
}

static void on_alert(void *owner, const struct alert *alert)
{
    gateway_alert(owner, alert);
}

static void on_news(void *owner, struct span provider, const struct rotation_news *news)
{
    gateway_mirror_rotation(owner, provider, news);
    gateway_note_rotation(owner, provider, news);
}

static int add(struct gateway *gateway, const struct snapshot_provider *row, char *why)
{
    struct rotor_options options = {.loop = gateway->loop,
                                    .secrets = gateway->options.secrets,
                                    .log = gateway->log,
                                    .provider = row->provider,
                                    .conf = row->conf,
                                    .is_busy = is_busy,
                                    .on_effect = gateway_follow,
                                    .on_alert = on_alert,
                                    .on_news = on_news,
                                    .owner = gateway};
    struct rotor_seat *seat = mem_zalloc(1, sizeof(*seat));
    int err;

    if (!seat)
        return ERR_NOMEM;
    list_init(&seat->from);
    err = open_place(gateway, row->conf, seat, why);
    if (!err)
        err = take_from(gateway, row->conf->rotation->issuer, seat, why, &options.from);
    if (!err && !gateway->fetcher)
        gateway->fetcher = fetcher_new(gateway->loop);
    options.fetcher = gateway->fetcher;
    options.store = seat->store;
    if (!err) {
        options.folder = span_from_text(seat->folder);
        options.created_by = span_from_text(seat->created_by);
    }
    if (!err)
        err = gateway->fetcher ? rotor_new(&options, why, &seat->rotor) : ERR_NOMEM;
    if (err) {
        close_seat(gateway, seat);
        return err;
    }
    list_push_back(&gateway->rotors, &seat->link);
    return 0;
}

static void drop(struct gateway *gateway, struct rotor_seat *seat)
{
    list_remove(&seat->link);
    close_seat(gateway, seat);
}

/* ---- following the file ---- */

void gateway_tell_extras(struct gateway *gateway, const struct config *next)
{
    for (struct list *at = gateway->rotors.next; at != &gateway->rotors; at = at->next) {
        struct rotor *rotor = container_of(at, struct rotor_seat, link)->rotor;
        const struct conf_provider *conf = config_find_provider(next, rotor_provider(rotor));

        registry_set_extras(&gateway->registry, rotor_provider(rotor),
                            rotor_extras(rotor, conf && conf->rotation ? conf : NULL));
    }
}

/* Its keys are those of the file again. */
static void leave_alone(struct gateway *gateway, const struct rotor_seat *seat,
                        const struct conf_provider *conf)
{
    struct span name = rotor_provider(seat->rotor);
    struct keypool *pool = rotor_pool(seat->rotor);

    rotor_let_go(seat->rotor, conf);
    registry_set_extras(&gateway->registry, name, (struct keypool_extras){NULL, 0});
    if (keypool_apply(pool, conf, NULL, loop_now_us(gateway->loop), loop_wall_us(gateway->loop)))
        complain(gateway, name, "without memory: issued keys serve until the next reload");
}

/* Their providers have gone, or are to be left alone from now on. */
static void drop_unwanted(struct gateway *gateway)
{
    struct list *at = gateway->rotors.next;

    while (at != &gateway->rotors) {
        struct rotor_seat *seat = container_of(at, struct rotor_seat, link);
        const struct conf_provider *conf =
            config_find_provider(gateway->snapshot->config, rotor_provider(seat->rotor));

        at = at->next;
        if (conf && conf->rotation)
            continue;
        if (conf)
            leave_alone(gateway, seat, conf);
        drop(gateway, seat);
    }
}

void gateway_follow_rotations(struct gateway *gateway)
{
    drop_unwanted(gateway);
    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &gateway->snapshot->providers[i];
        char why[SECRET_WORDS_BYTES] = "";
        struct secret_store *from;
        struct rotor_seat *seat;
        int err;

        if (!row->conf->rotation)
            continue;
        seat = find(gateway, row->conf->name);
        if (seat) {
            err = take_from(gateway, row->conf->rotation->issuer, seat, why, &from);
            if (err)
                complain(gateway, row->conf->name, why[0] ? why : err_text(err));
            rotor_set_conf(seat->rotor, row->conf, from);
            continue;
        }
        err = add(gateway, row, why);
        if (err)
            complain(gateway, row->conf->name, why[0] ? why : err_text(err));
    }
}

void gateway_hurry_rotation(struct gateway *gateway, const struct provider *provider)
{
    struct rotor_seat *seat = find(gateway, provider_name(provider));

    if (seat)
        rotation_hurry(rotor_rotation(seat->rotor));
}

void gateway_drop_rotations(struct gateway *gateway)
{
    while (!list_is_empty(&gateway->rotors))
        drop(gateway, container_of(gateway->rotors.next, struct rotor_seat, link));
}
