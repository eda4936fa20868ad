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

/* ---- bodies ---- */

int sealed_body_new(struct secret_arena *secrets, struct span text, struct sealed_body **ret_body)
{
    size_t count = (text.len + SECRET_MAX_BYTES - 1) / SECRET_MAX_BYTES;
    struct sealed_body *body = mem_zalloc(1, sizeof(*body) + count * sizeof(body->pieces[0]));
    int err = 0;

    if (!body)
        return ERR_NOMEM;
    body->refs = 1;
    while (!err && body->count < count) {
        size_t len = text.len < SECRET_MAX_BYTES ? text.len : SECRET_MAX_BYTES;

        err = secret_new(secrets, span_of(text.ptr, len), &body->pieces[body->count]);
        body->count += !err;
        text = span_skip(text, len);
    }
    if (err)
        sealed_body_unref(&body);
    else
        *ret_body = body;
    return err;
}

struct sealed_body *sealed_body_ref(struct sealed_body *body)
{
    body->refs++;
    return body;
}

void sealed_body_unref(struct sealed_body **body)
{
    struct sealed_body *b = *body;

    *body = NULL;
    if (!b || --b->refs)
        return;
    for (size_t i = 0; i < b->count; i++)
        secret_unref(&b->pieces[i]);
    mem_free(b);
}

int sealed_body_write(const struct sealed_body *body, struct buf *out)
{
    for (size_t i = 0; i < body->count; i++)
        buf_append_span(out, secret_reveal(body->pieces[i]));
    return out->err;
}

/* ---- slots ---- */

static struct span slot_path(const struct sealed_slot *slot)
{
    return span_of(slot->path, slot->path_len);
}

static void free_slot(struct sealed_slot *slot)
{
    sealed_body_unref(&slot->kept.body);
    sealed_body_unref(&slot->trial.body);
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
        err = sealed_body_new(entries->secrets, buf_span(scratch), &slot->kept.body);
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

        if (!entry->body)
            continue;
        json_name_span(&writer, slot_path(slot));
        json_begin_object(&writer);
        json_member_uint(&writer, "version", entry->version);
        json_name(&writer, "entry");
        /* The writer puts what stands before it; the text itself comes in pieces. */
        json_raw(&writer, SPAN(""));
        sealed_body_write(entry->body, out);
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

int sealed_entries_try(struct sealed_entries *entries, struct span path, struct sealed_body *body,
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
    if (!body && !version)
        return 0;
    err = slot ? 0 : add_slot(entries, path, &slot);
    if (err)
        return err;
    sealed_body_unref(&slot->trial.body);
    slot->trial.body = body ? sealed_body_ref(body) : NULL;
    slot->trial.version = body ? ++entries->trial_last_version : 0;
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
        sealed_body_unref(&slot->trial.body);
        slot->trial = (struct sealed_entry){0};
        slot->is_changing = false;
        if (!slot->kept.body) {
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
