#include "secrets/sealed_file.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "secrets/sealed.h"
#include "secrets/sealed_disk.h"
#include "secrets/sealed_entries.h"

enum { PIECE_BYTES = 1 << 16 }; /* read at once: room for one more than fits */

struct sealed_file {
    struct secret_store store;
    struct helpers *helpers;
    struct secret_arena *secrets;
    char *path, *key_path;
    struct sealed_entries entries;
    struct seal_key key; /* bytes NULL: not made yet */
    struct sealed_identity seen;
    struct list waiting; /* struct change, for the next write */
    struct list writing; /* of the one under way */
    struct loop_task start;
    bool is_writing; /* what follows is the helper's then, and all above but `waiting` is still */
    bool is_gone;
    struct helper_job job;
    int err;
    char why[SECRET_WORDS_BYTES];
};

/* An ask at work. */
struct change {
    struct list link;
    struct sealed_file *file;
    struct secret_ask *ask; /* NULL: nobody asks any more */
    enum secret_act act;
    struct sealed_body *body; /* NULL: removed */
    uint64_t expected, version;
    int err;
    size_t path_len;
    char path[SECRET_PATH_MAX_BYTES];
};

static struct span change_path(const struct change *change)
{
    return span_of(change->path, change->path_len);
}

static void free_change(struct change *change)
{
    sealed_body_unref(&change->body);
    mem_free(change);
}

/* ---- the file: on a helper thread, or at the start ---- */

static int need_key(struct sealed_file *file)
{
    int err;

    if (file->key.bytes)
        return 0;
    err = seal_key_make(file->key_path, file->secrets, &file->key, file->why);
    /* Sealing a text made one meanwhile. */
    return err == ERR_EXISTS ? seal_key_read(file->key_path, file->secrets, &file->key, file->why)
                             : err;
}

static int seal_entries(struct sealed_file *file, struct buf *sealed)
{
    struct buf text;
    int err;

    buf_init(&text, SEALED_FILE_MAX_BYTES - SEALED_HEADER_BYTES - SEALED_TAG_BYTES);
    text.is_secret = true;
    err = sealed_entries_write(&file->entries, &text);
    if (!err)
        err = sealed_close(&file->key, SEALED_FILE, buf_span(&text), sealed);
    buf_fini(&text);
    if (err)
        snprintf(file->why, sizeof(file->why), "%s cannot be written: %s", file->path,
                 err == ERR_FULL ? "it would be too large" : err_text(err));
    return err;
}

static int write_file(struct sealed_file *file)
{
    int err = need_key(file);
    struct buf sealed;

    buf_init(&sealed, SEALED_FILE_MAX_BYTES);
    if (!err)
        err = seal_entries(file, &sealed);
    if (!err)
        err = sealed_disk_replace(file->path, buf_span(&sealed), &file->seen, file->why);
    buf_fini(&sealed);
    return err;
}

static void work(struct helper_job *job)
{
    struct sealed_file *file = container_of(job, struct sealed_file, job);

    file->err = write_file(file);
}

/* ---- changes ---- */

static void destroy(struct sealed_file *file)
{
    while (!list_is_empty(&file->waiting))
        free_change(container_of(list_pop_front(&file->waiting), struct change, link));
    while (!list_is_empty(&file->writing))
        free_change(container_of(list_pop_front(&file->writing), struct change, link));
    sealed_entries_fini(&file->entries);
    seal_key_fini(&file->key);
    mem_free(file->path);
    mem_free(file->key_path);
    mem_free(file);
}

static void answer_change(struct change *change, int err, const char *why)
{
    struct secret_ask *ask = change->ask;
    struct secret_answer answer = {.why = "", .entry.version = change->version};

    free_change(change);
    if (!ask)
        return;
    if (err)
        secret_ask_fail(ask, err, why);
    else
        secret_ask_finish(ask, &answer);
}

/* Each is told; the store may be gone after any of them, which leaves the others without an ask. */
static void answer_all(struct list *changes, int err, const char *why)
{
    while (!list_is_empty(changes)) {
        struct change *change = container_of(list_pop_front(changes), struct change, link);

        if (err)
            answer_change(change, err, why);
        else if (change->err == ERR_EXISTS)
            answer_change(change, ERR_EXISTS, "another version is there than was expected");
        else if (change->err)
            answer_change(change, change->err, "there is no room for another entry");
        else
            answer_change(change, 0, NULL);
    }
}

static void end_batch(struct sealed_file *file, int err)
{
    char why[SECRET_WORDS_BYTES];
    struct list changes;

    list_init(&changes);
    memcpy(why, file->why, sizeof(why));
    if (err)
        sealed_entries_drop(&file->entries);
    else
        sealed_entries_keep(&file->entries);
    while (!list_is_empty(&file->writing)) {
        struct list *link = list_pop_front(&file->writing);
        const struct change *change = container_of(link, struct change, link);

        if (!err && !change->err)
            secret_watch_note_path(&file->store, change_path(change));
        list_push_back(&changes, link);
    }
    if (!list_is_empty(&file->waiting))
        loop_defer(file->store.loop, &file->start);
    secret_watch_tell(&file->store);
    answer_all(&changes, err, why);
}

static void on_written(struct helper_job *job, int err)
{
    struct sealed_file *file = container_of(job, struct sealed_file, job);

    file->is_writing = false;
    if (file->is_gone) {
        destroy(file);
        return;
    }
    if (err)
        snprintf(file->why, sizeof(file->why), "%s was not written: %s", file->path, err_text(err));
    end_batch(file, err ? err : file->err);
}

static void on_start(struct loop_task *task)
{
    struct sealed_file *file = container_of(task, struct sealed_file, start);

    if (file->is_writing)
        return;
    file->err = 0;
    file->why[0] = '\0';
    while (!list_is_empty(&file->waiting)) {
        struct list *link = list_pop_front(&file->waiting);
        struct change *change = container_of(link, struct change, link);

        list_push_back(&file->writing, link);
        if (!change->err)
            change->err = sealed_entries_try(&file->entries, change_path(change), change->body,
                                             change->expected, &change->version);
    }
    if (list_is_empty(&file->entries.changing)) {
        end_batch(file, 0);
        return;
    }
    file->is_writing = true;
    file->job = (struct helper_job){.loop = file->store.loop, .work = work, .on_done = on_written};
    helpers_ask(file->helpers, &file->job);
}

/* ---- reading ---- */

static void tell_entry(struct change *change)
{
    struct sealed_entry entry = sealed_entries_find(&change->file->entries, change_path(change));
    struct secret_answer answer = {.why = "", .entry.version = entry.version};
    struct secret_ask *ask = change->ask;
    struct buf text;
    int err = 0;

    buf_init(&text, SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    if (entry.body)
        err = sealed_body_write(entry.body, &text);
    answer.entry.text = buf_span(&text);
    free_change(change);
    if (err)
        secret_ask_fail(ask, err, NULL);
    else
        secret_ask_finish(ask, &answer);
    buf_fini(&text);
}

static void tell_names(struct change *change)
{
    const struct sealed_entries *entries = &change->file->entries;
    struct secret_answer answer = {.why = ""};
    struct secret_ask *ask = change->ask;
    struct secret_names names = {0};
    const struct sealed_slot *slot;
    struct buf text;
    size_t at = 0;
    int err = 0;

    buf_init(&text, SECRET_LIST_MAX_BYTES);
    while (!err && (slot = map_next(&entries->slots, &at, NULL))) {
        if (slot->kept.body)
            err = secret_names_add_below(&names, change_path(change),
                                         span_of(slot->path, slot->path_len));
    }
    if (!err)
        err = secret_names_write(&names, &text);
    answer.names = buf_span(&text);
    free_change(change);
    if (err)
        secret_ask_fail(ask, err, NULL);
    else
        secret_ask_finish(ask, &answer);
    secret_names_fini(&names);
    buf_fini(&text);
}

static void on_read(struct loop_task *task)
{
    struct change *change = container_of(task, struct secret_ask, task)->work;

    if (change->act == SECRET_LIST)
        tell_names(change);
    else
        tell_entry(change);
}

/* ---- the store ---- */

static int begin(struct secret_store *store, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct sealed_file *file = container_of(store, struct sealed_file, store);
    struct change *change = mem_zalloc(1, sizeof(*change));

    if (!change)
        return ERR_NOMEM;
    *change = (struct change){
        .file = file, .ask = ask, .act = request->act, .expected = request->expected};
    change->path_len = request->path.len;
    if (request->path.len)
        memcpy(change->path, request->path.ptr, request->path.len);
    ask->work = change;
    if (request->act == SECRET_READ || request->act == SECRET_LIST) {
        loop_task_init(&ask->task, on_read);
        loop_defer(store->loop, &ask->task);
        return 0;
    }
    if (request->act == SECRET_WRITE)
        change->err = sealed_body_new(file->secrets, request->text, &change->body);
    list_push_back(&file->waiting, &change->link);
    if (!file->is_writing)
        loop_defer(store->loop, &file->start);
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    struct change *change = ask->work;

    change->ask = NULL;
    if (change->act == SECRET_READ || change->act == SECRET_LIST) {
        loop_task_cancel(&ask->task);
        free_change(change);
    }
}

static bool is_busy(const struct secret_store *store)
{
    const struct sealed_file *file = container_of(store, const struct sealed_file, store);

    return file->is_writing || !list_is_empty(&file->waiting);
}

static void free_store(struct secret_store *store)
{
    struct sealed_file *file = container_of(store, struct sealed_file, store);

    loop_task_cancel(&file->start);
    file->is_gone = true;
    if (!file->is_writing)
        destroy(file);
}

static const struct secret_store_ops ops = {.kind = "sealed file",
                                            .begin = begin,
                                            .cancel = cancel,
                                            .is_busy = is_busy,
                                            .free = free_store};

/* ---- the start ---- */

static int unseal(struct sealed_file *file, struct span sealed, char *why)
{
    struct buf text;
    int err = seal_key_read(file->key_path, file->secrets, &file->key, why);
    char words[SECRET_WORDS_BYTES];

    if (err == ERR_NOTFOUND)
        snprintf(why, SECRET_WORDS_BYTES, "%s cannot be opened: its key %s is not there",
                 file->path, file->key_path);
    if (err)
        return err;
    buf_init(&text, SEALED_FILE_MAX_BYTES);
    text.is_secret = true;
    err = sealed_open(&file->key, SEALED_FILE, sealed, &text, words);
    if (!err) {
        err = sealed_entries_read(&file->entries, buf_span(&text));
        snprintf(words, sizeof(words), "%s",
                 err == ERR_PROTO ? "holds no secrets that this version can read" : err_text(err));
    }
    buf_fini(&text);
    if (err == ERR_DENIED)
        snprintf(why, SECRET_WORDS_BYTES, "%s is sealed under another key than the one in %s",
                 file->path, file->key_path);
    else if (err)
        snprintf(why, SECRET_WORDS_BYTES, "%s %.160s", file->path, words);
    return err;
}

static int load(struct sealed_file *file, char *why)
{
    struct buf sealed;
    int err;

    buf_init(&sealed, SEALED_FILE_MAX_BYTES + PIECE_BYTES);
    err = sealed_disk_read(file->path, &sealed, &file->seen, why);
    if (err == ERR_NOTFOUND) {
        /* A key that is there already will do for the first change. */
        err = seal_key_read(file->key_path, file->secrets, &file->key, why);
        err = err == ERR_NOTFOUND ? 0 : err;
    } else if (!err) {
        err = unseal(file, buf_span(&sealed), why);
    }
    buf_fini(&sealed);
    return err;
}

int sealed_file_open(const struct sealed_file_options *options, struct secret_store **ret_store,
                     char *why)
{
    struct sealed_file *file = mem_zalloc(1, sizeof(*file));
    int err = ERR_NOMEM;

    snprintf(why, SECRET_WORDS_BYTES, "%s", err_text(err));
    if (!file)
        return err;
    secret_store_init(&file->store, &ops, options->loop);
    file->helpers = options->helpers;
    file->secrets = options->secrets;
    list_init(&file->waiting);
    list_init(&file->writing);
    loop_task_init(&file->start, on_start);
    sealed_entries_init(&file->entries, options->secrets);
    file->path = mem_strdup(options->path, strlen(options->path));
    file->key_path = mem_strdup(options->key_path, strlen(options->key_path));
    if (file->path && file->key_path)
        err = load(file, why);
    if (err) {
        destroy(file);
        return err;
    }
    why[0] = '\0';
    *ret_store = &file->store;
    return 0;
}
