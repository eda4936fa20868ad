/* GET /v1/admin/rotations: what is under way, and what the store knows of rotations, the newest
 * first; and /v1/admin/rotations/{id}: one of them with all its moves. */
#include "admin/lookup_inner.h"
#include "admin/refusal.h"
#include "base/err.h"
#include "store/rotations.h"

static void put_text(struct json_writer *writer, const char *name, struct span text)
{
    if (text.len)
        json_member_string(writer, name, text);
    else
        json_member_null(writer, name);
}

/* The members of one; the object stays open. */
static void put_row(struct json_writer *writer, const struct rotation_row *row)
{
    json_begin_object(writer);
    json_member_uint(writer, "seq", row->seq);
    json_member_string(writer, "id", row->id);
    json_member_string(writer, "provider", row->provider);
    put_text(writer, "name", row->successor);
    put_text(writer, "replaces", row->predecessor);
    json_member_string(writer, "trigger", row->cause);
    json_member_string(writer, "step", row->state);
    put_text(writer, "reason", row->reason);
    page_put_time(writer, "started", row->started_wall_us);
    page_put_time(writer, "ended", row->ended_wall_us);
    page_put_time(writer, "revoked_from", row->until_wall_us);
}

/* ---- all of them ---- */

static int begin_all(struct lookup *lookup, struct store *store)
{
    const struct rotations_page page = {
        .provider = lookup->provider, .before_seq = lookup->before, .limit = lookup->limit};

    return rotations_list(store, &lookup->ask, &page);
}

/* Without a store, or while it is away, nothing is known of the past; that is no empty past. */
static const struct failure_row *end_all(struct lookup *lookup, const struct store_answer *answer)
{
    const struct page_view view = lookup->lookups->view(lookup->lookups->owner);
    struct json_writer *writer = &lookup->writer;

    json_begin_object(writer);
    page_put_rotations(&view, lookup->provider, writer);
    json_name(writer, "history");
    if (answer->err) {
        json_null(writer);
    } else {
        json_begin_array(writer);
        for (size_t i = 0; i < answer->count; i++) {
            put_row(writer, &rotations_told(answer)[i]);
            json_end_object(writer);
        }
        json_end_array(writer);
    }
    json_end_object(writer);
    buf_append_byte(&lookup->page.body, '\n');
    return NULL;
}

const struct lookup_kind lookup_rotations = {
    .begin = begin_all, .end = end_all, .does_without = true};

/* ---- one ---- */

static int begin_one(struct lookup *lookup, struct store *store)
{
    return rotations_find(store, &lookup->ask, lookup->name);
}

static void put_moves(struct json_writer *writer, const struct store_answer *answer)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct rotation_move *move = &rotations_moves_told(answer)[i];

        json_begin_object(writer);
        page_put_time(writer, "at", move->at_wall_us);
        put_text(writer, "from", move->from);
        json_member_string(writer, "to", move->to);
        put_text(writer, "reason", move->reason);
        json_end_object(writer);
    }
}

/* The row came first, and its moves come now. */
static const struct failure_row *end_moves(struct lookup *lookup, const struct store_answer *answer)
{
    if (answer->err)
        return refusal_row(REFUSAL_STORE_TROUBLE);
    put_moves(&lookup->writer, answer);
    json_end_array(&lookup->writer);
    json_end_object(&lookup->writer);
    buf_append_byte(&lookup->page.body, '\n');
    return NULL;
}

static const struct lookup_kind moves = {.end = end_moves};

static const struct failure_row *end_one(struct lookup *lookup, const struct store_answer *answer)
{
    struct store *store = lookup_store(lookup);

    if (answer->err)
        return refusal_row(answer->err == ERR_NOTFOUND ? REFUSAL_NO_SUCH_ROTATION
                                                       : REFUSAL_STORE_TROUBLE);
    put_row(&lookup->writer, rotations_told(answer));
    json_name(&lookup->writer, "moves");
    json_begin_array(&lookup->writer);
    lookup->kind = &moves;
    if (!store || rotations_history(store, &lookup->ask, lookup->name, 0, STORE_MAX_ROWS))
        return refusal_row(REFUSAL_STORE_TROUBLE);
    lookup->is_asking_again = true;
    return NULL;
}

const struct lookup_kind lookup_rotation = {.begin = begin_one, .end = end_one};
