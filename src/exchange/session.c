#include "exchange/session.h"

#include "base/fnv.h"
#include "dialect/prompt_start.h"
#include "exchange/exchange.h"

enum { PIECES = PROMPT_START_BYTES / 1024 };

/* Of the bytes from start to end, as they are spelled. */
static uint64_t hash_range(uint64_t hash, const struct body *body, uint64_t start, uint64_t end)
{
    uint64_t base = 0;

    for (const struct body_block *block = body->first; block && base < end;
         base += block->len, block = block->next) {
        uint64_t from = start > base ? start - base : 0;
        uint64_t to = end - base < block->len ? end - base : block->len;

        if (from < to)
            hash = fnv_span(hash, span_of(block->data + from, (size_t)(to - from)));
    }
    return hash;
}

/* What the body says outright; 0: nothing. */
static uint64_t named_in_body(const struct exchange *x)
{
    static const enum request_field fields[] = {REQUEST_CACHE_KEY, REQUEST_USER, REQUEST_USER_ID};

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        const struct json_seen *seen = &x->body.request->seen[fields[i]];

        if (seen->type == JSON_STRING && !seen->is_empty)
            return hash_range(FNV_START, x->body.body, seen->start, seen->end);
    }
    return 0;
}

static uint64_t begun_by(const struct body *body)
{
    struct span pieces[PIECES];
    struct prompt_start start;
    uint64_t hash = FNV_START;
    size_t count = 0;

    for (const struct body_block *block = body->first; block && count < PIECES; block = block->next)
        pieces[count++] = span_of(block->data, block->len);
    prompt_start_find(pieces, count, &start);
    for (size_t i = 0; i < start.count; i++)
        hash = hash_range(hash, body, start.ranges[i].start, start.ranges[i].end);
    return start.count ? hash : 0;
}

static uint64_t find_out(const struct exchange *x)
{
    uint64_t hash = x->head.session;

    if (!hash && x->body.request)
        hash = named_in_body(x);
    if (hash)
        return hash_mix(fnv_span(hash, x->auth.client->name));
    if (x->body.request)
        hash = begun_by(x->body.body);
    return hash ? hash_mix(hash) : 0;
}

uint64_t session_of(struct exchange *x)
{
    if (!x->select.has_session) {
        x->select.session = find_out(x);
        x->select.has_session = true;
    }
    return x->select.session;
}
