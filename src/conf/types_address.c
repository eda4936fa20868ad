#include "conf/types.h"

#include "base/err.h"
#include "conf/address.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "conf/url.h"

/* Every list of the tree is {pointer, size_t}. They are moved as bytes, for the pointer's type
 * differs from list to list. */
void conf_list_set(void *field, void *items, size_t count)
{
    memcpy(field, &items, sizeof(void *));
    memcpy((char *)field + sizeof(void *), &count, sizeof(count));
}

void *conf_list_get(const void *field, size_t *ret_count)
{
    void *items;

    memcpy(&items, field, sizeof(void *));
    memcpy(ret_count, (const char *)field + sizeof(void *), sizeof(*ret_count));
    return items;
}

/* The members of a list, or the one value that stands in its place. */
static size_t member_count(const struct yaml_node *node)
{
    return node->kind == YAML_LIST ? node->count : 1;
}

static bool is_count_allowed(struct loading *loading, const struct conf_row *row,
                             const struct yaml_node *node)
{
    size_t count = member_count(node);

    if (node->kind == YAML_MAP) {
        loading_refuse(loading, row, node, "stands where addresses should");
        return false;
    }
    if (count < row->min || count > row->max) {
        loading_refuse(loading, row, node, count < row->min ? "holds too few" : "holds too many");
        return false;
    }
    return true;
}

static bool read_address(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, struct conf_address *address)
{
    struct conf_address parsed;
    struct span text;
    bool is_valid;

    if (!loading_text(loading, row, node, &text))
        return false;
    is_valid = !conf_address_parse(text, &parsed);
    if (!is_valid)
        loading_refuse(loading, row, node, "is no address");
    /* Parsed again from the copy that stays: its pieces point into it. */
    else if (conf_address_parse(loading_keep(loading, text), address))
        loading->err = ERR_NOMEM;
    loading_end_text(loading);
    return is_valid;
}

static void refuse_repeated(struct loading *loading, struct conf_mark mark,
                            const struct conf_address *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (span_is_equal(items[i].text, items[count].text) &&
            (items[i].is_unix || items[i].port != 0)) {
            loading_error(loading, mark, "the same address again; allowed: each once");
            return;
        }
    }
}

static void read_addresses(struct loading *loading, const struct conf_row *row,
                           const struct yaml_node *node, void *field)
{
    struct conf_addresses *addresses = field;
    struct yaml_item alone = {.value = (struct yaml_node *)(uintptr_t)node};
    const struct yaml_item *item = node->kind == YAML_LIST ? node->first : &alone;

    if (!is_count_allowed(loading, row, node))
        return;
    addresses->items = loading_alloc(loading, member_count(node), sizeof(*addresses->items));
    if (!addresses->items)
        return;
    for (; item; item = item->next) {
        if (!read_address(loading, row, item->value, &addresses->items[addresses->count]))
            continue;
        refuse_repeated(loading, item->value->mark, addresses->items, addresses->count);
        addresses->count++;
    }
}

static void print_addresses(struct printing *printing, const struct conf_row *row,
                            const void *field)
{
    const struct conf_addresses *addresses = field;

    if (addresses->count == 1) {
        print_line(printing, row->name, addresses->items[0].text);
        return;
    }
    print_name(printing, row->name);
    buf_printf(printing->out, "\n");
    for (size_t i = 0; i < addresses->count; i++) {
        print_dash(printing);
        print_text(printing, addresses->items[i].text);
        buf_printf(printing->out, "\n");
    }
}

static void tell_addresses(const struct conf_row *row, struct buf *out)
{
    if (row->max > 1)
        buf_printf(out, "one or a list of host:port, [v6]:port or unix:/path");
    else
        buf_printf(out, "host:port, [v6]:port or unix:/path");
}

const struct conf_type conf_type_addresses = {
    .name = "address", .read = read_addresses, .print = print_addresses, .tell = tell_addresses};

static bool read_network(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, struct conf_network *network)
{
    struct span text;
    bool is_valid;

    if (!loading_text(loading, row, node, &text))
        return false;
    is_valid = !conf_network_parse(text, network);
    if (is_valid)
        network->text = loading_keep(loading, text);
    else
        loading_refuse(loading, row, node, "is no network");
    loading_end_text(loading);
    return is_valid;
}

static void read_networks(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    struct conf_networks *networks = field;

    if (node->kind != YAML_LIST || node->count > row->max) {
        loading_refuse(loading, row, node, "stands where a list should");
        return;
    }
    networks->items = loading_alloc(loading, node->count + 1, sizeof(*networks->items));
    if (!networks->items)
        return;
    for (const struct yaml_item *item = node->first; item; item = item->next) {
        if (read_network(loading, row, item->value, &networks->items[networks->count]))
            networks->count++;
    }
}

static void print_networks(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_networks *networks = field;

    print_name(printing, row->name);
    buf_printf(printing->out, networks->count ? "\n" : " []\n");
    for (size_t i = 0; i < networks->count; i++) {
        print_dash(printing);
        print_text(printing, networks->items[i].text);
        buf_printf(printing->out, "\n");
    }
}

static void tell_networks(const struct conf_row *row, struct buf *out)
{
    buf_printf(out, "a list of at most %llu addresses or networks such as 10.0.0.0/8",
               (unsigned long long)row->max);
}

const struct conf_type conf_type_networks = {.name = "list of networks",
                                             .read = read_networks,
                                             .print = print_networks,
                                             .tell = tell_networks};

static void read_url(struct loading *loading, const struct conf_row *row,
                     const struct yaml_node *node, void *field)
{
    struct conf_url parsed;
    const char *why = "";
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    if (conf_url_parse(text, &parsed, &why))
        loading_error(loading, node->mark,
                      "this is no base URL: %s; allowed: https://host, http://host:port/path, or "
                      "http://unix:/path/to/socket:/path",
                      why);
    else if (conf_url_parse(loading_keep(loading, text), field, &why))
        loading->err = ERR_NOMEM;
    loading_end_text(loading);
}

static void print_url(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_line(printing, row->name, ((const struct conf_url *)field)->text);
}

static void tell_url(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "a URL such as https://host/v1");
}

const struct conf_type conf_type_url = {
    .name = "URL", .read = read_url, .print = print_url, .tell = tell_url};
