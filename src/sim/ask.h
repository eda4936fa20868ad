/*
 * What a request asks for, in words that hold for every dialect. Filled by a dialect's parser; all
 * of it lives in the arena of its call, or nowhere (spans into constants). One thread.
 */
#ifndef SIM_ASK_H
#define SIM_ASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum sim_op {
    SIM_OP_CHAT,
    SIM_OP_COMPLETION,
    SIM_OP_EMBEDDING,
    SIM_OP_TOKENS, /* a count of what a chat's prompt would cost */
    SIM_OP_MODELS,
    SIM_OP_MODEL,
    SIM_OP_BALANCE
};

enum {
    SIM_MAX_CHOICES = 2048,
    SIM_MAX_TOOLS = 128,
    SIM_MAX_STOPS = 16,
    SIM_MAX_ECHO_BYTES = 65536,
    SIM_MAX_DIMENSIONS = 3072
};

/* True for what costs tokens: limits, latency and faults are about these. */
static inline bool sim_op_is_generation(enum sim_op op)
{
    return op == SIM_OP_CHAT || op == SIM_OP_COMPLETION || op == SIM_OP_EMBEDDING;
}

/* True where the dialect's parser has something to read. */
static inline bool sim_op_has_body(enum sim_op op)
{
    return sim_op_is_generation(op) || op == SIM_OP_TOKENS;
}

/* One text to answer: a chat's last user message, a prompt, an input. */
struct sim_text {
    struct span echo; /* its first SIM_MAX_ECHO_BYTES, cut back to whole characters */
    uint64_t hash;    /* sim_hash of all of it */
};

struct sim_tool {
    struct span name;
    bool is_custom; /* takes free text, not JSON */
};

/* Which streams begin each choice with an event of its own. */
enum sim_start {
    SIM_START_WORDS, /* those in words, and those with thoughts that are told */
    SIM_START_ALWAYS,
    SIM_START_NEVER
};

struct sim_ask {
    enum sim_op op;
    struct span model;
    struct sim_text *texts; /* at least one for a generation */
    size_t text_count;
    struct sim_tool *tools; /* that may be called, and are, up to the key's tool_calls */
    size_t tool_count;      /* 0: answer in words */
    struct span *stops;     /* words end before the first of these */
    size_t stop_count;
    struct span json;    /* the words are this JSON; ptr NULL: they are the echo */
    unsigned choices;    /* answers to each text */
    uint64_t max_tokens; /* thoughts and content of a choice together */
    uint64_t prompt_tokens;
    uint64_t cached_tokens; /* of them, said to have been read from a cache */
    uint64_t body_hash;     /* sim_hash of the body's bytes */
    unsigned dimensions;
    enum sim_start start;
    bool is_streaming;
    bool is_usage_wanted; /* streams tell it */
    bool is_usage_apart;  /* streams: in an event of its own */
    bool is_base64;
    bool is_one_call;      /* at most one tool call */
    bool is_call_bare;     /* a tool that takes JSON is called without arguments */
    bool is_call_whole;    /* streams: a tool call is one event, or none where it is cut */
    bool is_thinking;      /* thoughts come before the answer and are counted */
    bool is_thinking_told; /* and are shown */
};

#endif
