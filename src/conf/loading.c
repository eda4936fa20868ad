#include "conf/loading.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"
#include "conf/quote.h"

enum { TEXT_BYTES = 900, SEGMENT_BYTES = 64 };

static size_t append_path(struct loading *loading, struct span text)
{
    size_t before = loading->path_len;

    if (text.len <= sizeof(loading->path) - before) {
        memcpy(loading->path + before, text.ptr, text.len);
        loading->path_len += text.len;
    }
    return before;
}

size_t loading_enter(struct loading *loading, struct span name)
{
    size_t before = loading->path_len;

    if (before)
        append_path(loading, SPAN("."));
    append_path(loading, name.len <= SEGMENT_BYTES && quote_is_safe(name) ? name : SPAN("?"));
    return before;
}

size_t loading_enter_index(struct loading *loading, size_t index)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "[%zu]", index);

    return append_path(loading, span_of(text, (size_t)len));
}

void loading_leave(struct loading *loading, size_t length)
{
    loading->path_len = length;
}

static void begin_text(struct loading *loading, struct buf *text)
{
    buf_init(text, TEXT_BYTES);
    if (loading->path_len)
        buf_printf(text, "%.*s: ", (int)loading->path_len, loading->path);
}

void loading_error(struct loading *loading, struct conf_mark mark, const char *format, ...)
{
    struct buf text;
    va_list args;

    begin_text(loading, &text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    complaint_error(loading->complaints, mark, "%s", buf_text(&text));
    buf_fini(&text);
}

void loading_warning(struct loading *loading, struct conf_mark mark, const char *format, ...)
{
    struct buf text;
    va_list args;

    begin_text(loading, &text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    complaint_warning(loading->complaints, mark, "%s", buf_text(&text));
    buf_fini(&text);
}

void loading_refuse(struct loading *loading, const struct conf_row *row,
                    const struct yaml_node *node, const char *what)
{
    struct buf text;

    begin_text(loading, &text);
    if (node->kind != YAML_SCALAR || row->group)
        buf_printf(&text, "%s", yaml_kind_text(node));
    else if (row->type->is_secret)
        buf_printf(&text, "the value");
    else if (loading_has_reference(node->text) && quote_is_safe(node->text))
        buf_printf(&text, "the value of %.*s", SPAN_ARG(node->text));
    else
        quote_append(&text, node->text, "the value");
    buf_printf(&text, " %s; allowed: ", what);
    row->type->tell(row, &text);
    complaint_error(loading->complaints, node->mark, "%s", buf_text(&text));
    buf_fini(&text);
}

void *loading_alloc(struct loading *loading, size_t count, size_t size)
{
    void *memory = NULL;

    if (count <= SIZE_MAX / size)
        memory = arena_zalloc(&loading->box->arena, count * size);
    if (!memory)
        loading->err = ERR_NOMEM;
    return memory;
}

struct span loading_keep(struct loading *loading, struct span text)
{
    struct span copy = arena_copy(&loading->box->arena, text);

    if (!copy.ptr) {
        loading->err = ERR_NOMEM;
        return (struct span){0};
    }
    return copy;
}

struct span loading_keep_path(struct loading *loading, struct span text)
{
    struct span path;

    if (!text.len || text.ptr[0] == '/' || !loading->folder.len)
        return loading_keep(loading, text);
    path =
        arena_printf(&loading->box->arena, "%.*s%.*s", SPAN_ARG(loading->folder), SPAN_ARG(text));
    if (!path.ptr)
        loading->err = ERR_NOMEM;
    return path.ptr ? path : (struct span){0};
}

/* What is wrong with a text as a credential of a header line; NULL if nothing. */
static const char *secret_fault(struct span text)
{
    if (!text.len)
        return "is empty; allowed: a secret of at least one character";
    if (text.len > SECRET_MAX_BYTES)
        return "is too long; allowed: at most 16384 bytes";
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return "holds a control character, such as a line break; allowed: one line of text";
    }
    if (text.ptr[0] == ' ' || text.ptr[text.len - 1] == ' ')
        return "starts or ends with a space; allowed: the secret alone";
    return NULL;
}

static int own_secret(struct config_box *box, struct secret *secret)
{
    size_t cap = box->secret_cap ? box->secret_cap * 2 : 16;
    struct secret **secrets;

    if (box->secret_count == box->secret_cap) {
        secrets = mem_realloc(box->secrets, cap * sizeof(struct secret *));
        if (!secrets)
            return ERR_NOMEM;
        box->secrets = secrets;
        box->secret_cap = cap;
    }
    box->secrets[box->secret_count++] = secret;
    return 0;
}

bool loading_own_zone(struct loading *loading, struct zone *zone)
{
    struct config_box *box = loading->box;
    size_t cap = box->zone_cap ? box->zone_cap * 2 : 4;
    struct zone **zones;

    if (!zone)
        return true;
    if (box->zone_count == box->zone_cap) {
        zones = mem_realloc(box->zones, cap * sizeof(struct zone *));
        if (!zones) {
            zone_free(&zone);
            loading->err = ERR_NOMEM;
            return false;
        }
        box->zones = zones;
        box->zone_cap = cap;
    }
    box->zones[box->zone_count++] = zone;
    return true;
}

bool loading_check_secret(struct loading *loading, struct conf_mark mark, struct span text)
{
    const char *fault = secret_fault(text);

    if (fault)
        loading_error(loading, mark, "the value %s", fault);
    return !fault;
}

struct secret *loading_keep_secret(struct loading *loading, struct conf_mark mark, struct span text)
{
    return loading_check_secret(loading, mark, text) ? loading_keep_document(loading, mark, text)
                                                     : NULL;
}

struct secret *loading_keep_document(struct loading *loading, struct conf_mark mark,
                                     struct span text)
{
    struct secret *secret;
    int err;

    err = secret_new(loading->source->secrets, text, &secret);
    if (err == ERR_FULL)
        loading_error(loading, mark,
                      "there is no room left for secrets; allowed: fewer of them, those of the "
                      "running configuration included");
    else if (err)
        loading->err = ERR_NOMEM;
    if (err)
        return NULL;
    if (own_secret(loading->box, secret)) {
        secret_unref(&secret);
        loading->err = ERR_NOMEM;
        return NULL;
    }
    return secret;
}

struct span loading_name_key(struct loading *loading)
{
    struct span name = arena_printf(&loading->box->arena, "%.*s-%zu",
                                    SPAN_ARG(loading->provider->name), ++loading->short_keys);

    if (!name.ptr)
        loading->err = ERR_NOMEM;
    return name.ptr ? name : (struct span){0};
}
