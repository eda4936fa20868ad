/* Limits of keys for one model, in a map by the model's name. */
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/names.h"

/* What stands before a target's slash is no part of the model's name, and a limit that no model has
 * would be passed unseen. OpenRouter has models that are called after itself. */
static void warn_of_provider(struct loading *loading, struct span name, struct conf_mark mark)
{
    const struct conf_provider *provider = loading->provider;
    size_t slash = span_find_byte(name, '/');

    if (slash == SIZE_MAX || provider->kind == PROVIDER_OPENROUTER ||
        !span_is_equal(span_of(name.ptr, slash), provider->name))
        return;
    loading_warning(loading, mark,
                    "a model is named as the provider has it, and this one begins with the "
                    "provider's own name; allowed: the name without '%.*s/'",
                    SPAN_ARG(provider->name));
}

/* A model's name cannot be given twice: no map has a name twice. */
void hook_limits_of_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                            void *object)
{
    struct conf_limits_of *of = object;

    if (!conf_model_is_valid(name))
        loading_error(loading, mark, "this is no name of a model; allowed: " CONF_MODEL_ALLOWED);
    else if (!conf_model_is_full(name))
        loading_error(loading, mark,
                      "a pattern; allowed: a model's name in full, as the provider has it");
    else
        warn_of_provider(loading, name, mark);
    of->model = loading_keep(loading, name);
}

/* A key's own entry is in the place of its provider's: one that says nothing would do away with
 * those limits, which nobody expects of it. */
void hook_limits_of_finish(struct loading *loading, const struct yaml_node *node,
                           struct conf_mark mark, void *object)
{
    const struct conf_limits *limits = &((const struct conf_limits_of *)object)->limits;

    (void)node;
    if (loading->is_sound && !limits->rpm && !limits->tpm && !limits->concurrent)
        loading_error(loading, mark,
                      "there is no limit; allowed: at least one of rpm, tpm, concurrent");
}

struct span hook_limits_of_name(const void *object)
{
    return ((const struct conf_limits_of *)object)->model;
}
