/* Of GET /v1/admin/rotations: the keys that rotation has to do with now, in no order. */
#include "admin/lookup_inner.h"
#include "base/clock.h"

static void put_text(struct json_writer *writer, const char *name, const char *text)
{
    if (text[0])
        json_member_text(writer, name, text);
    else
        json_member_null(writer, name);
}

static void put_canary(struct json_writer *writer, const struct rotation *rotation,
                       const struct life_key *key)
{
    const struct canary *canary = rotation_canary(rotation);

    if (key->step != LIFE_CANARY || !canary)
        return;
    json_member_uint(writer, "canary_step", canary->ramp.step + 1);
    json_member_double(writer, "share", rotation_share_ppm(rotation) / 1e6);
    json_member_uint(writer, "canary_requests", canary->evidence.canary.requests);
    json_member_uint(writer, "canary_failures", canary->evidence.canary.failures);
}

/* That of its step; else what it waits for. */
static void put_reason(struct json_writer *writer, const struct rotation *rotation,
                       const struct life_key *key)
{
    char text[CANARY_EXPLAIN_BYTES] = "";

    if (!key->reason[0])
        rotation_explain(rotation, key, text);
    put_text(writer, "reason", key->reason[0] ? key->reason : text);
}

static void put_key(struct json_writer *writer, struct span provider,
                    const struct rotation *rotation, const struct life_key *key)
{
    json_begin_object(writer);
    json_member_string(writer, "provider", provider);
    json_member_text(writer, "name", key->name);
    json_member_uint(writer, "rotation", key->rotation);
    page_put_rotation_id(writer, provider, key->rotation);
    json_member_text(writer, "step", life_step_text(key->step));
    page_put_time(writer, "since", key->since_wall_us);
    put_text(writer, "replaces", key->replaces);
    json_member_text(writer, "trigger", life_trigger_text(key->trigger));
    put_reason(writer, rotation, key);
    page_put_time(writer, "created", key->created_wall_us);
    page_put_time(writer, "expires", key->expires_wall_us);
    page_put_time(writer, "revoked_from", key->step == LIFE_RETIRED ? key->until_wall_us : 0);
    put_canary(writer, rotation, key);
    json_end_object(writer);
}

void page_put_rotations(const struct page_view *view, struct span wanted,
                        struct json_writer *writer)
{
    json_name(writer, "rotations");
    json_begin_array(writer);
    for (size_t i = 0; i < view->snapshot->provider_count; i++) {
        struct span provider = provider_name(view->snapshot->providers[i].provider);
        const struct rotation *rotation = view->admin->rotation(view->admin->owner, provider);
        const struct life *life = rotation ? rotation_life(rotation) : NULL;

        if (wanted.len && !span_is_equal(wanted, provider))
            continue;
        for (uint32_t k = 0; life && k < life->count; k++)
            put_key(writer, provider, rotation, &life->keys[k]);
    }
    json_end_array(writer);
}
