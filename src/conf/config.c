#include "conf/config.h"

#include "base/alloc.h"
#include "conf/loading.h"

void config_free(struct config **config)
{
    struct config_box *box = (struct config_box *)(void *)*config;

    if (!box)
        return;
    for (size_t i = 0; i < box->secret_count; i++)
        secret_unref(&box->secrets[i]);
    mem_free(box->secrets);
    map_fini(&box->config.provider_by_name);
    map_fini(&box->config.model_by_name);
    arena_fini(&box->arena);
    arena_pool_fini(&box->pool);
    mem_free(box);
    *config = NULL;
}

const struct conf_provider *config_find_provider(const struct config *config, struct span name)
{
    return map_find(&config->provider_by_name, name);
}

const struct conf_model *config_find_model(const struct config *config, struct span name)
{
    return map_find(&config->model_by_name, name);
}

bool conf_strings_match(const struct conf_strings *patterns, struct span name)
{
    for (size_t i = 0; i < patterns->count; i++) {
        if (span_matches(name, patterns->items[i]))
            return true;
    }
    return patterns->count == 0;
}

static bool are_same_addresses(const struct conf_addresses *a, const struct conf_addresses *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        if (!span_is_equal(a->items[i].text, b->items[i].text))
            return false;
    }
    return true;
}

bool config_needs_restart(const struct config *from, const struct config *to, const char **ret_what)
{
    if (!are_same_addresses(&from->server.listen, &to->server.listen))
        *ret_what = "server.listen";
    else if (from->server.workers != to->server.workers)
        *ret_what = "server.workers";
    else if ((from->server.tls.certificate.len > 0) != (to->server.tls.certificate.len > 0))
        *ret_what = "server.tls";
    else if (!are_same_addresses(&from->admin.listen, &to->admin.listen))
        *ret_what = "admin.listen";
    else
        return false;
    return true;
}
