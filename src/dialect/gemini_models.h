/*
 * What is known of Gemini's models by their names (tables/gemini.def): how they are told to think,
 * and what a request for them may hold. Constant; any thread. Pure.
 */
#ifndef DIALECT_GEMINI_MODELS_H
#define DIALECT_GEMINI_MODELS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum gemini_thought { GEMINI_THOUGHT_NONE, GEMINI_THOUGHT_BUDGET, GEMINI_THOUGHT_LEVEL };

/* Words of thinkingLevel, as bits. */
enum gemini_level {
    GEMINI_MINIMAL = 1 << 0,
    GEMINI_LOW = 1 << 1,
    GEMINI_MEDIUM = 1 << 2,
    GEMINI_HIGH = 1 << 3,
};

struct gemini_model {
    struct span pattern;
    enum gemini_thought thought;
    unsigned levels;     /* of enum gemini_level */
    bool can_rest;       /* a budget of 0 switches thinking off */
    int64_t least, most; /* tokens of a budget */
    bool needs_signature;
    bool knows_json_schema;
    bool mixes_json; /* function declarations together with JSON output */
    bool takes_system;
    bool takes_calls;
    bool takes_media_results; /* media in a functionResponse, mediaResolution in a part */
};

/* The row for a model's name, which may stand behind "models/" and the like. Never NULL. */
const struct gemini_model *gemini_model_find(struct span name);

/* The name behind its last '/'. */
struct span gemini_model_bare(struct span name);

/* True where the provider fetches that URL itself: gs://, a video of YouTube, a file of its own
 * Files API. Others must be fetched by the caller and sent as data. */
bool gemini_takes_url(struct span url);

#endif
