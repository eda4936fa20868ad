#include "pace.h"
#include "common.h"

static void put(struct pace *pace, size_t index, struct pace_item *item)
{
    pace->items[index] = item;
    item->place = index + 1;
}

static void sift_up(struct pace *pace, size_t index, struct pace_item *item)
{
    while (index > 0 && pace->items[(index - 1) / 2]->due_ns > item->due_ns) {
        put(pace, index, pace->items[(index - 1) / 2]);
        index = (index - 1) / 2;
    }
    put(pace, index, item);
}

static void sift_down(struct pace *pace, size_t index, struct pace_item *item)
{
    for (;;) {
        size_t child = 2 * index + 1;
        if (child + 1 < pace->count && pace->items[child + 1]->due_ns < pace->items[child]->due_ns)
            child++;
        if (child >= pace->count || pace->items[child]->due_ns >= item->due_ns)
            break;
        put(pace, index, pace->items[child]);
        index = child;
    }
    put(pace, index, item);
}

static void settle(struct pace *pace, size_t index, struct pace_item *item)
{
    put(pace, index, item);
    sift_up(pace, index, item);
    sift_down(pace, item->place - 1, item);
}

void pace_set(struct pace *pace, struct pace_item *item, uint64_t due_ns)
{
    if (item->place == 0) {
        if (pace->count == pace->room) {
            pace->room = pace->room * 2 + 64;
            pace->items = need_realloc(pace->items, pace->room * sizeof(pace->items[0]));
        }
        put(pace, pace->count++, item);
    }
    item->due_ns = due_ns;
    settle(pace, item->place - 1, item);
}

void pace_remove(struct pace *pace, struct pace_item *item)
{
    if (item->place == 0)
        return;
    size_t index = item->place - 1;
    struct pace_item *last = pace->items[--pace->count];
    item->place = 0;
    if (last != item)
        settle(pace, index, last);
}

struct pace_item *pace_find_first(const struct pace *pace)
{
    return pace->count > 0 ? pace->items[0] : NULL;
}
