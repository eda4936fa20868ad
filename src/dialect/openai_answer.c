#include "dialect/openai_answer.h"

#include "dialect/openai_error.h"
#include "dialect/request_scan.h"

enum row {
    CHOICES,
    ERROR,
    USAGE,
    GROQ,
    SERVICE_TIER,
    CHOICE_INDEX,
    CHOICE_FINISH,
    CHOICE_ERROR, /* OpenRouter */
    PROMPT_TOKENS,
    COMPLETION_TOKENS,
    TOTAL_TOKENS,
    CACHE_HIT_TOKENS, /* DeepSeek */
    PROMPT_DETAILS,
    COMPLETION_DETAILS,
    CACHED_TOKENS,
    CACHE_WRITE_TOKENS,
    REASONING_TOKENS,
    GROQ_ERROR,
    GROQ_USAGE,
    GROQ_PROMPT_TOKENS,
    GROQ_COMPLETION_TOKENS,
    GROQ_TOTAL_TOKENS,
    ROWS,
};

#define USAGE_MARKS                                                                                \
    (JSON_MARK("prompt_tokens") | JSON_MARK("completion_tokens") | JSON_MARK("total_tokens"))

static const struct json_watch rows[ROWS] = {
    [CHOICES] = {SPAN_INIT("choices"), -1, JSON_ANY, JSON_PER_ITEM | JSON_COUNTED, CHOICE_INDEX,
                 JSON_MARK("index") | JSON_MARK("finish_reason") | JSON_MARK("error")},
    [ERROR] = {SPAN_INIT("error"), -1, JSON_ANY, 0, 0, 0},
    [USAGE] = {SPAN_INIT("usage"), -1, JSON_ANY, 0, PROMPT_TOKENS,
               USAGE_MARKS | JSON_MARK("prompt_cache_hit_tokens") |
                   JSON_MARK("prompt_tokens_details") | JSON_MARK("completion_tokens_details")},
    [GROQ] = {SPAN_INIT("x_groq"), -1, JSON_ANY, 0, GROQ_ERROR,
              JSON_MARK("error") | JSON_MARK("usage")},
    [SERVICE_TIER] = {SPAN_INIT("service_tier"), -1, JSON_ANY, 0, 0, 0},
    [CHOICE_INDEX] = {SPAN_INIT("index"), CHOICES, JSON_ANY, 0, 0, 0},
    [CHOICE_FINISH] = {SPAN_INIT("finish_reason"), CHOICES, JSON_ANY, 0, 0, 0},
    [CHOICE_ERROR] = {SPAN_INIT("error"), CHOICES, JSON_ANY, 0, 0, 0},
    [PROMPT_TOKENS] = {SPAN_INIT("prompt_tokens"), USAGE, JSON_ANY, 0, 0, 0},
    [COMPLETION_TOKENS] = {SPAN_INIT("completion_tokens"), USAGE, JSON_ANY, 0, 0, 0},
    [TOTAL_TOKENS] = {SPAN_INIT("total_tokens"), USAGE, JSON_ANY, 0, 0, 0},
    [CACHE_HIT_TOKENS] = {SPAN_INIT("prompt_cache_hit_tokens"), USAGE, JSON_ANY, 0, 0, 0},
    [PROMPT_DETAILS] = {SPAN_INIT("prompt_tokens_details"), USAGE, JSON_ANY, 0, CACHED_TOKENS,
                        JSON_MARK("cached_tokens") | JSON_MARK("cache_write_tokens")},
    [COMPLETION_DETAILS] = {SPAN_INIT("completion_tokens_details"), USAGE, JSON_ANY, 0,
                            REASONING_TOKENS, JSON_MARK("reasoning_tokens")},
    [CACHED_TOKENS] = {SPAN_INIT("cached_tokens"), PROMPT_DETAILS, JSON_ANY, 0, 0, 0},
    [CACHE_WRITE_TOKENS] = {SPAN_INIT("cache_write_tokens"), PROMPT_DETAILS, JSON_ANY, 0, 0, 0},
    [REASONING_TOKENS] = {SPAN_INIT("reasoning_tokens"), COMPLETION_DETAILS, JSON_ANY, 0, 0, 0},
    [GROQ_ERROR] = {SPAN_INIT("error"), GROQ, JSON_ANY, 0, 0, 0},
    [GROQ_USAGE] = {SPAN_INIT("usage"), GROQ, JSON_ANY, 0, GROQ_PROMPT_TOKENS, USAGE_MARKS},
    [GROQ_PROMPT_TOKENS] = {SPAN_INIT("prompt_tokens"), GROQ_USAGE, JSON_ANY, 0, 0, 0},
    [GROQ_COMPLETION_TOKENS] = {SPAN_INIT("completion_tokens"), GROQ_USAGE, JSON_ANY, 0, 0, 0},
    [GROQ_TOTAL_TOKENS] = {SPAN_INIT("total_tokens"), GROQ_USAGE, JSON_ANY, 0, 0, 0},
};

static const struct span text_names[] = {
    SPAN_INIT("content"),           SPAN_INIT("text"),      SPAN_INIT("arguments"),
    SPAN_INIT("reasoning_content"), SPAN_INIT("reasoning"), SPAN_INIT("refusal"),
};

static const struct json_watchlist list = {
    .rows = rows,
    .count = ROWS,
    .text_names = text_names,
    .text_name_count = sizeof(text_names) / sizeof(text_names[0]),
    .root_marks = JSON_MARK("choices") | JSON_MARK("error") | JSON_MARK("usage") |
                  JSON_MARK("x_groq") | JSON_MARK("service_tier"),
    .text_marks = JSON_MARK("content") | JSON_MARK("text") | JSON_MARK("arguments") |
                  JSON_MARK("reasoning_content") | JSON_MARK("reasoning") | JSON_MARK("refusal"),
};

/* What a JavaScript or Python client takes for "there is an error". */
static bool is_truthy(const struct json_seen *seen)
{
    if (seen->type == JSON_BOOL)
        return seen->is_true;
    return (seen->type & (JSON_STRING | JSON_OBJECT | JSON_ARRAY)) && !seen->is_empty;
}

/* One object of `choices` has ended. */
static void take_choice(void *context, int row)
{
    struct openai_answer *answer = context;
    const struct json_seen *seen = answer->scan.seen;
    uint64_t index = 0;

    if (row != CHOICES)
        return;
    if (seen[CHOICE_INDEX].type == JSON_NUMBER && seen[CHOICE_INDEX].number > 0)
        index = (uint64_t)seen[CHOICE_INDEX].number;
    /* "" is what some servers write for null. */
    if (seen[CHOICE_FINISH].type == JSON_STRING && !seen[CHOICE_FINISH].is_empty) {
        if (index < REQUEST_CHOICES_MAX)
            answer->choices.finished[index / 64] |= UINT64_C(1) << index % 64;
        if (span_is_equal(json_scan_text(&answer->scan, CHOICE_FINISH), SPAN("error")))
            answer->has_failed_choice = true;
    }
    if (is_truthy(&seen[CHOICE_ERROR])) {
        answer->choice_error_at = seen[CHOICE_ERROR].start;
        answer->choice_error_len = seen[CHOICE_ERROR].text_len;
        answer->choice_error_type = seen[CHOICE_ERROR].type;
    }
}

void openai_answer_init(struct openai_answer *answer)
{
    struct json_scan *scan = &answer->scan;

    json_scan_init(scan, &list, JSON_DEPTH_MAX);
    json_scan_capture(scan, CHOICE_FINISH, answer->finish, sizeof(answer->finish));
    json_scan_capture(scan, CHOICE_ERROR, answer->error, sizeof(answer->error));
    json_scan_capture(scan, SERVICE_TIER, answer->tier, sizeof(answer->tier));
    json_scan_capture(scan, ERROR, answer->error, sizeof(answer->error));
    json_scan_capture(scan, GROQ_ERROR, answer->error, sizeof(answer->error));
    scan->on_item = take_choice;
    scan->context = answer;
    answer->choices = (struct openai_choices){{0, 0}};
    answer->choice_error_at = 0;
    answer->has_failed_choice = false;
}

int openai_answer_feed(struct openai_answer *answer, struct span piece)
{
    return json_scan_feed(&answer->scan, piece);
}

int openai_answer_finish(struct openai_answer *answer)
{
    return json_scan_finish(&answer->scan);
}

bool openai_answer_has_begun(const struct openai_answer *answer)
{
    return answer->scan.root_start != 0;
}

static void read_error(const char *text, size_t len, enum json_type type,
                       struct dialect_error *ret_error)
{
    if (type != JSON_STRING) {
        openai_error_read_member(span_of(text, len), ret_error);
        return;
    }
    *ret_error = (struct dialect_error){.is_json = true};
    ret_error->message_len =
        dialect_keep(ret_error->message, sizeof(ret_error->message), span_of(text, len));
}

bool openai_answer_error(const struct openai_answer *answer, struct dialect_error *ret_error)
{
    const struct json_seen *seen = answer->scan.seen;
    const struct json_seen *last = NULL;

    /* They share one place for their text: the one that stands last is the one that is there. */
    if (is_truthy(&seen[ERROR]))
        last = &seen[ERROR];
    if (is_truthy(&seen[GROQ_ERROR]) && (!last || seen[GROQ_ERROR].start > last->start))
        last = &seen[GROQ_ERROR];
    if (last && last->start > answer->choice_error_at) {
        read_error(answer->error, last->text_len, (enum json_type)last->type, ret_error);
        return true;
    }
    if (answer->choice_error_at) {
        read_error(answer->error, answer->choice_error_len,
                   (enum json_type)answer->choice_error_type, ret_error);
        return true;
    }
    if (!answer->has_failed_choice)
        return false;
    *ret_error = (struct dialect_error){.is_json = true};
    return true;
}

static bool read_count(const struct json_seen *seen, uint64_t *ret_count)
{
    if (seen->type != JSON_NUMBER || seen->number < 0)
        return false;
    *ret_count = (uint64_t)seen->number;
    return true;
}

void openai_answer_usage(const struct openai_answer *answer, struct dialect_usage *ret_usage)
{
    const struct json_seen *seen = answer->scan.seen;
    bool is_groq = seen[USAGE].type != JSON_OBJECT && seen[GROQ_USAGE].type == JSON_OBJECT;
    struct dialect_usage usage = {0};
    bool has_prompt, has_completion, has_total;

    has_prompt =
        read_count(&seen[is_groq ? GROQ_PROMPT_TOKENS : PROMPT_TOKENS], &usage.prompt_tokens);
    has_completion = read_count(&seen[is_groq ? GROQ_COMPLETION_TOKENS : COMPLETION_TOKENS],
                                &usage.completion_tokens);
    has_total = read_count(&seen[is_groq ? GROQ_TOTAL_TOKENS : TOTAL_TOKENS], &usage.total_tokens);
    usage.is_known = has_prompt || has_completion || has_total;
    if (!has_total)
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    if (!read_count(&seen[CACHED_TOKENS], &usage.cached_tokens))
        (void)read_count(&seen[CACHE_HIT_TOKENS], &usage.cached_tokens);
    (void)read_count(&seen[CACHE_WRITE_TOKENS], &usage.cache_write_tokens);
    (void)read_count(&seen[REASONING_TOKENS], &usage.reasoning_tokens);
    if (seen[SERVICE_TIER].type == JSON_STRING)
        usage.tier = dialect_tier_of(json_scan_text(&answer->scan, SERVICE_TIER));
    *ret_usage = usage.is_known ? usage : (struct dialect_usage){0};
}

uint64_t openai_answer_text_bytes(const struct openai_answer *answer)
{
    return answer->scan.text_bytes;
}

bool openai_answer_has_no_choices(const struct openai_answer *answer)
{
    const struct json_seen *choices = &answer->scan.seen[CHOICES];

    return choices->type == JSON_ARRAY && choices->is_empty;
}
