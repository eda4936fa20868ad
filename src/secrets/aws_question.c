#include "secrets/aws_question.h"

#include <stdio.h>

#include "base/err.h"
#include "base/rand.h"
#include "json/write.h"
#include "secrets/cloud_proof.h"
#include "secrets/sigv4.h"

#define SERVICE SPAN("secretsmanager")
#define TYPE    SPAN("application/x-amz-json-1.1")

static struct aws_store *aws_of(const struct cloud_errand *errand)
{
    return container_of(errand->store, struct aws_store, cloud);
}

static const char *action_of(enum aws_step step)
{
    switch (step) {
    case AWS_STEP_VALUE:
        return "GetSecretValue";
    case AWS_STEP_FIND:
    case AWS_STEP_CHECK:
        return "DescribeSecret";
    case AWS_STEP_PUT:
    case AWS_STEP_PEND:
        return "PutSecretValue";
    case AWS_STEP_CREATE:
        return "CreateSecret";
    case AWS_STEP_RESTORE:
        return "RestoreSecret";
    case AWS_STEP_MOVE:
    case AWS_STEP_DROP:
        return "UpdateSecretVersionStage";
    case AWS_STEP_DELETE:
        return "DeleteSecret";
    case AWS_STEP_LIST:
        return "ListSecrets";
    case AWS_STEP_VERSIONS:
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

    switch ((enum aws_step)errand->step) {
    case AWS_STEP_VALUE:
        if (*errand->version)
            json_member_text(writer, is_stage(errand->version) ? "VersionStage" : "VersionId",
                             errand->version);
        break;
    case AWS_STEP_FIND:
    case AWS_STEP_CHECK:
    case AWS_STEP_RESTORE:
        break;
    case AWS_STEP_PUT:
        write_value(writer, errand);
        break;
    case AWS_STEP_CREATE:
        write_value(writer, errand);
        if (store->kms_key)
            json_member_text(writer, "KmsKeyId", store->kms_key);
        break;
    case AWS_STEP_PEND:
        write_value(writer, errand);
        json_name(writer, "VersionStages");
        json_begin_array(writer);
        json_text(writer, "AWSPENDING");
        json_end_array(writer);
        break;
    case AWS_STEP_MOVE:
        json_member_text(writer, "VersionStage", "AWSCURRENT");
        json_member_text(writer, "MoveToVersionId", errand->made);
        if (*errand->id)
            json_member_text(writer, "RemoveFromVersionId", errand->id);
        break;
    case AWS_STEP_DROP:
        json_member_text(writer, "VersionStage", "AWSPENDING");
        json_member_text(writer, "RemoveFromVersionId", errand->made);
        break;
    case AWS_STEP_DELETE:
        if (store->recovery_days)
            json_member_uint(writer, "RecoveryWindowInDays", store->recovery_days);
        else
            json_member_bool(writer, "ForceDeleteWithoutRecovery", true);
        break;
    case AWS_STEP_LIST:
        write_list(writer, errand);
        break;
    case AWS_STEP_VERSIONS:
        write_page(writer, errand);
        break;
    }
}

static void write_body(struct buf *body, struct cloud_errand *errand)
{
    struct json_writer writer;

    json_writer_init(&writer, body);
    json_begin_object(&writer);
    if (errand->step != AWS_STEP_LIST)
        json_member_text(&writer, errand->step == AWS_STEP_CREATE ? "Name" : "SecretId",
                         errand->name);
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

void aws_question_write(struct cloud_errand *errand, struct cloud_question *question)
{
    char target[64];
    int len = snprintf(target, sizeof(target), "secretsmanager.%s",
                       action_of((enum aws_step)errand->step));

    question->method = "POST";
    question->is_repeatable = true; /* by their tokens, puts too */
    buf_printf(&question->url, "%s/", errand->store->url);
    write_body(&question->body, errand);
    if (!cloud_question_err(question))
        sign(errand, question, span_of(target, (size_t)len));
}
