#include "dialect/gemini_calls.h"

#include "base/map.h"

/* Parts of one hash, chained: indices from 1, 0 ends a chain. */
struct table {
    size_t *first; /* of a bucket */
    size_t *next;  /* behind a part */
};

struct gemini_calls {
    struct arena *arena;
    const struct chat_message *turn;
    bool *answered;      /* of its parts */
    size_t open;         /* all calls before it are answered */
    size_t bucket_count; /* a power of two; 0: not hashed yet */
    struct table ids, names;
};

struct gemini_calls *gemini_calls_new(struct arena *arena, const struct chat_message *turn)
{
    struct gemini_calls *calls = arena_zalloc(arena, sizeof(*calls));

    if (!calls)
        return NULL;
    calls->arena = arena;
    calls->turn = turn;
    calls->answered = arena_zalloc(arena, turn->part_count + 1);
    return calls->answered ? calls : NULL;
}

/* --- hashed --- */

static void add(struct gemini_calls *calls, struct table *table, struct span key, size_t index)
{
    size_t *first = &table->first[map_hash(key) & (calls->bucket_count - 1)];

    table->next[index] = *first;
    *first = index + 1;
}

static bool make_table(struct gemini_calls *calls, struct table *table, size_t bucket_count)
{
    table->first = arena_zalloc(calls->arena, bucket_count * sizeof(*table->first));
    table->next = arena_zalloc(calls->arena, calls->turn->part_count * sizeof(*table->next));
    return table->first && table->next;
}

static bool hash_calls(struct gemini_calls *calls)
{
    const struct chat_part *parts = calls->turn->parts;
    size_t count = calls->turn->part_count, bucket_count = 16;

    if (calls->bucket_count)
        return true;
    while (bucket_count < count)
        bucket_count *= 2;
    if (!make_table(calls, &calls->ids, bucket_count) ||
        !make_table(calls, &calls->names, bucket_count))
        return false;
    calls->bucket_count = bucket_count;
    /* What is added last is found first: the last of an id, the first of a name. */
    for (size_t i = 0; i < count; i++) {
        if (parts[i].kind == CHAT_PART_CALL)
            add(calls, &calls->ids, parts[i].id, i);
    }
    for (size_t i = count; i-- > 0;) {
        if (parts[i].kind == CHAT_PART_CALL)
            add(calls, &calls->names, parts[i].name, i);
    }
    return true;
}

/* The index of the first call of that key without an answer; SIZE_MAX: none. Answered ones leave
 * the chain. */
static size_t find(struct gemini_calls *calls, struct table *table, struct span key)
{
    size_t *place = &table->first[map_hash(key) & (calls->bucket_count - 1)];

    while (*place) {
        size_t index = *place - 1;
        const struct chat_part *part = &calls->turn->parts[index];

        if (calls->answered[index]) {
            *place = table->next[index];
            continue;
        }
        if (span_is_equal(table == &calls->ids ? part->id : part->name, key))
            return index;
        place = &table->next[index];
    }
    return SIZE_MAX;
}

/* --- in order --- */

/* Whether the first call without an answer is the one that is sought. */
static bool is_next(struct gemini_calls *calls, struct span id, struct span name)
{
    const struct chat_part *part = calls->turn->parts;
    size_t count = calls->turn->part_count;

    while (calls->open < count &&
           (part[calls->open].kind != CHAT_PART_CALL || calls->answered[calls->open]))
        calls->open++;
    if (calls->open == count)
        return false;
    part += calls->open;
    return id.len ? span_is_equal(part->id, id) : span_is_equal(part->name, name);
}

const struct chat_part *gemini_calls_take(struct gemini_calls *calls, struct span id,
                                          struct span name)
{
    size_t found = SIZE_MAX;

    if (is_next(calls, id, name)) {
        found = calls->open;
    } else if (calls->open < calls->turn->part_count && hash_calls(calls)) {
        if (id.len)
            found = find(calls, &calls->ids, id);
        if (found == SIZE_MAX)
            found = find(calls, &calls->names, name);
    }
    if (found == SIZE_MAX)
        return NULL;
    calls->answered[found] = true;
    return &calls->turn->parts[found];
}
