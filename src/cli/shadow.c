/* bellwether shadow: what came of the exchanges that a running gateway has mirrored. */
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/target.h"

static double in_percent(const yyjson_val *object, const char *name)
{
    return target_number(object, name) * 100;
}

/* The members that are not 0: "finish 3, json 1". */
static void print_counts(const char *title, const yyjson_val *counts)
{
    yyjson_val *name, *value;
    size_t i, count;
    bool is_first = true;

    printf("  %-14s", title);
    yyjson_obj_foreach(json_tree_plain(counts), i, count, name, value)
    {
        if (yyjson_get_num(value) == 0)
            continue;
        printf("%s%s %.0f", is_first ? "" : ", ", yyjson_get_str(name), yyjson_get_num(value));
        is_first = false;
    }
    printf("%s\n", is_first ? "none" : "");
}

static void print_side(const char *title, const yyjson_val *side)
{
    const yyjson_val *first = json_tree_member(side, "first_byte_ms"),
                     *total = json_tree_member(side, "total_ms"),
                     *length = json_tree_member(side, "length_bytes");

    printf("  %-14s %10.0f %10.0f %10.0f %10.0f %10.0f %10.0f %12.0f\n", title,
           target_number(first, "p50"), target_number(first, "p95"), target_number(total, "p50"),
           target_number(total, "p95"), target_number(length, "p50"), target_number(length, "p95"),
           target_number(side, "answer_tokens"));
}

static void print_sides(const yyjson_val *shadow)
{
    const yyjson_val *added = json_tree_member(shadow, "added_latency_ms");

    printf("  %-14s %21s %21s %21s %12s\n", "", "FIRST BYTE ms", "WHOLE ms", "LENGTH bytes",
           "TOKENS");
    printf("  %-14s %10s %10s %10s %10s %10s %10s\n", "", "p50", "p95", "p50", "p95", "p50", "p95");
    print_side("real", json_tree_member(shadow, "real"));
    print_side("shadow", json_tree_member(shadow, "shadow"));
    printf("  %-14s p50 %+.0f ms, p95 %+.0f ms\n", "added", target_number(added, "p50"),
           target_number(added, "p95"));
}

static void print_budget(const yyjson_val *shadow)
{
    const yyjson_val *cost = json_tree_member(shadow, "cost"),
                     *budget = json_tree_member(shadow, "budget"),
                     *spent = json_tree_member(budget, "spent");
    bool is_stopped = yyjson_is_true(json_tree_plain(json_tree_member(budget, "stopped")));

    printf("  %-14s %.4f USD, %.0f requests, %.0f tokens in all; this %.*s %.4f USD, %.0f "
           "requests, %.0f tokens%s\n",
           "cost", target_number(cost, "usd"), target_number(cost, "requests"),
           target_number(cost, "tokens"), SPAN_ARG(json_tree_string(budget, "per")),
           target_number(spent, "usd"), target_number(spent, "requests"),
           target_number(spent, "tokens"), is_stopped ? ": the budget is used up" : "");
}

static void print_recent(const yyjson_val *shadow)
{
    yyjson_val *rows = json_tree_plain(json_tree_member(shadow, "recent")), *row, *kind;
    size_t i, count, k, kinds;

    yyjson_arr_foreach(rows, i, count, row)
    {
        printf("  %-14s %.*s  %.*s ", i ? "" : "diverged last",
               SPAN_ARG(json_tree_string(row, "at")),
               SPAN_ARG(json_tree_string(row, "request_id")));
        yyjson_arr_foreach(json_tree_plain(json_tree_member(row, "diverged_by")), k, kinds, kind)
            printf(" %s", yyjson_get_str(kind));
        printf("\n");
    }
}

static void print_shadow(const yyjson_val *shadow)
{
    const yyjson_val *similarity = json_tree_member(shadow, "similarity");

    printf("%.*s, mirrored to %.*s: %g%% of its exchanges\n",
           SPAN_ARG(json_tree_string(shadow, "model")), SPAN_ARG(json_tree_string(shadow, "to")),
           in_percent(shadow, "share"));
    printf("  %-14s %.0f of %.0f drawn; %.0f diverged", "compared",
           target_number(shadow, "compared"), target_number(shadow, "drawn"),
           target_number(shadow, "diverged"));
    if (json_tree_member(shadow, "divergence"))
        printf(" (%.2f%%)", in_percent(shadow, "divergence"));
    printf("\n");
    print_counts("diverged by", json_tree_member(shadow, "diverged_by"));
    printf("  %-14s p10 %.2f, p50 %.2f, p90 %.2f\n", "similarity", target_number(similarity, "p10"),
           target_number(similarity, "p50"), target_number(similarity, "p90"));
    print_sides(shadow);
    print_budget(shadow);
    print_counts("skipped", json_tree_member(shadow, "skipped"));
    print_recent(shadow);
}

static void show(const yyjson_val *root)
{
    yyjson_val *shadows = json_tree_plain(json_tree_member(root, "shadows")), *shadow;
    size_t i, count;

    if (yyjson_arr_size(shadows) == 0)
        printf("no model has a shadow\n");
    yyjson_arr_foreach(shadows, i, count, shadow) print_shadow(shadow);
}

static int report(const struct target *target, int argc, char **argv)
{
    (void)argc, (void)argv;
    return target_ask(target, "GET", "/v1/admin/shadows", "", show);
}

static const struct target_verb verbs[] = {{"report", 0, 0, "nothing more", report}, {0}};

int command_shadow(int argc, char **argv)
{
    return target_command("shadow", verbs, argc, argv);
}
