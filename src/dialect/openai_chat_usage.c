/* Usage and likelihoods of tokens, as OpenAI and its likes tell them. */
#include "base/alloc.h"
#include "dialect/openai_chat_inner.h"

/* Where there is a number, what it says, negative ones as 0. */
static bool read_count(const yyjson_val *value, const char *name, uint64_t *ret_count)
{
    int64_t count;

    if (!json_tree_int(json_tree_member(value, name), &count))
        return false;
    *ret_count = count > 0 ? (uint64_t)count : 0;
    return true;
}

static uint64_t at_most(uint64_t count, uint64_t limit)
{
    return count < limit ? count : limit;
}

bool openai_read_usage(const yyjson_val *value, struct dialect_usage *ret_usage)
{
    const yyjson_val *prompt = json_tree_member(value, "prompt_tokens_details");
    const yyjson_val *completion = json_tree_member(value, "completion_tokens_details");
    struct dialect_usage usage = {0};
    bool has_prompt = read_count(value, "prompt_tokens", &usage.prompt_tokens);
    bool has_completion = read_count(value, "completion_tokens", &usage.completion_tokens);
    bool has_total = read_count(value, "total_tokens", &usage.total_tokens);

    if (!has_prompt && !has_completion && !has_total)
        return false;
    if (!has_total) /* neither is above INT64_MAX */
        usage.total_tokens = usage.prompt_tokens + usage.completion_tokens;
    if (!has_completion && usage.total_tokens > usage.prompt_tokens)
        usage.completion_tokens = usage.total_tokens - usage.prompt_tokens;
    if (!read_count(prompt, "cached_tokens", &usage.cached_tokens))
        (void)read_count(value, "prompt_cache_hit_tokens", &usage.cached_tokens);
    (void)read_count(prompt, "cache_write_tokens", &usage.cache_write_tokens);
    (void)read_count(completion, "reasoning_tokens", &usage.reasoning_tokens);
    usage.cached_tokens = at_most(usage.cached_tokens, usage.prompt_tokens);
    usage.cache_write_tokens =
        at_most(usage.cache_write_tokens, usage.prompt_tokens - usage.cached_tokens);
    usage.reasoning_tokens = at_most(usage.reasoning_tokens, usage.completion_tokens);
    usage.is_known = true;
    *ret_usage = usage;
    return true;
}

void openai_write_usage(struct json_writer *json, const struct dialect_usage *usage)
{
    json_begin_object(json);
    json_member_uint(json, "prompt_tokens", usage->prompt_tokens);
    json_member_uint(json, "completion_tokens", usage->completion_tokens);
    json_member_uint(json, "total_tokens", usage->total_tokens);
    json_name(json, "prompt_tokens_details");
    json_begin_object(json);
    json_member_uint(json, "cached_tokens", usage->cached_tokens);
    if (usage->cache_write_tokens)
        json_member_uint(json, "cache_write_tokens", usage->cache_write_tokens);
    json_member_uint(json, "audio_tokens", 0);
    json_end_object(json);
    json_name(json, "completion_tokens_details");
    json_begin_object(json);
    json_member_uint(json, "reasoning_tokens", usage->reasoning_tokens);
    json_member_uint(json, "audio_tokens", 0);
    json_member_uint(json, "accepted_prediction_tokens", 0);
    json_member_uint(json, "rejected_prediction_tokens", 0);
    json_end_object(json);
    json_end_object(json);
}

/* --- likelihoods --- */

/* All that one list is told in, of one allocation: the tokens, their rivals, and their bytes. */
struct logprob_room {
    struct chat_logprob *tokens, *rivals;
    char *bytes;
};

static bool make_room(struct logprob_room *room, size_t tokens, size_t rivals, size_t bytes)
{
    size_t structs = (tokens + rivals) * sizeof(struct chat_logprob);

    room->tokens = mem_zalloc(1, structs + bytes + 1);
    if (!room->tokens)
        return false;
    room->rivals = room->tokens + tokens;
    room->bytes = (char *)room->tokens + structs;
    return true;
}

/* {"token","logprob","bytes":[…]|null}. Takes its bytes from *bytes. */
static void read_token(const yyjson_val *value, struct chat_logprob *logprob, char **bytes)
{
    yyjson_val *list = json_tree_plain(json_tree_member(value, "bytes")), *item;
    size_t at, max;
    int64_t number;

    logprob->token = json_tree_string(value, "token");
    (void)json_tree_double(json_tree_member(value, "logprob"), &logprob->logprob);
    if (!yyjson_is_arr(list))
        return;
    logprob->has_bytes = true;
    logprob->bytes = span_of(*bytes, yyjson_arr_size(list));
    yyjson_arr_foreach(list, at, max, item)
    {
        *(*bytes)++ = json_tree_int(item, &number) ? (char)(unsigned char)(number & 0xFF) : 0;
    }
}

static size_t count_bytes(const yyjson_val *value)
{
    yyjson_val *list = json_tree_plain(json_tree_member(value, "bytes"));

    return yyjson_is_arr(list) ? yyjson_arr_size(list) : 0;
}

static yyjson_val *rivals_of(yyjson_val *token)
{
    yyjson_val *list = yyjson_obj_get(token, "top_logprobs");

    return yyjson_is_arr(list) ? list : NULL;
}

/* The room that a list of tokens takes. */
static bool measure(yyjson_val *list, struct logprob_room *room)
{
    yyjson_val *token, *rival;
    size_t at, max, inner, inner_max, rivals = 0, bytes = 0;

    yyjson_arr_foreach(list, at, max, token)
    {
        bytes += count_bytes(token);
        rivals += yyjson_arr_size(rivals_of(token));
        yyjson_arr_foreach(rivals_of(token), inner, inner_max, rival)
        {
            bytes += count_bytes(rival);
        }
    }
    return make_room(room, yyjson_arr_size(list), rivals, bytes);
}

static void tell(struct openai_reader *reader, unsigned choice, const struct chat_logprob *tokens,
                 size_t count)
{
    openai_tell(reader, &(struct chat_event){.kind = CHAT_EVENT_LOGPROBS,
                                             .choice = choice,
                                             .logprobs = tokens,
                                             .logprob_count = count});
}

static void take_list(struct openai_reader *reader, unsigned choice, yyjson_val *list)
{
    struct logprob_room room;
    struct chat_logprob *rivals;
    yyjson_val *token, *rival;
    size_t at, max, inner, inner_max;

    if (!yyjson_is_arr(list) || yyjson_arr_size(list) == 0 || !measure(list, &room))
        return;
    rivals = room.rivals;
    yyjson_arr_foreach(list, at, max, token)
    {
        read_token(token, &room.tokens[at], &room.bytes);
        room.tokens[at].top = rivals;
        room.tokens[at].top_count = yyjson_arr_size(rivals_of(token));
        yyjson_arr_foreach(rivals_of(token), inner, inner_max, rival)
        {
            read_token(rival, rivals++, &room.bytes);
        }
    }
    tell(reader, choice, room.tokens, yyjson_arr_size(list));
    mem_free(room.tokens);
}

static yyjson_arr_iter column(yyjson_val *value, const char *name)
{
    return yyjson_arr_iter_with(yyjson_obj_get(value, name));
}

static size_t count_rivals(yyjson_val *value)
{
    yyjson_arr_iter tops = column(value, "top_logprobs");
    yyjson_val *top;
    size_t count = 0;

    while ((top = yyjson_arr_iter_next(&tops)))
        count += yyjson_obj_size(top);
    return count;
}

/* {TOKEN:NUMBER,…}: returns behind the last. */
static struct chat_logprob *read_rivals(yyjson_val *top, struct chat_logprob *rivals)
{
    yyjson_obj_iter iter = yyjson_obj_iter_with(top);
    yyjson_val *key;

    while ((key = yyjson_obj_iter_next(&iter))) {
        rivals->token = json_tree_text(key);
        (void)json_tree_double(yyjson_obj_iter_get_val(key), &rivals++->logprob);
    }
    return rivals;
}

/* The old way, by lists side by side: {"tokens","token_logprobs","top_logprobs":[{TOKEN:NUMBER}]}.
 */
static void take_columns(struct openai_reader *reader, unsigned choice, yyjson_val *value)
{
    yyjson_arr_iter tokens = column(value, "tokens"), tops = column(value, "top_logprobs");
    yyjson_arr_iter numbers = column(value, "token_logprobs");
    size_t count = yyjson_arr_size(yyjson_obj_get(value, "tokens"));
    struct logprob_room room;
    struct chat_logprob *rivals;

    if (count == 0 || !make_room(&room, count, count_rivals(value), 0))
        return;
    rivals = room.rivals;
    for (size_t at = 0; at < count; at++) {
        yyjson_val *top = yyjson_arr_iter_next(&tops);

        room.tokens[at].token = json_tree_text(yyjson_arr_iter_next(&tokens));
        (void)json_tree_double(yyjson_arr_iter_next(&numbers), &room.tokens[at].logprob);
        room.tokens[at].top = rivals;
        room.tokens[at].top_count = yyjson_obj_size(top);
        rivals = read_rivals(top, rivals);
    }
    tell(reader, choice, room.tokens, count);
    mem_free(room.tokens);
}

void openai_take_logprobs(struct openai_reader *reader, unsigned choice, const yyjson_val *value)
{
    yyjson_val *plain = json_tree_plain(value);

    if (!yyjson_is_obj(plain))
        return;
    take_list(reader, choice, yyjson_obj_get(plain, "content"));
    take_list(reader, choice, yyjson_obj_get(plain, "refusal"));
    take_columns(reader, choice, plain);
}

static void write_token(struct json_writer *json, const struct chat_logprob *logprob)
{
    json_member_string(json, "token", logprob->token);
    json_member_double(json, "logprob", logprob->logprob);
    json_name(json, "bytes");
    if (!logprob->has_bytes) {
        json_null(json);
        return;
    }
    json_begin_array(json);
    for (size_t i = 0; i < logprob->bytes.len; i++)
        json_uint(json, (unsigned char)logprob->bytes.ptr[i]);
    json_end_array(json);
}

void openai_write_logprobs(struct json_writer *json, const struct chat_logprob *logprobs,
                           size_t count)
{
    json_begin_object(json);
    json_name(json, "content");
    json_begin_array(json);
    for (size_t i = 0; i < count; i++) {
        json_begin_object(json);
        write_token(json, &logprobs[i]);
        json_name(json, "top_logprobs");
        json_begin_array(json);
        for (size_t k = 0; k < logprobs[i].top_count; k++) {
            json_begin_object(json);
            write_token(json, &logprobs[i].top[k]);
            json_end_object(json);
        }
        json_end_array(json);
        json_end_object(json);
    }
    json_end_array(json);
    json_member_null(json, "refusal");
    json_end_object(json);
}
