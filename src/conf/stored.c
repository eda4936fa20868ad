#include "conf/stored.h"

#include "base/alloc.h"
#include "base/err.h"

enum { NAMES_MAX_BYTES = 4 << 20, ENTRIES_MAX = 1 << 20 };

void conf_stored_init(struct conf_stored *stored)
{
    list_init(&stored->entries);
    map_init(&stored->by_text, ENTRIES_MAX);
    map_init(&stored->by_folder, ENTRIES_MAX);
    stored->is_wanting = false;
}

static struct map *map_of(struct conf_stored *stored, bool is_folder)
{
    return is_folder ? &stored->by_folder : &stored->by_text;
}

void conf_stored_drop(struct conf_stored *stored, struct conf_stored_entry *entry)
{
    map_remove(map_of(stored, entry->is_folder), entry->place.text);
    while (!list_is_empty(&entry->members)) {
        struct conf_stored_member *member =
            container_of(list_pop_front(&entry->members), struct conf_stored_member, link);

        secret_unref(&member->value);
        mem_free(member);
    }
    buf_fini(&entry->names);
    list_remove(&entry->link);
    mem_free(entry);
}

void conf_stored_fini(struct conf_stored *stored)
{
    while (!list_is_empty(&stored->entries))
        conf_stored_drop(stored,
                         container_of(stored->entries.next, struct conf_stored_entry, link));
    map_fini(&stored->by_text);
    map_fini(&stored->by_folder);
}

void conf_stored_begin(struct conf_stored *stored)
{
    stored->is_wanting = false;
    list_for_each (link, &stored->entries)
        container_of(link, struct conf_stored_entry, link)->is_used = false;
}

/* A piece of the text of the one place, in that of the other. */
static struct span moved(struct span piece, const struct conf_place *from, const char *to)
{
    return piece.len ? span_of(to + (piece.ptr - from->text.ptr), piece.len) : piece;
}

static struct conf_stored_entry *add(struct conf_stored *stored, const struct conf_place *place,
                                     bool is_folder)
{
    struct conf_stored_entry *entry = mem_zalloc(1, sizeof(*entry) + place->text.len + 1);

    if (!entry)
        return NULL;
    memcpy(entry->text, place->text.ptr, place->text.len);
    entry->place = *place;
    entry->place.text = span_of(entry->text, place->text.len);
    entry->place.root = moved(place->root, place, entry->text);
    entry->place.path = moved(place->path, place, entry->text);
    entry->is_folder = is_folder;
    entry->is_wanted = true;
    list_init(&entry->members);
    buf_init(&entry->names, NAMES_MAX_BYTES);
    if (map_add(map_of(stored, is_folder), entry->place.text, entry)) {
        mem_free(entry);
        return NULL;
    }
    list_push_back(&stored->entries, &entry->link);
    return entry;
}

static struct conf_stored_entry *use(struct conf_stored *stored, const struct conf_place *place,
                                     bool is_folder)
{
    struct conf_stored_entry *entry = map_find(map_of(stored, is_folder), place->text);

    if (!entry)
        entry = add(stored, place, is_folder);
    if (entry)
        entry->is_used = true;
    return entry;
}

static struct conf_stored_member *find_member(const struct conf_stored_entry *entry,
                                              struct span name)
{
    list_for_each (link, &entry->members) {
        struct conf_stored_member *member = container_of(link, struct conf_stored_member, link);

        if (span_is_equal(span_of(member->name, member->name_len), name))
            return member;
    }
    return NULL;
}

/* The entry is to be asked for once more, with this member of it. */
static struct conf_stored_member *add_member(struct conf_stored_entry *entry, struct span name)
{
    struct conf_stored_member *member = mem_zalloc(1, sizeof(*member) + name.len + 1);

    if (!member)
        return NULL;
    memcpy(member->name, name.ptr, name.len);
    member->name_len = name.len;
    list_push_back(&entry->members, &member->link);
    entry->is_wanted = true;
    return member;
}

void conf_stored_doubt(struct conf_stored *stored)
{
    list_for_each (link, &stored->entries)
        container_of(link, struct conf_stored_entry, link)->is_wanted = true;
}

static int state_of(struct conf_stored *stored, const struct conf_stored_entry *entry,
                    bool is_known, const char **ret_why)
{
    *ret_why = entry->why;
    if (!entry->is_wanted && is_known)
        return 0;
    if (!entry->is_wanted)
        return entry->is_foreign ? ERR_SYNTAX : ERR_IO;
    stored->is_wanting = true;
    return ERR_AGAIN;
}

int conf_stored_find(struct conf_stored *stored, const struct conf_place *place, struct span member,
                     const struct secret **ret_value, const char **ret_why)
{
    struct conf_stored_entry *entry;
    struct conf_stored_member *found;

    *ret_value = NULL;
    *ret_why = "";
    if (member.len > CONF_STORED_MEMBER_BYTES)
        return ERR_RANGE;
    entry = use(stored, place, false);
    if (!entry)
        return ERR_NOMEM;
    found = find_member(entry, member);
    if (!found)
        found = add_member(entry, member);
    if (!found)
        return ERR_NOMEM;
    *ret_value = found->value;
    return state_of(stored, entry, found->is_known, ret_why);
}

int conf_stored_list(struct conf_stored *stored, const struct conf_place *place,
                     struct span *ret_names, const char **ret_why)
{
    struct conf_stored_entry *entry = use(stored, place, true);

    *ret_why = "";
    if (!entry)
        return ERR_NOMEM;
    *ret_names = buf_span(&entry->names);
    return state_of(stored, entry, entry->is_known, ret_why);
}

/* ---- what a store tells ---- */

static bool is_same(const struct secret *a, const struct secret *b)
{
    return a && b ? secret_is_equal(a, secret_reveal(b)) : a == b;
}

static int take_member(struct conf_stored_member *member, const struct secret_entry *told,
                       struct secret_arena *arena, bool *ret_is_news)
{
    struct secret *value = NULL;
    int err = ERR_NOTFOUND;

    if (told->version)
        err = secret_entry_member(told->text, member->name, arena, &value);
    if (err && err != ERR_NOTFOUND)
        return err;
    *ret_is_news |= !member->is_known || !is_same(value, member->value);
    secret_unref(&member->value);
    member->value = value;
    member->is_known = true;
    return 0;
}

int conf_stored_take_entry(struct conf_stored_entry *entry, const struct secret_entry *told,
                           struct secret_arena *arena, bool *ret_is_news)
{
    int err = 0;

    list_for_each (link, &entry->members) {
        struct conf_stored_member *member = container_of(link, struct conf_stored_member, link);
        int one = take_member(member, told, arena, ret_is_news);

        err = err ? err : one;
    }
    return err;
}

int conf_stored_take_names(struct conf_stored_entry *entry, struct span names, bool *ret_is_news)
{
    struct buf fresh;
    int err;

    if (entry->is_known && span_is_equal(buf_span(&entry->names), names))
        return 0;
    buf_init(&fresh, NAMES_MAX_BYTES);
    err = buf_append_span(&fresh, names);
    if (err) {
        buf_fini(&fresh);
        return err;
    }
    buf_fini(&entry->names);
    entry->names = fresh;
    *ret_is_news = true;
    entry->is_known = true;
    return 0;
}
