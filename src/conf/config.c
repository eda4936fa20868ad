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
    for (size_t i = 0; i < box->zone_count; i++)
        zone_free(&box->zones[i]);
    mem_free(box->zones);
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

bool conf_secrets_has(const struct conf_secrets *secrets, enum conf_store_kind kind)
{
    switch (kind) {
    case CONF_STORE_SEALED:
    case CONF_STORE_FOLDER:
        return true;
    case CONF_STORE_VAULT:
        return secrets->vault != NULL;
    case CONF_STORE_AWS:
        return secrets->aws != NULL;
    case CONF_STORE_GOOGLE:
        return secrets->google != NULL;
    case CONF_STORE_AZURE:
        return secrets->azure != NULL;
    case CONF_STORE_KUBERNETES:
        return secrets->kubernetes != NULL;
    case CONF_STORE_KINDS:
        break;
    }
    return false;
}

struct span conf_secrets_created_by(const struct conf_secrets *secrets, enum conf_store_kind kind)
{
    return kind == CONF_STORE_VAULT && secrets->vault ? secrets->vault->created_by
                                                      : SPAN("bellwether");
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

size_t config_needs_restart(const struct config *from, const struct config *to,
                            const char *ret_names[CONFIG_RESTART_SETTINGS])
{
    const struct conf_server *a = &from->server, *b = &to->server;
    const struct {
        const char *name;
        bool is_changed;
    } settings[CONFIG_RESTART_SETTINGS] = {
        {"server.listen", !are_same_addresses(&a->listen, &b->listen)},
        {"server.workers", a->workers != b->workers},
        {"server.max_connections", a->max_connections != b->max_connections},
        /* A renewed certificate is taken over; whether there is one is not. */
        {"server.tls", (a->tls.certificate.len > 0) != (b->tls.certificate.len > 0)},
        {"secrets.seal_key", !span_is_equal(from->secrets.seal_key, to->secrets.seal_key)},
        {"store", !span_is_equal(from->store.path, to->store.path)},
        {"admin.listen", !are_same_addresses(&from->admin.listen, &to->admin.listen)},
    };
    size_t count = 0;

    for (size_t i = 0; i < CONFIG_RESTART_SETTINGS; i++) {
        if (settings[i].is_changed)
            ret_names[count++] = settings[i].name;
    }
    return count;
}
