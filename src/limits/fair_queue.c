#include "limits/fair_queue.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bug.h"
#include "base/err.h"

enum { CLIENTS_MAX = 1 << 24 };

/* What one client has in it. */
struct fair_flow {
    struct list link;        /* among the turns; in none where all are held */
    struct heap_node length; /* in queue->lengths: the more it has, the less */
    struct list queued, held;
    uint32_t queued_count;
    uint32_t count; /* held ones included */
    struct span name;
    char text[];
};

void fair_queue_init(struct fair_queue *queue)
{
    *queue = (struct fair_queue){.queued = 0};
    map_init(&queue->flows, CLIENTS_MAX);
    heap_init(&queue->lengths, CLIENTS_MAX);
    list_init(&queue->turns);
}

void fair_queue_fini(struct fair_queue *queue)
{
    bug_fatal_unless(queue->flows.count == 0);
    map_fini(&queue->flows);
    heap_fini(&queue->lengths);
}

static struct fair_flow *longest(const struct fair_queue *queue)
{
    struct heap_node *first = heap_peek(&queue->lengths);

    return first ? container_of(first, struct fair_flow, length) : NULL;
}

static void set_count(struct fair_queue *queue, struct fair_flow *flow, uint32_t count)
{
    flow->count = count;
    heap_move(&queue->lengths, &flow->length, UINT64_MAX - count);
}

static int flow_new(struct fair_queue *queue, struct span name, struct fair_flow **ret_flow)
{
    struct fair_flow *flow = mem_zalloc(1, sizeof(*flow) + name.len + 1);
    int err;

    if (!flow)
        return ERR_NOMEM;
    if (name.len)
        memcpy(flow->text, name.ptr, name.len);
    flow->name = span_of(flow->text, name.len);
    list_init(&flow->link);
    list_init(&flow->queued);
    list_init(&flow->held);
    err = heap_push(&queue->lengths, &flow->length, UINT64_MAX);
    if (!err)
        err = map_add(&queue->flows, flow->name, flow);
    if (err) {
        heap_remove(&queue->lengths, &flow->length);
        mem_free(flow);
        return ERR_NOMEM;
    }
    *ret_flow = flow;
    return 0;
}

static void line_up(struct fair_queue *queue, struct fair_entry *entry)
{
    struct fair_flow *flow = entry->flow;

    list_push_back(&flow->queued, &entry->link);
    queue->queued++;
    queue->queued_weight += entry->weight;
    if (flow->queued_count++ == 0) {
        list_push_back(&queue->turns, &flow->link);
        queue->flows_in_turn++;
    }
}

/* Takes it from its client's list; what its client has in the queue is not touched. */
static void step_out(struct fair_queue *queue, struct fair_entry *entry)
{
    struct fair_flow *flow = entry->flow;

    list_remove(&entry->link);
    if (entry->is_held)
        return;
    queue->queued--;
    queue->queued_weight -= entry->weight;
    if (--flow->queued_count == 0) {
        list_remove(&flow->link);
        queue->flows_in_turn--;
    }
}

int fair_queue_add(struct fair_queue *queue, struct fair_entry *entry, struct span client,
                   bool is_held)
{
    struct fair_flow *flow = map_find(&queue->flows, client);
    int err = flow ? 0 : flow_new(queue, client, &flow);

    if (err)
        return err;
    entry->flow = flow;
    entry->is_held = is_held;
    set_count(queue, flow, flow->count + 1);
    if (is_held)
        list_push_back(&flow->held, &entry->link);
    else
        line_up(queue, entry);
    return 0;
}

void fair_queue_hold(struct fair_queue *queue, struct fair_entry *entry)
{
    if (entry->is_held)
        return;
    step_out(queue, entry);
    entry->is_held = true;
    list_push_back(&entry->flow->held, &entry->link);
}

void fair_queue_release(struct fair_queue *queue, struct fair_entry *entry)
{
    if (!entry->is_held)
        return;
    step_out(queue, entry);
    entry->is_held = false;
    line_up(queue, entry);
}

void fair_queue_release_all(struct fair_queue *queue)
{
    struct fair_flow *flow;
    size_t at = 0;

    while ((flow = map_next(&queue->flows, &at, NULL))) {
        while (!list_is_empty(&flow->held))
            fair_queue_release(queue, container_of(flow->held.next, struct fair_entry, link));
    }
}

void fair_queue_remove(struct fair_queue *queue, struct fair_entry *entry)
{
    struct fair_flow *flow = entry->flow;

    step_out(queue, entry);
    entry->flow = NULL;
    set_count(queue, flow, flow->count - 1);
    if (flow->count)
        return;
    heap_remove(&queue->lengths, &flow->length);
    map_remove(&queue->flows, flow->name);
    mem_free(flow);
}

struct fair_entry *fair_queue_peek(const struct fair_queue *queue)
{
    const struct fair_flow *flow;

    if (list_is_empty(&queue->turns))
        return NULL;
    flow = container_of(queue->turns.next, struct fair_flow, link);
    return container_of(flow->queued.next, struct fair_entry, link);
}

struct fair_entry *fair_queue_next(struct fair_queue *queue)
{
    struct fair_entry *entry = fair_queue_peek(queue);

    if (!entry)
        return NULL;
    list_remove(&entry->flow->link);
    list_push_back(&queue->turns, &entry->flow->link);
    fair_queue_remove(queue, entry);
    return entry;
}

bool fair_queue_may_displace(struct fair_queue *queue, struct span client)
{
    const struct fair_flow *own = map_find(&queue->flows, client), *most = longest(queue);

    return most && most->count > (own ? own->count : 0) + 1;
}

struct fair_entry *fair_queue_displace(struct fair_queue *queue)
{
    struct fair_flow *flow = longest(queue);
    struct list *last = list_is_empty(&flow->held) ? flow->queued.prev : flow->held.prev;
    struct fair_entry *entry = container_of(last, struct fair_entry, link);

    fair_queue_remove(queue, entry);
    return entry;
}

uint64_t fair_queue_turns_before(const struct fair_queue *queue, struct span client)
{
    const struct fair_flow *flow = map_find(&queue->flows, client);
    uint64_t own = flow ? flow->queued_count : 0, others = queue->flows_in_turn - (own > 0);
    uint64_t turns = own + others * (own + 1);

    return turns < queue->queued ? turns : queue->queued;
}
