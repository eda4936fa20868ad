#include "route/own_names.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/map.h"

enum { OWN_NAMES_MAX = 1 << 20 };

/* What one provider's keys are declared for. */
struct own_provider {
    bool serves_all;   /* a key without patterns, or no keys at all */
    struct span *wild; /* distinct patterns with '*' */
    size_t wild_count;
    enum provider_kind kind;
};

/* A name that some keys are declared for, letter by letter. */
struct own_exact {
    struct span model;
    struct own_exact *next; /* of another provider, further down in the file */
    uint32_t provider;
};

struct own_names {
    struct own_provider *providers;
    uint32_t count;
    struct own_exact *exacts;
    size_t exact_count;
    struct map by_name; /* the first struct own_exact of each name */
};

/* ---- what kinds are known for ---- */

struct known_name {
    enum provider_kind kind;
    struct span pattern;
};

static const struct known_name known_names[] = {
    {PROVIDER_OPENAI, {"gpt-*", 5}},
    {PROVIDER_OPENAI, {"chatgpt-*", 9}},
    {PROVIDER_OPENAI, {"o1*", 3}},
    {PROVIDER_OPENAI, {"o3*", 3}},
    {PROVIDER_OPENAI, {"o4*", 3}},
    {PROVIDER_OPENAI, {"codex-*", 7}},
    {PROVIDER_OPENAI, {"davinci-*", 9}},
    {PROVIDER_OPENAI, {"babbage-*", 9}},
    {PROVIDER_OPENAI, {"ft:*", 4}},
    {PROVIDER_OPENAI, {"text-embedding-3-*", 18}},
    {PROVIDER_OPENAI, {"text-embedding-ada-*", 20}},
    {PROVIDER_OPENAI, {"omni-moderation-*", 17}},
    {PROVIDER_DEEPSEEK, {"deepseek-*", 10}},
    {PROVIDER_ANTHROPIC, {"claude-*", 8}},
    {PROVIDER_GEMINI, {"gemini-*", 8}},
    {PROVIDER_GEMINI, {"gemma-*", 7}},
    {PROVIDER_OPENROUTER, {"*/*", 3}},
};

static bool is_known_for(enum provider_kind kind, struct span model)
{
    for (size_t i = 0; i < sizeof(known_names) / sizeof(known_names[0]); i++) {
        if (known_names[i].kind == kind && span_matches(model, known_names[i].pattern))
            return true;
    }
    return false;
}

/* ---- compiling ---- */

static bool is_wild(struct span pattern)
{
    return span_find_byte(pattern, '*') != SIZE_MAX;
}

static int add_exact(struct own_names *names, uint32_t provider, struct span model)
{
    struct own_exact *first = map_find(&names->by_name, model), *exact;

    for (exact = first; exact; exact = exact->next) {
        if (exact->provider == provider)
            return 0;
        if (!exact->next)
            break;
    }
    names->exacts[names->exact_count] = (struct own_exact){.model = model, .provider = provider};
    if (!first)
        return map_add(&names->by_name, model, &names->exacts[names->exact_count++]);
    exact->next = &names->exacts[names->exact_count++];
    return 0;
}

/* Distinct ones alone: keys of a provider mostly carry the same list. */
static int add_pattern(struct own_names *names, struct map *seen, uint32_t at, struct span pattern)
{
    struct own_provider *provider = &names->providers[at];
    int err;

    if (!is_wild(pattern))
        return add_exact(names, at, pattern);
    err = map_add(seen, pattern, provider);
    if (err == ERR_EXISTS)
        return 0;
    if (!err)
        provider->wild[provider->wild_count++] = pattern;
    return err;
}

static size_t count_patterns(const struct conf_provider *conf)
{
    size_t count = 0;

    for (size_t i = 0; i < conf->keys.count; i++)
        count += conf->keys.items[i].models.count;
    return count;
}

static int compile_provider(struct own_names *names, uint32_t at, const struct conf_provider *conf)
{
    struct own_provider *provider = &names->providers[at];
    struct map seen;
    int err = 0;

    provider->kind = conf->kind;
    provider->serves_all = conf->keys.count == 0;
    provider->wild = mem_zalloc(count_patterns(conf) + 1, sizeof(*provider->wild));
    if (!provider->wild)
        return ERR_NOMEM;
    map_init(&seen, OWN_NAMES_MAX);
    for (size_t i = 0; i < conf->keys.count && !err; i++) {
        const struct conf_strings *models = &conf->keys.items[i].models;

        if (models->count == 0)
            provider->serves_all = true;
        for (size_t k = 0; k < models->count && !err; k++)
            err = add_pattern(names, &seen, at, models->items[k]);
    }
    map_fini(&seen);
    return err;
}

int own_names_new(const struct config *config, struct own_names **ret_names)
{
    struct own_names *names = mem_zalloc(1, sizeof(*names));
    size_t patterns = 0;
    int err = 0;

    if (!names)
        return ERR_NOMEM;
    for (size_t i = 0; i < config->providers.count; i++)
        patterns += count_patterns(&config->providers.items[i]);
    map_init(&names->by_name, OWN_NAMES_MAX);
    names->count = (uint32_t)config->providers.count;
    names->providers = mem_zalloc(names->count + 1u, sizeof(*names->providers));
    names->exacts = mem_zalloc(patterns + 1, sizeof(*names->exacts));
    if (!names->providers || !names->exacts)
        err = ERR_NOMEM;
    for (uint32_t i = 0; i < names->count && !err; i++)
        err = compile_provider(names, i, &config->providers.items[i]);
    if (err)
        own_names_free(&names);
    else
        *ret_names = names;
    return err;
}

void own_names_free(struct own_names **place)
{
    struct own_names *names = *place;

    *place = NULL;
    if (!names)
        return;
    for (uint32_t i = 0; names->providers && i < names->count; i++)
        mem_free(names->providers[i].wild);
    map_fini(&names->by_name);
    mem_free(names->providers);
    mem_free(names->exacts);
    mem_free(names);
}

/* ---- asking ---- */

static bool is_declared_for(const struct own_names *names, uint32_t at,
                            const struct own_exact *exact, struct span model)
{
    const struct own_provider *provider = &names->providers[at];

    for (; exact; exact = exact->next) {
        if (exact->provider == at)
            return true;
    }
    for (size_t i = 0; i < provider->wild_count; i++) {
        if (span_matches(model, provider->wild[i]))
            return true;
    }
    return false;
}

size_t own_names_find(const struct own_names *names, struct span model, uint32_t *ret_providers,
                      size_t max)
{
    const struct own_exact *exact = map_find(&names->by_name, model);
    size_t count = 0;

    for (uint32_t i = 0; i < names->count && count < max; i++) {
        if (is_declared_for(names, i, exact, model))
            ret_providers[count++] = i;
    }
    for (uint32_t i = 0, known = count; i < names->count && known == 0 && count < max; i++) {
        if (names->providers[i].serves_all && is_known_for(names->providers[i].kind, model))
            ret_providers[count++] = i;
    }
    for (uint32_t i = 0, known = (uint32_t)count; i < names->count && known == 0 && count < max;
         i++) {
        if (names->providers[i].serves_all)
            ret_providers[count++] = i;
    }
    return count;
}
