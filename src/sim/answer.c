#include "sim/answer.h"

#include <stdio.h>

#include "base/err.h"
#include "json/write.h"
#include "sim/schema.h"

enum { MAX_PIECES = 1 << 20 };

uint64_t sim_hash_more(uint64_t hash, struct span bytes)
{
    for (size_t i = 0; i < bytes.len; i++)
        hash = (hash ^ (unsigned char)bytes.ptr[i]) * 0x100000001b3ull;
    return hash;
}

uint64_t sim_hash(struct span bytes)
{
    return sim_hash_more(0xcbf29ce484222325ull, bytes);
}

/* The end of the piece that begins at `at`: spaces, then no spaces. */
static size_t piece_end(struct span content, size_t at)
{
    const char *space;

    while (at < content.len && content.ptr[at] == ' ')
        at++;
    space = memchr(content.ptr + at, ' ', content.len - at);
    return space ? (size_t)(space - content.ptr) : content.len;
}

static size_t count_pieces(struct span content)
{
    size_t count = 0;

    for (size_t at = 0; at < content.len; count++)
        at = piece_end(content, at);
    return count;
}

/* Not printed: the text may hold a NUL. */
static struct span make_content(const struct sim_text *text, struct arena *arena)
{
    static const struct span LEAD = {"echo: ", 6};
    char tail[24];
    size_t tail_len =
        (size_t)snprintf(tail, sizeof(tail), " #%016llx", (unsigned long long)text->hash);
    size_t len = LEAD.len + text->echo.len + tail_len;
    char *content = arena_alloc(arena, len);

    if (!content)
        return (struct span){0};
    memcpy(content, LEAD.ptr, LEAD.len);
    if (text->echo.len)
        memcpy(content + LEAD.len, text->echo.ptr, text->echo.len);
    memcpy(content + len - tail_len, tail, tail_len);
    return span_of(content, len);
}

static struct span make_arguments(const struct sim_text *text, struct arena *arena)
{
    struct span json = {0};
    struct buf buf;

    buf_init(&buf, 8 * SIM_MAX_ECHO_BYTES);
    sim_schema_plain(text, &buf);
    if (!buf.err)
        json = arena_copy(arena, buf_span(&buf));
    buf_fini(&buf);
    return json;
}

/* Free text for a tool that takes free text, JSON if any of the tools takes JSON. */
static bool is_json_called(const struct sim_ask *ask)
{
    for (size_t i = 0; i < ask->tool_count; i++)
        if (!ask->tools[i].is_custom)
            return true;
    return false;
}

/* Where the first of the stops stands, or the content's length; *ret_stop is that stop, or ptr
 * NULL.
 */
static size_t find_stop(const struct sim_ask *ask, struct span content, struct span *ret_stop)
{
    size_t end = content.len;

    *ret_stop = (struct span){0};
    for (size_t i = 0; i < ask->stop_count; i++) {
        size_t at = span_find(content, ask->stops[i]);

        if (at < end) {
            end = at;
            *ret_stop = ask->stops[i];
        }
    }
    return end;
}

/* Thoughts first: what they leave of max_tokens is the content's. */
static void init_choice(struct sim_choice *choice, const struct sim_ask *ask, struct span content,
                        struct span thought, unsigned index, uint64_t min_tokens)
{
    size_t count, thoughts = count_pieces(thought);
    struct span stop = {0};
    uint64_t wanted, left;

    if (thoughts > ask->max_tokens)
        thoughts = ask->max_tokens;
    left = ask->max_tokens - thoughts;
    if (!ask->tool_count)
        content.len = find_stop(ask, content, &stop);
    wanted = count = count_pieces(content);
    *choice = (struct sim_choice){.content = content,
                                  .content_count = count,
                                  .stop = stop,
                                  .thought = thought,
                                  .thought_count = thoughts};
    if (ask->tool_count) {
        wanted = count * ask->tool_count;
    } else if (!stop.ptr) {
        if (wanted < min_tokens)
            wanted = min_tokens;
        choice->is_marked = index > 0;
        choice->mark = index;
        wanted += choice->is_marked;
    }
    choice->is_cut = wanted > left;
    if (choice->is_cut)
        choice->stop = (struct span){0};
    choice->piece_count = choice->is_cut ? left : wanted;
}

/* JSON arguments for a tool that takes JSON, JSON as asked for, or the echo. */
static struct span content_of(const struct sim_ask *ask, const struct sim_text *text,
                              struct arena *arena)
{
    if (is_json_called(ask))
        return ask->is_call_bare ? SPAN("{}") : make_arguments(text, arena);
    return ask->json.ptr && !ask->tool_count ? ask->json : make_content(text, arena);
}

int sim_answer_init(struct sim_answer *answer, const struct sim_ask *ask, uint64_t min_tokens,
                    struct arena *arena)
{
    size_t count = ask->text_count * ask->choices;

    *answer = (struct sim_answer){.ask = ask, .has_usage = ask->is_usage_apart, .has_end = true};
    answer->choices = arena_alloc(arena, count * sizeof(*answer->choices));
    if (!answer->choices)
        return ERR_NOMEM;
    for (size_t t = 0; t < ask->text_count; t++) {
        struct span content = content_of(ask, &ask->texts[t], arena);
        struct span thought = {"", 0};

        if (ask->is_thinking)
            thought = arena_printf(arena, "thinking about #%016llx",
                                   (unsigned long long)ask->texts[t].hash);
        if (!content.ptr || !thought.ptr)
            return ERR_NOMEM;
        for (unsigned i = 0; i < ask->choices; i++) {
            struct sim_choice *choice = &answer->choices[answer->choice_count++];

            init_choice(choice, ask, content, thought, i,
                        min_tokens < MAX_PIECES ? min_tokens : MAX_PIECES);
            answer->completion_tokens += choice->piece_count + choice->thought_count;
            answer->thought_tokens += choice->thought_count;
        }
    }
    return 0;
}

void sim_answer_block(struct sim_answer *answer)
{
    for (size_t i = 0; i < answer->choice_count; i++)
        answer->choices[i] = (struct sim_choice){.content = {"", 0}, .thought = {"", 0}};
    answer->is_blocked = true;
    answer->completion_tokens = answer->thought_tokens = 0;
}

/* The piece of that number; *at is where the content's next piece begins, and moves on. */
static struct span piece_text(const struct sim_choice *choice, size_t piece, size_t *at,
                              char filler[SIM_FILLER_BYTES])
{
    size_t begin = *at;
    int len;

    if (begin < choice->content.len) {
        *at = piece_end(choice->content, begin);
        return span_of(choice->content.ptr + begin, *at - begin);
    }
    if (choice->is_marked && piece + 1 == choice->piece_count && !choice->is_cut)
        len = snprintf(filler, SIM_FILLER_BYTES, " choice-%u", choice->mark);
    else
        len = snprintf(filler, SIM_FILLER_BYTES, " w%zu", piece);
    return span_of(filler, (size_t)len);
}

static struct span next_piece(struct sim_answer *answer, struct sim_choice *choice)
{
    struct span text = piece_text(choice, choice->piece, &choice->at, answer->filler);

    choice->piece++;
    return text;
}

static void tell_finish(struct sim_answer *answer, struct sim_choice *choice,
                        struct sim_event *event)
{
    choice->is_finished = true;
    answer->finished++;
    event->kind = SIM_EVENT_FINISH;
}

static void tell_words(struct sim_answer *answer, struct sim_choice *choice,
                       struct sim_event *event)
{
    if (choice->piece < choice->piece_count) {
        event->kind = SIM_EVENT_TEXT;
        event->text = next_piece(answer, choice);
    } else {
        tell_finish(answer, choice, event);
    }
}

static size_t whole_calls(const struct sim_choice *choice)
{
    return choice->content_count ? choice->piece_count / choice->content_count : 0;
}

static void tell_whole_calls(struct sim_answer *answer, struct sim_choice *choice,
                             struct sim_event *event)
{
    if (choice->call < whole_calls(choice)) {
        event->call = choice->call++;
        event->kind = SIM_EVENT_CALL;
    } else {
        tell_finish(answer, choice, event);
    }
}

static void tell_calls(struct sim_answer *answer, struct sim_choice *choice,
                       struct sim_event *event)
{
    bool is_begun = choice->piece < choice->call * choice->content_count;

    if (choice->call == 0 || (!is_begun && choice->piece < choice->piece_count)) {
        choice->at = 0;
        event->call = choice->call++;
        event->kind = SIM_EVENT_CALL;
    } else if (choice->piece < choice->piece_count) {
        event->call = choice->call - 1;
        event->kind = SIM_EVENT_ARGUMENTS;
        event->text = next_piece(answer, choice);
    } else {
        tell_finish(answer, choice, event);
    }
}

static bool has_start(const struct sim_answer *answer)
{
    const struct sim_ask *ask = answer->ask;

    switch (ask->start) {
    case SIM_START_WORDS:
        return !ask->tool_count || ask->is_thinking_told || answer->is_blocked;
    case SIM_START_ALWAYS:
        break;
    case SIM_START_NEVER:
        return false;
    }
    return true;
}

/* True, with the event set, where the choice's start or one of its thoughts is what comes next. */
static bool tell_before(struct sim_answer *answer, struct sim_choice *choice,
                        struct sim_event *event)
{
    size_t at = 0, end = 0;

    if (!choice->is_started) {
        choice->is_started = true;
        event->kind = SIM_EVENT_START;
        if (has_start(answer))
            return true;
    }
    if (!answer->ask->is_thinking_told || choice->thoughts_told == choice->thought_count)
        return false;
    for (size_t i = 0; i <= choice->thoughts_told; i++) {
        at = end;
        end = piece_end(choice->thought, at);
    }
    event->kind = SIM_EVENT_THOUGHT;
    event->text = span_of(choice->thought.ptr + at, end - at);
    event->is_last = ++choice->thoughts_told == choice->thought_count;
    return true;
}

bool sim_answer_next(struct sim_answer *answer, struct sim_event *ret_event)
{
    struct sim_choice *choice;

    *ret_event = (struct sim_event){0};
    if (answer->finished == answer->choice_count) {
        if (answer->has_usage) {
            answer->has_usage = false;
            ret_event->kind = SIM_EVENT_USAGE;
            return true;
        }
        ret_event->kind = SIM_EVENT_END;
        if (!answer->has_end)
            return false;
        answer->has_end = false;
        return true;
    }
    while (answer->choices[answer->turn].is_finished)
        answer->turn = (answer->turn + 1) % answer->choice_count;
    choice = &answer->choices[answer->turn];
    ret_event->choice = (unsigned)answer->turn;
    answer->turn = (answer->turn + 1) % answer->choice_count;
    if (tell_before(answer, choice, ret_event))
        return true;
    if (answer->is_blocked)
        tell_finish(answer, choice, ret_event);
    else if (answer->ask->tool_count && answer->ask->is_call_whole)
        tell_whole_calls(answer, choice, ret_event);
    else if (answer->ask->tool_count)
        tell_calls(answer, choice, ret_event);
    else
        tell_words(answer, choice, ret_event);
    return true;
}

struct span sim_answer_text(const struct sim_answer *answer, size_t index, struct buf *scratch)
{
    const struct sim_choice *choice = &answer->choices[index];
    size_t begin = scratch->len, at = 0;
    char filler[SIM_FILLER_BYTES];

    if (choice->piece_count == choice->content_count)
        return choice->content;
    for (size_t piece = 0; piece < choice->piece_count; piece++)
        buf_append_span(scratch, piece_text(choice, piece, &at, filler));
    return span_of(scratch->data + begin, scratch->len - begin);
}

void sim_answer_write_text(const struct sim_answer *answer, size_t index, struct buf *out)
{
    struct buf scratch;

    buf_init(&scratch, SIZE_MAX);
    json_write_string(out, sim_answer_text(answer, index, &scratch));
    if (scratch.err && !out->err)
        out->err = scratch.err;
    buf_fini(&scratch);
}

struct span sim_answer_thought(const struct sim_answer *answer, size_t index)
{
    const struct sim_choice *choice = &answer->choices[index];
    size_t end = 0;

    for (size_t i = 0; i < choice->thought_count; i++)
        end = piece_end(choice->thought, end);
    return span_of(choice->thought.ptr, end);
}

bool sim_answer_is_call_whole(const struct sim_answer *answer, size_t index, size_t call)
{
    return call < whole_calls(&answer->choices[index]);
}

size_t sim_answer_calls(const struct sim_answer *answer, size_t index)
{
    const struct sim_choice *choice = &answer->choices[index];
    size_t calls;

    if (answer->is_blocked)
        return 0;
    calls = (choice->piece_count + choice->content_count - 1) / choice->content_count;
    return calls ? calls : 1;
}

struct span sim_answer_arguments(const struct sim_answer *answer, size_t index, size_t call)
{
    const struct sim_choice *choice = &answer->choices[index];
    size_t before = call * choice->content_count, at = 0;

    for (size_t piece = 0; piece < choice->content_count && before + piece < choice->piece_count;
         piece++)
        at = piece_end(choice->content, at);
    return span_of(choice->content.ptr, at);
}

const struct sim_tool *sim_answer_tool(const struct sim_answer *answer, size_t call)
{
    return &answer->ask->tools[call];
}

/* splitmix64 from the hash on; 24 bits of each step, as many as a float holds. */
float sim_embedding_next(uint64_t hash, unsigned j, uint64_t *state)
{
    uint64_t z;

    if (j == 0)
        *state = hash;
    z = (*state += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    z ^= z >> 31;
    return (float)((double)(z >> 40) / 8388608.0 - 1.0);
}

void sim_embedding_write(uint64_t hash, unsigned dimensions, struct buf *out)
{
    uint64_t state = 0;

    buf_append_byte(out, '[');
    for (unsigned j = 0; j < dimensions; j++)
        buf_printf(out, "%s%.9g", j ? "," : "", (double)sim_embedding_next(hash, j, &state));
    buf_append_byte(out, ']');
}
