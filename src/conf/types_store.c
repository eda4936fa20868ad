/* Where what must outlive a restart is kept: a file of SQLite's, or nowhere. */
#include "conf/types.h"

#include <stdio.h>

#include "conf/loading.h"
#include "conf/printing.h"

#define SQLITE_SCHEME "sqlite:"
#define NOWHERE       "none"

enum { PATH_MAX_BYTES = 4000 };

/* A name with a colon in front is SQLite's own for a database that is no file. */
static bool is_path(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return text.len > 0 && text.len < PATH_MAX_BYTES && text.ptr[0] != ':' &&
           text.ptr[text.len - 1] != '/';
}

static void read_text(struct loading *loading, const struct conf_row *row,
                      const struct yaml_node *node, struct span text, struct conf_store *store)
{
    struct span path = span_skip(text, sizeof(SQLITE_SCHEME) - 1);

    if (span_is_equal(text, SPAN(NOWHERE)))
        return;
    if (span_has_prefix(text, SPAN("postgres")))
        loading_refuse(loading, row, node, "names a server of PostgreSQL, which is not built yet");
    else if (!span_has_prefix(text, SPAN(SQLITE_SCHEME)) || !is_path(path))
        loading_refuse(loading, row, node, "names no file of SQLite");
    else
        store->path = loading_keep_path(loading, path);
}

/* It is made where there is none, so that nothing is read here. */
static void read_store(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field)
{
    struct conf_store *store = field;
    struct span text;

    if (!loading_text(loading, row, node, &text))
        return;
    /* What the program fills in stands nowhere. */
    store->is_given = node->mark.line > 0;
    read_text(loading, row, node, text, store);
    loading_end_text(loading);
}

static void print_store(struct printing *printing, const struct conf_row *row, const void *field)
{
    const struct conf_store *store = field;
    char text[sizeof(SQLITE_SCHEME) + 2 * PATH_MAX_BYTES];
    int len = snprintf(text, sizeof(text), SQLITE_SCHEME "%.*s", SPAN_ARG(store->path));

    if (!store->path.len)
        print_line(printing, row->name, SPAN(NOWHERE));
    else if (len > 0 && (size_t)len < sizeof(text))
        print_line(printing, row->name, span_of(text, (size_t)len));
}

static void tell_store(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, SQLITE_SCHEME "PATH, absolute or from the configuration's folder, or " NOWHERE);
}

/* A server's address would hold its password. */
const struct conf_type conf_type_store = {.name = "file of a store",
                                          .read = read_store,
                                          .print = print_store,
                                          .tell = tell_store,
                                          .is_secret = true};
