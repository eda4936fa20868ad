/* Anthropic's wire format: what depends on the model, and what parameters do to each other. */
#include "sim/anthropic.h"

#include "base/err.h"
#include "json/tree.h"
#include "sim/request.h"

enum { MIN_BUDGET = 1024 };

/* The number at the front of *rest, with the dash behind it: false where there is none of at most
 * two digits, for eight are a date. */
static bool take_number(struct span *rest, unsigned *ret_number)
{
    struct span digits = *rest;
    size_t dash = span_find_byte(*rest, '-');
    uint64_t number;

    if (dash != SIZE_MAX)
        digits.len = dash;
    if (digits.len > 2 || span_to_u64(digits, &number))
        return false;
    *rest = span_skip(*rest, dash == SIZE_MAX ? rest->len : dash + 1);
    *ret_number = (unsigned)number;
    return true;
}

/* claude-opus-4-7, claude-3-5-sonnet-20241022, claude-sonnet-4-20250514: 47, 35, 40. *ret_family is
 * the word; 0 where the name is not built so. */
static unsigned version_of(struct span model, struct span *ret_family)
{
    unsigned major, minor = 0;
    size_t dash;

    *ret_family = SPAN("");
    if (!span_has_prefix(model, SPAN("claude-")))
        return 0;
    model = span_skip(model, sizeof("claude-") - 1);
    dash = span_find_byte(model, '-');
    if (dash != SIZE_MAX && (model.ptr[0] < '0' || model.ptr[0] > '9')) {
        *ret_family = span_of(model.ptr, dash);
        model = span_skip(model, dash + 1);
    }
    if (!take_number(&model, &major))
        return 0;
    if (!take_number(&model, &minor))
        minor = 0;
    return 10 * major + minor;
}

struct sim_anthropic_rules sim_anthropic_rules_of(struct span model)
{
    struct span family;
    unsigned version = version_of(model, &family);
    bool is_opus = span_is_equal(family, SPAN("opus"));
    bool is_fable = span_is_equal(family, SPAN("fable"));
    bool is_mythos = span_is_equal(family, SPAN("mythos"));

    return (struct sim_anthropic_rules){
        .has_no_sampling = version >= 47,
        .has_no_budget = version >= 47,
        .has_no_adaptive = version > 0 && version <= 45,
        .is_always_thinking = (is_opus && version >= 55) || (is_fable && version >= 51),
        .has_no_force = (is_opus && version >= 55) || ((is_fable || is_mythos) && version >= 51),
        .has_no_prefill = version >= 46,
    };
}

/* A number within bounds, or absent: 0 or a refusal. */
static int check_range(struct sim_request *in, const char *name, double max)
{
    yyjson_val *value = sim_request_member(in, name);

    if (value &&
        (!yyjson_is_num(value) || yyjson_get_num(value) < 0 || yyjson_get_num(value) > max))
        return sim_refuse_with(in, span_from_text(name), "Input should be between 0 and %g", max);
    return 0;
}

/* At its default a value is as good as absent. */
static bool is_sampled(struct sim_request *in, const char *name)
{
    yyjson_val *value = sim_request_member(in, name);

    return value && (yyjson_get_num(value) != 1 || !strcmp(name, "top_k"));
}

int sim_anthropic_check_sampling(struct sim_request *in)
{
    static const char *const names[] = {"temperature", "top_p", "top_k"};
    struct sim_anthropic_rules rules = sim_anthropic_rules_of(in->ask->model);
    bool is_budgeted = span_is_equal(json_tree_string(yyjson_obj_get(in->root, "thinking"), "type"),
                                     SPAN("enabled"));
    int err = check_range(in, "temperature", 1);

    if (!err)
        err = check_range(in, "top_p", 1);
    if (!err)
        err = check_range(in, "top_k", UINT32_MAX);
    for (size_t i = 0; !err && i < sizeof(names) / sizeof(names[0]); i++) {
        struct span name = span_from_text(names[i]);

        if (in->route->form == SIM_ANTHROPIC_2026 && yyjson_obj_get(in->root, names[i]))
            err = sim_refuse(in, name, "Extra inputs are not permitted");
        else if (rules.has_no_sampling && is_sampled(in, names[i]))
            err = sim_refuse_with(in, SPAN(""), "`%s` is deprecated for this model.", names[i]);
        else if (is_budgeted && i != 1 && is_sampled(in, names[i]))
            err = sim_refuse_with(in, SPAN(""),
                                  "`%s` may only be left at its default when thinking is enabled.",
                                  names[i]);
    }
    return err;
}

static int check_budget(struct sim_request *in, yyjson_val *thinking)
{
    yyjson_val *budget = yyjson_obj_get(thinking, "budget_tokens");

    if (!yyjson_is_uint(budget))
        return sim_refuse(in, SPAN("thinking.enabled.budget_tokens"), "Field required");
    if (yyjson_get_uint(budget) < MIN_BUDGET)
        return sim_refuse(in, SPAN("thinking.enabled.budget_tokens"),
                          "Input should be greater than or equal to 1024");
    if (in->route->op == SIM_OP_CHAT && yyjson_get_uint(budget) >= in->ask->max_tokens)
        return sim_refuse(in, SPAN(""),
                          "`max_tokens` must be greater than `thinking.budget_tokens`.");
    return 0;
}

int sim_anthropic_read_thinking(struct sim_request *in)
{
    struct sim_anthropic_rules rules = sim_anthropic_rules_of(in->ask->model);
    yyjson_val *thinking = sim_request_member(in, "thinking");
    struct span type = json_tree_string(thinking, "type");

    in->ask->is_thinking = rules.is_always_thinking;
    if (!thinking)
        return 0;
    if (span_is_equal(type, SPAN("disabled")) || span_is_equal(type, SPAN("between_tools")))
        return rules.is_always_thinking && span_is_equal(type, SPAN("disabled"))
                   ? sim_refuse(in, SPAN("thinking.type"),
                                "thinking cannot be disabled for this model")
                   : 0;
    in->ask->is_thinking = true;
    if (span_is_equal(type, SPAN("adaptive")))
        return rules.has_no_adaptive
                   ? sim_refuse(in, SPAN("thinking"),
                                "adaptive thinking is not supported on this model")
                   : 0;
    if (!span_is_equal(type, SPAN("enabled")))
        return sim_refuse(in, SPAN("thinking"),
                          "Input tag does not match any of the expected tags: 'adaptive', "
                          "'between_tools', 'disabled', 'enabled'");
    if (rules.has_no_budget)
        return sim_refuse(in, SPAN(""),
                          "\"thinking.type.enabled\" is not supported for this model. Use "
                          "\"thinking.type.adaptive\" and \"output_config.effort\" to control "
                          "thinking behavior.");
    return check_budget(in, thinking);
}
