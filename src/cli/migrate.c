/* bellwether migrate: asks the admin API of a running gateway how its migrations stand, tells it
 * what is wanted of one, and shows its two sides beside each other. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/target.h"

enum { PATH_BYTES = 1200 };

static const yyjson_val *member(const yyjson_val *object, const char *name)
{
    return json_tree_plain(json_tree_member(object, name));
}

/* --- list --- */

static void print_migration(const yyjson_val *migration)
{
    double left_ms = target_number(migration, "revert_window_left_ms");

    printf("%-24.*s %-10.*s %5.4g%% %4.0f/%-3.0f %-28.*s %-28.*s %.*s",
           SPAN_ARG(json_tree_string(migration, "id")),
           SPAN_ARG(json_tree_string(migration, "state")), target_number(migration, "share") * 100,
           target_number(migration, "step"), target_number(migration, "steps"),
           SPAN_ARG(json_tree_string(migration, "from")),
           SPAN_ARG(json_tree_string(migration, "to")),
           SPAN_ARG(json_tree_string(migration, "reason")));
    if (left_ms > 0)
        printf("; %.0f s left to revert it", ceil(left_ms / 1000));
    printf("\n");
}

static void show_list(const yyjson_val *root)
{
    yyjson_val *rows = json_tree_plain(json_tree_member(root, "migrations")), *row;
    size_t i, count;

    printf("%-24s %-10s %6s %8s %-28s %-28s %s\n", "MODEL", "STATE", "SHARE", "STEP", "FROM", "TO",
           "HOW IT DOES");
    yyjson_arr_foreach(rows, i, count, row) print_migration(row);
}

/* --- report --- */

/* A line of both sides; where a side has no number, "-". */
static void print_pair(const char *what, const yyjson_val *old_side, const yyjson_val *new_side,
                       const char *name)
{
    const yyjson_val *sides[] = {old_side, new_side};

    printf("%-26s", what);
    for (int i = 0; i < 2; i++) {
        double value;

        if (json_tree_double(json_tree_member(sides[i], name), &value))
            printf(" %24.6g", value);
        else
            printf(" %24s", "-");
    }
    printf("\n");
}

static void print_quantiles(const char *what, const char *group, const yyjson_val *old_side,
                            const yyjson_val *new_side)
{
    static const char *const quantiles[] = {"p50", "p90", "p95", "p99"};

    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
        char line[64];

        snprintf(line, sizeof(line), "%s, %s", what, quantiles[i]);
        print_pair(line, member(old_side, group), member(new_side, group), quantiles[i]);
    }
}

static void print_sides(const yyjson_val *old_side, const yyjson_val *new_side)
{
    print_pair("requests", old_side, new_side, "requests");
    print_pair("failures", old_side, new_side, "failures");
    print_pair("  of them refused", old_side, new_side, "refused");
    print_pair("  of them broken off", old_side, new_side, "broken_off");
    print_pair("error rate", old_side, new_side, "error_rate");
    print_quantiles("first byte", "first_byte_ms", old_side, new_side);
    print_quantiles("whole answer", "total_ms", old_side, new_side);
    print_quantiles("completion tokens", "completion_tokens_each", old_side, new_side);
    print_pair("cost, USD", old_side, new_side, "cost_usd");
    print_quantiles("cost each, USD", "cost_usd_each", old_side, new_side);
}

static void show_report(const yyjson_val *root)
{
    const yyjson_val *report = member(root, "report"), *gates = member(root, "gates"),
                     *divergence = member(gates, "divergence");

    printf("%.*s: %.*s, %g%% on the new side\n", SPAN_ARG(json_tree_string(root, "id")),
           SPAN_ARG(json_tree_string(root, "state")), target_number(root, "share") * 100);
    printf("%.*s\n\n", SPAN_ARG(json_tree_string(root, "reason")));
    printf("%-26s %24.*s %24.*s\n", "times in ms", SPAN_ARG(json_tree_string(root, "from")),
           SPAN_ARG(json_tree_string(root, "to")));
    print_sides(member(report, "old"), member(report, "new"));
    if (target_number(divergence, "compared") > 0)
        printf("\n%.0f of %.0f compared answers differ\n", target_number(divergence, "differing"),
               target_number(divergence, "compared"));
    else
        printf("\nno answers were compared: divergence is not measured\n");
}

/* --- orders --- */

static void show_order(const yyjson_val *root)
{
    printf("%.*s: %.*s, %g%% on the new side\n", SPAN_ARG(json_tree_string(root, "id")),
           SPAN_ARG(json_tree_string(root, "state")), target_number(root, "share") * 100);
}

/* "/v1/admin/migrations/MODEL" and perhaps "/hold": what a path cannot hold is written as %XX. */
static bool write_path(const char *model, const char *order, char *to)
{
    size_t len = (size_t)snprintf(to, PATH_BYTES, "/v1/admin/migrations/");

    for (const char *at = model; *at; at++) {
        bool is_plain = isalnum((unsigned char)*at) || strchr("-._~", *at);

        if (len + 4 >= PATH_BYTES)
            return false;
        len += (size_t)snprintf(to + len, PATH_BYTES - len, is_plain ? "%c" : "%%%02X",
                                (unsigned char)*at);
    }
    len += (size_t)snprintf(to + len, PATH_BYTES - len, "%s%s", order[0] ? "/" : "", order);
    return model[0] && len < PATH_BYTES;
}

static int ask(const struct target *target, const char *model, const char *order)
{
    char path[PATH_BYTES];

    if (!write_path(model, order, path))
        return command_bad_usage("migrate", "a migration is named by its model");
    return target_ask(target, order[0] ? "POST" : "GET", path, "",
                      order[0] ? show_order : show_report);
}

static int list(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/admin/migrations", "", show_list);
}

static int report(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return ask(target, argv[1], "");
}

static int order(const struct target *target, int argc, char **argv)
{
    (void)argc;
    return ask(target, argv[1], argv[0]);
}

static const struct target_verb verbs[] = {
    {"list", 0, 0, "nothing more", list},
    {"report", 1, 1, "MODEL", report},
    {"start", 1, 1, "MODEL", order},
    {"pause", 1, 1, "MODEL", order},
    {"hold", 1, 1, "MODEL", order},
    {"resume", 1, 1, "MODEL", order},
    {"advance", 1, 1, "MODEL", order},
    {"revert", 1, 1, "MODEL", order},
    {0},
};

int command_migrate(int argc, char **argv)
{
    return target_command("migrate", verbs, argc, argv);
}
