#include "class_play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rand.h"
#include "keypool/waiting.h"

enum { WARM_UP_MS = 10000, GUESTS = 8192, WAITS = 200000 };

struct guest {
    struct bulkhead_waiter waiter;
    unsigned client;
    enum priority class;
    uint64_t came_us, since_us, ends_us;
    waiting_place place;
    struct guest *next; /* of the idle, or of those on a key */
};

struct world {
    const struct class_question *question;
    struct class_result result;
    struct bulkhead *bulkheads[PRIORITIES];
    struct waiting_room *room;
    struct guest guests[GUESTS];
    struct guest *idle, *on_keys;
    struct rand rand;
    uint64_t now_us;
    uint32_t used;
    uint32_t waits_us[PRIORITIES][WAITS];
    size_t waits[PRIORITIES];
};

static void call_nobody(void *owner, uint32_t worker)
{
    (void)owner, (void)worker;
}

static const struct bulkhead_caller caller = {call_nobody, NULL};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "class play: %s\n", what);
    abort();
}

static void forget(struct world *world, struct guest *guest)
{
    guest->next = world->idle;
    world->idle = guest;
}

static void take_key(struct world *world, struct guest *guest)
{
    size_t *waits = &world->waits[guest->class];

    world->used++;
    guest->next = world->on_keys;
    world->on_keys = guest;
    guest->ends_us = world->now_us + 50 * US_PER_MS + rand_below(&world->rand, 100 * US_PER_MS);
    if (*waits < WAITS)
        world->waits_us[guest->class][(*waits)++] = (uint32_t)(world->now_us - guest->came_us);
}

/* It has had its turn: a key, or the room. */
static void select_key(struct world *world, struct guest *guest)
{
    struct waiting_ticket ticket = {
        .id = (uint64_t)(guest - world->guests), .need = 1, .priority = guest->class};

    guest->since_us = world->now_us;
    if (world->used < world->question->keys)
        take_key(world, guest);
    else
        must(waiting_enter(world->room, ticket, &guest->place) == 0, "the room is full");
}

static void count_served(struct world *world, const struct guest *guest)
{
    world->result.clients[guest->client].served++;
    world->result.classes[guest->class].served++;
}

static void end_those_that_are_done(struct world *world)
{
    struct guest **link = &world->on_keys, *guest;

    while ((guest = *link)) {
        if (guest->ends_us > world->now_us) {
            link = &guest->next;
            continue;
        }
        *link = guest->next;
        world->used--;
        count_served(world, guest);
        waiting_grant(world->room, 1, call_nobody, NULL);
        bulkhead_leave(world->bulkheads[guest->class], &guest->waiter, guest->since_us,
                       world->now_us, &caller);
        forget(world, guest);
    }
}

static void refuse(struct world *world, struct guest *guest)
{
    world->result.clients[guest->client].refused++;
    world->result.classes[guest->class].refused++;
    forget(world, guest);
}

/* As the road does: first the room, then the bulkheads. */
static void wake(struct world *world)
{
    struct waiting_ticket taken;

    while (waiting_take(world->room, 0, &taken, 1))
        take_key(world, &world->guests[taken.id]);
    for (enum priority class = PRIORITY_CRITICAL; class < PRIORITIES; class ++) {
        struct bulkhead_waiter *waiter;
        bool has_place = false;

        while ((waiter = bulkhead_take(world->bulkheads[class], 0, &has_place))) {
            if (has_place)
                select_key(world, waiter->owner);
            else
                refuse(world, waiter->owner);
        }
    }
}

static void come(struct world *world, unsigned client)
{
    const struct class_client *who = &world->question->clients[client];
    struct bulkhead_ask ask = {.client = span_from_text(who->name),
                               .now_us = world->now_us,
                               .until_us = world->now_us + 3600 * US_PER_SEC};
    struct guest *guest = world->idle;
    struct bulkhead_refusal refusal;

    must(guest, "more exchanges than it has room for");
    world->idle = guest->next;
    *guest = (struct guest){
        .waiter.owner = guest, .client = client, .class = who->class, .came_us = world->now_us};
    world->result.clients[client].came++;
    world->result.classes[who->class].came++;
    switch (bulkhead_enter(world->bulkheads[who->class], &guest->waiter, &ask, &caller, &refusal)) {
    case BULKHEAD_FREE:
    case BULKHEAD_TAKEN:
        select_key(world, guest);
        return;
    case BULKHEAD_WAITS:
        return;
    case BULKHEAD_FULL:
    case BULKHEAD_LATE:
        refuse(world, guest);
        return;
    case BULKHEAD_NOMEM:
        must(false, "out of memory");
    }
}

static void tick(struct world *world)
{
    const struct class_question *question = world->question;

    world->now_us += US_PER_MS;
    end_those_that_are_done(world);
    wake(world);
    for (unsigned i = 0; i < question->count; i++) {
        uint32_t per_mille = question->clients[i].per_second;

        for (; per_mille >= 1000; per_mille -= 1000)
            come(world, i);
        if (rand_below(&world->rand, 1000) < per_mille)
            come(world, i);
    }
}

static void begin(struct world *world, const struct class_question *question)
{
    world->question = question;
    rand_init(&world->rand, question->seed);
    for (size_t i = 0; i < GUESTS; i++)
        forget(world, &world->guests[i]);
    world->room = waiting_room_new(GUESTS, 1);
    must(world->room, "out of memory");
    for (enum priority class = PRIORITY_CRITICAL; class < PRIORITIES; class ++) {
        world->bulkheads[class] = bulkhead_new(1);
        must(world->bulkheads[class], "out of memory");
        bulkhead_set(world->bulkheads[class], &question->rules[class]);
    }
}

/* Nobody comes any more: all that are inside are served. */
static void end(struct world *world)
{
    do {
        world->now_us += US_PER_MS;
        end_those_that_are_done(world);
        wake(world);
    } while (world->on_keys);
    for (enum priority class = PRIORITY_CRITICAL; class < PRIORITIES; class ++) {
        must(!bulkhead_running(world->bulkheads[class]), "somebody still runs");
        must(!bulkhead_waiting(world->bulkheads[class]), "somebody still waits");
        bulkhead_free(&world->bulkheads[class]);
    }
    must(!waiting_count(world->room), "somebody still waits for a key");
    waiting_room_free(&world->room);
}

static int compare(const void *a, const void *b)
{
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;

    return one < other ? -1 : one > other;
}

static void read_waits(struct world *world)
{
    for (int class = 0; class < PRIORITIES; class ++) {
        uint32_t *waits_us = world->waits_us[class];
        size_t count = world->waits[class];

        if (!count)
            continue;
        qsort(waits_us, count, sizeof(*waits_us), compare);
        world->result.wait_p50_ms[class] = (double)waits_us[count / 2] / US_PER_MS;
        world->result.wait_p99_ms[class] = (double)waits_us[count * 99 / 100] / US_PER_MS;
    }
}

struct class_result class_play(const struct class_question *question)
{
    struct world *world = calloc(1, sizeof(*world));
    struct class_result result;

    must(world, "out of memory");
    begin(world, question);
    for (uint64_t ms = 0; ms < WARM_UP_MS; ms++)
        tick(world);
    memset(&world->result, 0, sizeof(world->result));
    memset(world->waits, 0, sizeof(world->waits));
    for (uint64_t ms = 1; ms <= question->seconds * 1000; ms++) {
        tick(world);
        if (ms % 1000 == 0 && question->on_second)
            question->on_second(question->owner, ms / 1000, world->result.clients);
    }
    read_waits(world);
    result = world->result;
    result.possible = question->seconds * question->keys * 10;
    end(world);
    free(world);
    return result;
}

/* Keys for 200 exchanges a second, of which 120 are left for batch. */
struct class_question class_play_three(void)
{
    static const struct class_client clients[] = {{"critical", PRIORITY_CRITICAL, 20},
                                                  {"standard", PRIORITY_STANDARD, 60},
                                                  {"batch", PRIORITY_BATCH, 1200}};

    return (struct class_question){.rules = {{.concurrent = 20, .queue = 100},
                                             {.concurrent = 50, .queue = 1000},
                                             {.concurrent = 100, .queue = 3000}},
                                   .clients = clients,
                                   .count = 3,
                                   .keys = 20,
                                   .seconds = 90,
                                   .seed = 11};
}

/* Places for 100 a second: five are everybody's share, and six are what the others want. */
struct class_question class_play_greedy(void)
{
    static const struct class_client clients[] = {
        {"greedy", PRIORITY_STANDARD, 60}, {"2", PRIORITY_STANDARD, 6},
        {"3", PRIORITY_STANDARD, 6},       {"4", PRIORITY_STANDARD, 6},
        {"5", PRIORITY_STANDARD, 6},       {"6", PRIORITY_STANDARD, 6},
        {"7", PRIORITY_STANDARD, 6},       {"8", PRIORITY_STANDARD, 6},
        {"9", PRIORITY_STANDARD, 6},       {"10", PRIORITY_STANDARD, 6},
        {"11", PRIORITY_STANDARD, 6},      {"12", PRIORITY_STANDARD, 6},
        {"13", PRIORITY_STANDARD, 6},      {"14", PRIORITY_STANDARD, 6},
        {"15", PRIORITY_STANDARD, 6},      {"16", PRIORITY_STANDARD, 6},
        {"17", PRIORITY_STANDARD, 6},      {"18", PRIORITY_STANDARD, 6},
        {"19", PRIORITY_STANDARD, 6},      {"20", PRIORITY_STANDARD, 6}};

    return (struct class_question){.rules = {{0}, {.concurrent = 10, .queue = 1000}, {0}},
                                   .clients = clients,
                                   .count = 20,
                                   .keys = 10,
                                   .seconds = 190,
                                   .seed = 5};
}
