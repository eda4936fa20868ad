#include "secrets/aws_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "secrets/aws_answer.h"
#include "secrets/aws_question.h"

enum { ENTRY_MAX_BYTES = 65536, TRIES_MAX = 16, REGION_MAX_BYTES = 64, URL_BYTES = 128 };

#define PAUSE_US (500 * US_PER_MS) /* while a removed secret goes */

/* ---- answers ---- */

static bool is_good(const struct cloud_reply *reply)
{
    return reply->status >= 200 && reply->status <= 299;
}

static enum aws_refusal refusal_of(const struct cloud_reply *reply)
{
    return aws_answer_refusal(reply->status, reply->body);
}

static uint64_t version_of(const char *id)
{
    return *id ? secret_version_of(span_from_text(id)) : 0;
}

static void take_value(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    struct buf text;
    int err;

    if (!is_good(reply)) {
        enum aws_refusal refusal = refusal_of(reply);

        /* A version that has no value yet, or a secret that is going, is not there either. */
        if (refusal == AWS_NOT_FOUND || refusal == AWS_STATE ||
            (refusal == AWS_INVALID && *errand->version))
            cloud_errand_end(errand, 0);
        else
            cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&text, 4 * (size_t)SECRET_ENTRY_MAX_BYTES);
    text.is_secret = true;
    err = aws_answer_value(reply->body, &text, errand->id);
    if (err)
        cloud_errand_end_unread(errand, err);
    else
        cloud_errand_end_text(errand, buf_span(&text), version_of(errand->id));
    buf_fini(&text);
}

/* What is there, in has_found, id and is_other (marked for deletion): true; else it has ended. */
static bool read_found(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    int err;

    errand->id[0] = '\0';
    errand->has_found = is_good(reply);
    errand->is_other = false;
    if (!errand->has_found && refusal_of(reply) == AWS_NOT_FOUND)
        return true;
    if (!errand->has_found) {
        cloud_errand_end_refused(errand, reply);
        return false;
    }
    err = aws_answer_described(reply->body, errand->id, &errand->is_other);
    if (err)
        cloud_errand_end_unread(errand, err);
    return !err;
}

static void look_found(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (!is_good(reply) && refusal_of(reply) == AWS_DENIED) {
        errand->look->is_whole = true;
        cloud_errand_go(errand, AWS_STEP_VALUE);
    } else if (read_found(errand, reply)) {
        cloud_errand_end(errand, errand->is_other ? 0 : version_of(errand->id));
    }
}

/* Once it was restored, what is there again is what was to be written over: errand->number. */
static void write_found(struct cloud_errand *errand)
{
    uint64_t version = errand->is_other ? 0 : version_of(errand->id);

    if (version && !strcmp(errand->id, errand->made))
        cloud_errand_end(errand, version); /* an earlier try had made it */
    else if (++errand->tries >= TRIES_MAX)
        cloud_errand_end_failed(errand, ERR_PROTO, "the secret does not come to rest");
    else if (errand->expected != SECRET_ANY && errand->expected != version && !errand->number)
        cloud_errand_end_other(errand);
    else if (!errand->has_found)
        cloud_errand_go(errand, AWS_STEP_CREATE);
    else if (errand->is_other)
        cloud_errand_go(errand, AWS_STEP_RESTORE);
    else
        cloud_errand_go(errand, errand->expected == SECRET_ANY ? AWS_STEP_PUT : AWS_STEP_PEND);
}

static void take_found(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    uint64_t version;

    if (errand->look) {
        look_found(errand, reply);
        return;
    }
    if (!read_found(errand, reply))
        return;
    version = errand->is_other ? 0 : version_of(errand->id);
    if (errand->act == SECRET_WRITE)
        write_found(errand);
    else if (errand->act == SECRET_VERSIONS && errand->has_found && !errand->is_other)
        cloud_errand_go(errand, AWS_STEP_VERSIONS);
    else if (errand->act == SECRET_VERSIONS)
        cloud_errand_end_names(errand);
    else if (errand->expected != version)
        cloud_errand_end_other(errand);
    else if (!errand->has_found || errand->is_other)
        cloud_errand_end(errand, 0);
    else
        cloud_errand_go(errand, AWS_STEP_DELETE);
}

/* It is looked at anew, as somebody else, or the cloud, has changed what we saw. */
static void take_put(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    enum aws_refusal refusal = is_good(reply) ? AWS_OTHER : refusal_of(reply);
    int err;

    if (refusal == AWS_NOT_FOUND && ++errand->tries < TRIES_MAX) {
        cloud_errand_go(errand, AWS_STEP_FIND);
    } else if ((refusal == AWS_EXISTS || refusal == AWS_STATE) && ++errand->tries < TRIES_MAX) {
        cloud_errand_pause(errand, AWS_STEP_FIND, errand->step == AWS_STEP_CREATE ? PAUSE_US : 0);
    } else if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
    } else {
        err = aws_answer_made(reply->body, errand->made);
        if (err)
            cloud_errand_end_unread(errand, err);
        else if (errand->step == AWS_STEP_PEND)
            cloud_errand_go(errand, AWS_STEP_MOVE);
        else
            cloud_errand_end(errand, version_of(errand->made));
    }
}

static void take_restored(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    /* It may have gone for good meanwhile. */
    if (is_good(reply) || refusal_of(reply) == AWS_NOT_FOUND) {
        errand->number = is_good(reply);
        cloud_errand_pause(errand, AWS_STEP_FIND, is_good(reply) ? 0 : PAUSE_US);
    } else {
        cloud_errand_end_refused(errand, reply);
    }
}

static bool is_elsewhere(enum aws_refusal refusal)
{
    return refusal == AWS_INVALID || refusal == AWS_STATE || refusal == AWS_NOT_FOUND;
}

static void take_moved(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (is_good(reply))
        cloud_errand_end(errand, version_of(errand->made));
    else if (is_elsewhere(refusal_of(reply)))
        cloud_errand_go(errand, AWS_STEP_CHECK);
    else
        cloud_errand_end_refused(errand, reply);
}

/* The label is not where it was expected: or it is where we put it, and only the answer was lost.
 */
static void take_check(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    char before[SECRET_VERSION_MAX_BYTES + 1];

    snprintf(before, sizeof(before), "%s", errand->id);
    if (!read_found(errand, reply))
        return;
    if (!strcmp(errand->id, errand->made))
        cloud_errand_end(errand, version_of(errand->made));
    else if (!strcmp(errand->id, before) && errand->has_found && !errand->is_other)
        cloud_errand_end_failed(errand, ERR_PROTO, "AWSCURRENT cannot be moved");
    else if (errand->has_found)
        cloud_errand_go(errand, AWS_STEP_DROP);
    else
        cloud_errand_end_other(errand);
}

static void take_deleted(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    enum aws_refusal refusal = is_good(reply) ? AWS_NOT_FOUND : refusal_of(reply);

    if (refusal == AWS_NOT_FOUND || refusal == AWS_STATE)
        cloud_errand_end(errand, 0);
    else
        cloud_errand_end_refused(errand, reply);
}

static int on_name(void *owner, struct span name)
{
    return cloud_errand_add_name(owner, name);
}

static void take_page(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    struct buf next;
    int err;

    if (!is_good(reply)) {
        if (errand->step == AWS_STEP_VERSIONS && refusal_of(reply) == AWS_NOT_FOUND)
            cloud_errand_end_names(errand);
        else
            cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&next, errand->page.max);
    if (errand->step == AWS_STEP_LIST)
        err = aws_answer_names(reply->body, on_name, errand, &next);
    else
        err = aws_answer_versions(reply->body, &errand->versions, &next);
    buf_fini(&errand->page);
    errand->page = next;
    if (err)
        cloud_errand_end_unread(errand, err);
    else if (next.len)
        cloud_errand_go(errand, errand->step);
    else
        cloud_errand_end_names(errand);
}

static void take(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    switch ((enum aws_step)errand->step) {
    case AWS_STEP_VALUE:
        take_value(errand, reply);
        break;
    case AWS_STEP_FIND:
        take_found(errand, reply);
        break;
    case AWS_STEP_PUT:
    case AWS_STEP_CREATE:
    case AWS_STEP_PEND:
        take_put(errand, reply);
        break;
    case AWS_STEP_RESTORE:
        take_restored(errand, reply);
        break;
    case AWS_STEP_MOVE:
        take_moved(errand, reply);
        break;
    case AWS_STEP_CHECK:
        take_check(errand, reply);
        break;
    case AWS_STEP_DROP: /* whatever came of it: the version is not current */
        cloud_errand_end_other(errand);
        break;
    case AWS_STEP_DELETE:
        take_deleted(errand, reply);
        break;
    case AWS_STEP_LIST:
    case AWS_STEP_VERSIONS:
        take_page(errand, reply);
        break;
    }
}

static unsigned first_step(struct cloud_errand *errand)
{
    switch (errand->act) {
    case SECRET_READ:
        return errand->look && !errand->look->is_whole ? AWS_STEP_FIND : AWS_STEP_VALUE;
    case SECRET_WRITE:
        return errand->expected == SECRET_ANY ? AWS_STEP_PUT : AWS_STEP_FIND;
    case SECRET_REMOVE:
        return errand->expected == SECRET_ANY ? AWS_STEP_DELETE : AWS_STEP_FIND;
    case SECRET_LIST:
        return AWS_STEP_LIST;
    case SECRET_VERSIONS:
        break;
    }
    return AWS_STEP_FIND;
}

static bool is_login_refused(const struct cloud_reply *reply)
{
    return !is_good(reply) && refusal_of(reply) == AWS_LOGIN;
}

static bool is_busy(int status, struct span body)
{
    return status >= 400 && aws_answer_refusal(status, body) == AWS_BUSY;
}

static int refusal(const struct cloud_reply *reply, struct buf *words)
{
    aws_answer_words(reply->body, words);
    switch (refusal_of(reply)) {
    case AWS_LOGIN:
    case AWS_DENIED:
        return ERR_DENIED;
    case AWS_BUSY:
    case AWS_SERVER_FAILS:
        return ERR_UNREACHABLE;
    case AWS_LIMIT:
        return ERR_FULL;
    case AWS_OTHER:
    case AWS_NOT_FOUND:
    case AWS_EXISTS:
    case AWS_STATE:
    case AWS_INVALID:
        break;
    }
    return ERR_PROTO;
}

/* ---- the store ---- */

static void free_store(struct secret_store *base)
{
    struct aws_store *store =
        container_of(container_of(base, struct cloud_store, store), struct aws_store, cloud);

    cloud_store_fini(&store->cloud);
    mem_free(store->region);
    mem_free(store->kms_key);
    mem_free(store);
}

static const struct cloud_kind kind = {
    .ops = {.kind = "aws",
            .has_versions = true,
            .begin = cloud_store_begin,
            .cancel = cloud_store_cancel,
            .watch = cloud_store_watch,
            .unwatch = cloud_store_unwatch,
            .free = free_store},
    .label = "aws",
    .names = SECRET_NAME_PLAIN,
    .entry_max = ENTRY_MAX_BYTES,
    .first_step = first_step,
    .ask = aws_question_write,
    .take = take,
    .is_login_refused = is_login_refused,
    .refusal = refusal,
};

static bool is_region(const char *region)
{
    struct span text = span_from_text(region);

    return text.len <= REGION_MAX_BYTES && secret_version_is_good(text);
}

static const char *fault_of(const struct aws_options *options)
{
    if (!is_region(options->region))
        return "the region is none";
    if (options->recovery_days && (options->recovery_days < 7 || options->recovery_days > 30))
        return "the days for recovery are neither 0 nor 7 to 30";
    switch (options->login.kind) {
    case CLOUD_LOGIN_SECRET:
        return options->login.name && *options->login.name ? NULL : "no access key id is given";
    case CLOUD_LOGIN_AWS_WEB_IDENTITY:
    case CLOUD_LOGIN_AWS_CONTAINER:
    case CLOUD_LOGIN_AWS_INSTANCE:
        return NULL;
    case CLOUD_LOGIN_FILE:
    case CLOUD_LOGIN_CREDENTIAL:
    case CLOUD_LOGIN_GOOGLE_METADATA:
    case CLOUD_LOGIN_AZURE_IDENTITY:
        break;
    }
    return "such a login is not AWS's";
}

/* What follows the scheme; borrowed. */
static struct span without_scheme(struct span url)
{
    size_t at = span_find(url, SPAN("://"));

    return at == SIZE_MAX || !url.ptr ? SPAN("") : span_skip(url, at + 3);
}

/* The part of the URL that is signed as its host: without the scheme's own port. */
static struct span host_of(struct span url)
{
    struct span port = span_has_prefix(url, SPAN("https://")) ? SPAN(":443") : SPAN(":80");
    struct span host = without_scheme(url);
    size_t slash = span_find_byte(host, '/');

    if (slash != SIZE_MAX)
        host.len = slash;
    if (host.len && span_has_suffix(host, port))
        host.len -= port.len;
    return host;
}

/* Beyond the '/' that there may be: it is signed. */
static bool has_path(struct span url)
{
    struct span rest = without_scheme(url);
    size_t slash = span_find_byte(rest, '/');

    for (size_t i = slash; i < rest.len; i++) {
        if (rest.ptr[i] != '/')
            return true;
    }
    return false;
}

/* NULL without memory. */
static struct aws_store *new_store(const struct aws_options *options)
{
    struct aws_store *store = mem_zalloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->recovery_days = options->recovery_days;
    store->region = mem_strdup(options->region, strlen(options->region));
    if (options->kms_key)
        store->kms_key = mem_strdup(options->kms_key, strlen(options->kms_key));
    if (store->region && (store->kms_key || !options->kms_key))
        return store;
    mem_free(store->region);
    mem_free(store->kms_key);
    mem_free(store);
    return NULL;
}

int aws_store_open(const struct aws_options *options, struct secret_store **ret_store, char *why)
{
    const char *fault = fault_of(options);
    char url[URL_BYTES];
    struct cloud_options cloud = {.loop = options->loop,
                                  .fetcher = options->fetcher,
                                  .secrets = options->secrets,
                                  .url = options->url ? options->url : url,
                                  .ca_file = options->ca_file,
                                  .prefix = options->prefix,
                                  .region = options->region,
                                  .login = &options->login,
                                  .poll_us = options->poll_us,
                                  .connect_us = options->connect_us,
                                  .total_us = options->total_us,
                                  .is_busy = is_busy};
    struct aws_store *store;
    int err;

    snprintf(url, sizeof(url), "https://secretsmanager.%.64s.amazonaws.com%s",
             options->region ? options->region : "",
             span_has_prefix(span_from_text(options->region), SPAN("cn-")) ? ".cn" : "");
    if (!fault)
        fault = cloud_options_fault(&cloud);
    if (!fault && has_path(span_from_text(cloud.url)))
        fault = "the address has a path";
    if (fault)
        return cloud_options_refuse("aws", fault, why);
    store = new_store(options);
    err = cloud_store_open(store ? &store->cloud : NULL, &kind, &cloud, ret_store, why);
    if (!err)
        store->host = host_of(span_from_text(store->cloud.url));
    return err;
}
