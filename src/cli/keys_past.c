#include "cli/keys_past.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 520, ROWS = 100 };

/* "PROVIDER/KEY", or what there is of it. */
static void write_name(const yyjson_val *row, const char *member, char to[NAME_BYTES])
{
    struct span provider = json_tree_string(row, "provider"), key = json_tree_string(row, member);

    snprintf(to, NAME_BYTES, "%.*s%s%.*s", SPAN_ARG(provider), key.len ? "/" : "", SPAN_ARG(key));
}

static void print_past(const yyjson_val *row)
{
    char name[NAME_BYTES];

    write_name(row, "name", name);
    printf("%-24.*s  %-40s %-12.*s %-25.*s %.*s\n", SPAN_ARG(json_tree_string(row, "id")), name,
           SPAN_ARG(json_tree_string(row, "step")), SPAN_ARG(json_tree_string(row, "ended")),
           SPAN_ARG(json_tree_string(row, "reason")));
}

void keys_show_past(const yyjson_val *root)
{
    yyjson_val *rows = json_tree_plain(json_tree_member(root, "history")), *row;
    bool is_first = true;
    size_t i, count;

    yyjson_arr_foreach(rows, i, count, row)
    {
        if (!json_tree_string(row, "ended").len)
            continue;
        if (is_first)
            printf("\n%-24s  %-40s %-12s %-25s %s\n", "ENDED", "KEY", "STEP", "WHEN", "REASON");
        is_first = false;
        print_past(row);
    }
}

static void print_line(const yyjson_val *row)
{
    struct span from = json_tree_string(row, "from");
    char name[NAME_BYTES];

    write_name(row, "key", name);
    printf("%-25.*s %-12.*s %-22.*s %-12.*s %-40s %-8.*s %.*s\n",
           SPAN_ARG(json_tree_string(row, "at")), SPAN_ARG(json_tree_string(row, "actor")),
           SPAN_ARG(from), SPAN_ARG(json_tree_string(row, "action")), name,
           SPAN_ARG(json_tree_string(row, "result")), SPAN_ARG(json_tree_string(row, "detail")));
}

void keys_show_audit(const yyjson_val *root)
{
    yyjson_val *rows = json_tree_plain(json_tree_member(root, "audit")), *row;
    size_t i, count;

    printf("%-25s %-12s %-22s %-12s %-40s %-8s %s\n", "AT", "WHO", "FROM", "ACTION", "KEY",
           "RESULT", "DETAIL");
    yyjson_arr_foreach(rows, i, count, row) print_line(row);
}

bool keys_audit_path(const char *about, char *to, size_t cap)
{
    const char *slash = about ? strchr(about, '/') : NULL;
    int len;

    if (about && (!about[0] || strpbrk(about, " ?#%&=\r\n") || slash == about ||
                  (slash && (!slash[1] || strchr(slash + 1, '/')))))
        return false;
    len = snprintf(to, cap, "/v1/admin/audit?limit=%d", ROWS);
    if (slash)
        len += snprintf(to + len, cap - (size_t)len, "&provider=%.*s&key=%s", (int)(slash - about),
                        about, slash + 1);
    else if (about)
        len += snprintf(to + len, cap - (size_t)len, "&provider=%s", about);
    return len > 0 && (size_t)len < cap;
}
