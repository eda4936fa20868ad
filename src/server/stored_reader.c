#include "server/stored_reader.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"

enum {
    ASKS_AT_ONCE = 16,
    FIRST_RETRY_US = (int)US_PER_SEC,
    LAST_RETRY_US = 60 * (int)US_PER_SEC,
};

/* One entry, or the names of one folder, and where it is read. */
struct reading {
    struct list link; /* in the line; unlinked: not in it */
    struct stored_reader *reader;
    struct conf_stored_entry *entry;
    struct secret_store *store; /* NULL: none could be opened */
    struct secret_ask ask;
    struct secret_watch watch;
    bool is_awaited; /* by on_asked */
    bool is_due;     /* to be read again once it is not being read any more */
    bool has_failed;
    bool is_told; /* the trouble was */
};

struct stored_reader {
    struct stored_reader_options options;
    struct list line; /* struct reading: to be asked */
    unsigned under_way, awaited;
    bool is_asking;                /* on_asked is to come */
    bool is_following, is_changed; /* is_changed: on_change is to come */
    struct loop_task pump, done, tell;
    struct loop_timer limit, retry, poll;
    uint64_t retry_us, poll_us;
};

static struct reading *reading_of(const struct conf_stored_entry *entry)
{
    return entry->reader;
}

static struct conf_stored_entry *entry_of(struct list *link)
{
    return container_of(link, struct conf_stored_entry, link);
}

static uint64_t now_us(const struct stored_reader *reader)
{
    return loop_now_us(reader->options.loop);
}

/* ---- what is told ---- */

static void note_change(struct stored_reader *reader)
{
    reader->is_changed = true;
    if (reader->is_following)
        loop_defer(reader->options.loop, &reader->tell);
}

static void on_tell(struct loop_task *task)
{
    struct stored_reader *reader = container_of(task, struct stored_reader, tell);

    /* What came while a load waits is part of that. */
    if (reader->is_changed && !reader->is_asking)
        reader->options.on_change(reader->options.owner);
    reader->is_changed = false;
}

static void on_done_task(struct loop_task *task)
{
    struct stored_reader *reader = container_of(task, struct stored_reader, done);

    if (!reader->is_asking)
        return;
    reader->is_asking = false;
    loop_timer_clear(&reader->limit);
    reader->options.on_asked(reader->options.owner);
}

static void count_asked(struct reading *reading)
{
    struct stored_reader *reader = reading->reader;

    reading->entry->is_wanted = false;
    if (!reading->is_awaited)
        return;
    reading->is_awaited = false;
    if (--reader->awaited == 0)
        loop_defer(reader->options.loop, &reader->done);
}

static void tell_trouble(struct reading *reading, const char *why)
{
    struct stored_reader *reader = reading->reader;
    struct conf_stored_entry *entry = reading->entry;
    bool is_news = why ? !reading->is_told || strcmp(entry->why, why) != 0 : reading->is_told;

    snprintf(entry->why, sizeof(entry->why), "%s", why ? why : "");
    if (is_news && reader->is_following)
        reader->options.on_trouble(reader->options.owner, entry->place.text, why);
    reading->is_told = why && (is_news ? reader->is_following : reading->is_told);
}

static void fail(struct reading *reading, const char *why)
{
    struct stored_reader *reader = reading->reader;

    reading->has_failed = true;
    tell_trouble(reading, why);
    if (reader->is_following && !reader->retry.deadline_us) {
        /* Reserved: it cannot fail. */
        (void)loop_timer_set(&reader->retry, now_us(reader) + reader->retry_us);
        if (reader->retry_us < LAST_RETRY_US)
            reader->retry_us *= 2;
    }
    count_asked(reading);
}

/* ---- what a store tells ---- */

static bool is_same(const struct secret *a, const struct secret *b)
{
    return a && b ? secret_is_equal(a, secret_reveal(b)) : a == b;
}

/* The member as it is now: 0, or an error that leaves it as it was. */
static int take_member(struct reading *reading, const struct secret_answer *answer,
                       struct conf_stored_member *member)
{
    struct secret *value = NULL;
    int err = ERR_NOTFOUND;

    if (answer->entry.version)
        err = secret_entry_member(answer->entry.text, member->name,
                                  reading->reader->options.secrets, &value);
    if (err && err != ERR_NOTFOUND)
        return err;
    if (!member->is_known || !is_same(value, member->value))
        note_change(reading->reader);
    secret_unref(&member->value);
    member->value = value;
    member->is_known = true;
    return 0;
}

static int take_entry(struct reading *reading, const struct secret_answer *answer)
{
    int err = 0;

    list_for_each (link, &reading->entry->members) {
        struct conf_stored_member *member = container_of(link, struct conf_stored_member, link);
        int one = take_member(reading, answer, member);

        err = err ? err : one;
    }
    return err;
}

static int take_names(struct reading *reading, const struct secret_answer *answer)
{
    struct conf_stored_entry *entry = reading->entry;

    if (entry->is_known && span_is_equal(buf_span(&entry->names), answer->names))
        return 0;
    buf_clear(&entry->names);
    note_change(reading->reader);
    entry->is_known = true;
    return buf_append_span(&entry->names, answer->names);
}

static const char *words_of(int err)
{
    if (err == ERR_RANGE)
        return "it is larger than 16 KiB";
    if (err == ERR_FULL)
        return "there is no room left for secrets";
    return err_text(err);
}

static void on_answer(struct secret_ask *ask, const struct secret_answer *answer)
{
    struct reading *reading = container_of(ask, struct reading, ask);
    struct stored_reader *reader = reading->reader;
    int err = answer->err;

    reader->under_way--;
    loop_defer(reader->options.loop, &reader->pump);
    if (!err)
        err = reading->entry->is_folder ? take_names(reading, answer) : take_entry(reading, answer);
    if (err) {
        fail(reading, answer->err ? answer->why : words_of(err));
        return;
    }
    reading->has_failed = false;
    reader->retry_us = FIRST_RETRY_US;
    tell_trouble(reading, NULL);
    count_asked(reading);
}

/* ---- the line ---- */

static void enqueue(struct reading *reading)
{
    struct stored_reader *reader = reading->reader;

    if (reading->ask.store) {
        reading->is_due = true;
        return;
    }
    if (!list_is_linked(&reading->link))
        list_push_back(&reader->line, &reading->link);
    loop_defer(reader->options.loop, &reader->pump);
}

static void begin(struct reading *reading)
{
    struct stored_reader *reader = reading->reader;
    const struct conf_stored_entry *entry = reading->entry;
    int err;

    reading->is_due = false;
    reading->ask.on_done = on_answer;
    err = entry->is_folder ? secret_store_list(reading->store, &reading->ask, entry->place.path)
                           : secret_store_read(reading->store, &reading->ask, entry->place.path);
    if (err)
        fail(reading, err_text(err));
    else
        reader->under_way++;
}

static void on_pump(struct loop_task *task)
{
    struct stored_reader *reader = container_of(task, struct stored_reader, pump);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->is_due && !reading->ask.store) {
            reading->is_due = false;
            enqueue(reading);
        }
    }
    while (reader->under_way < ASKS_AT_ONCE && !list_is_empty(&reader->line))
        begin(container_of(list_pop_front(&reader->line), struct reading, link));
}

/* ---- readings ---- */

static void stop(struct reading *reading)
{
    reading->reader->under_way -= reading->ask.store != NULL;
    secret_ask_cancel(&reading->ask);
    secret_watch_cancel(&reading->watch);
    if (list_is_linked(&reading->link))
        list_remove(&reading->link);
    reading->is_due = false;
}

static void leave(struct reading *reading)
{
    struct conf_stored_entry *entry = reading->entry;

    stop(reading);
    count_asked(reading);
    if (reading->store)
        secret_stores_give(reading->reader->options.stores, &reading->store);
    entry->reader = NULL;
    mem_free(reading);
}

/* One in the store of that configuration: NULL without memory. */
static struct reading *visit(struct stored_reader *reader, struct conf_stored_entry *entry,
                             const struct conf_secrets *conf)
{
    struct reading *reading = reading_of(entry);
    struct secret_store *store = NULL;
    char why[SECRET_WORDS_BYTES];
    int err;

    if (!reading) {
        reading = mem_zalloc(1, sizeof(*reading));
        if (!reading)
            return NULL;
        reading->reader = reader;
        reading->entry = entry;
        entry->reader = reading;
    }
    err = secret_stores_take(reader->options.stores, conf, &entry->place, why, &store);
    if (!err && store == reading->store) {
        secret_stores_give(reader->options.stores, &store);
        return reading;
    }
    stop(reading);
    if (reading->store)
        secret_stores_give(reader->options.stores, &reading->store);
    reading->store = store;
    if (err)
        fail(reading, why[0] ? why : err_text(err));
    return reading;
}

/* ---- watching ---- */

static void on_change(struct secret_watch *watch)
{
    enqueue(container_of(watch, struct reading, watch));
}

static void on_watch_trouble(struct secret_watch *watch, const char *why)
{
    tell_trouble(container_of(watch, struct reading, watch), why);
}

static void watch(struct reading *reading)
{
    struct span path = reading->entry->place.path;

    if (!reading->store || reading->entry->is_folder || reading->watch.store)
        return;
    reading->watch.on_change = on_change;
    reading->watch.on_trouble = on_watch_trouble;
    if (secret_store_watch(reading->store, &reading->watch, path))
        tell_trouble(reading, "it cannot be watched, for want of memory");
    enqueue(reading);
}

/* A store has no watch of folders: they are looked at now and then. */
static void on_poll(struct loop_timer *timer)
{
    struct stored_reader *reader = container_of(timer, struct stored_reader, poll);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->store && reading->entry->is_folder)
            enqueue(reading);
    }
    (void)loop_timer_set(&reader->poll, now_us(reader) + reader->poll_us);
}

static void on_retry(struct loop_timer *timer)
{
    struct stored_reader *reader = container_of(timer, struct stored_reader, retry);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->store && reading->has_failed)
            enqueue(reading);
    }
}

void stored_reader_follow(struct stored_reader *reader, const struct conf_secrets *conf)
{
    bool has_folder = false;

    reader->is_following = true;
    reader->poll_us = conf->poll_us;
    list_for_each_safe (link, &reader->options.stored->entries) {
        struct conf_stored_entry *entry = entry_of(link);
        struct reading *reading = reading_of(entry);

        if (!entry->is_used) {
            if (reading)
                leave(reading);
            conf_stored_drop(reader->options.stored, entry);
            continue;
        }
        has_folder |= entry->is_folder;
        reading = visit(reader, entry, conf);
        if (reading)
            watch(reading);
    }
    if (has_folder)
        (void)loop_timer_set(&reader->poll, now_us(reader) + reader->poll_us);
    else
        loop_timer_clear(&reader->poll);
}

/* ---- asking ---- */

/* Who has not answered by now is waited for no longer; an answer that comes all the same counts. */
static void on_limit(struct loop_timer *timer)
{
    struct stored_reader *reader = container_of(timer, struct stored_reader, limit);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->is_awaited)
            fail(reading, "there was no answer in time");
    }
}

int stored_reader_ask(struct stored_reader *reader, const struct conf_secrets *conf)
{
    reader->is_asking = true;
    list_for_each (link, &reader->options.stored->entries) {
        struct conf_stored_entry *entry = entry_of(link);
        struct reading *reading;

        if (!entry->is_used || !entry->is_wanted)
            continue;
        reading = visit(reader, entry, conf);
        if (!reading) {
            reader->is_asking = false;
            return ERR_NOMEM;
        }
        if (!reading->store)
            continue;
        reader->awaited += !reading->is_awaited;
        reading->is_awaited = true;
        enqueue(reading);
    }
    if (!reader->awaited)
        loop_defer(reader->options.loop, &reader->done);
    (void)loop_timer_set(&reader->limit, now_us(reader) + reader->options.within_us);
    return 0;
}

void stored_reader_cancel(struct stored_reader *reader)
{
    reader->is_asking = false;
    loop_timer_clear(&reader->limit);
}

/* ---- life ---- */

struct stored_reader *stored_reader_new(const struct stored_reader_options *options)
{
    struct stored_reader *reader = mem_zalloc(1, sizeof(*reader));

    if (!reader)
        return NULL;
    reader->options = *options;
    reader->retry_us = FIRST_RETRY_US;
    list_init(&reader->line);
    loop_task_init(&reader->pump, on_pump);
    loop_task_init(&reader->done, on_done_task);
    loop_task_init(&reader->tell, on_tell);
    loop_timer_init(&reader->limit, options->loop, on_limit);
    loop_timer_init(&reader->retry, options->loop, on_retry);
    loop_timer_init(&reader->poll, options->loop, on_poll);
    if (loop_timer_reserve(&reader->limit) || loop_timer_reserve(&reader->retry) ||
        loop_timer_reserve(&reader->poll))
        stored_reader_free(&reader);
    return reader;
}

void stored_reader_free(struct stored_reader **reader)
{
    struct stored_reader *r = *reader;

    *reader = NULL;
    if (!r)
        return;
    r->is_asking = r->is_following = false;
    list_for_each (link, &r->options.stored->entries) {
        if (reading_of(entry_of(link)))
            leave(reading_of(entry_of(link)));
    }
    loop_task_cancel(&r->pump);
    loop_task_cancel(&r->done);
    loop_task_cancel(&r->tell);
    loop_timer_fini(&r->limit);
    loop_timer_fini(&r->retry);
    loop_timer_fini(&r->poll);
    mem_free(r);
}
