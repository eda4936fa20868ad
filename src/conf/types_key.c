/* A provider's keys: one by one, and by lists and folders. */
#include "conf/types.h"

#include <stdlib.h>

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/identity.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

_Static_assert((int)CONF_IDENTITY_BYTES == (int)CREDENTIAL_DIGEST_BYTES, "one identity for both");

enum { ODD_KEYS_TOLD = 5, FOLDER_MAX_BYTES = 1 << 20 };

/* "PROVIDER-1", "PROVIDER-2", ...: keys without a name of their own, in their order. */
static struct span next_short_name(struct loading *loading)
{
    struct span name = arena_printf(&loading->box->arena, "%.*s-%zu",
                                    SPAN_ARG(loading->provider->name), ++loading->short_keys);

    if (!name.ptr)
        loading->err = ERR_NOMEM;
    return name.ptr ? name : (struct span){0};
}

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
        key->name = next_short_name(loading);
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

/* Room for `more` further keys behind those that are there. */
static bool reserve_keys(struct loading *loading, struct conf_key_list *keys, size_t more)
{
    struct conf_key *items = loading_alloc(loading, keys->count + more + 1, sizeof(*items));

    if (!items)
        return false;
    if (keys->count)
        memcpy(items, keys->items, keys->count * sizeof(*items));
    keys->items = items;
    return true;
}

/* A key with nothing but its secret. `name` is empty where it is to be numbered. */
static void add_key(struct loading *loading, struct conf_key_list *keys, struct conf_mark mark,
                    struct span name, struct span secret)
{
    struct conf_key key = {.weight = 1};

    key.secret = loading_keep_secret(loading, mark, secret);
    if (!key.secret)
        return;
    key.name = name.len ? loading_keep(loading, name) : next_short_name(loading);
    set_identity(loading, &key);
    keys->items[keys->count++] = key;
}

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Cuts the next key of a list off; false at its end. */
static bool next_listed(struct span *rest, struct span *ret_key)
{
    size_t len = 0;

    while (rest->len && is_separator(rest->ptr[0]))
        *rest = span_skip(*rest, 1);
    while (len < rest->len && !is_separator(rest->ptr[len]))
        len++;
    *ret_key = span_of(rest->ptr, len);
    *rest = span_skip(*rest, len);
    return len > 0;
}

static void read_listed(struct loading *loading, struct conf_mark mark, struct span list,
                        struct conf_key_list *keys)
{
    struct span rest = list, key;
    size_t count = 0;

    while (next_listed(&rest, &key))
        count++;
    if (!count)
        loading_error(loading, mark,
                      "this list is empty; allowed: keys with commas or spaces "
                      "between them");
    if (!count || !reserve_keys(loading, keys, count))
        return;
    while (next_listed(&list, &key))
        add_key(loading, keys, mark, (struct span){0}, key);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of a listing, sorted, so that the order of the keys does not hang on the file system.
 */
static const char **sort_names(struct loading *loading, const struct buf *listing,
                               size_t *ret_count)
{
    const char **names;
    size_t count = 0;

    for (size_t i = 0; i < listing->len; i++)
        count += listing->data[i] == '\0';
    names = loading_alloc(loading, count + 1, sizeof(*names));
    if (!names)
        return NULL;
    for (size_t i = 0, at = 0; i < count; i++, at += strlen(names[i - 1]) + 1)
        names[i] = listing->data + at;
    if (count)
        qsort(names, count, sizeof(*names), compare_names);
    *ret_count = count;
    return names;
}

/* A key per file, which gives it its name where that is one. */
static void read_key_file(struct loading *loading, struct conf_mark mark, struct span folder,
                          struct span name, struct conf_key_list *keys)
{
    const struct conf_system *system = loading->source->system;
    struct buf *file = &loading->file;
    struct span path =
        arena_printf(&loading->box->arena, "%.*s/%.*s", SPAN_ARG(folder), SPAN_ARG(name));
    struct span secret;
    int err;

    if (!path.ptr) {
        loading->err = ERR_NOMEM;
        return;
    }
    err = system->read_file(system->ctx, path.ptr, file);
    secret = buf_span(file);
    if (span_has_suffix(secret, SPAN("\n")))
        secret.len--;
    if (span_has_suffix(secret, SPAN("\r")))
        secret.len--;
    if (err)
        loading_error(loading, mark,
                      "a file of this folder cannot be read, %s; allowed: files that "
                      "hold one key each",
                      err_text(err));
    else
        add_key(loading, keys, mark, conf_name_is_valid(name) ? name : (struct span){0}, secret);
    if (file->len)
        secret_wipe(file->data, file->len);
    buf_clear(file);
}

static void read_folder(struct loading *loading, struct conf_mark mark, struct span folder,
                        struct conf_key_list *keys)
{
    const struct conf_system *system = loading->source->system;
    const char **names;
    struct buf listing;
    size_t count = 0;
    int err;

    folder = loading_keep_path(loading, folder);
    if (!folder.len)
        return;
    buf_init(&listing, FOLDER_MAX_BYTES);
    err = system->list_folder(system->ctx, folder.ptr, &listing);
    if (err)
        loading_error(loading, mark,
                      "the folder cannot be read, %s; allowed: a folder of files with "
                      "one key each",
                      err_text(err));
    names = err ? NULL : sort_names(loading, &listing, &count);
    if (names && !count)
        loading_error(loading, mark, "the folder holds no file; allowed: one file a key");
    if (names && reserve_keys(loading, keys, count)) {
        for (size_t i = 0; i < count; i++)
            read_key_file(loading, mark, folder, span_from_text(names[i]), keys);
    }
    buf_fini(&listing);
}

static void tell_keys_from(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a list of \"${env:NAME}\", \"${file:/path}\" and \"dir:/path\"");
}

static void read_keys_from_one(struct loading *loading, const struct conf_row *row,
                               const struct yaml_node *node, struct conf_key_list *keys)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (span_has_prefix(text, SPAN("vault:")))
        loading_error(loading, node->mark,
                      "vault: is not built yet; allowed: \"${env:NAME}\", \"${file:/path}\", "
                      "\"dir:/path\"");
    else if (span_has_prefix(text, SPAN("dir:")))
        read_folder(loading, node->mark, span_skip(text, 4), keys);
    else
        read_listed(loading, node->mark, text, keys);
    loading_end_text(loading);
}

static void read_keys_from(struct loading *loading, const struct conf_row *row,
                           const struct yaml_node *node, void *field)
{
    size_t at = 0;

    if (node->kind != YAML_LIST || node->count > row->max) {
        loading_refuse(loading, row, node, "stands where a list should");
        return;
    }
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        size_t before = loading_enter_index(loading, at++);

        read_keys_from_one(loading, row, item->value, field);
        loading_leave(loading, before);
    }
}

/* The keys stand in `keys` by then. */
static void print_nothing(struct printing *printing, const struct conf_row *row, const void *field)
{
    (void)printing, (void)row, (void)field;
}

const struct conf_type conf_type_keys_from = {.name = "list of sources of keys",
                                              .read = read_keys_from,
                                              .print = print_nothing,
                                              .tell = tell_keys_from,
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

static void refuse_twins(struct loading *loading, const struct yaml_node *node, struct map *names,
                         struct map *identities, size_t at)
{
    struct conf_key *key = &loading->provider->keys.items[at], *twin;
    struct span identity = {(const char *)key->identity, sizeof(key->identity)};

    if (key->name.len && map_find(names, key->name))
        loading_error(loading, key_mark(node, at),
                      "a second key named '%.*s'; allowed: each name once", SPAN_ARG(key->name));
    else if (key->name.len && map_add(names, key->name, key))
        loading->err = ERR_NOMEM;
    if (!key->secret && !key->credential)
        return;
    twin = map_find(identities, identity);
    if (twin)
        loading_error(loading, key_mark(node, at),
                      "key '%.*s' has the %s of key '%.*s'; allowed: each %s once",
                      SPAN_ARG(key->name), key->secret ? "secret" : "credential",
                      SPAN_ARG(twin->name), key->secret ? "secret" : "credential");
    else if (map_add(identities, identity, key))
        loading->err = ERR_NOMEM;
}

/* Counts in *odd, and tells of the first few. */
static void warn_of_look(struct loading *loading, const struct yaml_node *node, size_t at,
                         size_t *odd)
{
    const struct conf_key *key = &loading->provider->keys.items[at];
    const struct provider_row *row;

    if (loading->provider->kind == PROVIDER_KINDS)
        return;
    row = provider_row(loading->provider->kind);
    if (!key->secret || span_has_prefix(secret_reveal(key->secret), row->usual_look))
        return;
    if (++*odd <= ODD_KEYS_TOLD)
        loading_warning(loading, key_mark(node, at),
                        "key '%.*s' has an unusual look; keys of %.*s start with '%.*s'",
                        SPAN_ARG(key->name), SPAN_ARG(row->name), SPAN_ARG(row->usual_look));
}

void conf_keys_check(struct loading *loading, const struct yaml_node *node)
{
    const struct conf_key_list *keys = &loading->provider->keys;
    struct map names, identities;
    size_t odd = 0;

    map_init(&names, YAML_MAX_NODES);
    map_init(&identities, YAML_MAX_NODES);
    for (size_t i = 0; i < keys->count; i++) {
        refuse_twins(loading, node, &names, &identities, i);
        warn_of_look(loading, node, i, &odd);
    }
    if (odd > ODD_KEYS_TOLD)
        loading_warning(loading, key_mark(node, keys->count - 1),
                        "%zu further keys have an unusual look", odd - ODD_KEYS_TOLD);
    map_fini(&names);
    map_fini(&identities);
}
