/* What a world saw, as JSON. */
#include "json/write.h"
#include "sim/world.h"

static const char *const end_names[] = {
#define X(NAME, text) text,
    SIM_ENDS(X)
#undef X
};

static const char *const state_names[] = {"valid", "revoked", "depleted", "unpaid", "forbidden"};

static void add_counts(struct sim_counts *total, const struct sim_counts *counts)
{
    total->requests += counts->requests;
    total->lookups += counts->lookups;
    total->streams += counts->streams;
    for (int i = 0; i < SIM_END_COUNT; i++) {
        total->ends[i] += counts->ends[i];
        total->generation_ends[i] += counts->generation_ends[i];
    }
    total->in_flight += counts->in_flight;
    total->max_in_flight += counts->max_in_flight;
    total->prompt_tokens += counts->prompt_tokens;
    total->completion_tokens += counts->completion_tokens;
}

static void write_ends(struct json_writer *json, const uint64_t *ends)
{
    for (int i = 0; i < SIM_END_COUNT; i++)
        json_member_uint(json, end_names[i], ends[i]);
}

static void write_counts(struct json_writer *json, const struct sim_counts *counts)
{
    json_member_uint(json, "requests", counts->requests);
    json_member_uint(json, "lookups", counts->lookups);
    json_member_uint(json, "streams", counts->streams);
    write_ends(json, counts->ends);
    json_name(json, "generations");
    json_begin_object(json);
    write_ends(json, counts->generation_ends);
    json_end_object(json);
    json_member_uint(json, "in_flight", counts->in_flight);
    json_member_uint(json, "max_in_flight", counts->max_in_flight);
    json_member_uint(json, "prompt_tokens", counts->prompt_tokens);
    json_member_uint(json, "completion_tokens", counts->completion_tokens);
}

static void write_statuses(struct json_writer *json, const struct sim_counts *counts)
{
    json_name(json, "statuses");
    json_begin_object(json);
    for (unsigned i = 0; i < SIM_MAX_STATUSES && counts->statuses[i].status; i++) {
        int status = counts->statuses[i].status;
        char text[4] = {(char)('0' + status / 100), (char)('0' + status / 10 % 10),
                        (char)('0' + status % 10), '\0'};

        json_member_uint(json, text, counts->statuses[i].count);
    }
    json_end_object(json);
}

static void write_key(struct json_writer *json, const struct sim_key *key)
{
    json_begin_object(json);
    json_member_text(json, "state", state_names[key->behaviour->state]);
    json_member_text(json, "account", key->account->name.text);
    write_counts(json, &key->counts);
    write_statuses(json, &key->counts);
    json_end_object(json);
}

void sim_key_write_stats(const struct sim_key *key, struct buf *out)
{
    struct json_writer json;

    json_writer_init(&json, out);
    write_key(&json, key);
}

void sim_world_write_stats(const struct sim_world *world, struct buf *out)
{
    struct sim_counts total = world->nobody.counts;
    struct json_writer json;
    struct span name;
    size_t at = 0;
    const struct sim_key *key;

    json_writer_init(&json, out);
    json_begin_object(&json);
    json_name(&json, "keys");
    json_begin_object(&json);
    while ((key = map_next(&world->keys, &at, &name))) {
        json_name_span(&json, name);
        write_key(&json, key);
        add_counts(&total, &key->counts);
    }
    json_end_object(&json);
    json_name(&json, "keyless");
    write_key(&json, &world->nobody);
    json_name(&json, "total");
    json_begin_object(&json);
    write_counts(&json, &total);
    json_end_object(&json);
    json_member_uint(&json, "repeats", world->repeats);
    json_member_uint(&json, "revoked_requests", world->issuing.revoked_requests);
    json_member_uint(&json, "seed", world->seed);
    json_end_object(&json);
}
