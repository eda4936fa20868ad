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
    struct list held;                 /* struct held: the stores that the rotor uses */
    enum conf_store_kind kind;        /* of the store where its keys are kept */
    char *root, *folder, *created_by; /* there; and who makes entries */
};

/* A store that was taken once. */
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

/* Held until the rotor has left it, or goes. */
static int take_store(struct gateway *gateway, struct rotor_seat *seat,
                      const struct conf_place *place, char *why, struct secret_store **ret_store)
{
    struct held *held = mem_zalloc(1, sizeof(*held));
    int err =
        held ? secret_stores_take(config_reader_stores(gateway->reader),
                                  &gateway->snapshot->config->secrets, place, why, &held->store)
             : ERR_NOMEM;

    if (err) {
        mem_free(held);
        return err;
    }
    list_push_back(&seat->held, &held->link);
    *ret_store = held->store;
    return 0;
}

static void give_back(struct gateway *gateway, struct held *held)
{
    list_remove(&held->link);
    secret_stores_give(config_reader_stores(gateway->reader), &held->store);
    mem_free(held);
}

static void on_left(void *owner, struct span provider, struct secret_store *store)
{
    struct rotor_seat *seat = find(owner, provider);

    list_for_each (link, &seat->held) {
        struct held *held = container_of(link, struct held, link);

        if (held->store != store)
            continue;
        give_back(owner, held);
        return;
    }
}

/* Where the rotor keeps its keys, and where its issuer takes them from. What cannot be had is NULL.
 */
static int take_stores(struct gateway *gateway, struct rotor_seat *seat,
                       const struct conf_provider *conf, char *why, struct rotor_stores *ret_stores)
{
    const struct conf_rotation *rotation = conf->rotation;
    int err = 0;

    *ret_stores = (struct rotor_stores){.keep = NULL};
    /* Another sealed file takes effect at a restart. */
    if (!seat->rotor || seat->kind != CONF_STORE_SEALED)
        err = take_store(gateway, seat, &rotation->keep_in, why, &ret_stores->keep);
    if (!err && rotation->issuer->kind == CONF_ISSUER_STORE)
        err = take_store(gateway, seat, &rotation->issuer->from, why, &ret_stores->from);
    return err;
}

static void close_seat(struct gateway *gateway, struct rotor_seat *seat)
{
    rotor_free(&seat->rotor);
    while (!list_is_empty(&seat->held))
        give_back(gateway, container_of(seat->held.next, struct held, link));
    mem_free(seat->root);
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

static bool is_at(const struct rotor_seat *seat, const struct conf_provider *conf)
{
    const struct conf_place *place = &conf->rotation->keep_in;

    return seat->kind == place->kind && span_is_equal(span_from_text(seat->root), place->root) &&
           span_is_equal(span_from_text(seat->folder), folder_of(conf));
}

static char *copy_of(struct span text)
{
    return mem_strdup(text.ptr, text.len);
}

static int note_place(struct gateway *gateway, const struct conf_provider *conf,
                      struct rotor_seat *seat)
{
    const struct conf_place *place = &conf->rotation->keep_in;

    seat->kind = place->kind;
    seat->root = copy_of(place->root);
    seat->folder = copy_of(folder_of(conf));
    seat->created_by =
        copy_of(conf_secrets_created_by(&gateway->snapshot->config->secrets, place->kind));
    return seat->root && seat->folder && seat->created_by ? 0 : ERR_NOMEM;
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
                                    .on_left = on_left,
                                    .on_news = on_news,
                                    .owner = gateway};
    struct rotor_seat *seat = mem_zalloc(1, sizeof(*seat));
    int err;

    if (!seat)
        return ERR_NOMEM;
    list_init(&seat->held);
    err = note_place(gateway, row->conf, seat);
    if (!err)
        err = take_stores(gateway, seat, row->conf, why, &options.stores);
    if (!err && !gateway->fetcher)
        gateway->fetcher = fetcher_new(gateway->loop);
    options.fetcher = gateway->fetcher;
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

/* Their providers have gone, or are to be left alone from now on; or their keys are kept elsewhere,
 * where another one begins from what stands there. */
static void drop_unwanted(struct gateway *gateway)
{
    struct list *at = gateway->rotors.next;

    while (at != &gateway->rotors) {
        struct rotor_seat *seat = container_of(at, struct rotor_seat, link);
        const struct conf_provider *conf =
            config_find_provider(gateway->snapshot->config, rotor_provider(seat->rotor));

        at = at->next;
        if (conf && conf->rotation && is_at(seat, conf))
            continue;
        if (conf)
            leave_alone(gateway, seat, conf);
        drop(gateway, seat);
    }
}

static void follow(struct gateway *gateway, struct rotor_seat *seat,
                   const struct conf_provider *conf)
{
    char why[SECRET_WORDS_BYTES] = "";
    struct rotor_stores stores;
    int err = take_stores(gateway, seat, conf, why, &stores);

    if (err)
        complain(gateway, conf->name, why[0] ? why : err_text(err));
    rotor_set_conf(seat->rotor, conf, &stores);
}

void gateway_follow_rotations(struct gateway *gateway)
{
    drop_unwanted(gateway);
    for (size_t i = 0; i < gateway->snapshot->provider_count; i++) {
        const struct snapshot_provider *row = &gateway->snapshot->providers[i];
        struct rotor_seat *seat = find(gateway, row->conf->name);
        char why[SECRET_WORDS_BYTES] = "";
        int err;

        if (!row->conf->rotation)
            continue;
        if (seat) {
            follow(gateway, seat, row->conf);
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
