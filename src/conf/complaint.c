#include "conf/complaint.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/err.h"

enum { TEXT_MAX_BYTES = 1024, ARENA_MAX_BYTES = 4 << 20 };

void complaints_init(struct complaints *complaints)
{
    *complaints = (struct complaints){.file = SPAN("configuration")};
    arena_pool_init(&complaints->pool, 0);
    arena_init(&complaints->arena, &complaints->pool, ARENA_MAX_BYTES);
}

void complaints_fini(struct complaints *complaints)
{
    arena_fini(&complaints->arena);
    arena_pool_fini(&complaints->pool);
    MEM_CLEAR(complaints->items);
    complaints->count = complaints->cap = complaints->errors = 0;
}

void complaints_set_file(struct complaints *complaints, struct span file)
{
    struct span copy = arena_copy(&complaints->arena, file);

    if (copy.ptr)
        complaints->file = copy;
}

static bool has_room(struct complaints *complaints)
{
    size_t cap = complaints->cap ? complaints->cap * 2 : 16;
    struct complaint *items;

    if (complaints->count < complaints->cap)
        return true;
    if (complaints->count >= COMPLAINTS_MAX)
        return false;
    items = mem_realloc(complaints->items, cap * sizeof(*items));
    if (!items)
        return false;
    complaints->items = items;
    complaints->cap = cap;
    return true;
}

static void add(struct complaints *complaints, enum complaint_kind kind, struct conf_mark mark,
                const char *format, va_list args)
{
    char text[TEXT_MAX_BYTES];
    int len = vsnprintf(text, sizeof(text), format, args);
    struct span copy = {0};

    if (len >= (int)sizeof(text))
        len = sizeof(text) - 1;
    complaints->errors += kind == COMPLAINT_ERROR;
    if (len >= 0 && has_room(complaints))
        copy = arena_copy(&complaints->arena, span_of(text, (size_t)len));
    if (!copy.ptr) {
        complaints->dropped += kind == COMPLAINT_ERROR;
        return;
    }
    if (complaints->has_no_places)
        mark = (struct conf_mark){0, 0};
    complaints->items[complaints->count++] = (struct complaint){kind, mark, copy};
}

void complaint_error(struct complaints *complaints, struct conf_mark mark, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(complaints, COMPLAINT_ERROR, mark, format, args);
    va_end(args);
}

void complaint_warning(struct complaints *complaints, struct conf_mark mark, const char *format,
                       ...)
{
    va_list args;

    va_start(args, format);
    add(complaints, COMPLAINT_WARNING, mark, format, args);
    va_end(args);
}

void complaints_add(struct complaints *complaints, const struct complaints *others)
{
    complaints_set_file(complaints, others->file);
    complaints->has_no_places |= others->has_no_places;
    for (size_t i = 0; i < others->count; i++) {
        const struct complaint *one = &others->items[i];

        if (one->kind == COMPLAINT_ERROR)
            complaint_error(complaints, one->mark, "%.*s", SPAN_ARG(one->text));
        else
            complaint_warning(complaints, one->mark, "%.*s", SPAN_ARG(one->text));
    }
    complaints->errors += others->dropped;
    complaints->dropped += others->dropped;
}

bool complaints_allow(const struct complaints *complaints)
{
    return complaints->errors == 0;
}

static bool stands_before(const struct complaint *a, const struct complaint *b)
{
    if (a->mark.line != b->mark.line)
        return a->mark.line < b->mark.line;
    return a->mark.column < b->mark.column;
}

void complaints_sort(struct complaints *complaints)
{
    /* Insertion: they come nearly in order, and there are at most COMPLAINTS_MAX. */
    for (size_t i = 1; i < complaints->count; i++) {
        struct complaint moved = complaints->items[i];
        size_t at = i;

        for (; at > 0 && stands_before(&moved, &complaints->items[at - 1]); at--)
            complaints->items[at] = complaints->items[at - 1];
        complaints->items[at] = moved;
    }
}

int complaints_print(const struct complaints *complaints, struct buf *out)
{
    for (size_t i = 0; i < complaints->count; i++) {
        const struct complaint *complaint = &complaints->items[i];

        buf_append_span(out, complaints->file);
        if (complaint->mark.line)
            buf_printf(out, ":%u:%u", complaint->mark.line, complaint->mark.column);
        buf_printf(out, ": %s%.*s\n", complaint->kind == COMPLAINT_WARNING ? "warning: " : "",
                   SPAN_ARG(complaint->text));
    }
    if (complaints->dropped)
        buf_printf(out, "%.*s: %zu further errors are not shown\n", SPAN_ARG(complaints->file),
                   complaints->dropped);
    return out->err;
}
