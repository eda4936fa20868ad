#include "base/heap.h"

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

void heap_init(struct heap *heap, size_t max)
{
    *heap = (struct heap){.max = max};
}

void heap_fini(struct heap *heap)
{
    mem_free(heap->nodes);
    heap_init(heap, heap->max);
}

int heap_reserve(struct heap *heap, size_t count)
{
    struct heap_node **nodes;
    size_t cap = heap->cap ? heap->cap : 16;

    if (count > heap->max)
        return ERR_FULL;
    if (count <= heap->cap)
        return 0;
    while (cap < count)
        cap *= 2;
    nodes = mem_realloc(heap->nodes, cap * sizeof(struct heap_node *));
    if (!nodes)
        return ERR_NOMEM;
    heap->nodes = nodes;
    heap->cap = cap;
    return 0;
}

static void place(struct heap *heap, struct heap_node *node, size_t at)
{
    heap->nodes[at] = node;
    node->place = at + 1;
}

static void sift_up(struct heap *heap, struct heap_node *node, size_t at)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (heap->nodes[parent]->key <= node->key)
            break;
        place(heap, heap->nodes[parent], at);
        at = parent;
    }
    place(heap, node, at);
}

static void sift_down(struct heap *heap, struct heap_node *node, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= heap->count)
            break;
        if (child + 1 < heap->count && heap->nodes[child + 1]->key < heap->nodes[child]->key)
            child++;
        if (heap->nodes[child]->key >= node->key)
            break;
        place(heap, heap->nodes[child], at);
        at = child;
    }
    place(heap, node, at);
}

int heap_push(struct heap *heap, struct heap_node *node, uint64_t key)
{
    int err = heap_reserve(heap, heap->count + 1);

    if (err)
        return err;
    bug_fatal_unless(node->place == 0);
    node->key = key;
    sift_up(heap, node, heap->count++);
    return 0;
}

void heap_move(struct heap *heap, struct heap_node *node, uint64_t key)
{
    uint64_t old = node->key;

    bug_fatal_unless(node->place != 0 && heap->nodes[node->place - 1] == node);
    node->key = key;
    if (key < old)
        sift_up(heap, node, node->place - 1);
    else
        sift_down(heap, node, node->place - 1);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t at = node->place - 1;
    struct heap_node *last;

    if (node->place == 0)
        return;
    bug_fatal_unless(heap->nodes[at] == node);
    last = heap->nodes[--heap->count];
    node->place = 0;
    if (last == node)
        return;
    if (at > 0 && heap->nodes[(at - 1) / 2]->key > last->key)
        sift_up(heap, last, at);
    else
        sift_down(heap, last, at);
}
