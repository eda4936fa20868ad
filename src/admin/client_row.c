#include "admin/client_row.h"

#include <string.h>

_Static_assert((int)CLIENT_KEYS_MAX == (int)ISSUED_MAX, "what is kept can be known");
_Static_assert((int)STORE_IDENTITY_BYTES == (int)CONF_SHA256_BYTES, "both are SHA-256");

struct client_key_row client_row_of(const struct issued_client *client)
{
    const struct issued_facts *facts = &client->facts;
    struct client_key_row row = {
        .id = facts->id,
        .name = facts->name,
        .class_name = client->client.class_name,
        .models = facts->models.items,
        .model_count = facts->models.count,
        .rpm = facts->limits.rpm,
        .tpm = facts->limits.tpm,
        .concurrent = facts->limits.concurrent,
        .burst = facts->limits.burst,
        .created_wall_us = facts->created_wall_us,
        .expires_wall_us = facts->expires_wall_us,
        .revoked_wall_us = facts->revoked_wall_us,
    };

    memcpy(row.sha256, facts->sha256, sizeof(row.sha256));
    return row;
}

struct issued_facts client_row_facts(const struct client_key_row *row)
{
    struct issued_facts facts = {
        .id = row->id,
        .name = row->name,
        .class_name = row->class_name,
        .models = {(struct span *)(uintptr_t)row->models, row->model_count},
        .limits = {.rpm = (uint32_t)row->rpm,
                   .tpm = row->tpm,
                   .concurrent = (uint32_t)row->concurrent,
                   .burst = (uint32_t)row->burst},
        .created_wall_us = row->created_wall_us,
        .expires_wall_us = row->expires_wall_us,
        .revoked_wall_us = row->revoked_wall_us,
    };

    memcpy(facts.sha256, row->sha256, sizeof(facts.sha256));
    return facts;
}
