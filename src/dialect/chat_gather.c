#include "dialect/chat_gather.h"

#include "base/err.h"

/* A part that grows: its texts are a chain of pieces until they are joined at the end. */
struct piece {
    struct piece *next;
    struct span text;
};

struct growing {
    struct growing *next;
    struct chat_part part;
    struct piece *first, *last;
    size_t bytes;
    unsigned call; /* of a CALL */
};

struct gathered {
    struct gathered *next;
    struct growing *first, *last;
    size_t count;
    struct chat_choice choice;
};

struct chat_gather {
    struct chat_sink sink;
    struct arena *arena;
    struct gathered *choices; /* by rising index */
    size_t choice_count;
    size_t bytes;
    struct chat_answer answer;
    bool is_over;
    int err; /* the first thing that could not be kept */
};

static void *keep(struct chat_gather *gather, size_t size)
{
    void *made = arena_zalloc(gather->arena, size);

    if (!made && !gather->err)
        gather->err = ERR_NOMEM;
    return made;
}

static struct span keep_text(struct chat_gather *gather, struct span text)
{
    struct span kept;

    if (text.len == 0)
        return span_of(NULL, 0);
    if (text.len > CHAT_GATHER_MAX_BYTES - gather->bytes) {
        gather->err = gather->err ? gather->err : ERR_FULL;
        return span_of(NULL, 0);
    }
    gather->bytes += text.len;
    kept = arena_copy(gather->arena, text);
    if (!kept.ptr && !gather->err)
        gather->err = ERR_NOMEM;
    return kept;
}

static struct gathered *choice_of(struct chat_gather *gather, unsigned index)
{
    struct gathered **place = &gather->choices, *made;

    while (*place && (*place)->choice.index < index)
        place = &(*place)->next;
    if (*place && (*place)->choice.index == index)
        return *place;
    made = keep(gather, sizeof(*made));
    if (!made)
        return NULL;
    made->choice.index = index;
    made->next = *place;
    *place = made;
    gather->choice_count++;
    return made;
}

static struct growing *add_part(struct chat_gather *gather, const struct chat_event *event,
                                enum chat_part_kind kind)
{
    struct gathered *choice = choice_of(gather, event->choice);
    struct growing *made = choice ? keep(gather, sizeof(*made)) : NULL;

    if (!made)
        return NULL;
    made->part.kind = kind;
    made->call = event->call;
    *(choice->last ? &choice->last->next : &choice->first) = made;
    choice->last = made;
    choice->count++;
    return made;
}

static void add_piece(struct chat_gather *gather, struct growing *part, struct span text)
{
    struct piece *piece;

    if (!part || text.len == 0)
        return;
    piece = keep(gather, sizeof(*piece));
    if (!piece)
        return;
    piece->text = keep_text(gather, text);
    *(part->last ? &part->last->next : &part->first) = piece;
    part->last = piece;
    part->bytes += piece->text.len;
}

/* The text that grows at the choice's end, or a new one: a thought whose signature came is over. */
static void add_text(struct chat_gather *gather, const struct chat_event *event,
                     enum chat_part_kind kind)
{
    struct gathered *choice = choice_of(gather, event->choice);
    struct growing *last = choice ? choice->last : NULL;

    if (!last || last->part.kind != kind || last->part.signature.len)
        last = add_part(gather, event, kind);
    add_piece(gather, last, event->text);
}

static struct growing *call_of(struct chat_gather *gather, const struct chat_event *event)
{
    struct gathered *choice = choice_of(gather, event->choice);

    for (struct growing *at = choice ? choice->first : NULL; at; at = at->next) {
        if (at->part.kind == CHAT_PART_CALL && at->call == event->call)
            return at;
    }
    return NULL;
}

/* Of a thought that is kept back only the signature comes, which then signs nothing before it. */
static bool may_sign(const struct chat_event *event, const struct growing *last)
{
    if (!last || last->part.signature.len || last->part.kind == CHAT_PART_CALL)
        return false;
    return last->part.kind == CHAT_PART_THINKING || event->signer != DIALECT_ANTHROPIC;
}

static void sign(struct chat_gather *gather, const struct chat_event *event)
{
    struct gathered *choice = choice_of(gather, event->choice);
    struct growing *last = choice ? choice->last : NULL, *signed_one = NULL;

    if (event->is_call)
        signed_one = call_of(gather, event);
    else if (may_sign(event, last))
        signed_one = last;
    if (!signed_one)
        signed_one = add_part(gather, event, CHAT_PART_THINKING);
    if (!signed_one)
        return;
    signed_one->part.signature = keep_text(gather, event->text);
    signed_one->part.signer = event->signer;
}

static void add_redacted(struct chat_gather *gather, const struct chat_event *event)
{
    struct growing *made = add_part(gather, event, CHAT_PART_REDACTED);

    if (!made)
        return;
    made->part.signer = event->signer;
    add_piece(gather, made, event->text);
}

static void begin_call(struct chat_gather *gather, const struct chat_event *event)
{
    struct growing *call = add_part(gather, event, CHAT_PART_CALL);

    if (!call)
        return;
    call->part.id = keep_text(gather, event->id);
    call->part.name = keep_text(gather, event->name);
    call->part.is_custom = event->is_custom;
}

static void add_media(struct chat_gather *gather, const struct chat_event *event)
{
    struct growing *made = add_part(gather, event, event->part_kind);

    if (!made)
        return;
    made->part.media = (struct chat_media){.source = event->media->source,
                                           .type = keep_text(gather, event->media->type),
                                           .data = keep_text(gather, event->media->data),
                                           .name = keep_text(gather, event->media->name)};
}

static struct chat_logprob *copy_logprobs(struct chat_gather *gather,
                                          const struct chat_logprob *from, size_t count)
{
    struct chat_logprob *copy = keep(gather, count * sizeof(*copy));

    for (size_t i = 0; copy && i < count; i++) {
        copy[i] = from[i];
        copy[i].token = keep_text(gather, from[i].token);
        copy[i].bytes = keep_text(gather, from[i].bytes);
        copy[i].top =
            from[i].top_count ? copy_logprobs(gather, from[i].top, from[i].top_count) : NULL;
        if (!copy[i].top)
            copy[i].top_count = 0;
    }
    return copy;
}

static void add_logprobs(struct chat_gather *gather, const struct chat_event *event)
{
    struct gathered *choice = choice_of(gather, event->choice);
    size_t before = choice ? choice->choice.logprob_count : 0, count = event->logprob_count;
    struct chat_logprob *all, *more;

    if (!choice || count == 0)
        return;
    all = keep(gather, (before + count) * sizeof(*all));
    more = copy_logprobs(gather, event->logprobs, count);
    if (!all || !more)
        return;
    if (before)
        memcpy(all, choice->choice.logprobs, before * sizeof(*all));
    memcpy(all + before, more, count * sizeof(*all));
    choice->choice.logprobs = all;
    choice->choice.logprob_count = before + count;
}

static void finish(struct chat_gather *gather, const struct chat_event *event)
{
    struct gathered *choice = choice_of(gather, event->choice);

    if (!choice)
        return;
    choice->choice.finish = event->finish;
    choice->choice.finish_text = keep_text(gather, event->text);
}

static void start(struct chat_gather *gather, const struct chat_event *event)
{
    gather->answer.id = keep_text(gather, event->id);
    gather->answer.model = keep_text(gather, event->name);
    gather->answer.created_s = event->created_s;
}

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct chat_gather *gather = (struct chat_gather *)sink;

    switch (event->kind) {
    case CHAT_EVENT_START:
        start(gather, event);
        break;
    case CHAT_EVENT_TEXT:
        add_text(gather, event, CHAT_PART_TEXT);
        break;
    case CHAT_EVENT_THINKING:
        add_text(gather, event, CHAT_PART_THINKING);
        break;
    case CHAT_EVENT_REFUSAL:
        add_text(gather, event, CHAT_PART_REFUSAL);
        break;
    case CHAT_EVENT_REDACTED:
        add_redacted(gather, event);
        break;
    case CHAT_EVENT_SIGNATURE:
        sign(gather, event);
        break;
    case CHAT_EVENT_MEDIA:
        add_media(gather, event);
        break;
    case CHAT_EVENT_CALL_BEGIN:
        begin_call(gather, event);
        break;
    case CHAT_EVENT_CALL_ARGS:
        add_piece(gather, call_of(gather, event), event->text);
        break;
    case CHAT_EVENT_LOGPROBS:
        add_logprobs(gather, event);
        break;
    case CHAT_EVENT_FINISH:
        finish(gather, event);
        break;
    case CHAT_EVENT_USAGE:
        gather->answer.usage = *event->usage;
        break;
    case CHAT_EVENT_END:
        gather->is_over = true;
        break;
    case CHAT_EVENT_CALL_END:
    case CHAT_EVENT_PING:
    case CHAT_EVENT_ERROR:
        break;
    }
}

struct chat_gather *chat_gather_new(struct arena *arena)
{
    struct chat_gather *gather = arena_zalloc(arena, sizeof(*gather));

    if (!gather)
        return NULL;
    gather->arena = arena;
    gather->sink.put = put;
    return gather;
}

struct chat_sink *chat_gather_sink(struct chat_gather *gather)
{
    return &gather->sink;
}

/* --- the whole --- */

static struct span join(struct chat_gather *gather, const struct growing *part)
{
    size_t at = 0;
    char *joined;

    if (!part->first)
        return span_of(NULL, 0);
    if (!part->first->next)
        return part->first->text;
    joined = keep(gather, part->bytes);
    for (const struct piece *piece = part->first; joined && piece; piece = piece->next) {
        if (piece->text.len)
            memcpy(joined + at, piece->text.ptr, piece->text.len);
        at += piece->text.len;
    }
    return span_of(joined, joined ? at : 0);
}

static void close_choice(struct chat_gather *gather, struct gathered *from,
                         struct chat_choice *ret_choice)
{
    struct chat_part *parts = from->count ? keep(gather, from->count * sizeof(*parts)) : NULL;
    size_t count = 0;

    *ret_choice = from->choice;
    for (const struct growing *part = from->first; parts && part; part = part->next) {
        parts[count] = part->part;
        parts[count++].text = join(gather, part);
    }
    ret_choice->parts = parts;
    ret_choice->part_count = count;
}

int chat_gather_answer(struct chat_gather *gather, const struct chat_answer **ret_answer)
{
    struct chat_answer *answer = &gather->answer;
    size_t count = 0;

    if (!gather->is_over)
        return gather->err ? gather->err : ERR_EOF;
    answer->choices = keep(gather, (gather->choice_count + 1) * sizeof(*answer->choices));
    for (struct gathered *at = gather->choices; answer->choices && at; at = at->next)
        close_choice(gather, at, &answer->choices[count++]);
    answer->choice_count = count;
    if (gather->err)
        return gather->err;
    *ret_answer = answer;
    return 0;
}
