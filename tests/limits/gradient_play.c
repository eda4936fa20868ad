#include "gradient_play.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

#define NEVER     UINT64_MAX
#define START_US  (1000 * US_PER_SEC)
#define BUCKET    1.03
#define BUCKET_US 10e3

struct gradient_play *gradient_play_new(const struct gradient_server *server,
                                        const struct gradient_settings *settings, uint32_t fixed,
                                        uint64_t seed)
{
    struct gradient_play *play = calloc(1, sizeof(*play));

    if (!play)
        return NULL;
    play->server = *server;
    play->fixed = fixed;
    play->now_us = START_US;
    gradient_init(&play->gradient);
    if (settings)
        gradient_set(&play->gradient, settings);
    rand_init(&play->rand, seed);
    return play;
}

static uint32_t limit_of(const struct gradient_play *play)
{
    uint32_t found = gradient_limit(&play->gradient);

    if (found)
        return found;
    return play->fixed ? play->fixed : UINT32_MAX;
}

/* ---- chance ---- */

static double exponential(struct rand *rand)
{
    return -log(1 - rand_unit(rand));
}

/* One on average, whatever the spread. */
static double lognormal(struct rand *rand, double sigma)
{
    double normal = sqrt(2 * exponential(rand)) * cos(2 * acos(-1) * rand_unit(rand));

    return exp(sigma * normal - sigma * sigma / 2);
}

static double service_us(struct gradient_play *play, uint32_t model)
{
    double spread = play->server.spread;
    double times = spread > 0 ? lognormal(&play->rand, spread) : exponential(&play->rand);

    return times * (double)play->server.service_us * pow(3, model) + 1;
}

/* ---- the server ---- */

static void serve(struct gradient_play *play, struct gradient_request request)
{
    double takes_us = service_us(play, request.model);

    request.first_us = play->now_us + (uint64_t)(takes_us * play->server.first_part);
    request.end_us = play->now_us + (uint64_t)takes_us;
    play->stats.service_us += takes_us;
    play->places[play->busy++] = request;
}

static struct gradient_request take_next(struct gradient_play *play)
{
    struct gradient_request *first = &play->queue[play->queue_first % GRADIENT_PLAY_QUEUE];
    struct gradient_request *next = first, request;

    if (play->server.is_unfair)
        next = &play->queue[(play->queue_first +
                             rand_below(&play->rand, play->queue_end - play->queue_first)) %
                            GRADIENT_PLAY_QUEUE];
    request = *next;
    *next = *first;
    play->queue_first++;
    return request;
}

static void fill_places(struct gradient_play *play)
{
    while (play->busy < play->server.capacity && play->queue_first < play->queue_end)
        serve(play, take_next(play));
}

static void enter_server(struct gradient_play *play, uint64_t came_us)
{
    uint32_t room = play->server.queue ? play->server.queue : GRADIENT_PLAY_QUEUE;
    uint32_t models = play->server.models ? play->server.models : 1;
    struct gradient_request request = {.came_us = came_us,
                                       .sent_us = play->now_us,
                                       .model = play->server.first_model +
                                                (uint32_t)rand_below(&play->rand, models)};

    if (play->queue_end - play->queue_first >= room) {
        play->stats.refused++;
        gradient_refuse(&play->gradient, play->now_us, play->now_us + 1);
        return;
    }
    play->in_flight++;
    play->queue[play->queue_end++ % GRADIENT_PLAY_QUEUE] = request;
    fill_places(play);
}

/* ---- clients and gateway ---- */

static void come(struct gradient_play *play)
{
    if (play->waiting_end - play->waiting_first < GRADIENT_PLAY_WAITING)
        play->waiting[play->waiting_end++ % GRADIENT_PLAY_WAITING] = play->now_us;
    play->next_us = play->now_us + 1 +
                    (uint64_t)(exponential(&play->rand) / play->per_second * (double)US_PER_SEC);
}

static void let_in(struct gradient_play *play)
{
    uint64_t refused = play->stats.refused;

    /* After a refusal the next is sent with the next event. */
    while (play->in_flight < limit_of(play) && play->stats.refused == refused) {
        uint64_t came_us = play->now_us;

        if (play->per_second > 0) {
            if (play->waiting_first == play->waiting_end)
                return;
            came_us = play->waiting[play->waiting_first++ % GRADIENT_PLAY_WAITING];
        }
        if (play->wait_us && came_us + play->wait_us < play->now_us)
            play->stats.gave_up++;
        else
            enter_server(play, came_us);
    }
}

static void note_answer(struct gradient_play *play, const struct gradient_request *request)
{
    uint64_t took_us = play->now_us - request->came_us;
    double at = log((double)took_us / BUCKET_US) / log(BUCKET);

    play->stats.answered++;
    play->stats.in_time += !play->patience_us || took_us <= play->patience_us;
    play->stats.latency_us += (double)(play->now_us - request->sent_us);
    play->stats.latencies[(int)fmax(0, fmin(at, GRADIENT_PLAY_BUCKETS - 1))]++;
}

static void begin_answer(struct gradient_play *play, struct gradient_request *request)
{
    struct gradient_sample sample = gradient_sample_of(gradient_kind(request->model + 1, false, 0),
                                                       request->sent_us, play->now_us);

    request->has_begun = true;
    gradient_note(&play->gradient, &sample, play->in_flight, play->now_us);
}

static void end_answer(struct gradient_play *play, uint32_t at)
{
    note_answer(play, &play->places[at]);
    play->in_flight--;
    play->places[at] = play->places[--play->busy];
    fill_places(play);
}

/* ---- time ---- */

static uint64_t due_us(const struct gradient_request *request)
{
    return request->has_begun ? request->end_us : request->first_us;
}

static uint64_t next_event(const struct gradient_play *play, uint32_t *ret_at)
{
    uint64_t next_us = play->per_second > 0 ? play->next_us : NEVER;

    *ret_at = UINT32_MAX;
    for (uint32_t i = 0; i < play->busy; i++) {
        if (due_us(&play->places[i]) < next_us) {
            next_us = due_us(&play->places[i]);
            *ret_at = i;
        }
    }
    return next_us;
}

static void pass_to(struct gradient_play *play, uint64_t now_us)
{
    uint32_t limit = limit_of(play);

    play->stats.limit_us += (double)limit * (double)(now_us - play->now_us);
    if (!play->stats.least || limit < play->stats.least)
        play->stats.least = limit;
    if (limit > play->stats.most)
        play->stats.most = limit;
    play->now_us = now_us;
}

void gradient_play_run(struct gradient_play *play, uint64_t for_us)
{
    uint64_t until_us = play->now_us + for_us, next_us;
    uint32_t at;

    if (play->per_second > 0 && !play->next_us)
        come(play);
    fill_places(play);
    let_in(play);
    while ((next_us = next_event(play, &at)) <= until_us) {
        pass_to(play, next_us);
        if (at == UINT32_MAX)
            come(play);
        else if (!play->places[at].has_begun)
            begin_answer(play, &play->places[at]);
        else
            end_answer(play, at);
        let_in(play);
    }
    pass_to(play, until_us);
}

double gradient_play_quantile_us(const struct gradient_play_stats *stats, uint32_t milli)
{
    uint64_t below = 0, all = 0;
    int at = 0;

    for (int i = 0; i < GRADIENT_PLAY_BUCKETS; i++)
        all += stats->latencies[i];
    while (at < GRADIENT_PLAY_BUCKETS - 1 && (below += stats->latencies[at]) * 1000 < all * milli)
        at++;
    return BUCKET_US * pow(BUCKET, at + 1);
}
