/* The head: what is asked for, and all of the head that is needed later; its bytes are gone after
 * this turn. */
#include "base/rand.h"
#include "base/fnv.h"
#include "exchange/exchange.h"
#include "exchange/remote.h"

enum { OWN_ID_BYTES = 4 + 32 };

/* Fields of a request that any provider may see; those that name a credential, a connection or a
 * caller are not among them, and never may be. */
#define FORWARDED                                                                                  \
    (FIELD_BIT(ACCEPT) | FIELD_BIT(TRACESTATE) | FIELD_BIT(USER_AGENT) | FIELD_BIT(TRACEPARENT) |  \
     FIELD_BIT(CONTENT_TYPE) | FIELD_BIT(IDEMPOTENCY_KEY))

/* Fields that say something of one dialect: they go where the client's own bytes go. */
#define OF_DIALECT                                                                                 \
    (FIELD_BIT(OPENAI_BETA) | FIELD_BIT(ANTHROPIC_BETA) | FIELD_BIT(ANTHROPIC_VERSION))

static size_t line_length(const struct http_field *field)
{
    return field->name.len + field->value.len + 4;
}

static char *put_line(char *to, const struct http_field *field)
{
    memcpy(to, field->name.ptr, field->name.len);
    to += field->name.len;
    memcpy(to, ": ", 2);
    memcpy(to + 2, field->value.ptr, field->value.len);
    to += 2 + field->value.len;
    memcpy(to, "\r\n", 2);
    return to + 2;
}

/* The lines of those fields, side by side, in the arena. */
static bool keep_lines(struct exchange *x, const struct http_head *head, uint64_t fields,
                       struct span *ret_lines)
{
    unsigned char picked[HTTP_MAX_FIELDS];
    size_t count = 0, len = 0;
    char *at;

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];

        if (!(fields & (UINT64_C(1) << field->id)))
            continue;
        picked[count++] = (unsigned char)i;
        len += line_length(field);
    }
    if (count == 0)
        return true;
    at = arena_alloc(&x->arena, len);
    if (!at)
        return false;
    *ret_lines = span_of(at, len);
    for (size_t i = 0; i < count; i++)
        at = put_line(at, &head->fields[picked[i]]);
    return true;
}

/* What goes upstream. */
static bool keep_fields(struct exchange *x, const struct http_head *head)
{
    x->head.has_content_type = head->first[FIELD_CONTENT_TYPE] != 0;
    x->head.has_user_agent = head->first[FIELD_USER_AGENT] != 0;
    x->head.has_version = head->first[FIELD_ANTHROPIC_VERSION] != 0;
    if (head->first[FIELD_X_SESSION_ID] && http_head_get(head, FIELD_X_SESSION_ID).len > 0)
        x->head.session = fnv_span(FNV_START, http_head_get(head, FIELD_X_SESSION_ID));
    if (!keep_lines(x, head, FORWARDED, &x->head.fields))
        return false;
    if (!head->first[FIELD_ANTHROPIC_VERSION] && !head->first[FIELD_ANTHROPIC_BETA] &&
        !head->first[FIELD_OPENAI_BETA])
        return true;
    return keep_lines(x, head, OF_DIALECT, &x->head.own_fields);
}

/* Fields that a provider's forward_headers name: which provider it will be is not known yet. */
static bool keep_extras(struct exchange *x, const struct http_head *head)
{
    const struct conf_strings *names = &x->binding->snapshot->forward_fields;

    for (size_t n = 0; n < names->count; n++) {
        struct span value = http_head_find(head, names->items[n]);

        if (!value.ptr)
            continue;
        if (!x->head.extras)
            x->head.extras = arena_alloc(&x->arena, names->count * sizeof(*x->head.extras));
        value = arena_copy(&x->arena, value);
        if (!x->head.extras || !value.ptr)
            return false;
        x->head.extras[x->head.extra_count++] = (struct dialect_header){names->items[n], value};
    }
    return true;
}

/* Letters, digits and a few signs, so that it is safe in every log and field. */
static bool is_sane_id(struct span id)
{
    if (id.len == 0 || id.len > REQUEST_ID_BYTES)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        unsigned char c = (unsigned char)id.ptr[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
              c == '_' || c == '.' || c == ':' || c == '/' || c == '+' || c == '='))
            return false;
    }
    return true;
}

/* Eight hexadecimal digits of a word's lower half, all at once, in whatever order. */
static uint64_t hex_digits(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t is_letter;

    word = (word & 0xFFFF) | (word & 0xFFFF0000) << 16;
    word = (word | word << 8) & UINT64_C(0x00FF00FF00FF00FF);
    word = (word | word << 4) & (ones * 0x0F);
    is_letter = ((word + ones * 6) >> 4) & ones;
    return word + ones * '0' + is_letter * ('a' - '0' - 10);
}

void head_name_request(struct exchange *x, struct span own)
{
    char made[OWN_ID_BYTES] = "req_";

    if (!is_sane_id(own)) {
        uint64_t high = rand_u64(&x->host->rand), low = rand_u64(&x->host->rand);
        uint64_t digits[4] = {hex_digits(high >> 32), hex_digits(high), hex_digits(low >> 32),
                              hex_digits(low)};

        memcpy(made + 4, digits, sizeof(digits));
        own = span_of(made, sizeof(made));
    }
    x->head.request_id = arena_copy(&x->arena, own);
    if (!x->head.request_id.ptr)
        x->head.request_id = SPAN("unnamed");
}

static void note_remote(struct exchange *x, const struct http_head *head)
{
    const struct conf_networks *trusted = &exchange_config(x)->server.trusted_proxies;

    if (trusted->count && remote_find(trusted, http_server_peer(x->conn), head, x->account.remote))
        x->account.remote_len = (uint8_t)strlen(x->account.remote);
}

static struct move check_size(struct exchange *x, const struct http_head *head)
{
    struct span coding = http_head_get(head, FIELD_CONTENT_ENCODING);

    if (coding.len && !span_is_equal_nocase(coding, SPAN("identity")))
        return exchange_refuse(x, FAILURE_MEDIA_TYPE, span_of(NULL, 0), span_of(NULL, 0));
    if (head->has_length && head->length > exchange_config(x)->server.max_body)
        return exchange_refuse(x, FAILURE_BODY_TOO_LARGE, span_of(NULL, 0), span_of(NULL, 0));
    x->body.expected = head->has_length ? head->length : 0;
    return move_done(STEP_AUTH);
}

static struct move refuse_path(struct exchange *x)
{
    return exchange_refuse(
        x, FAILURE_UNKNOWN_PATH,
        arena_printf(&x->arena, "There is nothing at '%.*s'.", SPAN_ARG(x->head.path)),
        span_of(NULL, 0));
}

struct move step_head(struct exchange *x)
{
    const struct http_head *head = x->head.head;
    struct span query;

    note_remote(x, head);
    x->head.method = span_from_text(http_method_name(head->method));
    x->head.path = arena_copy(&x->arena, http_head_path(head, &query));
    x->head.dialect = inbound_dialect(head, x->head.path);
    head_name_request(x, http_head_get(head, FIELD_X_REQUEST_ID));
    if (!x->head.path.ptr)
        return exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    switch (inbound_find(head->method, x->head.path, &x->head.row)) {
    case INBOUND_NO_PATH:
        return refuse_path(x);
    case INBOUND_NO_METHOD:
        return exchange_refuse(x, FAILURE_METHOD, span_of(NULL, 0), span_of(NULL, 0));
    case INBOUND_FOUND:
        break;
    }
    x->head.kind = x->head.row->kind;
    if (!inbound_read(x->head.row, x->head.path, query, &x->arena, &x->head.facts))
        return refuse_path(x);
    if (x->head.row->access == ACCESS_OPEN)
        return move_done(STEP_RESPOND);
    /* Its head came too late: all others have been cut. */
    if (x->host->is_terminating)
        return exchange_refuse(x, FAILURE_SHUTTING_DOWN, span_of(NULL, 0), span_of(NULL, 0));
    if (x->head.row->access == ACCESS_LIST)
        return move_done(STEP_AUTH);
    if (!keep_fields(x, head) || !keep_extras(x, head))
        return exchange_refuse(x, FAILURE_OVERLOADED, span_of(NULL, 0), span_of(NULL, 0));
    return check_size(x, head);
}
