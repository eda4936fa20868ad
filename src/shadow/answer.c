#include "shadow/answer.h"

#include <string.h>

#include "base/err.h"
#include "dialect/chat_gather.h"
#include "json/tree.h"

enum { TREE_MEMORY_RATIO = 12, TREE_MEMORY_BASE = 256 << 10 };

/* Stands between the form's reader and what gathers. */
struct hearer {
    struct chat_sink sink;
    struct chat_gather *gather;
    struct dialect_usage usage;
    uint64_t text_bytes;
    bool has_error, has_end;
};

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct hearer *hearer = (struct hearer *)sink;
    struct chat_sink *gather = chat_gather_sink(hearer->gather);

    if (hearer->has_end || hearer->has_error)
        return;
    switch (event->kind) {
    case CHAT_EVENT_TEXT:
    case CHAT_EVENT_THINKING:
    case CHAT_EVENT_REFUSAL:
    case CHAT_EVENT_CALL_ARGS:
        hearer->text_bytes += event->text.len;
        break;
    case CHAT_EVENT_USAGE:
        hearer->usage = *event->usage;
        break;
    case CHAT_EVENT_ERROR:
        hearer->has_error = true;
        break;
    case CHAT_EVENT_END:
        hearer->has_end = true;
        break;
    case CHAT_EVENT_START:
    case CHAT_EVENT_REDACTED:
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_MEDIA:
    case CHAT_EVENT_CALL_BEGIN:
    case CHAT_EVENT_CALL_END:
    case CHAT_EVENT_LOGPROBS:
    case CHAT_EVENT_FINISH:
    case CHAT_EVENT_PING:
        break;
    }
    gather->put(gather, event);
}

/* ---- reading ---- */

static int take_event(struct chat_reader *reader, const struct form_ops *ops,
                      const struct sse_event *event)
{
    struct sse_event joined = *event;
    struct buf data;
    int err;

    if (event->kind != SSE_DATA)
        return 0;
    if (event->data_lines <= 1)
        return ops->read_event(reader, event);
    buf_init(&data, event->raw.len);
    err = sse_join(event, &data);
    joined.data = buf_span(&data);
    joined.data_lines = 1;
    if (!err)
        err = ops->read_event(reader, &joined);
    buf_fini(&data);
    return err;
}

/* What is no event of the form is passed over, as clients do. */
static int read_stream(struct chat_reader *reader, const struct form_ops *ops, struct span rest)
{
    struct sse_event event;
    struct sse sse;
    int err = 0;

    sse_init(&sse);
    while (!err && sse_next(&sse, rest, &event)) {
        rest = span_skip(rest, event.raw.len);
        err = take_event(reader, ops, &event);
        err = err == ERR_SYNTAX ? 0 : err;
    }
    if (!err && sse_finish(&sse, rest, &event))
        err = take_event(reader, ops, &event);
    if (err && err != ERR_SYNTAX)
        return err;
    if (ops->read_end)
        ops->read_end(reader);
    return 0;
}

static int read_whole(struct chat_reader *reader, const struct form_ops *ops, struct span body)
{
    struct json_tree tree;
    int err = json_tree_read_raw(&tree, body, body.len * TREE_MEMORY_RATIO + TREE_MEMORY_BASE);

    if (!err)
        err = ops->read_answer(reader, yyjson_doc_get_root(tree.doc));
    json_tree_fini(&tree);
    return err;
}

/* ---- what is compared ---- */

static bool has_text(const struct chat_choice *choice)
{
    return chat_has_kind(choice->parts, choice->part_count, CHAT_PART_TEXT) ||
           chat_has_kind(choice->parts, choice->part_count, CHAT_PART_REFUSAL);
}

static void list_calls(const struct chat_choice *choice, struct shadow_answer *answer)
{
    for (size_t i = 0; i < choice->part_count; i++) {
        const struct chat_part *part = &choice->parts[i];

        if (part->kind != CHAT_PART_CALL)
            continue;
        if (answer->call_count < SHADOW_CALLS_MAX)
            answer->calls[answer->call_count] = (struct shadow_call){part->name, part->text};
        answer->call_count++;
    }
}

static void note_usage(const struct hearer *hearer, const struct shadow_raw *raw,
                       struct shadow_answer *answer)
{
    struct dialect_usage *usage = &answer->usage;

    *usage = hearer->usage;
    if (usage->is_known)
        return;
    usage->prompt_tokens = raw->prompt_tokens;
    usage->completion_tokens = dialect_estimate_tokens(hearer->text_bytes);
    usage->total_tokens = usage->prompt_tokens + usage->completion_tokens;
    usage->is_known = usage->is_estimated = true;
}

static int describe(const struct hearer *hearer, const struct shadow_raw *raw, struct arena *arena,
                    struct shadow_answer *answer)
{
    const struct chat_answer *gathered;
    const struct chat_choice *choice;
    int err = chat_gather_answer(hearer->gather, &gathered);

    memset(answer, 0, sizeof(*answer));
    if (err == ERR_EOF || (!err && gathered->choice_count == 0))
        return ERR_SYNTAX;
    if (err)
        return err;
    choice = &gathered->choices[0];
    answer->text = chat_plain_text(choice->parts, choice->part_count, arena);
    if (!answer->text.ptr && has_text(choice))
        return ERR_NOMEM;
    list_calls(choice, answer);
    answer->finish = choice->finish;
    note_usage(hearer, raw, answer);
    return 0;
}

bool shadow_can_read(enum form form)
{
    return form_row(form)->purpose == PURPOSE_CONVERSE && form_ops(form)->read_event &&
           form_ops(form)->read_answer;
}

int shadow_answer_read(const struct shadow_raw *raw, struct arena *arena,
                       struct shadow_answer *ret_answer)
{
    const struct form_ops *ops = form_ops(raw->form);
    struct hearer hearer = {.sink = {.put = put}, .gather = chat_gather_new(arena)};
    struct chat_reader *reader = arena_zalloc(arena, ops->reader_size);
    int err;

    if (!reader || !hearer.gather)
        return ERR_NOMEM;
    reader->sink = &hearer.sink;
    reader->arena = arena;
    reader->choices = 1;
    reader->chat = raw->chat;
    err = raw->is_stream ? read_stream(reader, ops, raw->body) : read_whole(reader, ops, raw->body);
    if (!err && hearer.has_error)
        err = ERR_SYNTAX;
    return err ? err : describe(&hearer, raw, arena, ret_answer);
}
