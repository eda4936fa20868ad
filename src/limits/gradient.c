#include "limits/gradient.h"

#include <math.h>

/* A window is so many answers for each that is under way, so that those which take long are in it
 * as often as those which are quick, and never fewer than WINDOW_MIN: fewer tell chance. */
#define WINDOW_TIMES 2.0
#define WINDOW_MIN   30
/* Where less of the limit is used than this, nothing is concluded from it. */
#define USED 0.5
/* Latency may be so many times the base before it is taken for a queue, and no window takes more
 * than four fifths of the limit for one. */
#define TOLERANCE      1.1
#define GRADIENT_LEAST 0.2
/* Windows between two dips, and how deep they go. */
#define DIP_WINDOWS 16
#define DIP_ROOTS   2.0
#define DIP_LEAST   0.6
#define DIP_HALF    0.5
/* Of a decrease, this much must be seen in the latency to call it a queue; with so much of it,
 * there may be one still. */
#define ELASTIC 0.5
#define STILL   0.8
#define STEEP   1.3
/* Levels are not the same where they differ by more than this, and by more than chance does. */
#define FAR    0.25
#define CHANCE 3.5
/* An error by so much is reckoned with before the first base is believed, in so many dips. */
#define DOUBT  1.5
#define DOUBTS 3
/* A decrease to this part says whether there was a queue, as a dip does. */
#define DECREASED 0.7
#define RISEN     0.1
/* Refused at a limit, it is approached to NEARLY, then slowly; past PAST that is forgotten. */
#define NEARLY 0.9
#define SLOWLY 0.04
#define PAST   1.1
/* A kind is known after so many answers, and follows what they take by such a part after that. */
#define KIND_KNOWN  8
#define KIND_STEADY 256
#define LEVEL_PART  8
/* No single answer counts as further off than tenfold. */
#define OUTLIER 2.3
#define MILLI   1e3

/* What part of the way it goes, by how many windows in a row said the same. */
static const double steps_up[] = {0.25, 0.5, 1, 2};
static const double steps_down[] = {0.15, 0.3, 0.5, 0.5};

enum { STEPS = sizeof(steps_up) / sizeof(steps_up[0]) };

void gradient_init(struct gradient *gradient)
{
    *gradient = (struct gradient){.cut_us = 0};
}

static void restart_window(struct gradient *gradient)
{
    gradient->window.is_open = false;
    gradient->window.count = 0;
    gradient->window.level = gradient->window.squares = gradient->window.in_flight = 0;
}

static void hold_to(struct gradient *gradient, double limit)
{
    atomic_store_explicit(&gradient->limit, (uint32_t)(limit + 0.5), memory_order_relaxed);
}

static double within(const struct gradient *gradient, double limit)
{
    return fmin(fmax(limit, gradient->settings.min), gradient->settings.max);
}

static void find(struct gradient *gradient, double limit)
{
    gradient->found = within(gradient, limit);
    hold_to(gradient, gradient->found);
}

static void begin_following(struct gradient *gradient)
{
    gradient->phase = GRADIENT_FOLLOWING;
    gradient->windows = gradient->streak = 0;
    gradient->highest.in_flight = 0;
    hold_to(gradient, gradient->found);
}

void gradient_set(struct gradient *gradient, const struct gradient_settings *settings)
{
    bool was_on = gradient->settings.max != 0;

    if (!settings->max) {
        gradient_init(gradient);
        return;
    }
    gradient->settings = *settings;
    find(gradient, was_on ? gradient->found : settings->initial);
    restart_window(gradient);
    begin_following(gradient);
}

/* ---- like with like ---- */

uint32_t gradient_kind(uint64_t model_hash, bool is_streamed, uint64_t prompt_tokens)
{
    uint64_t size = 0;

    for (uint64_t tokens = prompt_tokens / 256; tokens; tokens /= 4)
        size++;
    model_hash = (model_hash ^ (size * 2 + is_streamed + 1)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(model_hash >> 32) | 1;
}

struct gradient_sample gradient_sample_of(uint32_t kind, uint64_t sent_us, uint64_t now_us)
{
    double latency_us = now_us > sent_us ? (double)(now_us - sent_us) : 1;

    return (struct gradient_sample){
        .kind = kind, .sent_us = sent_us, .log_latency = log(latency_us)};
}

/* How far it is from what is usual for its kind. False where that is not known yet. */
static bool compare(struct gradient *gradient, const struct gradient_sample *sample,
                    double *ret_level)
{
    uint32_t at = (sample->kind >> 1) % GRADIENT_KINDS;
    double level, parts;

    if (gradient->kinds[at].tag != sample->kind) {
        /* Who is seen more often than another one at its place gets it in the end. */
        if (gradient->kinds[at].count) {
            gradient->kinds[at].count--;
            return false;
        }
        gradient->kinds[at].tag = sample->kind;
        gradient->kinds[at].usual = sample->log_latency - gradient->level;
    }
    gradient->kinds[at].count += gradient->kinds[at].count < KIND_STEADY;
    level = sample->log_latency - gradient->kinds[at].usual;
    level = fmax(fmin(level, gradient->level + OUTLIER), gradient->level - OUTLIER);
    parts = gradient->kinds[at].count < KIND_KNOWN ? gradient->kinds[at].count : KIND_STEADY;
    gradient->kinds[at].usual += (level - gradient->level) / parts;
    if (gradient->kinds[at].count < KIND_KNOWN)
        return false;
    gradient->level += (level - gradient->level) / LEVEL_PART;
    *ret_level = level;
    return true;
}

static struct gradient_seen seen_by(const struct gradient *gradient, double count)
{
    double level = gradient->window.level / count;
    double spread = fmax(gradient->window.squares / count - level * level, 0);

    return (struct gradient_seen){
        .level = level,
        .in_flight = gradient->window.in_flight / count,
        .error = sqrt(spread / count),
    };
}

/* True once the window is full, with what it saw. */
static bool take_in(struct gradient *gradient, const struct gradient_sample *sample, double level,
                    uint32_t in_flight, uint64_t now_us, struct gradient_seen *ret_seen)
{
    double count;

    if (!gradient->window.is_open || now_us < gradient->window.begun_us) {
        restart_window(gradient);
        gradient->window.is_open = in_flight <= gradient_limit(gradient);
        gradient->window.begun_us = now_us;
        return false;
    }
    if (sample->sent_us < gradient->window.begun_us)
        return false;
    gradient->window.count++;
    gradient->window.level += level;
    gradient->window.squares += level * level;
    gradient->window.in_flight += in_flight;
    count = gradient->window.count;
    if (count < WINDOW_MIN || count * count < WINDOW_TIMES * gradient->window.in_flight)
        return false;
    *ret_seen = seen_by(gradient, count);
    restart_window(gradient);
    return true;
}

/* ---- dips ---- */

/* Whether so much of the decrease is seen in the latency. */
static bool followed(struct gradient_seen high, struct gradient_seen low, double part)
{
    return high.level - low.level > part * log(high.in_flight / low.in_flight);
}

/* Few answers that differ much tell little: there may have been a queue, and by chance it was not
 * seen. What is concluded first holds for long, so it looks again, a few times. */
static bool is_doubtful(const struct gradient *gradient, struct gradient_seen low)
{
    struct gradient_seen high = gradient->before;

    high.level += DOUBT * hypot(high.error, low.error);
    return gradient->doubts < DOUBTS && followed(high, low, ELASTIC);
}

static bool is_far(double differs, struct gradient_seen seen)
{
    return fabs(differs) > fmax(FAR, CHANCE * seen.error);
}

/* False where there is no room below. */
static bool dip(struct gradient *gradient, double deep, struct gradient_seen before)
{
    deep = within(gradient, deep);
    if (deep > gradient_limit(gradient) - 1.0)
        return false;
    gradient->phase = GRADIENT_DIPPING;
    gradient->before = before;
    hold_to(gradient, deep);
    return true;
}

static bool begin_dip(struct gradient *gradient, struct gradient_seen before)
{
    double found = gradient->found;

    if (!gradient->is_sure || gradient->wants_deep)
        return dip(gradient, floor(DIP_HALF * found), before);
    return dip(gradient, round(fmax(found - DIP_ROOTS * sqrt(found), DIP_LEAST * found)), before);
}

/* The lowest there is to see. */
static void settle(struct gradient *gradient, double base)
{
    gradient->base = base;
    gradient->is_sure = true;
    gradient->doubts = 0;
    gradient->windows = 0;
    gradient->wants_deep = false;
}

/* There was a queue while the base was not sure: stays below, and looks further down. */
static void descend(struct gradient *gradient, struct gradient_seen seen)
{
    gradient->base = fmin(gradient->base, seen.level);
    gradient->is_sure = false;
    gradient->doubts = 0;
    find(gradient, gradient_limit(gradient));
    begin_following(gradient);
    if (!begin_dip(gradient, seen))
        settle(gradient, seen.level);
}

/* The dip was far from deep enough, as it seems: the latency still came down just as the limit. */
static bool is_still_queued(struct gradient_seen before, struct gradient_seen seen)
{
    return followed(before, seen, STILL) && !followed(before, seen, STEEP);
}

/* There was a queue before the dip, as is to be expected, and perhaps in it. True where it looks
 * further down. */
static bool dip_deeper(struct gradient *gradient, struct gradient_seen seen)
{
    bool is_queued = is_still_queued(gradient->before, seen), was_deep = gradient->wants_deep;
    double differs = seen.level - gradient->base;

    if (was_deep && is_queued && dip(gradient, floor(DIP_HALF * gradient_limit(gradient)), seen))
        return true;
    if (differs < 0 && is_far(differs, seen))
        settle(gradient, seen.level);
    else
        gradient->base += fmin(differs, 0) / 2;
    gradient->wants_deep = is_queued && !was_deep;
    return false;
}

static void end_dip(struct gradient *gradient, struct gradient_seen seen)
{
    double differs = seen.level - gradient->base;

    if (seen.in_flight < USED * gradient_limit(gradient)) {
        /* Nobody came: it tells nothing. */
    } else if (followed(gradient->before, seen, ELASTIC)) {
        if (!gradient->is_sure) {
            descend(gradient, seen);
            return;
        }
        if (dip_deeper(gradient, seen))
            return;
    } else if (!gradient->is_sure && is_doubtful(gradient, seen)) {
        gradient->doubts++;
    } else if (!gradient->is_sure || is_far(differs, seen)) {
        settle(gradient, seen.level);
    } else {
        gradient->base += differs / 2;
        gradient->wants_deep = false;
    }
    begin_following(gradient);
}

/* ---- following ---- */

/* So few use it that their latency is nobody's queue, at least not ours. */
static void rest(struct gradient *gradient, double level)
{
    gradient->base += (level - gradient->base) * (level < gradient->base ? 0.3 : 0.1);
    gradient->streak = 0;
    gradient->highest.in_flight = 0;
}

/* Where it has come down far, that was as good as a dip: answers that are as slow as before stood
 * in no queue, so they are that slow. */
static void look_back(struct gradient *gradient, struct gradient_seen seen)
{
    struct gradient_seen *highest = &gradient->highest;

    if (highest->in_flight == 0 || seen.in_flight > highest->in_flight ||
        seen.level > highest->level + RISEN) {
        *highest = seen;
    } else if (seen.in_flight <= DECREASED * highest->in_flight) {
        if (is_far(seen.level - gradient->base, seen) && !followed(*highest, seen, ELASTIC))
            settle(gradient, seen.level);
        *highest = seen;
    }
}

static double step(const double *steps, int32_t streak)
{
    return steps[streak < STEPS ? streak : STEPS - 1];
}

static void grow(struct gradient *gradient, double room)
{
    double found = gradient->found, near = gradient->ceiling * NEARLY;
    double up;

    gradient->streak = gradient->streak > 0 ? gradient->streak + 1 : 1;
    up = room * step(steps_up, gradient->streak - 1);
    if (found < near)
        find(gradient, fmin(found + up, near));
    else
        find(gradient, found + (gradient->ceiling > 0 ? room * SLOWLY : up));
    if (gradient->found > gradient->ceiling * PAST)
        gradient->ceiling = 0;
}

static void shrink(struct gradient *gradient, double excess)
{
    gradient->streak = gradient->streak < 0 ? gradient->streak - 1 : -1;
    find(gradient, gradient->found - excess * step(steps_down, -gradient->streak - 1));
}

static void follow(struct gradient *gradient, struct gradient_seen seen)
{
    double found = gradient->found, slope, room;

    if (!gradient->has_base)
        gradient->base = seen.level;
    gradient->has_base = true;
    if (seen.in_flight < USED * gradient_limit(gradient)) {
        rest(gradient, seen.level);
        return;
    }
    look_back(gradient, seen);
    if (!gradient->is_sure || ++gradient->windows >= DIP_WINDOWS) {
        if (begin_dip(gradient, seen))
            return;
        settle(gradient, seen.level);
    }
    slope = TOLERANCE * exp(gradient->base - seen.level);
    room = found * fmin(fmax(slope, GRADIENT_LEAST), 1) + sqrt(found) - found;
    if (room > 0)
        grow(gradient, room);
    else
        shrink(gradient, -room);
}

uint32_t gradient_note(struct gradient *gradient, const struct gradient_sample *sample,
                       uint32_t in_flight, uint64_t now_us)
{
    uint32_t before = gradient_limit(gradient), after;
    struct gradient_seen seen;
    double level;

    if (!before || !compare(gradient, sample, &level) ||
        !take_in(gradient, sample, level, in_flight, now_us, &seen))
        return 0;
    switch (gradient->phase) {
    case GRADIENT_FOLLOWING:
        follow(gradient, seen);
        break;
    case GRADIENT_DIPPING:
        end_dip(gradient, seen);
        break;
    }
    after = gradient_limit(gradient);
    return after > before ? after - before : 0;
}

bool gradient_refuse(struct gradient *gradient, uint64_t sent_us, uint64_t now_us)
{
    double refused;

    if (!gradient_limit(gradient) || (gradient->cut_us && sent_us <= gradient->cut_us))
        return false;
    /* In a dip less was refused than had been found. */
    refused = fmin(gradient->found, gradient_limit(gradient));
    gradient->ceiling = refused;
    find(gradient, refused * gradient->settings.backoff_milli / MILLI);
    restart_window(gradient);
    begin_following(gradient);
    gradient->cut_us = now_us;
    return true;
}
