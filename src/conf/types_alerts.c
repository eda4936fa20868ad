/* Alerts: webhooks, and the rules that watch. */
#include "conf/types.h"

#include <stdio.h>

#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "conf/units.h"
#include "conf/url.h"

/* ---- where to ---- */

/* Some webhooks carry their secret in the query. */
static const char *fault_of(struct span text)
{
    size_t query = span_find_byte(text, '?');
    struct conf_url url;
    const char *why = NULL;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f || text.ptr[i] == '#')
            return "is no URL";
    }
    if (conf_url_parse(span_of(text.ptr, query == SIZE_MAX ? text.len : query), &url, &why))
        return "is no URL";
    return url.unix_path.len ? "names a socket" : NULL;
}

static void read_webhook_url(struct loading *loading, const struct conf_row *row,
                             const struct yaml_node *node, void *field)
{
    struct span text;
    const char *fault;

    if (!loading_text(loading, row, node, &text))
        return;
    fault = fault_of(text);
    if (fault)
        loading_refuse(loading, row, node, fault);
    else
        *(struct secret **)field = loading_keep_secret(loading, node->mark, text);
    loading_end_text(loading);
}

static void print_webhook_url(struct printing *printing, const struct conf_row *row,
                              const void *field)
{
    conf_type_secret.print(printing, row, field);
}

static void tell_webhook_url(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "an http or https URL, best as ${env:NAME}");
}

const struct conf_type conf_type_webhook_url = {.name = "URL, a secret",
                                                .read = read_webhook_url,
                                                .print = print_webhook_url,
                                                .tell = tell_webhook_url,
                                                .is_secret = true};

void hook_webhook_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    struct conf_webhook *webhook = object;
    const struct conf_row row = {.name = SPAN("url"), .type = &conf_type_webhook_url};

    read_webhook_url(loading, &row, node, &webhook->url);
}

void hook_webhook_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object)
{
    (void)object;
    if (node->kind == YAML_MAP && !yaml_find(node, SPAN("url")))
        loading_error(loading, mark, "the url is missing; allowed: url, best as ${env:NAME}");
}

void hook_alerts_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    const struct conf_alerts *alerts = object;

    (void)node;
    if (alerts->webhooks.count > CONF_WEBHOOKS_MAX)
        loading_error(loading, mark, "%zu webhooks are too many; allowed: at most %d",
                      alerts->webhooks.count, CONF_WEBHOOKS_MAX);
}

/* ---- rules that there need not be ---- */

static int parse_duration_if(const struct conf_row *row, struct span text, void *field)
{
    return conf_type_duration.parse(row, text, field);
}

static void print_duration_if(struct printing *printing, const struct conf_row *row,
                              const void *field)
{
    if (*(const uint64_t *)field)
        conf_type_duration.print(printing, row, field);
}

static void tell_duration_if(const struct conf_row *row, struct buf *out)
{
    conf_type_duration.tell(row, out);
}

const struct conf_type conf_type_duration_if = {.name = "duration",
                                                .read = conf_read_parsed,
                                                .parse = parse_duration_if,
                                                .otherwise = "is no duration",
                                                .print = print_duration_if,
                                                .tell = tell_duration_if};

static int parse_share_if(const struct conf_row *row, struct span text, void *field)
{
    return conf_type_share.parse(row, text, field);
}

static void print_share_if(struct printing *printing, const struct conf_row *row, const void *field)
{
    if (*(const uint32_t *)field)
        conf_type_share.print(printing, row, field);
}

static void tell_share_if(const struct conf_row *row, struct buf *out)
{
    conf_type_share.tell(row, out);
}

const struct conf_type conf_type_share_if = {.name = "share",
                                             .read = conf_read_parsed,
                                             .parse = parse_share_if,
                                             .otherwise = "is no share",
                                             .print = print_share_if,
                                             .tell = tell_share_if};

/* "Above 0" is from 1 on. */
static int parse_above(const struct conf_row *row, struct span text, void *field)
{
    uint32_t most;
    int err = conf_type_number.parse(row, text, &most);

    if (!err)
        *(uint32_t *)field = most + 1;
    return err;
}

static void print_above(struct printing *printing, const struct conf_row *row, const void *field)
{
    uint32_t from = *(const uint32_t *)field;
    char text[UNITS_TEXT_BYTES];

    if (from == 0)
        return;
    snprintf(text, sizeof(text), "%u", (unsigned)(from - 1));
    print_line(printing, row->name, span_from_text(text));
}

static void tell_above(const struct conf_row *row, struct buf *out)
{
    conf_type_number.tell(row, out);
}

const struct conf_type conf_type_above = {.name = "number",
                                          .read = conf_read_parsed,
                                          .parse = parse_above,
                                          .otherwise = "is no whole number",
                                          .print = print_above,
                                          .tell = tell_above};
