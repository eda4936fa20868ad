#include "server/config_reader.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/file_watch.h"
#include "server/stored_reader.h"

/* Behind a change others follow, where somebody replaces several secrets. */
#define SETTLE_US (200 * US_PER_MS)
#define WITHIN_US (10 * US_PER_SEC)

/* The file, then what it names, then what stands in the folders that it names, then all of it. */
enum { ROUNDS = 4 };

struct config_reader {
    struct loop *loop;
    struct conf_source source;
    struct conf_stored stored;
    struct secret_stores *stores;
    struct stored_reader *values;
    struct file_watch *files;
    struct loop_timer settle;
    /* Of the reading under way. */
    void (*on_read)(void *owner, const struct config_read *read); /* NULL: there is none */
    void *read_owner;
    char *path; /* NULL: as config_load has it */
    struct config *partial;
    int rounds;
    /* Who listens. */
    const struct config_reader_ops *ops; /* NULL: nobody */
    void *owner;
};

/* ---- changes ---- */

static void on_settled(struct loop_timer *timer)
{
    struct config_reader *reader = container_of(timer, struct config_reader, settle);

    if (reader->ops)
        reader->ops->on_change(reader->owner);
}

static void on_change(void *owner)
{
    struct config_reader *reader = owner;

    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&reader->settle, loop_now_us(reader->loop) + SETTLE_US);
}

static void on_trouble(void *owner, struct span place, const char *why)
{
    struct config_reader *reader = owner;

    if (reader->ops)
        reader->ops->on_trouble(reader->owner, place, why);
}

static void on_away(void *owner, struct span place, const char *why)
{
    struct config_reader *reader = owner;

    if (reader->ops)
        reader->ops->on_away(reader->owner, place, why);
}

/* ---- a reading ---- */

static void end(struct config_reader *reader, int err, const struct complaints *complaints,
                struct config *config)
{
    const struct config_read read = {.err = err, .complaints = complaints, .config = config};
    void (*on_read)(void *, const struct config_read *) = reader->on_read;

    reader->on_read = NULL;
    MEM_CLEAR(reader->path);
    on_read(reader->read_owner, &read);
}

static void step(struct config_reader *reader)
{
    struct complaints complaints;
    struct config *config = NULL;
    int err;

    complaints_init(&complaints);
    err = config_load(&reader->source, reader->path, &complaints, &config);
    if (err == ERR_AGAIN && reader->rounds++ < ROUNDS) {
        reader->partial = config;
        config = NULL;
        err = stored_reader_ask(reader->values, &reader->partial->secrets);
        if (!err)
            goto out;
        config_free(&reader->partial);
    }
    if (err)
        config_free(&config);
    end(reader, err == ERR_AGAIN ? ERR_SYNTAX : err, &complaints, config);
out:
    complaints_fini(&complaints);
}

static void on_asked(void *owner)
{
    struct config_reader *reader = owner;

    config_free(&reader->partial);
    step(reader);
}

void config_reader_begin(struct config_reader *reader, const char *path, bool is_fresh,
                         void (*on_read)(void *owner, const struct config_read *read), void *owner)
{
    struct complaints none;

    loop_timer_clear(&reader->settle);
    reader->on_read = on_read;
    reader->read_owner = owner;
    reader->rounds = 0;
    reader->path = path ? mem_strdup(path, strlen(path)) : NULL;
    if (path && !reader->path) {
        complaints_init(&none);
        end(reader, ERR_NOMEM, &none, NULL);
        complaints_fini(&none);
        return;
    }
    if (is_fresh)
        conf_stored_doubt(&reader->stored);
    step(reader);
}

void config_reader_cancel(struct config_reader *reader)
{
    reader->on_read = NULL;
    stored_reader_cancel(reader->values);
    config_free(&reader->partial);
    MEM_CLEAR(reader->path);
}

/* ---- at the start ---- */

struct first {
    struct complaints *complaints;
    struct config *config;
    int err;
    bool is_done;
};

static void on_first(void *owner, const struct config_read *read)
{
    struct first *first = owner;

    first->is_done = true;
    first->err = read->err;
    first->config = read->config;
    complaints_add(first->complaints, read->complaints);
}

int config_reader_read(struct config_reader *reader, const char *path,
                       struct complaints *complaints, struct config **ret_config)
{
    struct first first = {.complaints = complaints};

    config_reader_begin(reader, path, false, on_first, &first);
    while (!first.is_done) {
        int err = loop_turn(reader->loop, WITHIN_US);

        if (err) {
            config_reader_cancel(reader);
            return err;
        }
    }
    *ret_config = first.config;
    return first.err;
}

/* ---- what follows ---- */

void config_reader_follow(struct config_reader *reader, const struct config *config,
                          const struct config_reader_ops *ops, void *owner)
{
    reader->ops = ops;
    reader->owner = owner;
    stored_reader_follow(reader->values, &config->secrets);
    if (file_watch_follow(reader->files, &config->files, config->secrets.poll_us))
        on_trouble(reader, SPAN("files"), "they cannot be watched, for want of memory");
}

void config_reader_leave(struct config_reader *reader)
{
    reader->ops = NULL;
    loop_timer_clear(&reader->settle);
    config_reader_cancel(reader);
}

/* ---- life ---- */

static int make_parts(struct config_reader *reader)
{
    struct stored_reader_options values = {.loop = reader->loop,
                                           .secrets = reader->source.secrets,
                                           .stored = &reader->stored,
                                           .within_us = WITHIN_US,
                                           .on_asked = on_asked,
                                           .on_change = on_change,
                                           .on_trouble = on_trouble,
                                           .on_away = on_away,
                                           .owner = reader};
    struct file_watch_options files = {.loop = reader->loop,
                                       .system = reader->source.system,
                                       .on_change = on_change,
                                       .owner = reader};

    reader->stores = secret_stores_new(reader->loop, reader->source.secrets);
    if (!reader->stores)
        return ERR_NOMEM;
    values.stores = files.stores = reader->stores;
    reader->values = stored_reader_new(&values);
    reader->files = file_watch_new(&files);
    return reader->values && reader->files ? loop_timer_reserve(&reader->settle) : ERR_NOMEM;
}

struct config_reader *config_reader_new(struct loop *loop, const struct conf_source *source)
{
    struct config_reader *reader = mem_zalloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    reader->loop = loop;
    reader->source = *source;
    reader->source.stored = &reader->stored;
    conf_stored_init(&reader->stored);
    loop_timer_init(&reader->settle, loop, on_settled);
    if (make_parts(reader))
        config_reader_free(&reader);
    return reader;
}

void config_reader_free(struct config_reader **reader)
{
    struct config_reader *r = *reader;

    *reader = NULL;
    if (!r)
        return;
    r->ops = NULL;
    config_free(&r->partial);
    MEM_CLEAR(r->path);
    stored_reader_free(&r->values);
    file_watch_free(&r->files);
    conf_stored_fini(&r->stored);
    secret_stores_free(&r->stores);
    loop_timer_fini(&r->settle);
    mem_free(r);
}

struct secret_stores *config_reader_stores(struct config_reader *reader)
{
    return reader->stores;
}
