/*
 * Arguments that come in pieces, each with its place as a JSONPath: a tree of members and items,
 * whose texts are chains of pieces. What it may hold is bounded; all of it lives in the arena.
 */
#include "base/err.h"
#include "dialect/gemini_inner.h"

enum {
    NODES_MAX = 4096,
    BYTES_MAX = 1 << 20,
    DEPTH_MAX = 32,
};

struct piece {
    struct piece *next;
    struct span text;
};

enum node_kind { NODE_EMPTY, NODE_OBJECT, NODE_ARRAY, NODE_TEXT, NODE_RAW };

struct node {
    enum node_kind kind;
    struct span name; /* in an object */
    uint64_t index;   /* in an array */
    struct node *first, *next;
    struct piece *pieces, *last;
};

struct gemini_partial {
    struct arena *arena;
    struct node root;
    size_t nodes, bytes;
};

struct gemini_partial *gemini_partial_new(struct arena *arena)
{
    struct gemini_partial *partial = arena_zalloc(arena, sizeof(*partial));

    if (!partial)
        return NULL;
    partial->arena = arena;
    partial->root.kind = NODE_OBJECT;
    return partial;
}

/* --- places --- */

struct step {
    struct span name;
    uint64_t index;
    bool is_index;
};

/* A name in brackets stands in quotes. */
static bool cut_bracket(struct span *rest, struct step *ret_step)
{
    size_t end = span_find_byte(*rest, ']');
    struct span inner;

    if (end == SIZE_MAX)
        return false;
    inner = span_of(rest->ptr + 1, end - 1);
    if (inner.len >= 2 && (inner.ptr[0] == '\'' || inner.ptr[0] == '"')) {
        end = span_find(*rest, inner.ptr[0] == '"' ? SPAN("\"]") : SPAN("']"));
        if (end == SIZE_MAX || end < 2)
            return false;
        *ret_step = (struct step){.name = span_of(rest->ptr + 2, end - 2)};
        *rest = span_skip(*rest, end + 2);
        return true;
    }
    ret_step->is_index = true;
    if (span_to_u64(inner, &ret_step->index))
        return false;
    *rest = span_skip(*rest, end + 1);
    return true;
}

/* Cuts the next step off what stands behind '$'. */
static bool cut_step(struct span *rest, struct step *ret_step)
{
    size_t len = 0;

    *ret_step = (struct step){.is_index = false};
    if (rest->ptr[0] == '[')
        return cut_bracket(rest, ret_step);
    if (rest->ptr[0] == '.')
        *rest = span_skip(*rest, 1);
    while (len < rest->len && rest->ptr[len] != '.' && rest->ptr[len] != '[')
        len++;
    ret_step->name = span_of(rest->ptr, len);
    *rest = span_skip(*rest, len);
    return len > 0;
}

static bool is_at(const struct node *node, const struct step *step)
{
    return step->is_index ? node->index == step->index : span_is_equal(node->name, step->name);
}

/* The child at that step, made where it is not there yet; members keep the order in which they
 * came, items that of their indices. */
static struct node *child_of(struct gemini_partial *partial, struct node *parent,
                             const struct step *step)
{
    struct node **place = &parent->first, *made;

    if (parent->kind == NODE_EMPTY)
        parent->kind = step->is_index ? NODE_ARRAY : NODE_OBJECT;
    if (parent->kind != (step->is_index ? NODE_ARRAY : NODE_OBJECT))
        return NULL;
    while (*place && !is_at(*place, step) && !(step->is_index && (*place)->index > step->index))
        place = &(*place)->next;
    if (*place && is_at(*place, step))
        return *place;
    if (++partial->nodes > NODES_MAX || (step->is_index && step->index > NODES_MAX))
        return NULL;
    made = arena_zalloc(partial->arena, sizeof(*made));
    if (!made)
        return NULL;
    made->name = step->is_index ? step->name : arena_copy(partial->arena, step->name);
    made->index = step->index;
    made->next = *place;
    *place = made;
    return made;
}

static struct node *find_node(struct gemini_partial *partial, struct span path)
{
    struct node *node = &partial->root;
    struct step step;

    if (!span_has_prefix(path, SPAN("$")))
        return NULL;
    path = span_skip(path, 1);
    for (unsigned depth = 0; node && path.len; depth++) {
        if (depth == DEPTH_MAX || !cut_step(&path, &step))
            return NULL;
        node = child_of(partial, node, &step);
    }
    return node == &partial->root ? NULL : node;
}

/* --- pieces --- */

static int add_piece(struct gemini_partial *partial, struct node *node, enum node_kind kind,
                     struct span text)
{
    struct piece *piece;

    if (node->kind != NODE_EMPTY && (node->kind != kind || kind == NODE_RAW))
        return ERR_FULL;
    if (text.len > BYTES_MAX - partial->bytes)
        return ERR_FULL;
    partial->bytes += text.len;
    node->kind = kind;
    piece = arena_zalloc(partial->arena, sizeof(*piece));
    if (!piece)
        return ERR_NOMEM;
    piece->text = arena_copy(partial->arena, text);
    if (!piece->text.ptr)
        return ERR_NOMEM;
    *(node->last ? &node->last->next : &node->pieces) = piece;
    node->last = piece;
    return 0;
}

static int add_item(struct gemini_partial *partial, const yyjson_val *item)
{
    struct node *node = find_node(partial, json_tree_string(item, "jsonPath"));
    const yyjson_val *text = json_tree_member(item, "stringValue");
    const yyjson_val *number = json_tree_member(item, "numberValue");
    const yyjson_val *truth = json_tree_member(item, "boolValue");

    if (!node)
        return ERR_FULL;
    if (text)
        return add_piece(partial, node, NODE_TEXT, json_tree_text(text));
    if (number)
        return add_piece(partial, node, NODE_RAW, json_tree_number(number));
    if (truth)
        return add_piece(partial, node, NODE_RAW,
                         yyjson_is_true(json_tree_plain(truth)) ? SPAN("true") : SPAN("false"));
    if (yyjson_obj_get(json_tree_plain(item), "nullValue"))
        return add_piece(partial, node, NODE_RAW, SPAN("null"));
    /* Only a place: a text that begins empty, or ends. */
    return node->kind == NODE_EMPTY ? add_piece(partial, node, NODE_TEXT, SPAN("")) : 0;
}

int gemini_partial_add(struct gemini_partial *partial, const yyjson_val *list)
{
    yyjson_arr_iter items = yyjson_arr_iter_with(json_tree_plain(list));
    yyjson_val *item;
    int err = 0;

    while (!err && (item = yyjson_arr_iter_next(&items)))
        err = add_item(partial, item);
    return err;
}

/* --- writing --- */

static void write_text(struct buf *out, const struct piece *piece)
{
    struct buf joined;

    buf_init(&joined, BYTES_MAX);
    for (; piece; piece = piece->next)
        (void)buf_append_span(&joined, piece->text);
    (void)json_write_string(out, buf_span(&joined));
    if (joined.err)
        (void)buf_fail(out, joined.err);
    buf_fini(&joined);
}

static void write_node(struct buf *out, const struct node *node);

static void write_children(struct buf *out, const struct node *node)
{
    bool is_object = node->kind == NODE_OBJECT;

    (void)buf_append_byte(out, is_object ? '{' : '[');
    for (const struct node *child = node->first; child; child = child->next) {
        if (child != node->first)
            (void)buf_append_byte(out, ',');
        if (is_object) {
            (void)json_write_string(out, child->name);
            (void)buf_append_byte(out, ':');
        }
        write_node(out, child);
    }
    (void)buf_append_byte(out, is_object ? '}' : ']');
}

static void write_node(struct buf *out, const struct node *node)
{
    switch (node->kind) {
    case NODE_OBJECT:
    case NODE_ARRAY:
        write_children(out, node);
        return;
    case NODE_TEXT:
        write_text(out, node->pieces);
        return;
    case NODE_RAW:
        (void)buf_append_span(out, node->pieces->text);
        return;
    case NODE_EMPTY:
        (void)buf_append_span(out, SPAN("null"));
        return;
    }
}

void gemini_partial_write(const struct gemini_partial *partial, struct buf *out)
{
    write_children(out, &partial->root);
}
