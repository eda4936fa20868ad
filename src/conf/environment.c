/* A configuration without a file: what the environment says, written as the file would say it. */
#include "base/err.h"
#include "conf/loading.h"
#include "conf/provider_kind.h"

#include <stdio.h>

enum { NAME_BYTES = 64 };

static const struct conf_mark nowhere = {0, 0};

static struct span variable(const struct conf_system *system, const char *name)
{
    const char *value = system->variable(system->ctx, name);

    return value ? span_trim(span_from_text(value)) : (struct span){0};
}

/* "30" means seconds there; "30s" is taken too. */
static void write_duration(const struct conf_system *system, const char *name, const char *setting,
                           struct buf *out)
{
    struct span value = variable(system, name);
    uint64_t seconds;

    if (value.len)
        buf_printf(out, "      %s: \"${env:%s}%s\"\n", setting, name,
                   span_to_u64(value, &seconds) ? "" : "s");
}

/* The variables that hold keys of a kind: true where one is set. */
static bool write_keys(const struct conf_system *system, struct span stem, struct buf *out)
{
    static const char *const endings[] = {"_API_KEY", "_API_KEYS", "_KEYS"};
    const char *before = "    keys_from: [";
    char name[NAME_BYTES];

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(name, sizeof(name), "%.*s%s", SPAN_ARG(stem), endings[i]);
        if (!variable(system, name).len)
            continue;
        buf_printf(out, "%s\"${env:%s}\"", before, name);
        before = ", ";
    }
    if (before[0] == ',')
        buf_printf(out, "]\n");
    return before[0] == ',';
}

static bool write_provider(const struct conf_system *system, const struct provider_row *row,
                           struct buf *out)
{
    size_t start = out->len;

    buf_printf(out, "  %.*s:\n", SPAN_ARG(row->name));
    if (!row->environment.len || !write_keys(system, row->environment, out)) {
        out->len = start;
        return false;
    }
    buf_printf(out, "    health:\n");
    write_duration(system, "HEALTH_CHECK_INTERVAL", "probe_interval", out);
    write_duration(system, "COOLDOWN_SECONDS", "cooldown", out);
    return true;
}

/* They may well be meant for other programs: a warning. */
static void warn_of_unbuilt(const struct conf_system *system, struct complaints *complaints)
{
    static const char *const names[] = {"REDIS_URL"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (variable(system, names[i]).len)
            complaint_warning(complaints, nowhere, "%s: not built yet, so it is left alone",
                              names[i]);
    }
}

static void write_alerts(const struct conf_system *system, struct buf *out)
{
    if (variable(system, "ALERT_WEBHOOK").len)
        buf_printf(out, "alerts:\n  webhooks: [\"${env:ALERT_WEBHOOK}\"]\n");
}

int conf_environment_write(const struct conf_system *system, struct complaints *complaints,
                           struct buf *out)
{
    size_t providers = 0;

    if (variable(system, "AVAILABILITY_ZONE").len)
        buf_printf(out, "server: {zone: \"${env:AVAILABILITY_ZONE}\"}\n");
    buf_printf(out, "providers:\n");
    for (int kind = 0; kind < PROVIDER_KINDS; kind++)
        providers += write_provider(system, provider_row((enum provider_kind)kind), out);
    write_alerts(system, out);
    warn_of_unbuilt(system, complaints);
    if (out->err)
        return ERR_NOMEM;
    return providers ? 0 : ERR_NOTFOUND;
}
