#include "server/stored_reader.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "server/store_queue.h"

/* One entry, or the names of one folder, and where it is read. */
struct reading {
    struct stored_reader *reader;
    struct conf_stored_entry *entry;
    struct secret_store *store; /* NULL: none could be opened */
    struct store_question question;
    struct secret_watch watch;
    bool is_awaited; /* by on_asked */
    bool is_told;    /* the trouble was */
    bool is_away;    /* its store was told to be out of reach */
};

struct stored_reader {
    struct stored_reader_options options;
    struct list queues; /* struct store_queue */
    unsigned awaited;
    unsigned away;                 /* struct reading: so many are */
    bool is_away_told;             /* and that was told */
    bool is_asking;                /* on_asked is to come */
    bool is_following, is_changed; /* is_changed: on_change is to come */
    struct loop_task done, tell;
    struct loop_timer limit, poll;
    uint64_t poll_us;
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

/* ---- trouble ---- */

/* Counted for its store, so that each that goes away is told once. */
static void count_away(struct reading *reading, bool is_away)
{
    struct store_queue *queue = reading->question.queue;

    if (reading->is_away == is_away)
        return;
    reading->is_away = is_away;
    reading->reader->away += is_away ? 1 : -1;
    if (queue)
        queue->away += is_away ? 1 : -1;
}

static void tell_back(struct stored_reader *reader)
{
    if (reader->is_away_told && !reader->away) {
        reader->is_away_told = false;
        reader->options.on_away(reader->options.owner, SPAN(""), NULL);
    }
}

static void tell_away(struct reading *reading, const char *why)
{
    struct stored_reader *reader = reading->reader;
    struct store_queue *queue = reading->question.queue;

    if (!reader->is_following || reading->is_away)
        return;
    count_away(reading, true);
    if (queue && queue->away > 1)
        return;
    reader->is_away_told = true;
    reader->options.on_away(reader->options.owner, reading->entry->place.text, why);
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

/* Why the store is out of reach, or NULL. */
static void note_reach(struct reading *reading, const char *why)
{
    if (why) {
        tell_away(reading, why);
    } else {
        count_away(reading, false);
        tell_back(reading->reader);
    }
}

/* ---- what a store tells ---- */

static const char *words_of(int err)
{
    if (err == ERR_RANGE)
        return "it is larger than 16 KiB";
    if (err == ERR_FULL)
        return "there is no room left for secrets";
    return err_text(err);
}

static int take(struct reading *reading, const struct secret_answer *answer)
{
    struct stored_reader *reader = reading->reader;
    bool is_news = false;
    int err = reading->entry->is_folder
                  ? conf_stored_take_names(reading->entry, answer->names, &is_news)
                  : conf_stored_take_entry(reading->entry, &answer->entry, reader->options.secrets,
                                           &is_news);

    if (is_news)
        note_change(reader);
    return err;
}

static int on_answer(struct store_question *question, const struct secret_answer *answer)
{
    struct reading *reading = container_of(question, struct reading, question);
    int err = answer->err ? answer->err : take(reading, answer);
    bool is_away = answer->err && err != ERR_SYNTAX && err != ERR_NOMEM;

    reading->entry->is_foreign = err == ERR_SYNTAX;
    tell_trouble(reading, answer->err ? answer->why : err ? words_of(err) : NULL);
    note_reach(reading, is_away ? answer->why : NULL);
    count_asked(reading);
    return err;
}

static int begin(struct store_question *question, struct secret_store *store)
{
    const struct conf_stored_entry *entry = container_of(question, struct reading, question)->entry;

    return entry->is_folder ? secret_store_list(store, &question->ask, entry->place.path)
                            : secret_store_read(store, &question->ask, entry->place.path);
}

/* ---- readings ---- */

static void stop(struct reading *reading)
{
    count_away(reading, false);
    secret_watch_cancel(&reading->watch);
    store_queue_leave(&reading->question);
    secret_stores_give(reading->reader->options.stores, &reading->store);
}

static void leave(struct reading *reading)
{
    struct conf_stored_entry *entry = reading->entry;

    stop(reading);
    count_asked(reading);
    entry->reader = NULL;
    mem_free(reading);
}

/* NULL without memory. */
static struct reading *reading_for(struct stored_reader *reader, struct conf_stored_entry *entry)
{
    struct reading *reading = reading_of(entry);

    if (reading)
        return reading;
    reading = mem_zalloc(1, sizeof(*reading));
    if (!reading)
        return NULL;
    reading->reader = reader;
    reading->entry = entry;
    reading->question.begin = begin;
    reading->question.on_answer = on_answer;
    entry->reader = reading;
    return reading;
}

/* One in the store of that configuration: NULL without memory. */
static struct reading *visit(struct stored_reader *reader, struct conf_stored_entry *entry,
                             const struct conf_secrets *conf)
{
    struct reading *reading = reading_for(reader, entry);
    struct secret_store *store = NULL;
    char why[SECRET_WORDS_BYTES];
    int err;

    if (!reading)
        return NULL;
    err = secret_stores_take(reader->options.stores, conf, &entry->place, why, &store);
    if (!err && store == reading->store) {
        secret_stores_give(reader->options.stores, &store);
        return reading;
    }
    if (reading->store)
        stop(reading);
    if (!err) {
        err = store_queue_join(&reader->queues, reader->options.loop, store, &reading->question);
        if (err)
            secret_stores_give(reader->options.stores, &store);
        else
            reading->question.queue->away += reading->is_away;
    }
    reading->store = store;
    if (err) {
        tell_trouble(reading, why[0] ? why : err_text(err));
        note_reach(reading, entry->why);
        count_asked(reading);
    }
    return reading;
}

/* ---- watching ---- */

static void on_change(struct secret_watch *watch)
{
    store_queue_ask(&container_of(watch, struct reading, watch)->question);
}

static void on_watch_trouble(struct secret_watch *watch, const char *why)
{
    struct reading *reading = container_of(watch, struct reading, watch);

    /* What could not be read is told by its answer. */
    if (!why && reading->question.has_failed) {
        store_queue_ask(&reading->question);
        return;
    }
    tell_trouble(reading, why);
    note_reach(reading, why);
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
    store_queue_ask(&reading->question);
}

/* A store has no watch of folders: they are looked at now and then. */
static void on_poll(struct loop_timer *timer)
{
    struct stored_reader *reader = container_of(timer, struct stored_reader, poll);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->store && reading->entry->is_folder)
            store_queue_ask(&reading->question);
    }
    (void)loop_timer_set(&reader->poll, now_us(reader) + reader->poll_us);
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
    tell_back(reader); /* by those that are read no more */
}

/* ---- asking ---- */

/* Who has not answered by now is waited for no longer; an answer that comes all the same counts. */
static void on_limit(struct loop_timer *timer)
{
    static const char late[] = "there was no answer in time";
    struct stored_reader *reader = container_of(timer, struct stored_reader, limit);

    list_for_each (link, &reader->options.stored->entries) {
        struct reading *reading = reading_of(entry_of(link));

        if (reading && reading->is_awaited) {
            tell_trouble(reading, late);
            note_reach(reading, late);
            count_asked(reading);
        }
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
        store_queue_ask(&reading->question);
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
    list_init(&reader->queues);
    loop_task_init(&reader->done, on_done_task);
    loop_task_init(&reader->tell, on_tell);
    loop_timer_init(&reader->limit, options->loop, on_limit);
    loop_timer_init(&reader->poll, options->loop, on_poll);
    if (loop_timer_reserve(&reader->limit) || loop_timer_reserve(&reader->poll))
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
    loop_task_cancel(&r->done);
    loop_task_cancel(&r->tell);
    loop_timer_fini(&r->limit);
    loop_timer_fini(&r->poll);
    mem_free(r);
}
