/* One question on its way through a cloud: struct cloud_errand of secrets/cloud_store.h. */
#include "secrets/cloud_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/cloud_proof.h"
#include "secrets/token_answer.h"

enum { PAGE_MAX_BYTES = 8 << 10, WORDS_MAX_BYTES = 64 << 10, NAME_SHOWN = 100 };

/* ---- the end ---- */

static void free_errand(struct cloud_errand *errand)
{
    cloud_wait_cancel(&errand->wait);
    cloud_call_cancel(&errand->call);
    loop_timer_fini(&errand->timer);
    secret_unref(&errand->secret);
    secret_names_fini(&errand->names);
    secret_versions_fini(&errand->versions);
    buf_fini(&errand->text);
    buf_fini(&errand->page);
    mem_free(errand);
}

/* is_lost: it is no matter of this path. What the answer borrows may be the errand's own. */
static void finish(struct cloud_errand *errand, const struct secret_answer *answer, bool is_lost)
{
    struct cloud_store *store = errand->store;
    struct secret_ask *ask = errand->ask;
    struct store_look *look = errand->look;
    struct buf text = errand->text;

    buf_init(&errand->text, 0);
    if (!answer->err && cloud_errand_is_change(errand))
        store_looks_changed(&store->looks, span_from_text(errand->path));
    free_errand(errand);
    if (look) {
        look->work = NULL;
        store_look_done(look, answer->entry.version, answer->err, answer->why, is_lost);
    } else {
        secret_ask_finish(ask, answer);
    }
    buf_fini(&text);
}

static void finish_failed(struct cloud_errand *errand, int err, const char *why, bool is_lost)
{
    struct secret_answer answer = {.err = err, .why = why};

    finish(errand, &answer, is_lost);
}

void cloud_errand_end(struct cloud_errand *errand, uint64_t version)
{
    struct secret_answer answer = {.why = "", .entry.version = version};

    finish(errand, &answer, false);
}

void cloud_errand_end_failed(struct cloud_errand *errand, int err, const char *words)
{
    char why[SECRET_WORDS_BYTES];

    snprintf(why, sizeof(why), "%s: %.280s", errand->store->kind->label, words);
    finish_failed(errand, err, why, false);
}

void cloud_errand_end_other(struct cloud_errand *errand)
{
    cloud_errand_end_failed(errand, ERR_EXISTS, "another version is there than was expected");
}

static void end_with(struct cloud_errand *errand, int err, const char *words)
{
    char why[SECRET_WORDS_BYTES];

    snprintf(why, sizeof(why), "%.120s %.120s", *errand->name ? errand->name : "the list", words);
    cloud_errand_end_failed(errand, err, why);
}

void cloud_errand_end_unread(struct cloud_errand *errand, int err)
{
    end_with(errand, err,
             err == ERR_PROTO ? "is answered in a way that is not known" : err_text(err));
}

/* What an answer may echo of what we sent stays untold. */
static void guard(const struct cloud_errand *errand, char *words)
{
    struct cloud_keys keys;

    if (errand->secret) {
        keys = cloud_keys_of(errand->secret);
        token_words_guard(words, keys.id);
        token_words_guard(words, keys.secret);
        token_words_guard(words, keys.session);
    }
    if (errand->act == SECRET_WRITE)
        token_words_guard(words, buf_span(&errand->text));
}

void cloud_errand_end_refused(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    const struct cloud_kind *kind = errand->store->kind;
    char words[TOKEN_WORDS_BYTES], why[SECRET_WORDS_BYTES];
    int err = reply->err;
    struct buf told;

    buf_init(&told, WORDS_MAX_BYTES);
    told.is_secret = true;
    if (err)
        buf_append_span(&told, span_from_text(reply->why));
    else
        err = kind->refusal(reply, &told);
    token_words(told.len ? buf_span(&told) : SPAN("refused"), words);
    buf_fini(&told);
    guard(errand, words);
    if (reply->err)
        snprintf(why, sizeof(why), "%s: %.200s", kind->label, words);
    else
        snprintf(why, sizeof(why), "%s: %.150s for %.*s (%d)", kind->label, words, NAME_SHOWN,
                 *errand->name ? errand->name : "the list", reply->status);
    finish_failed(errand, err, why,
                  reply->err != 0 || reply->status == 429 || reply->status >= 500);
}

/* A look wants no more than the number. */
void cloud_errand_end_text(struct cloud_errand *errand, struct span text, uint64_t version)
{
    struct secret_answer answer = {.why = "", .entry.version = version};
    const char *why = "holds what is no key";
    struct span bare = span_trim(text);
    int err;

    if (errand->look) {
        cloud_errand_end(errand, version);
        return;
    }
    buf_clear(&errand->text);
    if (span_has_prefix(bare, SPAN("{"))) {
        err = secret_entry_check(text, &why);
        if (!err)
            err = buf_append_span(&errand->text, text);
    } else {
        while (text.len && (text.ptr[text.len - 1] == '\n' || text.ptr[text.len - 1] == '\r'))
            text.len--;
        err = secret_entry_from_key(text, &errand->text);
    }
    answer.entry.text = buf_span(&errand->text);
    if (!err)
        finish(errand, &answer, false);
    else if (err == ERR_NOMEM)
        cloud_errand_end_unread(errand, err);
    else
        end_with(errand, ERR_SYNTAX, why);
}

void cloud_errand_end_names(struct cloud_errand *errand)
{
    struct secret_answer answer = {.why = ""};
    int err;

    buf_clear(&errand->text);
    err = errand->act == SECRET_LIST ? secret_names_write(&errand->names, &errand->text)
                                     : secret_versions_write(&errand->versions, &errand->text);
    answer.names = buf_span(&errand->text);
    if (err)
        cloud_errand_end_unread(errand, err);
    else
        finish(errand, &answer, false);
}

int cloud_errand_add_name(struct cloud_errand *errand, struct span name)
{
    struct span prefix = span_from_text(errand->store->prefix), below;
    char path[SECRET_NAME_BYTES];

    if (!secret_name_read(errand->store->kind->names, name, path))
        return 0;
    below = span_from_text(path);
    if (prefix.len) {
        if (!span_has_prefix(below, prefix) || below.len <= prefix.len + 1 ||
            below.ptr[prefix.len] != '/')
            return 0;
        below = span_skip(below, prefix.len + 1);
    }
    return secret_names_add_below(&errand->names, span_from_text(errand->path), below);
}

bool cloud_copy_id(char id[SECRET_VERSION_MAX_BYTES + 1], struct span text)
{
    if (!secret_version_is_good(text))
        return false;
    memcpy(id, text.ptr, text.len);
    id[text.len] = '\0';
    return true;
}

/* ---- the way ---- */

static void on_reply(struct cloud_call *call, const struct cloud_reply *reply)
{
    struct cloud_errand *errand = container_of(call, struct cloud_errand, call);
    struct cloud_store *store = errand->store;

    if (reply->err) {
        cloud_errand_end_refused(errand, reply);
    } else if (store->kind->is_login_refused(reply) && !errand->was_refused &&
               cloud_session_refused(store->session, errand->secret)) {
        errand->was_refused = true;
        cloud_errand_go(errand, errand->step);
    } else {
        store->kind->take(errand, reply);
    }
}

static void ask_server(struct cloud_errand *errand)
{
    struct cloud_question question;
    int err;

    cloud_question_init(&question, "GET");
    errand->store->kind->ask(errand, &question);
    err = cloud_question_err(&question);
    if (!err)
        err = cloud_call_begin(&errand->call, &errand->store->server, &question);
    cloud_question_fini(&question);
    if (err)
        cloud_errand_end_unread(errand, err);
}

static const char *words_of_fault(int fault)
{
    return fault == ERR_FULL ? "the entry is larger than such a store takes"
                             : "the path's name would be longer than such a store's are";
}

static void on_secret(struct cloud_wait *wait, int err, const char *why)
{
    struct cloud_errand *errand = container_of(wait, struct cloud_errand, wait);
    struct cloud_store *store = errand->store;
    char words[SECRET_WORDS_BYTES];

    if (err) {
        snprintf(words, sizeof(words), "%s: the login failed: %.240s", store->kind->label, why);
        finish_failed(errand, err == ERR_SYNTAX || err == ERR_NOTFOUND ? ERR_DENIED : err, words,
                      true);
        return;
    }
    secret_unref(&errand->secret);
    errand->secret = cloud_session_secret(store->session);
    if (!errand->secret) {
        cloud_errand_go(errand, errand->step);
        return;
    }
    secret_ref(errand->secret);
    ask_server(errand);
}

/* The login comes first, each time: it may have been replaced since. */
void cloud_errand_go(struct cloud_errand *errand, unsigned step)
{
    errand->step = step;
    cloud_session_wait(errand->store->session, &errand->wait);
}

/* Without a login: it cannot be asked at all. */
static void on_timer(struct loop_timer *timer)
{
    struct cloud_errand *errand = container_of(timer, struct cloud_errand, timer);

    if (errand->fault)
        cloud_errand_end_failed(errand, errand->fault, words_of_fault(errand->fault));
    else
        cloud_errand_go(errand, errand->step);
}

void cloud_errand_pause(struct cloud_errand *errand, unsigned step, uint64_t us)
{
    errand->step = step;
    if (loop_timer_set(&errand->timer, loop_now_us(errand->store->store.loop) + us))
        cloud_errand_end_unread(errand, ERR_NOMEM);
}

/* ---- the beginning ---- */

static int fault_of(struct cloud_errand *errand, const struct secret_request *request)
{
    const struct cloud_kind *kind = errand->store->kind;

    if (request->act == SECRET_WRITE && request->text.len > kind->entry_max)
        return ERR_FULL;
    return secret_name_write(kind->names, span_from_text(errand->store->prefix), request->path,
                             errand->name)
               ? ERR_UNSUPPORTED
               : 0;
}

/* NULL without memory. */
static struct cloud_errand *new_errand(struct cloud_store *store,
                                       const struct secret_request *request)
{
    bool is_long = request->act == SECRET_LIST || request->act == SECRET_VERSIONS;
    struct cloud_errand *errand = mem_zalloc(1, sizeof(*errand));

    if (!errand)
        return NULL;
    errand->store = store;
    errand->act = request->act;
    errand->expected = request->expected;
    errand->wait.on_secret = on_secret;
    errand->call.on_done = on_reply;
    loop_timer_init(&errand->timer, store->store.loop, on_timer);
    buf_init(&errand->text, is_long ? SECRET_LIST_MAX_BYTES : (size_t)SECRET_ENTRY_MAX_BYTES);
    buf_init(&errand->page, PAGE_MAX_BYTES);
    errand->text.is_secret = true;
    snprintf(errand->path, sizeof(errand->path), "%.*s", SPAN_ARG(request->path));
    snprintf(errand->version, sizeof(errand->version), "%.*s", SPAN_ARG(request->version));
    errand->fault = fault_of(errand, request);
    if (!buf_append_span(&errand->text, request->text) && !loop_timer_reserve(&errand->timer))
        return errand;
    free_errand(errand);
    return NULL;
}

static void start(struct cloud_errand *errand)
{
    if (errand->fault)
        cloud_errand_pause(errand, 0, 0);
    else
        cloud_errand_go(errand, errand->store->kind->first_step(errand));
}

int cloud_store_begin(struct secret_store *base, struct secret_ask *ask,
                      const struct secret_request *request)
{
    struct cloud_store *store = container_of(base, struct cloud_store, store);
    struct cloud_errand *errand = new_errand(store, request);

    if (!errand)
        return ERR_NOMEM;
    errand->ask = ask;
    ask->work = errand;
    start(errand);
    return 0;
}

void cloud_store_cancel(struct secret_ask *ask)
{
    free_errand(ask->work);
}

/* ---- looks ---- */

static int begin_look(struct store_look *look)
{
    struct cloud_store *store = container_of(look->looks->store, struct cloud_store, store);
    struct secret_request request = {
        .act = SECRET_READ, .path = secret_watch_path(look->watch), .expected = SECRET_ANY};
    struct cloud_errand *errand = new_errand(store, &request);

    if (!errand)
        return ERR_NOMEM;
    errand->look = look;
    errand->is_other = look->is_whole;
    look->work = errand;
    start(errand);
    return 0;
}

static void cancel_look(struct store_look *look)
{
    free_errand(look->work);
}

const struct store_looks_ops cloud_looks_ops = {.begin = begin_look, .cancel = cancel_look};
