#include "http/parser.h"

#include "http/plain_head.h"

/* --- llhttp's callbacks: they note what came, and pause where the caller must be told --- */

static struct http_parser *parser_of(llhttp_t *ll)
{
    return ll->data;
}

static int bad(struct http_parser *parser, enum http_problem problem)
{
    parser->problem = problem;
    return HPE_USER;
}

/* Pieces of one token that came in separate reads stand side by side: the caller keeps the head
 * together. */
static void extend(struct span *span, const char *at, size_t len)
{
    if (!span->ptr)
        span->ptr = at;
    span->len = (size_t)(at + len - span->ptr);
}

static int on_url(llhttp_t *ll, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(ll);

    extend(&parser->head->target, at, len);
    if (parser->head->target.len > HTTP_MAX_TARGET_BYTES)
        return bad(parser, HTTP_PROBLEM_TARGET_LONG);
    return 0;
}

static int on_field(llhttp_t *ll, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(ll);
    struct http_head *head = parser->head;
    struct http_field *field;

    if (!parser->is_in_head) /* trailers are dropped; the head is no longer ours */
        return 0;
    field = head->field_count ? &head->fields[head->field_count - 1] : NULL;
    if (field && at == field->name.ptr + field->name.len) {
        field->name.len += len; /* it was cut by the end of a read */
        return 0;
    }
    if (head->field_count == HTTP_MAX_FIELDS)
        return bad(parser, HTTP_PROBLEM_HEAD_LARGE);
    head->fields[head->field_count++] = (struct http_field){.name = span_of(at, len)};
    return 0;
}

static int on_value(llhttp_t *ll, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(ll);

    if (parser->is_in_head)
        extend(&parser->head->fields[parser->head->field_count - 1].value, at, len);
    return 0;
}

/* RFC 9112 6.3: whatever their fields say. llhttp would read a chunked body all the same. */
static bool is_always_bodyless(const struct http_parser *parser)
{
    uint16_t status = parser->ll.status_code;

    return parser->is_to_head_request ||
           (parser->is_response && (status / 100 == 1 || status == 204 || status == 304));
}

static int on_headers_complete(llhttp_t *ll)
{
    struct http_parser *parser = parser_of(ll);

    parser->event = HTTP_EVENT_HEAD;
    ll->upgrade =
        0; /* never taken: the message is read as if Upgrade were not there (RFC 9110 7.8) */
    if (is_always_bodyless(parser))
        ll->flags |= F_SKIPBODY;
    return HPE_PAUSED;
}

static int on_body(llhttp_t *ll, const char *at, size_t len)
{
    struct http_parser *parser = parser_of(ll);

    if (len == 0) /* what it gives when it was run without input inside a body */
        return 0;
    parser->event = HTTP_EVENT_BODY;
    parser->body = span_of(at, len);
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *ll)
{
    parser_of(ll)->event = HTTP_EVENT_END;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- what llhttp leaves to us --- */

static enum http_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return METHOD_GET;
    case HTTP_HEAD:
        return METHOD_HEAD;
    case HTTP_POST:
        return METHOD_POST;
    case HTTP_PUT:
        return METHOD_PUT;
    case HTTP_PATCH:
        return METHOD_PATCH;
    case HTTP_DELETE:
        return METHOD_DELETE;
    case HTTP_OPTIONS:
        return METHOD_OPTIONS;
    default:
        return METHOD_OTHER;
    }
}

/* Lines that end in a bare LF, and folded ones, are llhttp's to refuse, but for those before a
 * request (RFC 9112 2.2). It also reads RTSP and ICE, and more spaces than one (RFC 9112 3). */
static bool is_odd_request(const struct http_parser *parser)
{
    const struct span target = parser->head->target;
    const char *at = parser->start;

    while (at[0] == '\r' && at[1] == '\n')
        at += 2;
    return at[0] == '\r' || at[0] == '\n' || target.ptr[-2] == ' ' ||
           memcmp(target.ptr + target.len, " HTTP/", 6) != 0;
}

/* RFC 9112 6.1, 6.3: where chunked is the last of several codings the length is known and the
 * coding is not; else the length is not known either. */
static enum http_problem judge_coding(struct span value)
{
    struct span last = span_of(NULL, 0);

    while (span_next_token(&value, ',', &last)) {
    }
    return span_is_equal_nocase(last, SPAN("chunked")) ? HTTP_PROBLEM_CODING : HTTP_PROBLEM_FRAMING;
}

static void trim_end(struct span *value)
{
    while (value->len && (value->ptr[value->len - 1] == ' ' || value->ptr[value->len - 1] == '\t'))
        value->len--;
}

static enum http_problem note_field(struct http_head *head, size_t place, unsigned *hosts)
{
    struct http_field *field = &head->fields[place];

    field->id = field_id_of(field->name);
    if (field->id == FIELD_OTHER)
        return HTTP_PROBLEM_NONE;
    if (!head->first[field->id])
        head->first[field->id] = (uint8_t)(place + 1);
    *hosts += field->id == FIELD_HOST;
    if (field->id == FIELD_CONTENT_LENGTH) {
        head->has_length = true;
    } else if (field->id == FIELD_EXPECT) {
        if (!span_is_equal_nocase(field->value, SPAN("100-continue")))
            return HTTP_PROBLEM_EXPECTATION;
        head->is_expecting_continue = head->minor == 1;
    } else if (field->id == FIELD_TRANSFER_ENCODING) {
        if (!span_is_equal_nocase(field->value, SPAN("chunked")))
            return judge_coding(field->value);
        if (head->is_chunked || head->minor == 0)
            return HTTP_PROBLEM_FRAMING;
        head->is_chunked = true;
    }
    return HTTP_PROBLEM_NONE;
}

static bool is_version_known(const struct http_parser *parser)
{
    return parser->ll.http_major == 1 && parser->ll.http_minor <= 1;
}

static enum http_problem finish_head(struct http_parser *parser)
{
    struct http_head *head = parser->head;
    unsigned hosts = 0;

    if (!parser->is_response)
        head->method = method_of(parser->ll.method);
    head->status = parser->ll.status_code;
    head->minor = parser->ll.http_minor;
    head->length = parser->ll.content_length;
    head->is_keep_alive = llhttp_should_keep_alive(&parser->ll) != 0;
    if (!is_version_known(parser))
        return HTTP_PROBLEM_VERSION;
    if (!parser->is_response && is_odd_request(parser))
        return HTTP_PROBLEM_SYNTAX;
    for (size_t i = 0; i < head->field_count; i++) {
        enum http_problem problem;

        trim_end(&head->fields[i].value);
        problem = note_field(head, i, &hosts);
        if (problem)
            return problem;
    }
    if (head->is_chunked && head->has_length)
        return HTTP_PROBLEM_FRAMING;
    if (!parser->is_response && (head->minor == 1 ? hosts != 1 : hosts > 1))
        return HTTP_PROBLEM_HOST;
    return HTTP_PROBLEM_NONE;
}

static enum http_problem problem_of(const struct http_parser *parser)
{
    if (parser->problem)
        return parser->problem;
    switch (llhttp_get_errno(&parser->ll)) {
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CHUNK_SIZE:
    case HPE_INVALID_TRANSFER_ENCODING:
        return HTTP_PROBLEM_FRAMING;
    case HPE_INVALID_VERSION: /* also for what follows a sound one */
        return is_version_known(parser) ? HTTP_PROBLEM_SYNTAX : HTTP_PROBLEM_VERSION;
    case HPE_PAUSED_H2_UPGRADE:
        return HTTP_PROBLEM_VERSION;
    default:
        return parser->is_in_head ? HTTP_PROBLEM_SYNTAX : HTTP_PROBLEM_FRAMING;
    }
}

/* --- the parser --- */

void http_parser_init(struct http_parser *parser, bool is_response)
{
    *parser = (struct http_parser){.is_response = is_response};
    llhttp_init(&parser->ll, is_response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
    parser->ll.data = parser;
}

void http_parser_reset(struct http_parser *parser)
{
    bool is_response = parser->is_response;

    if (parser->start && !parser->is_plain) {
        http_parser_init(parser, is_response);
        return;
    }
    memset((char *)parser + sizeof(parser->ll), 0, sizeof(*parser) - sizeof(parser->ll));
    parser->is_response = is_response;
}

static enum http_event fail(struct http_parser *parser, enum http_problem problem)
{
    parser->problem = problem;
    return parser->event = HTTP_EVENT_BAD;
}

/* True where the message is a plain one, whose head is complete then. */
static bool begin_head(struct http_parser *parser, struct http_head *head, struct span data)
{
    size_t most = data.len < HTTP_MAX_HEAD_BYTES ? data.len : HTTP_MAX_HEAD_BYTES;

    parser->head = head;
    parser->start = data.ptr;
    if (!parser->is_to_head_request)
        parser->head_bytes = plain_head_read(span_of(data.ptr, most), parser->is_response, head);
    parser->is_plain = parser->head_bytes > 0;
    parser->is_in_head = !parser->is_plain;
    parser->is_keep_alive = parser->is_plain;
    parser->plain_left = parser->is_plain ? head->length : 0;
    /* The fields' places are written before they are read. */
    if (!parser->is_plain)
        memset(head, 0, offsetof(struct http_head, fields));
    return parser->is_plain;
}

/* Behind the head of a plain message. */
static enum http_event run_plain(struct http_parser *parser, const char *data, size_t len,
                                 size_t *ret_used)
{
    if (parser->plain_left == 0)
        return HTTP_EVENT_END;
    if (len == 0)
        return HTTP_EVENT_MORE;
    *ret_used = len < parser->plain_left ? len : (size_t)parser->plain_left;
    parser->plain_left -= *ret_used;
    parser->body = span_of(data, *ret_used);
    return HTTP_EVENT_BODY;
}

/* The head is complete: what llhttp leaves to us, and the verdict. */
static enum http_event judge_head(struct http_parser *parser)
{
    enum http_problem problem = finish_head(parser);

    if (problem)
        return fail(parser, problem);
    parser->is_in_head = false;
    parser->is_keep_alive = parser->head->is_keep_alive;
    return HTTP_EVENT_HEAD;
}

/* What frames the body is bounded like the head is, or a peer could send chunk extensions for ever.
 */
static enum http_event judge_frame(struct http_parser *parser, size_t used)
{
    bool is_body = parser->event == HTTP_EVENT_BODY;

    parser->frame_bytes += used - (is_body ? parser->body.len : 0);
    if (parser->frame_bytes > HTTP_MAX_FRAME_BYTES)
        return fail(parser, HTTP_PROBLEM_FRAMING);
    if (is_body)
        parser->frame_bytes = 0;
    return parser->event;
}

/* The message is not plain, and has begun. */
static enum http_event run_llhttp(struct http_parser *parser, const char *data, size_t len,
                                  size_t *ret_used)
{
    llhttp_errno_t result;

    /* One byte over the maximum is enough to know, wherever the reads were cut. */
    if (parser->is_in_head && len > HTTP_MAX_HEAD_BYTES + 1 - parser->head_bytes)
        len = HTTP_MAX_HEAD_BYTES + 1 - parser->head_bytes;
    parser->event = HTTP_EVENT_MORE;
    if (llhttp_get_errno(&parser->ll) == HPE_PAUSED)
        llhttp_resume(&parser->ll);
    result = llhttp_execute(&parser->ll, data, len);
    if (result == HPE_OK)
        *ret_used = len;
    else if (result == HPE_PAUSED)
        *ret_used = (size_t)(llhttp_get_error_pos(&parser->ll) - data);
    else
        return fail(parser, problem_of(parser));
    if (!parser->is_in_head)
        return judge_frame(parser, *ret_used);
    parser->head_bytes += *ret_used;
    if (parser->head_bytes > HTTP_MAX_HEAD_BYTES)
        return fail(parser, HTTP_PROBLEM_HEAD_LARGE);
    return parser->event == HTTP_EVENT_HEAD ? judge_head(parser) : parser->event;
}

enum http_event http_parser_run(struct http_parser *parser, struct http_head *head,
                                const char *data, size_t len, size_t *ret_used)
{
    *ret_used = 0;
    if (!parser->start) {
        if (len == 0)
            return HTTP_EVENT_MORE;
        if (begin_head(parser, head, span_of(data, len))) {
            *ret_used = parser->head_bytes;
            return HTTP_EVENT_HEAD;
        }
    }
    return parser->is_plain ? run_plain(parser, data, len, ret_used)
                            : run_llhttp(parser, data, len, ret_used);
}

uint64_t http_parser_body_left(const struct http_parser *parser)
{
    return parser->is_plain ? parser->plain_left : parser->ll.content_length;
}

static void move_span(struct span *span, const char *old_base, const char *base)
{
    if (span->ptr)
        span->ptr = base + (span->ptr - old_base);
}

void http_parser_moved(struct http_parser *parser, struct http_head *head, const char *old_base,
                       const char *base)
{
    if (parser->head != head)
        *head = *parser->head;
    parser->head = head;
    parser->start = base + (parser->start - old_base);
    move_span(&head->target, old_base, base);
    for (size_t i = 0; i < head->field_count; i++) {
        move_span(&head->fields[i].name, old_base, base);
        move_span(&head->fields[i].value, old_base, base);
    }
}

enum http_event http_parser_finish(struct http_parser *parser)
{
    if (!parser->start)
        return HTTP_EVENT_MORE;
    if (parser->is_plain)
        return parser->plain_left ? fail(parser, HTTP_PROBLEM_FRAMING) : HTTP_EVENT_END;
    parser->event = HTTP_EVENT_MORE;
    if (llhttp_get_errno(&parser->ll) == HPE_PAUSED)
        llhttp_resume(&parser->ll);
    llhttp_finish(&parser->ll);
    if (parser->event == HTTP_EVENT_END)
        return HTTP_EVENT_END;
    return fail(parser, problem_of(parser));
}

const char *http_problem_text(enum http_problem problem)
{
    switch (problem) {
    case HTTP_PROBLEM_NONE:
        return "no problem";
    case HTTP_PROBLEM_SYNTAX:
        return "The request's head is malformed: its start line and its fields must follow RFC "
               "9112, with CRLF at "
               "each line's end and no folded lines.";
    case HTTP_PROBLEM_FRAMING:
        return "The body's length is unclear: give either one valid Content-Length or "
               "'Transfer-Encoding: chunked' with well-formed chunks, not both.";
    case HTTP_PROBLEM_HEAD_LARGE:
        return "The request's head is too large: at most 64 KiB and 128 fields are read.";
    case HTTP_PROBLEM_TARGET_LONG:
        return "The request's target is too long: at most 8192 bytes are read.";
    case HTTP_PROBLEM_VERSION:
        return "The protocol version is not supported: HTTP/1.1 and HTTP/1.0 are.";
    case HTTP_PROBLEM_CODING:
        return "The Transfer-Encoding is not supported: only 'chunked' is.";
    case HTTP_PROBLEM_HOST:
        return "The request must have exactly one Host field.";
    case HTTP_PROBLEM_EXPECTATION:
        return "The Expect field is not supported: only '100-continue' is.";
    }
    return "The request cannot be read.";
}
