/* The journal: what happens is noted where it is seen, and told to whoever reads the stream of
 * events; some of it is worth an alert. */
#include "server/gateway_inner.h"

#include "base/err.h"

enum { JOURNAL_RECORDS = 1024 };

/* ---- noting ---- */

void gateway_note(struct gateway *gateway, enum event_kind kind, const char *state,
                  const char *reason)
{
    const struct happening happening = {.kind = kind,
                                        .state = span_from_text(state),
                                        .reason = span_from_text(reason),
                                        .wall_us = loop_wall_us(gateway->loop)};

    journal_note(gateway->registry.journal, &happening);
}

/* What was so before this process began is no promotion and no rollback of now. */
static enum event_kind kind_of(const struct rotation_news *news)
{
    enum life_step step = news->key->step;

    if (news->from < LIFE_ACTIVE && step == LIFE_ACTIVE)
        return EVENT_PROMOTION;
    if (news->from != LIFE_STEPS && step == LIFE_ROLLED_BACK)
        return EVENT_ROLLBACK;
    return EVENT_ROTATION;
}

void gateway_note_rotation(void *owner, struct span provider, const struct rotation_news *news)
{
    struct gateway *gateway = owner;
    const struct life_key *key = news->key;
    const struct happening happening = {
        .kind = kind_of(news),
        .provider = provider,
        .key = span_from_text(key->name),
        .state = span_from_text(life_step_text(key->step)),
        .reason = span_from_text(key->reason),
        .replaces = span_from_text(key->replaces),
        .rotation = key->rotation,
        .wall_us = loop_wall_us(gateway->loop),
    };

    journal_note(gateway->registry.journal, &happening);
}

/* ---- hearing of it ---- */

/* One that an operator or a rotation has taken out of use may well be refused. */
static bool is_in_use(const struct gateway *gateway, const struct journal_record *record)
{
    struct span name = span_from_text(record->provider);
    struct key *key = NULL;
    bool is_enabled;

    for (size_t i = 0; i < gateway->snapshot->provider_count && !key; i++) {
        struct provider *provider = gateway->snapshot->providers[i].provider;

        if (span_is_equal(provider_name(provider), name))
            key = keypool_find_key(provider_keys(provider), span_from_text(record->key));
    }
    is_enabled = key && key_wish(key) == KEY_ENABLED;
    key_unref(&key);
    return is_enabled;
}

static void look_at_key(struct gateway *gateway, const struct journal_record *record)
{
    struct span state = span_from_text(record->state);
    bool is_refused = span_is_equal(state, span_from_text(key_health_text(KEY_INVALID))) ||
                      span_is_equal(state, span_from_text(key_health_text(KEY_FORBIDDEN)));
    const struct alert alert = {.kind = ALERT_KEY_INVALID,
                                .provider = span_from_text(record->provider),
                                .key = span_from_text(record->key),
                                .reason = span_from_text(record->reason),
                                .wall_us = record->wall_us};

    if (is_refused && record->was_used && is_in_use(gateway, record))
        gateway_alert(gateway, &alert);
}

static void on_news(void *owner)
{
    struct gateway *gateway = owner;
    struct journal_record record;
    int64_t missed;

    while (journal_next(gateway->registry.journal, gateway->heard, &record, &missed)) {
        gateway->heard = record.id;
        if (record.kind == EVENT_KEY_STATE)
            look_at_key(gateway, &record);
    }
    if (gateway->admin)
        admin_tell_events(gateway->admin);
}

/* ---- its life ---- */

int gateway_open_journal(struct gateway *gateway)
{
    struct journal *journal = journal_new(JOURNAL_RECORDS, loop_wall_us(gateway->loop));

    if (!journal)
        return ERR_NOMEM;
    gateway->registry.journal = journal;
    gateway->heard = journal_last(journal);
    journal_listen(journal, gateway->loop, on_news, gateway);
    return 0;
}

void gateway_silence_journal(struct gateway *gateway)
{
    if (gateway->has_registry && gateway->registry.journal)
        journal_listen(gateway->registry.journal, gateway->loop, NULL, NULL);
}
