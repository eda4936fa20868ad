/* GET /v1/admin/audit: who did what to which key, the newest first. */
#include "admin/lookup_inner.h"
#include "admin/refusal.h"
#include "store/audit.h"

static void put_text(struct json_writer *writer, const char *name, struct span text)
{
    if (text.len)
        json_member_string(writer, name, text);
    else
        json_member_null(writer, name);
}

static void put_line(struct json_writer *writer, const struct audit_line *line)
{
    json_begin_object(writer);
    json_member_uint(writer, "seq", line->seq);
    page_put_time(writer, "at", line->at_wall_us);
    json_member_string(writer, "actor", line->actor);
    put_text(writer, "from", line->origin);
    json_member_string(writer, "action", line->action);
    put_text(writer, "provider", line->provider);
    put_text(writer, "key", line->key);
    json_member_string(writer, "result", line->result);
    put_text(writer, "detail", line->detail);
    json_end_object(writer);
}

static int begin(struct lookup *lookup, struct store *store)
{
    const struct audit_page page = {.provider = lookup->provider,
                                    .key = lookup->key,
                                    .before_seq = lookup->before,
                                    .limit = lookup->limit};

    return audit_list(store, &lookup->ask, &page);
}

static const struct failure_row *end(struct lookup *lookup, const struct store_answer *answer)
{
    struct json_writer *writer = &lookup->writer;

    if (answer->err)
        return refusal_row(REFUSAL_STORE_TROUBLE);
    json_begin_object(writer);
    json_name(writer, "audit");
    json_begin_array(writer);
    for (size_t i = 0; i < answer->count; i++)
        put_line(writer, &audit_told(answer)[i]);
    json_end_array(writer);
    json_end_object(writer);
    buf_append_byte(&lookup->page.body, '\n');
    return NULL;
}

const struct lookup_kind lookup_audit = {.begin = begin, .end = end};
