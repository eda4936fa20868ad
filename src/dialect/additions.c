#include "dialect/additions.h"

#include <stdio.h>

/* The names of a form; empty: it has no such parameter. In the order of enum request_sign, from
 * REQUEST_SETS_MAX_TOKENS on. */
enum { FIRST = REQUEST_SETS_MAX_TOKENS, PARAMETERS = REQUEST_SETS_EFFORT - FIRST + 1 };

#define NONE                                                                                       \
    {                                                                                              \
        NULL, 0                                                                                    \
    }

static const struct span names[FORM_COUNT][PARAMETERS] = {
    [FORM_CHAT] = {SPAN_INIT("max_completion_tokens"), SPAN_INIT("temperature"), SPAN_INIT("top_p"),
                   NONE, SPAN_INIT("seed"), SPAN_INIT("presence_penalty"),
                   SPAN_INIT("frequency_penalty"), SPAN_INIT("reasoning_effort")},
    [FORM_COMPLETIONS] = {SPAN_INIT("max_tokens"), SPAN_INIT("temperature"), SPAN_INIT("top_p"),
                          NONE, SPAN_INIT("seed"), SPAN_INIT("presence_penalty"),
                          SPAN_INIT("frequency_penalty"), NONE},
    [FORM_RESPONSES] = {SPAN_INIT("max_output_tokens"), SPAN_INIT("temperature"),
                        SPAN_INIT("top_p"), NONE, NONE, NONE, NONE, NONE},
    [FORM_MESSAGES] = {SPAN_INIT("max_tokens"), SPAN_INIT("temperature"), SPAN_INIT("top_p"),
                       SPAN_INIT("top_k"), NONE, NONE, NONE, NONE},
    [FORM_GENERATE] = {SPAN_INIT("maxOutputTokens"), SPAN_INIT("temperature"), SPAN_INIT("topP"),
                       SPAN_INIT("topK"), SPAN_INIT("seed"), SPAN_INIT("presencePenalty"),
                       SPAN_INIT("frequencyPenalty"), NONE},
};

static struct span value_of(const struct conf_set *set, int parameter)
{
    const struct span *values[PARAMETERS] = {&set->max_tokens,
                                             &set->temperature,
                                             &set->top_p,
                                             &set->top_k,
                                             &set->seed,
                                             &set->presence_penalty,
                                             &set->frequency_penalty,
                                             &set->reasoning_effort};

    return *values[parameter];
}

static void put(struct additions *additions, struct span text)
{
    /* The longest of all values together are far below the room (conf/types_choice.c bounds them).
     */
    if (text.len > sizeof(additions->text) - additions->len)
        return;
    memcpy(additions->text + additions->len, text.ptr, text.len);
    additions->len += text.len;
}

static void put_member(struct additions *additions, struct span name, struct span value,
                       bool is_text)
{
    put(additions, SPAN("\""));
    put(additions, name);
    put(additions, is_text ? SPAN("\":\"") : SPAN("\":"));
    put(additions, value);
    put(additions, is_text ? SPAN("\",") : SPAN(","));
}

static struct span name_of(enum form form, int parameter, bool is_old_max)
{
    if (is_old_max && form == FORM_CHAT && parameter == 0)
        return SPAN("max_tokens");
    return names[form][parameter];
}

static void put_members(const struct request_scan *request, const struct conf_set *set,
                        bool is_old_max, struct additions *additions)
{
    for (int i = 0; i < PARAMETERS; i++) {
        struct span name = name_of(request->form, i, is_old_max), value = value_of(set, i);

        if (name.len && value.len && !request_scan_has(request, (enum request_sign)(FIRST + i)))
            put_member(additions, name, value, FIRST + i == REQUEST_SETS_EFFORT);
    }
}

/* The comma behind the last member goes where nothing follows. */
static void end_members(struct additions *additions, bool is_last)
{
    if (additions->len && is_last)
        additions->len--;
}

void additions_of(const struct request_scan *request, const struct conf_set *set, bool is_old_max,
                  struct additions *ret_additions)
{
    const struct json_seen *options = &request->seen[REQUEST_OPTIONS];

    ret_additions->len = 0;
    ret_additions->offset = request->root_start;
    if (request->form != FORM_GENERATE) {
        put_members(request, set, is_old_max, ret_additions);
        end_members(ret_additions, request->root_is_empty);
    } else if (options->type == JSON_OBJECT) {
        ret_additions->offset = options->start + 1;
        put_members(request, set, is_old_max, ret_additions);
        end_members(ret_additions, options->is_empty);
    } else if (!options->type) {
        put(ret_additions, SPAN("\"generationConfig\":{"));
        put_members(request, set, is_old_max, ret_additions);
        if (ret_additions->text[ret_additions->len - 1] == '{')
            ret_additions->len = 0;
        end_members(ret_additions, true);
        if (ret_additions->len)
            put(ret_additions, request->root_is_empty ? SPAN("}") : SPAN("},"));
    }
}

static void move(uint64_t *place, const struct additions *additions)
{
    if (*place >= additions->offset)
        *place += additions->len;
}

void additions_note(struct request_scan *request, const struct conf_set *set,
                    const struct additions *additions)
{
    struct json_seen *most = &request->seen[REQUEST_MAX_TOKENS];
    uint64_t tokens;

    for (int i = 0; i < REQUEST_FIELD_COUNT; i++) {
        move(&request->seen[i].start, additions);
        move(&request->seen[i].end, additions);
    }
    request->root_is_empty = false;
    if (additions->offset == request->seen[REQUEST_OPTIONS].start + 1)
        request->seen[REQUEST_OPTIONS].is_empty = false;
    if (request_scan_has(request, REQUEST_SETS_MAX_TOKENS) || !set->max_tokens.len ||
        !names[request->form][0].len || span_to_u64(set->max_tokens, &tokens))
        return;
    most->type = JSON_NUMBER;
    most->number = (int64_t)tokens;
}
