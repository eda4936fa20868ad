/* A provider's keys: one by one, and by lists and folders. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/files.h"
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

/* The names of a listing, sorted, so that the order of the keys does not hang on the file system.
 */
static const char **sort_names(struct loading *loading, const struct buf *listing,
                               size_t *ret_count)
{
    size_t count = conf_names_count(listing);
    const char **names = loading_alloc(loading, count + 1, sizeof(*names));

    if (!names)
        return NULL;
    conf_names_sort(listing, names, count);
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
    loading_note_file(loading, path, buf_span(file));
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
    if (names)
        loading_note_folder(loading, folder, names, count);
    if (names && !count)
        loading_warning(loading, mark, "the folder holds no file so far; one file is one key");
    if (names && reserve_keys(loading, keys, count)) {
        for (size_t i = 0; i < count; i++)
            read_key_file(loading, mark, folder, span_from_text(names[i]), keys);
    }
    buf_fini(&listing);
}

static bool is_made_by_us(const struct loading *loading, enum conf_store_kind kind,
                          const struct secret *made_by)
{
    return made_by && span_is_equal(secret_reveal(made_by),
                                    conf_secrets_created_by(&loading->config->secrets, kind));
}

/* The last part of an entry's path is the key's name. An entry without a key is none of the keys;
 * one that somebody else put there, and is none at all, takes the others nothing. */
static void read_stored_key(struct loading *loading, struct conf_mark mark,
                            const struct conf_place *folder, struct span name,
                            struct conf_key_list *keys)
{
    struct span path =
        arena_printf(&loading->box->arena, "%.*s/%.*s", SPAN_ARG(folder->text), SPAN_ARG(name));
    const struct secret *key, *made_by;
    struct conf_place place;
    char why[LOADING_WHY_BYTES];
    int err, other;
    size_t count;

    if (!path.ptr) {
        loading->err = ERR_NOMEM;
        return;
    }
    if (conf_place_read_stored(path, &place)) {
        loading_error(loading, mark,
                      "an entry of this folder has a name that no path can hold; allowed: letters, "
                      "digits and any of . _ -");
        return;
    }
    /* Both, so that both are wanted. */
    err = loading_find_member(loading, &place, SPAN("api_key"), &key, why);
    other = loading_find_member(loading, &place, SPAN("created_by"), &made_by, why);
    if (err == ERR_SYNTAX || other == ERR_SYNTAX) {
        loading_warning(loading, mark, "the entry '%.*s' of this folder is passed over, as it %s",
                        SPAN_ARG(name), why);
        return;
    }
    if (err || other) {
        loading_error(loading, mark, "the entry '%.*s' of this folder %s", SPAN_ARG(name), why);
        return;
    }
    if (!key)
        return;
    count = keys->count;
    add_key(loading, keys, mark, conf_name_is_valid(name) ? name : (struct span){0},
            secret_reveal(key));
    if (keys->count > count && is_made_by_us(loading, folder->kind, made_by))
        keys->items[count].made_in = loading_keep(loading, folder->text);
}

/* "vault:secret/data/llm/deepseek" and a folder of one key an entry. */
static void read_stored(struct loading *loading, struct conf_mark mark, struct span text,
                        struct conf_key_list *keys)
{
    char why[LOADING_WHY_BYTES];
    struct conf_place folder;
    struct span names, name;
    size_t count = 0;

    if (conf_place_read_stored(text, &folder)) {
        loading_error(loading, mark,
                      "this is no folder of a store; allowed: "
                      "\"vault:MOUNT/data/PATH/*\", \"vault:MOUNT/PATH/*\"");
        return;
    }
    if (loading_list_stored(loading, &folder, &names, why)) {
        loading_error(loading, mark, "the folder %s", why);
        return;
    }
    for (size_t i = 0; i < names.len; i++)
        count += names.ptr[i] == '\n';
    if (!reserve_keys(loading, keys, count))
        return;
    count = keys->count;
    while (span_next_token(&names, '\n', &name)) {
        if (name.len && !span_has_suffix(name, SPAN("/")))
            read_stored_key(loading, mark, &folder, name, keys);
    }
    if (keys->count == count)
        loading_warning(loading, mark, "the folder holds no key so far; one entry is one key");
}

static void tell_keys_from(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a list of \"${env:NAME}\", \"${file:/path}\", \"dir:/path\" and "
                    "\"vault:MOUNT/data/PATH/*\"");
}

static void read_keys_from_one(struct loading *loading, const struct conf_row *row,
                               const struct yaml_node *node, struct conf_key_list *keys)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (conf_place_is_stored(text) && span_has_suffix(text, SPAN("/*")))
        read_stored(loading, node->mark, span_of(text.ptr, text.len - 2), keys);
    else if (conf_place_is_stored(text))
        loading_error(loading, node->mark,
                      "this names one entry, not a folder; allowed: \"vault:MOUNT/data/PATH/*\", "
                      "\"${vault:MOUNT/data/PATH#MEMBER}\"");
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
