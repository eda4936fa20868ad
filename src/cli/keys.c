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
    struct span id = json_tree_string(root, "id");

    printf("%.*s/%.*s: %s%.*s\n", SPAN_ARG(json_tree_string(root, "provider")),
           SPAN_ARG(json_tree_string(root, "name")), id.len ? "rotation " : "ordered",
           SPAN_ARG(id));
}

static void show_added(const yyjson_val *root)
{
    printf("%.*s: rotation %.*s\n", SPAN_ARG(json_tree_string(root, "provider")),
           SPAN_ARG(json_tree_string(root, "id")));
}

static void print_step(const yyjson_val *key)
{
    char name[256];

    snprintf(name, sizeof(name), "%.*s/%.*s", SPAN_ARG(json_tree_string(key, "provider")),
             SPAN_ARG(json_tree_string(key, "name")));
    printf("%-24.*s  %-40s %-12.*s %-25.*s %.*s\n", SPAN_ARG(json_tree_string(key, "id")), name,
           SPAN_ARG(json_tree_string(key, "step")), SPAN_ARG(json_tree_string(key, "since")),
           SPAN_ARG(json_tree_string(key, "reason")));
}

static void show_history(const yyjson_val *root)
{
    yyjson_val *keys = json_tree_plain(json_tree_member(root, "rotations")), *key;
    size_t i, count;

    printf("%-24s  %-40s %-12s %-25s %s\n", "ROTATION", "KEY", "STEP", "SINCE", "REASON");
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

/* The key, its order, and perhaps a body of JSON. */
static int give_order(const struct target *target, const char *key, const char *method,
                      const char *order, const char *body, void (*show)(const yyjson_val *root))
{
    char path[PATH_BYTES];

    if (!write_path(key, order, path))
        return command_bad_usage("keys", "a key is named PROVIDER/KEY, as 'keys list' shows it");
    return target_ask(target, method, path, body, show);
}

static int wish(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return give_order(target, argv[1], "POST", argv[0], "", show_order);
}

static int roll_back(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return give_order(target, argv[1], "POST", argv[0], "", show_rotation);
}

static int rotate(const struct target *target, int argc, char **argv)
{
    bool is_leaked = argc == 3;

    if (is_leaked && strcmp(argv[2], "--leaked") != 0)
        return command_bad_usage("keys", "'rotate' takes PROVIDER/KEY [--leaked]");
    return give_order(target, argv[1], "POST", argv[0], is_leaked ? "{\"leaked\": true}" : "",
                      show_rotation);
}

static int weigh(const struct target *target, int argc, char **argv)
{
    char *end, body[64];
    double weight = strtod(argv[2], &end);

    (void)argc;
    if (end == argv[2] || *end || !(weight >= 0 && weight <= 1e6))
        return command_bad_usage("keys", "a weight is a number from 0 to 1000000");
    snprintf(body, sizeof(body), "{\"weight\": %.3f}", weight);
    return give_order(target, argv[1], "PATCH", "", body, show_order);
}

/* One more key. */
static int add(const struct target *target, int argc, char **argv)
{
    char path[PATH_BYTES];
    int len = snprintf(path, sizeof(path), "/v1/admin/keys/%s", argv[1]);

    (void)argc;
    if (!argv[1][0] || strpbrk(argv[1], "/ ?#%\r\n") || len < 0 || len >= PATH_BYTES)
        return command_bad_usage("keys", "a provider is named as in the configuration");
    return target_ask(target, "POST", path, "", show_added);
}

static int list(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/admin/keys", "", show_list);
}

static int history(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/admin/rotations", "", show_history);
}

/* Who did what: to a key, to a provider's, or to all. */
static int audit(const struct target *target, int argc, char **argv)
{
    char path[PATH_BYTES];

    if (!keys_audit_path(argc == 2 ? argv[1] : NULL, path, sizeof(path)))
        return command_bad_usage("keys", "audit takes a PROVIDER, or one key as PROVIDER/KEY");
    return target_ask(target, "GET", path, "", keys_show_audit);
}

static const struct target_verb verbs[] = {
    {"list", 0, 0, "nothing more", list},
    {"history", 0, 0, "nothing more", history},
    {"audit", 0, 1, "[PROVIDER[/KEY]]", audit},
    {"add", 1, 1, "PROVIDER", add},
    {"rotate", 1, 2, "PROVIDER/KEY [--leaked]", rotate},
    {"rollback", 1, 1, "PROVIDER/KEY", roll_back},
    {"drain", 1, 1, "PROVIDER/KEY", wish},
    {"disable", 1, 1, "PROVIDER/KEY", wish},
    {"enable", 1, 1, "PROVIDER/KEY", wish},
    {"weight", 2, 2, "PROVIDER/KEY N, a number from 0 to 1000000", weigh},
    {0},
};

int command_keys(int argc, char **argv)
{
    return target_command("keys", verbs, argc, argv);
}
