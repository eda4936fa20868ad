#include "dialect/error_words.h"

#include "base/bug.h"
#include "base/clock.h"
#include "dialect/mask.h"
#include "dialect/outcome.h"

/* How one dialect tells a cause. */
struct telling {
    int status; /* 0: as it is */
    struct span type, code;
};

struct cause {
    int lowest, highest;
    struct telling tellings[DIALECT_COUNT];
};

static const struct cause causes[] = {
#define CAUSE(lowest, highest, cause, openai_status, openai_type, openai_code, anthropic_status,   \
              anthropic_type, gemini_status, gemini_type, gemini_code)                             \
    {lowest,                                                                                       \
     highest,                                                                                      \
     {[DIALECT_OPENAI] = {openai_status, SPAN_INIT(openai_type), SPAN_INIT(openai_code)},          \
      [DIALECT_ANTHROPIC] = {anthropic_status, SPAN_INIT(anthropic_type), SPAN_INIT("")},          \
      [DIALECT_GEMINI] = {gemini_status, SPAN_INIT(gemini_type), SPAN_INIT(gemini_code)}}},
#include "tables/errors.def"
#undef CAUSE
};

enum { CAUSES = sizeof(causes) / sizeof(causes[0]) };

static const struct span says_nothing = SPAN_INIT("The provider reported an error.");

/* The row of a status; of none that is an error's, the last: a failure of the server. */
static const struct telling *telling_of(enum dialect_id client, int status)
{
    bug_fatal_unless((unsigned)client < DIALECT_COUNT);
    for (int i = 0; i < CAUSES; i++) {
        if (status >= causes[i].lowest && status <= causes[i].highest)
            return &causes[i].tellings[client];
    }
    return &causes[CAUSES - 1].tellings[client];
}

int error_status(enum dialect_id client, int status)
{
    const struct telling *telling = telling_of(client, status);

    return telling->status ? telling->status : status;
}

/* --- the gateway's own --- */

static struct span message_of(enum dialect_id client, const struct error_ours *ours)
{
    if (ours->message.len)
        return ours->message;
    /* The row's own names OpenAI's header. */
    if (ours->row == failure_row(FAILURE_KEY_MISSING) && client == DIALECT_ANTHROPIC)
        return SPAN("You didn't provide an API key. Send it as 'x-api-key: YOUR_KEY'.");
    if (ours->row == failure_row(FAILURE_KEY_MISSING) && client == DIALECT_GEMINI)
        return SPAN("You didn't provide an API key. Send it as 'x-goog-api-key: YOUR_KEY'.");
    return span_from_text(ours->row->message);
}

void error_words_ours(enum dialect_id client, const struct error_ours *ours,
                      struct error_words *ret_words)
{
    const struct telling *telling = telling_of(client, ours->row->status);

    ret_words->status = error_status(client, ours->row->status);
    ret_words->type = telling->type;
    ret_words->code = telling->code;
    if (client == DIALECT_OPENAI) {
        ret_words->type = span_from_text(ours->row->type);
        ret_words->code = span_from_text(ours->row->code);
    }
    /* By this Anthropic's clients know to go on without a thread. */
    if (client == DIALECT_ANTHROPIC && ours->row == failure_row(FAILURE_THREAD))
        ret_words->code = span_from_text(ours->row->code);
    ret_words->param = ours->param;
    ret_words->request_id = ours->request_id;
    ret_words->wait_us = ours->wait_us;
    ret_words->message =
        mask_ids(message_of(client, ours), ret_words->text, sizeof(ret_words->text));
}

/* --- a provider's --- */

/* What a provider's error comes to, in the statuses of OpenAI's dialect. */
struct meaning {
    int status;
    const struct failure_row *row; /* whose words are used, or NULL */
    bool is_too_long;              /* more text than the model takes */
    bool is_own;                   /* told in the client's dialect, and the client's matter: a key
                                      that is refused or unpaid is none of its own */
};

/* Where memory was short, an error is not kept. */
static const struct dialect_error *error_of(const struct error_told *told)
{
    return told->error ? told->error : &dialect_no_error;
}

/* The HTTP status that the provider told, or 0; by the same rule as in dialect/outcome. */
static int status_of(const struct error_told *told)
{
    if (told->status >= 400 && told->status <= 599)
        return told->status;
    if (told->status >= 200 && told->status <= 299 && error_of(told)->status >= 400)
        return error_of(told)->status;
    return 0;
}

/* Where the answer itself is the client's: the status of one that told none. */
static int status_of_class(enum outcome_class class)
{
    switch (class) {
    case CLASS_BAD_REQUEST:
        return 400;
    case CLASS_MODEL_MISSING:
        return 404;
    case CLASS_RATE_LIMIT:
        return 429;
    case CLASS_OVERLOADED:
        return 503;
    case CLASS_CONNECT:
    case CLASS_TIMEOUT:
    case CLASS_SERVER_ERROR:
    case CLASS_BAD_KEY:
    case CLASS_DEPLETED:
    case CLASS_NONE:
    case CLASS_COUNT:
        break;
    }
    return 500;
}

/* Only OpenAI has a word for it. Clients that shorten a conversation at need go by these texts. */
static bool is_too_long(const struct dialect_error *error)
{
    static const struct span texts[] = {
        SPAN_INIT("prompt is too long"),     SPAN_INIT("maximum context length"),
        SPAN_INIT("input token count"),      SPAN_INIT("Input is too long"),
        SPAN_INIT("exceeds context length"), SPAN_INIT("exceed context limit"),
    };
    const struct span word = SPAN("context_length_exceeded");

    if (span_is_equal(dialect_error_code(error), word) ||
        span_is_equal(dialect_error_detail(error), word))
        return true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (span_find(dialect_error_message(error), texts[i]) != SIZE_MAX)
            return true;
    }
    return false;
}

static struct meaning meaning_of(enum dialect_id client, const struct error_told *told)
{
    struct outcome_answer answer = {
        .dialect = told->upstream, .status = told->status, .error = error_of(told)};
    const struct outcome_row *outcome = outcome_classify(&answer);
    struct meaning meaning = {.status = status_of(told)};

    /* The gateway's own row for it speaks of the gateway. */
    if (outcome->class == CLASS_OVERLOADED)
        meaning.status = 503;
    else if (outcome->failure != PASSED_ON)
        meaning.row = failure_row((enum failure)outcome->failure);
    else if (outcome->outcome == OUTCOME_MODEL_MISSING)
        meaning.row = failure_row(FAILURE_MODEL_NOT_FOUND);
    if (meaning.row)
        meaning.status = meaning.row->status;
    else if (!meaning.status)
        meaning.status = status_of_class(outcome->class);
    meaning.is_too_long = (meaning.status == 400 || meaning.status == 413) &&
                          outcome->class == CLASS_BAD_REQUEST && is_too_long(error_of(told));
    if (meaning.is_too_long)
        meaning.status = 400;
    meaning.is_own = client == told->upstream && outcome->class != CLASS_BAD_KEY &&
                     outcome->class != CLASS_DEPLETED;
    return meaning;
}

static int status_told(enum dialect_id client, const struct error_told *told,
                       const struct meaning *meaning)
{
    int status = status_of(told);

    return meaning->is_own && status ? status : error_status(client, meaning->status);
}

int error_status_told(enum dialect_id client, const struct error_told *told)
{
    struct meaning meaning = meaning_of(client, told);

    return status_told(client, told, &meaning);
}

/* Google's reasons are words in capitals; what else stands there is a quota's name. */
static bool is_reason(struct span word)
{
    for (size_t i = 0; i < word.len; i++) {
        char c = word.ptr[i];

        if (!(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

/* What was told in the client's own dialect keeps its words. */
static void take_own_words(const struct error_told *told, struct error_words *words)
{
    const struct dialect_error *error = error_of(told);

    words->param = dialect_error_param(error);
    words->code =
        told->upstream == DIALECT_OPENAI ? dialect_error_code(error) : dialect_error_detail(error);
    if (told->upstream == DIALECT_GEMINI && !is_reason(words->code))
        words->code = span_of(NULL, 0);
    /* OpenAI's type may well be null; the others' clients know an error by it. */
    if (told->upstream == DIALECT_OPENAI || error->type_len)
        words->type = dialect_error_type(error);
}

/* OpenAI's dialect has codes for more than statuses. */
static void take_openai_words(const struct meaning *meaning, struct error_words *words)
{
    if (meaning->row) {
        words->type = span_from_text(meaning->row->type);
        words->code = span_from_text(meaning->row->code);
    } else if (meaning->is_too_long) {
        words->code = SPAN("context_length_exceeded");
    }
}

/* Anthropic's has none: its clients know an input that is too long by how the message begins. */
static void lead_in(struct error_words *words)
{
    const struct span lead = SPAN("prompt is too long: ");
    size_t len = words->message.len;

    if (span_has_prefix(words->message, SPAN("prompt is too long")) || len > DIALECT_MESSAGE_MAX)
        return;
    memmove(words->text + lead.len, words->message.ptr, len);
    memcpy(words->text, lead.ptr, lead.len);
    words->message = span_of(words->text, lead.len + len);
}

void error_words_told(enum dialect_id client, const struct error_told *told,
                      struct error_words *ret_words)
{
    struct meaning meaning = meaning_of(client, told);
    const struct telling *telling = telling_of(client, meaning.status);
    struct span message = dialect_error_message(error_of(told));

    ret_words->status = status_told(client, told, &meaning);
    ret_words->type = telling->type;
    ret_words->code = telling->code;
    ret_words->param = span_of(NULL, 0); /* the names of another dialect say nothing here */
    ret_words->request_id = told->request_id;
    ret_words->wait_us =
        told->wait_us ? told->wait_us : error_of(told)->retry_after_ms * (uint64_t)US_PER_MS;
    ret_words->message =
        mask_ids(message.len ? message : says_nothing, ret_words->text, sizeof(ret_words->text));
    if (meaning.is_own)
        take_own_words(told, ret_words);
    else if (client == DIALECT_OPENAI)
        take_openai_words(&meaning, ret_words);
    else if (client == DIALECT_ANTHROPIC && meaning.is_too_long)
        lead_in(ret_words);
}

/* --- words as a dialect_error --- */

static void keep_words(enum dialect_id client, const struct error_words *words,
                       struct dialect_error *ret_error)
{
    struct dialect_error error = {.status = words->status, .is_json = true};
    uint64_t wait_ms = words->wait_us / US_PER_MS + (words->wait_us % US_PER_MS != 0);

    error.message_len = dialect_keep(error.message, sizeof(error.message), words->message);
    error.type_len = dialect_keep(error.type, sizeof(error.type), words->type);
    error.param_len = dialect_keep(error.param, sizeof(error.param), words->param);
    if (client == DIALECT_OPENAI)
        error.code_len = dialect_keep(error.code, sizeof(error.code), words->code);
    else
        error.detail_len = dialect_keep(error.detail, sizeof(error.detail), words->code);
    error.retry_after_ms = wait_ms < UINT32_MAX ? (uint32_t)wait_ms : UINT32_MAX;
    *ret_error = error;
}

void error_from_ours(enum dialect_id client, const struct error_ours *ours,
                     struct dialect_error *ret_error)
{
    struct error_words words;

    error_words_ours(client, ours, &words);
    keep_words(client, &words, ret_error);
}

void error_from_told(enum dialect_id client, const struct error_told *told,
                     struct dialect_error *ret_error)
{
    struct error_words words;

    error_words_told(client, told, &words);
    keep_words(client, &words, ret_error);
}
