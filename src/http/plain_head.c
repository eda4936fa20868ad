#include "http/plain_head.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

/* More digits of a Content-Length are left to llhttp, which knows what overflows. */
enum { LENGTH_DIGITS = 18 };

/* --- runs of bytes --- */

/* What stands plainly in values and reasons: printable ASCII and the space. */
static inline bool is_printable(unsigned char c)
{
    return c >= ' ' && c < 0x7F;
}

/* A tchar of RFC 9110 5.6.2 that names of fields plainly have. */
static inline bool is_of_name(unsigned char c)
{
    unsigned char lower = c | 0x20;

    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

#ifdef __SSE2__
typedef __m128i block;

static inline block load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Moved so that the last one is the greatest of signed numbers: nothing is above it, and what lies
 * beyond it has become negative or is too small, as is what was no ASCII. */
static inline block is_among(block bytes, char first, char last)
{
    block moved = _mm_add_epi8(bytes, _mm_set1_epi8((char)(INT8_MAX - last)));

    return _mm_cmpgt_epi8(moved, _mm_set1_epi8((char)(INT8_MAX - last + first - 1)));
}

/* A bit for each byte that is not printable; as signed numbers what is no ASCII is negative. */
static inline unsigned odd_of_text(block bytes)
{
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_cmplt_epi8(bytes, _mm_set1_epi8(' ')),
                                                    _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7F))));
}

/* A bit for each byte that is none of a name. */
static inline unsigned odd_of_name(block bytes)
{
    block lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    block plain = _mm_or_si128(_mm_or_si128(is_among(lower, 'a', 'z'), is_among(bytes, '0', '9')),
                               _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));

    return (unsigned)_mm_movemask_epi8(plain) ^ 0xFFFF;
}

/* Over blocks whose bytes are all as they should be: the first odd byte, or where less than a block
 * is left, which *ret_is_short then says. */
static inline const char *skip_blocks(const char *p, const char *end, unsigned (*odd_of)(block),
                                      bool *ret_is_short)
{
    *ret_is_short = false;
    for (; end - p >= (ptrdiff_t)sizeof(block); p += sizeof(block)) {
        unsigned odd = odd_of(load(p));

        if (odd)
            return p + __builtin_ctz(odd);
    }
    *ret_is_short = true;
    return p;
}
#else
enum odd_of { odd_of_text, odd_of_name };

static inline const char *skip_blocks(const char *p, const char *end, enum odd_of odd_of,
                                      bool *ret_is_short)
{
    *ret_is_short = true;
    return p;
}
#endif

/* The first byte that is not printable, or end. */
static inline const char *skip_text(const char *p, const char *end)
{
    bool is_short;

    p = skip_blocks(p, end, odd_of_text, &is_short);
    while (is_short && p < end && is_printable((unsigned char)*p))
        p++;
    return p;
}

static inline const char *skip_name(const char *p, const char *end)
{
    bool is_short;

    p = skip_blocks(p, end, odd_of_name, &is_short);
    while (is_short && p < end && is_of_name((unsigned char)*p))
        p++;
    return p;
}

/* The byte behind the text, which must stand at p; NULL where it does not, or p is NULL. */
static inline const char *expect(const char *p, const char *end, struct span text)
{
    if (!p || (size_t)(end - p) < text.len || memcmp(p, text.ptr, text.len) != 0)
        return NULL;
    return p + text.len;
}

/* --- start lines; each gives what stands behind its line, or NULL --- */

static const char *read_method(const char *p, const char *end, struct http_head *head)
{
    static const struct {
        struct span text;
        enum http_method method;
    } methods[] = {
        {SPAN_INIT("POST "), METHOD_POST},   {SPAN_INIT("GET "), METHOD_GET},
        {SPAN_INIT("HEAD "), METHOD_HEAD},   {SPAN_INIT("PUT "), METHOD_PUT},
        {SPAN_INIT("PATCH "), METHOD_PATCH}, {SPAN_INIT("DELETE "), METHOD_DELETE},
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        const char *behind = expect(p, end, methods[i].text);

        head->method = methods[i].method;
        if (behind)
            return behind;
    }
    return NULL;
}

/* RFC 9112 3.2.1, the origin form. */
static const char *read_request_line(const char *p, const char *end, struct http_head *head)
{
    const char *line_end, *target;
    const struct span version = SPAN(" HTTP/1.1");

    p = read_method(p, end, head);
    if (!p || p == end || *p != '/')
        return NULL;
    target = p;
    line_end = skip_text(p, end);
    if ((size_t)(line_end - target) <= version.len)
        return NULL;
    p = line_end - version.len;
    head->target = span_of(target, (size_t)(p - target));
    if (head->target.len > HTTP_MAX_TARGET_BYTES || memchr(target, ' ', head->target.len))
        return NULL;
    return expect(expect(p, end, version), end, SPAN("\r\n"));
}

static const char *read_status_line(const char *p, const char *end, struct http_head *head)
{
    p = expect(p, end, SPAN("HTTP/1.1 "));
    if (!p || end - p < 4 || p[3] != ' ')
        return NULL;
    for (int i = 0; i < 3; i++) {
        if (p[i] < '0' || p[i] > '9')
            return NULL;
        head->status = head->status * 10 + p[i] - '0';
    }
    /* Others, and some of these, have no body whatever their fields say (RFC 9112 6.3). */
    if (head->status < 200 || head->status == 204 || head->status == 304)
        return NULL;
    return expect(skip_text(p + 4, end), end, SPAN("\r\n"));
}

/* --- fields --- */

static bool read_length(struct http_head *head, struct span value)
{
    bool is_first = !head->has_length;

    head->has_length = true;
    return is_first && value.len <= LENGTH_DIGITS && span_to_u64(value, &head->length) == 0;
}

/* Fields that change the framing or ask for more than an answer. */
#define ODD_FIELDS                                                                                 \
    (FIELD_BIT(EXPECT) | FIELD_BIT(PROXY_CONNECTION) | FIELD_BIT(TRANSFER_ENCODING) |              \
     FIELD_BIT(UPGRADE))

/* False where the field makes the message one that is not plain. */
static inline bool note_field(struct http_head *head, const struct http_field *field)
{
    enum field_id id = field->id;

    if (id == FIELD_OTHER)
        return true;
    if ((ODD_FIELDS >> id & 1) || (id == FIELD_HOST && head->first[id]))
        return false;
    if (id == FIELD_CONTENT_LENGTH && !read_length(head, field->value))
        return false;
    if (id == FIELD_CONNECTION && !span_is_equal_nocase(field->value, SPAN("keep-alive")))
        return false;
    if (!head->first[id])
        head->first[id] = (uint8_t)(field - head->fields + 1);
    return true;
}

/* A line of the head but its first; NULL where it declines. */
static inline const char *read_field(const char *p, const char *end, struct http_head *head)
{
    struct http_field *field = &head->fields[head->field_count];
    const char *colon = skip_name(p, end), *value, *value_end, *behind;

    if (colon == p || colon == end || *colon != ':' || head->field_count == HTTP_MAX_FIELDS)
        return NULL;
    for (value = colon + 1; value < end && *value == ' ';)
        value++;
    value_end = skip_text(value, end);
    behind = expect(value_end, end, SPAN("\r\n"));
    if (!behind)
        return NULL;
    while (value_end > value && value_end[-1] == ' ')
        value_end--;
    field->name = span_of(p, (size_t)(colon - p));
    field->value = span_of(value, (size_t)(value_end - value));
    field->id = field_id_of(field->name);
    head->field_count++;
    return note_field(head, field) ? behind : NULL;
}

size_t plain_head_read(struct span bytes, bool is_response, struct http_head *head)
{
    const char *p = bytes.ptr, *end = p + bytes.len;

    /* The fields' places are written before they are read. */
    memset(head, 0, offsetof(struct http_head, fields));
    head->minor = 1;
    head->is_keep_alive = true;
    p = is_response ? read_status_line(p, end, head) : read_request_line(p, end, head);
    while (p && p < end && *p != '\r')
        p = read_field(p, end, head);
    p = p ? expect(p, end, SPAN("\r\n")) : NULL;
    if (!p || (is_response ? !head->has_length : !head->first[FIELD_HOST]))
        return 0;
    return (size_t)(p - bytes.ptr);
}
