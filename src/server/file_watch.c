#include "server/file_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "conf/files.h"

/* A file is made and then written, and a mount swapped in several steps: looked at once, behind all
 * of them. */
#define SETTLE_US (100 * US_PER_MS)

enum { NOTIFY_BYTES = 4096 };

struct watched {
    char *path;
    bool is_folder;
    uint8_t digest[CONF_SHA256_BYTES];
};

/* The files of one configuration; a helper's while it looks at them. */
struct file_set {
    struct helper_job job;
    struct file_watch *watch; /* NULL: nobody wants to know any more */
    const struct conf_system *system;
    struct watched *items;
    size_t count;
    bool is_working, is_gone, has_changed;
};

struct file_watch {
    struct file_watch_options options;
    struct file_set *set;  /* NULL: nothing is watched */
    struct loop_fd notify; /* fd -1: changes are found by looking alone */
    struct loop_timer timer;
    uint64_t poll_us;
    bool is_due; /* something was heard of while it was being looked at */
};

/* ---- sets ---- */

static void free_set(struct file_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        mem_free(set->items[i].path);
    mem_free(set->items);
    mem_free(set);
}

static void drop_set(struct file_set **set)
{
    struct file_set *dropped = *set;

    *set = NULL;
    if (!dropped)
        return;
    dropped->is_gone = true;
    dropped->watch = NULL;
    if (!dropped->is_working)
        free_set(dropped);
}

static struct file_set *new_set(struct file_watch *watch, const struct conf_files *files)
{
    struct file_set *set = mem_zalloc(1, sizeof(*set));

    if (!set)
        return NULL;
    set->watch = watch;
    set->system = watch->options.system;
    set->items = mem_zalloc(files->count + 1, sizeof(*set->items));
    for (size_t i = 0; set->items && i < files->count; i++) {
        struct watched *item = &set->items[set->count];

        item->path = mem_strdup(files->items[i].path.ptr, files->items[i].path.len);
        item->is_folder = files->items[i].is_folder;
        memcpy(item->digest, files->items[i].digest, sizeof(item->digest));
        if (!item->path)
            break;
        set->count++;
    }
    if (set->count == files->count && set->items)
        return set;
    free_set(set);
    return NULL;
}

/* ---- looking ---- */

/* On a helper thread. A change is told once, also where the load that follows is refused. */
static void look(struct helper_job *job)
{
    struct file_set *set = container_of(job, struct file_set, job);

    for (size_t i = 0; i < set->count; i++) {
        struct watched *item = &set->items[i];
        uint8_t digest[CONF_SHA256_BYTES];

        if (conf_file_digest(set->system, item->path, item->is_folder, digest) ||
            memcmp(digest, item->digest, sizeof(digest)) == 0)
            continue;
        memcpy(item->digest, digest, sizeof(digest));
        set->has_changed = true;
    }
}

static void look_in(struct file_watch *watch, uint64_t after_us)
{
    uint64_t at = loop_now_us(watch->options.loop) + after_us;

    /* Reserved: it cannot fail. */
    if (!watch->timer.deadline_us || at < watch->timer.deadline_us)
        (void)loop_timer_set(&watch->timer, at);
}

static void on_looked(struct helper_job *job, int err)
{
    struct file_set *set = container_of(job, struct file_set, job);
    struct file_watch *watch = set->watch;
    bool has_changed = set->has_changed;

    (void)err; /* it is looked at again */
    set->is_working = false;
    set->has_changed = false;
    if (set->is_gone) {
        free_set(set);
        return;
    }
    look_in(watch, watch->is_due ? SETTLE_US : watch->poll_us);
    watch->is_due = false;
    if (has_changed)
        watch->options.on_change(watch->options.owner);
}

static void on_timer(struct loop_timer *timer)
{
    struct file_watch *watch = container_of(timer, struct file_watch, timer);
    struct helpers *helpers = secret_stores_helpers(watch->options.stores);

    if (!watch->set)
        return;
    if (!helpers || watch->set->is_working) {
        look_in(watch, watch->poll_us);
        return;
    }
    watch->set->is_working = true;
    watch->set->job.loop = watch->options.loop;
    watch->set->job.work = look;
    watch->set->job.on_done = on_looked;
    helpers_ask(helpers, &watch->set->job);
}

/* ---- hearing ---- */

static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? (size_t)(slash - path) + (slash == path) : 0;
}

static void listen_at(struct file_watch *watch, const struct watched *item)
{
    char *folder = NULL;
    const char *path = item->path;

    if (!item->is_folder) {
        size_t len = folder_length(item->path);

        folder = mem_strdup(len ? item->path : ".", len ? len : 1);
        if (!folder)
            return;
        path = folder;
    }
    /* What cannot be heard of is found by looking. */
    (void)inotify_add_watch(watch->notify.fd, path,
                            IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE |
                                IN_ATTRIB | IN_ONLYDIR | IN_MASK_ADD);
    mem_free(folder);
}

/* Files that nobody asked for may change there all the time. */
static bool is_ours(const struct file_set *set, const char *name)
{
    if (name[0] == '.' && name[1] == '.')
        return true; /* a mount's */
    for (size_t i = 0; i < set->count; i++) {
        const char *slash = strrchr(set->items[i].path, '/');

        if (set->items[i].is_folder ? name[0] != '.'
                                    : !strcmp(slash ? slash + 1 : set->items[i].path, name))
            return true;
    }
    return false;
}

static bool hears_of_ours(struct file_watch *watch, const char *bytes, size_t len)
{
    const struct inotify_event *event;
    bool is_heard = false;

    for (size_t at = 0; at + sizeof(*event) <= len; at += sizeof(*event) + event->len) {
        event = (const struct inotify_event *)(const void *)(bytes + at);
        is_heard |= !event->len || !watch->set || is_ours(watch->set, event->name);
    }
    return is_heard;
}

static void on_notify(struct loop_fd *fd, unsigned ready)
{
    struct file_watch *watch = container_of(fd, struct file_watch, notify);
    _Alignas(struct inotify_event) char bytes[NOTIFY_BYTES];
    bool is_heard = false;
    ssize_t n;

    (void)ready;
    for (;;) {
        n = read(fd->fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        is_heard |= hears_of_ours(watch, bytes, (size_t)n);
    }
    if (!is_heard || !watch->set)
        return;
    if (watch->set->is_working)
        watch->is_due = true;
    else
        look_in(watch, SETTLE_US);
}

static void stop_listening(struct file_watch *watch)
{
    if (watch->notify.fd < 0)
        return;
    loop_remove(watch->options.loop, &watch->notify);
    close(watch->notify.fd);
    watch->notify.fd = -1;
}

static void listen_to_all(struct file_watch *watch)
{
    watch->notify.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (watch->notify.fd < 0)
        return;
    if (loop_add(watch->options.loop, &watch->notify, false)) {
        close(watch->notify.fd);
        watch->notify.fd = -1;
        return;
    }
    for (size_t i = 0; i < watch->set->count; i++)
        listen_at(watch, &watch->set->items[i]);
}

int file_watch_follow(struct file_watch *watch, const struct conf_files *files, uint64_t poll_us)
{
    stop_listening(watch);
    drop_set(&watch->set);
    loop_timer_clear(&watch->timer);
    watch->poll_us = poll_us;
    watch->is_due = false;
    if (!files->count)
        return 0;
    watch->set = new_set(watch, files);
    if (!watch->set)
        return ERR_NOMEM;
    listen_to_all(watch);
    look_in(watch, 0);
    return 0;
}

struct file_watch *file_watch_new(const struct file_watch_options *options)
{
    struct file_watch *watch = mem_zalloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    watch->options = *options;
    watch->notify = (struct loop_fd){.fd = -1, .on_ready = on_notify};
    loop_timer_init(&watch->timer, options->loop, on_timer);
    if (loop_timer_reserve(&watch->timer))
        file_watch_free(&watch);
    return watch;
}

void file_watch_free(struct file_watch **watch)
{
    struct file_watch *w = *watch;

    *watch = NULL;
    if (!w)
        return;
    stop_listening(w);
    drop_set(&w->set);
    loop_timer_fini(&w->timer);
    mem_free(w);
}
