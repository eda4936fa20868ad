/* A body of JSON, written as a map of the file: kept as the JSON text that is sent, and as the line
 * that check-config prints of it. */
#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"
#include "conf/quote.h"
#include "json/skip.h"
#include "json/write.h"

enum { BODY_NAME_MAX_BYTES = 256, SHOWN_MAX_BYTES = 8 * SECRET_MAX_BYTES };

/* One body under way. */
struct body {
    struct loading *loading;
    const struct conf_row *row;
    struct json_writer json;
    struct buf *shown;
};

static void write_value(struct body *body, const struct yaml_node *node, bool is_masked);

/* ---- what is shown ---- */

/* In double quotes, as YAML has them. */
static void show_string(struct buf *out, struct span text, bool is_value)
{
    buf_append_byte(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];

        if ((unsigned char)c < ' ' || c == 0x7f) {
            buf_printf(out, "\\x%02x", (unsigned)c);
            continue;
        }
        if (c == '"' || c == '\\')
            buf_append_byte(out, '\\');
        /* "${" would be read as a reference; names hold none. */
        if (is_value && c == '$' && i + 1 < text.len && text.ptr[i + 1] == '{')
            buf_append_byte(out, '$');
        buf_append_byte(out, c);
    }
    buf_append_byte(out, '"');
}

/* ---- scalars ---- */

static size_t count_digits(struct span text)
{
    size_t count = 0;

    while (count < text.len && text.ptr[count] >= '0' && text.ptr[count] <= '9')
        count++;
    return count;
}

/* As JSON has them (RFC 8259 6): such text is a number in YAML too. */
static bool is_number(struct span text)
{
    size_t digits;

    text = span_skip(text, span_has_prefix(text, SPAN("-")));
    digits = count_digits(text);
    if (!digits || (digits > 1 && text.ptr[0] == '0'))
        return false;
    text = span_skip(text, digits);
    if (span_has_prefix(text, SPAN("."))) {
        digits = count_digits(span_skip(text, 1));
        if (!digits)
            return false;
        text = span_skip(text, digits + 1);
    }
    if (!span_has_prefix(text, SPAN("e")) && !span_has_prefix(text, SPAN("E")))
        return !text.len;
    text = span_skip(text, 1);
    text = span_skip(text, span_has_prefix(text, SPAN("-")) || span_has_prefix(text, SPAN("+")));
    digits = count_digits(text);
    return digits > 0 && digits == text.len;
}

/* Without quotes, a word or a number of JSON is that. */
static bool is_json_word(const struct yaml_node *node)
{
    return node->is_plain && (span_is_equal(node->text, SPAN("true")) ||
                              span_is_equal(node->text, SPAN("false")) || is_number(node->text));
}

static bool is_utf8(struct span text)
{
    const unsigned char *p = (const unsigned char *)text.ptr, *end = p + text.len;

    while (p < end) {
        size_t len = *p < 0x80 ? 1 : utf8_length(p, end);

        if (!len)
            return false;
        p += len;
    }
    return true;
}

static void write_string(struct body *body, const struct yaml_node *node, bool is_masked)
{
    struct span text;

    if (!loading_text(body->loading, body->row, node, &text))
        return;
    if (!is_utf8(text))
        loading_error(body->loading, node->mark,
                      "the value is no UTF-8, as JSON must be; allowed: text in UTF-8");
    json_string(&body->json, text);
    if (is_masked || loading_has_reference(node->text) || !quote_is_safe(text))
        buf_printf(body->shown, "\"%s\"", PRINT_MASK);
    else
        show_string(body->shown, text, true);
    loading_end_text(body->loading);
}

static void write_scalar(struct body *body, const struct yaml_node *node, bool is_masked)
{
    if (!is_json_word(node)) {
        write_string(body, node, is_masked);
        return;
    }
    json_raw(&body->json, node->text);
    if (is_masked)
        buf_printf(body->shown, "\"%s\"", PRINT_MASK);
    else
        buf_append_span(body->shown, node->text);
}

/* ---- lists and maps ---- */

static void write_list(struct body *body, const struct yaml_node *node, bool is_masked)
{
    size_t at = 0;

    json_begin_array(&body->json);
    buf_append_byte(body->shown, '[');
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        size_t before = loading_enter_index(body->loading, at);

        if (at++)
            buf_printf(body->shown, ", ");
        write_value(body, item->value, is_masked);
        loading_leave(body->loading, before);
    }
    buf_append_byte(body->shown, ']');
    json_end_array(&body->json);
}

static void write_member(struct body *body, const struct yaml_item *item, bool is_masked)
{
    size_t before = loading_enter(body->loading, item->key);

    if (item->key.len > BODY_NAME_MAX_BYTES)
        loading_error(body->loading, item->mark, "the name is too long; allowed: at most %d bytes",
                      BODY_NAME_MAX_BYTES);
    json_name_span(&body->json, item->key);
    show_string(body->shown, item->key, false);
    buf_printf(body->shown, ": ");
    write_value(body, item->value, is_masked || conf_header_name_is_secret(item->key));
    loading_leave(body->loading, before);
}

/* {name} without quotes is a map for YAML, of one name without a value. */
static bool is_bare_placeholder(const struct yaml_node *node)
{
    static const struct span names[] = {SPAN_INIT("name"), SPAN_INIT("time"), SPAN_INIT("expires"),
                                        SPAN_INIT("id"), SPAN_INIT("current_key")};

    if (node->count != 1 || node->first->value->kind != YAML_NULL || node->first->value->text.len)
        return false;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_is_equal(node->first->key, names[i]))
            return true;
    }
    return false;
}

static void write_map(struct body *body, const struct yaml_node *node, bool is_masked)
{
    if (is_bare_placeholder(node))
        loading_error(body->loading, node->mark,
                      "a placeholder without quotes is a map; allowed: \"{%.*s}\"",
                      SPAN_ARG(node->first->key));
    json_begin_object(&body->json);
    buf_append_byte(body->shown, '{');
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        write_member(body, item, is_masked);
        if (item->next)
            buf_printf(body->shown, ", ");
    }
    buf_append_byte(body->shown, '}');
    json_end_object(&body->json);
}

/* As deep as the file, which is bounded. */
static void write_value(struct body *body, const struct yaml_node *node, bool is_masked)
{
    switch (node->kind) {
    case YAML_NULL:
        json_null(&body->json);
        buf_printf(body->shown, "null");
        break;
    case YAML_SCALAR:
        write_scalar(body, node, is_masked);
        break;
    case YAML_LIST:
        write_list(body, node, is_masked);
        break;
    case YAML_MAP:
        write_map(body, node, is_masked);
        break;
    }
}

/* ---- the type ---- */

static void keep_body(struct loading *loading, struct conf_mark mark, const struct buf *json,
                      const struct buf *shown, struct conf_body *field)
{
    if (json->err == ERR_NOMEM || shown->err == ERR_NOMEM) {
        loading->err = ERR_NOMEM;
    } else if (json->err || shown->err) {
        loading_error(loading, mark, "the body is too large; allowed: at most 16 KiB of JSON");
    } else {
        field->json = loading_keep_document(loading, mark, buf_span(json));
        field->shown = loading_keep(loading, buf_span(shown));
    }
}

static void read_body(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    size_t errors = loading->complaints->errors;
    struct body body = {.loading = loading, .row = row};
    struct buf json, shown;

    if (node->kind != YAML_MAP) {
        loading_refuse(loading, row, node, "stands where a map should");
        return;
    }
    buf_init(&json, SECRET_MAX_BYTES);
    buf_init(&shown, SHOWN_MAX_BYTES);
    json.is_secret = true;
    body.shown = &shown;
    json_writer_init(&body.json, &json);
    write_value(&body, node, false);
    if (loading->complaints->errors == errors)
        keep_body(loading, node->mark, &json, &shown, field);
    buf_fini(&json);
    buf_fini(&shown);
}

static void print_body(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_body *body = field;

    if (!body->json)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, " %.*s\n", SPAN_ARG(body->shown));
}

static void tell_body(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a map that is sent as JSON, placeholders in quotes: \"{name}\"");
}

const struct conf_type conf_type_body = {.name = "map that is sent as JSON",
                                         .read = read_body,
                                         .print = print_body,
                                         .tell = tell_body,
                                         .is_secret = true};
