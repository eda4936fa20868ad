#include "promise.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *promise_kind_text(enum chat_event_kind kind)
{
    static const char *const texts[] = {
        [CHAT_EVENT_START] = "START",         [CHAT_EVENT_TEXT] = "TEXT",
        [CHAT_EVENT_THINKING] = "THINKING",   [CHAT_EVENT_REDACTED] = "REDACTED",
        [CHAT_EVENT_SIGNATURE] = "SIGNATURE", [CHAT_EVENT_REFUSAL] = "REFUSAL",
        [CHAT_EVENT_MEDIA] = "MEDIA",         [CHAT_EVENT_CALL_BEGIN] = "CALL_BEGIN",
        [CHAT_EVENT_CALL_ARGS] = "CALL_ARGS", [CHAT_EVENT_CALL_END] = "CALL_END",
        [CHAT_EVENT_LOGPROBS] = "LOGPROBS",   [CHAT_EVENT_FINISH] = "FINISH",
        [CHAT_EVENT_USAGE] = "USAGE",         [CHAT_EVENT_PING] = "PING",
        [CHAT_EVENT_ERROR] = "ERROR",         [CHAT_EVENT_END] = "END",
    };

    return (size_t)kind < sizeof(texts) / sizeof(texts[0]) ? texts[kind] : "UNKNOWN";
}

__attribute__((format(printf, 3, 4))) static void broke(struct promise *promise,
                                                        const struct chat_event *event,
                                                        const char *format, ...)
{
    char what[120];
    va_list args;

    if (promise->broken[0])
        return;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    snprintf(promise->broken, sizeof(promise->broken), "event %zu, %s: %s", promise->events,
             promise_kind_text(event->kind), what);
}

static void look_at_text(struct promise *promise, const struct chat_event *event)
{
    if (event->text.len == 0)
        broke(promise, event, "empty");
    else if (!event->text.ptr)
        broke(promise, event, "a length without a text");
}

static void look_at_media(struct promise *promise, const struct chat_event *event)
{
    if (!event->media || event->media->data.len == 0)
        broke(promise, event, "empty");
    else if (event->part_kind != CHAT_PART_IMAGE && event->part_kind != CHAT_PART_AUDIO &&
             event->part_kind != CHAT_PART_DOCUMENT && event->part_kind != CHAT_PART_VIDEO)
        broke(promise, event, "of part kind %d", (int)event->part_kind);
}

static void look_at_begin(struct promise *promise, struct promise_choice *choice,
                          const struct chat_event *event)
{
    if (event->call != choice->calls)
        broke(promise, event, "call %u where %u would be the next", event->call, choice->calls);
    else if (choice->calls == PROMISE_CALLS_MAX)
        broke(promise, event, "more than %d calls", PROMISE_CALLS_MAX);
    else
        choice->calls++;
    if (event->id.len == 0)
        broke(promise, event, "without an id");
    if (event->name.len == 0)
        broke(promise, event, "without a name");
}

/* ARGS, END or a signature: of a call that has begun; true where it has. */
static bool look_at_call(struct promise *promise, struct promise_choice *choice,
                         const struct chat_event *event)
{
    if (event->call < choice->calls)
        return true;
    broke(promise, event, "call %u has not begun", event->call);
    return false;
}

static void look_at_finish(struct promise *promise, struct promise_choice *choice,
                           const struct chat_event *event)
{
    if (event->finish == CHAT_FINISH_NONE)
        broke(promise, event, "without a reason");
    for (unsigned i = 0; i < choice->calls; i++) {
        if (!choice->has_ended[i])
            broke(promise, event, "call %u has not ended", i);
    }
    choice->has_finish = true;
}

static void look_at_choice(struct promise *promise, const struct chat_event *event)
{
    struct promise_choice *choice;

    if (event->choice >= CHAT_CHOICES_MAX) {
        broke(promise, event, "choice %u", event->choice);
        return;
    }
    choice = &promise->choices[event->choice];
    if (choice->has_finish)
        broke(promise, event, "behind the FINISH of choice %u", event->choice);
    choice->has_begun = true;
    if (event->kind == CHAT_EVENT_TEXT || event->kind == CHAT_EVENT_THINKING ||
        event->kind == CHAT_EVENT_REFUSAL || event->kind == CHAT_EVENT_REDACTED)
        look_at_text(promise, event);
    if (event->kind == CHAT_EVENT_MEDIA)
        look_at_media(promise, event);
    if (event->kind == CHAT_EVENT_CALL_BEGIN)
        look_at_begin(promise, choice, event);
    if (event->kind == CHAT_EVENT_SIGNATURE && event->is_call)
        (void)look_at_call(promise, choice, event);
    if ((event->kind == CHAT_EVENT_CALL_ARGS || event->kind == CHAT_EVENT_CALL_END) &&
        look_at_call(promise, choice, event)) {
        if (choice->has_ended[event->call])
            broke(promise, event, "call %u has ended already", event->call);
        choice->has_ended[event->call] = event->kind == CHAT_EVENT_CALL_END;
    }
    if (event->kind == CHAT_EVENT_LOGPROBS && (event->logprob_count == 0 || !event->logprobs))
        broke(promise, event, "empty");
    if (event->kind == CHAT_EVENT_FINISH)
        look_at_finish(promise, choice, event);
}

static void look_at_usage(struct promise *promise, const struct chat_event *event)
{
    const struct dialect_usage *usage = event->usage;

    if (!usage || !usage->is_known) {
        broke(promise, event, "without anything known");
        return;
    }
    if (usage->cached_tokens > usage->prompt_tokens ||
        usage->cache_write_tokens > usage->prompt_tokens - usage->cached_tokens)
        broke(promise, event, "more cached than the prompt has");
    if (usage->cache_write_long_tokens > usage->cache_write_tokens)
        broke(promise, event, "more written for long than written");
    if (usage->reasoning_tokens > usage->completion_tokens)
        broke(promise, event, "more reasoning than the completion has");
    promise->usage = *usage;
}

static void look_at_end(struct promise *promise, const struct chat_event *event)
{
    for (unsigned i = 0; i < CHAT_CHOICES_MAX; i++) {
        if (promise->choices[i].has_begun && !promise->choices[i].has_finish)
            broke(promise, event, "choice %u has no FINISH", i);
    }
    promise->has_end = true;
}

static void look_at_error(struct promise *promise, const struct chat_event *event)
{
    if (!event->error)
        broke(promise, event, "without what went wrong");
    promise->has_error = true;
}

static void look(struct promise *promise, const struct chat_event *event)
{
    if (promise->has_end)
        broke(promise, event, "behind END");
    if (promise->has_error)
        broke(promise, event, "behind ERROR");
    if (event->kind == CHAT_EVENT_START) {
        if (promise->has_start)
            broke(promise, event, "twice");
        promise->has_start = true;
        return;
    }
    if (event->kind == CHAT_EVENT_PING)
        return;
    if (event->kind == CHAT_EVENT_ERROR) {
        look_at_error(promise, event);
        return;
    }
    if (!promise->has_start)
        broke(promise, event, "before START");
    if (event->kind == CHAT_EVENT_END)
        look_at_end(promise, event);
    else if (event->kind == CHAT_EVENT_USAGE)
        look_at_usage(promise, event);
    else
        look_at_choice(promise, event);
}

static void put(struct chat_sink *sink, const struct chat_event *event)
{
    struct promise *promise = (struct promise *)sink; /* its first member */

    promise->events++;
    look(promise, event);
    if (promise->next)
        promise->next->put(promise->next, event);
}

struct promise *promise_new(struct chat_sink *next)
{
    struct promise *promise = calloc(1, sizeof(*promise));

    if (promise) {
        promise->sink.put = put;
        promise->next = next;
    }
    return promise;
}

void promise_free(struct promise **promise)
{
    free(*promise);
    *promise = NULL;
}

const char *promise_broken(const struct promise *promise)
{
    return promise->broken[0] ? promise->broken : NULL;
}
