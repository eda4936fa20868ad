#include "secrets/vault_errand.h"

#include <stdio.h>

#include "base/err.h"
#include "json/write.h"

enum { TRIES_MAX = 4, TREE_MAX_BYTES = 8 << 20 };

/* ---- the end ---- */

static void release(struct vault_errand *errand)
{
    vault_wait_cancel(&errand->wait);
    vault_call_cancel(&errand->call);
    secret_unref(&errand->token);
    buf_fini(&errand->text);
    errand->place = NULL;
}

static void end(struct vault_errand *errand, const struct secret_answer *answer)
{
    /* The answer may be borrowed from it. */
    struct buf text = errand->text;

    buf_init(&errand->text, 0);
    release(errand);
    errand->on_end(errand, answer);
    buf_fini(&text);
}

/* is_lost: it is no matter of this path. */
static void end_failed(struct vault_errand *errand, int err, const char *why, bool is_lost)
{
    struct secret_answer answer = {.err = err, .why = why};

    errand->is_lost = is_lost;
    end(errand, &answer);
}

static void end_refused(struct vault_errand *errand, const struct vault_reply *reply)
{
    char why[SECRET_WORDS_BYTES];
    int err =
        vault_reply_refusal(reply, span_from_text(errand->api), secret_reveal(errand->token), why);

    end_failed(errand, err, why, reply->err != 0 || reply->status == 503);
}

static void end_unread(struct vault_errand *errand, int err, const char *words)
{
    char why[SECRET_WORDS_BYTES];

    if (!words || !*words)
        words = err == ERR_PROTO ? "is answered in a way that is not Vault's" : err_text(err);
    snprintf(why, sizeof(why), "vault: %.150s %s", errand->api, words);
    end_failed(errand, err, why, false);
}

static void end_well(struct vault_errand *errand)
{
    struct secret_answer answer = {.why = "", .entry.version = errand->found.version};

    if (errand->act == SECRET_READ)
        answer.entry.text = buf_span(&errand->text);
    if (errand->act == SECRET_LIST || errand->act == SECRET_VERSIONS)
        answer.names = buf_span(&errand->text);
    end(errand, &answer);
}

static void end_seen(struct vault_errand *errand, uint64_t seen)
{
    struct secret_answer answer = {.why = "", .entry.version = seen};

    end(errand, &answer);
}

static void go(struct vault_errand *errand);

/* ---- what is asked of the server ---- */

/* "secret/data/team/openai/pool-a"; part is "data", "metadata", or for KV version 1 nothing. */
static void set_api(struct vault_errand *errand, const char *part, const char *end)
{
    const struct vault_place *place = errand->place;
    bool is_folded = *place->prefix && *errand->path;

    if (place->kv != 2)
        part = "";
    snprintf(errand->api, sizeof(errand->api), "%s%s%s/%s%s%s%s", place->mount, *part ? "/" : "",
             part, place->prefix, is_folded ? "/" : "", errand->path, end);
}

/* A list's folder ends in '/'. */
static void set_list_api(struct vault_errand *errand)
{
    bool is_root = !*errand->path && !*errand->place->prefix;

    set_api(errand, "metadata", is_root ? "?list=true" : "/?list=true");
}

static int write_body(const struct vault_errand *errand, struct buf *body)
{
    struct json_writer writer;

    if (errand->place->kv != 2)
        return buf_append_span(body, buf_span(&errand->text));
    json_writer_init(&writer, body);
    json_begin_object(&writer);
    if (errand->has_found) {
        /* A deleted version is named too: only where there never was one is it 0. */
        json_name(&writer, "options");
        json_begin_object(&writer);
        json_member_uint(&writer, "cas", errand->found.version);
        json_end_object(&writer);
    }
    json_name(&writer, "data");
    json_raw(&writer, buf_span(&errand->text));
    json_end_object(&writer);
    return body->err;
}

static const char *prepare_act(struct vault_errand *errand, struct buf *body)
{
    switch (errand->act) {
    case SECRET_READ:
        break;
    case SECRET_WRITE:
        set_api(errand, "data", "");
        write_body(errand, body);
        return "POST";
    case SECRET_REMOVE:
        set_api(errand, "metadata", "");
        return "DELETE";
    case SECRET_LIST:
        set_list_api(errand);
        break;
    case SECRET_VERSIONS:
        set_api(errand, "metadata", "");
        break;
    }
    return "GET";
}

/* The step's request. */
static const char *prepare(struct vault_errand *errand, struct buf *body)
{
    char query[SECRET_VERSION_MAX_BYTES + 16];

    switch (errand->step) {
    case VAULT_STEP_MOUNT:
        snprintf(errand->api, sizeof(errand->api), "sys/internal/ui/mounts/%s",
                 errand->place->mount);
        break;
    case VAULT_STEP_FIND:
        snprintf(query, sizeof(query), "%s%s", *errand->version ? "?version=" : "",
                 errand->version);
        set_api(errand, "data", query);
        break;
    case VAULT_STEP_LOOK:
        set_api(errand, errand->is_whole ? "data" : "metadata", "");
        break;
    case VAULT_STEP_ACT:
        return prepare_act(errand, body);
    }
    return "GET";
}

static enum vault_step next_step(const struct vault_errand *errand)
{
    bool is_change = errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE;

    if (!errand->place->kv)
        return VAULT_STEP_MOUNT;
    if (errand->is_look)
        return VAULT_STEP_LOOK;
    if (errand->act == SECRET_READ)
        return VAULT_STEP_FIND;
    return is_change && errand->has_to_find && !errand->has_found ? VAULT_STEP_FIND
                                                                  : VAULT_STEP_ACT;
}

/* What only version 2 has. */
static bool is_of_versions(const struct vault_errand *errand)
{
    return errand->act == SECRET_VERSIONS || *errand->version;
}

static bool is_number(const char *version)
{
    uint64_t number;

    return !*version || !span_to_u64(span_from_text(version), &number);
}

static void ask_server(struct vault_errand *errand)
{
    struct vault_place *place = errand->place;
    struct vault_question question = {.method = ""};
    struct buf body;
    int err;

    if (is_of_versions(errand) && place->kv == 1) {
        end_failed(errand, ERR_UNSUPPORTED,
                   "vault: version 1 of the engine keeps no older versions", false);
        return;
    }
    if (!is_number(errand->version)) {
        end_well(errand);
        return;
    }
    buf_init(&body, 2 * (size_t)SECRET_ENTRY_MAX_BYTES);
    body.is_secret = true;
    errand->step = next_step(errand);
    question.method = prepare(errand, &body);
    question.path = span_from_text(errand->api);
    question.token = secret_reveal(errand->token);
    question.body = buf_span(&body);
    err = body.err ? body.err : vault_call_begin(&errand->call, &place->server, &question);
    buf_fini(&body);
    if (err)
        end_failed(errand, err, err_text(err), false);
}

static void on_token(struct vault_wait *wait, int err, const char *why)
{
    struct vault_errand *errand = container_of(wait, struct vault_errand, wait);

    if (err) {
        end_failed(errand, err, why, true);
        return;
    }
    secret_unref(&errand->token);
    errand->token = vault_session_token(errand->place->session);
    if (!errand->token) {
        go(errand);
        return;
    }
    secret_ref(errand->token);
    ask_server(errand);
}

/* ---- what it answers ---- */

static void end_mount(struct vault_errand *errand, const struct vault_reply *reply)
{
    int err;

    if (reply->status != 200) {
        end_refused(errand, reply);
        return;
    }
    err = vault_answer_mount(reply->body, &errand->place->kv);
    if (err)
        end_unread(errand, err,
                   err == ERR_UNSUPPORTED ? "is no key-value store that is known" : NULL);
    else
        go(errand);
}

/* Before a change: whether what stands there is what was expected. */
static void end_compare(struct vault_errand *errand)
{
    uint64_t version = errand->found.is_deleted ? 0 : errand->found.version;

    errand->has_found = true;
    if (errand->expected != SECRET_ANY && errand->expected != version) {
        end_failed(errand, ERR_EXISTS, "vault: another version is there than was expected", false);
    } else if (errand->act == SECRET_REMOVE && !version) {
        errand->found.version = 0;
        end_well(errand);
    } else {
        go(errand);
    }
}

static void end_find(struct vault_errand *errand, const struct vault_reply *reply)
{
    bool is_read = errand->act == SECRET_READ;
    struct buf other, *out = is_read ? &errand->text : &other;
    const char *why = NULL;
    int err;

    if (reply->status != 200 && reply->status != 404) {
        end_refused(errand, reply);
        return;
    }
    buf_init(&other, SECRET_ENTRY_MAX_BYTES);
    other.is_secret = true;
    err = vault_answer_entry(errand->place->kv, reply->status, reply->body, out, &errand->found,
                             &why);
    buf_fini(&other);
    if (err == ERR_SYNTAX && !is_read) /* whatever it is, it may be replaced */
        err = 0;
    if (err) {
        end_unread(errand, err, why);
    } else if (is_read) {
        errand->found.version = errand->found.is_deleted ? 0 : errand->found.version;
        end_well(errand);
    } else {
        end_compare(errand);
    }
}

static void end_write(struct vault_errand *errand, const struct vault_reply *reply)
{
    int err = 0;

    if (errand->place->kv == 2)
        err = vault_answer_written(reply->body, &errand->found.version);
    else
        errand->found.version = secret_version_of(buf_span(&errand->text));
    if (err)
        end_unread(errand, err, NULL);
    else
        end_well(errand);
}

/* Somebody was quicker, or the mount wants to be told which version is replaced. */
static bool is_to_find_first(struct vault_errand *errand, const struct vault_reply *reply)
{
    bool is_mismatch = vault_answer_is_mismatch(reply->status, reply->body);

    if (errand->act != SECRET_WRITE || ++errand->tries >= TRIES_MAX)
        return false;
    if (is_mismatch || vault_answer_wants_version(reply->status, reply->body)) {
        errand->has_to_find = true;
        errand->has_found = false;
        return true;
    }
    return false;
}

static int read_names(struct vault_errand *errand, const struct vault_reply *reply)
{
    if (errand->act == SECRET_LIST)
        return vault_answer_names(reply->body, &errand->text);
    return vault_answer_versions(reply->body, loop_wall_us(errand->place->server.loop),
                                 &errand->text);
}

static void end_act(struct vault_errand *errand, const struct vault_reply *reply)
{
    bool is_good = reply->status >= 200 && reply->status <= 299;

    if (errand->act == SECRET_REMOVE && (is_good || reply->status == 404)) {
        errand->found.version = 0;
        end_well(errand);
    } else if (errand->act == SECRET_WRITE && is_good) {
        end_write(errand, reply);
    } else if (errand->act != SECRET_WRITE && (is_good || reply->status == 404)) {
        int err = is_good ? read_names(errand, reply) : 0;

        if (err)
            end_unread(errand, err, NULL);
        else
            end_well(errand);
    } else if (is_to_find_first(errand, reply)) {
        go(errand);
    } else {
        end_refused(errand, reply);
    }
}

/* A number that differs where the entry does. */
static int read_look(const struct vault_errand *errand, const struct vault_reply *reply,
                     uint64_t *ret_seen, const char **ret_why)
{
    struct vault_found found = {0};
    struct buf entry;
    int err;

    *ret_why = NULL;
    if (errand->place->kv == 2 && !errand->is_whole && reply->status == 404) {
        *ret_seen = 0;
        return 0;
    }
    if (errand->place->kv == 2 && !errand->is_whole)
        return vault_answer_stamp(reply->body, ret_seen);
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    err =
        vault_answer_entry(errand->place->kv, reply->status, reply->body, &entry, &found, ret_why);
    *ret_seen = found.is_deleted ? 0 : found.version;
    buf_fini(&entry);
    return err;
}

static void end_look(struct vault_errand *errand, const struct vault_reply *reply)
{
    uint64_t seen = 0;
    const char *why;
    int err;

    if (reply->status != 200 && reply->status != 404) {
        end_refused(errand, reply);
        return;
    }
    err = read_look(errand, reply, &seen, &why);
    if (err)
        end_unread(errand, err, why);
    else
        end_seen(errand, seen);
}

/* 403 may mean the token or the path: true where it is tried another way. */
static bool is_another_way(struct vault_errand *errand)
{
    if (errand->step == VAULT_STEP_LOOK && errand->place->kv == 2 && !errand->is_whole) {
        errand->is_whole = true;
        return true;
    }
    if (errand->was_refused || !vault_session_refused(errand->place->session, errand->token))
        return false;
    /* If it was the token, the metadata may not be forbidden after all. */
    errand->is_whole = false;
    errand->was_refused = true;
    return true;
}

static void on_reply(struct vault_call *call, const struct vault_reply *reply)
{
    struct vault_errand *errand = container_of(call, struct vault_errand, call);
    struct vault_session *session = errand->place->session;

    if (reply->err || (reply->status == 404 && !vault_answer_is_none(reply->body))) {
        end_refused(errand, reply);
        return;
    }
    if (reply->status == 403 && is_another_way(errand)) {
        go(errand);
        return;
    }
    if (errand->was_refused && reply->status != 403)
        vault_session_helped(session);
    switch (errand->step) {
    case VAULT_STEP_MOUNT:
        end_mount(errand, reply);
        break;
    case VAULT_STEP_FIND:
        end_find(errand, reply);
        break;
    case VAULT_STEP_ACT:
        end_act(errand, reply);
        break;
    case VAULT_STEP_LOOK:
        end_look(errand, reply);
        break;
    }
}

/* ---- the beginning ---- */

/* The token comes first, each time: it may have been replaced since. */
static void go(struct vault_errand *errand)
{
    vault_session_wait(errand->place->session, &errand->wait);
}

/* As the server will give it back, so that its version is the same. */
static int set_text(struct vault_errand *errand, struct span text)
{
    struct json_tree tree;
    int err = json_tree_read(&tree, text, TREE_MAX_BYTES);

    if (!err)
        err = json_tree_write(&errand->text, yyjson_doc_get_root(tree.doc));
    secret_tree_fini(&tree);
    return err ? ERR_NOMEM : 0;
}

int vault_errand_begin(struct vault_errand *errand, struct vault_place *place,
                       const struct secret_request *request)
{
    bool is_list = request->act == SECRET_LIST || request->act == SECRET_VERSIONS;

    errand->place = place;
    errand->act = request->act;
    errand->expected = request->expected;
    errand->has_to_find = request->expected != SECRET_ANY;
    errand->wait.on_token = on_token;
    errand->call.on_done = on_reply;
    buf_init(&errand->text, is_list ? SECRET_LIST_MAX_BYTES : (size_t)SECRET_ENTRY_MAX_BYTES);
    errand->text.is_secret = true;
    snprintf(errand->path, sizeof(errand->path), "%.*s", SPAN_ARG(request->path));
    snprintf(errand->version, sizeof(errand->version), "%.*s", SPAN_ARG(request->version));
    if (request->act == SECRET_WRITE && set_text(errand, request->text)) {
        release(errand);
        return ERR_NOMEM;
    }
    go(errand);
    return 0;
}

void vault_errand_cancel(struct vault_errand *errand)
{
    if (errand->place)
        release(errand);
}
