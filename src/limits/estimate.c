#include "limits/estimate.h"

#include <math.h>
#include <string.h>

enum { PARTS = ESTIMATE_PART_COUNT };

/* What is left of a relative error once the weights are right: texts of one kind differ so much. */
#define NOISE 0.05
/* Of a picture's tokens nothing is known but that it is one. */
#define MEDIA_NOISE 0.5
/* How far a weight may drift from one exchange to the next, as a share of how far it may be off at
 * first. */
#define DRIFT 0.002
/* An error of more deviations than this counts for less, the larger it is; the first few tell where
 * the weights belong, and all count. */
#define CLIP 3.0
enum { BELIEVED = 20 };

/* No weight goes further from where it began. */
#define OFF_MOST 16.0

#define QUANTILE      0.9
#define QUANTILE_STEP 0.05

static const double prior[PARTS] = {
#define X(symbol, weight, off) [ESTIMATE_##symbol] = (weight),
    ESTIMATE_PARTS(X)
#undef X
};

static const double spread[PARTS] = {
#define X(symbol, weight, off) [ESTIMATE_##symbol] = (off),
    ESTIMATE_PARTS(X)
#undef X
};

static void spread_anew(struct estimate *estimate)
{
    memset(estimate->spread, 0, sizeof(estimate->spread));
    for (int i = 0; i < PARTS; i++)
        estimate->spread[i][i] = spread[i] * spread[i];
}

void estimate_init(struct estimate *estimate)
{
    *estimate = (struct estimate){.learned = 0};
    memcpy(estimate->weights, prior, sizeof(prior));
    spread_anew(estimate);
}

struct estimate_weights estimate_prior(void)
{
    struct estimate_weights weights = {.answer = 0};

    for (int i = 0; i < PARTS; i++)
        weights.parts[i] = (float)prior[i];
    return weights;
}

struct estimate_weights estimate_weights(const struct estimate *estimate)
{
    struct estimate_weights weights = {.answer = 0};

    for (int i = 0; i < PARTS; i++)
        weights.parts[i] = (float)estimate->weights[i];
    if (estimate->answers >= ESTIMATE_ANSWERS_MIN)
        weights.answer = (float)estimate->answer;
    return weights;
}

/* Counts are far below what a signed number holds, which turns into one that floats in one step. */
static double number_of(uint64_t count)
{
    return (double)(int64_t)count;
}

/* False where there is nothing to count. */
static bool read_parts(const struct estimate_text *text, double *parts)
{
    const struct json_kinds *kinds = text->kinds;

    parts[ESTIMATE_LETTERS] = number_of(kinds->letters);
    parts[ESTIMATE_WORDS] = number_of(kinds->words);
    parts[ESTIMATE_DIGITS] = number_of(kinds->digits);
    parts[ESTIMATE_MARKS] = number_of(kinds->marks);
    parts[ESTIMATE_BREAKS] = number_of(kinds->breaks);
    parts[ESTIMATE_LATIN] = number_of(kinds->latin);
    parts[ESTIMATE_WIDE] = number_of(kinds->wide);
    parts[ESTIMATE_TEXTS] = number_of(kinds->texts);
    parts[ESTIMATE_TOOL_BYTES] = number_of(text->tool_bytes);
    parts[ESTIMATE_MEDIA] = number_of(text->media);
    parts[ESTIMATE_ONE] = 1;
    return kinds->texts || text->tool_bytes || text->media;
}

static uint64_t to_tokens(double guess)
{
    if (!(guess > 1))
        return 1;
    return guess < (double)ESTIMATE_MAX_TOKENS ? (uint64_t)(guess + 0.5) : ESTIMATE_MAX_TOKENS;
}

static uint64_t at_most(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t estimate_prompt(const struct estimate_weights *weights, const struct estimate_text *text)
{
    double parts[PARTS], guess = 0;
    uint64_t numbers = at_most(text->numbers, ESTIMATE_MAX_TOKENS);

    if (!read_parts(text, parts))
        return numbers;
    for (int i = 0; i < PARTS; i++)
        guess += (double)weights->parts[i] * parts[i];
    return at_most(to_tokens(guess) + numbers, ESTIMATE_MAX_TOKENS);
}

/* The quantile of what passes by: up by nine parts where one is above, down by one part else. */
static void follow_quantile(double *quantile, uint64_t seen, double value)
{
    double step = seen < 10 ? 0.5 : seen < 50 ? 0.2 : QUANTILE_STEP;

    if (seen == 0)
        *quantile = value;
    else if (value > *quantile)
        *quantile *= 1 + step * QUANTILE;
    else
        *quantile *= 1 - step * (1 - QUANTILE);
}

static double within(double value, double low, double high)
{
    return fmin(fmax(value, low), high);
}

static double sum(const double *a, const double *b)
{
    double result = 0;

    for (int i = 0; i < PARTS; i++)
        result += a[i] * b[i];
    return result;
}

/* Nonsense is far off, and so is the truth after a model was replaced: both move the weights, the
 * one a little and the other again and again. */
static double soften(double error, double variance)
{
    double most = CLIP * sqrt(variance);

    return fabs(error) <= most ? error : most * most / error;
}

/* One step of the filter: the weighted sum of `parts` should have been `truth`; both are shares of
 * the greater of guess and truth, so that no step is large however far apart these are. */
static void correct(struct estimate *estimate, const double *parts, double truth, double noise)
{
    double turned[PARTS], variance, error;

    for (int i = 0; i < PARTS; i++)
        turned[i] = sum(estimate->spread[i], parts);
    variance = sum(turned, parts) + noise;
    error = truth - sum(estimate->weights, parts);
    if (estimate->learned >= BELIEVED)
        error = soften(error, variance);
    for (int i = 0; i < PARTS; i++) {
        double weight = estimate->weights[i] + turned[i] / variance * error;

        estimate->weights[i] = within(weight, 0, prior[i] + OFF_MOST * spread[i]);
        for (int j = 0; j < PARTS; j++)
            estimate->spread[i][j] -= turned[i] * turned[j] / variance;
    }
}

/* Weights may change with the provider's vocabulary: none is ever taken for certain. And rounding
 * must not make a variance out of what is none. */
static void drift(struct estimate *estimate)
{
    for (int i = 0; i < PARTS; i++) {
        double *own = &estimate->spread[i][i];

        if (!isfinite(*own) || *own < 0) {
            spread_anew(estimate);
            return;
        }
        if (*own < spread[i] * spread[i])
            *own += (DRIFT * spread[i]) * (DRIFT * spread[i]);
    }
}

void estimate_learn(struct estimate *estimate, const struct estimate_text *text, uint64_t tokens)
{
    double parts[PARTS], guess, truth, scale, media;
    uint64_t numbers = at_most(text->numbers, ESTIMATE_MAX_TOKENS);

    if (!read_parts(text, parts) || tokens <= numbers)
        return;
    guess = fmax(sum(estimate->weights, parts), 1);
    truth = (double)at_most(tokens - numbers, ESTIMATE_MAX_TOKENS);
    follow_quantile(&estimate->error, estimate->learned, fmax(fabs(guess / truth - 1), 0.001));
    scale = fmax(truth, guess);
    media = MEDIA_NOISE * estimate->weights[ESTIMATE_MEDIA] * parts[ESTIMATE_MEDIA] / scale;
    for (int i = 0; i < PARTS; i++)
        parts[i] /= scale;
    correct(estimate, parts, truth / scale, NOISE * NOISE + media * media);
    drift(estimate);
    estimate->learned++;
}

void estimate_learn_answer(struct estimate *estimate, uint64_t tokens)
{
    if (!tokens)
        return;
    follow_quantile(&estimate->answer, estimate->answers,
                    (double)at_most(tokens, ESTIMATE_MAX_TOKENS));
    estimate->answers++;
}
