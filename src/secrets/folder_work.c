#include "secrets/folder_work.h"

#include <stdio.h>
#include <sys/inotify.h>

#include "base/err.h"
#include "secrets/folder_disk.h"
#include "secrets/folder_store.h"

enum { TRIES = 5 };

/* What stands under an entry's path; NULL: nothing ever does. */
static const char *name_of(const struct folder_store *store, const char *path)
{
    if (!store->file)
        return path;
    return strcmp(path, FOLDER_STORE_FILE) ? NULL : store->file;
}

/* Heard of from before it is looked at, so that nothing is missed in between. */
static void listen_at(const struct folder_store *store, const char *name)
{
    const char *slash = strrchr(name, '/');
    struct buf path;

    if (store->notify.fd < 0)
        return;
    buf_init(&path, strlen(store->path) + strlen(name) + 2);
    buf_printf(&path, "%s/%.*s", store->path, slash ? (int)(slash - name) : 0, name);
    /* What cannot be heard of is found by looking. */
    if (!path.err)
        (void)inotify_add_watch(store->notify.fd, buf_text(&path),
                                IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE |
                                    IN_DELETE | IN_ATTRIB | IN_ONLYDIR);
    buf_fini(&path);
}

static void look_at(const struct folder_place *place, const char *name, struct folder_sight *sight)
{
    struct buf entry;

    sight->now_err = 0;
    sight->now_version = 0;
    sight->now_why[0] = '\0';
    if (!name)
        return;
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    sight->now_err = folder_read(place, name, &entry, &sight->now_version, sight->now_why);
    buf_fini(&entry);
}

/* All of them in one snapshot: true where that is the one of now. */
static bool look_once(struct folder_store *store)
{
    char why[SECRET_WORDS_BYTES];
    struct folder_place place;
    int err = folder_place_open(&place, store->path, why);
    bool is_current;

    list_for_each (link, &store->looking) {
        struct folder_sight *sight = container_of(link, struct folder_sight, link);

        if (!err) {
            look_at(&place, name_of(store, sight->name), sight);
            continue;
        }
        sight->now_err = err;
        sight->now_version = 0;
        memcpy(sight->now_why, why, sizeof(why));
    }
    is_current = err || folder_place_is_current(&place);
    if (!err)
        folder_place_close(&place);
    return is_current;
}

static void look(struct folder_store *store)
{
    listen_at(store, "");
    list_for_each (link, &store->looking) {
        const struct folder_sight *sight = container_of(link, struct folder_sight, link);

        if (strchr(sight->name, '/'))
            listen_at(store, sight->name);
    }
    for (int i = 0; i < TRIES && !look_once(store); i++)
        ;
}

static int do_act(const struct folder_store *store, const struct folder_place *place,
                  struct folder_act *act)
{
    const char *name =
        act->act == SECRET_LIST && !store->file ? act->name : name_of(store, act->name);

    switch (act->act) {
    case SECRET_READ:
        act->version = 0;
        return name ? folder_read(place, name, &act->text, &act->version, act->why) : 0;
    case SECRET_WRITE:
        if (name)
            return folder_write(place, name, buf_span(&act->text), act->expected, &act->version,
                                act->why);
        snprintf(act->why, sizeof(act->why), "a store of one file holds nothing but \"%s\"",
                 FOLDER_STORE_FILE);
        return ERR_UNSUPPORTED;
    case SECRET_REMOVE:
        if (name)
            return folder_remove(place, name, act->expected, act->why);
        snprintf(act->why, sizeof(act->why), "there is none");
        return act->expected == SECRET_ANY || act->expected == 0 ? 0 : ERR_EXISTS;
    case SECRET_LIST:
    case SECRET_VERSIONS: /* never asked */
        break;
    }
    if (!store->file)
        return folder_list(place, name, &act->text, act->why);
    return act->name[0] ? 0 : buf_append_span(&act->text, SPAN(FOLDER_STORE_FILE "\n"));
}

/* Begun anew where the snapshot that it read was swapped away meanwhile. */
static void perform(struct folder_store *store, struct folder_act *act)
{
    struct folder_place place;
    bool is_done = false;

    for (int i = 0; i < TRIES && !is_done; i++) {
        if (act->act != SECRET_WRITE)
            buf_clear(&act->text);
        act->err = folder_place_open(&place, store->path, act->why);
        if (act->err)
            return;
        act->err = do_act(store, &place, act);
        is_done = act->act == SECRET_WRITE || act->act == SECRET_REMOVE ||
                  folder_place_is_current(&place);
        folder_place_close(&place);
    }
}

void folder_work(struct helper_job *job)
{
    struct folder_store *store = container_of(job, struct folder_store, job);

    /* First, so that who reads after it began to watch sees no less than this. */
    if (store->is_look)
        look(store);
    list_for_each (link, &store->working)
        perform(store, container_of(link, struct folder_act, link));
}
