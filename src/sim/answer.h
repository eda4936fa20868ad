/*
 * The answer to a request as a function of the request, in words that hold for every dialect:
 * docs/simulator.md states it so that a test in any language can compute it. A struct sim_answer is
 * also the walk over it, event by event. Embedded in its call and made in its arena; pure; one
 * thread.
 */
#ifndef SIM_ANSWER_H
#define SIM_ANSWER_H

#include "base/arena.h"
#include "base/buf.h"
#include "sim/ask.h"

/* FNV-1a, 64 bits; sim_hash_more goes on where the bytes come in several pieces. */
uint64_t sim_hash(struct span bytes);
uint64_t sim_hash_more(uint64_t hash, struct span bytes);

/* One answer of several, and how far it has been told. */
struct sim_choice {
    struct span content;  /* without filling and mark; for tool calls the arguments */
    size_t content_count; /* pieces of the content */
    struct span stop;     /* that ended it; ptr NULL: none did */
    struct span thought;  /* empty unless it thinks */
    size_t thought_count; /* pieces of it, to be told or only counted */
    size_t thoughts_told;
    size_t piece_count; /* to be told in all */
    size_t piece;       /* told so far */
    size_t at;          /* in content, behind the last piece told */
    unsigned call;      /* tool calls begun */
    bool is_started;
    bool is_finished;
    bool is_cut; /* by max_tokens */
    bool is_marked;
    unsigned mark; /* the last piece is " choice-<mark>" */
};

enum sim_event_kind {
    SIM_EVENT_START,     /* of a choice */
    SIM_EVENT_THOUGHT,   /* its next piece; they come before all else */
    SIM_EVENT_TEXT,      /* its next piece */
    SIM_EVENT_CALL,      /* a tool call begins; the choice's first one stands for its start too */
    SIM_EVENT_ARGUMENTS, /* the call's next piece */
    SIM_EVENT_FINISH,    /* of a choice */
    SIM_EVENT_USAGE,
    SIM_EVENT_END
};

struct sim_event {
    enum sim_event_kind kind;
    unsigned choice;
    unsigned call;
    struct span text; /* valid until the next event */
    bool is_last;     /* thoughts: no more follow */
};

enum { SIM_FILLER_BYTES = 40 };

struct sim_answer {
    const struct sim_ask *ask;
    struct sim_choice *choices;
    size_t choice_count;
    size_t finished;
    size_t turn;                /* the choice that tells next: they take turns */
    uint64_t completion_tokens; /* thoughts included */
    uint64_t thought_tokens;
    struct span finish; /* told in place of the true reason; empty: it is not */
    bool has_usage;     /* to be told still */
    bool has_end;
    bool is_blocked; /* a filter withholds it: no choice says anything */
    char filler[SIM_FILLER_BYTES];
};

/* min_tokens: shorter answers are filled up to it. 0 or ERR_NOMEM. ask and arena outlive it. */
int sim_answer_init(struct sim_answer *answer, const struct sim_ask *ask, uint64_t min_tokens,
                    struct arena *arena);

/* Takes all words, thoughts and calls out of it. Before the first event. */
void sim_answer_block(struct sim_answer *answer);

/* The next event, or false at the end. */
bool sim_answer_next(struct sim_answer *answer, struct sim_event *ret_event);

/* True where sim_answer_next would be false. */
static inline bool sim_answer_is_over(const struct sim_answer *answer)
{
    return answer->finished == answer->choice_count && !answer->has_usage && !answer->has_end;
}

/* The whole text of the choice at `index`; borrowed from the answer or appended to `scratch`. */
struct span sim_answer_text(const struct sim_answer *answer, size_t index, struct buf *scratch);

/* The same as a JSON string. */
void sim_answer_write_text(const struct sim_answer *answer, size_t index, struct buf *out);

/* What a choice thought, as far as max_tokens let it. */
struct span sim_answer_thought(const struct sim_answer *answer, size_t index);

/* The tool calls a choice makes, and the arguments of one of them. */
size_t sim_answer_calls(const struct sim_answer *answer, size_t index);
struct span sim_answer_arguments(const struct sim_answer *answer, size_t index, size_t call);

/* False where max_tokens cut the call's arguments. */
bool sim_answer_is_call_whole(const struct sim_answer *answer, size_t index, size_t call);

/* Which tool the call is of. */
const struct sim_tool *sim_answer_tool(const struct sim_answer *answer, size_t call);

/* The j-th number of the embedding of a text with that hash, in [-1, 1); exact as a float. Calls go
 * up from j = 0; *state is the walk's own. */
float sim_embedding_next(uint64_t hash, unsigned j, uint64_t *state);

/* All of it as a JSON array of numbers. */
void sim_embedding_write(uint64_t hash, unsigned dimensions, struct buf *out);

#endif
