#include "secrets/secret_versions.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/err.h"
#include "secrets/secret_store.h"

enum { FIRST = 16 };

static int make_room(struct secret_versions *versions)
{
    size_t cap = versions->cap ? versions->cap * 2 : FIRST;
    struct secret_version *longer;

    if (versions->count < versions->cap)
        return 0;
    longer = mem_realloc(versions->items, cap * sizeof(*longer));
    if (!longer)
        return ERR_NOMEM;
    versions->items = longer;
    versions->cap = cap;
    return 0;
}

int secret_versions_add(struct secret_versions *versions, struct span name, uint64_t wall_us,
                        uint64_t rank)
{
    char line[SECRET_VERSION_MAX_BYTES + RFC3339_BYTES + 3], when[RFC3339_BYTES];
    struct secret_version *version;
    int len, err = make_room(versions);

    if (err)
        return err;
    if (!secret_version_is_good(name))
        return 0;
    datetime_write_rfc3339(wall_us, when);
    len = snprintf(line, sizeof(line), "%.*s%s%.*s\n", SPAN_ARG(name), wall_us ? " " : "",
                   wall_us ? RFC3339_BYTES : 0, when);
    if (versions->bytes + (size_t)len > SECRET_LIST_MAX_BYTES)
        return ERR_FULL;
    version = &versions->items[versions->count];
    *version = (struct secret_version){.rank = rank,
                                       .at = versions->count,
                                       .len = (size_t)len,
                                       .line = mem_strdup(line, (size_t)len)};
    if (!version->line)
        return ERR_NOMEM;
    versions->count++;
    versions->bytes += (size_t)len;
    return 0;
}

static int compare(const void *a, const void *b)
{
    const struct secret_version *x = a, *y = b;

    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return x->at < y->at ? -1 : x->at > y->at;
}

int secret_versions_write(struct secret_versions *versions, struct buf *out)
{
    if (versions->count)
        qsort(versions->items, versions->count, sizeof(*versions->items), compare);
    for (size_t i = 0; i < versions->count; i++)
        buf_append(out, versions->items[i].line, versions->items[i].len);
    return out->err;
}

void secret_versions_fini(struct secret_versions *versions)
{
    for (size_t i = 0; i < versions->count; i++)
        mem_free(versions->items[i].line);
    mem_free(versions->items);
    *versions = (struct secret_versions){0};
}
