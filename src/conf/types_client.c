/* Who may call: client keys and budget pools. */
#include "conf/types.h"

#include <sodium.h>

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

_Static_assert(CONF_SHA256_BYTES == crypto_hash_sha256_BYTES, "SHA-256 has 32 bytes");

/* Only its hash is kept: whoever reads our memory or our files finds no client's key. */
static void read_client_secret(struct loading *loading, const struct conf_row *row,
                               const struct yaml_node *node, void *field)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (loading_check_secret(loading, node->mark, text))
        crypto_hash_sha256(field, (const unsigned char *)text.ptr, text.len);
    loading_end_text(loading);
}

static void print_client_secret(struct printing *printing, const struct conf_row *row,
                                const void *field)
{
    (void)field;
    print_line(printing, row->name, SPAN(PRINT_MASK));
}

static void tell_client_secret(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a secret, best as ${env:NAME} or ${file:/path}");
}

const struct conf_type conf_type_client_secret = {.name = "secret",
                                                  .read = read_client_secret,
                                                  .print = print_client_secret,
                                                  .tell = tell_client_secret,
                                                  .is_secret = true};

static int parse_sha256(const struct conf_row *row, struct span text, void *field)
{
    unsigned char bytes[CONF_SHA256_BYTES];
    size_t len;

    (void)row;
    if (text.len != 2 * sizeof(bytes) ||
        sodium_hex2bin(bytes, sizeof(bytes), text.ptr, text.len, NULL, &len, NULL) ||
        len != sizeof(bytes))
        return ERR_SYNTAX;
    memcpy(field, bytes, sizeof(bytes));
    return 0;
}

/* The secret's row prints for both. */
static void print_nothing(struct printing *printing, const struct conf_row *row, const void *field)
{
    (void)printing, (void)row, (void)field;
}

static void tell_sha256(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "64 hexadecimal digits");
}

const struct conf_type conf_type_client_sha256 = {.name = "SHA-256",
                                                  .read = conf_read_parsed,
                                                  .parse = parse_sha256,
                                                  .otherwise = "is no SHA-256",
                                                  .print = print_nothing,
                                                  .tell = tell_sha256,
                                                  .is_secret = true};

static void read_pool(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    const struct conf_pool *pool;
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    pool = map_find(&loading->pools, text);
    if (pool)
        *(struct span *)field = pool->name;
    else
        loading_refuse(loading, row, node, "is no pool of this file");
    loading_end_text(loading);
}

static void print_pool(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (((const struct span *)field)->len)
        print_line(printing, row->name, *(const struct span *)field);
}

static void tell_pool(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a name that stands in pools");
}

const struct conf_type conf_type_pool = {
    .name = "pool", .read = read_pool, .print = print_pool, .tell = tell_pool};

void hook_pool_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                       void *object)
{
    struct conf_pool *pool = object;

    if (!conf_name_is_valid(name))
        loading_error(loading, mark, "this is no name; allowed: " CONF_NAME_ALLOWED);
    pool->name = loading_keep(loading, name);
    if (pool->name.len && map_add(&loading->pools, pool->name, pool))
        loading->err = ERR_NOMEM;
}

struct span hook_pool_name(const void *object)
{
    return ((const struct conf_pool *)object)->name;
}

/* Of those that have a burst. */
void hook_limits_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    struct conf_limits *limits = object;
    const struct yaml_item *burst = yaml_find(node, SPAN("burst"));

    (void)mark;
    if (burst && !yaml_find(node, SPAN("rpm")))
        loading_error(loading, burst->mark, "burst without rpm; allowed: beside rpm");
    if (!burst && limits->rpm)
        limits->burst = limits->rpm < 10 ? 1 : limits->rpm / 10;
}

void hook_client_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    const struct yaml_item *secret = yaml_find(node, SPAN("secret"));
    const struct yaml_item *sha256 = yaml_find(node, SPAN("sha256"));

    (void)object;
    if (!yaml_find(node, SPAN("name")))
        loading_error(loading, mark, "the name is missing; allowed: " CONF_NAME_ALLOWED);
    if (!secret && !sha256)
        loading_error(loading, mark, "the secret is missing; allowed: secret, or sha256 of it");
    if (secret && sha256)
        loading_error(loading, sha256->mark, "sha256 beside secret; allowed: one of them");
}

/* Two clients of one name or one secret could not be told apart. What failed to be read is empty,
 * and no twin of anything. */
static void refuse_twins(struct loading *loading, struct conf_mark mark, struct conf_client *client,
                         struct map *names, struct map *secrets)
{
    struct span hash = {(const char *)client->sha256, sizeof(client->sha256)};
    const struct conf_client *twin;

    if (client->name.len && map_find(names, client->name))
        loading_error(loading, mark, "a second client named '%.*s'; allowed: each name once",
                      SPAN_ARG(client->name));
    else if (client->name.len && map_add(names, client->name, client))
        loading->err = ERR_NOMEM;
    if (sodium_is_zero(client->sha256, sizeof(client->sha256)))
        return;
    twin = map_find(secrets, hash);
    if (twin)
        loading_error(loading, mark,
                      "client '%.*s' has the secret of client '%.*s'; allowed: each secret once",
                      SPAN_ARG(client->name), SPAN_ARG(twin->name));
    else if (map_add(secrets, hash, client))
        loading->err = ERR_NOMEM;
}

static void check_clients(struct loading *loading, const struct yaml_node *keys,
                          struct conf_client_list *list)
{
    const struct yaml_item *item = keys->first;
    struct map names, secrets;

    map_init(&names, YAML_MAX_NODES);
    map_init(&secrets, YAML_MAX_NODES);
    for (size_t i = 0; i < list->count && item; i++, item = item->next) {
        size_t before = loading_enter_index(loading, i);

        refuse_twins(loading, item->value->mark, &list->items[i], &names, &secrets);
        loading_leave(loading, before);
    }
    map_fini(&names);
    map_fini(&secrets);
}

static bool listens_to_this_machine_alone(const struct config *config)
{
    for (size_t i = 0; i < config->server.listen.count; i++) {
        if (!conf_address_is_loopback(&config->server.listen.items[i]))
            return false;
    }
    return true;
}

void hook_clients_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object)
{
    struct conf_clients *clients = object;
    const struct yaml_item *open = yaml_find(node, SPAN("open"));
    const struct yaml_item *keys = yaml_find(node, SPAN("keys"));
    size_t before;

    (void)mark;
    clients->is_decided = open != NULL;
    if (!open)
        clients->is_open =
            clients->keys.count == 0 && listens_to_this_machine_alone(loading->config);
    else if (!clients->is_open && !clients->keys.count)
        loading_warning(loading, open->mark, "not open, and without keys: nobody can call");
    if (!keys)
        return;
    before = loading_enter(loading, SPAN("keys"));
    check_clients(loading, keys->value, &clients->keys);
    loading_leave(loading, before);
}
