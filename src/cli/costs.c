/* bellwether costs: what the keys, clients, models or providers of a running gateway have used, and
 * what that cost. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/option.h"
#include "cli/target.h"

static const yyjson_val *member(const yyjson_val *object, const char *name)
{
    return json_tree_plain(json_tree_member(object, name));
}

/* Numbers of a table for people: what a double rounds is below a thousand-millionth of it. */
static double cost_of(const yyjson_val *use, const char *currency)
{
    return target_number(member(use, "cost"), currency);
}

/* Beside usd, and what is no amount; NULL: there is none. */
static const char *second_currency(const yyjson_val *use)
{
    yyjson_val *name, *value;
    size_t i, count;

    yyjson_obj_foreach(json_tree_plain(member(use, "cost")), i, count, name, value)
    {
        if (strcmp(yyjson_get_str(name), "usd") != 0 &&
            strcmp(yyjson_get_str(name), "unpriced_requests") != 0)
            return yyjson_get_str(name);
    }
    return NULL;
}

static void print_use(struct span name, const yyjson_val *use, const char *second)
{
    printf("%-32.*s %10.0f %14.0f %14.0f %14.0f %14.0f %16.6f", SPAN_ARG(name),
           target_number(use, "requests"), target_number(use, "input_tokens"),
           target_number(use, "cached_tokens"), target_number(use, "output_tokens"),
           target_number(use, "reasoning_tokens"), cost_of(use, "usd"));
    if (second)
        printf(" %16.6f", cost_of(use, second));
    printf(" %10.0f\n", target_number(member(use, "cost"), "unpriced_requests"));
}

/* A row, as it is sorted. */
struct line {
    const yyjson_val *row, *use;
    double usd;
};

static int compare(const void *a, const void *b)
{
    const struct line *left = a, *right = b;

    if (left->usd != right->usd)
        return left->usd < right->usd ? 1 : -1;
    return left->row < right->row ? -1 : left->row > right->row;
}

static void print_lines(const yyjson_val *root, const char *period, const char *second)
{
    yyjson_val *rows = json_tree_plain(json_tree_member(root, "rows")), *row;
    struct line *lines = mem_zalloc(yyjson_arr_size(rows) + 1, sizeof(*lines));
    size_t i, count, used = 0;

    if (!lines)
        return;
    yyjson_arr_foreach(rows, i, count, row)
    {
        const yyjson_val *use = member(row, period);

        if (target_number(use, "requests") > 0)
            lines[used++] = (struct line){row, use, cost_of(use, "usd")};
    }
    qsort(lines, used, sizeof(*lines), compare);
    for (i = 0; i < used; i++)
        print_use(json_tree_string(lines[i].row, "name"), lines[i].use, second);
    mem_free(lines);
}

static void show(const yyjson_val *root, const char *period)
{
    const yyjson_val *whole = member(root, period);
    const char *second = second_currency(whole);

    printf("%-32.*s %10s %14s %14s %14s %14s %16s", SPAN_ARG(json_tree_string(root, "by")),
           "REQUESTS", "INPUT", "CACHED", "OUTPUT", "REASONING", "USD");
    if (second)
        printf(" %16s", second);
    printf(" %10s\n", "UNPRICED");
    print_lines(root, period, second);
    print_use(SPAN("all together"), whole, second);
}

static void show_day(const yyjson_val *root)
{
    show(root, "day");
}

static void show_month(const yyjson_val *root)
{
    show(root, "month");
}

static void show_all(const yyjson_val *root)
{
    show(root, "all");
}

/* argv: by, period. */
static int ask(const struct target *target, int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*show)(const yyjson_val *root);
    } periods[] = {{"day", show_day}, {"month", show_month}, {"all", show_all}};
    char path[64];

    (void)argc;
    snprintf(path, sizeof(path), "/v1/admin/costs/%s", argv[0]);
    for (size_t i = 0; i < sizeof(periods) / sizeof(periods[0]); i++) {
        if (!strcmp(argv[1], periods[i].name))
            return target_ask(target, "GET", path, "", periods[i].show);
    }
    return command_bad_usage("costs", "--period takes day, month or all");
}

static const struct target_verb verbs[] = {{"key", 1, 1, "a period", ask},
                                           {"client", 1, 1, "a period", ask},
                                           {"model", 1, 1, "a period", ask},
                                           {"provider", 1, 1, "a period", ask},
                                           {0}};

int command_costs(int argc, char **argv)
{
    const char *by = "provider", *period = "month";
    int status = COMMAND_FAILED;
    char **words, *what, *when;

    if (!option_take(&argc, argv, "--by", &by) || !option_take(&argc, argv, "--period", &period))
        return command_bad_usage("costs", "--by takes WHAT, --period takes day, month or all");
    /* What is asked for stands behind the other options, as the verb of other commands does. */
    words = mem_zalloc((size_t)argc + 3, sizeof(*words));
    what = mem_strdup(by, strlen(by));
    when = mem_strdup(period, strlen(period));
    if (words && what && when) {
        memcpy(words, argv, (size_t)argc * sizeof(*words));
        words[argc] = what;
        words[argc + 1] = when;
        status = target_command("costs", verbs, argc + 2, words);
    }
    mem_free(words);
    mem_free(what);
    mem_free(when);
    return status;
}
