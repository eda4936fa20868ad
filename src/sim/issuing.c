#include "sim/issuing.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/datetime.h"
#include "base/err.h"
#include "json/write.h"
#include "sim/answer.h"
#include "sim/behaviour_read.h"
#include "sim/fate.h"
#include "sim/reader.h"
#include "sim/world.h"

/* --- rules --- */

void sim_issuing_init(struct sim_issuing *issuing, const struct sim_issuing_rules *rules)
{
    *issuing = (struct sim_issuing){.rules = *rules};
    if (rules->new_keys)
        sim_behaviour_ref(rules->new_keys);
}

void sim_issuing_fini(struct sim_issuing *issuing)
{
    for (size_t i = 0; i < issuing->count; i++)
        mem_free(issuing->issued[i].name);
    MEM_CLEAR(issuing->issued);
    issuing->count = 0;
    sim_behaviour_unref(&issuing->rules.new_keys);
}

void sim_issuing_set(struct sim_issuing *issuing, const struct sim_issuing_rules *rules)
{
    sim_behaviour_unref(&issuing->rules.new_keys);
    issuing->rules = *rules;
    issuing->befallen = 0;
}

enum sim_issuing_fault sim_issuing_fate(struct sim_issuing *issuing)
{
    const struct sim_issuing_rules *rules = &issuing->rules;

    if (rules->first && issuing->befallen >= rules->first)
        return SIM_ISSUING_WELL;
    issuing->befallen++;
    return rules->fault;
}

static const char *const fault_words[] = {"none", "lost",  "cut",   "late",
                                          "busy", "limit", "empty", NULL};

#define AT(member) offsetof(struct sim_issuing_rules, member)
static const struct sim_field fields[] = {
    {"admin_key", sim_read_name, AT(admin_key)},
    {"known_after", sim_read_duration, AT(known_after_us)},
    {"fault", sim_read_word, AT(fault), .words = fault_words},
    {"first", sim_read_u64, AT(first), .max = UINT64_MAX},
    {"new_keys", NULL, 0}, /* read on its own */
};
#undef AT

void sim_issuing_read(struct sim_reader *reader, struct fy_node *node,
                      const struct sim_behaviour *defaults, struct sim_issuing_rules *rules)
{
    struct fy_node *new_keys = sim_read_find(node, SPAN("new_keys"));
    struct sim_behaviour *behaviour;

    sim_read_map(reader, node, fields, sizeof(fields) / sizeof(fields[0]), rules);
    if (!new_keys)
        return;
    behaviour = sim_behaviour_copy(rules->new_keys ? rules->new_keys : defaults);
    reader->is_no_memory |= !behaviour;
    if (!behaviour)
        return;
    sim_behaviour_read(reader, new_keys, behaviour);
    sim_behaviour_unref(&rules->new_keys);
    rules->new_keys = behaviour;
}

/* --- keys --- */

static int make_room(struct sim_issuing *issuing)
{
    size_t capacity = issuing->capacity ? issuing->capacity * 2 : 16;
    struct sim_issued *longer;

    if (issuing->count < issuing->capacity)
        return 0;
    if (issuing->count >= SIM_ISSUED_MAX)
        return ERR_FULL;
    longer = mem_realloc(issuing->issued, capacity * sizeof(*longer));
    if (!longer)
        return ERR_NOMEM;
    issuing->issued = longer;
    issuing->capacity = capacity;
    return 0;
}

/* The same seed makes the same keys, so that a run can be repeated. */
static void write_key(const struct sim_world *world, size_t number, struct sim_issued *issued)
{
    struct rand rand;
    uint64_t high, low;

    sim_fate_seed(&rand, world->seed, sim_hash(SPAN("issued keys")), number);
    high = rand_u64(&rand);
    low = rand_u64(&rand);
    snprintf(issued->id, sizeof(issued->id), "key_%zu", number);
    snprintf(issued->key, sizeof(issued->key), "sk-issued-%016llx%016llx", (unsigned long long)high,
             (unsigned long long)low);
}

/* It behaves as the rules say, with its own limit. */
static int add_to_world(struct sim_world *world, const struct sim_issued *issued,
                        const struct sim_issuing_wish *wish, uint64_t now_us)
{
    const struct sim_issuing_rules *rules = &world->issuing.rules;
    struct span name = span_from_text(issued->key);
    struct sim_behaviour *behaviour =
        sim_behaviour_copy(rules->new_keys ? rules->new_keys : world->scenario->defaults);
    struct sim_key *key;
    int err;

    if (!behaviour)
        return ERR_NOMEM;
    if (wish->rpm)
        behaviour->limits.rpm = wish->rpm;
    err = sim_world_set_key(world, name, behaviour);
    if (err)
        return err;
    key = sim_world_key(world, name);
    key->known_us = rules->known_after_us ? now_us + rules->known_after_us : 0;
    key->expires_us = wish->life_us ? now_us + wish->life_us : 0;
    return 0;
}

int sim_issuing_make(struct sim_world *world, const struct sim_issuing_wish *wish, uint64_t now_us,
                     uint64_t wall_us, const struct sim_issued **ret_issued)
{
    struct sim_issuing *issuing = &world->issuing;
    struct sim_issued issued = {.made_wall_us = wall_us};
    int err = make_room(issuing);

    if (err)
        return err;
    issued.expires_wall_us = wish->life_us ? wall_us + wish->life_us : 0;
    issued.name = mem_strdup(wish->name.ptr, wish->name.len);
    if (!issued.name)
        return ERR_NOMEM;
    write_key(world, issuing->count + 1, &issued);
    err = add_to_world(world, &issued, wish, now_us);
    if (err) {
        mem_free(issued.name);
        return err;
    }
    issuing->issued[issuing->count] = issued;
    *ret_issued = &issuing->issued[issuing->count++];
    return 0;
}

/* The row of that id, revoked or not; count: none. */
static size_t find(const struct sim_issuing *issuing, struct span id)
{
    size_t i = 0;

    while (i < issuing->count && !span_is_equal(id, span_from_text(issuing->issued[i].id)))
        i++;
    return i;
}

int sim_issuing_revoke(struct sim_world *world, struct span id)
{
    struct sim_issuing *issuing = &world->issuing;
    size_t i = find(issuing, id);
    struct sim_behaviour *behaviour;
    struct span name;
    int err;

    if (i == issuing->count || issuing->issued[i].is_revoked)
        return ERR_NOTFOUND;
    name = span_from_text(issuing->issued[i].key);
    behaviour = sim_behaviour_copy(sim_world_behaviour(world, name));
    if (!behaviour)
        return ERR_NOMEM;
    behaviour->state = SIM_KEY_REVOKED;
    err = sim_world_set_key(world, name, behaviour);
    if (err)
        return err;
    issuing->issued[i].is_revoked = true;
    issuing->revoked++;
    return 0;
}

/* --- told --- */

static void put_time(struct json_writer *json, const char *name, uint64_t wall_us)
{
    char text[RFC3339_BYTES];

    if (!wall_us) {
        json_member_null(json, name);
        return;
    }
    datetime_write_rfc3339(wall_us, text);
    json_member_string(json, name, span_of(text, sizeof(text)));
}

static void put_issued(struct json_writer *json, const struct sim_issued *issued,
                       struct span secret)
{
    json_begin_object(json);
    json_member_text(json, "key_id", issued->id);
    json_member_text(json, "name", issued->name);
    if (secret.ptr)
        json_member_string(json, "api_key", secret);
    put_time(json, "created_at", issued->made_wall_us);
    put_time(json, "expires_at", issued->expires_wall_us);
    json_end_object(json);
}

void sim_issued_write(const struct sim_issued *issued, struct span secret, struct buf *out)
{
    struct json_writer json;

    json_writer_init(&json, out);
    put_issued(&json, issued, secret);
}

void sim_issuing_list(const struct sim_issuing *issuing, struct span after, size_t limit,
                      struct buf *out)
{
    const struct sim_issued *last = NULL, *next = NULL;
    struct json_writer json;
    size_t i = after.len ? find(issuing, after) + 1 : 0;

    json_writer_init(&json, out);
    json_begin_object(&json);
    json_name(&json, "keys");
    json_begin_array(&json);
    for (size_t told = 0; i < issuing->count && !next; i++) {
        if (issuing->issued[i].is_revoked)
            continue;
        if (told++ == limit) {
            next = last;
            break;
        }
        last = &issuing->issued[i];
        put_issued(&json, last, span_of(NULL, 0));
    }
    json_end_array(&json);
    json_member_text(&json, "next", next ? next->id : NULL);
    json_end_object(&json);
}

void sim_issuing_write_stats(const struct sim_issuing *issuing, struct buf *out)
{
    struct json_writer json;

    json_writer_init(&json, out);
    json_begin_object(&json);
    json_member_uint(&json, "issued", issuing->count);
    json_member_uint(&json, "revoked", issuing->revoked);
    json_member_uint(&json, "revoked_requests", issuing->revoked_requests);
    json_end_object(&json);
}
