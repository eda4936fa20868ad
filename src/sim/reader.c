#include "sim/reader.h"

#include <libfyaml.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/err.h"
#include "sim/behaviour.h"

static void begin_complaint(struct sim_reader *reader, int line, int column)
{
    reader->count++;
    buf_printf(reader->complaints, "%s:%d:%d: ", reader->name, line, column);
}

static struct fy_token *first_token(struct fy_node *node)
{
    void *at = NULL;
    struct fy_node_pair *pair;

    switch (fy_node_get_type(node)) {
    case FYNT_SCALAR:
        return fy_node_get_scalar_token(node);
    case FYNT_SEQUENCE:
        node = fy_node_sequence_iterate(node, &at);
        return node ? first_token(node) : NULL;
    case FYNT_MAPPING:
        pair = fy_node_mapping_iterate(node, &at);
        return pair ? first_token(fy_node_pair_key(pair)) : NULL;
    }
    return NULL;
}

static void begin_complaint_at(struct sim_reader *reader, struct fy_node *node)
{
    struct fy_token *token = node ? first_token(node) : NULL;
    const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;

    begin_complaint(reader, mark ? mark->line + 1 : 1, mark ? mark->column + 1 : 1);
}

void sim_reader_complain(struct sim_reader *reader, struct fy_node *node, const char *format, ...)
{
    va_list args;

    begin_complaint_at(reader, node);
    va_start(args, format);
    buf_vprintf(reader->complaints, format, args);
    va_end(args);
    buf_append_byte(reader->complaints, '\n');
}

static void tell_errors(struct sim_reader *reader, struct fy_diag *diag)
{
    struct fy_diag_error *error;
    void *at = NULL;

    while ((error = fy_diag_errors_iterate(diag, &at))) {
        begin_complaint(reader, error->line > 0 ? error->line : 1,
                        error->column > 0 ? error->column : 1);
        buf_printf(reader->complaints, "%s\n", error->msg);
    }
    if (!reader->count) {
        begin_complaint(reader, 1, 1);
        buf_append_span(reader->complaints, SPAN("this is no YAML\n"));
    }
}

int sim_reader_open(struct sim_reader *reader, const char *name, struct span text,
                    struct buf *complaints)
{
    struct fy_diag_cfg diag_config = {.level = FYET_ERROR, .module_mask = ~0u};
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG};

    *reader = (struct sim_reader){.name = name, .complaints = complaints, .time_scale = 1};
    config.diag = fy_diag_create(&diag_config);
    if (!config.diag)
        return ERR_NOMEM;
    fy_diag_set_collect_errors(config.diag, true);
    reader->document = fy_document_build_from_string(&config, text.ptr ? text.ptr : "", text.len);
    if (!reader->document)
        tell_errors(reader, config.diag);
    fy_diag_destroy(config.diag);
    return reader->document ? 0 : ERR_SYNTAX;
}

void sim_reader_close(struct sim_reader *reader)
{
    if (reader->document)
        fy_document_destroy(reader->document);
    reader->document = NULL;
}

int sim_reader_result(const struct sim_reader *reader)
{
    if (reader->is_no_memory)
        return ERR_NOMEM;
    return reader->count ? ERR_SYNTAX : 0;
}

struct fy_node *sim_reader_root(const struct sim_reader *reader)
{
    return fy_document_root(reader->document);
}

bool sim_node_is_scalar(struct fy_node *node)
{
    return fy_node_get_type(node) == FYNT_SCALAR && !fy_node_is_alias(node);
}

bool sim_node_is_null(struct fy_node *node)
{
    size_t len = 0;
    const char *text;

    if (!sim_node_is_scalar(node))
        return false;
    text = fy_node_get_scalar(node, &len);
    return fy_node_is_null(node) || len == 0 ||
           (fy_node_get_style(node) == FYNS_PLAIN &&
            (span_is_equal(span_of(text, len), SPAN("null")) ||
             span_is_equal(span_of(text, len), SPAN("~"))));
}

bool sim_node_is_list(struct fy_node *node)
{
    return fy_node_is_sequence(node);
}

bool sim_node_is_map(struct fy_node *node)
{
    return fy_node_is_mapping(node);
}

struct span sim_read_scalar(struct sim_reader *reader, struct fy_node *node)
{
    size_t len = 0;
    const char *text = sim_node_is_scalar(node) ? fy_node_get_scalar(node, &len) : NULL;

    if (!text)
        sim_reader_complain(reader, node, "a single value is wanted here");
    return span_of(text, len);
}

bool sim_read_member(struct fy_node *map, void **at, struct span *ret_name,
                     struct fy_node **ret_key, struct fy_node **ret_value)
{
    struct fy_node_pair *pair = fy_node_mapping_iterate(map, at);
    size_t len = 0;
    const char *text;

    if (!pair)
        return false;
    *ret_key = fy_node_pair_key(pair);
    *ret_value = fy_node_pair_value(pair);
    text = sim_node_is_scalar(*ret_key) ? fy_node_get_scalar(*ret_key, &len) : NULL;
    *ret_name = span_of(text ? text : "", text ? len : 0);
    return true;
}

struct fy_node *sim_read_item(struct fy_node *list, void **at)
{
    return fy_node_sequence_iterate(list, at);
}

struct fy_node *sim_read_find(struct fy_node *map, struct span wanted)
{
    struct fy_node *key, *value;
    struct span name;
    void *at = NULL;

    while (map && sim_node_is_map(map) && sim_read_member(map, &at, &name, &key, &value))
        if (span_is_equal(name, wanted))
            return value;
    return NULL;
}

static const struct sim_field *find_field(const struct sim_field *fields, size_t count,
                                          struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_is_equal(name, span_from_text(fields[i].name)))
            return &fields[i];
    return NULL;
}

static void complain_unknown(struct sim_reader *reader, struct fy_node *node, struct span name,
                             const struct sim_field *fields, size_t count)
{
    struct buf *out = reader->complaints;

    begin_complaint_at(reader, node);
    buf_printf(out, "'%.*s' is not known here; there are", SPAN_ARG(name));
    for (size_t i = 0; i < count; i++)
        buf_printf(out, "%s %s", i ? "," : "", fields[i].name);
    buf_append_byte(out, '\n');
}

void sim_read_map(struct sim_reader *reader, struct fy_node *node, const struct sim_field *fields,
                  size_t count, void *base)
{
    struct fy_node *key, *value;
    struct span name;
    void *at = NULL;

    if (!node || sim_node_is_null(node))
        return;
    if (!sim_node_is_map(node)) {
        sim_reader_complain(reader, node, "a map is wanted here");
        return;
    }
    while (sim_read_member(node, &at, &name, &key, &value)) {
        const struct sim_field *field = find_field(fields, count, name);

        if (!field)
            complain_unknown(reader, key, name, fields, count);
        else if (field->read)
            field->read(reader, value, field, (char *)base + field->offset);
    }
}

static int double_from_text(struct span text, double *ret_value, struct span *ret_rest)
{
    char number[32];
    size_t len = 0;
    char *end;

    while (len < text.len && len < sizeof(number) - 1 &&
           ((text.ptr[len] >= '0' && text.ptr[len] <= '9') || text.ptr[len] == '.'))
        len++;
    if (!len)
        return ERR_SYNTAX;
    memcpy(number, text.ptr, len);
    number[len] = '\0';
    *ret_value = strtod(number, &end);
    *ret_rest = span_skip(text, len);
    return *end ? ERR_SYNTAX : 0;
}

int sim_duration_from_text(struct span text, double *ret_us)
{
    static const struct {
        const char *name;
        double us;
    } units[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 6e7}, {"h", 3.6e9}, {"d", 8.64e10}};
    struct span unit;
    double number;

    if (double_from_text(text, &number, &unit))
        return ERR_SYNTAX;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (span_is_equal(unit, span_from_text(units[i].name))) {
            *ret_us = number * units[i].us;
            return 0;
        }
    }
    *ret_us = 0;
    return unit.len == 0 && number == 0 ? 0 : ERR_SYNTAX;
}

void sim_read_duration(struct sim_reader *reader, struct fy_node *node,
                       const struct sim_field *field, void *target)
{
    struct span text = sim_read_scalar(reader, node);
    double us;

    if (!text.ptr)
        return;
    if (sim_duration_from_text(text, &us) || us > 1e15)
        sim_reader_complain(reader, node, "'%.*s' is no duration; such as 250ms, 1.5s, 5m, 2h",
                            SPAN_ARG(text));
    else
        *(uint64_t *)target = (uint64_t)(us / reader->time_scale + 0.5);
}

void sim_read_share(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                    void *target)
{
    struct span text = sim_read_scalar(reader, node), rest;
    double share;

    if (!text.ptr)
        return;
    if (double_from_text(text, &share, &rest) || !span_is_equal(rest, SPAN("%")) || share > 100)
        sim_reader_complain(reader, node, "'%.*s' is no share; such as 5%% or 0.1%%",
                            SPAN_ARG(text));
    else
        *(double *)target = share / 100;
}

void sim_read_u64(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                  void *target)
{
    struct span text = sim_read_scalar(reader, node);
    uint64_t value;

    if (!text.ptr)
        return;
    if (span_to_u64(text, &value) || value < field->min || value > field->max)
        sim_reader_complain(reader, node, "'%.*s' is no whole number from %llu to %llu",
                            SPAN_ARG(text), (unsigned long long)field->min,
                            (unsigned long long)field->max);
    else
        *(uint64_t *)target = value;
}

void sim_read_double(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                     void *target)
{
    struct span text = sim_read_scalar(reader, node), rest;
    double value;

    if (!text.ptr)
        return;
    if (double_from_text(text, &value, &rest) || rest.len || value <= 0)
        sim_reader_complain(reader, node, "'%.*s' is no number above 0", SPAN_ARG(text));
    else
        *(double *)target = value;
}

void sim_read_bool(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                   void *target)
{
    struct span text = sim_read_scalar(reader, node);

    if (!text.ptr)
        return;
    if (span_is_equal(text, SPAN("true")))
        *(bool *)target = true;
    else if (span_is_equal(text, SPAN("false")))
        *(bool *)target = false;
    else
        sim_reader_complain(reader, node, "'%.*s' is neither true nor false", SPAN_ARG(text));
}

void sim_read_word(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                   void *target)
{
    struct span text = sim_read_scalar(reader, node);
    struct buf *out = reader->complaints;

    if (!text.ptr)
        return;
    for (unsigned i = 0; field->words[i]; i++) {
        if (span_is_equal(text, span_from_text(field->words[i]))) {
            /* Every enum here counts from 0 and has unsigned's size with both compilers. */
            memcpy(target, &i, sizeof(i));
            return;
        }
    }
    begin_complaint_at(reader, node);
    buf_printf(out, "'%.*s' is none of", SPAN_ARG(text));
    for (unsigned i = 0; field->words[i]; i++)
        buf_printf(out, "%s %s", i ? "," : "", field->words[i]);
    buf_append_byte(out, '\n');
}

/* Names stand in field lines of answers. */
static bool is_printable(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    return true;
}

void sim_read_name(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                   void *target)
{
    struct span text = sim_read_scalar(reader, node);
    struct sim_name *name = target;

    if (!text.ptr)
        return;
    if (!text.len || text.len >= sizeof(name->text) || !is_printable(text)) {
        sim_reader_complain(reader, node, "a name has 1 to %zu printable bytes",
                            sizeof(name->text) - 1);
        return;
    }
    memcpy(name->text, text.ptr, text.len);
    name->text[text.len] = '\0';
}

void sim_read_names(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                    void *target)
{
    struct sim_names *names = target;
    struct fy_node *item;
    void *at = NULL;

    names->count = 0;
    if (!sim_node_is_list(node)) {
        if (!sim_node_is_null(node))
            sim_read_name(reader, node, field, &names->names[names->count++]);
        return;
    }
    while ((item = sim_read_item(node, &at))) {
        if (names->count == SIM_MAX_NAMES) {
            sim_reader_complain(reader, item, "too many names; at most %d", SIM_MAX_NAMES);
            return;
        }
        sim_read_name(reader, item, field, &names->names[names->count++]);
    }
}
