#include "json/scan_inner.h"

#include "base/word.h"
#include "json/skip.h"

static const struct json_watch *row_of(const struct json_scan *scan, int row)
{
    return &scan->list->rows[row];
}

void scan_capture(struct json_scan *scan, int row, const void *bytes, size_t len)
{
    struct json_capture *capture = &scan->captures[row];
    struct json_seen *seen = &scan->seen[row];
    size_t room = capture->cap - seen->text_len;

    if (seen->is_cut || len == 0)
        return;
    memcpy(capture->data + seen->text_len, bytes, len < room ? len : room);
    if (len <= room) {
        seen->text_len += (uint32_t)len;
        return;
    }
    seen->is_cut = true;
    seen->text_len = (uint32_t)utf8_whole(capture->data, capture->cap);
}

void scan_capture_upto(struct json_scan *scan, const byte *p)
{
    scan_capture(scan, scan->capture_row, scan->capture_from, (size_t)(p - scan->capture_from));
    scan->capture_from = p;
}

/* Whether one of the row's other names is that. */
static bool is_spelled(const struct json_watchlist *list, int row, struct span name)
{
    for (size_t i = 0; i < list->spelling_count; i++) {
        if (list->spellings[i].row == row && word_is_equal(list->spellings[i].name, name))
            return true;
    }
    return false;
}

/* Apart, so that the way of all others stays short. */
static __attribute__((noinline)) int find_spelling(const struct json_watchlist *list, int scope,
                                                   struct span name)
{
    for (size_t i = 0; i < list->spelling_count; i++) {
        int row = list->spellings[i].row;

        if (list->rows[row].parent == scope && word_is_equal(list->spellings[i].name, name))
            return row;
    }
    return -1;
}

/* The row of a member of that name of the scope's value; name is not empty. */
static inline int find_row(const struct json_watchlist *list, int scope, struct span name)
{
    size_t i = scope >= 0 ? list->rows[scope].below : 0;

    for (; i < list->count && list->rows[i].parent == scope; i++) {
        if (word_is_equal(list->rows[i].name, name))
            return (int)i;
    }
    return list->spelling_count ? find_spelling(list, scope, name) : -1;
}

/* The row of a member of that name anywhere in the text; where there is one, it is the last. */
static int find_row_in_text(const struct json_scan *scan, struct span name)
{
    const struct json_watchlist *list = scan->list;
    int last = (int)list->count - 1;

    if (!scan->text_depth || list->rows[last].parent != JSON_SIGN_TEXT)
        return -1;
    return word_is_equal(list->rows[last].name, name) || is_spelled(list, last, name) ? last : -1;
}

/* Whether the text of such a member counts; others are but counted themselves. */
static bool is_text_name(struct json_scan *scan, struct span name)
{
    const struct json_watchlist *list = scan->list;

    for (size_t i = 0; i < list->text_name_count + list->counted_name_count; i++) {
        if (!word_is_equal(list->text_names[i], name))
            continue;
        scan->named_members += i >= list->text_name_count;
        return i < list->text_name_count;
    }
    return false;
}

static __attribute__((noinline)) void check_name(struct json_scan *scan, const byte *p)
{
    unsigned flags = row_of(scan, scan->row)->flags;

    if ((flags & JSON_SPELLED) && scan->is_name_escaped) {
        scan->fault_row = scan->row;
        scan_fail(scan, JSON_FAULT_SPELLING, p);
    } else if ((flags & JSON_UNIQUE) && scan->seen[scan->row].type) {
        scan->fault_row = scan->row;
        scan_fail(scan, JSON_FAULT_DUPLICATE, p);
    }
}

static void note_signs(struct json_scan *scan, struct span name)
{
    const struct json_watchlist *list = scan->list;
    int scope = scan_scope(scan, scan->depth);

    for (size_t i = 0; i < list->sign_count; i++) {
        const struct json_sign *sign = &list->signs[i];

        if ((sign->parent == JSON_SIGN_TEXT ? scan->text_depth != 0 : sign->parent == scope) &&
            word_is_equal(sign->name, name))
            scan->signs |= UINT64_C(1) << sign->bit;
    }
}

/* Where signs are looked for; apart, as all that few bodies need. */
static __attribute__((noinline)) void look_for_signs(struct json_scan *scan, struct span name)
{
    note_signs(scan, name);
    if (scan->row < 0)
        scan->row = (int16_t)find_row_in_text(scan, name);
}

void scan_name_ended(struct json_scan *scan, struct span name, const byte *p)
{
    const struct json_watchlist *list = scan->list;
    int scope = scan->depth < JSON_SCOPE_MAX - 1 ? scan->scope[scan->depth] : SCOPE_NONE;

    if (scope != SCOPE_NONE)
        scan->row = (int16_t)find_row(list, scope, name);
    if (scan->text_depth)
        scan->name_is_text = (scan_mark(name) & list->text_marks) && is_text_name(scan, name);
    if (list->sign_count)
        look_for_signs(scan, name);
    if (scan->row >= 0 && (row_of(scan, scan->row)->flags & (JSON_SPELLED | JSON_UNIQUE)))
        check_name(scan, p);
}

/* A watched container needs a scope of its own one level further in. */
void scan_look_out(struct json_scan *scan)
{
    const struct json_watchlist *list = scan->list;
    int scope = scan->depth < JSON_SCOPE_MAX - 1 ? scan->scope[scan->depth] : SCOPE_NONE;

    scan->marks = scan->text_depth ? list->text_marks : 0;
    if (scope != SCOPE_NONE)
        scan->marks |= scope == SCOPE_ROOT ? list->root_marks : list->rows[scope].marks;
    if (list->sign_count && (scan->text_depth || scope != SCOPE_NONE))
        scan->marks = UINT64_MAX;
}

void scan_value_began(struct json_scan *scan, enum json_type type, const byte *p)
{
    int row = scan->row;
    struct json_seen *seen = &scan->seen[row];

    if (!(row_of(scan, row)->types & type)) {
        scan->fault_row = row;
        scan->fault_type = type;
        scan_fail(scan, JSON_FAULT_TYPE, p);
        return;
    }
    *seen = (struct json_seen){
        .start = scan_offset(scan, p), .type = (uint8_t)type, .is_twice = seen->type != 0};
    if (scan_is_captured(scan, row) && type != JSON_STRING && scan->capture_row < 0) {
        scan->capture_row = (int16_t)row;
        scan->capture_from = p;
        scan->capture_depth = type & (JSON_OBJECT | JSON_ARRAY) ? (uint16_t)(scan->depth + 1) : 0;
    }
}

/* The signs that the text of a row begins with. */
static __attribute__((noinline)) void note_told(struct json_scan *scan, int row)
{
    const struct json_watchlist *list = scan->list;
    struct span text = json_scan_text(scan, row);

    for (size_t i = 0; i < list->sign_count; i++) {
        const struct json_sign *sign = &list->signs[i];

        if (sign->parent == row && text.len >= sign->name.len &&
            span_is_equal_nocase(span_of(text.ptr, sign->name.len), sign->name))
            scan->signs |= UINT64_C(1) << sign->bit;
    }
}

void scan_value_ended(struct json_scan *scan, const byte *p)
{
    struct json_seen *seen = &scan->seen[scan->row];

    seen->end = scan_offset(scan, p);
    seen->is_whole = true;
    if (scan->capture_row == scan->row) {
        scan_capture_upto(scan, p);
        scan->capture_row = -1;
    }
    if (scan->list->sign_count && (row_of(scan, scan->row)->flags & JSON_TELLS) &&
        seen->type == JSON_STRING)
        note_told(scan, scan->row);
    scan->row = -1;
}

void scan_opened(struct json_scan *scan)
{
    unsigned depth = scan->depth;
    int scope = scan->row;

    if (scope < 0) {
        /* An item of a watched array stands for the array: its members are the rows' below it. */
        scope = depth == 1                       ? SCOPE_ROOT
                : scan_is_array(scan, depth - 1) ? scan_scope(scan, depth - 1)
                                                 : SCOPE_NONE;
    } else if ((row_of(scan, scope)->flags & JSON_COUNTED) && !scan->text_depth) {
        scan->text_depth = (uint16_t)depth;
    }
    if (depth < JSON_SCOPE_MAX)
        scan->scope[depth] = (int16_t)scope;
    scan->row = -1;
    scan_look_out(scan);
}

/* What was seen of the rows below is forgotten, to any depth: no deeper than rows are nested. */
static void forget_below(struct json_scan *scan, int row)
{
    const struct json_watchlist *list = scan->list;

    for (size_t i = list->rows[row].below; i && i < list->count && list->rows[i].parent == row;
         i++) {
        scan->seen[i] = (struct json_seen){0};
        forget_below(scan, (int)i);
    }
}

/* An object of a watched array has ended: it is told, and its rows are free for the next. */
static __attribute__((noinline)) void item_ended(struct json_scan *scan, int row)
{
    if (scan->on_item)
        scan->on_item(scan->context, row);
    forget_below(scan, row);
}

void scan_closing(struct json_scan *scan, const byte *p, bool is_empty)
{
    unsigned depth = scan->depth;
    int scope = scan_scope(scan, depth);

    if (scan->capture_row >= 0 && scan->capture_depth == depth) {
        scan_capture_upto(scan, p + 1);
        scan->capture_row = -1;
    }
    if (scan->text_depth == depth)
        scan->text_depth = 0;
    if (scope < 0)
        return;
    if (scan_is_array(scan, depth - 1) && scan_scope(scan, depth - 1) == scope) {
        if (!scan_is_array(scan, depth) && (row_of(scan, scope)->flags & JSON_PER_ITEM))
            item_ended(scan, scope);
        return;
    }
    scan->seen[scope].end = scan_offset(scan, p) + 1;
    scan->seen[scope].is_whole = true;
    scan->seen[scope].is_empty = is_empty;
}

static bool stands_right(const struct json_watchlist *list, size_t i)
{
    const struct json_watch *row = &list->rows[i];
    bool is_first = i == 0 || list->rows[i - 1].parent != row->parent;

    if (row->parent == JSON_SIGN_TEXT)
        return i + 1 == list->count && !row->below;
    if (row->parent >= (int)i || row->below >= list->count)
        return false;
    if (row->below && list->rows[row->below].parent != (int)i)
        return false;
    return !is_first || i == (row->parent < 0 ? 0 : list->rows[row->parent].below);
}

static uint64_t marks_below(const struct json_watchlist *list, int parent)
{
    uint64_t marks = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (list->rows[i].parent == parent && list->rows[i].name.len)
            marks |= scan_mark(list->rows[i].name);
    }
    for (size_t i = 0; i < list->spelling_count; i++) {
        if (list->rows[list->spellings[i].row].parent == parent)
            marks |= scan_mark(list->spellings[i].name);
    }
    return marks;
}

bool json_watchlist_is_sound(const struct json_watchlist *list)
{
    uint64_t text_marks = 0;

    for (size_t i = 0; i < list->count; i++) {
        if (!stands_right(list, i) || list->rows[i].marks != marks_below(list, (int)i))
            return false;
    }
    for (size_t i = 0; i < list->text_name_count + list->counted_name_count; i++)
        text_marks |= scan_mark(list->text_names[i]);
    return list->count <= JSON_WATCH_MAX && list->root_marks == marks_below(list, SCOPE_ROOT) &&
           list->text_marks == text_marks;
}
