#include "io/helpers.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/alloc.h"
#include "base/err.h"

/* Jobs in the order in which they came. */
struct job_line {
    struct helper_job *first, **last;
};

struct helpers {
    pthread_mutex_t lock; /* guards what follows, but for the threads; taken alone */
    pthread_cond_t news;
    struct job_line line, spare; /* the second is served while nobody stands in the first */
    size_t queued, max_queued;   /* in both */
    bool is_ending;
    size_t thread_count;
    pthread_t threads[];
};

static void on_arrival(struct loop_mail *mail)
{
    struct helper_job *job = container_of(mail, struct helper_job, mail);

    job->on_done(job, job->err);
}

void helper_job_return(struct helper_job *job, int err)
{
    job->err = err;
    job->mail.on_arrival = on_arrival;
    loop_post(job->loop, &job->mail);
}

static void line_init(struct job_line *line)
{
    line->first = NULL;
    line->last = &line->first;
}

static void line_push(struct job_line *line, struct helper_job *job)
{
    job->next = NULL;
    *line->last = job;
    line->last = &job->next;
}

/* NULL: nobody stands there. */
static struct helper_job *line_pop(struct job_line *line)
{
    struct helper_job *job = line->first;

    if (!job)
        return NULL;
    line->first = job->next;
    if (!line->first)
        line->last = &line->first;
    return job;
}

static struct helper_job *next_job(struct helpers *helpers)
{
    struct helper_job *job = line_pop(&helpers->line);

    return job ? job : line_pop(&helpers->spare);
}

/* The next one, waited for; NULL at the end. */
static struct helper_job *take_job(struct helpers *helpers)
{
    struct helper_job *job = NULL;

    pthread_mutex_lock(&helpers->lock);
    while (helpers->queued == 0 && !helpers->is_ending)
        pthread_cond_wait(&helpers->news, &helpers->lock);
    if (!helpers->is_ending) {
        job = next_job(helpers);
        helpers->queued--;
    }
    pthread_mutex_unlock(&helpers->lock);
    return job;
}

static void *run(void *arg)
{
    struct helpers *helpers = arg;
    struct helper_job *job;

    while ((job = take_job(helpers))) {
        job->work(job);
        helper_job_return(job, 0);
    }
    return NULL;
}

struct helpers *helpers_new(size_t threads, size_t max_queued)
{
    struct helpers *helpers =
        mem_zalloc(1, sizeof(*helpers) + threads * sizeof(helpers->threads[0]));

    if (!helpers)
        return NULL;
    pthread_mutex_init(&helpers->lock, NULL);
    pthread_cond_init(&helpers->news, NULL);
    line_init(&helpers->line);
    line_init(&helpers->spare);
    helpers->max_queued = max_queued;
    while (helpers->thread_count < threads &&
           pthread_create(&helpers->threads[helpers->thread_count], NULL, run, helpers) == 0)
        helpers->thread_count++;
    if (helpers->thread_count == 0)
        helpers_free(&helpers);
    return helpers;
}

void helpers_free(struct helpers **helpers)
{
    struct helpers *h = *helpers;
    struct helper_job *job;

    *helpers = NULL;
    if (!h)
        return;
    pthread_mutex_lock(&h->lock);
    h->is_ending = true;
    pthread_cond_broadcast(&h->news);
    pthread_mutex_unlock(&h->lock);
    for (size_t i = 0; i < h->thread_count; i++)
        pthread_join(h->threads[i], NULL);
    while ((job = next_job(h)))
        helper_job_return(job, ERR_CANCELLED);
    pthread_mutex_destroy(&h->lock);
    pthread_cond_destroy(&h->news);
    mem_free(h);
}

void helpers_ask(struct helpers *helpers, struct helper_job *job)
{
    bool is_full;

    pthread_mutex_lock(&helpers->lock);
    is_full = helpers->queued >= helpers->max_queued || helpers->is_ending;
    if (!is_full) {
        line_push(job->is_spare ? &helpers->spare : &helpers->line, job);
        helpers->queued++;
        pthread_cond_signal(&helpers->news);
    }
    pthread_mutex_unlock(&helpers->lock);
    if (is_full)
        helper_job_return(job, ERR_FULL);
}
