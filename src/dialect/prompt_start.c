#include "dialect/prompt_start.h"

#include "json/scan.h"

enum row {
    SYSTEM,
    INSTRUCTIONS,
    SYSTEM_INSTRUCTION,
    MESSAGES,
    CONTENTS,
    INPUT,
    PROMPT,
    /* Of an item of the three lists. */
    MESSAGE_ROLE,
    MESSAGE_CONTENT,
    CONTENTS_ROLE,
    CONTENTS_PARTS,
    INPUT_ROLE,
    INPUT_CONTENT,
    ROW_COUNT,
};

_Static_assert(PROMPT - SYSTEM + 1 == PROMPT_RANGES_MAX, "a range for each");

enum { ROLE_BYTES = 16, DEPTH_MAX = 512 };

/* clang-format off */
#define LIST_OF(name, first, role, content) \
    {SPAN_INIT(name), -1, JSON_ANY, JSON_PER_ITEM, first, JSON_MARK(role) | JSON_MARK(content)}
/* clang-format on */

static const struct json_watch rows[ROW_COUNT] = {
    [SYSTEM] = {SPAN_INIT("system"), -1, JSON_ANY, 0, 0, 0},
    [INSTRUCTIONS] = {SPAN_INIT("instructions"), -1, JSON_ANY, 0, 0, 0},
    [SYSTEM_INSTRUCTION] = {SPAN_INIT("systemInstruction"), -1, JSON_ANY, 0, 0, 0},
    [MESSAGES] = LIST_OF("messages", MESSAGE_ROLE, "role", "content"),
    [CONTENTS] = LIST_OF("contents", CONTENTS_ROLE, "role", "parts"),
    [INPUT] = LIST_OF("input", INPUT_ROLE, "role", "content"),
    [PROMPT] = {SPAN_INIT("prompt"), -1, JSON_ANY, 0, 0, 0},
    [MESSAGE_ROLE] = {SPAN_INIT("role"), MESSAGES, JSON_ANY, 0, 0, 0},
    [MESSAGE_CONTENT] = {SPAN_INIT("content"), MESSAGES, JSON_ANY, 0, 0, 0},
    [CONTENTS_ROLE] = {SPAN_INIT("role"), CONTENTS, JSON_ANY, 0, 0, 0},
    [CONTENTS_PARTS] = {SPAN_INIT("parts"), CONTENTS, JSON_ANY, 0, 0, 0},
    [INPUT_ROLE] = {SPAN_INIT("role"), INPUT, JSON_ANY, 0, 0, 0},
    [INPUT_CONTENT] = {SPAN_INIT("content"), INPUT, JSON_ANY, 0, 0, 0},
};

static const struct json_spelling spellings[] = {
    {SPAN_INIT("system_instruction"), SYSTEM_INSTRUCTION}, /* Google reads both */
};

static const struct json_watchlist list = {
    .rows = rows,
    .count = ROW_COUNT,
    .spellings = spellings,
    .spelling_count = sizeof(spellings) / sizeof(spellings[0]),
    .root_marks = JSON_MARK("system") | JSON_MARK("instructions") | JSON_MARK("systemInstruction") |
                  JSON_MARK("messages") | JSON_MARK("contents") | JSON_MARK("input") |
                  JSON_MARK("prompt") | JSON_MARK("system_instruction"),
};

struct reading {
    struct json_scan scan;
    char roles[3][ROLE_BYTES];
    uint64_t first_end; /* of the first message of the user; 0: none so far */
};

/* After each item of a list. A message without a role is the user's. */
static void on_item(void *context, int row)
{
    struct reading *reading = context;
    int role = rows[row].below;
    struct span text = json_scan_text(&reading->scan, role);
    const struct json_seen *content = &reading->scan.seen[role + 1];

    if (reading->first_end || !content->is_whole)
        return;
    if (reading->scan.seen[role].type == 0 || span_is_equal(text, SPAN("user")))
        reading->first_end = content->end;
}

/* Where what tells of a list, or of a text, ends. */
static uint64_t end_of(const struct reading *reading, const struct json_seen *seen, uint64_t read)
{
    uint64_t end = seen->is_whole ? seen->end : read;

    if (seen->type == JSON_ARRAY && reading->first_end > seen->start)
        return reading->first_end;
    if (seen->type == JSON_STRING && end > seen->start + PROMPT_TEXT_BYTES)
        return seen->start + PROMPT_TEXT_BYTES;
    return end;
}

static void read(struct reading *reading, const struct span *pieces, size_t count,
                 uint64_t *ret_read)
{
    static const int roles[] = {MESSAGE_ROLE, CONTENTS_ROLE, INPUT_ROLE};

    json_scan_init(&reading->scan, &list, DEPTH_MAX);
    reading->scan.on_item = on_item;
    reading->scan.context = reading;
    reading->first_end = *ret_read = 0;
    for (int i = 0; i < 3; i++)
        json_scan_capture(&reading->scan, roles[i], reading->roles[i], ROLE_BYTES);
    for (size_t i = 0; i < count && *ret_read < PROMPT_START_BYTES; i++) {
        struct span piece = pieces[i];

        if (piece.len > PROMPT_START_BYTES - *ret_read)
            piece.len = (size_t)(PROMPT_START_BYTES - *ret_read);
        *ret_read += piece.len;
        if (json_scan_feed(&reading->scan, piece))
            return;
    }
}

void prompt_start_find(const struct span *pieces, size_t count, struct prompt_start *ret_start)
{
    struct reading reading;
    uint64_t have;

    read(&reading, pieces, count, &have);
    ret_start->count = 0;
    for (int row = SYSTEM; row <= PROMPT; row++) {
        const struct json_seen *seen = &reading.scan.seen[row];

        if (seen->type == 0 || seen->type == JSON_NULL)
            continue;
        ret_start->ranges[ret_start->count].start = seen->start;
        ret_start->ranges[ret_start->count++].end = end_of(&reading, seen, have);
    }
}
