#include "sim/scenario.h"

#include "base/alloc.h"
#include "base/err.h"
#include "sim/behaviour_read.h"
#include "sim/reader.h"

enum { MAX_KEYS = 65536, MAX_ACCOUNTS = 65536, MAX_MODELS = 10000 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const double IDLE_US = 600e6;

#define ADMIN_KEY "sk-sim-admin"

/* --- the texts built in --- */

static const struct {
    const char *name, *text;
} builtins[] = {
#include "sim/builtin_scenarios.def"
};

const char *sim_scenario_builtin(size_t i, struct span *ret_text)
{
    if (i >= COUNT_OF(builtins))
        return NULL;
    if (ret_text)
        *ret_text = span_from_text(builtins[i].text);
    return builtins[i].name;
}

static struct span text_of(struct span scenario)
{
    struct span text;
    const char *name;

    if (!scenario.len)
        scenario = SPAN("default");
    for (size_t i = 0; (name = sim_scenario_builtin(i, &text)); i++)
        if (span_is_equal(scenario, span_from_text(name)))
            return text;
    return scenario;
}

/* --- the whole --- */

static const char *const manners_words[] = {"accept", "refuse", NULL};

#define AT(member) offsetof(struct sim_scenario, member)
static const struct sim_field scenario_fields[] = {
    {"seed", sim_read_u64, AT(seed), .max = UINT64_MAX},
    {"time_scale", NULL, 0}, /* read first, for it is in every duration */
    {"unknown_keys", sim_read_word, AT(unknown_keys), .words = manners_words},
    {"missing_keys", sim_read_word, AT(missing_keys), .words = manners_words},
    {"count_repeats", sim_read_bool, AT(counts_repeats)},
    {"idle_timeout", sim_read_duration, AT(idle_timeout_us)},
    /* What the others build on goes first, wherever it stands. */
    {"models", NULL, 0},
    {"defaults", NULL, 0},
    {"accounts", NULL, 0},
    {"keys", NULL, 0},
    {"issuer", NULL, 0},
};
#undef AT

static const struct sim_field time_scale_field = {.name = "time_scale"};

/* Room for every member or item of the node: NULL, with the reader told, without memory or with too
 * many of them. */
static void *make_room(struct sim_reader *reader, struct fy_node *node, size_t max, size_t size)
{
    struct fy_node *key, *value;
    struct span name;
    size_t count = 0;
    void *at = NULL, *room;

    if (sim_node_is_list(node)) {
        while (sim_read_item(node, &at))
            count++;
    } else {
        while (sim_read_member(node, &at, &name, &key, &value))
            count++;
    }
    if (count > max) {
        sim_reader_complain(reader, node, "too many; at most %zu", max);
        return NULL;
    }
    room = mem_zalloc(count ? count : 1, size);
    reader->is_no_memory |= !room;
    return room;
}

static void read_models(struct sim_reader *reader, struct fy_node *node,
                        struct sim_scenario *scenario)
{
    struct fy_node *item;
    void *at = NULL;

    if (!node || sim_node_is_null(node))
        return;
    if (!sim_node_is_list(node)) {
        sim_reader_complain(reader, node, "a list of models is wanted here");
        return;
    }
    scenario->models = make_room(reader, node, MAX_MODELS, sizeof(*scenario->models));
    while (scenario->models && (item = sim_read_item(node, &at)))
        sim_read_name(reader, item, NULL, &scenario->models[scenario->model_count++]);
}

static bool is_map_or_nothing(struct sim_reader *reader, struct fy_node *node)
{
    if (!node || sim_node_is_null(node))
        return false;
    if (sim_node_is_map(node))
        return true;
    sim_reader_complain(reader, node, "a map is wanted here");
    return false;
}

static void read_accounts(struct sim_reader *reader, struct fy_node *node,
                          struct sim_scenario *scenario)
{
    static const struct sim_field fields[] = {{"limits", sim_limits_read, 0}};
    struct fy_node *key, *value;
    struct span name;
    void *at = NULL;

    if (!is_map_or_nothing(reader, node))
        return;
    scenario->accounts = make_room(reader, node, MAX_ACCOUNTS, sizeof(*scenario->accounts));
    while (scenario->accounts && sim_read_member(node, &at, &name, &key, &value)) {
        struct sim_scenario_account *account = &scenario->accounts[scenario->account_count++];

        sim_read_name(reader, key, NULL, &account->name);
        account->limits = scenario->defaults->limits;
        sim_read_map(reader, value, fields, COUNT_OF(fields), &account->limits);
    }
}

static void read_key(struct sim_reader *reader, struct fy_node *key, struct span name,
                     struct fy_node *value, struct sim_scenario *scenario)
{
    struct sim_scenario_key *row = &scenario->keys[scenario->key_count++];

    if (!name.len || name.len >= SIM_KEY_BYTES || memchr(name.ptr, '\0', name.len)) {
        sim_reader_complain(reader, key, "a key has 1 to %d bytes", SIM_KEY_BYTES - 1);
        return;
    }
    row->name = mem_strdup(name.ptr, name.len);
    row->behaviour = sim_node_is_null(value) ? sim_behaviour_ref(scenario->defaults)
                                             : sim_behaviour_copy(scenario->defaults);
    if (!row->name || !row->behaviour)
        reader->is_no_memory = true;
    else if (!sim_node_is_null(value))
        sim_behaviour_read(reader, value, row->behaviour);
}

static void read_keys(struct sim_reader *reader, struct fy_node *node,
                      struct sim_scenario *scenario)
{
    struct fy_node *key, *value;
    struct span name;
    void *at = NULL;

    if (!is_map_or_nothing(reader, node))
        return;
    scenario->keys = make_room(reader, node, MAX_KEYS, sizeof(*scenario->keys));
    while (scenario->keys && sim_read_member(node, &at, &name, &key, &value))
        read_key(reader, key, name, value, scenario);
}

static void read_scenario(struct sim_reader *reader, double time_scale,
                          struct sim_scenario *scenario)
{
    struct fy_node *root = sim_reader_root(reader);
    struct fy_node *scale = sim_read_find(root, SPAN("time_scale"));
    struct fy_node *defaults = sim_read_find(root, SPAN("defaults"));
    struct fy_node *issuer = sim_read_find(root, SPAN("issuer"));

    if (scale)
        sim_read_double(reader, scale, &time_scale_field, &scenario->time_scale);
    if (time_scale > 0)
        scenario->time_scale = time_scale;
    reader->time_scale = scenario->time_scale;
    scenario->idle_timeout_us = (uint64_t)(IDLE_US / scenario->time_scale);
    scenario->defaults->limits.period_us = (uint64_t)(60e6 / scenario->time_scale);
    sim_read_map(reader, root, scenario_fields, COUNT_OF(scenario_fields), scenario);
    read_models(reader, sim_read_find(root, SPAN("models")), scenario);
    if (defaults)
        sim_behaviour_read(reader, defaults, scenario->defaults);
    if (issuer)
        sim_issuing_read(reader, issuer, scenario->defaults, &scenario->issuing);
    read_accounts(reader, sim_read_find(root, SPAN("accounts")), scenario);
    read_keys(reader, sim_read_find(root, SPAN("keys")), scenario);
}

int sim_scenario_new(const char *name, struct span text, double time_scale, struct buf *complaints,
                     struct sim_scenario **ret_scenario)
{
    struct sim_scenario *scenario = mem_zalloc(1, sizeof(*scenario));
    struct sim_reader reader = {0};
    int err = ERR_NOMEM;

    if (!scenario)
        return ERR_NOMEM;
    scenario->refs = 1;
    scenario->seed = 1;
    scenario->missing_keys = SIM_REFUSE;
    scenario->time_scale = 1;
    scenario->issuing.admin_key = (struct sim_name){ADMIN_KEY};
    scenario->defaults = sim_behaviour_new();
    if (!scenario->defaults)
        goto out;
    err = sim_reader_open(&reader, name, text_of(text), complaints);
    if (err)
        goto out;
    read_scenario(&reader, time_scale, scenario);
    err = sim_reader_result(&reader);
    if (!err) {
        *ret_scenario = scenario;
        scenario = NULL;
    }
out:
    sim_reader_close(&reader);
    sim_scenario_unref(&scenario);
    return err;
}

struct sim_scenario *sim_scenario_ref(struct sim_scenario *scenario)
{
    scenario->refs++;
    return scenario;
}

void sim_scenario_unref(struct sim_scenario **scenario)
{
    struct sim_scenario *s = *scenario;

    *scenario = NULL;
    if (!s || --s->refs)
        return;
    for (size_t i = 0; i < s->key_count; i++) {
        mem_free(s->keys[i].name);
        sim_behaviour_unref(&s->keys[i].behaviour);
    }
    mem_free(s->keys);
    mem_free(s->accounts);
    mem_free(s->models);
    sim_behaviour_unref(&s->issuing.new_keys);
    sim_behaviour_unref(&s->defaults);
    mem_free(s);
}

int sim_scenario_read_key(const char *name, struct span text, double time_scale,
                          const struct sim_behaviour *base, struct buf *complaints,
                          struct sim_behaviour **ret_behaviour)
{
    struct sim_behaviour *behaviour = sim_behaviour_copy(base);
    struct sim_reader reader = {0};
    int err = ERR_NOMEM;

    if (!behaviour)
        return ERR_NOMEM;
    err = sim_reader_open(&reader, name, text, complaints);
    if (err)
        goto out;
    reader.time_scale = time_scale;
    sim_behaviour_read(&reader, sim_reader_root(&reader), behaviour);
    err = sim_reader_result(&reader);
    if (!err) {
        *ret_behaviour = behaviour;
        behaviour = NULL;
    }
out:
    sim_reader_close(&reader);
    sim_behaviour_unref(&behaviour);
    return err;
}

int sim_scenario_read_issuing(const char *name, struct span text,
                              const struct sim_scenario *scenario,
                              const struct sim_issuing_rules *base, struct buf *complaints,
                              struct sim_issuing_rules *ret_rules)
{
    struct sim_issuing_rules rules = *base;
    struct sim_reader reader = {0};
    int err = sim_reader_open(&reader, name, text, complaints);

    if (rules.new_keys)
        sim_behaviour_ref(rules.new_keys);
    if (!err) {
        reader.time_scale = scenario->time_scale;
        sim_issuing_read(&reader, sim_reader_root(&reader), scenario->defaults, &rules);
        err = sim_reader_result(&reader);
    }
    sim_reader_close(&reader);
    if (err)
        sim_behaviour_unref(&rules.new_keys);
    else
        *ret_rules = rules;
    return err;
}
