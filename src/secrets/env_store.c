#include "secrets/env_store.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/err.h"
#include "secrets/secret_store_kind.h"

struct env_store {
    struct secret_store store;
};

struct work {
    struct secret_ask *ask;
    struct loop_task task;
    enum secret_act act;
    char path[SECRET_PATH_MAX_BYTES + 1];
};

/* A JSON object, or a key alone; an empty variable holds nothing. */
static int read_value(struct span value, struct buf *out, const char **ret_why)
{
    int err;

    if (!span_has_prefix(span_trim(value), SPAN("{"))) {
        *ret_why = "the variable holds what is no key";
        return secret_entry_from_key(value, out);
    }
    err = secret_entry_check(value, ret_why);
    return err ? err : buf_append_span(out, value);
}

static void end_read(struct work *work, struct secret_ask *ask)
{
    struct span value = span_from_text(getenv(work->path));
    struct secret_answer answer = {.why = ""};
    const char *why = "";
    struct buf text;

    buf_init(&text, SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    if (value.len)
        answer.err = read_value(value, &text, &why);
    if (answer.err)
        answer.why = answer.err == ERR_SYNTAX ? why : err_text(answer.err);
    else if (value.len)
        answer.entry = (struct secret_entry){buf_span(&text), secret_version_of(buf_span(&text))};
    mem_free(work);
    secret_ask_finish(ask, &answer);
    buf_fini(&text);
}

/* No variable's name has a '/': there is but one folder. */
static int gather(struct secret_names *names, struct span folder)
{
    int err = 0;

    for (char **at = environ; !folder.len && !err && at && *at; at++) {
        struct span name = span_of(*at, strcspn(*at, "="));

        if (secret_path_is_good(name) && span_find_byte(name, '/') == SIZE_MAX)
            err = secret_names_add(names, name);
    }
    return err;
}

static void end_list(struct work *work, struct secret_ask *ask)
{
    struct secret_answer answer = {.why = ""};
    struct secret_names names = {0};
    struct buf text;

    buf_init(&text, SECRET_LIST_MAX_BYTES);
    answer.err = gather(&names, span_from_text(work->path));
    if (!answer.err)
        answer.err = secret_names_write(&names, &text);
    if (answer.err)
        answer.why = err_text(answer.err);
    else
        answer.names = buf_span(&text);
    secret_names_fini(&names);
    mem_free(work);
    secret_ask_finish(ask, &answer);
    buf_fini(&text);
}

static void on_task(struct loop_task *task)
{
    struct work *work = container_of(task, struct work, task);
    struct secret_ask *ask = work->ask;

    switch (work->act) {
    case SECRET_READ:
        end_read(work, ask);
        break;
    case SECRET_LIST:
        end_list(work, ask);
        break;
    case SECRET_WRITE:
    case SECRET_REMOVE:
    case SECRET_VERSIONS:
        mem_free(work);
        secret_ask_fail(ask, ERR_UNSUPPORTED, "the environment cannot be changed");
        break;
    }
}

static int begin(struct secret_store *store, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct work *work = mem_zalloc(1, sizeof(*work));

    if (!work)
        return ERR_NOMEM;
    work->ask = ask;
    work->act = request->act;
    if (request->path.len)
        memcpy(work->path, request->path.ptr, request->path.len);
    loop_task_init(&work->task, on_task);
    loop_defer(store->loop, &work->task);
    ask->work = work;
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    struct work *work = ask->work;

    loop_task_cancel(&work->task);
    mem_free(work);
}

static void free_store(struct secret_store *base)
{
    mem_free(container_of(base, struct env_store, store));
}

static const struct secret_store_ops ops = {
    .kind = "environment", .begin = begin, .cancel = cancel, .free = free_store};

struct secret_store *env_store_new(struct loop *loop)
{
    struct env_store *store = mem_zalloc(1, sizeof(*store));

    if (!store)
        return NULL;
    secret_store_init(&store->store, &ops, loop);
    return &store->store;
}
