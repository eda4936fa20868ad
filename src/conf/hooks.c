#include "conf/hooks.h"

#include "conf/config.h"
#include "conf/loading.h"
#include "conf/types.h"

/* The place of a setting of the node, or where the whole stands. */
static struct conf_mark mark_of(const struct yaml_node *node, struct span name,
                                struct conf_mark otherwise)
{
    const struct yaml_item *item = yaml_find(node, name);

    return item ? item->value->mark : otherwise;
}

static void check_pair(struct loading *loading, const struct conf_certificate *pair,
                       struct conf_mark mark)
{
    if ((pair->certificate.len > 0) != (pair->private_key.len > 0))
        loading_error(loading, mark,
                      "one of certificate and private_key is missing; allowed: both or none");
}

void hook_certificate_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object)
{
    (void)node;
    if (loading->is_sound)
        check_pair(loading, object, mark);
}

void hook_upstream_tls_finish(struct loading *loading, const struct yaml_node *node,
                              struct conf_mark mark, void *object)
{
    const struct conf_upstream_tls *tls = object;

    if (!loading->is_sound)
        return;
    check_pair(loading, &tls->client, mark);
    if (!tls->verify)
        loading_warning(loading, mark_of(node, SPAN("verify"), mark),
                        "anyone between here and the provider can read the keys");
}

void hook_server_finish(struct loading *loading, const struct yaml_node *node,
                        struct conf_mark mark, void *object)
{
    const struct conf_server *server = object;

    /* 0 where it was wrong, and complained of. */
    if (server->body_memory && server->max_body > server->body_memory)
        loading_error(loading, mark_of(node, SPAN("max_body"), mark),
                      "max_body is more than body_memory; allowed: at most body_memory");
}

void hook_first_byte_short(struct loading *loading, const struct yaml_node *node, void *object)
{
    struct conf_first_byte *first_byte = object;
    const struct conf_row row = {.type = &conf_type_duration, .min = 1000, .max = 86400000000ull};

    first_byte->streamed_us = 0;
    conf_read_parsed(loading, &row, node, &first_byte->streamed_us);
    first_byte->whole_us = first_byte->streamed_us;
}

/* Of a number that is found between others: what each is called, and where it stands. */
struct found {
    struct span initial, min, max;
    uint32_t *ret_initial, *ret_min, *ret_max;
};

/* What is given must fit; a default that does not gives way. */
static void fit(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                const struct found *found)
{
    uint32_t *initial = found->ret_initial, *min = found->ret_min, *max = found->ret_max;

    if (!yaml_find(node, found->max) && *initial > *max)
        *max = *initial;
    if (!yaml_find(node, found->min) && *initial < *min)
        *min = *initial;
    if (*min > *max)
        loading_error(loading, mark_of(node, found->min, mark),
                      "%.*s is more than %.*s; allowed: at most %.*s", SPAN_ARG(found->min),
                      SPAN_ARG(found->max), SPAN_ARG(found->max));
    else if (!yaml_find(node, found->initial))
        *initial = *initial < *min ? *min : *initial > *max ? *max : *initial;
    else if (*initial < *min || *initial > *max)
        loading_error(loading, mark_of(node, found->initial, mark),
                      "%.*s is out of bounds; allowed: %.*s to %.*s", SPAN_ARG(found->initial),
                      SPAN_ARG(found->min), SPAN_ARG(found->max));
}

void hook_adaptive_concurrency_finish(struct loading *loading, const struct yaml_node *node,
                                      struct conf_mark mark, void *object)
{
    struct conf_adaptive_concurrency *at_once = object;
    const struct found found = {SPAN("initial"),   SPAN("min"),   SPAN("max"),
                                &at_once->initial, &at_once->min, &at_once->max};

    if (loading->is_sound)
        fit(loading, node, mark, &found);
}

void hook_adaptive_finish(struct loading *loading, const struct yaml_node *node,
                          struct conf_mark mark, void *object)
{
    struct conf_adaptive *adaptive = object;
    const struct found found = {SPAN("initial_rpm"),    SPAN("min_rpm"),    SPAN("max_rpm"),
                                &adaptive->initial_rpm, &adaptive->min_rpm, &adaptive->max_rpm};

    if (!loading->is_sound)
        return;
    /* Whoever wants only the one that is found by latency need not turn the other off. */
    if (adaptive->concurrency && !yaml_find(node, found.initial) && !yaml_find(node, found.min) &&
        !yaml_find(node, found.max))
        adaptive->initial_rpm = adaptive->min_rpm = adaptive->max_rpm = 0;
    else
        fit(loading, node, mark, &found);
}

void hook_connections_finish(struct loading *loading, const struct yaml_node *node,
                             struct conf_mark mark, void *object)
{
    struct conf_connections *connections = object;

    if (!loading->is_sound || connections->idle <= connections->max)
        return;
    if (yaml_find(node, SPAN("idle")))
        loading_error(loading, mark_of(node, SPAN("idle"), mark),
                      "idle is more than max; allowed: at most max");
    else
        connections->idle = connections->max;
}

void hook_retry_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    const struct conf_retry *retry = object;

    if (loading->is_sound && retry->base_delay_us > retry->max_delay_us)
        loading_error(loading, mark_of(node, SPAN("base_delay"), mark),
                      "base_delay is more than max_delay; allowed: at most max_delay");
}

void hook_names_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    struct conf_names *names = object;

    (void)mark;
    if (!yaml_find(node, SPAN("direct")))
        names->direct = loading->config->clients.is_open;
}
