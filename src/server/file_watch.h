/*
 * Watches the files that a configuration was made from by references and folders of keys: hears of
 * changes by inotify, in the folders where they stand (so that the swap of a mounted Secret's
 * `..data` is heard of too), and looks now and then besides, as not every file system tells. What
 * counts is the content: a file that is written anew with the same is no change. A helper thread
 * reads; the rest is the control thread's.
 */
#ifndef SERVER_FILE_WATCH_H
#define SERVER_FILE_WATCH_H

#include <stdint.h>

#include "conf/config.h"
#include "conf/system.h"
#include "server/secret_stores.h"

struct file_watch;

struct file_watch_options {
    struct loop *loop;
    struct secret_stores *stores;     /* whose helper thread reads */
    const struct conf_system *system; /* all of these outlive it; called by the helper thread */
    /* Once for each change that was seen. */
    void (*on_change)(void *owner);
    void *owner;
};

/* NULL without memory. */
struct file_watch *file_watch_new(const struct file_watch_options *options);

/* What the helper thread is at work on goes when it has come back to the loop. Accepts a pointer to
 * NULL. */
void file_watch_free(struct file_watch **watch);

/* Watches these from now on, as compared with what the load found, in place of those before; looks
 * at once, and then every poll_us. Copied. 0 or ERR_NOMEM, in which nothing is watched. */
int file_watch_follow(struct file_watch *watch, const struct conf_files *files, uint64_t poll_us);

#endif
