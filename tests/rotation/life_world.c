#include "life_world.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"

static bool is_likely(struct world *world, unsigned percent)
{
    return rand_below(&world->rand, 100) < percent;
}

/* ---- the pool ---- */

static struct world_pool_key *pool_key(struct world *world, const char *name)
{
    for (uint32_t i = 0; i < world->pool_count; i++) {
        if (!strcmp(world->pool[i].name, name))
            return &world->pool[i];
    }
    return NULL;
}

uint32_t world_serving(const struct world *world)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < world->pool_count; i++)
        count += world->pool[i].standing == LIFE_STANDS_FULL;
    return count;
}

static void check_pool(const struct world *world)
{
    uint32_t shares = 0;

    for (uint32_t i = 0; i < world->pool_count; i++) {
        const struct world_pool_key *key = &world->pool[i];
        bool has_traffic = key->standing == LIFE_STANDS_FULL || key->standing == LIFE_STANDS_SHARE;

        shares += key->standing == LIFE_STANDS_SHARE;
        for (uint32_t k = 0; k < world->key_count; k++) {
            if (has_traffic && !strcmp(world->keys[k].name, key->name))
                assert_true(world->keys[k].is_alive);
        }
    }
    assert_true(shares <= 1);
    if (!world->may_be_empty)
        assert_true(world_serving(world) >= 1);
}

static void stand(struct world *world, const struct life_key *key)
{
    struct world_pool_key *place = pool_key(world, key->name);

    if (!place && life_standing(key) == LIFE_STANDS_NONE)
        return;
    if (!place) {
        place = &world->pool[world->pool_count++];
        memcpy(place->name, key->name, sizeof(place->name));
    }
    place->standing = life_standing(key);
    check_pool(world);
}

/* What begins to serve before what ends; before it was written down only what is urgent. */
static void apply(struct world *world)
{
    struct life *life = &world->life;
    bool is_recorded = life_is_recorded(life);

    for (int is_off = 0; is_off < 2; is_off++) {
        for (uint32_t i = 0; i < life->count; i++) {
            const struct life_key *key = &life->keys[i];

            if ((is_recorded || life_is_urgent(key)) &&
                (life_standing(key) == LIFE_STANDS_OFF) == (is_off == 1))
                stand(world, key);
        }
    }
}

/* ---- the issuer and the store ---- */

static struct world_key *find_key(struct world *world, const char *name)
{
    for (uint32_t i = 0; i < world->key_count; i++) {
        if (!strcmp(world->keys[i].name, name))
            return &world->keys[i];
    }
    return NULL;
}

static void make_key(struct world *world, const char *name, uint64_t late_us)
{
    struct world_key *key = &world->keys[world->key_count];

    assert_null(find_key(world, name));
    assert_true(world->key_count < WORLD_KEYS);
    snprintf(key->name, sizeof(key->name), "%s", name);
    snprintf(key->id, sizeof(key->id), "id-%u", world->key_count++);
    key->is_alive = true;
    key->alive_from_us = world->now_us + late_us;
}

static struct life_result create(struct world *world, const struct life_task *task)
{
    struct life_result result = {.err = ERR_TIMEOUT, .why = "it timed out", .may_exist = true};
    unsigned fate = (unsigned)rand_below(&world->rand, 100);

    if (fate < world->faults.create_refused)
        return (struct life_result){.err = ERR_DENIED, .why = "refused"};
    if (fate < world->faults.create_refused + world->faults.create_lost) {
        if (is_likely(world, 70))
            make_key(world, task->key->name, rand_below(&world->rand, 30) * US_PER_SEC);
        return result;
    }
    make_key(world, task->key->name, 0);
    result = (struct life_result){.id = span_from_text(world->keys[world->key_count - 1].id)};
    return result;
}

static struct life_result find(struct world *world, const struct life_task *task)
{
    const struct world_key *key = find_key(world, task->key->name);

    if (is_likely(world, world->faults.issuer_away))
        return (struct life_result){.err = ERR_REFUSED, .why = "nobody listens"};
    if (!key || !key->is_alive || key->alive_from_us > world->now_us)
        return (struct life_result){.err = ERR_NOTFOUND, .why = "not there"};
    return (struct life_result){.id = span_from_text(key->id)};
}

static struct life_result revoke(struct world *world, const struct life_task *task)
{
    const struct world_pool_key *used = pool_key(world, task->key->name);

    if (is_likely(world, world->faults.issuer_away))
        return (struct life_result){.err = ERR_REFUSED, .why = "nobody listens"};
    assert_true(!used || used->standing == LIFE_STANDS_OFF);
    for (uint32_t i = 0; i < world->key_count; i++) {
        if (strcmp(world->keys[i].id, task->key->id) != 0)
            continue;
        if (!world->keys[i].is_alive)
            return (struct life_result){.err = ERR_NOTFOUND, .why = "not there"};
        world->keys[i].is_alive = false;
        return (struct life_result){.err = 0};
    }
    fail_msg("nobody made %s", task->key->id);
    return (struct life_result){.err = 0};
}

static struct life_result do_task(struct world *world, const struct world_task *task)
{
    const struct life_result away = {.err = ERR_REFUSED, .why = "the store is away"};
    struct life_key *key = task->task.key;

    switch (task->task.act) {
    case LIFE_RECORD:
        if (is_likely(world, world->faults.store_away))
            return away;
        memcpy(world->recorded, task->text, sizeof(world->recorded));
        return (struct life_result){.err = 0};
    case LIFE_CREATE:
        return create(world, &task->task);
    case LIFE_KEEP:
        if (is_likely(world, world->faults.store_away))
            return away;
        assert_true(key->live.has_secret || key->step != LIFE_ISSUED);
        find_key(world, key->name)->is_kept = true;
        return (struct life_result){.err = 0};
    case LIFE_VALIDATE:
        if (is_likely(world, world->faults.unknown_key))
            return (struct life_result){.err = ERR_DENIED, .why = "the provider does not know it"};
        return (struct life_result){.err = 0};
    case LIFE_DRAIN:
        return (struct life_result){.err = 0};
    case LIFE_FIND:
        return find(world, &task->task);
    case LIFE_REVOKE:
        return revoke(world, &task->task);
    case LIFE_FORGET:
        if (is_likely(world, world->faults.store_away))
            return away;
        if (find_key(world, key->name))
            find_key(world, key->name)->is_kept = false;
        return (struct life_result){.err = 0};
    }
    return away;
}

/* ---- time ---- */

static void take_up(struct world *world)
{
    struct world_task *task;
    struct life_task next;

    apply(world);
    while (life_next(&world->life, &world->rules, world->now_us, world->wall_us, &next,
                     &world->next_us)) {
        assert_true(world->task_count < WORLD_TASKS);
        task = mem_zalloc(1, sizeof(*task));
        task->task = next;
        task->due_us = world->now_us + rand_below(&world->rand, 3000) * US_PER_MS;
        if (next.act == LIFE_RECORD) {
            struct buf text;

            buf_init(&text, sizeof(task->text) - 1);
            life_write(&world->life, &text);
            assert_int_equal(text.err, 0);
            memcpy(task->text, text.data, text.len);
            buf_fini(&text);
        }
        world->tasks[world->task_count++] = task;
    }
}

static struct world_task *take_first(struct world *world)
{
    uint32_t first = 0;
    struct world_task *task;

    for (uint32_t i = 1; i < world->task_count; i++) {
        if (world->tasks[i]->due_us < world->tasks[first]->due_us)
            first = i;
    }
    task = world->tasks[first];
    world->tasks[first] = world->tasks[--world->task_count];
    return task;
}

static void pass_until(struct world *world, uint64_t until_us)
{
    if (until_us <= world->now_us)
        return;
    world->wall_us += until_us - world->now_us;
    world->now_us = until_us;
}

static void end_first(struct world *world)
{
    struct world_task *task = take_first(world);
    struct life_result result;

    pass_until(world, task->due_us);
    result = do_task(world, task);
    life_end(&world->life, &world->rules, &task->task, &result, world->now_us, world->wall_us);
    mem_free(task);
}

bool world_step(struct world *world)
{
    world->moves++;
    take_up(world);
    if (world->faults.crash && is_likely(world, world->faults.crash)) {
        world_crash(world);
        return true;
    }
    if (world->task_count &&
        (world->next_us > world->now_us + 3 * US_PER_SEC || is_likely(world, 50))) {
        end_first(world);
    } else if (world->next_us != UINT64_MAX) {
        pass_until(world, world->next_us);
    } else if (world->task_count) {
        end_first(world);
    } else {
        return false;
    }
    apply(world);
    return true;
}

/* What was under way may have come about, or not. */
void world_crash(struct world *world)
{
    struct world_pool_key *file;

    world->crashes++;
    while (world->task_count) {
        struct world_task *task = take_first(world);

        if (is_likely(world, 50))
            (void)do_task(world, task);
        mem_free(task);
    }
    life_init(&world->life);
    if (world->recorded[0])
        assert_int_equal(life_read(span_from_text(world->recorded), &world->life), 0);
    world->now_us = US_PER_SEC; /* another process, another beginning of the clock */
    for (uint32_t i = 0; i < world->key_count; i++)
        world->keys[i].alive_from_us = 0;
    world->pool_count = 0;
    file = &world->pool[world->pool_count++];
    snprintf(file->name, sizeof(file->name), "file");
    file->standing = LIFE_STANDS_FULL;
    apply(world);
}

void world_settle(struct world *world)
{
    struct world_faults faults = world->faults;

    memset(&world->faults, 0, sizeof(world->faults));
    for (int i = 0; i < 10000 && world_step(world); i++)
        ;
    world->faults = faults;
}

/* ---- life of the world ---- */

struct world *world_begin(uint64_t seed)
{
    struct world *world = mem_zalloc(1, sizeof(*world));

    assert_non_null(world);
    rand_init(&world->rand, seed);
    life_init(&world->life);
    world->now_us = US_PER_SEC;
    world->wall_us = UINT64_C(1790000000) * US_PER_SEC;
    world->rules = (struct life_rules){.overlap_us = 3600 * US_PER_SEC,
                                       .max_keys = 5,
                                       .attempts = 5,
                                       .base_delay_us = US_PER_SEC,
                                       .has_ramp = true,
                                       .can_find = true};
    snprintf(world->pool[0].name, sizeof(world->pool[0].name), "file");
    world->pool[0].standing = LIFE_STANDS_FULL;
    world->pool_count = 1;
    return world;
}

void world_end(struct world **place)
{
    struct world *world = *place;

    *place = NULL;
    while (world->task_count)
        mem_free(take_first(world));
    mem_free(world);
}

enum life_begun world_order(struct world *world, enum life_trigger trigger)
{
    char name[LIFE_NAME_BYTES];
    struct life_order order = {.trigger = trigger};

    snprintf(name, sizeof(name), "key-%u", ++world->orders);
    order.name = span_from_text(name);
    for (uint32_t i = 0; i < world->pool_count; i++) {
        if (world->pool[i].standing == LIFE_STANDS_FULL)
            order.replaces = span_from_text(world->pool[i].name);
    }
    world->may_be_empty |= trigger == LIFE_BY_LEAK;
    return life_begin(&world->life, &world->rules, &order, world->now_us, world->wall_us);
}

void world_check_end(struct world *world)
{
    for (uint32_t i = 0; i < world->key_count; i++) {
        const struct world_key *made = &world->keys[i];
        const struct life_key *key = life_find(&world->life, span_from_text(made->name));
        bool is_active = key && key->step == LIFE_ACTIVE;

        if (made->is_alive != is_active || made->is_kept != is_active)
            fail_msg("%s: %s, alive %d, kept %d", made->name,
                     key ? life_step_text(key->step) : "unknown", made->is_alive, made->is_kept);
    }
}
