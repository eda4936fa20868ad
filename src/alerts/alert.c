#include "alerts/alert.h"

const struct alert_row *alert_row(enum alert_kind kind)
{
    static const struct alert_row rows[ALERT_KINDS] = {
#define ALERT(symbol, name, severity, text, over)                                                  \
    [ALERT_##symbol] = {name, ALERT_##severity, text, over},
#include "tables/alerts.def"
#undef ALERT
    };

    return &rows[kind];
}

const char *alert_severity_text(enum alert_severity severity)
{
    switch (severity) {
    case ALERT_INFO:
        return "info";
    case ALERT_WARNING:
        return "warning";
    case ALERT_ERROR:
        return "error";
    case ALERT_CRITICAL:
        return "critical";
    }
    return "";
}

size_t alert_fit(struct span text, size_t max)
{
    size_t len = text.len < max ? text.len : max;

    /* Continuation bytes belong to the character before them. */
    while (len && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80)
        len--;
    return len;
}

void alert_copy(char *out, size_t cap, struct span text)
{
    size_t len = alert_fit(text, cap - 1);

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        out[i] = c < ' ' || c == 0x7f ? ' ' : text.ptr[i];
    }
    out[len] = '\0';
}
