#include "dialect/openai_stream.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "dialect/openai_error.h"
#include "dialect/request_scan.h"

void openai_stream_init(struct openai_stream *stream, unsigned choices)
{
    *stream = (struct openai_stream){.choices = choices ? choices : 1};
    if (stream->choices > REQUEST_CHOICES_MAX)
        stream->choices = REQUEST_CHOICES_MAX;
}

/* The members that a chunk is looked over for, with their closing quote. A string cannot pretend to
 * be one of them: a quote inside it is escaped, and a whole string has a colon behind it only where
 * it is a name. */
struct mark {
    struct span name;
    bool is_text; /* what the model wrote; else worth reading the chunk where it is not null */
};

static const struct mark marks[] = {
    {SPAN_INIT("content\""), true},
    {SPAN_INIT("finish_reason\""), false},
    {SPAN_INIT("usage\""), false},
    {SPAN_INIT("error\""), false},
    {SPAN_INIT("arguments\""), true},
    {SPAN_INIT("text\""), true},
    {SPAN_INIT("reasoning_content\""), true},
    {SPAN_INIT("reasoning\""), true},
    {SPAN_INIT("refusal\""), true},
};

static const struct mark *mark_at(const char *p, const char *end)
{
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
        if (marks[i].name.ptr[0] == *p &&
            span_has_prefix(span_of(p, (size_t)(end - p)), marks[i].name))
            return &marks[i];
    }
    return NULL;
}

/* True where a mark may begin with c. */
static inline bool may_begin(char c)
{
    return c == 'a' || c == 'c' || c == 'e' || c == 'f' || c == 'r' || c == 't' || c == 'u';
}

/* Behind the next quote, from p on, that a mark's first letter follows; or end. */
static const char *find_name(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"');

    for (; end - p > 16; p += 16) {
        __m128i at = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i next = _mm_loadu_si128((const __m128i *)(const void *)(p + 1));
        __m128i letter =
            _mm_or_si128(_mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('a')),
                                                   _mm_cmpeq_epi8(next, _mm_set1_epi8('c'))),
                                      _mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('e')),
                                                   _mm_cmpeq_epi8(next, _mm_set1_epi8('f')))),
                         _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('r')),
                                                   _mm_cmpeq_epi8(next, _mm_set1_epi8('t'))),
                                      _mm_cmpeq_epi8(next, _mm_set1_epi8('u'))));
        unsigned mask =
            (unsigned)_mm_movemask_epi8(_mm_and_si128(_mm_cmpeq_epi8(at, quote), letter));

        if (mask)
            return p + __builtin_ctz(mask) + 1;
    }
#endif
    for (; end - p > 1; p++) {
        if (*p == '"' && may_begin(p[1]))
            return p + 1;
    }
    return end;
}

/* The first quote or backslash from p on, or end. */
static const char *find_quote(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');

    for (; end - p >= 16; p += 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        unsigned mask = (unsigned)_mm_movemask_epi8(
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));

        if (mask)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\')
        p++;
    return p;
}

/* The closing quote of the string whose inside begins at p, or end. */
static const char *find_string_end(const char *p, const char *end)
{
    while ((p = find_quote(p, end)) < end && *p == '\\')
        p = end - p > 2 ? p + 2 : end;
    return p;
}

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    return p;
}

/* Looks a chunk over: counts the text that it brings, and returns true where it must be read. */
static bool look_over(struct span data, uint64_t *text_bytes)
{
    const char *p = data.ptr, *end = p + data.len;

    while ((p = find_name(p, end)) < end) {
        const struct mark *mark = mark_at(p, end);
        const char *value;

        if (!mark)
            continue;
        p = skip_space(p + mark->name.len, end);
        if (p == end || *p != ':')
            continue;
        value = skip_space(p + 1, end);
        if (value == end || (!mark->is_text && *value != 'n'))
            return true;
        p = value;
        if (mark->is_text && *value == '"') {
            p = find_string_end(value + 1, end);
            *text_bytes += (uint64_t)(p - value - 1);
        }
    }
    return false;
}

/* Data of several lines is read line by line: a line break is white space to JSON. */
static int read_chunk(struct openai_answer *answer, const struct sse_event *event)
{
    struct span line;
    size_t at = 0;

    openai_answer_init(answer);
    if (event->data_lines == 1) {
        (void)openai_answer_feed(answer, event->data);
        return openai_answer_finish(answer);
    }
    while (sse_next_line(event, &at, &line)) {
        (void)openai_answer_feed(answer, line);
        (void)openai_answer_feed(answer, SPAN("\n"));
    }
    return openai_answer_finish(answer);
}

static enum openai_event take_error(struct openai_stream *stream)
{
    stream->has_error = true;
    return OPENAI_EVENT_ERROR;
}

static enum openai_event take_chunk(struct openai_stream *stream, const struct sse_event *event,
                                    struct dialect_error *ret_error)
{
    struct openai_answer answer;
    struct dialect_usage usage;

    if (read_chunk(&answer, event) != 0)
        return OPENAI_EVENT_GARBAGE;
    openai_answer_usage(&answer, &usage);
    if (usage.is_known)
        stream->usage = usage;
    stream->text_bytes += openai_answer_text_bytes(&answer);
    stream->finished.finished[0] |= answer.choices.finished[0];
    stream->finished.finished[1] |= answer.choices.finished[1];
    if (openai_answer_error(&answer, ret_error))
        return take_error(stream);
    if (usage.is_known && openai_answer_has_no_choices(&answer))
        return OPENAI_EVENT_USAGE;
    stream->chunks++;
    return OPENAI_EVENT_CHUNK;
}

/* `event: error` (Groq): whatever its data is, it is the error. */
static enum openai_event take_named_error(struct openai_stream *stream,
                                          const struct sse_event *event,
                                          struct dialect_error *ret_error)
{
    openai_error_read(event->data, ret_error);
    if (!ret_error->is_json)
        ret_error->message_len =
            dialect_keep(ret_error->message, sizeof(ret_error->message), event->data);
    return take_error(stream);
}

enum openai_event openai_stream_take(struct openai_stream *stream, const struct sse_event *event,
                                     struct dialect_error *ret_error)
{
    uint64_t text_bytes = 0;
    struct span data = event->data;

    if (event->kind == SSE_TAIL)
        return OPENAI_EVENT_CHUNK;
    if (event->kind == SSE_PING || (data.len == 0 && event->data_lines == 1))
        return OPENAI_EVENT_PING;
    if (span_has_prefix(data, SPAN("[DONE]"))) {
        stream->has_done = true;
        return OPENAI_EVENT_DONE;
    }
    if (span_is_equal(event->name, SPAN("error")))
        return take_named_error(stream, event, ret_error);
    /* One that the stream's end cut short may be a part of one. */
    if (stream->chunks == 0 || event->data_lines > 1 || event->is_open || data.ptr[0] != '{' ||
        look_over(data, &text_bytes))
        return take_chunk(stream, event, ret_error);
    stream->text_bytes += text_bytes;
    stream->chunks++;
    return OPENAI_EVENT_CHUNK;
}

/* Bits 0 to count - 1 of the two words. */
static bool has_all(const struct openai_choices *choices, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!(choices->finished[i / 64] >> i % 64 & 1))
            return false;
    }
    return true;
}

enum openai_ending openai_stream_ending(const struct openai_stream *stream)
{
    if (stream->has_done)
        return OPENAI_ENDED;
    if (!stream->has_error && has_all(&stream->finished, stream->choices))
        return OPENAI_NEEDS_DONE;
    return OPENAI_CUT;
}

void openai_stream_usage(const struct openai_stream *stream, uint64_t prompt_tokens,
                         struct dialect_usage *ret_usage)
{
    uint64_t completion = dialect_estimate_tokens(stream->text_bytes);

    if (stream->usage.is_known) {
        *ret_usage = stream->usage;
        return;
    }
    *ret_usage = (struct dialect_usage){
        .prompt_tokens = prompt_tokens,
        .completion_tokens = completion,
        .total_tokens = prompt_tokens + completion,
        .is_known = true,
        .is_estimated = true,
    };
}

struct span openai_stream_done(void)
{
    return SPAN("data: [DONE]\n\n");
}
