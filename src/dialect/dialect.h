/*
 * Values that every dialect speaks of: the neutral middle between the wire formats and those who
 * decide. Plain structs, owned by whoever holds them; any thread.
 */
#ifndef DIALECT_DIALECT_H
#define DIALECT_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* A wire format of clients and of providers. */
enum dialect_id {
    DIALECT_OPENAI, /* and all that call themselves compatible: Azure, DeepSeek, OpenRouter, … */
    DIALECT_ANTHROPIC,
    DIALECT_GEMINI,
    DIALECT_COUNT,
};

/* One header field of an answer; the name in any case. */
struct dialect_header {
    struct span name;
    struct span value;
};

/* The value of the first field of that name, or an empty span with a NULL ptr. */
struct span dialect_header_find(const struct dialect_header *headers, size_t count,
                                struct span name);

/* At which price the provider served an answer, as it tells itself. */
enum dialect_tier {
    DIALECT_TIER_STANDARD,
    DIALECT_TIER_FLEX,     /* "flex": what may take long */
    DIALECT_TIER_BATCH,    /* "batch" */
    DIALECT_TIER_PRIORITY, /* "priority", "fast" */
    DIALECT_TIERS,
};

/* Of the word of an answer; what is not known, and an empty one, is standard. */
enum dialect_tier dialect_tier_of(struct span word);

/* Tokens of one exchange. Cached, written and reasoning tokens are inside the other two. */
struct dialect_usage {
    uint64_t prompt_tokens;
    uint64_t completion_tokens;
    uint64_t total_tokens;
    uint64_t cached_tokens;           /* of the prompt: read from a cache */
    uint64_t cache_write_tokens;      /* of the prompt: written to one */
    uint64_t cache_write_long_tokens; /* of those: for an hour, which costs more */
    uint64_t reasoning_tokens;        /* of the completion */
    enum dialect_tier tier;
    bool is_known;     /* false: nothing was told or estimated */
    bool is_estimated; /* the provider told nothing; counted from the text */
};

/* Tokens guessed from text: about four bytes of UTF-8 a token, at least one where there is any
 * text. */
uint64_t dialect_estimate_tokens(uint64_t text_bytes);

/* Replaces `remove` bytes at `offset` of a body by `insert`; all else stays byte for byte. */
struct dialect_edit {
    uint64_t offset;
    uint64_t remove;
    struct span insert;
};

enum {
    DIALECT_MESSAGE_MAX = 512,
    DIALECT_WORD_MAX = 96,
};

/* What a provider says went wrong, copied and cut at whole characters; empty where it says nothing.
 */
struct dialect_error {
    char message[DIALECT_MESSAGE_MAX];
    char code[DIALECT_WORD_MAX];   /* a number as its digits */
    char type[DIALECT_WORD_MAX];   /* Google's status word where no type is told */
    char param[DIALECT_WORD_MAX];  /* the field that is complained of */
    char detail[DIALECT_WORD_MAX]; /* a stabler word: Google's quotaId or reason, Anthropic's
                                      error_code, metadata.error_type, innererror.code */
    uint16_t message_len, code_len, type_len, param_len, detail_len;
    int status;              /* an HTTP status told inside the body, or 0 */
    uint32_t retry_after_ms; /* the wait that the body itself asks for (RetryInfo), or 0 */
    /* Google's quotas of a minute that were passed; 0: not told. */
    uint64_t minute_requests, minute_tokens, minute_input;
    bool has_day_quota; /* beside them, or alone, one of a day */
    bool is_json;       /* the body was JSON, whatever it said */
    bool is_empty;      /* there was no body */
};

/* Nothing was said. */
extern const struct dialect_error dialect_no_error;

/* Copies text, cut at a whole character, into a field of cap bytes: the length kept. */
uint16_t dialect_keep(char *field, size_t cap, struct span text);

static inline struct span dialect_error_message(const struct dialect_error *error)
{
    return span_of(error->message, error->message_len);
}

static inline struct span dialect_error_code(const struct dialect_error *error)
{
    return span_of(error->code, error->code_len);
}

static inline struct span dialect_error_type(const struct dialect_error *error)
{
    return span_of(error->type, error->type_len);
}

static inline struct span dialect_error_param(const struct dialect_error *error)
{
    return span_of(error->param, error->param_len);
}

static inline struct span dialect_error_detail(const struct dialect_error *error)
{
    return span_of(error->detail, error->detail_len);
}

#endif
