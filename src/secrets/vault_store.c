#include "secrets/vault_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "json/write.h"
#include "secrets/secret_store_kind.h"
#include "secrets/vault_answer.h"

#define POLL_US    (30 * US_PER_SEC)
#define CONNECT_US (5 * US_PER_SEC)
#define TOTAL_US   (15 * US_PER_SEC)

enum { TRIES_MAX = 4, API_BYTES = 4 * SECRET_PATH_MAX_BYTES };

struct vault_store {
    struct secret_store store;
    struct vault_server server;
    struct vault_session *session;
    char *url, *name_space, *ca_file, *mount, *prefix;
    unsigned kv; /* 0: not known yet */
    uint64_t poll_us;
    struct rand rand;
    struct loop_timer timer; /* of the next round of looks */
    struct loop_task next;   /* the next look of this round */
    struct loop_task tell;   /* our own changes, to who watches them */
    struct list due, rested; /* struct glance */
    struct errand *looking;  /* at most one */
};

/* A watched entry. */
struct glance {
    struct list link;
    struct secret_watch *watch;
    bool is_whole; /* the metadata are forbidden: it is read itself */
};

enum step { STEP_MOUNT, STEP_FIND, STEP_ACT, STEP_LOOK };

/* An ask, or a look, on its way through: a token, the mount's version, what stands there, and then
 * what was asked for. */
struct errand {
    struct vault_store *store;
    struct secret_ask *ask; /* NULL: it is a look */
    struct glance *glance;
    enum secret_act act;
    uint64_t expected;
    struct buf text; /* secret */
    struct vault_found found;
    bool has_found, has_to_find;
    enum step step;
    unsigned tries;
    bool was_refused;
    struct secret *token; /* that the call was made with */
    struct vault_wait wait;
    struct vault_call call;
    char api[API_BYTES]; /* what the call is for */
    char path[SECRET_PATH_MAX_BYTES + 1];
};

static void go(struct errand *errand);

/* ---- the end of an errand ---- */

static void free_errand(struct errand *errand)
{
    vault_wait_cancel(&errand->wait);
    vault_call_cancel(&errand->call);
    secret_unref(&errand->token);
    buf_fini(&errand->text);
    mem_free(errand);
}

static void start_round(struct vault_store *store)
{
    uint64_t poll_us = store->poll_us;

    poll_us = poll_us - poll_us / 10 + rand_below(&store->rand, poll_us / 5 + 1);
    if (list_is_empty(&store->rested))
        loop_timer_clear(&store->timer);
    else /* reserved: it cannot fail */
        (void)loop_timer_set(&store->timer, loop_now_us(store->store.loop) + poll_us);
}

/* A server that cannot be asked at all: nobody else need try in this round. */
static void end_round(struct vault_store *store, int err, const char *why)
{
    while (!list_is_empty(&store->due)) {
        struct list *link = list_pop_front(&store->due);

        secret_watch_note(container_of(link, struct glance, link)->watch, 0, err, why);
        list_push_back(&store->rested, link);
    }
}

static void end_look(struct errand *errand, uint64_t seen, int err, const char *why, bool is_lost)
{
    struct vault_store *store = errand->store;

    secret_watch_note(errand->glance->watch, seen, err, why);
    if (is_lost)
        end_round(store, err, why);
    store->looking = NULL;
    free_errand(errand);
    loop_defer(store->store.loop, &store->next);
    secret_watch_tell(&store->store);
}

/* is_lost: it is no matter of this path. */
static void end_failed(struct errand *errand, int err, const char *why, bool is_lost)
{
    struct secret_ask *ask = errand->ask;

    if (!ask) {
        end_look(errand, 0, err, why, is_lost);
        return;
    }
    free_errand(errand);
    secret_ask_fail(ask, err, why);
}

static void end_refused(struct errand *errand, const struct vault_reply *reply)
{
    struct vault_session *session = errand->store->session;
    const struct secret *token = vault_session_token(session);
    char why[SECRET_WORDS_BYTES];
    int err = vault_reply_refusal(reply, span_from_text(errand->api),
                                  token ? secret_reveal(token) : SPAN(""), why);

    end_failed(errand, err, why, reply->err != 0 || reply->status == 503);
}

static void end_unread(struct errand *errand, int err, const char *words)
{
    char why[SECRET_WORDS_BYTES];

    snprintf(why, sizeof(why), "vault: %.150s %s", errand->api,
             words && *words    ? words
             : err == ERR_PROTO ? "is answered in a way that is not Vault's"
                                : err_text(err));
    end_failed(errand, err, why, false);
}

static void end_well(struct errand *errand)
{
    struct secret_ask *ask = errand->ask;
    bool is_change = errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE;
    struct secret_answer answer = {.why = "", .entry.version = errand->found.version};
    struct buf text = errand->text;

    if (errand->act == SECRET_READ)
        answer.entry.text = buf_span(&text);
    if (errand->act == SECRET_LIST)
        answer.names = buf_span(&text);
    buf_init(&errand->text, 0);
    if (is_change) {
        /* Told later: who is told may end this very ask. */
        secret_watch_note_path(&errand->store->store, span_from_text(errand->path));
        loop_defer(errand->store->store.loop, &errand->store->tell);
    }
    free_errand(errand);
    secret_ask_finish(ask, &answer);
    buf_fini(&text);
}

/* ---- what is asked of the server ---- */

/* "secret/data/team/openai/pool-a"; part is "data", "metadata", or for KV version 1 nothing. */
static void set_api(struct errand *errand, const char *part, const char *end)
{
    const struct vault_store *store = errand->store;
    bool is_folded = *store->prefix && *errand->path;

    if (store->kv != 2)
        part = "";
    snprintf(errand->api, sizeof(errand->api), "%s%s%s/%s%s%s%s", store->mount, *part ? "/" : "",
             part, store->prefix, is_folded ? "/" : "", errand->path, end);
}

/* A list's folder ends in '/'. */
static void set_list_api(struct errand *errand)
{
    bool is_root = !*errand->path && !*errand->store->prefix;

    set_api(errand, "metadata", is_root ? "?list=true" : "/?list=true");
}

static int write_body(const struct errand *errand, struct buf *body)
{
    struct json_writer writer;

    if (errand->store->kv != 2)
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

static const char *prepare_act(struct errand *errand, struct buf *body)
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
    }
    return "GET";
}

/* The step's request. */
static const char *prepare(struct errand *errand, struct buf *body)
{
    switch (errand->step) {
    case STEP_MOUNT:
        snprintf(errand->api, sizeof(errand->api), "sys/internal/ui/mounts/%s",
                 errand->store->mount);
        break;
    case STEP_FIND:
        set_api(errand, "data", "");
        break;
    case STEP_LOOK:
        set_api(errand, errand->glance->is_whole ? "data" : "metadata", "");
        break;
    case STEP_ACT:
        return prepare_act(errand, body);
    }
    return "GET";
}

static enum step next_step(const struct errand *errand)
{
    bool is_change = errand->act == SECRET_WRITE || errand->act == SECRET_REMOVE;

    if (!errand->store->kv)
        return STEP_MOUNT;
    if (errand->glance)
        return STEP_LOOK;
    if (errand->act == SECRET_READ)
        return STEP_FIND;
    return is_change && errand->has_to_find && !errand->has_found ? STEP_FIND : STEP_ACT;
}

static void ask_server(struct errand *errand)
{
    struct vault_store *store = errand->store;
    struct vault_question question = {.method = ""};
    struct buf body;
    int err;

    buf_init(&body, 2 * (size_t)SECRET_ENTRY_MAX_BYTES);
    body.is_secret = true;
    errand->step = next_step(errand);
    question.method = prepare(errand, &body);
    question.path = span_from_text(errand->api);
    question.token = secret_reveal(errand->token);
    question.body = buf_span(&body);
    err = body.err ? body.err : vault_call_begin(&errand->call, &store->server, &question);
    buf_fini(&body);
    if (err)
        end_failed(errand, err, err_text(err), false);
}

static void on_token(struct vault_wait *wait, int err, const char *why)
{
    struct errand *errand = container_of(wait, struct errand, wait);

    if (err) {
        end_failed(errand, err, why, true);
        return;
    }
    secret_unref(&errand->token);
    errand->token = vault_session_token(errand->store->session);
    if (!errand->token) {
        go(errand);
        return;
    }
    secret_ref(errand->token);
    ask_server(errand);
}

/* ---- what it answers ---- */

static void end_mount(struct errand *errand, const struct vault_reply *reply)
{
    int err;

    if (reply->status != 200) {
        end_refused(errand, reply);
        return;
    }
    err = vault_answer_mount(reply->body, &errand->store->kv);
    if (err)
        end_unread(errand, err,
                   err == ERR_UNSUPPORTED ? "is no key-value store that is known" : NULL);
    else
        go(errand);
}

/* Before a change: whether what stands there is what was expected. */
static void end_compare(struct errand *errand)
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

static void end_find(struct errand *errand, const struct vault_reply *reply)
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
    err = vault_answer_entry(errand->store->kv, reply->status, reply->body, out, &errand->found,
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

static void end_write(struct errand *errand, const struct vault_reply *reply)
{
    int err = 0;

    if (errand->store->kv == 2)
        err = vault_answer_written(reply->body, &errand->found.version);
    else
        errand->found.version = secret_version_of(buf_span(&errand->text));
    if (err)
        end_unread(errand, err, NULL);
    else
        end_well(errand);
}

/* Somebody was quicker, or the mount wants to be told which version is replaced. */
static bool is_to_find_first(struct errand *errand, const struct vault_reply *reply)
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

static void end_act(struct errand *errand, const struct vault_reply *reply)
{
    bool is_good = reply->status >= 200 && reply->status <= 299;

    if (errand->act == SECRET_REMOVE && (is_good || reply->status == 404)) {
        errand->found.version = 0;
        end_well(errand);
    } else if (errand->act == SECRET_WRITE && is_good) {
        end_write(errand, reply);
    } else if (errand->act == SECRET_LIST && (is_good || reply->status == 404)) {
        int err = is_good ? vault_answer_names(reply->body, &errand->text) : 0;

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
static int read_look(const struct errand *errand, const struct vault_reply *reply,
                     uint64_t *ret_seen, const char **ret_why)
{
    struct vault_found found = {0};
    struct buf entry;
    int err;

    *ret_why = NULL;
    if (errand->store->kv == 2 && !errand->glance->is_whole && reply->status == 404) {
        *ret_seen = 0;
        return 0;
    }
    if (errand->store->kv == 2 && !errand->glance->is_whole)
        return vault_answer_stamp(reply->body, ret_seen);
    buf_init(&entry, SECRET_ENTRY_MAX_BYTES);
    entry.is_secret = true;
    err =
        vault_answer_entry(errand->store->kv, reply->status, reply->body, &entry, &found, ret_why);
    *ret_seen = found.is_deleted ? 0 : found.version;
    buf_fini(&entry);
    return err;
}

static void end_glance(struct errand *errand, const struct vault_reply *reply)
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
        end_look(errand, seen, 0, "", false);
}

/* 403 may mean the token or the path: true where it is tried another way. */
static bool is_another_way(struct errand *errand)
{
    struct glance *glance = errand->glance;

    if (glance && errand->step == STEP_LOOK && errand->store->kv == 2 && !glance->is_whole) {
        glance->is_whole = true;
        return true;
    }
    if (errand->was_refused || !vault_session_refused(errand->store->session, errand->token))
        return false;
    /* If it was the token, the metadata may not be forbidden after all. */
    if (glance)
        glance->is_whole = false;
    errand->was_refused = true;
    return true;
}

static void on_reply(struct vault_call *call, const struct vault_reply *reply)
{
    struct errand *errand = container_of(call, struct errand, call);
    struct vault_session *session = errand->store->session;

    if (reply->err) {
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
    case STEP_MOUNT:
        end_mount(errand, reply);
        break;
    case STEP_FIND:
        end_find(errand, reply);
        break;
    case STEP_ACT:
        end_act(errand, reply);
        break;
    case STEP_LOOK:
        end_glance(errand, reply);
        break;
    }
}

/* ---- the beginning of an errand ---- */

/* The token comes first, each time: it may have been replaced since. */
static void go(struct errand *errand)
{
    vault_session_wait(errand->store->session, &errand->wait);
}

static struct errand *new_errand(struct vault_store *store, enum secret_act act, struct span path)
{
    struct errand *errand = mem_zalloc(1, sizeof(*errand));

    if (!errand)
        return NULL;
    errand->store = store;
    errand->act = act;
    errand->wait.on_token = on_token;
    errand->call.on_done = on_reply;
    buf_init(&errand->text,
             act == SECRET_LIST ? SECRET_LIST_MAX_BYTES : (size_t)SECRET_ENTRY_MAX_BYTES);
    errand->text.is_secret = true;
    snprintf(errand->path, sizeof(errand->path), "%.*s", SPAN_ARG(path));
    return errand;
}

/* As the server will give it back, so that its version is the same. */
static int set_text(struct errand *errand, struct span text)
{
    struct json_tree tree;
    int err = json_tree_read(&tree, text, 1 << 20);

    if (!err)
        err = json_tree_write(&errand->text, yyjson_doc_get_root(tree.doc));
    secret_tree_fini(&tree);
    return err ? ERR_NOMEM : 0;
}

static int begin(struct secret_store *base, struct secret_ask *ask,
                 const struct secret_request *request)
{
    struct vault_store *store = container_of(base, struct vault_store, store);
    struct errand *errand = new_errand(store, request->act, request->path);

    if (!errand)
        return ERR_NOMEM;
    if (request->act == SECRET_WRITE && set_text(errand, request->text)) {
        free_errand(errand);
        return ERR_NOMEM;
    }
    errand->ask = ask;
    errand->expected = request->expected;
    errand->has_to_find = request->expected != SECRET_ANY;
    ask->work = errand;
    go(errand);
    return 0;
}

static void cancel(struct secret_ask *ask)
{
    free_errand(ask->work);
}

/* ---- looks ---- */

static void on_next(struct loop_task *task)
{
    struct vault_store *store = container_of(task, struct vault_store, next);
    struct glance *glance;

    if (store->looking)
        return;
    if (list_is_empty(&store->due)) {
        start_round(store);
        return;
    }
    glance = container_of(list_pop_front(&store->due), struct glance, link);
    list_push_back(&store->rested, &glance->link);
    store->looking = new_errand(store, SECRET_READ, secret_watch_path(glance->watch));
    if (!store->looking) {
        /* It has its turn in the next round. */
        loop_defer(store->store.loop, &store->next);
        return;
    }
    store->looking->glance = glance;
    go(store->looking);
}

static void on_tell(struct loop_task *task)
{
    secret_watch_tell(&container_of(task, struct vault_store, tell)->store);
}

static void on_due(struct loop_timer *timer)
{
    struct vault_store *store = container_of(timer, struct vault_store, timer);

    while (!list_is_empty(&store->rested))
        list_push_back(&store->due, list_pop_front(&store->rested));
    loop_defer(store->store.loop, &store->next);
}

static int watch_entry(struct secret_store *base, struct secret_watch *watch)
{
    struct vault_store *store = container_of(base, struct vault_store, store);
    struct glance *glance = mem_zalloc(1, sizeof(*glance));

    if (!glance)
        return ERR_NOMEM;
    glance->watch = watch;
    watch->work = glance;
    list_push_back(&store->due, &glance->link);
    loop_defer(base->loop, &store->next);
    return 0;
}

static void unwatch_entry(struct secret_watch *watch)
{
    struct vault_store *store = container_of(watch->store, struct vault_store, store);
    struct glance *glance = watch->work;

    if (store->looking && store->looking->glance == glance) {
        free_errand(store->looking);
        store->looking = NULL;
        loop_defer(store->store.loop, &store->next);
    }
    list_remove(&glance->link);
    mem_free(glance);
}

/* ---- the store ---- */

static void free_store(struct secret_store *base)
{
    struct vault_store *store = container_of(base, struct vault_store, store);

    loop_task_cancel(&store->next);
    loop_task_cancel(&store->tell);
    loop_timer_fini(&store->timer);
    vault_session_free(&store->session);
    mem_free(store->url);
    mem_free(store->name_space);
    mem_free(store->ca_file);
    mem_free(store->mount);
    mem_free(store->prefix);
    mem_free(store);
}

static const struct secret_store_ops ops = {.kind = "vault",
                                            .begin = begin,
                                            .cancel = cancel,
                                            .watch = watch_entry,
                                            .unwatch = unwatch_entry,
                                            .free = free_store};

static bool is_place(const char *text)
{
    return !text || !*text || secret_path_is_good(span_from_text(text));
}

static const char *fault_of_login(const struct vault_login *login)
{
    switch (login->kind) {
    case VAULT_LOGIN_TOKEN:
        return login->secret ? NULL : "no token is given";
    case VAULT_LOGIN_TOKEN_FILE:
        return login->file ? NULL : "no file is given for the token";
    case VAULT_LOGIN_APPROLE:
        return login->role && *login->role ? NULL : "no role id is given";
    case VAULT_LOGIN_KUBERNETES:
        if (!login->role || !*login->role)
            return "no role is given";
        return login->file ? NULL : "no file is given for the service account's token";
    }
    return "there is no such login";
}

static const char *fault_of(const struct vault_options *options)
{
    struct span url = span_from_text(options->url);

    if (!span_has_prefix(url, SPAN("https://")) && !span_has_prefix(url, SPAN("http://")))
        return "the address begins neither with https:// nor with http://";
    if (!options->mount || !*options->mount || !is_place(options->mount))
        return "the mount is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->prefix))
        return "the prefix is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->name_space))
        return "the namespace is no path of letters, digits, '-', '_' and '.'";
    if (!is_place(options->login.mount))
        return "the login's mount is no path of letters, digits, '-', '_' and '.'";
    return options->kv > 2 ? "there is no such version of the key-value engine"
                           : fault_of_login(&options->login);
}

static char *copy_of(const char *text)
{
    return mem_strdup(text ? text : "", text ? strlen(text) : 0);
}

static int copy_options(struct vault_store *store, const struct vault_options *options)
{
    store->url = copy_of(options->url);
    store->name_space = copy_of(options->name_space);
    store->ca_file = copy_of(options->ca_file);
    store->mount = copy_of(options->mount);
    store->prefix = copy_of(options->prefix);
    store->server = (struct vault_server){
        .loop = options->loop,
        .fetcher = options->fetcher,
        .url = store->url,
        .name_space = store->name_space,
        .ca_file = options->ca_file ? store->ca_file : NULL,
        .connect_us = options->connect_us ? options->connect_us : CONNECT_US,
        .total_us = options->total_us ? options->total_us : TOTAL_US,
    };
    store->kv = options->kv;
    store->poll_us = options->poll_us ? options->poll_us : POLL_US;
    if (!store->url || !store->name_space || !store->ca_file || !store->mount || !store->prefix)
        return ERR_NOMEM;
    store->session = vault_session_new(&store->server, &options->login, options->secrets);
    return store->session ? loop_timer_reserve(&store->timer) : ERR_NOMEM;
}

int vault_store_open(const struct vault_options *options, struct secret_store **ret_store,
                     char *why)
{
    const char *fault = fault_of(options);
    struct vault_store *store;

    snprintf(why, SECRET_WORDS_BYTES, "vault: %s", fault ? fault : err_text(ERR_NOMEM));
    if (fault)
        return ERR_SYNTAX;
    store = mem_zalloc(1, sizeof(*store));
    if (!store)
        return ERR_NOMEM;
    secret_store_init(&store->store, &ops, options->loop);
    list_init(&store->due);
    list_init(&store->rested);
    loop_task_init(&store->next, on_next);
    loop_task_init(&store->tell, on_tell);
    loop_timer_init(&store->timer, options->loop, on_due);
    rand_init_from_system(&store->rand);
    if (copy_options(store, options)) {
        free_store(&store->store);
        return ERR_NOMEM;
    }
    why[0] = '\0';
    *ret_store = &store->store;
    return 0;
}
