#include "sim/answer.h"

#include <stdio.h>

#include "base/err.h"
#include "json/write.h"

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
    buf_append_span(&buf, SPAN("{\"text\": "));
    json_write_string(&buf, text->echo);
    buf_printf(&buf, ", \"hash\": \"%016llx\"}", (unsigned long long)text->hash);
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

static void init_choice(struct sim_choice *choice, const struct sim_ask *ask, struct span content,
                        unsigned index, uint64_t min_tokens)
{
    size_t count = count_pieces(content);
    uint64_t wanted = count;

    *choice = (struct sim_choice){.content = content, .content_count = count};
    if (ask->tool_count) {
        wanted = count * ask->tool_count;
    } else {
        if (wanted < min_tokens)
            wanted = min_tokens;
        choice->is_marked = index > 0;
        choice->mark = index;
        wanted += choice->is_marked;
    }
    choice->is_cut = wanted > ask->max_tokens;
    choice->piece_count = choice->is_cut ? ask->max_tokens : wanted;
}

int sim_answer_init(struct sim_answer *answer, const struct sim_ask *ask, uint64_t min_tokens,
                    struct arena *arena)
{
    bool is_json = is_json_called(ask);
    size_t count = ask->text_count * ask->choices;

    *answer = (struct sim_answer){.ask = ask, .has_usage = ask->is_usage_wanted, .has_end = true};
    answer->choices = arena_alloc(arena, count * sizeof(*answer->choices));
    if (!answer->choices)
        return ERR_NOMEM;
    for (size_t t = 0; t < ask->text_count; t++) {
        struct span content =
            is_json ? make_arguments(&ask->texts[t], arena) : make_content(&ask->texts[t], arena);

        if (!content.ptr)
            return ERR_NOMEM;
        for (unsigned i = 0; i < ask->choices; i++) {
            struct sim_choice *choice = &answer->choices[answer->choice_count++];

            init_choice(choice, ask, content, i, min_tokens < MAX_PIECES ? min_tokens : MAX_PIECES);
            answer->completion_tokens += choice->piece_count;
        }
    }
    return 0;
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
    if (!choice->is_started && answer->ask->op == SIM_OP_CHAT) {
        choice->is_started = true;
        event->kind = SIM_EVENT_START;
    } else if (choice->piece < choice->piece_count) {
        event->kind = SIM_EVENT_TEXT;
        event->text = next_piece(answer, choice);
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
    if (answer->ask->tool_count)
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

size_t sim_answer_calls(const struct sim_answer *answer, size_t index)
{
    const struct sim_choice *choice = &answer->choices[index];
    size_t calls = (choice->piece_count + choice->content_count - 1) / choice->content_count;

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
