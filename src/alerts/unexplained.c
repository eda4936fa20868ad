#include "alerts/unexplained.h"

#include <string.h>

static struct use_count *at(struct use_count *counts, uint64_t span)
{
    return &counts[span % UNEXPLAINED_SPANS];
}

static bool is_kept(const struct use_book *book, uint64_t span)
{
    return span <= book->newest && book->newest - span < UNEXPLAINED_SPANS;
}

static void begin(struct use_book *book, uint64_t span)
{
    *book = (struct use_book){.newest = span, .first = span + 1};
}

void use_book_count(struct use_book *book, uint64_t span, struct use_count more)
{
    if (!book->newest || span < book->newest || span - book->newest > 1) {
        begin(book, span);
    } else if (span > book->newest) {
        book->newest = span;
        *at(book->ours, span) = *at(book->theirs, span) = (struct use_count){0};
    }
    at(book->ours, span)->requests += more.requests;
    at(book->ours, span)->tokens += more.tokens;
}

void use_book_forget(struct use_book *book)
{
    memset(book->theirs, 0, sizeof(book->theirs));
}

void use_book_hear(struct use_book *book, uint64_t span, struct use_count more)
{
    if (!is_kept(book, span))
        return;
    at(book->theirs, span)->requests += more.requests;
    at(book->theirs, span)->tokens += more.tokens;
}

static uint64_t over(uint64_t more, uint64_t less)
{
    return more > less ? more - less : 0;
}

/* What ours has too much of in a span beside one. */
static struct use_count spare(struct use_book *book, uint64_t span)
{
    const struct use_count *ours = at(book->ours, span), *theirs = at(book->theirs, span);

    if (!is_kept(book, span))
        return (struct use_count){0};
    return (struct use_count){.requests = over(ours->requests, theirs->requests),
                              .tokens = over(ours->tokens, theirs->tokens)};
}

static bool is_gap(struct use_book *book, const struct unexplained_rules *rules, uint64_t span)
{
    const struct use_count *ours = at(book->ours, span), *theirs = at(book->theirs, span);
    const struct use_count before = spare(book, span - 1), after = spare(book, span + 1);
    uint64_t requests =
        over(over(over(theirs->requests, ours->requests), before.requests), after.requests);
    uint64_t tokens = over(over(over(theirs->tokens, ours->tokens), before.tokens), after.tokens);

    return requests && requests >= rules->at_least.requests && tokens >= rules->at_least.tokens &&
           (double)requests > (double)ours->requests * rules->requests_above &&
           (double)tokens > (double)ours->tokens * rules->tokens_above;
}

bool use_book_compare(struct use_book *book, const struct unexplained_rules *rules, uint64_t end,
                      struct use_gap *ret_gap)
{
    uint64_t oldest = over(book->newest, UNEXPLAINED_SPANS - 2); /* one is kept beside it */
    bool is_news = false;

    for (uint64_t span = oldest > book->first ? oldest : book->first;
         span < end && span < book->newest; span++) {
        if (!is_gap(book, rules, span))
            continue;
        if (span > book->told) {
            is_news |= !book->told || span != book->told + 1;
            book->told = span;
        }
        if (is_news)
            *ret_gap = (struct use_gap){span, *at(book->ours, span), *at(book->theirs, span)};
    }
    return is_news;
}
