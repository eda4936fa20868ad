/* A provider's keys by lists and folders: of the environment, of files, of secret stores. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/files.h"
#include "conf/identity.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

enum { FOLDER_MAX_BYTES = 1 << 20 };

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
    key.name = name.len ? loading_keep(loading, name) : loading_name_key(loading);
    conf_key_identity(loading->provider->name, secret_reveal(key.secret), key.identity);
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
