/* What is said of a key that nobody knows: what other tools call it, the nearest of our own, where
 * it stands elsewhere, or all that is allowed. */
#include "conf/schema.h"

enum { COMPARED_BYTES = 48, LOCATE_DEPTH = 6 };

struct near_name {
    struct span theirs;
    const char *ours;
};

static const struct near_name near_names[] = {
#define NEAR(theirs, ours) {{(theirs), sizeof(theirs) - 1}, (ours)},
#include "tables/nearnames.def"
#undef NEAR
};

/* Letters in lower case, '-' as '_'. */
static char plain(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c | 0x20);
    return (char)(c == '-' ? '_' : c);
}

static bool is_same_name(struct span a, struct span b)
{
    for (size_t i = 0; i < a.len && i < b.len; i++) {
        if (plain(a.ptr[i]) != plain(b.ptr[i]))
            return false;
    }
    return a.len == b.len;
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* How many letters must be put in, left out, changed or swapped with their neighbour (optimal
 * string alignment), by rows; both texts fit COMPARED_BYTES. */
static unsigned distance(struct span a, struct span b)
{
    unsigned rows[3][COMPARED_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;

    for (size_t j = 0; j <= b.len; j++)
        last[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned change = plain(a.ptr[i - 1]) != plain(b.ptr[j - 1]);

            row[j] = least(last[j] + 1, row[j - 1] + 1, last[j - 1] + change);
            if (i > 1 && j > 1 && plain(a.ptr[i - 1]) == plain(b.ptr[j - 2]) &&
                plain(a.ptr[i - 2]) == plain(b.ptr[j - 1]) && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        spare = before;
        before = last;
        last = row;
        row = spare;
    }
    return last[b.len];
}

/* The row that a slip of the fingers explains: at most a third of the letters differ. */
static const struct conf_row *nearest_row(const struct conf_group *group, struct span name)
{
    const struct conf_row *nearest = NULL;
    unsigned best = (unsigned)name.len / 3 + 1;

    if (name.len > COMPARED_BYTES)
        return NULL;
    for (size_t i = 0; i < group->count; i++) {
        unsigned d = distance(name, group->rows[i].name);

        if (d < best) {
            best = d;
            nearest = &group->rows[i];
        }
    }
    return nearest;
}

static const char *other_tools_name(struct span name)
{
    for (size_t i = 0; i < sizeof(near_names) / sizeof(near_names[0]); i++) {
        if (is_same_name(near_names[i].theirs, name))
            return near_names[i].ours;
    }
    return NULL;
}

/* A group on the way down, and those above it. */
struct step {
    const struct step *above;
    const struct conf_row *row;
};

static void append_path(const struct step *step, struct buf *out)
{
    if (step->above) {
        append_path(step->above, out);
        buf_append_byte(out, '.');
    }
    buf_append_span(out, step->row->name);
    if (step->row->type && strstr(step->row->type->name, "by name"))
        buf_printf(out, ".NAME");
}

static bool locate(const struct conf_group *group, const struct step *above, struct span name,
                   unsigned depth, struct buf *out)
{
    for (size_t i = 0; i < group->count; i++) {
        struct step step = {above, &group->rows[i]};

        if (is_same_name(group->rows[i].name, name)) {
            append_path(&step, out);
            return true;
        }
    }
    for (size_t i = 0; depth > 0 && i < group->count; i++) {
        struct step step = {above, &group->rows[i]};

        if (group->rows[i].group && locate(group->rows[i].group, &step, name, depth - 1, out))
            return true;
    }
    return false;
}

bool conf_schema_locate(struct span name, struct buf *out)
{
    return locate(&conf_schema, NULL, name, LOCATE_DEPTH, out);
}

static void append_all(const struct conf_group *group, struct buf *out)
{
    const char *before = "; allowed: ";

    for (size_t i = 0; i < group->count; i++) {
        if (!group->rows[i].type)
            continue;
        buf_printf(out, "%s%.*s", before, SPAN_ARG(group->rows[i].name));
        before = ", ";
    }
    if (before[0] == ';')
        buf_printf(out, "; allowed: nothing");
}

void conf_schema_advise(const struct conf_group *group, struct span name, struct buf *out)
{
    const struct conf_row *nearest = nearest_row(group, name);
    const char *ours = other_tools_name(name);
    size_t start = out->len;

    if (ours && !(nearest && distance(nearest->name, name) <= 1)) {
        buf_printf(out, "; here it is %s", ours);
        return;
    }
    if (nearest) {
        buf_printf(out, "; the nearest is '%.*s'", SPAN_ARG(nearest->name));
        return;
    }
    buf_printf(out, "; it stands in ");
    if (conf_schema_locate(name, out))
        return;
    out->len = start;
    append_all(group, out);
}
