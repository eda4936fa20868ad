/*
 * What a helper thread does for a folder of secrets: the inside of secrets/folder_store.h. The
 * structs are the control thread's but for what is said to be the helper's.
 */
#ifndef SECRETS_FOLDER_WORK_H
#define SECRETS_FOLDER_WORK_H

#include "base/buf.h"
#include "io/helpers.h"
#include "secrets/secret_store_kind.h"

/* An ask at work. */
struct folder_act {
    struct list link;
    struct secret_ask *ask; /* NULL: nobody asks any more */
    enum secret_act act;
    uint64_t expected;
    struct buf text; /* secret: what is written, or was read */
    uint64_t version;
    int err;
    char why[SECRET_WORDS_BYTES];
    char name[SECRET_PATH_MAX_BYTES + 1];
};

/* A watched entry. */
struct folder_sight {
    struct list link;
    struct secret_watch *watch; /* NULL: nobody watches any more */
    char name[SECRET_PATH_MAX_BYTES + 1];
    bool is_looked_at;
    /* Of the look under way: the helper's. */
    int now_err;
    uint64_t now_version;
    char now_why[SECRET_WORDS_BYTES];
};

struct folder_store {
    struct secret_store store;
    struct helpers *helpers;
    char *path; /* of the folder */
    char *file; /* the one file's name in it, or NULL */
    uint64_t poll_us;
    struct loop_fd notify; /* fd -1: changes are found by looking alone */
    struct loop_timer timer;
    struct loop_task start;
    struct list waiting, sights; /* struct folder_act; struct folder_sight, new ones too */
    bool is_look_wanted;
    bool is_working, is_gone; /* while working, the lists below are the helper's */
    bool is_look;
    struct helper_job job;
    struct list working, looking;
};

/* Of folder_store.job: looks, then does what is at work. On a helper thread. */
void folder_work(struct helper_job *job);

#endif
