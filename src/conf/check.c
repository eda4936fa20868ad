/* The rules across groups: what no part of the file can see alone. */
#include "base/err.h"
#include "conf/hooks.h"
#include "conf/loading.h"

static struct conf_mark mark_of(const struct yaml_node *root, struct span group, struct span name)
{
    const struct yaml_item *outer = yaml_find(root, group);
    const struct yaml_item *inner = outer ? yaml_find(outer->value, name) : NULL;

    if (inner)
        return inner->value->mark;
    return outer ? outer->mark : root->mark;
}

/* Where anybody could reach the keys, somebody must have decided that he may. */
static void check_clients(struct loading *loading)
{
    const struct config *config = loading->config;
    const struct yaml_item *clients = yaml_find(loading->root, SPAN("clients"));
    bool is_decided = clients && yaml_find(clients->value, SPAN("open"));

    /* Without addresses they were wrong, and complained of. */
    if (is_decided || config->clients.keys.count || config->clients.is_open ||
        !config->server.listen.count)
        return;
    complaint_error(loading->complaints, mark_of(loading->root, SPAN("server"), SPAN("listen")),
                    "server.listen: others than this machine can call, and there are no clients; "
                    "allowed: clients.keys, clients.open: true, or a loopback address");
}

static void check_admin(struct loading *loading)
{
    const struct config *config = loading->config;
    const struct conf_address *admin = config->admin.listen.items;
    const struct yaml_item *given = yaml_find(loading->root, SPAN("admin"));
    bool is_given = given && yaml_find(given->value, SPAN("token"));
    struct conf_mark mark = mark_of(loading->root, SPAN("admin"), SPAN("listen"));

    if (!config->admin.listen.count)
        return;
    if (!config->admin.token && !is_given && !conf_address_is_loopback(admin))
        complaint_error(loading->complaints, mark,
                        "admin.listen: others than this machine can call, and there is no token; "
                        "allowed: admin.token, or a loopback address");
    for (size_t i = 0; i < config->server.listen.count; i++) {
        const struct conf_address *listen = &config->server.listen.items[i];

        if (span_is_equal(listen->text, admin->text) && (listen->is_unix || listen->port))
            complaint_error(loading->complaints, mark,
                            "admin.listen: the address of server.listen; allowed: one of its own");
    }
}

void conf_check(struct loading *loading)
{
    const struct config *config = loading->config;

    if (!yaml_find(loading->root, SPAN("providers")))
        complaint_error(loading->complaints, loading->root->mark,
                        "providers: missing; allowed: at least one, such as openai with its keys");
    else if (!config->providers.count)
        complaint_error(loading->complaints,
                        yaml_find(loading->root, SPAN("providers"))->value->mark,
                        "providers: empty; allowed: at least one, such as openai with its keys");
    check_clients(loading);
    check_admin(loading);
    conf_choices_check(loading);
    conf_aliases_check(loading);
}
