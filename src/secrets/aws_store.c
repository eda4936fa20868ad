#include "secrets/aws_store.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/rand.h"
#include "json/write.h"
#include "secrets/aws_answer.h"
#include "secrets/cloud_proof.h"
#include "secrets/cloud_store.h"
#include "secrets/sigv4.h"

enum { ENTRY_MAX_BYTES = 65536, TRIES_MAX = 16, REGION_MAX_BYTES = 64, URL_BYTES = 128 };

#define PAUSE_US (500 * US_PER_MS) /* while a removed secret goes */
#define SERVICE  SPAN("secretsmanager")
#define TYPE     SPAN("application/x-amz-json-1.1")

enum step {
    STEP_VALUE,   /* what stands there */
    STEP_FIND,    /* which version is current */
    STEP_PUT,     /* a version that is current at once */
    STEP_CREATE,  /* a secret */
    STEP_RESTORE, /* one that is marked for deletion */
    STEP_PEND,    /* a version that is AWSPENDING */
    STEP_MOVE,    /* AWSCURRENT to it, from the one that was found */
    STEP_CHECK,   /* whether it was moved, or somebody else was quicker */
    STEP_DROP,    /* AWSPENDING of it */
    STEP_DELETE,
    STEP_LIST,
    STEP_VERSIONS,
};

struct aws_store {
    struct cloud_store cloud;
    struct span host; /* of the URL: "secretsmanager.eu-west-1.amazonaws.com" */
    char *region, *kms_key;
    unsigned recovery_days;
};

static struct aws_store *aws_of(const struct cloud_errand *errand)
{
    return container_of(errand->store, struct aws_store, cloud);
}

/* ---- questions ---- */

static const char *action_of(enum step step)
{
    switch (step) {
    case STEP_VALUE:
        return "GetSecretValue";
    case STEP_FIND:
    case STEP_CHECK:
        return "DescribeSecret";
    case STEP_PUT:
    case STEP_PEND:
        return "PutSecretValue";
    case STEP_CREATE:
        return "CreateSecret";
    case STEP_RESTORE:
        return "RestoreSecret";
    case STEP_MOVE:
    case STEP_DROP:
        return "UpdateSecretVersionStage";
    case STEP_DELETE:
        return "DeleteSecret";
    case STEP_LIST:
        return "ListSecrets";
    case STEP_VERSIONS:
        return "ListSecretVersionIds";
    }
    return "";
}

/* A random UUID (RFC 9562): the version's id to be. The same for each try. */
static void make_id(struct cloud_errand *errand)
{
    unsigned char b[16];

    if (*errand->made)
        return;
    rand_fill_secure(b, sizeof(b));
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
    snprintf(errand->made, sizeof(errand->made),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
             b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
             b[15]);
}

static void write_value(struct json_writer *writer, struct cloud_errand *errand)
{
    make_id(errand);
    json_member_text(writer, "ClientRequestToken", errand->made);
    json_member_string(writer, "SecretString", buf_span(&errand->text));
}

static void write_page(struct json_writer *writer, const struct cloud_errand *errand)
{
    json_member_uint(writer, "MaxResults", 100);
    if (errand->page.len)
        json_member_string(writer, "NextToken", buf_span(&errand->page));
}

static void write_list(struct json_writer *writer, const struct cloud_errand *errand)
{
    char folder[SECRET_NAME_BYTES + 1];

    write_page(writer, errand);
    if (!*errand->name)
        return;
    snprintf(folder, sizeof(folder), "%s/", errand->name);
    json_name(writer, "Filters");
    json_begin_array(writer);
    json_begin_object(writer);
    json_member_text(writer, "Key", "name");
    json_name(writer, "Values");
    json_begin_array(writer);
    json_text(writer, folder);
    json_end_array(writer);
    json_end_object(writer);
    json_end_array(writer);
}

static bool is_stage(const char *version)
{
    return !strcmp(version, "AWSCURRENT") || !strcmp(version, "AWSPENDING") ||
           !strcmp(version, "AWSPREVIOUS");
}

static void write_members(struct json_writer *writer, struct cloud_errand *errand)
{
    const struct aws_store *store = aws_of(errand);

    switch ((enum step)errand->step) {
    case STEP_VALUE:
        if (*errand->version)
            json_member_text(writer, is_stage(errand->version) ? "VersionStage" : "VersionId",
                             errand->version);
        break;
    case STEP_FIND:
    case STEP_CHECK:
    case STEP_RESTORE:
        break;
    case STEP_PUT:
        write_value(writer, errand);
        break;
    case STEP_CREATE:
        write_value(writer, errand);
        if (store->kms_key)
            json_member_text(writer, "KmsKeyId", store->kms_key);
        break;
    case STEP_PEND:
        write_value(writer, errand);
        json_name(writer, "VersionStages");
        json_begin_array(writer);
        json_text(writer, "AWSPENDING");
        json_end_array(writer);
        break;
    case STEP_MOVE:
        json_member_text(writer, "VersionStage", "AWSCURRENT");
        json_member_text(writer, "MoveToVersionId", errand->made);
        if (*errand->id)
            json_member_text(writer, "RemoveFromVersionId", errand->id);
        break;
    case STEP_DROP:
        json_member_text(writer, "VersionStage", "AWSPENDING");
        json_member_text(writer, "RemoveFromVersionId", errand->made);
        break;
    case STEP_DELETE:
        if (store->recovery_days)
            json_member_uint(writer, "RecoveryWindowInDays", store->recovery_days);
        else
            json_member_bool(writer, "ForceDeleteWithoutRecovery", true);
        break;
    case STEP_LIST:
        write_list(writer, errand);
        break;
    case STEP_VERSIONS:
        write_page(writer, errand);
        break;
    }
}

static void write_body(struct buf *body, struct cloud_errand *errand)
{
    struct json_writer writer;

    json_writer_init(&writer, body);
    json_begin_object(&writer);
    if (errand->step != STEP_LIST)
        json_member_text(&writer, errand->step == STEP_CREATE ? "Name" : "SecretId", errand->name);
    write_members(&writer, errand);
    json_end_object(&writer);
}

/* All header lines are signed. */
static void sign(struct cloud_errand *errand, struct cloud_question *question, struct span target)
{
    const struct aws_store *store = aws_of(errand);
    struct cloud_keys keys = cloud_keys_of(errand->secret);
    char date[SIGV4_DATE_BYTES + 1];
    const struct sigv4_header headers[] = {
        {SPAN("content-type"), TYPE},
        {SPAN("host"), store->host},
        {SPAN("x-amz-date"), span_of(date, SIGV4_DATE_BYTES)},
        keys.session.len ? (struct sigv4_header){SPAN("x-amz-security-token"), keys.session}
                         : (struct sigv4_header){SPAN("x-amz-target"), target},
        {SPAN("x-amz-target"), target},
    };
    const struct sigv4_request request = {.method = SPAN("POST"),
                                          .path = SPAN("/"),
                                          .query = SPAN(""),
                                          .headers = headers,
                                          .header_count = keys.session.len ? 5 : 4,
                                          .body = buf_span(&question->body)};
    const struct sigv4_scope scope = {.key_id = keys.id,
                                      .secret = keys.secret,
                                      .region = span_from_text(store->region),
                                      .service = SERVICE,
                                      .date = date};
    struct buf authorization;

    sigv4_date(loop_wall_us(store->cloud.store.loop), date);
    for (size_t i = 0; i < request.header_count; i++)
        cloud_question_line(question, headers[i].name.ptr, headers[i].value);
    buf_init(&authorization, 4096);
    authorization.is_secret = true;
    if (sigv4_authorization(&authorization, &request, &scope))
        buf_fail(&question->lines, ERR_NOMEM);
    cloud_question_line(question, "authorization", buf_span(&authorization));
    buf_fini(&authorization);
}

static void ask(struct cloud_errand *errand, struct cloud_question *question)
{
    char target[64];
    int len =
        snprintf(target, sizeof(target), "secretsmanager.%s", action_of((enum step)errand->step));

    question->method = "POST";
    question->is_repeatable = true; /* by their tokens, puts too */
    buf_printf(&question->url, "%s/", errand->store->url);
    write_body(&question->body, errand);
    if (!cloud_question_err(question))
        sign(errand, question, span_of(target, (size_t)len));
}

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
        if (refusal == AWS_NOT_FOUND || refusal == AWS_INVALID)
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
        cloud_errand_go(errand, STEP_VALUE);
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
        cloud_errand_go(errand, STEP_CREATE);
    else if (errand->is_other)
        cloud_errand_go(errand, STEP_RESTORE);
    else
        cloud_errand_go(errand, errand->expected == SECRET_ANY ? STEP_PUT : STEP_PEND);
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
        cloud_errand_go(errand, STEP_VERSIONS);
    else if (errand->act == SECRET_VERSIONS)
        cloud_errand_end_names(errand);
    else if (errand->expected != version)
        cloud_errand_end_other(errand);
    else if (!errand->has_found || errand->is_other)
        cloud_errand_end(errand, 0);
    else
        cloud_errand_go(errand, STEP_DELETE);
}

/* It is looked at anew, as somebody else, or the cloud, has changed what we saw. */
static void take_put(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    enum aws_refusal refusal = is_good(reply) ? AWS_OTHER : refusal_of(reply);
    int err;

    if (refusal == AWS_NOT_FOUND && ++errand->tries < TRIES_MAX) {
        cloud_errand_go(errand, STEP_FIND);
    } else if ((refusal == AWS_EXISTS || refusal == AWS_INVALID) && ++errand->tries < TRIES_MAX) {
        cloud_errand_pause(errand, STEP_FIND, errand->step == STEP_CREATE ? PAUSE_US : 0);
    } else if (!is_good(reply)) {
        cloud_errand_end_refused(errand, reply);
    } else {
        err = aws_answer_made(reply->body, errand->made);
        if (err)
            cloud_errand_end_unread(errand, err);
        else if (errand->step == STEP_PEND)
            cloud_errand_go(errand, STEP_MOVE);
        else
            cloud_errand_end(errand, version_of(errand->made));
    }
}

static void take_restored(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    /* It may have gone for good meanwhile. */
    if (is_good(reply) || refusal_of(reply) == AWS_NOT_FOUND) {
        errand->number = is_good(reply);
        cloud_errand_pause(errand, STEP_FIND, is_good(reply) ? 0 : PAUSE_US);
    } else {
        cloud_errand_end_refused(errand, reply);
    }
}

static void take_moved(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    if (is_good(reply))
        cloud_errand_end(errand, version_of(errand->made));
    else if (refusal_of(reply) == AWS_INVALID || refusal_of(reply) == AWS_NOT_FOUND)
        cloud_errand_go(errand, STEP_CHECK);
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
        cloud_errand_go(errand, STEP_DROP);
    else
        cloud_errand_end_other(errand);
}

static void take_deleted(struct cloud_errand *errand, const struct cloud_reply *reply)
{
    enum aws_refusal refusal = is_good(reply) ? AWS_NOT_FOUND : refusal_of(reply);

    if (refusal == AWS_NOT_FOUND || refusal == AWS_INVALID)
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
        if (errand->step == STEP_VERSIONS && refusal_of(reply) == AWS_NOT_FOUND)
            cloud_errand_end_names(errand);
        else
            cloud_errand_end_refused(errand, reply);
        return;
    }
    buf_init(&next, errand->page.max);
    if (errand->step == STEP_LIST)
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
    switch ((enum step)errand->step) {
    case STEP_VALUE:
        take_value(errand, reply);
        break;
    case STEP_FIND:
        take_found(errand, reply);
        break;
    case STEP_PUT:
    case STEP_CREATE:
    case STEP_PEND:
        take_put(errand, reply);
        break;
    case STEP_RESTORE:
        take_restored(errand, reply);
        break;
    case STEP_MOVE:
        take_moved(errand, reply);
        break;
    case STEP_CHECK:
        take_check(errand, reply);
        break;
    case STEP_DROP: /* whatever came of it: the version is not current */
        cloud_errand_end_other(errand);
        break;
    case STEP_DELETE:
        take_deleted(errand, reply);
        break;
    case STEP_LIST:
    case STEP_VERSIONS:
        take_page(errand, reply);
        break;
    }
}

static unsigned first_step(struct cloud_errand *errand)
{
    switch (errand->act) {
    case SECRET_READ:
        return errand->look && !errand->look->is_whole ? STEP_FIND : STEP_VALUE;
    case SECRET_WRITE:
        return errand->expected == SECRET_ANY ? STEP_PUT : STEP_FIND;
    case SECRET_REMOVE:
        return errand->expected == SECRET_ANY ? STEP_DELETE : STEP_FIND;
    case SECRET_LIST:
        return STEP_LIST;
    case SECRET_VERSIONS:
        break;
    }
    return STEP_FIND;
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
    .ask = ask,
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

/* The part of the URL that is signed as its host: without the scheme's own port. */
static struct span host_of(const char *url)
{
    struct span rest = span_from_text(url), port = SPAN(":80");
    size_t slash;

    if (span_has_prefix(rest, SPAN("https://")))
        port = SPAN(":443");
    rest = span_skip(rest, port.len == 4 ? 8 : 7);
    slash = span_find_byte(rest, '/');
    rest = span_of(rest.ptr, slash == SIZE_MAX ? rest.len : slash);
    if (span_has_suffix(rest, port))
        rest.len -= port.len;
    return rest;
}

/* Beyond the one '/' that there may be: it is signed. */
static bool has_path(const char *url)
{
    struct span host = host_of(url);
    const char *path = strchr(host.ptr, '/');

    return path && path[strspn(path, "/")] != '\0';
}

static int copy_options(struct aws_store *store, const struct aws_options *options,
                        const struct cloud_options *cloud)
{
    store->region = mem_strdup(options->region, strlen(options->region));
    store->recovery_days = options->recovery_days;
    if (options->kms_key)
        store->kms_key = mem_strdup(options->kms_key, strlen(options->kms_key));
    if (cloud_store_init(&store->cloud, &kind, cloud) || !store->region ||
        (options->kms_key && !store->kms_key))
        return ERR_NOMEM;
    store->host = host_of(store->cloud.url);
    return 0;
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

    snprintf(url, sizeof(url), "https://secretsmanager.%.64s.amazonaws.com%s",
             options->region ? options->region : "",
             span_has_prefix(span_from_text(options->region), SPAN("cn-")) ? ".cn" : "");
    if (!fault)
        fault = cloud_options_fault(&cloud);
    if (!fault && has_path(cloud.url))
        fault = "the address has a path";
    if (fault)
        return cloud_options_refuse("aws", fault, why);
    snprintf(why, SECRET_WORDS_BYTES, "aws: %s", err_text(ERR_NOMEM));
    store = mem_zalloc(1, sizeof(*store));
    if (!store)
        return ERR_NOMEM;
    if (copy_options(store, options, &cloud)) {
        free_store(&store->cloud.store);
        return ERR_NOMEM;
    }
    why[0] = '\0';
    *ret_store = &store->cloud.store;
    return 0;
}
