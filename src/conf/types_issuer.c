/* Issuers: declared requests, programs, and what each kind needs. */
#include "conf/types.h"

#include "base/err.h"
#include "base/list.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"

enum { URL_MAX_BYTES = 4096, ARGUMENT_MAX_BYTES = 4096, VARIABLE_MAX_BYTES = 128 };

static bool is_one_line(struct span text, size_t max)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return text.len < max;
}

/* ---- URLs ---- */

/* Placeholders may stand in its path and query. What is wrong with it; NULL if nothing. */
static const char *url_fault(struct span text)
{
    size_t end = span_find_byte(text, '?');
    const char *why = NULL;
    struct conf_url url;

    if (text.len > URL_MAX_BYTES)
        return "it is longer than 4096 bytes";
    if (conf_url_parse(span_of(text.ptr, end == SIZE_MAX ? text.len : end), &url, &why))
        return why;
    if (url.unix_path.len)
        return "it names a socket";
    for (size_t i = end; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '#')
            return "its query holds a space, a '#' or a byte outside of ASCII";
    }
    return NULL;
}

static void read_issuer_url(struct loading *loading, const struct conf_row *row,
                            const struct yaml_node *node, void *field)
{
    struct conf_issuer_request *request = container_of(field, struct conf_issuer_request, url);
    const char *fault;
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    fault = url_fault(text);
    if (fault)
        loading_error(loading, node->mark,
                      "this is no URL of a request: %s; allowed: http or https, as in "
                      "https://host/path/{id}",
                      fault);
    else
        request->url = loading_keep(loading, text);
    request->is_url_masked = loading_has_reference(node->text);
    loading_end_text(loading);
}

/* Up to its path, where a reference brought a part of it. */
static void print_issuer_url(struct printing *printing, const struct conf_row *row,
                             const void *field)
{
    const struct conf_issuer_request *request =
        container_of(field, const struct conf_issuer_request, url);
    struct span url = request->url;
    size_t end = span_find(url, SPAN("://")) + 3;

    if (!url.len)
        return;
    while (end < url.len && url.ptr[end] != '/' && url.ptr[end] != '?')
        end++;
    if (!request->is_url_masked || end == url.len) {
        print_line(printing, row->name, url);
        return;
    }
    print_name(printing, row->name);
    buf_printf(printing->out, " \"%.*s/%s\"\n", (int)end, url.ptr, PRINT_MASK);
}

static void tell_issuer_url(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "an http or https URL such as https://host/path/{id}");
}

const struct conf_type conf_type_issuer_url = {.name = "URL with placeholders",
                                               .read = read_issuer_url,
                                               .print = print_issuer_url,
                                               .tell = tell_issuer_url,
                                               .is_secret = true};

/* ---- JSON pointers ---- */

/* RFC 6901 3. */
static bool is_pointer(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        char next = i + 1 < text.len ? text.ptr[i + 1] : '\0';

        if (text.ptr[i] == '~' && next != '0' && next != '1')
            return false;
    }
    return is_one_line(text, 1024) && (!text.len || text.ptr[0] == '/');
}

static void read_pointer(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_pointer);
}

/* An empty one is the whole document. */
static void print_pointer(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (((const struct span *)field)->ptr)
        print_line(printing, row->name, *(const struct span *)field);
}

static void tell_pointer(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a JSON pointer such as /data/key, or \"\" for the whole answer");
}

const struct conf_type conf_type_pointer = {.name = "JSON pointer",
                                            .read = read_pointer,
                                            .otherwise = "is no JSON pointer",
                                            .print = print_pointer,
                                            .tell = tell_pointer};

/* ---- what a program can ---- */

static void read_flag(struct loading *loading, const struct yaml_node *node, bool *field)
{
    const struct conf_row row = {.type = &conf_type_boolean};

    conf_read_parsed(loading, &row, node, field);
}

static void print_flag(struct printing *printing, const struct conf_row *row,
                       const struct conf_issuer *issuer, bool value)
{
    if (issuer->kind == CONF_ISSUER_COMMAND)
        print_line(printing, row->name, value ? SPAN("true") : SPAN("false"));
}

static void tell_flag(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "true or false");
}

static void read_find(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    (void)row;
    read_flag(loading, node, field);
}

static void print_find(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_flag(printing, row, container_of(field, const struct conf_issuer, can_find),
               *(const bool *)field);
}

const struct conf_type conf_type_issuer_find = {
    .name = "boolean", .read = read_find, .print = print_find, .tell = tell_flag};

static void read_revoke(struct loading *loading, const struct conf_row *row,
                        const struct yaml_node *node, void *field)
{
    struct conf_issuer_revoke *revoke = field;

    if (node->kind == YAML_SCALAR)
        read_flag(loading, node, &revoke->is_able);
    else
        conf_type_optional.read(loading, row, node, &revoke->request);
}

static void print_revoke(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_issuer_revoke *revoke = field;

    if (revoke->request)
        conf_type_optional.print(printing, row, &revoke->request);
    else
        print_flag(printing, row, container_of(field, const struct conf_issuer, revoke),
                   revoke->is_able);
}

static void tell_revoke(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "true or false with kind command; with kind http ");
    conf_type_group.tell(row, out);
}

const struct conf_type conf_type_revoke = {
    .name = "map or boolean", .read = read_revoke, .print = print_revoke, .tell = tell_revoke};

/* ---- programs ---- */

static void read_argument(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, struct conf_argv *argv)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (!is_one_line(text, ARGUMENT_MAX_BYTES))
        loading_error(loading, node->mark,
                      "the argument is too long or holds a control character; allowed: one line of "
                      "fewer than 4096 bytes");
    else if (!argv->count && !span_has_prefix(text, SPAN("/")))
        loading_error(loading, node->mark,
                      "the program is not named by its whole path; allowed: a path that starts "
                      "with '/'");
    argv->items[argv->count] = loading_keep(loading, text).ptr;
    argv->is_masked[argv->count] = loading_has_reference(node->text);
    argv->count += argv->items[argv->count] != NULL;
    loading_end_text(loading);
}

static void read_argv(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    struct conf_argv *argv = field;
    size_t at = 0;

    if (node->kind != YAML_LIST || !node->count || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind != YAML_LIST ? "stands where a list should"
                       : node->count           ? "is too long"
                                               : "names no program");
        return;
    }
    argv->items = loading_alloc(loading, node->count + 1, sizeof(*argv->items));
    argv->is_masked = loading_alloc(loading, node->count + 1, sizeof(*argv->is_masked));
    if (!argv->items || !argv->is_masked)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        size_t before = loading_enter_index(loading, at++);

        read_argument(loading, row, item->value, argv);
        loading_leave(loading, before);
    }
}

static void print_argv(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_argv *argv = field;

    if (!argv->count)
        return;
    print_name(printing, row->name);
    for (size_t i = 0; i < argv->count; i++) {
        buf_printf(printing->out, i ? ", " : " [");
        print_text(printing,
                   argv->is_masked[i] ? SPAN(PRINT_MASK) : span_from_text(argv->items[i]));
    }
    buf_printf(printing->out, "]\n");
}

static void tell_argv(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of a program, by its whole path, and its arguments, at most %llu",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_argv = {.name = "list of arguments",
                                         .read = read_argv,
                                         .print = print_argv,
                                         .tell = tell_argv,
                                         .is_secret = true};

static bool is_variable(struct span name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
              (i > 0 && c >= '0' && c <= '9')))
            return false;
    }
    return name.len > 0 && name.len < VARIABLE_MAX_BYTES;
}

/* Several lines may stand in a variable; an empty one has no secret. */
static void keep_variable(struct loading *loading, const struct yaml_item *item, struct span text,
                          struct conf_headers *environment)
{
    struct conf_header *variable = &environment->items[environment->count];

    if (text.len > SECRET_MAX_BYTES || span_find_byte(text, '\0') != SIZE_MAX) {
        loading_error(loading, item->value->mark,
                      "the value is too long or holds a NUL; allowed: at most 16384 bytes of text");
        return;
    }
    variable->name = loading_keep(loading, item->key);
    variable->is_masked = true;
    if (text.len)
        variable->value = loading_keep_document(loading, item->value->mark, text);
    environment->count++;
}

static void read_environment(struct loading *loading, const struct conf_row *row,
                             const struct yaml_node *node, void *field)
{
    struct conf_headers *environment = field;
    struct span text;

    if (node->kind != YAML_MAP || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind == YAML_MAP ? "is too long" : "stands where a map should");
        return;
    }
    environment->items = loading_alloc(loading, node->count + 1, sizeof(*environment->items));
    if (!environment->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        size_t before = loading_enter(loading, item->key);

        if (!is_variable(item->key)) {
            loading_error(loading, item->mark,
                          "this is no variable; allowed: letters, digits and '_'");
        } else if (loading_text(loading, row, item->value, &text)) {
            keep_variable(loading, item, text, environment);
            loading_end_text(loading);
        }
        loading_leave(loading, before);
    }
}

static void print_environment(struct printing *printing, const struct conf_row *row,
                              const void *field)
{
    const struct conf_headers *environment = field;

    if (!environment->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth++;
    for (size_t i = 0; i < environment->count; i++)
        print_line(printing, environment->items[i].name,
                   environment->items[i].value ? SPAN(PRINT_MASK) : SPAN(""));
    printing->depth--;
}

static void tell_environment(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a map of at most %llu variables and their values",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_environment = {.name = "map of variables",
                                                .read = read_environment,
                                                .print = print_environment,
                                                .tell = tell_environment,
                                                .is_secret = true};
