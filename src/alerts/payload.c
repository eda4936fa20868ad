#include "alerts/payload.h"

#include <string.h>

#include "base/datetime.h"
#include "json/write.h"

enum {
    LINE_MAX_BYTES = 2048, /* unescaped; more than any line needs */
    HEAD_MAX_BYTES = 256,
    TAIL_MAX_BYTES = 128, /* what stands behind the lines: two numbers and their words */
    TIME_AT = 11,         /* 2026-11-20T10:15:00.123Z */
    TIME_BYTES = 8,
};

#define CUT "..."

/* ---- Slack ---- */

/* What Slack wants in place of a byte; empty: the byte. */
static struct span escape(char c)
{
    switch (c) {
    case '&':
        return SPAN("&amp;");
    case '<':
        return SPAN("&lt;");
    case '>':
        return SPAN("&gt;");
    default:
        return SPAN("");
    }
}

/* How much of the text fits into max bytes once it is escaped. */
static size_t fit_escaped(struct span text, size_t max)
{
    size_t at = 0;

    for (size_t used = 0; at < text.len; at++) {
        size_t len = escape(text.ptr[at]).len;

        used += len ? len : 1;
        if (used > max)
            break;
    }
    return alert_fit(text, at);
}

/* Appends the text escaped, in max bytes at most. */
static void put_escaped(struct buf *out, struct span text, size_t max)
{
    size_t len = fit_escaped(text, max);
    bool is_cut = len < text.len;

    if (is_cut)
        len = fit_escaped(text, max - strlen(CUT));
    for (size_t i = 0; i < len; i++) {
        struct span escaped = escape(text.ptr[i]);

        if (escaped.len)
            buf_append_span(out, escaped);
        else
            buf_append_byte(out, text.ptr[i]);
    }
    if (is_cut)
        buf_append_span(out, SPAN(CUT));
}

static void put_time(struct buf *out, uint64_t wall_us)
{
    char text[RFC3339_BYTES];

    datetime_write_rfc3339(wall_us, text);
    buf_append(out, text + TIME_AT, TIME_BYTES);
}

static const char *capitals(enum alert_severity severity)
{
    switch (severity) {
    case ALERT_INFO:
        return "INFO";
    case ALERT_WARNING:
        return "WARNING";
    case ALERT_ERROR:
        return "ERROR";
    case ALERT_CRITICAL:
        return "CRITICAL";
    }
    return "";
}

static void put_moment(struct buf *out, const char *before, const struct alert_moment *moment)
{
    if (!moment->key[0] && !moment->reason[0])
        return;
    buf_printf(out, "%s%s%s%s", before, moment->key,
               moment->key[0] && moment->reason[0] ? ": " : "", moment->reason);
}

static bool is_same(const struct alert_moment *a, const struct alert_moment *b)
{
    return !strcmp(a->key, b->key) && !strcmp(a->reason, b->reason);
}

/* ", 37 times from 10:15:00 to 10:16:30 UTC"; of what is over, how it had been until then. */
static void put_count(struct buf *out, const struct alert_line *line)
{
    unsigned long long count = line->count;

    if (line->is_over && count) {
        buf_printf(out, count == 1 ? ", after %llu alert from " : ", after %llu alerts from ",
                   count);
    } else if (count > 1) {
        buf_printf(out, ", %llu times from ", count);
    } else {
        return;
    }
    put_time(out, line->first.wall_us);
    buf_append_span(out, SPAN(" to "));
    put_time(out, line->last.wall_us);
    buf_append_span(out, SPAN(" UTC"));
}

/* "; first: key-1: refused; last: key-9: refused" */
static void put_moments(struct buf *out, const struct alert_line *line)
{
    if (line->count + line->overs < 2 || is_same(&line->first, &line->last)) {
        put_moment(out, ": ", &line->last);
        return;
    }
    put_moment(out, "; first: ", &line->first);
    put_moment(out, "; last: ", &line->last);
}

/* "ERROR store_unreachable (openai): the secret store cannot be reached: sealed" */
static void put_line(struct buf *out, const struct alert_line *line)
{
    const struct alert_row *row = alert_row(line->kind);

    buf_printf(out, "%s %s", line->is_over ? "OVER" : capitals(row->severity), row->name);
    if (line->provider[0])
        buf_printf(out, " (%s)", line->provider);
    buf_printf(out, ": %s", line->is_over ? row->over : row->text);
    put_count(out, line);
    put_moments(out, line);
}

static void put_head(struct buf *out, const struct alert_message *message,
                     const struct alert_sender *sender)
{
    unsigned long long total = message->total;

    buf_append_span(out, SPAN("Bellwether"));
    if (sender->instance.len)
        buf_printf(out, " %.*s", (int)alert_fit(sender->instance, ALERT_NAME_BYTES),
                   sender->instance.ptr);
    buf_printf(out, total == 1 ? ": %llu alert" : ": %llu alerts", total);
}

static void put_tail(struct buf *out, const struct alert_message *message,
                     const struct alert_sender *sender)
{
    if (message->more)
        buf_printf(out, "\nand %llu more", (unsigned long long)message->more);
    if (sender->missed)
        buf_printf(out, "\n%llu earlier alerts could not be sent here",
                   (unsigned long long)sender->missed);
}

/* The whole text, escaped; `line` is room to write one in. */
static void put_text(struct buf *out, const struct alert_message *message,
                     const struct alert_sender *sender, struct buf *line)
{
    put_head(line, message, sender);
    put_escaped(out, buf_span(line), HEAD_MAX_BYTES);
    for (size_t i = 0; i < message->line_count; i++) {
        /* What short lines leave is for those behind them. */
        size_t room = ALERT_SLACK_TEXT_BYTES - TAIL_MAX_BYTES - out->len;

        buf_clear(line);
        put_line(line, &message->lines[i]);
        buf_append_byte(out, '\n');
        put_escaped(out, buf_span(line), room / (message->line_count - i) - 1);
    }
    put_tail(out, message, sender);
    if (line->err)
        buf_fail(out, line->err);
}

int alert_write_slack(struct buf *out, const struct alert_message *message,
                      const struct alert_sender *sender)
{
    struct json_writer writer;
    struct buf text, line;

    buf_init(&text, ALERT_SLACK_TEXT_BYTES);
    buf_init(&line, LINE_MAX_BYTES);
    put_text(&text, message, sender, &line);
    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_string(&writer, "text", buf_span(&text));
    json_end_object(&writer);
    if (text.err)
        buf_fail(out, text.err);
    buf_fini(&text);
    buf_fini(&line);
    return out->err;
}

/* ---- JSON ---- */

static void member_text(struct json_writer *writer, const char *name, const char *text)
{
    json_member_text(writer, name, text[0] ? text : NULL);
}

static void member_time(struct json_writer *writer, const char *name, uint64_t wall_us)
{
    char text[RFC3339_BYTES];

    datetime_write_rfc3339(wall_us, text);
    json_member_string(writer, name, span_of(text, sizeof(text)));
}

static void write_moment(struct json_writer *writer, const struct alert_moment *moment)
{
    member_text(writer, "key", moment->key);
    member_text(writer, "reason", moment->reason);
    member_time(writer, "at", moment->wall_us);
}

static void write_line(struct json_writer *writer, const struct alert_line *line)
{
    const struct alert_row *row = alert_row(line->kind);

    json_begin_object(writer);
    json_member_text(writer, "kind", row->name);
    json_member_text(writer, "severity", alert_severity_text(row->severity));
    json_member_text(writer, "state", line->is_over ? "over" : "firing");
    json_member_text(writer, "text", line->is_over ? row->over : row->text);
    member_text(writer, "provider", line->provider);
    write_moment(writer, &line->last);
    json_member_uint(writer, "count", line->count);
    if (line->count + line->overs > 1) {
        json_name(writer, "first");
        json_begin_object(writer);
        write_moment(writer, &line->first);
        json_end_object(writer);
    }
    json_end_object(writer);
}

int alert_write_json(struct buf *out, const struct alert_message *message,
                     const struct alert_sender *sender)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    if (sender->instance.len)
        json_member_string(&writer, "instance", sender->instance);
    else
        json_member_null(&writer, "instance");
    member_time(&writer, "sent_at", sender->wall_us);
    json_name(&writer, "alerts");
    json_begin_array(&writer);
    for (size_t i = 0; i < message->line_count; i++)
        write_line(&writer, &message->lines[i]);
    json_end_array(&writer);
    json_member_uint(&writer, "more", message->more);
    json_member_uint(&writer, "missed", sender->missed);
    json_end_object(&writer);
    return out->err;
}
