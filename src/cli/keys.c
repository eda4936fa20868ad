/* bellwether keys: asks the admin API of a running gateway how its keys are, and tells it what is
 * wanted of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/keys_past.h"
#include "cli/target.h"
#include "json/tree.h"

enum { PATH_BYTES = 1024 };

/* --- list --- */

static void print_key(const yyjson_val *key)
{
    char name[256];

    snprintf(name, sizeof(name), "%.*s/%.*s", SPAN_ARG(json_tree_string(key, "provider")),
             SPAN_ARG(json_tree_string(key, "name")));
    printf("%-32s %-9.*s %-9.*s %-9.*s %8g %10.0f %8.0f\n", name,
           SPAN_ARG(json_tree_string(key, "step")), SPAN_ARG(json_tree_string(key, "wish")),
           SPAN_ARG(json_tree_string(key, "health")), target_number(key, "weight"),
           target_number(key, "request_count"), target_number(key, "error_count"));
}

static void show_list(const yyjson_val *root)
{
    yyjson_val *keys = json_tree_plain(json_tree_member(root, "keys")), *key;
    size_t i, count;

    printf("%-32s %-9s %-9s %-9s %8s %10s %8s\n", "KEY", "STEP", "WISH", "HEALTH", "WEIGHT",
           "REQUESTS", "ERRORS");
    yyjson_arr_foreach(keys, i, count, key) print_key(key);
}

/* --- orders --- */

static void show_order(const yyjson_val *root)
{
    printf("%.*s/%.*s: %.*s, weight %g\n", SPAN_ARG(json_tree_string(root, "provider")),
           SPAN_ARG(json_tree_string(root, "name")), SPAN_ARG(json_tree_string(root, "wish")),
           target_number(root, "weight"));
}

static void show_rotation(const yyjson_val *root)
{
    printf("%.*s/%.*s: rotation %.0f\n", SPAN_ARG(json_tree_string(root, "provider")),
           SPAN_ARG(json_tree_string(root, "name")), target_number(root, "rotation"));
}

static void show_added(const yyjson_val *root)
{
    printf("%.*s: rotation %.0f\n", SPAN_ARG(json_tree_string(root, "provider")),
           target_number(root, "rotation"));
}

static void print_step(const yyjson_val *key)
{
    char name[256];
    struct span reason = json_tree_string(key, "reason");

    snprintf(name, sizeof(name), "%.*s/%.*s", SPAN_ARG(json_tree_string(key, "provider")),
             SPAN_ARG(json_tree_string(key, "name")));
    printf("%8.0f  %-40s %-12.*s %-25.*s %.*s\n", target_number(key, "rotation"), name,
           SPAN_ARG(json_tree_string(key, "step")), SPAN_ARG(json_tree_string(key, "since")),
           SPAN_ARG(reason));
}

static void show_history(const yyjson_val *root)
{
    yyjson_val *keys = json_tree_plain(json_tree_member(root, "rotations")), *key;
    size_t i, count;

    printf("%8s  %-40s %-12s %-25s %s\n", "ROTATION", "KEY", "STEP", "SINCE", "REASON");
    yyjson_arr_foreach(keys, i, count, key) print_step(key);
    keys_show_past(root);
}

/* "/v1/admin/keys/PROVIDER/NAME" and perhaps "/drain"; names need no escapes (conf/names.h). */
static bool write_path(const char *key, const char *order, char *to)
{
    const char *slash = strchr(key, '/');
    int len = snprintf(to, PATH_BYTES, "/v1/admin/keys/%s%s%s", key, order[0] ? "/" : "", order);

    return slash && slash != key && slash[1] && !strchr(slash + 1, '/') &&
           !strpbrk(key, " ?#%\r\n") && len > 0 && len < PATH_BYTES;
}

/* What stands behind the key's name in each order. */
static const struct order {
    const char *name;
    bool is_patch, is_leak_allowed;
    void (*show)(const yyjson_val *root);
} orders[] = {
    {"drain", false, false, show_order},    {"disable", false, false, show_order},
    {"enable", false, false, show_order},   {"weight", true, false, show_order},
    {"rotate", false, true, show_rotation}, {"rollback", false, false, show_rotation},
};

/* The body of an order by what stands behind the key's name; false where that is nothing it takes.
 */
static bool write_body(const struct order *order, int argc, char **argv, char *to, size_t cap)
{
    char *end;
    double weight;

    to[0] = '\0';
    if (order->is_leak_allowed && argc == 3 && !strcmp(argv[2], "--leaked")) {
        snprintf(to, cap, "{\"leaked\": true}");
        return true;
    }
    if (!order->is_patch)
        return argc == 2;
    weight = argc == 3 ? strtod(argv[2], &end) : -1;
    if (argc != 3 || end == argv[2] || *end || !(weight >= 0 && weight <= 1e6))
        return false;
    snprintf(to, cap, "{\"weight\": %.3f}", weight);
    return true;
}

static int give_order(const struct target *target, const struct order *order, int argc, char **argv)
{
    char path[PATH_BYTES], body[64];

    if (argc < 2 || !write_path(argv[1], order->is_patch ? "" : order->name, path))
        return command_bad_usage("keys", "a key is named PROVIDER/KEY, as 'keys list' shows it");
    if (!write_body(order, argc, argv, body, sizeof(body)))
        return command_bad_usage("keys", order->is_patch
                                             ? "a weight is a number from 0 to 1000000"
                                             : "there is something too much behind the key");
    return target_ask(target, order->is_patch ? "PATCH" : "POST", path, body, order->show);
}

/* One more key. */
static int add(const struct target *target, const char *provider)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "/v1/admin/keys/%s", provider);

    if (!provider[0] || strpbrk(provider, "/ ?#%\r\n") || len < 0 || len >= PATH_BYTES)
        return command_bad_usage("keys", "a provider is named as in the configuration");
    return target_ask(target, "POST", path, "", show_added);
}

/* Who did what: to a key, to a provider's, or to all. */
static int audit(const struct target *target, const char *about)
{
    char path[PATH_BYTES];

    if (!keys_audit_path(about, path, sizeof(path)))
        return command_bad_usage("keys", "audit takes a PROVIDER, or one key as PROVIDER/KEY");
    return target_ask(target, "GET", path, "", keys_show_audit);
}

static int run(const struct target *target, int argc, char **argv)
{
    if (argc == 1 && !strcmp(argv[0], "list"))
        return target_ask(target, "GET", "/v1/admin/keys", "", show_list);
    if (argc == 1 && !strcmp(argv[0], "history"))
        return target_ask(target, "GET", "/v1/admin/rotations", "", show_history);
    if ((argc == 1 || argc == 2) && !strcmp(argv[0], "audit"))
        return audit(target, argc == 2 ? argv[1] : NULL);
    if (argc == 2 && !strcmp(argv[0], "add"))
        return add(target, argv[1]);
    for (size_t i = 0; argc > 0 && i < sizeof(orders) / sizeof(orders[0]); i++) {
        if (!strcmp(argv[0], orders[i].name))
            return give_order(target, &orders[i], argc, argv);
    }
    return command_bad_usage(
        "keys",
        "takes list, history, audit, add, rotate, rollback, drain, disable, enable or weight");
}

int command_keys(int argc, char **argv)
{
    return target_command("keys", argc, argv, run);
}
