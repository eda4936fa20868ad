/* The body: read whole into counted blocks, and scanned as it arrives, so that a bad one is refused
 * early. */
#include "base/err.h"
#include "exchange/exchange.h"

static struct move refuse(struct exchange *x, enum failure failure)
{
    return exchange_refuse(x, failure, span_of(NULL, 0), span_of(NULL, 0));
}

static struct move refuse_scan(struct exchange *x)
{
    struct request_refusal refusal;

    request_scan_refusal(x->body.request, &refusal);
    return exchange_refuse(x, refusal.failure,
                           arena_copy(&x->arena, span_from_text(refusal.message)),
                           arena_copy(&x->arena, refusal.param));
}

bool body_take(struct exchange *x, struct span data)
{
    int err;

    if (x->respond.has_failure)
        return false;
    x->body.bytes += data.len;
    if (x->body.body->len + data.len > exchange_config(x)->server.max_body) {
        refuse(x, FAILURE_BODY_TOO_LARGE);
        return true;
    }
    if (request_scan_feed(x->body.request, data)) {
        refuse_scan(x);
        return true;
    }
    err = body_append(x->body.body, data);
    if (err)
        refuse(x, FAILURE_OVERLOADED);
    return err != 0;
}

static struct move begin(struct exchange *x)
{
    struct json_scan *scan = arena_alloc(&x->scan_arena, sizeof(*scan));

    x->body.request = arena_alloc(&x->arena, sizeof(*x->body.request));
    x->body.body = body_new(&x->host->lease, x->body.expected);
    x->head.head = NULL; /* it may be gone when this step is resumed */
    if (!x->body.request || !x->body.body || !scan)
        return refuse(x, FAILURE_OVERLOADED);
    request_scan_init(x->body.request, x->head.facts.form, scan);
    if (x->binding->snapshot->counts_kinds)
        request_scan_count_kinds(x->body.request);
    if (routes_look_at_requests(x->binding->snapshot->routes))
        request_scan_look_for_signs(x->body.request);
    http_server_continue(x->conn);
    return move_park();
}

/* What the scan found, as the later steps read it. */
static void note(struct exchange *x)
{
    const struct request_scan *request = x->body.request;

    x->body.is_streaming = request_scan_is_streaming(request) || x->head.facts.is_streaming;
    x->body.wants_usage = request_scan_wants_usage(request);
    x->body.choices = request_scan_choices(request);
    x->body.prompt_tokens = request_scan_estimate_tokens(request);
}

struct move step_body(struct exchange *x)
{
    if (x->respond.has_failure)
        return move_done(STEP_RESPOND);
    if (!x->body.request)
        return begin(x);
    if (!x->body.is_whole)
        return move_park();
    if (x->body.body->len == 0)
        return refuse(x, FAILURE_BODY_EMPTY);
    if (request_scan_finish(x->body.request))
        return refuse_scan(x);
    arena_fini(&x->scan_arena);
    note(x);
    return move_done(STEP_ROUTE);
}
