/*
 * Answers of chat completions as OpenAI and its likes give them: what is told of each, and that
 * the promises of dialect/chat_answer.h are kept whatever comes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/rand.h"
#include "dialect/chat_answer.h"
#include "promise.h"
#include "trace.h"

enum { ARENA_MAX = 8 << 20 };

struct play {
    struct arena_pool pool;
    struct arena arena;
    struct chat_reader *reader;
    struct promise *promise;
    struct trace trace;
};

static void begin(struct play *play, unsigned choices)
{
    const struct form_ops *ops = form_ops(FORM_CHAT);

    arena_pool_init(&play->pool, 4);
    arena_init(&play->arena, &play->pool, ARENA_MAX);
    trace_init(&play->trace);
    play->promise = promise_new(&play->trace.sink);
    assert_non_null(play->promise);
    play->reader = arena_zalloc(&play->arena, ops->reader_size);
    assert_non_null(play->reader);
    play->reader->sink = &play->promise->sink;
    play->reader->arena = &play->arena;
    play->reader->seed = UINT64_C(0x0123456789abcdef);
    play->reader->choices = choices;
}

static void finish(struct play *play)
{
    promise_free(&play->promise);
    trace_fini(&play->trace);
    arena_fini(&play->arena);
    arena_pool_fini(&play->pool);
}

/* One line is the data of one event; "!" before it names the event "error". */
static int read_line(struct play *play, struct span line)
{
    struct sse_event event = {.kind = SSE_DATA, .data_lines = 1};

    if (span_has_prefix(line, SPAN("!"))) {
        event.name = SPAN("error");
        line = span_skip(line, 1);
    }
    event.raw = event.data = line;
    return form_ops(FORM_CHAT)->read_event(play->reader, &event);
}

static void check(const char *title, struct play *play, const char *expected)
{
    const char *is = buf_text(&play->trace.text);

    if (promise_broken(play->promise))
        fail_msg("%s: %s\n%s", title, promise_broken(play->promise), is);
    if (strcmp(is, expected) != 0)
        fail_msg("%s\nis:\n%s\nwanted:\n%s", title, is, expected);
}

struct stream_case {
    const char *title;
    unsigned choices;
    const char *lines;
    const char *expected;
};

static void play_stream(const struct stream_case *row)
{
    struct span rest = span_from_text(row->lines), line;
    struct play play;

    begin(&play, row->choices);
    while (span_next_token(&rest, '\n', &line))
        assert_int_equal(read_line(&play, line), 0);
    form_ops(FORM_CHAT)->read_end(play.reader);
    check(row->title, &play, row->expected);
    finish(&play);
}

/* Pieces of chunks. */
#define HEAD "{\"id\":\"c1\",\"object\":\"chat.completion.chunk\",\"created\":7,\"model\":\"m\","
#define DELTA(delta)                                                                               \
    HEAD "\"choices\":[{\"index\":0,\"delta\":{" delta "},\"finish_reason\":null}]}\n"
#define LAST(reason)                                                                               \
    HEAD "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"" reason "\"}]}\n"
#define CALL(call)     DELTA("\"tool_calls\":[" call "]")
#define DONE           "[DONE]\n"
#define USAGE(members) HEAD "\"choices\":[],\"usage\":{" members "}}\n"
#define START          "START id=c1 model=m created=7\n"

static const struct stream_case streams[] = {
    {"as OpenAI writes it", 1,
     DELTA("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null") DELTA("\"content\":\"He\"")
         DELTA("\"content\":\"llo\"") LAST("stop")
             USAGE("\"prompt_tokens\":5,\"completion_tokens\":2,\"total_tokens\":7,"
                   "\"prompt_tokens_details\":{\"cached_tokens\":3,\"cache_write_tokens\":1},"
                   "\"completion_tokens_details\":{\"reasoning_tokens\":1}") DONE,
     START "TEXT 0 \"He\"\nTEXT 0 \"llo\"\nFINISH 0 stop\n"
           "USAGE 5+2=7 cached=3 written=1 reasoning=1\nEND\n"},
    {"a call in fragments", 1,
     DELTA("\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"index\":0,\"id\":\"call_9\","
           "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]")
         CALL("{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":\"}}")
             CALL("{\"index\":0,\"function\":{\"arguments\":\"1}\"}}") LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=call_9 name=f\nCALL_ARGS 0/0 \"{\"a\":\"\nCALL_ARGS 0/0 \"1}\"\n"
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"one call after the other: the first ends where the second begins", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}")
         CALL("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"\"}}")
             CALL("{\"index\":1,\"function\":{\"arguments\":\"{}\"}}") LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n"
           "CALL_BEGIN 0/1 id=b name=g\nCALL_ARGS 0/1 \"{}\"\nCALL_END 0/1\n"
           "FINISH 0 calls\nEND\n"},
    {"calls in turns", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}")
         CALL("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{\"}}")
             CALL("{\"index\":0,\"function\":{\"arguments\":\"}\"}},"
                  "{\"index\":1,\"function\":{\"arguments\":\"}\"}}") LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{\"\n"
           "CALL_BEGIN 0/1 id=b name=g\nCALL_ARGS 0/1 \"{\"\n"
           "CALL_ARGS 0/0 \"}\"\nCALL_ARGS 0/1 \"}\"\nCALL_END 0/0\nCALL_END 0/1\n"
           "FINISH 0 calls\nEND\n"},
    {"Azure: a first chunk of nothing, filter chunks behind the end", 1,
     "{\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\","
     "\"prompt_filter_results\":[]}\n" DELTA("\"content\":\"Hi\"")
         LAST("stop") "{\"id\":\"\",\"choices\":[{\"index\":0,\"finish_reason\":null,"
                      "\"content_filter_offsets\":{\"start_offset\":1},\"content_filter_results\":{"
                      "}}]}\n" DONE,
     START "TEXT 0 \"Hi\"\nFINISH 0 stop\nEND\n"},
    {"DeepSeek: thought first, usage with the end", 1,
     DELTA("\"role\":\"assistant\",\"content\":null,\"reasoning_content\":\"\"")
         DELTA("\"content\":null,\"reasoning_content\":\"hm\"")
             DELTA("\"content\":\"4\",\"reasoning_content\":null") HEAD
     "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\"},\"finish_reason\":\"stop\"}],"
     "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3,\"total_tokens\":12,"
     "\"prompt_cache_hit_tokens\":4,\"prompt_cache_miss_tokens\":5}}\n" DONE,
     START "THINKING 0 \"hm\"\nTEXT 0 \"4\"\nFINISH 0 stop\nUSAGE 9+3=12 cached=4\nEND\n"},
    {"DeepSeek: the system has no resources left", 1,
     DELTA("\"content\":\"4\"") LAST("insufficient_system_resource") DONE,
     START "TEXT 0 \"4\"\nERROR \"The provider broke the answer off with an error.\"\n"},
    {"Mistral: calls whole, without index and type; thought within content", 1,
     DELTA(
         "\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":\"hm\"}]},"
         "{\"type\":\"text\",\"text\":\"so\"}]") HEAD
     "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"\",\"tool_calls\":["
     "{\"id\":\"abcdefghi\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
     "{\"id\":\"jklmnopqr\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
     "\"finish_reason\":\"tool_calls\"}],"
     "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2,\"total_tokens\":3}}\n" DONE,
     START "THINKING 0 \"hm\"\nTEXT 0 \"so\"\nCALL_BEGIN 0/0 id=abcdefghi name=f\n"
           "CALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\nCALL_BEGIN 0/1 id=jklmnopqr name=f\n"
           "CALL_ARGS 0/1 \"{}\"\nCALL_END 0/1\nFINISH 0 calls\nUSAGE 1+2=3\nEND\n"},
    {"Mistral: an empty name is no new call", 1,
     CALL("{\"index\":0,\"id\":\"abcdefghi\",\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}")
         CALL("{\"index\":0,\"id\":\"null\",\"function\":{\"name\":\"\",\"arguments\":\"}\"}}")
             LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=abcdefghi name=f\nCALL_ARGS 0/0 \"{\"\nCALL_ARGS 0/0 \"}\"\n"
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"Mistral: the window is full", 1, DELTA("\"content\":\"x\"") LAST("model_length") DONE,
     START "TEXT 0 \"x\"\nFINISH 0 context\nEND\n"},
    {"Groq: usage in its own member", 1,
     DELTA("\"content\":\"x\"") HEAD
     "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"x_groq\":{\"id\":\"r\","
     "\"usage\":{\"queue_time\":0.1,\"prompt_tokens\":3,\"completion_tokens\":1,"
     "\"total_tokens\":4}}}\n" DONE,
     START "TEXT 0 \"x\"\nFINISH 0 stop\nUSAGE 3+1=4\nEND\n"},
    {"Groq: an error in its own member", 1,
     DELTA("\"content\":\"x\"") HEAD
     "\"choices\":[],\"x_groq\":{\"error\":\"out of luck\"}}\n" DONE,
     START "TEXT 0 \"x\"\nERROR \"out of luck\"\n"},
    {"Groq: an event by the name of error", 1,
     DELTA("\"content\":\"x\"") "!{\"error\":{\"message\":\"bad "
                                "call\",\"code\":\"tool_use_failed\"}}\n",
     START "TEXT 0 \"x\"\nERROR code=tool_use_failed \"bad call\"\n"},
    {"OpenRouter: an error with a choice", 1,
     DELTA("\"content\":\"x\"") HEAD
     "\"error\":{\"code\":502,\"message\":\"gone\"},\"choices\":[{\"index\":0,\"delta\":"
     "{\"content\":\"\"},\"finish_reason\":\"error\"}]}\n",
     START "TEXT 0 \"x\"\nERROR code=502 \"gone\"\n"},
    {"OpenRouter: thought in details", 1,
     DELTA("\"content\":\"\",\"reasoning_details\":[{\"type\":\"reasoning.text\",\"text\":\"hm\"},"
           "{\"type\":\"reasoning.summary\",\"summary\":\"so\"},"
           "{\"type\":\"reasoning.encrypted\",\"data\":\"xx\"}]")
         DELTA("\"reasoning\":\"ah\",\"reasoning_details\":[{\"text\":\"ah\"}]") LAST("stop") DONE,
     START "THINKING 0 \"hm\"\nTHINKING 0 \"so\"\nTHINKING 0 \"ah\"\nFINISH 0 stop\nEND\n"},
    {"vLLM: usage with each chunk, \"stop\" with a call", 1,
     HEAD "\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"a\","
          "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}],"
          "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":1}}\n" HEAD
          "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],"
          "\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":4}}\n" DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{}\"\nUSAGE 2+1=3\nCALL_END 0/0\n"
           "FINISH 0 calls\nUSAGE 2+4=6\nEND\n"},
    {"vLLM: the sequence that was met; nothing behind an error", 1,
     DELTA("\"content\":\"x\"") HEAD
     "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\",\"stop_reason\":\"END\"}]}"
     "\n"
     "{\"error\":{\"message\":\"dead\",\"type\":\"BadRequestError\",\"code\":400}}\n" DONE,
     START "TEXT 0 \"x\"\nFINISH 0 stop_sequence \"END\"\n"
           "ERROR type=BadRequestError code=400 \"dead\"\n"},
    {"Together: the old shape of text and likelihoods", 1,
     "{\"id\":\"c1\",\"created\":7,\"model\":\"m\",\"choices\":[{\"index\":0,\"text\":\"x\","
     "\"logprobs\":{\"tokens\":[\"x\"],\"token_logprobs\":[-0.5],\"top_logprobs\":"
     "[{\"x\":-0.5,\"y\":-2}]}}]}\n" LAST("eos") DONE,
     START "TEXT 0 \"x\"\nLOGPROBS 0 x=-0.5(x=-0.5,y=-2)\nFINISH 0 stop\nEND\n"},
    {"likelihoods", 1,
     HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"x\"},\"logprobs\":{\"content\":["
          "{\"token\":\"x\",\"logprob\":-0.25,\"bytes\":[120],\"top_logprobs\":["
          "{\"token\":\"z\",\"logprob\":-9999.0,\"bytes\":null}]}],\"refusal\":null}}]}\n" LAST(
              "stop") DONE,
     START "TEXT 0 \"x\"\nLOGPROBS 0 x=-0.25/1(z=-9999)\nFINISH 0 stop\nEND\n"},
    {"arguments as objects and null", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":{\"n\":1.0,"
          "\"big\":12345678901234567890}}}")
         CALL("{\"index\":1,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":null}}")
             LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=a name=f\n"
           "CALL_ARGS 0/0 \"{\"n\":1.0,\"big\":12345678901234567890}\"\nCALL_END 0/0\n"
           "CALL_BEGIN 0/1 id=b name=g\nCALL_END 0/1\nFINISH 0 calls\nEND\n"},
    {"the same index for every call: the ids tell them apart", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}")
         CALL("{\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}")
             LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n"
           "CALL_BEGIN 0/1 id=b name=g\nCALL_ARGS 0/1 \"{}\"\nCALL_END 0/1\n"
           "FINISH 0 calls\nEND\n"},
    {"an id before the name, arguments before both", 1,
     CALL("{\"index\":0,\"function\":{\"arguments\":\"{\"}}") CALL("{\"index\":0,\"id\":\"a\"}")
         CALL("{\"index\":0,\"function\":{\"name\":\"f\",\"arguments\":\"}\"}}") LAST("tool_calls")
             DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{\"\nCALL_ARGS 0/0 \"}\"\n"
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"calls without ids get some", 1,
     CALL("{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}},"
          "{\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}") LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 id=call_0123456789abcdef00000000 name=f\nCALL_ARGS 0/0 \"{}\"\n"
           "CALL_END 0/0\nCALL_BEGIN 0/1 id=call_0123456789abcdef00000001 name=f\n"
           "CALL_ARGS 0/1 \"{}\"\nCALL_END 0/1\nFINISH 0 calls\nEND\n"},
    {"a call that is never named", 1, CALL("{\"index\":0,\"id\":\"a\"}") LAST("tool_calls") DONE,
     START "ERROR \"The provider's answer has a tool call without a name.\"\n"},
    {"a custom tool", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"type\":\"custom\",\"custom\":{\"name\":\"sh\",\"input\":"
          "\"\"}}") CALL("{\"index\":0,\"custom\":{\"input\":\"ls {\"}}") LAST("tool_calls") DONE,
     START "CALL_BEGIN 0/0 custom id=a name=sh\nCALL_ARGS 0/0 \"ls {\"\nCALL_END 0/0\n"
           "FINISH 0 calls\nEND\n"},
    {"the old way to call", 1,
     DELTA("\"role\":\"assistant\",\"content\":null,\"function_call\":{\"name\":\"f\","
           "\"arguments\":\"\"}") DELTA("\"function_call\":{\"arguments\":\"{}\"}")
         LAST("function_call") DONE,
     START "CALL_BEGIN 0/0 id=call_0123456789abcdef00000000 name=f\nCALL_ARGS 0/0 \"{}\"\n"
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"a refusal", 1, DELTA("\"refusal\":\"No\"") DELTA("\"refusal\":\".\"") LAST("stop") DONE,
     START "REFUSAL 0 \"No\"\nREFUSAL 0 \".\"\nFINISH 0 refusal\nEND\n"},
    {"a filter", 1, DELTA("\"content\":\"x\"") LAST("content_filter") DONE,
     START "TEXT 0 \"x\"\nFINISH 0 filter\nEND\n"},
    {"choices in turns, one beyond all bounds", 2,
     HEAD "\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},"
          "{\"index\":0,\"delta\":{\"content\":\"a\"}},"
          "{\"index\":4000000000,\"delta\":{\"content\":\"c\"}},"
          "{\"index\":-1,\"delta\":{\"content\":\"d\"}}]}\n" LAST("stop") HEAD
     "\"choices\":[{\"index\":1,\"delta\":{},\"finish_reason\":\"length\"}]}\n" DONE,
     START "TEXT 1 \"b\"\nTEXT 0 \"a\"\nFINISH 0 stop\nFINISH 1 length\nEND\n"},
    {"[DONE] without a reason", 1, DELTA("\"content\":\"x\"") DONE DONE,
     START "TEXT 0 \"x\"\nFINISH 0 stop\nEND\n"},
    {"a reason without [DONE]", 1, DELTA("\"content\":\"x\"") LAST("stop"),
     START "TEXT 0 \"x\"\nFINISH 0 stop\nEND\n"},
    {"neither: cut", 1, DELTA("\"content\":\"x\""), START "TEXT 0 \"x\"\n"},
    {"one of two choices without [DONE]: cut", 2, DELTA("\"content\":\"x\"") LAST("stop"),
     START "TEXT 0 \"x\"\nFINISH 0 stop\n"},
    {"nothing but [DONE]", 1, DONE, ""},
    {"no choice at all", 1, USAGE("\"prompt_tokens\":1,\"completion_tokens\":0") DONE,
     START "USAGE 1+0=1\nFINISH 0 stop\nEND\n"},
    {"text behind the end is not told", 1, LAST("stop") DELTA("\"content\":\"x\"") DONE,
     START "FINISH 0 stop\nEND\n"},
    {"signed thoughts of another gateway", 1,
     DELTA("\"reasoning_content\":\"hm\"") DELTA(
         "\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"hm\",\"signature\":\"s1\"}]")
         DELTA("\"thinking_blocks\":[{\"type\":\"redacted_thinking\",\"data\":\"zz\"}]")
             DELTA("\"thinking_blocks\":[{\"type\":\"thinking\",\"thinking\":\"ah\","
                   "\"signature\":\"s2\"}]") LAST("stop") DONE,
     START "THINKING 0 \"hm\"\nSIGNATURE 0 anthropic \"s1\"\nREDACTED 0 anthropic \"zz\"\n"
           "THINKING 0 \"ah\"\nSIGNATURE 0 anthropic \"s2\"\nFINISH 0 stop\nEND\n"},
    {"a signed call", 1,
     CALL("{\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"},"
          "\"extra_content\":{\"google\":{\"thought_signature\":\"sig\"}}}") LAST("tool_calls")
         DONE,
     START "CALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{}\"\nSIGNATURE 0/0 gemini \"sig\"\n"
           "CALL_END 0/0\nFINISH 0 calls\nEND\n"},
    {"images and sounds", 1,
     DELTA("\"images\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
           "\"data:image/png;base64,AAAA\"}}]")
         DELTA("\"audio\":{\"id\":\"a\",\"transcript\":\"hey\"}")
             DELTA("\"audio\":{\"data\":\"BBBB\"}") LAST("stop") DONE,
     START "MEDIA 0 type=image/png data=AAAA\nTEXT 0 \"hey\"\nMEDIA 0 data=BBBB\n"
           "FINISH 0 stop\nEND\n"},
    {"counts beyond belief", 1,
     DELTA("\"content\":\"x\"") LAST("stop")
         USAGE("\"prompt_tokens\":-5,\"completion_tokens\":99999999999999999999,"
               "\"prompt_tokens_details\":{\"cached_tokens\":7},"
               "\"completion_tokens_details\":{\"reasoning_tokens\":-1}") DONE,
     START "TEXT 0 \"x\"\nFINISH 0 stop\nUSAGE 0+9223372036854775807=9223372036854775807\nEND\n"},
};

static void test_streams(void **state)
{
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++)
        play_stream(&streams[i]);
}

/* --- whole answers --- */

struct answer_case {
    const char *title;
    int err;
    const char *body;
    const char *expected;
};

#define WHOLE(choice, rest)                                                                        \
    "{\"id\":\"c1\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\","                 \
    "\"choices\":[{\"index\":0," choice "}]" rest "}"

static const struct answer_case answers[] = {
    {"as OpenAI writes it", 0,
     WHOLE("\"message\":{\"role\":\"assistant\",\"content\":\"hi\",\"refusal\":null,"
           "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"",
           ",\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2,\"total_tokens\":11},"
           "\"service_tier\":\"default\""),
     START "TEXT 0 \"hi\"\nFINISH 0 stop\nUSAGE 9+2=11\nEND\n"},
    {"calls, with DeepSeek's index and thought", 0,
     WHOLE("\"message\":{\"content\":\"\",\"reasoning_content\":\"hm\",\"tool_calls\":["
           "{\"index\":0,\"id\":\"a\",\"type\":\"function\",\"function\":{\"name\":\"f\","
           "\"arguments\":\"{}\"}}]},\"finish_reason\":\"tool_calls\"",
           ""),
     START "THINKING 0 \"hm\"\nCALL_BEGIN 0/0 id=a name=f\nCALL_ARGS 0/0 \"{}\"\nCALL_END 0/0\n"
           "FINISH 0 calls\nEND\n"},
    {"several signed thoughts", 0,
     WHOLE("\"message\":{\"content\":\"x\",\"reasoning_content\":\"hm ah\",\"thinking_blocks\":["
           "{\"type\":\"thinking\",\"thinking\":\"hm \",\"signature\":\"s1\"},"
           "{\"type\":\"thinking\",\"thinking\":\"ah\",\"signature\":\"s2\"}]},"
           "\"finish_reason\":\"stop\"",
           ""),
     START "THINKING 0 \"hm \"\nSIGNATURE 0 anthropic \"s1\"\nTHINKING 0 \"ah\"\n"
           "SIGNATURE 0 anthropic \"s2\"\nTEXT 0 \"x\"\nFINISH 0 stop\nEND\n"},
    {"no reason", 0, WHOLE("\"message\":{\"content\":\"x\"}", ""),
     START "TEXT 0 \"x\"\nFINISH 0 stop\nEND\n"},
    {"OpenRouter: an error inside a choice", 0,
     WHOLE("\"message\":{\"content\":\"\"},\"finish_reason\":\"error\","
           "\"error\":{\"code\":429,\"message\":\"slow down\"}",
           ""),
     "ERROR code=429 \"slow down\"\n"},
    {"an error with status 200", 0, "{\"error\":{\"message\":\"no\",\"type\":\"t\"}}",
     "ERROR type=t \"no\"\n"},
    {"no choices at all", ERR_SYNTAX, "{\"id\":\"c1\"}", ""},
    {"no object", ERR_SYNTAX, "[]", ""},
};

static void test_whole_answers(void **state)
{
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct json_tree *tree = malloc(sizeof(*tree));
        struct play play;

        assert_non_null(tree);
        begin(&play, 1);
        assert_int_equal(json_tree_read_raw(tree, span_from_text(answers[i].body), 1 << 20), 0);
        assert_int_equal(
            form_ops(FORM_CHAT)->read_answer(play.reader, yyjson_doc_get_root(tree->doc)),
            answers[i].err);
        check(answers[i].title, &play, answers[i].expected);
        json_tree_fini(tree);
        free(tree);
        finish(&play);
    }
}

static void test_garbage_is_refused_and_tells_nothing(void **state)
{
    static const char *const lines[] = {"hello", "[1]", "{\"a\":", "7", "null", "{\"a\":\"\xFF\"}"};

    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct play play;

        begin(&play, 1);
        assert_int_equal(read_line(&play, span_from_text(lines[i])), ERR_SYNTAX);
        check(lines[i], &play, "");
        finish(&play);
    }
}

static void test_too_many_calls_end_the_answer(void **state)
{
    struct play play;

    begin(&play, 1);
    for (int i = 0; i <= PROMISE_CALLS_MAX; i++) {
        char line[256];

        snprintf(
            line, sizeof(line),
            "{\"id\":\"c\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":%d,\"id\":\"%d\","
            "\"function\":{\"name\":\"f\",\"arguments\":\"{\"}}]}}]}",
            i, i);
        assert_int_equal(read_line(&play, span_from_text(line)), 0);
    }
    assert_null(promise_broken(play.promise));
    assert_true(play.promise->has_error);
    assert_int_equal(play.promise->choices[0].calls, PROMISE_CALLS_MAX);
    finish(&play);
}

/* What comes before a call's name is kept, within bounds. */
static void test_early_arguments_are_bounded(void **state)
{
    struct play play;
    char *line = malloc(80000);
    int chunks = 0;

    assert_non_null(line);
    begin(&play, 1);
    while (!play.promise->has_error && chunks < 100) {
        int head = snprintf(line, 80000,
                            "{\"id\":\"c\",\"choices\":[{\"delta\":{\"tool_calls\":[{\"index\":0,"
                            "\"function\":{\"arguments\":\"");

        memset(line + head, 'x', 60000);
        memcpy(line + head + 60000, "\"}}]}}]}", 9);
        assert_int_equal(read_line(&play, span_from_text(line)), 0);
        chunks++;
    }
    assert_true(play.promise->has_error);
    assert_null(promise_broken(play.promise));
    assert_in_range(chunks, 2, 10);
    free(line);
    finish(&play);
}

/* --- whatever comes --- */

/* The lines of all streams, mixed: dropped, doubled and out of order. */
static void test_promises_hold_in_any_order(void **state)
{
    struct span lines[512];
    size_t count = 0;
    struct rand rand;

    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        struct span rest = span_from_text(streams[i].lines), line;

        while (count < 512 && span_next_token(&rest, '\n', &line))
            lines[count++] = line;
    }
    rand_init(&rand, 7);
    for (int round = 0; round < 3000; round++) {
        struct play play;

        begin(&play, 1 + (unsigned)rand_below(&rand, 3));
        for (uint64_t left = rand_below(&rand, 30); left; left--) {
            struct span line = lines[rand_below(&rand, count)];

            /* Errors and ends come rarely, so that there is something to break. */
            if (span_has_prefix(line, SPAN("[DONE]")) && rand_below(&rand, 4))
                continue;
            if (rand_below(&rand, 50) == 0)
                line.len = rand_below(&rand, line.len + 1);
            (void)read_line(&play, line);
        }
        form_ops(FORM_CHAT)->read_end(play.reader);
        if (promise_broken(play.promise))
            fail_msg("round %d: %s\n%s", round, promise_broken(play.promise),
                     buf_text(&play.trace.text));
        finish(&play);
    }
}

/* Each stream cut short, and with each of its lines doubled. */
static void test_promises_hold_when_cut_and_doubled(void **state)
{
    for (size_t i = 0; i < sizeof(streams) / sizeof(streams[0]); i++) {
        for (size_t at = 0; at < 12; at++) {
            for (int is_doubled = 0; is_doubled < 2; is_doubled++) {
                struct span rest = span_from_text(streams[i].lines), line;
                struct play play;

                begin(&play, streams[i].choices);
                for (size_t n = 0; span_next_token(&rest, '\n', &line); n++) {
                    if (n == at && !is_doubled)
                        break;
                    (void)read_line(&play, line);
                    if (n == at)
                        (void)read_line(&play, line);
                }
                form_ops(FORM_CHAT)->read_end(play.reader);
                if (promise_broken(play.promise))
                    fail_msg("%s, line %zu: %s\n%s", streams[i].title, at,
                             promise_broken(play.promise), buf_text(&play.trace.text));
                finish(&play);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_whole_answers),
        cmocka_unit_test(test_garbage_is_refused_and_tells_nothing),
        cmocka_unit_test(test_too_many_calls_end_the_answer),
        cmocka_unit_test(test_early_arguments_are_bounded),
        cmocka_unit_test(test_promises_hold_in_any_order),
        cmocka_unit_test(test_promises_hold_when_cut_and_doubled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
