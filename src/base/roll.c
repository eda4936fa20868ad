#include "base/roll.h"

#include <string.h>

#include "base/alloc.h"

static struct roll_record *record_at(struct list *link)
{
    return container_of(link, struct roll_record, link);
}

void roll_init(struct roll *roll, size_t bytes, size_t max,
               void (*on_drop)(struct roll *roll, struct roll_record *record))
{
    list_init(&roll->all);
    map_init(&roll->by_name, max);
    roll->bytes = bytes;
    roll->on_drop = on_drop;
}

void roll_drop(struct roll *roll, struct roll_record *record)
{
    if (roll->on_drop)
        roll->on_drop(roll, record);
    map_remove(&roll->by_name, record->name);
    list_remove(&record->link);
    mem_free(record);
}

void roll_fini(struct roll *roll)
{
    if (!roll->all.next)
        return;
    while (!list_is_empty(&roll->all))
        roll_drop(roll, record_at(roll->all.next));
    map_fini(&roll->by_name);
}

void *roll_find(const struct roll *roll, struct span name)
{
    return map_find(&roll->by_name, name);
}

static struct roll_record *add(struct roll *roll, struct span name)
{
    struct roll_record *record = mem_zalloc(1, roll->bytes + name.len);
    char *text;

    if (!record)
        return NULL;
    text = (char *)record + roll->bytes;
    if (name.len)
        memcpy(text, name.ptr, name.len);
    record->name = span_of(text, name.len);
    if (map_add(&roll->by_name, record->name, record)) {
        mem_free(record);
        return NULL;
    }
    list_push_back(&roll->all, &record->link);
    return record;
}

void *roll_find_or_add(struct roll *roll, struct span name)
{
    void *record = map_find(&roll->by_name, name);

    return record ? record : add(roll, name);
}

void roll_sweep(struct roll *roll)
{
    list_for_each_safe (link, &roll->all) {
        struct roll_record *record = record_at(link);

        if (record->is_there)
            record->is_there = false;
        else
            roll_drop(roll, record);
    }
}

void *roll_next(const struct roll *roll, const struct roll_record *record)
{
    struct list *next = record ? record->link.next : roll->all.next;

    return next == &roll->all ? NULL : record_at(next);
}
