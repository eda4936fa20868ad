#include "dialect/outcome.h"

#include "base/bug.h"
#include "dialect/failure.h"

enum blames {
    BLAMES_NOBODY = 0,
    BLAMES_KEY = 1,
    BLAMES_ENDPOINT = 2,
    BLAMES_BOTH = 3,
};

static const struct outcome_row outcomes[OUTCOME_COUNT] = {
#define OUTCOME(name, label, scope, per_model, remedy, class, health, blames, trial, cooldown_ms,  \
                failure, meaning)                                                                  \
    [OUTCOME_##name] = {OUTCOME_##name,                                                            \
                        label,                                                                     \
                        scope,                                                                     \
                        per_model,                                                                 \
                        remedy,                                                                    \
                        class,                                                                     \
                        health,                                                                    \
                        ((blames)&BLAMES_KEY) != 0,                                                \
                        ((blames)&BLAMES_ENDPOINT) != 0,                                           \
                        trial,                                                                     \
                        cooldown_ms,                                                               \
                        failure,                                                                   \
                        meaning},
#include "tables/outcomes.def"
#undef OUTCOME
};

/* What an answer's body must be for a row to match. */
enum body {
    BODY_ANY,
    BODY_JSON,
    BODY_TEXT,
    BODY_EMPTY,
};

/* Whose answers a row speaks of: a set of dialects. */
enum speakers {
    SPEAKERS_OPENAI = 1 << DIALECT_OPENAI,
    SPEAKERS_ANTHROPIC = 1 << DIALECT_ANTHROPIC,
    SPEAKERS_GEMINI = 1 << DIALECT_GEMINI,
    SPEAKERS_ANY = (1 << DIALECT_COUNT) - 1,
};

struct answer_row {
    unsigned speakers;
    int lowest, highest; /* status */
    enum body body;
    struct span words, message, header; /* lists of patterns, apart by '|'; empty: anything */
    enum outcome outcome;
};

static const struct answer_row answers[] = {
#define ANSWER(dialect, lowest, highest, body, words, message, header, outcome, example_header,    \
               example_body)                                                                       \
    {SPEAKERS_##dialect, lowest,           highest,                                                \
     BODY_##body,        SPAN_INIT(words), SPAN_INIT(message),                                     \
     SPAN_INIT(header),  OUTCOME_##outcome},
#include "tables/outcomes.def"
#undef ANSWER
};

enum { ANSWER_COUNT = sizeof(answers) / sizeof(answers[0]) };

/* The error's words in lower case, as the patterns are. */
struct words {
    char bytes[3 * DIALECT_WORD_MAX + DIALECT_MESSAGE_MAX];
    struct span code, type, detail, message;
};

static struct span lower(char **at, struct span text)
{
    char *start = *at;

    for (size_t i = 0; i < text.len; i++)
        start[i] =
            text.ptr[i] >= 'A' && text.ptr[i] <= 'Z' ? (char)(text.ptr[i] | 0x20) : text.ptr[i];
    *at += text.len;
    return span_of(start, text.len);
}

static void words_init(struct words *words, const struct dialect_error *error)
{
    char *at = words->bytes;

    words->code = lower(&at, dialect_error_code(error));
    words->type = lower(&at, dialect_error_type(error));
    words->detail = lower(&at, dialect_error_detail(error));
    words->message = lower(&at, dialect_error_message(error));
}

static bool matches_any(struct span text, struct span patterns)
{
    struct span pattern;

    while (text.len && span_next_token(&patterns, '|', &pattern)) {
        if (span_matches(text, pattern))
            return true;
    }
    return false;
}

/* "name" or "name: pattern". */
static bool has_header(const struct outcome_answer *answer, struct span wanted)
{
    struct span name, value;

    if (!span_next_token(&wanted, ':', &name))
        return false;
    value = dialect_header_find(answer->headers, answer->header_count, name);
    if (!value.ptr)
        return false;
    return !wanted.ptr || span_matches(value, span_trim(wanted));
}

static bool has_any_header(const struct outcome_answer *answer, struct span wanted)
{
    struct span one;

    while (span_next_token(&wanted, '|', &one)) {
        if (has_header(answer, one))
            return true;
    }
    return false;
}

static bool is_body(const struct dialect_error *error, enum body body)
{
    switch (body) {
    case BODY_ANY:
        return true;
    case BODY_JSON:
        return error->is_json;
    case BODY_TEXT:
        return !error->is_json && !error->is_empty;
    case BODY_EMPTY:
        return error->is_empty;
    }
    return false;
}

static bool row_matches(const struct answer_row *row, const struct outcome_answer *answer,
                        int status, const struct dialect_error *error, const struct words *words)
{
    if (!(row->speakers & 1u << answer->dialect) || status < row->lowest || status > row->highest ||
        !is_body(error, row->body))
        return false;
    if (row->words.len && !matches_any(words->code, row->words) &&
        !matches_any(words->type, row->words) && !matches_any(words->detail, row->words))
        return false;
    if (row->message.len && !matches_any(words->message, row->message))
        return false;
    return !row->header.len || has_any_header(answer, row->header);
}

int outcome_match(const struct outcome_answer *answer)
{
    static const struct dialect_error nothing = {.is_empty = true};
    const struct dialect_error *error = answer->error ? answer->error : &nothing;
    int status = answer->status;
    struct words words;

    if (status >= 200 && status <= 299) {
        if (!answer->error)
            return -1;
        if (error->status >= 400)
            status = error->status;
    }
    words_init(&words, error);
    for (int i = 0; i < ANSWER_COUNT; i++) {
        if (row_matches(&answers[i], answer, status, error, &words))
            return i;
    }
    return -1;
}

const struct outcome_row *outcome_classify(const struct outcome_answer *answer)
{
    int row = outcome_match(answer);

    if (row >= 0)
        return &outcomes[answers[row].outcome];
    /* A status that no row knows: 1xx as a final answer, or a number out of range. */
    if (answer->status < 200 || answer->status > 299)
        return &outcomes[OUTCOME_GARBAGE];
    return &outcomes[OUTCOME_SUCCESS];
}

const struct outcome_row *outcome_row(enum outcome outcome)
{
    bug_fatal_unless((unsigned)outcome < OUTCOME_COUNT);
    return &outcomes[outcome];
}

bool outcome_is_attempt(enum outcome_class class)
{
    return class == CLASS_CONNECT || class == CLASS_TIMEOUT || class == CLASS_OVERLOADED ||
           class == CLASS_SERVER_ERROR;
}
