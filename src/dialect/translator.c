#include "dialect/translator.h"

#include "base/err.h"
#include "dialect/chat_gather.h"
#include "dialect/error_words.h"
#include "dialect/token_count.h"
#include "json/tree.h"

enum { WORDS = CHAT_CHOICES_MAX / 64 };

/* Stands between reader and writer: the reader's sink. */
struct translator {
    struct chat_sink sink;
    enum form from_form, to_form;
    const struct embed *embed;
    const struct form_ops *from, *to;
    struct chat_reader *reader;
    struct chat_writer *writer; /* NULL: nothing is written */
    struct chat_gather *gather; /* of a whole answer, while it is read */
    struct arena *arena;
    struct buf *out;
    struct chat_frame frame;
    unsigned choices;
    uint64_t begun[WORDS], finished[WORDS];
    struct dialect_usage usage;
    struct dialect_error error;
    uint64_t text_bytes;
    bool has_error, has_end, has_chunk; /* of the event at hand: has_chunk */
    bool is_streaming;
};

static void mark(uint64_t words[WORDS], unsigned choice)
{
    if (choice < CHAT_CHOICES_MAX)
        words[choice / 64] |= UINT64_C(1) << choice % 64;
}

static void look_at(struct translator *translator, const struct chat_event *event)
{
    switch (event->kind) {
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_THINKING:
    case CHAT_EVENT_REFUSAL:
    case CHAT_EVENT_CALL_ARGS:
        translator->text_bytes += event->text.len;
        mark(translator->begun, event->choice);
        break;
    case CHAT_EVENT_FINISH:
        mark(translator->begun, event->choice);
        mark(translator->finished, event->choice);
        break;
    case CHAT_EVENT_USAGE:
        translator->usage = *event->usage;
        break;
    case CHAT_EVENT_ERROR:
        translator->error = *event->error;
        translator->has_error = true;
        break;
    case CHAT_EVENT_END:
        translator->has_end = true;
        break;
    case CHAT_EVENT_START:
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_MEDIA:
    case CHAT_EVENT_CALL_BEGIN:
    case CHAT_EVENT_CALL_END:
    case CHAT_EVENT_LOGPROBS:
    case CHAT_EVENT_PING:
        break;
    }
    translator->has_chunk |= event->kind != CHAT_EVENT_PING;
}

/* Errors are put into the client's words once, here: writers tell them again within its dialect. */
static void write_error(struct translator *translator, const struct chat_event *event)
{
    struct error_told told = {
        .upstream = form_row(translator->from_form)->dialect, .status = 200, .error = event->error};
    struct chat_event in_words = *event;
    struct dialect_error error;

    error_from_told(form_row(translator->to_form)->dialect, &told, &error);
    in_words.error = &error;
    translator->to->write_event(translator->writer, &in_words);
}

static void write_on(struct translator *translator, const struct chat_event *event)
{
    if (event->kind == CHAT_EVENT_ERROR)
        write_error(translator, event);
    else
        translator->to->write_event(translator->writer, event);
}

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct translator *translator = (struct translator *)sink;

    /* Behind an end or an error nothing is told, whatever a reader says. */
    if (translator->has_end || translator->has_error)
        return;
    look_at(translator, event);
    if (translator->gather)
        chat_gather_sink(translator->gather)->put(chat_gather_sink(translator->gather), event);
    else if (translator->writer)
        write_on(translator, event);
}

static bool make_reader(struct translator *translator, const struct translator_plan *plan)
{
    translator->from = form_ops(plan->from);
    if (form_row(plan->from)->purpose != PURPOSE_CONVERSE)
        return true;
    if (!translator->from->read_event)
        return false;
    translator->reader = arena_zalloc(translator->arena, translator->from->reader_size);
    if (!translator->reader)
        return false;
    translator->reader->sink = &translator->sink;
    translator->reader->arena = translator->arena;
    translator->reader->seed = plan->seed;
    translator->reader->choices = plan->choices;
    translator->reader->chat = plan->frame.chat;
    return true;
}

static bool make_writer(struct translator *translator, const struct translator_plan *plan)
{
    if (plan->to == FORM_COUNT || form_row(plan->to)->purpose != PURPOSE_CONVERSE)
        return true;
    translator->to = form_ops(plan->to);
    if (!translator->to->write_event)
        return false;
    translator->writer = arena_zalloc(translator->arena, translator->to->writer_size);
    if (!translator->writer)
        return false;
    translator->writer->frame = &translator->frame;
    translator->writer->out = plan->out;
    translator->writer->arena = translator->arena;
    return true;
}

struct translator *translator_new(struct arena *arena, const struct translator_plan *plan)
{
    struct translator *translator = arena_zalloc(arena, sizeof(*translator));

    if (!translator)
        return NULL;
    translator->sink.put = put;
    translator->arena = arena;
    translator->from_form = plan->from;
    translator->to_form = plan->to;
    translator->embed = plan->embed;
    translator->out = plan->out;
    translator->frame = plan->frame;
    if (plan->to != FORM_COUNT)
        translator->frame.upstream = form_row(plan->to)->dialect;
    translator->choices = plan->choices ? plan->choices : 1;
    translator->is_streaming = plan->is_streaming;
    if (!make_reader(translator, plan) || !make_writer(translator, plan))
        translator_fini(&translator);
    return translator;
}

void translator_fini(struct translator **place)
{
    struct translator *translator = *place;

    *place = NULL;
    if (translator && translator->writer && translator->to->writer_fini)
        translator->to->writer_fini(translator->writer);
}

/* --- a stream --- */

static void tell_ping(struct translator *translator)
{
    const struct chat_event ping = {.kind = CHAT_EVENT_PING};

    put(&translator->sink, &ping);
}

static int take_joined(struct translator *translator, const struct sse_event *event)
{
    struct sse_event joined = *event;
    struct buf data;
    int err;

    buf_init(&data, event->raw.len);
    err = sse_join(event, &data);
    joined.data = buf_span(&data);
    joined.data_lines = 1;
    if (!err)
        err = translator->from->read_event(translator->reader, &joined);
    buf_fini(&data);
    return err;
}

/* JSON that is no event at all: so a proxy, or Google itself, breaks off a stream with an error. */
static bool is_bare_json(const struct sse_event *event)
{
    size_t at = 0;

    while (at < event->raw.len && (event->raw.ptr[at] == '\r' || event->raw.ptr[at] == '\n'))
        at++;
    return at < event->raw.len && (event->raw.ptr[at] == '{' || event->raw.ptr[at] == '[');
}

enum translator_verdict translator_take(struct translator *translator,
                                        const struct sse_event *event)
{
    struct sse_event bare;
    int err;

    if (!translator->reader)
        return TRANSLATOR_GARBAGE;
    if (event->kind == SSE_PING && is_bare_json(event)) {
        bare = (struct sse_event){
            .kind = SSE_DATA, .raw = event->raw, .data = event->raw, .data_lines = 1};
        event = &bare;
    }
    if (event->kind == SSE_PING) {
        tell_ping(translator);
        return TRANSLATOR_PING;
    }
    translator->has_chunk = false;
    err = event->data_lines > 1 ? take_joined(translator, event)
                                : translator->from->read_event(translator->reader, event);
    if (translator->has_error)
        return TRANSLATOR_ERROR;
    if (err)
        return TRANSLATOR_GARBAGE;
    if (translator->has_end)
        return TRANSLATOR_DONE;
    return translator->has_chunk ? TRANSLATOR_CHUNK : TRANSLATOR_PING;
}

void translator_end(struct translator *translator)
{
    if (translator->reader && !translator->has_end && !translator->has_error)
        translator->from->read_end(translator->reader);
}

void translator_fail(struct translator *translator, const struct dialect_error *error)
{
    const struct chat_event event = {.kind = CHAT_EVENT_ERROR, .error = error};

    /* The provider's own error was written already; an answer that is over has none. */
    if (translator->writer && !translator->has_error && !translator->has_end)
        translator->to->write_event(translator->writer, &event);
}

/* --- a whole answer --- */

static int write_gathered(struct translator *translator)
{
    const struct chat_answer *answer;
    int err;

    if (translator->has_error)
        return 0;
    err = chat_gather_answer(translator->gather, &answer);
    if (err)
        return err == ERR_EOF ? ERR_SYNTAX : err;
    if (translator->writer)
        translator->to->write_answer(translator->writer, answer);
    return translator->writer ? translator->out->err : 0;
}

static int answer_chat(struct translator *translator, const yyjson_val *root)
{
    int err;

    if (!translator->is_streaming && !(translator->gather = chat_gather_new(translator->arena)))
        return ERR_NOMEM;
    err = translator->from->read_answer(translator->reader, root);
    if (!err && translator->gather)
        err = write_gathered(translator);
    translator->gather = NULL;
    return err;
}

static int answer_embed(struct translator *translator, const yyjson_val *root)
{
    struct embed_frame frame = {.embed = translator->embed,
                                .model = translator->frame.model,
                                .prompt_tokens = translator->frame.prompt_tokens};
    struct embed_answer answer;
    int err = embed_ops(translator->from_form)->read_answer(translator->arena, root, &answer);

    if (err)
        return err;
    translator->usage = answer.usage;
    if (translator->to_form == FORM_COUNT)
        return 0;
    return embed_ops(translator->to_form)->write_answer(translator->out, &frame, &answer);
}

/* What is measured is not used: it costs nothing. */
static int answer_count(struct translator *translator, const yyjson_val *root)
{
    uint64_t tokens;
    int err = token_count_read(translator->from_form, root, &tokens);

    if (err)
        return err;
    translator->usage = (struct dialect_usage){.is_known = true};
    if (translator->to_form == FORM_COUNT)
        return 0;
    return token_count_write(translator->out, translator->to_form, tokens);
}

static int answer_with(struct translator *translator, const yyjson_val *root)
{
    switch (form_row(translator->from_form)->purpose) {
    case PURPOSE_CONVERSE:
        break;
    case PURPOSE_EMBED:
        return answer_embed(translator, root);
    case PURPOSE_MEASURE:
        return answer_count(translator, root);
    }
    return answer_chat(translator, root);
}

int translator_answer(struct translator *translator, struct span body, size_t max_bytes)
{
    struct json_tree tree;
    int err = json_tree_read_raw(&tree, body, max_bytes);

    if (!err)
        err = answer_with(translator, yyjson_doc_get_root(tree.doc));
    json_tree_fini(&tree);
    return err;
}

/* --- how it stands --- */

bool translator_is_over(const struct translator *translator)
{
    return translator->has_end;
}

bool translator_is_finished(const struct translator *translator)
{
    unsigned finished = 0;

    for (unsigned i = 0; i < WORDS; i++) {
        if (translator->begun[i] & ~translator->finished[i])
            return false;
        finished += (unsigned)__builtin_popcountll(translator->finished[i]);
    }
    return finished >= translator->choices;
}

const struct dialect_error *translator_error(const struct translator *translator)
{
    return translator->has_error ? &translator->error : NULL;
}

void translator_usage(const struct translator *translator, uint64_t prompt_tokens,
                      struct dialect_usage *ret_usage)
{
    uint64_t estimate = dialect_estimate_tokens(translator->text_bytes);

    *ret_usage = translator->usage;
    /* What is told before the end may be of the beginning alone. */
    if (ret_usage->is_known &&
        (translator_is_over(translator) || ret_usage->completion_tokens >= estimate))
        return;
    if (!ret_usage->is_known)
        ret_usage->prompt_tokens = prompt_tokens;
    ret_usage->completion_tokens = estimate;
    ret_usage->total_tokens = ret_usage->prompt_tokens + estimate;
    ret_usage->is_known = ret_usage->is_estimated = true;
}
