#include "conf/yaml.h"

#include <libfyaml.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"
#include "base/secret.h"
#include "conf/quote.h"
#include "conf/yaml_text.h"

enum { ARENA_MAX_BYTES = 512 << 20 };

/* One run over the text. An event is taken, looked at, and given back before the next. */
struct parse {
    struct yaml_doc *doc;
    struct span text;
    struct text_cursor cursor; /* behind the last dash that was looked for */
    struct complaints *complaints;
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_event *event; /* NULL before the first and behind the last */
    struct map anchors;     /* struct yaml_node by name; the latest of a name counts */
    unsigned depth;
    bool is_told; /* the failure stands among the complaints */
    int err;      /* the first failure; what follows is skipped */
};

static int parse_node(struct parse *p, struct conf_mark fallback, struct yaml_node **ret_node);

static void fail(struct parse *p, int err)
{
    if (!p->err)
        p->err = err;
}

static void fail_at(struct parse *p, struct conf_mark mark, const char *text)
{
    if (!p->err) {
        complaint_error(p->complaints, mark, "%s", text);
        p->is_told = true;
    }
    fail(p, ERR_SYNTAX);
}

static struct conf_mark mark_of(struct fy_token *token, struct conf_mark fallback)
{
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    if (!mark)
        return fallback;
    return (struct conf_mark){(uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
}

/* The library's mark stands behind the quote, '*' or '&' that begins the token. */
static struct conf_mark mark_before(struct conf_mark mark)
{
    if (mark.column > 1)
        mark.column--;
    return mark;
}

/* The library keeps an unescaped copy of some scalars in their tokens: wiped before the token goes,
 * for it may be a secret. */
static void event_end(struct parse *p)
{
    struct fy_token *value;
    const char *text;
    size_t len;

    if (!p->event)
        return;
    if (p->event->type == FYET_SCALAR) {
        value = p->event->scalar.value;
        text = value ? fy_token_get_text(value, &len) : NULL;
        if (text && len && (text < p->text.ptr || text >= p->text.ptr + p->text.len))
            secret_wipe((void *)(uintptr_t)text, len);
    }
    fy_parser_event_free(p->parser, p->event);
    p->event = NULL;
}

static void event_next(struct parse *p)
{
    event_end(p);
    if (p->err)
        return;
    p->event = fy_parser_parse(p->parser);
    if (!p->event && fy_parser_get_stream_error(p->parser))
        fail(p, ERR_SYNTAX);
}

static bool event_is(const struct parse *p, enum fy_event_type type)
{
    return !p->err && p->event && p->event->type == type;
}

static struct yaml_node *node_new(struct parse *p, enum yaml_kind kind, struct conf_mark mark)
{
    struct yaml_node *node = arena_zalloc(&p->doc->arena, sizeof(*node));

    if (!node) {
        fail(p, ERR_NOMEM);
        return NULL;
    }
    node->kind = kind;
    node->mark = mark;
    node->weight = 1;
    return node;
}

/* A copy in the block that is wiped at the end; an escape never grows beyond twice its text. */
static struct span keep_text(struct parse *p, struct fy_token *token)
{
    struct yaml_doc *doc = p->doc;
    size_t len = 0;
    const char *text = token ? fy_token_get_text(token, &len) : "";
    struct span copy;

    if (!text || len > doc->cap - doc->used) {
        fail(p, ERR_NOMEM);
        return (struct span){0};
    }
    copy = span_of(doc->bytes + doc->used, len);
    if (len)
        memcpy(doc->bytes + doc->used, text, len);
    doc->used += len;
    return copy;
}

static bool is_null_text(struct span text)
{
    return text.len == 0 || span_is_equal(text, SPAN("~")) || span_is_equal(text, SPAN("null")) ||
           span_is_equal(text, SPAN("Null")) || span_is_equal(text, SPAN("NULL"));
}

/* A later anchor of the same name takes over (YAML 1.2, 3.2.2.2). */
static void remember_anchor(struct parse *p, struct span name, struct yaml_node *node)
{
    if (!name.len || p->err)
        return;
    map_remove(&p->anchors, name);
    if (map_add(&p->anchors, name, node))
        fail(p, ERR_NOMEM);
}

static void refuse_tag(struct parse *p, struct fy_token *tag, struct conf_mark mark)
{
    if (tag)
        fail_at(p, mark_of(tag, mark), "a tag; allowed: values without tags");
}

/* True where the value is not even a text of no length in quotes. Where such a one stands the
 * library does not know, or (since 0.9) says the end of what came before it. */
static bool is_nothing(const struct parse *p)
{
    struct fy_token *value;
    size_t len = 0;

    if (!event_is(p, FYET_SCALAR))
        return false;
    value = p->event->scalar.value;
    return !value || (fy_token_scalar_style(value) == FYSS_PLAIN &&
                      (!fy_token_get_text(value, &len) || len == 0));
}

static struct yaml_node *parse_scalar(struct parse *p, struct conf_mark fallback)
{
    struct fy_token *value = p->event->scalar.value, *anchor = p->event->scalar.anchor;
    enum fy_scalar_style style = fy_token_scalar_style(value);
    struct conf_mark mark = is_nothing(p) ? fallback : mark_of(value, fallback);
    struct yaml_node *node = node_new(p, YAML_SCALAR, mark);

    if (!node)
        return NULL;
    if (style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED)
        node->mark = mark_before(node->mark);
    refuse_tag(p, p->event->scalar.tag, node->mark);
    node->text = keep_text(p, value);
    node->is_plain = style == FYSS_PLAIN;
    if (style == FYSS_PLAIN && is_null_text(node->text))
        node->kind = YAML_NULL;
    if (anchor)
        remember_anchor(p, keep_text(p, anchor), node);
    event_next(p);
    return node;
}

static struct yaml_node *parse_alias(struct parse *p, struct conf_mark fallback)
{
    struct conf_mark mark = mark_before(mark_of(p->event->alias.anchor, fallback));
    struct yaml_node *node = map_find(&p->anchors, keep_text(p, p->event->alias.anchor));

    if (!node)
        fail_at(p, mark, "an alias without its anchor; allowed: an anchor of that name further up");
    event_next(p);
    return node;
}

/* Hangs a member in, and counts what it brings. */
static struct yaml_item *add_item(struct parse *p, struct yaml_node *parent,
                                  struct yaml_item **last, struct yaml_node *value)
{
    struct yaml_item *item = arena_zalloc(&p->doc->arena, sizeof(*item));

    if (!item) {
        fail(p, ERR_NOMEM);
        return NULL;
    }
    item->value = value;
    item->mark = value->mark;
    *(*last ? &(*last)->next : &parent->first) = item;
    *last = item;
    parent->count++;
    parent->weight += value->weight;
    if (parent->weight > YAML_MAX_NODES)
        fail_at(p, value->mark,
                "too much; allowed: at most 1000000 values, aliases counted each time");
    return item;
}

/* The place of a member that is nothing but its dash. */
static struct conf_mark place_of_nothing(struct parse *p, struct conf_mark list,
                                         const struct yaml_item *last)
{
    if (!is_nothing(p))
        return list;
    return text_next_dash(p->text, &p->cursor, list, last ? last->mark.line + 1 : list.line);
}

static struct yaml_node *parse_list(struct parse *p, struct conf_mark fallback)
{
    struct fy_token *anchor = p->event->sequence_start.anchor;
    struct yaml_node *node =
        node_new(p, YAML_LIST, mark_of(p->event->sequence_start.sequence_start, fallback));
    struct span name = anchor ? keep_text(p, anchor) : (struct span){0};
    struct yaml_node *value;
    struct yaml_item *last = NULL;

    if (!node)
        return NULL;
    refuse_tag(p, p->event->sequence_start.tag, node->mark);
    event_next(p);
    while (!p->err && !event_is(p, FYET_SEQUENCE_END)) {
        if (!parse_node(p, place_of_nothing(p, node->mark, last), &value))
            add_item(p, node, &last, value);
    }
    event_next(p);
    remember_anchor(p, name, node);
    return node;
}

static void tell_duplicate(struct parse *p, const struct yaml_node *key,
                           const struct yaml_node *first)
{
    struct buf text;

    buf_init(&text, 256);
    buf_printf(&text, "duplicate key ");
    quote_append(&text, key->text, "(not shown)");
    complaint_error(p->complaints, key->mark, "%s; allowed: each once, and line %u has it already",
                    buf_text(&text), first->mark.line);
    buf_fini(&text);
}

/* Takes the key of a member. One that the map has already is a complaint, and its value is read and
 * left out: *ret_is_new tells. */
static void parse_key(struct parse *p, struct map *seen, struct yaml_node **ret_key,
                      bool *ret_is_new)
{
    const struct yaml_node *first;
    struct yaml_node *key;

    *ret_is_new = false;
    if (!event_is(p, FYET_SCALAR)) {
        struct fy_token *token = p->event ? fy_event_get_token(p->event) : NULL;

        fail_at(p, mark_of(token, (struct conf_mark){1, 1}),
                "a key that is no single value; allowed: names as keys");
        return;
    }
    key = parse_scalar(p, (struct conf_mark){1, 1});
    if (!key || p->err)
        return;
    *ret_key = key;
    first = map_find(seen, key->text);
    if (first)
        tell_duplicate(p, key, first);
    else if (map_add(seen, key->text, key))
        fail(p, ERR_NOMEM);
    *ret_is_new = !first;
}

static void parse_member(struct parse *p, struct yaml_node *map, struct map *seen,
                         struct yaml_item **last)
{
    struct yaml_node *key = NULL, *value;
    struct yaml_item *item;
    bool is_new;

    parse_key(p, seen, &key, &is_new);
    if (p->err || parse_node(p, key->mark, &value) || !is_new)
        return;
    item = add_item(p, map, last, value);
    if (item) {
        item->key = key->text;
        item->mark = key->mark;
    }
}

static struct yaml_node *parse_map(struct parse *p, struct conf_mark fallback)
{
    struct fy_token *anchor = p->event->mapping_start.anchor;
    struct yaml_node *node =
        node_new(p, YAML_MAP, mark_of(p->event->mapping_start.mapping_start, fallback));
    struct span name = anchor ? keep_text(p, anchor) : (struct span){0};
    struct yaml_item *last = NULL;
    struct map seen;

    if (!node)
        return NULL;
    map_init(&seen, YAML_MAX_NODES);
    refuse_tag(p, p->event->mapping_start.tag, node->mark);
    event_next(p);
    while (!p->err && !event_is(p, FYET_MAPPING_END))
        parse_member(p, node, &seen, &last);
    event_next(p);
    remember_anchor(p, name, node);
    map_fini(&seen);
    return node;
}

/* `fallback` is the place of a value that has none of its own: nothing behind a colon. */
static int parse_node(struct parse *p, struct conf_mark fallback, struct yaml_node **ret_node)
{
    struct yaml_node *node = NULL;

    if (++p->depth > YAML_MAX_DEPTH)
        fail_at(p, fallback, "nested too deep; allowed: at most 24 levels");
    else if (event_is(p, FYET_SCALAR))
        node = parse_scalar(p, fallback);
    else if (event_is(p, FYET_ALIAS))
        node = parse_alias(p, fallback);
    else if (event_is(p, FYET_SEQUENCE_START))
        node = parse_list(p, fallback);
    else if (event_is(p, FYET_MAPPING_START))
        node = parse_map(p, fallback);
    else
        fail(p, ERR_SYNTAX);
    p->depth--;
    *ret_node = node;
    return p->err;
}

static void parse_stream(struct parse *p)
{
    struct conf_mark start = {1, 1};

    event_next(p);
    while (event_is(p, FYET_STREAM_START) || event_is(p, FYET_DOCUMENT_START))
        event_next(p);
    if (!event_is(p, FYET_STREAM_END))
        parse_node(p, start, &p->doc->root);
    else
        p->doc->root = node_new(p, YAML_NULL, start);
    while (event_is(p, FYET_DOCUMENT_END))
        event_next(p);
    if (event_is(p, FYET_DOCUMENT_START))
        fail_at(p, mark_of(fy_event_get_token(p->event), start), "a second document; allowed: one");
    event_end(p);
}

/* What the library found wrong. Its words name no contents of the file. */
static void tell_library_errors(struct parse *p)
{
    struct fy_diag_error *error;
    void *at = NULL;

    while ((error = fy_diag_errors_iterate(p->diag, &at))) {
        struct conf_mark mark = {error->line > 0 ? (uint32_t)error->line : 1,
                                 error->column > 0 ? (uint32_t)error->column : 1};
        struct span line = text_line(p->text, mark.line);

        complaint_error(p->complaints, mark, "this is no YAML: %s%s", error->msg,
                        span_find(line, SPAN("${")) == SIZE_MAX
                            ? ""
                            : "; a ${...} inside of {} or [] must stand in quotes");
        p->is_told = true;
    }
    if (!p->is_told)
        complaint_error(p->complaints, (struct conf_mark){1, 1},
                        "this is no YAML; allowed: YAML 1.2");
}

/* Everything is collected and told as complaints; nothing may reach stderr. */
static void drop_output(struct fy_diag *diag, void *user, const char *text, size_t len)
{
    (void)diag, (void)user, (void)text, (void)len;
}

static void parse_with_library(struct parse *p)
{
    struct fy_diag_cfg diag_cfg = {
        .output_fn = drop_output, .level = FYET_ERROR, .module_mask = ~0u};
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG |
                                        FYPCF_DEFAULT_VERSION_1_2 | FYPCF_JSON_NONE};

    p->diag = fy_diag_create(&diag_cfg);
    if (!p->diag) {
        fail(p, ERR_NOMEM);
        return;
    }
    fy_diag_set_collect_errors(p->diag, true);
    cfg.diag = p->diag;
    p->parser = fy_parser_create(&cfg);
    if (!p->parser || fy_parser_set_string(p->parser, p->text.ptr, p->text.len))
        fail(p, ERR_NOMEM);
    else
        parse_stream(p);
    event_end(p);
    if (p->err == ERR_SYNTAX && !p->is_told)
        tell_library_errors(p);
    fy_parser_destroy(p->parser);
    fy_diag_destroy(p->diag);
}

/* The library stops at a NUL without a word, so what YAML does not allow is found here. */
static void check_bytes(struct parse *p)
{
    struct conf_mark mark;
    const char *fault = text_fault(p->text, &mark);

    if (fault)
        fail_at(p, mark, fault);
}

int yaml_parse(struct yaml_doc *doc, struct span text, struct complaints *complaints)
{
    struct parse p = {.doc = doc, .text = text, .complaints = complaints, .cursor = {.line = 1}};

    *doc = (struct yaml_doc){.cap = 2 * text.len + 1};
    arena_pool_init(&doc->pool, 0);
    arena_init(&doc->arena, &doc->pool, ARENA_MAX_BYTES);
    doc->bytes = mem_alloc(doc->cap);
    if (!doc->bytes)
        return ERR_NOMEM;
    map_init(&p.anchors, YAML_MAX_NODES);
    check_bytes(&p);
    if (!p.err)
        parse_with_library(&p);
    map_fini(&p.anchors);
    return p.err;
}
