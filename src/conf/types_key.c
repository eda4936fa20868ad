/* A provider's keys one by one, and what is to hold of all of them. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/identity.h"
#include "conf/loading.h"
#include "conf/printing.h"

_Static_assert((int)CONF_IDENTITY_BYTES == (int)CREDENTIAL_DIGEST_BYTES, "one identity for both");

enum { ODD_KEYS_TOLD = 5 };

static void set_identity(const struct loading *loading, struct conf_key *key)
{
    conf_key_identity(loading->provider->name, secret_reveal(key->secret), key->identity);
}

void hook_key_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    struct conf_key *key = object;
    const struct conf_row row = {.name = SPAN("secret"), .type = &conf_type_secret};

    conf_type_secret.read(loading, &row, node, &key->secret);
}

/* Exactly one of what a key may be. */
static void check_credentials(struct loading *loading, const struct yaml_node *node,
                              struct conf_mark mark)
{
    static const struct span names[] = {
        SPAN_INIT("secret"),
        SPAN_INIT("azure_entra"),
        SPAN_INIT("google_service_account"),
        SPAN_INIT("anthropic_federation"),
    };
    const struct yaml_item *first = NULL;

    if (node->kind != YAML_MAP)
        return;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct yaml_item *item = yaml_find(node, names[i]);

        if (item && first)
            loading_error(loading, item->mark,
                          "'%.*s' stands beside '%.*s'; allowed: one of secret, azure_entra, "
                          "google_service_account, anthropic_federation",
                          SPAN_ARG(names[i]), SPAN_ARG(first->key));
        else if (item)
            first = item;
    }
    if (!first)
        loading_error(loading, mark,
                      "the secret is missing; allowed: secret: ${env:NAME}, or one of "
                      "azure_entra, google_service_account, anthropic_federation");
}

static const struct credential *the_credential(const struct conf_key *key)
{
    if (key->azure_entra)
        return key->azure_entra;
    return key->google_service_account ? key->google_service_account : key->anthropic_federation;
}

void hook_key_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                     void *object)
{
    struct conf_key *key = object;

    check_credentials(loading, node, mark);
    if (loading->is_sound)
        key->credential = the_credential(key);
    if (!key->name.len && (loading->is_sound || !yaml_find(node, SPAN("name"))))
        key->name = loading_name_key(loading);
    if (key->secret)
        set_identity(loading, key);
    else if (key->credential)
        credential_digest(key->credential, loading->provider->name, key->identity);
}

static void tell_keys(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a list, each a secret, best as ${env:NAME}, or a map with secret and name");
}

/* As any list of maps; but a value in it is never shown. */
static void read_keys(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    conf_type_list.read(loading, row, node, field);
}

static void print_keys(struct printing *printing, const struct conf_row *row, const void *field)
{
    conf_type_list.print(printing, row, field);
}

const struct conf_type conf_type_keys = {.name = "list of keys",
                                         .read = read_keys,
                                         .print = print_keys,
                                         .tell = tell_keys,
                                         .is_secret = true};

/* Where the key at that place of the list came from. */
static struct conf_mark key_mark(const struct yaml_node *node, size_t at)
{
    const struct yaml_item *keys = yaml_find(node, SPAN("keys"));
    const struct yaml_item *from = yaml_find(node, SPAN("keys_from"));

    if (!keys || at >= keys->value->count)
        return from ? from->value->mark : node->mark;
    keys = keys->value->first;
    while (at--)
        keys = keys->next;
    return keys->value->mark;
}

/* True where the key is another's twin that is left out: one of a list or folder that is there
 * already. */
static bool is_twin(struct loading *loading, const struct yaml_node *node, struct map *names,
                    struct map *identities, size_t at)
{
    struct conf_key *key = &loading->provider->keys.items[at], *twin;
    struct span identity = {(const char *)key->identity, sizeof(key->identity)};
    const struct yaml_item *listed = yaml_find(node, SPAN("keys"));
    bool is_listed = listed && at < listed->value->count;

    twin = key->secret || key->credential ? map_find(identities, identity) : NULL;
    if (twin && !is_listed) {
        loading_warning(loading, key_mark(node, at),
                        "key '%.*s' has the secret of key '%.*s', and is left out",
                        SPAN_ARG(key->name), SPAN_ARG(twin->name));
        return true;
    }
    if (key->name.len && map_find(names, key->name))
        loading_error(loading, key_mark(node, at),
                      "a second key named '%.*s'; allowed: each name once", SPAN_ARG(key->name));
    else if (key->name.len && map_add(names, key->name, key))
        loading->err = ERR_NOMEM;
    if (twin)
        loading_error(loading, key_mark(node, at),
                      "key '%.*s' has the %s of key '%.*s'; allowed: each %s once",
                      SPAN_ARG(key->name), key->secret ? "secret" : "credential",
                      SPAN_ARG(twin->name), key->secret ? "secret" : "credential");
    else if ((key->secret || key->credential) && map_add(identities, identity, key))
        loading->err = ERR_NOMEM;
    return false;
}

/* Counts in *odd, and tells of the first few. */
static void warn_of_look(struct loading *loading, const struct yaml_node *node, size_t at,
                         size_t *odd)
{
    const struct conf_key *key = &loading->provider->keys.items[at];
    const struct provider_row *row;

    if (loading->provider->kind == PROVIDER_KINDS || loading_is_unseen(loading))
        return;
    row = provider_row(loading->provider->kind);
    if (!key->secret || span_has_prefix(secret_reveal(key->secret), row->usual_look))
        return;
    if (++*odd <= ODD_KEYS_TOLD)
        loading_warning(loading, key_mark(node, at),
                        "key '%.*s' has an unusual look; keys of %.*s start with '%.*s'",
                        SPAN_ARG(key->name), SPAN_ARG(row->name), SPAN_ARG(row->usual_look));
}

/* Leaves out what rotation keeps where it keeps the provider's keys, as it knows those itself, and
 * how far each of them is; but not all that there is. */
static void leave_to_rotation(const struct conf_provider *provider, bool *is_left_out)
{
    const struct conf_key_list *keys = &provider->keys;
    const struct span folder = provider->rotation ? provider->rotation->keep_in.text : SPAN("");
    size_t others = 0;

    for (size_t i = 0; i < keys->count; i++)
        others += !is_left_out[i] && !span_is_equal(keys->items[i].made_in, folder);
    for (size_t i = 0; i < keys->count && others && folder.len; i++)
        is_left_out[i] |= span_is_equal(keys->items[i].made_in, folder);
}

/* The maps, which hold places of keys, are gone by then. */
static void close_up(struct conf_key_list *keys, const bool *is_left_out)
{
    size_t count = 0;

    for (size_t i = 0; i < keys->count; i++) {
        if (!is_left_out[i])
            keys->items[count++] = keys->items[i];
    }
    keys->count = count;
}

void conf_keys_check(struct loading *loading, const struct yaml_node *node)
{
    struct conf_key_list *keys = &loading->provider->keys;
    struct map names, identities;
    size_t odd = 0;
    bool *is_left_out = loading_alloc(loading, keys->count + 1, sizeof(bool));

    if (!is_left_out)
        return;

    map_init(&names, YAML_MAX_NODES);
    map_init(&identities, YAML_MAX_NODES);
    for (size_t i = 0; i < keys->count; i++) {
        is_left_out[i] = is_twin(loading, node, &names, &identities, i);
        if (!is_left_out[i])
            warn_of_look(loading, node, i, &odd);
    }
    if (odd > ODD_KEYS_TOLD)
        loading_warning(loading, key_mark(node, keys->count - 1),
                        "%zu further keys have an unusual look", odd - ODD_KEYS_TOLD);
    map_fini(&names);
    map_fini(&identities);
    leave_to_rotation(loading->provider, is_left_out);
    close_up(keys, is_left_out);
}
