#include "conf/types.h"

#include "base/err.h"
#include "conf/config.h"
#include "conf/hours.h"
#include "conf/loading.h"
#include "conf/names.h"
#include "conf/printing.h"

void conf_read_text(struct loading *loading, const struct conf_row *row,
                    const struct yaml_node *node, void *field, bool (*is_valid)(struct span))
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (is_valid(text))
        *(struct span *)field = loading_keep(loading, text);
    else
        loading_refuse(loading, row, node, row->type->otherwise);
    loading_end_text(loading);
}

void print_text_row(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (((const struct span *)field)->len)
        print_line(printing, row->name, *(const struct span *)field);
}

static void read_name(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, conf_name_is_valid);
}

static void tell_name(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, CONF_NAME_ALLOWED);
}

const struct conf_type conf_type_name = {.name = "name",
                                         .read = read_name,
                                         .otherwise = "is no name",
                                         .print = print_text_row,
                                         .tell = tell_name};

static bool is_one_line(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return text.len > 0 && text.len < 4096;
}

static const char *file_fault(int err)
{
    if (err == ERR_NOTFOUND)
        return "there is no such file";
    if (err == ERR_DENIED)
        return "the file cannot be read, permission denied";
    if (err == ERR_FULL)
        return "the file is too large";
    if (err == ERR_UNSUPPORTED)
        return "this is a folder";
    return "the file cannot be read";
}

/* Told now, with its line, rather than by TLS at the first connection. */
static void check_readable(struct loading *loading, struct conf_mark mark, struct span path)
{
    const struct conf_system *system = loading->source->system;
    struct buf *file = &loading->file;
    int err = system->read_file(system->ctx, path.ptr, file);

    if (err)
        loading_error(loading, mark, "%s; allowed: a file that can be read", file_fault(err));
    if (file->len)
        secret_wipe(file->data, file->len);
    buf_clear(file);
}

static void read_path(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, void *field)
{
    struct span *path = field;

    conf_read_text(loading, row, node, field, is_one_line);
    if (!path->len)
        return;
    *path = loading_keep_path(loading, *path);
    if (path->len)
        check_readable(loading, node->mark, *path);
}

static void tell_path(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "the path of a file, absolute or from the configuration's folder");
}

const struct conf_type conf_type_path = {.name = "path",
                                         .read = read_path,
                                         .otherwise = "is no path",
                                         .print = print_text_row,
                                         .tell = tell_path};

static void read_log_file(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    struct span *path = field;

    conf_read_text(loading, row, node, field, is_one_line);
    if (!span_is_equal(*path, SPAN("stderr")) && !span_is_equal(*path, SPAN("stdout")))
        *path = loading_keep_path(loading, *path);
}

static void tell_log_file(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "stderr, stdout, or ");
    tell_path(row, out);
}

const struct conf_type conf_type_log_file = {.name = "stderr, stdout or path",
                                             .read = read_log_file,
                                             .otherwise = "is no path",
                                             .print = print_text_row,
                                             .tell = tell_log_file};

static bool is_url_path(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '#')
            return false;
    }
    return text.len > 0 && text.len < 4096 && text.ptr[0] == '/';
}

static void read_url_path(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    conf_read_text(loading, row, node, field, is_url_path);
}

static void tell_url_path(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a path such as /models");
}

const struct conf_type conf_type_url_path = {.name = "URL path",
                                             .read = read_url_path,
                                             .otherwise = "is no path of a URL",
                                             .print = print_text_row,
                                             .tell = tell_url_path};

static void read_secret(struct loading *loading, const struct conf_row *row,
                        const struct yaml_node *node, void *field)
{
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    *(struct secret **)field = loading_keep_secret(loading, node->mark, text);
    loading_end_text(loading);
}

static void print_secret(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (*(struct secret *const *)field)
        print_line(printing, row->name, SPAN(PRINT_MASK));
}

static void tell_secret(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a secret, best as ${env:NAME} or ${file:/path}");
}

const struct conf_type conf_type_secret = {.name = "secret",
                                           .read = read_secret,
                                           .print = print_secret,
                                           .tell = tell_secret,
                                           .is_secret = true};

/* Reads each member of a list by `read_text` into strings. */
static void read_strings(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, struct conf_strings *strings,
                         bool (*is_valid)(struct span))
{
    if (node->kind != YAML_LIST || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind == YAML_LIST ? "is too long" : "stands where a list should");
        return;
    }
    strings->items = loading_alloc(loading, node->count + 1, sizeof(*strings->items));
    if (!strings->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        conf_read_text(loading, row, item->value, &strings->items[strings->count], is_valid);
        strings->count += strings->items[strings->count].len > 0;
    }
}

static void print_strings(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_strings *strings = field;
    const char *before = "";

    if (!strings->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, " [");
    for (size_t i = 0; i < strings->count; i++) {
        buf_printf(printing->out, "%s", before);
        print_text(printing, strings->items[i]);
        before = ", ";
    }
    buf_printf(printing->out, "]\n");
}

static void read_patterns(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    /* An empty list in the tree means all, which is not what an empty list in the file says. */
    if (node->kind == YAML_LIST && node->count == 0)
        loading_refuse(loading, row, node, "without a name allows nothing");
    else
        read_strings(loading, row, node, field, conf_model_is_valid);
}

static void tell_patterns(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of 1 to %llu names of models, '*' for any text",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_patterns = {.name = "list of patterns",
                                             .read = read_patterns,
                                             .otherwise = "is no name of a model",
                                             .print = print_strings,
                                             .tell = tell_patterns};

static void read_aliases(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    read_strings(loading, row, node, field, conf_model_is_full);
}

static void tell_aliases(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of at most %llu names of models, each in full",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_aliases = {.name = "list of names",
                                            .read = read_aliases,
                                            .otherwise = "is no name of a model",
                                            .print = print_strings,
                                            .tell = tell_aliases};

static void read_windows(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    read_strings(loading, row, node, field, hours_are_good);
}

static void tell_windows(const struct conf_row *row, struct buf *out)
{
    buf_printf(out,
               "a list of at most %llu hours of the day, with a zone of the system, such as "
               "\"22:00-06:00 UTC\"",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_windows = {.name = "list of hours",
                                            .read = read_windows,
                                            .otherwise = "are no hours of the day",
                                            .print = print_strings,
                                            .tell = tell_windows};

static void read_field_names(struct loading *loading, const struct conf_row *row,
                             const struct yaml_node *node, void *field)
{
    struct conf_strings *strings = field;

    read_strings(loading, row, node, strings, conf_field_name_is_allowed);
    for (size_t i = 0; i < strings->count; i++) {
        char *bytes = (char *)(uintptr_t)strings->items[i].ptr;

        for (size_t j = 0; j < strings->items[i].len; j++)
            bytes[j] = (char)(bytes[j] >= 'A' && bytes[j] <= 'Z' ? bytes[j] | 0x20 : bytes[j]);
    }
}

static void tell_field_names(const struct conf_row *row, struct buf *out)
{
    buf_printf(out,
               "a list of at most %llu names of header fields, but for credentials, cookies and "
               "those that belong to a connection",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_field_names = {.name = "list of header names",
                                                .read = read_field_names,
                                                .otherwise = "cannot be forwarded",
                                                .print = print_strings,
                                                .tell = tell_field_names};

static bool has_header(const struct conf_headers *headers, struct span name)
{
    for (size_t i = 0; i < headers->count; i++) {
        if (span_is_equal_nocase(headers->items[i].name, name))
            return true;
    }
    return false;
}

static void read_header(struct loading *loading, const struct conf_row *row,
                        const struct yaml_item *item, struct conf_headers *headers)
{
    struct conf_header *header = &headers->items[headers->count];
    size_t before = loading_enter(loading, item->key);
    struct span text;

    if (!conf_header_name_is_allowed(item->key)) {
        loading_error(
            loading, item->mark,
            "a header field that cannot be set; allowed: letters, digits and '-', and none "
            "that frames the message or belongs to the connection");
    } else if (has_header(headers, item->key)) {
        loading_error(loading, item->mark, "the same field again; allowed: each once");
    } else if (loading_text(loading, row, item->value, &text)) {
        header->name = loading_keep(loading, item->key);
        header->is_masked =
            loading_has_reference(item->value->text) || conf_header_name_is_secret(item->key);
        header->value = loading_keep_secret(loading, item->value->mark, text);
        headers->count += header->value != NULL;
        loading_end_text(loading);
    }
    loading_leave(loading, before);
}

static void read_headers(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    struct conf_headers *headers = field;

    if (node->kind != YAML_MAP || node->count > row->max) {
        loading_refuse(loading, row, node,
                       node->kind == YAML_MAP ? "is too long" : "stands where a map should");
        return;
    }
    headers->items = loading_alloc(loading, node->count + 1, sizeof(*headers->items));
    if (!headers->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next)
        read_header(loading, row, item, headers);
}

static void print_headers(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_headers *headers = field;

    if (!headers->count)
        return;
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    printing->depth++;
    for (size_t i = 0; i < headers->count; i++) {
        const struct conf_header *header = &headers->items[i];

        print_line(printing, header->name,
                   header->is_masked ? SPAN(PRINT_MASK) : secret_reveal(header->value));
    }
    printing->depth--;
}

static void tell_headers(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a map of at most %llu header fields and their values",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_headers = {.name = "map of headers",
                                            .read = read_headers,
                                            .print = print_headers,
                                            .tell = tell_headers,
                                            .is_secret = true};
