#include "alerts/journal.h"

#include <pthread.h>
#include <stdatomic.h>

#include "base/alloc.h"

struct journal {
    pthread_mutex_t lock;  /* held to copy a record, never longer */
    uint64_t before, last; /* numbers: none up to the first, and of the last one */
    size_t capacity;

    /* The listener, set on its own thread; is_posted keeps the mail from being sent twice. */
    struct loop *loop;
    void (*on_news)(void *owner);
    void *owner;
    struct loop_mail mail;
    bool is_posted;

    struct journal_record records[]; /* by their number */
};

static const char *const names[EVENT_KINDS] = {
#define EVENT(symbol, name, state, meaning) [EVENT_##symbol] = name,
#include "tables/events.def"
#undef EVENT
};

const char *event_kind_text(enum event_kind kind)
{
    return names[kind];
}

/* ---- noting ---- */

static void fill(struct journal_record *record, const struct happening *happening, uint64_t id)
{
    record->id = id;
    record->kind = happening->kind;
    record->rotation = happening->rotation;
    record->wall_us = happening->wall_us;
    record->until_wall_us = happening->until_wall_us;
    record->is_over = happening->is_over;
    record->was_used = happening->was_used;
    alert_copy(record->provider, sizeof(record->provider), happening->provider);
    alert_copy(record->key, sizeof(record->key), happening->key);
    alert_copy(record->replaces, sizeof(record->replaces), happening->replaces);
    alert_copy(record->model, sizeof(record->model), happening->model);
    alert_copy(record->endpoint, sizeof(record->endpoint), happening->endpoint);
    alert_copy(record->region, sizeof(record->region), happening->region);
    alert_copy(record->state, sizeof(record->state), happening->state);
    alert_copy(record->reason, sizeof(record->reason), happening->reason);
}

void journal_note(struct journal *journal, const struct happening *happening)
{
    struct loop *loop = NULL;

    if (!journal)
        return;
    pthread_mutex_lock(&journal->lock);
    journal->last++;
    fill(&journal->records[journal->last % journal->capacity], happening, journal->last);
    if (journal->loop && !journal->is_posted) {
        journal->is_posted = true;
        loop = journal->loop;
    }
    pthread_mutex_unlock(&journal->lock);
    if (loop)
        loop_post(loop, &journal->mail);
}

static void on_mail(struct loop_mail *mail)
{
    struct journal *journal = container_of(mail, struct journal, mail);
    void (*on_news)(void *owner);
    void *owner;

    /* From here on another mail may be sent: what is noted from now on is told by that. */
    pthread_mutex_lock(&journal->lock);
    journal->is_posted = false;
    on_news = journal->on_news;
    owner = journal->owner;
    pthread_mutex_unlock(&journal->lock);
    if (on_news)
        on_news(owner);
}

void journal_listen(struct journal *journal, struct loop *loop, void (*on_news)(void *owner),
                    void *owner)
{
    pthread_mutex_lock(&journal->lock);
    journal->loop = on_news ? loop : NULL;
    journal->on_news = on_news;
    journal->owner = owner;
    pthread_mutex_unlock(&journal->lock);
}

/* ---- telling ---- */

uint64_t journal_last(struct journal *journal)
{
    uint64_t last;

    pthread_mutex_lock(&journal->lock);
    last = journal->last;
    pthread_mutex_unlock(&journal->lock);
    return last;
}

/* The number of the first that is kept, where there is one. */
static uint64_t first_kept(const struct journal *journal)
{
    uint64_t noted = journal->last - journal->before;

    return noted > journal->capacity ? journal->last - journal->capacity + 1 : journal->before + 1;
}

bool journal_next(struct journal *journal, uint64_t after, struct journal_record *ret_record,
                  int64_t *ret_missed)
{
    bool is_ours, is_there;
    uint64_t first, next;

    pthread_mutex_lock(&journal->lock);
    is_ours = after >= journal->before && after <= journal->last;
    first = first_kept(journal);
    next = is_ours && after >= first ? after + 1 : first;
    is_there = next <= journal->last;
    if (is_there) {
        *ret_record = journal->records[next % journal->capacity];
        *ret_missed = is_ours ? (int64_t)(next - after - 1) : JOURNAL_MISSED_UNKNOWN;
    }
    pthread_mutex_unlock(&journal->lock);
    return is_there;
}

/* ---- its life ---- */

struct journal *journal_new(size_t capacity, uint64_t before)
{
    struct journal *journal =
        mem_zalloc(1, sizeof(*journal) + capacity * sizeof(struct journal_record));

    if (!journal)
        return NULL;
    journal->capacity = capacity;
    journal->before = journal->last = before;
    journal->mail.on_arrival = on_mail;
    pthread_mutex_init(&journal->lock, NULL);
    return journal;
}

void journal_free(struct journal **place)
{
    struct journal *journal = *place;

    *place = NULL;
    if (!journal)
        return;
    pthread_mutex_destroy(&journal->lock);
    mem_free(journal);
}
