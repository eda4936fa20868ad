/* GET /v1/admin/events. */
#include <string.h>

#include "admin/events.h"
#include "admin/page.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "json/write.h"

#define PING_US (15 * US_PER_SEC)

/* What one write takes at most; an event is far shorter than what is left of the buffer then. */
enum { BATCH_BYTES = 64 << 10, BATCH_MAX_BYTES = BATCH_BYTES + (16 << 10) };

struct stream {
    struct http_server_conn *conn; /* NULL: the place is free */
    uint64_t told;                 /* the number of the last event that was looked at */
    char provider[ALERT_NAME_BYTES];
};

struct event_streams {
    struct loop *loop;
    struct journal *journal;
    struct loop_timer timer;
    bool is_ending;
    struct stream streams[EVENT_STREAMS_MAX];
};

/* ---- frames ---- */

static void put_text(struct json_writer *writer, const char *name, const char *text)
{
    if (text[0])
        json_member_text(writer, name, text);
}

static void put_time(struct json_writer *writer, const char *name, uint64_t wall_us)
{
    if (wall_us)
        page_put_time(writer, name, wall_us);
}

/* One line: JSON escapes what would end it. */
static void put_data(struct buf *out, const struct journal_record *record)
{
    struct json_writer writer;

    json_writer_init(&writer, out);
    json_begin_object(&writer);
    json_member_uint(&writer, "id", record->id);
    page_put_time(&writer, "at", record->wall_us);
    put_text(&writer, "provider", record->provider);
    put_text(&writer, "key", record->key);
    put_text(&writer, "endpoint", record->endpoint);
    put_text(&writer, "region", record->region);
    put_text(&writer, "state", record->state);
    put_text(&writer, "reason", record->reason);
    put_text(&writer, "replaces", record->replaces);
    if (record->rotation)
        json_member_uint(&writer, "rotation", record->rotation);
    put_time(&writer, "until", record->until_wall_us);
    if (record->kind == EVENT_ALERT)
        json_member_bool(&writer, "over", record->is_over);
    json_end_object(&writer);
}

static void put_event(struct buf *out, const struct journal_record *record)
{
    buf_printf(out, "event: %s\nid: %llu\ndata: ", event_kind_text(record->kind),
               (unsigned long long)record->id);
    put_data(out, record);
    buf_printf(out, "\n\n");
}

static void put_missed(struct buf *out, int64_t missed)
{
    if (missed == JOURNAL_MISSED_UNKNOWN)
        buf_printf(out, "event: missed\ndata: {\"count\":null}\n\n");
    else if (missed > 0)
        buf_printf(out, "event: missed\ndata: {\"count\":%lld}\n\n", (long long)missed);
}

/* ---- telling ---- */

static bool concerns(const struct stream *stream, const struct journal_record *record)
{
    return !stream->provider[0] || !strcmp(stream->provider, record->provider);
}

/* As much as one write takes: false where there was nothing more. */
static bool gather(struct event_streams *streams, struct stream *stream, struct buf *out)
{
    struct journal_record record;
    int64_t missed;

    while (out->len < BATCH_BYTES) {
        if (!journal_next(streams->journal, stream->told, &record, &missed))
            return false;
        stream->told = record.id;
        put_missed(out, missed);
        if (concerns(stream, &record))
            put_event(out, &record);
    }
    return true;
}

/* All that the connection takes now; what it has not taken of before comes first. */
static void tell(struct event_streams *streams, struct stream *stream)
{
    struct http_server_conn *conn = stream->conn;
    struct buf out;
    bool is_more = true;

    buf_init(&out, BATCH_MAX_BYTES);
    while (is_more && stream->conn == conn && http_server_pending(conn) == 0) {
        buf_clear(&out);
        is_more = gather(streams, stream, &out);
        if (out.err) {
            /* A stream with a hole in it would tell a lie. */
            stream->conn = NULL;
            http_server_abort(conn);
        } else if (out.len) {
            http_server_body(conn, buf_span(&out), false);
        }
    }
    buf_fini(&out);
}

void event_streams_tell(struct event_streams *streams)
{
    for (size_t i = 0; i < EVENT_STREAMS_MAX; i++) {
        if (streams->streams[i].conn)
            tell(streams, &streams->streams[i]);
    }
}

static void set_timer(struct event_streams *streams)
{
    /* Reserved: it cannot fail. */
    (void)loop_timer_set(&streams->timer, loop_now_us(streams->loop) + PING_US);
}

static void on_timer(struct loop_timer *timer)
{
    struct event_streams *streams = container_of(timer, struct event_streams, timer);
    bool is_any = false;

    for (size_t i = 0; i < EVENT_STREAMS_MAX; i++) {
        struct http_server_conn *conn = streams->streams[i].conn;

        is_any |= conn != NULL;
        if (conn && http_server_pending(conn) == 0)
            http_server_body(conn, SPAN(": ping\n\n"), false);
    }
    if (is_any)
        set_timer(streams);
}

/* ---- streams ---- */

static struct stream *find(struct event_streams *streams, const struct http_server_conn *conn)
{
    for (size_t i = 0; i < EVENT_STREAMS_MAX; i++) {
        if (streams->streams[i].conn == conn)
            return &streams->streams[i];
    }
    return NULL;
}

/* The value of a member of a query; empty: it is not there. */
static struct span member_of(struct span query, struct span name)
{
    struct span part;

    while (span_next_token(&query, '&', &part)) {
        size_t at = span_find_byte(part, '=');

        if (at != SIZE_MAX && span_is_equal(span_of(part.ptr, at), name))
            return span_skip(part, at + 1);
    }
    return span_of(NULL, 0);
}

/* A number that is none tells of nothing before now. */
static uint64_t begin_at(struct event_streams *streams, const struct http_head *head,
                         struct span query)
{
    struct span given = http_head_find(head, SPAN("last-event-id"));
    uint64_t number;

    if (!given.len)
        given = member_of(query, SPAN("after"));
    if (given.len && span_to_u64(given, &number) == 0)
        return number;
    return journal_last(streams->journal);
}

bool event_streams_open(struct event_streams *streams, struct http_server_conn *conn,
                        const struct http_head *head)
{
    static const struct http_answer answer = {
        .status = 200,
        .fields = SPAN_INIT("Content-Type: text/event-stream\r\nCache-Control: no-store\r\n"
                            "X-Content-Type-Options: nosniff\r\nX-Accel-Buffering: no\r\n"),
        .length = HTTP_LENGTH_UNKNOWN,
    };
    struct stream *stream = find(streams, NULL);
    struct span query;

    if (head->method == METHOD_HEAD) {
        http_server_answer(conn, &answer, span_of(NULL, 0), true);
        return true;
    }
    if (!stream || streams->is_ending)
        return false;
    (void)http_head_path(head, &query);
    stream->conn = conn;
    stream->told = begin_at(streams, head, query);
    alert_copy(stream->provider, sizeof(stream->provider), member_of(query, SPAN("provider")));
    http_server_answer(conn, &answer, SPAN(": events of bellwether\n\n"), false);
    if (streams->timer.deadline_us == 0)
        set_timer(streams);
    if (stream->conn)
        tell(streams, stream);
    return true;
}

bool event_streams_go_on(struct event_streams *streams, struct http_server_conn *conn)
{
    struct stream *stream = find(streams, conn);

    if (stream)
        tell(streams, stream);
    return stream != NULL;
}

void event_streams_drop(struct event_streams *streams, struct http_server_conn *conn)
{
    struct stream *stream = find(streams, conn);

    if (stream)
        stream->conn = NULL;
}

void event_streams_close(struct event_streams *streams)
{
    for (size_t i = 0; i < EVENT_STREAMS_MAX; i++) {
        struct http_server_conn *conn = streams->streams[i].conn;

        streams->streams[i].conn = NULL;
        if (conn)
            http_server_body(conn, span_of(NULL, 0), true);
    }
}

void event_streams_end(struct event_streams *streams)
{
    streams->is_ending = true;
    event_streams_tell(streams);
    event_streams_close(streams);
}

/* ---- life ---- */

struct event_streams *event_streams_new(struct loop *loop, struct journal *journal)
{
    struct event_streams *streams = mem_zalloc(1, sizeof(*streams));

    if (!streams)
        return NULL;
    streams->loop = loop;
    streams->journal = journal;
    loop_timer_init(&streams->timer, loop, on_timer);
    if (loop_timer_reserve(&streams->timer))
        event_streams_free(&streams);
    return streams;
}

void event_streams_free(struct event_streams **place)
{
    struct event_streams *streams = *place;

    *place = NULL;
    if (!streams)
        return;
    loop_timer_fini(&streams->timer);
    mem_free(streams);
}
