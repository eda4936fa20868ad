#include "secrets/sealed_entries.h"

#include "base/alloc.h"
#include "base/err.h"
#include "json/write.h"
#include "secrets/sealed_file.h"

enum { TREE_BYTES_A_BYTE = 32 };

void sealed_entries_init(struct sealed_entries *entries, struct secret_arena *secrets)
{
    *entries = (struct sealed_entries){.secrets = secrets};
    map_init(&entries->slots, SEALED_FILE_MAX_ENTRIES);
    list_init(&entries->changing);
}

static struct span slot_path(const struct sealed_slot *slot)
{
    return span_of(slot->path, slot->path_len);
}

static void free_slot(struct sealed_slot *slot)
{
    secret_unref(&slot->kept.text);
    secret_unref(&slot->trial.text);
    mem_free(slot);
}

void sealed_entries_fini(struct sealed_entries *entries)
{
    struct sealed_slot *slot;
    size_t at = 0;

    while ((slot = map_next(&entries->slots, &at, NULL)))
        free_slot(slot);
    map_fini(&entries->slots);
}

static int add_slot(struct sealed_entries *entries, struct span path, struct sealed_slot **ret_slot)
{
    struct sealed_slot *slot = mem_zalloc(1, sizeof(*slot) + path.len);
    int err;

    if (!slot)
        return ERR_NOMEM;
    memcpy(slot->path, path.ptr, path.len);
    slot->path_len = path.len;
    err = map_add(&entries->slots, slot_path(slot), slot);
    if (err)
        mem_free(slot);
    else
        *ret_slot = slot;
    return err;
}

/* ---- as JSON ---- */

/* The version and the entry of one path. */
static int read_slot(struct sealed_entries *entries, struct span path, yyjson_val *value,
                     struct buf *scratch)
{
    yyjson_val *version = yyjson_obj_get(value, "version");
    yyjson_val *entry = yyjson_obj_get(value, "entry");
    struct sealed_slot *slot = NULL;
    const char *why;
    int err;

    if (!secret_path_is_good(path) || !yyjson_is_uint(version) || !yyjson_is_obj(entry))
        return ERR_PROTO;
    if (yyjson_get_uint(version) == 0 || yyjson_get_uint(version) > entries->last_version)
        return ERR_PROTO;
    buf_clear(scratch);
    err = json_tree_write(scratch, entry);
    if (!err)
        err = secret_entry_check(buf_span(scratch), &why);
    if (!err)
        err = add_slot(entries, path, &slot);
    if (!err)
        err = secret_new(entries->secrets, buf_span(scratch), &slot->kept.text);
    if (!err)
        slot->kept.version = yyjson_get_uint(version);
    return err == ERR_SYNTAX || err == ERR_EXISTS ? ERR_PROTO : err;
}

static int read_root(struct sealed_entries *entries, yyjson_val *root)
{
    yyjson_val *last = yyjson_obj_get(root, "last_version");
    yyjson_val *all = yyjson_obj_get(root, "entries"), *name;
    yyjson_obj_iter iter = yyjson_obj_iter_with(all);
    struct buf scratch;
    int err = 0;

    if (!yyjson_is_obj(all) || !yyjson_is_uint(last) || yyjson_get_uint(last) >= SECRET_ANY - 1)
        return ERR_PROTO;
    entries->last_version = entries->trial_last_version = yyjson_get_uint(last);
    buf_init(&scratch, SECRET_ENTRY_MAX_BYTES);
    scratch.is_secret = true;
    while (!err && (name = yyjson_obj_iter_next(&iter)))
        err = read_slot(entries, json_tree_text(name), yyjson_obj_iter_get_val(name), &scratch);
    buf_fini(&scratch);
    return err;
}

int sealed_entries_read(struct sealed_entries *entries, struct span text)
{
    struct json_tree tree;
    int err = json_tree_read(&tree, text, (text.len + 1) * TREE_BYTES_A_BYTE);

    if (!err)
        err = read_root(entries, yyjson_doc_get_root(tree.doc));
    secret_tree_fini(&tree);
    return err == ERR_SYNTAX ? ERR_PROTO : err;
}

int sealed_entries_write(const struct sealed_entries *entries, struct buf *out)
{
    const struct sealed_slot *slot;
    struct json_writer writer;
    size_t at = 0;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_uint(&writer, "last_version", entries->trial_last_version);
    json_name(&writer, "entries");
    json_begin_object(&writer);
    while ((slot = map_next(&entries->slots, &at, NULL))) {
        const struct sealed_entry *entry = slot->is_changing ? &slot->trial : &slot->kept;

        if (!entry->text)
            continue;
        json_name_span(&writer, slot_path(slot));
        json_begin_object(&writer);
        json_member_uint(&writer, "version", entry->version);
        json_name(&writer, "entry");
        json_raw(&writer, secret_reveal(entry->text));
        json_end_object(&writer);
    }
    json_end_object(&writer);
    json_end_object(&writer);
    return out->err;
}

/* ---- changes ---- */

struct sealed_entry sealed_entries_find(const struct sealed_entries *entries, struct span path)
{
    const struct sealed_slot *slot = map_find(&entries->slots, path);

    return slot ? slot->kept : (struct sealed_entry){0};
}

int sealed_entries_try(struct sealed_entries *entries, struct span path, struct secret *text,
                       uint64_t expected, uint64_t *ret_version)
{
    struct sealed_slot *slot = map_find(&entries->slots, path);
    uint64_t version = 0;
    int err;

    if (slot)
        version = slot->is_changing ? slot->trial.version : slot->kept.version;
    if (expected != SECRET_ANY && expected != version)
        return ERR_EXISTS;
    *ret_version = 0;
    if (!text && !version)
        return 0;
    err = slot ? 0 : add_slot(entries, path, &slot);
    if (err)
        return err;
    secret_unref(&slot->trial.text);
    slot->trial.text = text ? secret_ref(text) : NULL;
    slot->trial.version = text ? ++entries->trial_last_version : 0;
    *ret_version = slot->trial.version;
    if (!slot->is_changing)
        list_push_back(&entries->changing, &slot->link);
    slot->is_changing = true;
    return 0;
}

static void end_trial(struct sealed_entries *entries, bool is_kept)
{
    struct list *link;

    while ((link = list_pop_front(&entries->changing))) {
        struct sealed_slot *slot = container_of(link, struct sealed_slot, link);

        if (is_kept) {
            struct sealed_entry old = slot->kept;

            slot->kept = slot->trial;
            slot->trial = old;
        }
        secret_unref(&slot->trial.text);
        slot->trial = (struct sealed_entry){0};
        slot->is_changing = false;
        if (!slot->kept.text) {
            map_remove(&entries->slots, slot_path(slot));
            free_slot(slot);
        }
    }
}

void sealed_entries_keep(struct sealed_entries *entries)
{
    end_trial(entries, true);
    entries->last_version = entries->trial_last_version;
}

void sealed_entries_drop(struct sealed_entries *entries)
{
    end_trial(entries, false);
    entries->trial_last_version = entries->last_version;
}
