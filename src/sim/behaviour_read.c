#include "sim/behaviour_read.h"

#include "base/clock.h"
#include "base/err.h"
#include "sim/ask.h"

enum { MAX_TOKENS = 1 << 20 };

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const uint64_t DAY_US = 86400 * US_PER_SEC;

/* --- limits --- */

static const char *const window_words[] = {"bucket", "sliding", NULL};
static const char *const reset_words[] = {"go",        "seconds", "epoch", "rfc3339",
                                          "http_date", "none",    NULL};
static const char *const retry_words[] = {"seconds", "date", "ms", "both", "none", NULL};

#define AT(member) offsetof(struct sim_limits, member)
static const struct sim_field limit_fields[] = {
    {"rpm", sim_read_u64, AT(rpm), .max = SIM_WINDOW_MAX_LIMIT},
    {"tpm", sim_read_u64, AT(tpm), .max = SIM_WINDOW_MAX_LIMIT},
    {"concurrent", sim_read_u64, AT(concurrent), .max = SIM_WINDOW_MAX_LIMIT},
    {"period", sim_read_duration, AT(period_us)},
    {"window", sim_read_word, AT(window), .words = window_words},
    {"reset", sim_read_word, AT(reset_form), .words = reset_words},
    {"retry_after", sim_read_word, AT(retry_form), .words = retry_words},
};
#undef AT

void sim_limits_read(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                     void *target)
{
    struct sim_limits *limits = target;

    (void)field;
    sim_read_map(reader, node, limit_fields, COUNT_OF(limit_fields), limits);
    if (limits->period_us < 1 || limits->period_us > DAY_US) {
        sim_reader_complain(reader, node, "the period must be above 0 and at most a day");
        limits->period_us = DAY_US;
    }
}

/* --- latency --- */

static void read_fact(struct sim_reader *reader, struct fy_node *node,
                      const struct sim_field *field, void *target)
{
    uint64_t us = 0;

    sim_read_duration(reader, node, field, &us);
    *(double *)target = (double)us;
}

struct latency_words {
    struct sim_latency_facts facts;
    uint64_t max_us, uniform_us[2];
    bool is_uniform;
};

static void read_uniform(struct sim_reader *reader, struct fy_node *node,
                         const struct sim_field *field, void *target)
{
    struct latency_words *words = target;
    struct fy_node *item;
    void *at = NULL;
    int count = 0;

    words->is_uniform = true;
    while (sim_node_is_list(node) && (item = sim_read_item(node, &at))) {
        if (count < 2)
            sim_read_duration(reader, item, field, &words->uniform_us[count]);
        count++;
    }
    if (count != 2 || words->uniform_us[0] > words->uniform_us[1])
        sim_reader_complain(reader, node, "two durations are wanted, the shorter first");
}

#define AT(member) offsetof(struct latency_words, member)
static const struct sim_field latency_fields[] = {
    {"p50", read_fact, AT(facts.p50_us)},   {"mean", read_fact, AT(facts.mean_us)},
    {"p95", read_fact, AT(facts.p95_us)},   {"p99", read_fact, AT(facts.p99_us)},
    {"max", sim_read_duration, AT(max_us)}, {"uniform", read_uniform, 0},
};
#undef AT

static void read_latency(struct sim_reader *reader, struct fy_node *node,
                         const struct sim_field *field, void *target)
{
    struct sim_latency *latency = target;
    struct latency_words words = {0};
    unsigned before = reader->count;
    uint64_t us = 0;

    if (sim_node_is_scalar(node)) {
        sim_read_duration(reader, node, field, &us);
        sim_latency_constant(latency, us);
        return;
    }
    sim_read_map(reader, node, latency_fields, COUNT_OF(latency_fields), &words);
    if (reader->count != before)
        return;
    if (words.is_uniform)
        sim_latency_uniform(latency, words.uniform_us[0], words.uniform_us[1]);
    else if (sim_latency_lognormal(latency, &words.facts))
        sim_reader_complain(reader, node,
                            "no such distribution: two of p50, mean, p95 and p99 are wanted, or "
                            "mean, p95 and p99, that fit together");
    else
        latency->max_us = words.max_us;
}

/* --- faults --- */

static const struct {
    const char *name;
    enum sim_failure_kind kind;
} failure_names[] = {
    {"invalid_api_key", SIM_FAILURE_BAD_KEY},  {"forbidden", SIM_FAILURE_FORBIDDEN},
    {"insufficient_quota", SIM_FAILURE_QUOTA}, {"payment_required", SIM_FAILURE_PAYMENT},
    {"model_not_found", SIM_FAILURE_MODEL},    {"rate_limit", SIM_FAILURE_RATE_REQUESTS},
    {"token_limit", SIM_FAILURE_RATE_TOKENS},  {"slow_down", SIM_FAILURE_SLOW_DOWN},
    {"server_error", SIM_FAILURE_SERVER},      {"overloaded", SIM_FAILURE_OVERLOADED},
    {"context_length", SIM_FAILURE_CONTEXT},   {"low_credit", SIM_FAILURE_CREDIT},
    {"content_filter", SIM_FAILURE_FILTER},
};

/* A number from 400 to 599 or a failure's name: true with the fault's failure set. */
static bool find_failure(struct span text, struct sim_fault *fault)
{
    uint64_t status;

    if (!span_to_u64(text, &status) && status >= 400 && status <= 599) {
        fault->failure = SIM_FAILURE_STATUS;
        fault->status = (int)status;
        return true;
    }
    for (size_t i = 0; i < COUNT_OF(failure_names); i++) {
        if (span_is_equal(text, span_from_text(failure_names[i].name))) {
            fault->failure = failure_names[i].kind;
            return true;
        }
    }
    return false;
}

static bool find_kind(struct span text, struct sim_fault *fault)
{
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++) {
        if (i != SIM_FAULT_STATUS && span_is_equal(text, span_from_text(sim_fault_name(i)))) {
            fault->kind = i;
            return true;
        }
    }
    fault->kind = SIM_FAULT_STATUS;
    return find_failure(text, fault);
}

static void complain_kinds(struct sim_reader *reader, struct fy_node *node, struct span text)
{
    struct buf names;

    buf_init(&names, 4096);
    for (unsigned i = 0; i < SIM_FAULT_COUNT; i++)
        if (i != SIM_FAULT_STATUS)
            buf_printf(&names, "%s, ", sim_fault_name(i));
    for (size_t i = 0; i < COUNT_OF(failure_names); i++)
        buf_printf(&names, "%s, ", failure_names[i].name);
    sim_reader_complain(reader, node, "'%.*s' is no fault; there are %sand the numbers 400 to 599",
                        SPAN_ARG(text), buf_text(&names));
    buf_fini(&names);
}

static void set_fault_defaults(struct sim_fault *fault, double time_scale)
{
    fault->share = 1;
    fault->failure = SIM_FAILURE_SERVER;
    fault->ops = 1u << SIM_OP_CHAT | 1u << SIM_OP_COMPLETION | 1u << SIM_OP_EMBEDDING;
    fault->for_us = (uint64_t)(5e6 / time_scale);
    fault->bytes = 16;
}

/* What only the kind of fault tells. */
static void set_kind_defaults(struct sim_fault *fault, double time_scale)
{
    fault->gap_us = (uint64_t)((fault->kind == SIM_FAULT_QUEUE ? 1e6 : 1e4) / time_scale);
    fault->after = fault->kind == SIM_FAULT_CUT ? 3 : 0;
}

static void read_kind(struct sim_reader *reader, struct fy_node *node,
                      const struct sim_field *field, void *target)
{
    struct span text = sim_read_scalar(reader, node);
    struct sim_fault *fault = target;

    (void)field;
    if (!text.ptr)
        return;
    if (find_kind(text, fault))
        set_kind_defaults(fault, reader->time_scale);
    else
        complain_kinds(reader, node, text);
}

static void read_error(struct sim_reader *reader, struct fy_node *node,
                       const struct sim_field *field, void *target)
{
    struct span text = sim_read_scalar(reader, node);

    (void)field;
    if (text.ptr && !find_failure(text, target))
        complain_kinds(reader, node, text);
}

static unsigned ops_from_text(struct span text)
{
    static const struct {
        const char *name;
        unsigned ops;
    } names[] = {
        {"chat", 1u << SIM_OP_CHAT},
        {"completions", 1u << SIM_OP_COMPLETION},
        {"embeddings", 1u << SIM_OP_EMBEDDING},
        {"count_tokens", 1u << SIM_OP_TOKENS},
        {"models", 1u << SIM_OP_MODELS | 1u << SIM_OP_MODEL},
        {"balance", 1u << SIM_OP_BALANCE},
        {"any", ~0u},
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (span_is_equal(text, span_from_text(names[i].name)))
            return names[i].ops;
    return 0;
}

static void read_ops(struct sim_reader *reader, struct fy_node *node, const struct sim_field *field,
                     void *target)
{
    struct sim_names names = {.count = 0};

    sim_read_names(reader, node, field, &names);
    *(unsigned *)target = 0;
    for (unsigned i = 0; i < names.count; i++) {
        unsigned ops = ops_from_text(sim_name_span(&names.names[i]));

        if (!ops)
            sim_reader_complain(
                reader, node,
                "'%s' is none of chat, completions, embeddings, count_tokens, models, "
                "balance, any",
                names.names[i].text);
        *(unsigned *)target |= ops;
    }
}

static const char *const cut_words[] = {"close", "reset", "end", NULL};
static const char *const when_words[] = {"any", "stream", "plain", NULL};

#define AT(member) offsetof(struct sim_fault, member)
static const struct sim_field fault_fields[] = {
    {"fault", NULL, 0}, /* read before the others, for their defaults hang on it */
    {"error", read_error, 0},
    {"share", sim_read_share, AT(share)},
    {"skip", sim_read_u64, AT(skip), .max = UINT64_MAX},
    {"first", sim_read_u64, AT(first), .max = UINT64_MAX},
    {"every", sim_read_duration, AT(every_us)},
    {"on", read_ops, AT(ops)},
    {"when", sim_read_word, AT(when), .words = when_words},
    {"model", sim_read_name, AT(model)},
    {"for", sim_read_duration, AT(for_us)},
    {"gap", sim_read_duration, AT(gap_us)},
    {"after", sim_read_u64, AT(after), .max = UINT32_MAX},
    {"bytes", sim_read_u64, AT(bytes), .min = 1, .max = UINT32_MAX},
    {"retry_after", sim_read_duration, AT(retry_after_us)},
    {"by", sim_read_word, AT(cut), .words = cut_words},
    {"reason", sim_read_name, AT(reason)},
};
#undef AT

static void read_fault(struct sim_reader *reader, struct fy_node *node, struct sim_fault *fault)
{
    struct fy_node *kind = sim_read_find(node, SPAN("fault"));

    *fault = (struct sim_fault){.kind = SIM_FAULT_STATUS};
    set_fault_defaults(fault, reader->time_scale);
    if (sim_node_is_scalar(node)) {
        read_kind(reader, node, NULL, fault);
        return;
    }
    if (!kind) {
        sim_reader_complain(reader, node,
                            "a fault is wanted here: its name, or a map with 'fault'");
        return;
    }
    read_kind(reader, kind, NULL, fault);
    sim_read_map(reader, node, fault_fields, COUNT_OF(fault_fields), fault);
    if ((fault->kind == SIM_FAULT_EARLY || fault->kind == SIM_FAULT_IGNORE_EXPECT) &&
        (fault->when != SIM_WHEN_ANY || fault->model.text[0]))
        sim_reader_complain(reader, node,
                            "%s comes before the body is known: neither 'when' nor 'model' may "
                            "stand here",
                            sim_fault_name(fault->kind));
}

static void read_faults(struct sim_reader *reader, struct fy_node *node,
                        const struct sim_field *field, void *target)
{
    struct sim_behaviour *behaviour = target;
    struct fy_node *item;
    void *at = NULL;

    (void)field;
    behaviour->fault_count = 0;
    if (sim_node_is_null(node))
        return;
    if (!sim_node_is_list(node)) {
        sim_reader_complain(reader, node, "a list of faults is wanted here");
        return;
    }
    while ((item = sim_read_item(node, &at))) {
        if (behaviour->fault_count == SIM_MAX_FAULTS) {
            sim_reader_complain(reader, item, "too many faults; at most %d", SIM_MAX_FAULTS);
            return;
        }
        read_fault(reader, item, &behaviour->faults[behaviour->fault_count++]);
    }
}

/* --- keys --- */

static const char *const state_words[] = {"valid",  "revoked",   "depleted",
                                          "unpaid", "forbidden", NULL};

#define AT(member) offsetof(struct sim_behaviour, member)
static const struct sim_field behaviour_fields[] = {
    {"state", sim_read_word, AT(state), .words = state_words},
    {"account", sim_read_name, AT(account)},
    {"limits", sim_limits_read, AT(limits)},
    {"latency", read_latency, AT(latency)},
    {"event_gap", sim_read_duration, AT(event_gap_us)},
    {"min_tokens", sim_read_u64, AT(min_tokens), .max = MAX_TOKENS},
    {"tool_calls", sim_read_u64, AT(tool_calls), .min = 1, .max = 16},
    {"bare_calls", sim_read_bool, AT(has_bare_calls)},
    {"tells_usage", sim_read_bool, AT(tells_usage)},
    {"context_tokens", sim_read_u64, AT(context_tokens), .max = UINT32_MAX},
    {"cached_tokens", sim_read_u64, AT(cached_tokens), .max = UINT32_MAX},
    {"models", sim_read_names, AT(models)},
    {"refuse_fields", sim_read_names, AT(refused_fields)},
    {"refuse_status", sim_read_u64, AT(refused_status), .min = 400, .max = 499},
    {"faults", read_faults, 0},
};
#undef AT

void sim_behaviour_read(struct sim_reader *reader, struct fy_node *node,
                        struct sim_behaviour *behaviour)
{
    struct fy_node *limits = sim_read_find(node, SPAN("limits"));

    sim_read_map(reader, node, behaviour_fields, COUNT_OF(behaviour_fields), behaviour);
    if (behaviour->account.text[0] && limits)
        sim_reader_complain(reader, limits,
                            "this key shares the limits of account '%s': they stand under "
                            "'accounts'",
                            behaviour->account.text);
}
