/*
 * An AWS Secrets Manager, and an STS and metadata server beside it, strict as the real ones:
 * signatures are computed anew (by OpenSSL), actions know their members, staging labels stand on
 * one version each, deleted secrets are kept for a while.
 */
#ifndef TESTS_SECRETS_AWS_DOUBLE_H
#define TESTS_SECRETS_AWS_DOUBLE_H

#include "cloud_double.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

enum { AD_SECRETS = 48, AD_VERSIONS = 24, AD_LABELS = 4, AD_PAGE = 2 };

struct ad_version {
    char id[80], labels[AD_LABELS][24];
    char *text; /* NULL: it has no value yet */
    bool is_binary;
    double created;
};

struct ad_secret {
    char name[300];
    bool is_deleted;
    struct ad_version versions[AD_VERSIONS];
    int version_count;
};

struct aws_double {
    struct cloud_double cd;
    /* How it is set up. */
    const char *key_id, *secret, *session; /* session NULL: none is to be sent */
    const char *region;
    const char *refuse;     /* an action that is answered by AccessDeniedException */
    bool is_expired;        /* the session has ended: until the next is got */
    int races;              /* so often somebody else writes after a DescribeSecret */
    int lost;               /* so often an UpdateSecretVersionStage is done, and answered by 500 */
    int going;              /* so often a name that was deleted for good is still going */
    const char *jwt, *role; /* of web identities */
    _Atomic uint64_t *wall_us;
    int life_s; /* of what they get */
    /* What it holds and saw. */
    struct ad_secret secrets[AD_SECRETS];
    int secret_count, logins;
    double now;
    int others;         /* versions that somebody else made */
    char actions[8192]; /* in order, a space behind each */
    bool was_forced;
    int recovery_days;
    char kms_key[64];
};

/* ---- signatures ---- */

static inline void ad_hex(const unsigned char *bytes, unsigned len, char *out)
{
    for (unsigned i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static inline void ad_hash(const char *text, char *hex)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    EVP_Digest(text, strlen(text), digest, &len, EVP_sha256(), NULL);
    ad_hex(digest, len, hex);
}

static inline void ad_hmac(unsigned char *key, int *key_len, const char *text)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    HMAC(EVP_sha256(), key, *key_len, (const unsigned char *)text, strlen(text), digest, &len);
    memcpy(key, digest, len);
    *key_len = (int)len;
}

/* NULL: the signature is right; else what is wrong. */
static inline const char *ad_check_signature(struct aws_double *ad)
{
    static char canonical[CD_BYTES], value[20000];
    char authorization[4096], date[32], names[256], name[128], scope[256], to_sign[512], hash[80];
    char expected[80], want[4096];
    unsigned char key[EVP_MAX_MD_SIZE + 64];
    int key_len;

    cd_header(&ad->cd, "authorization", authorization, sizeof(authorization));
    cd_header(&ad->cd, "x-amz-date", date, sizeof(date));
    if (strlen(date) != 16 || sscanf(authorization, "%*[^,], SignedHeaders=%255[^,],", names) != 1)
        return "no authorization";
    snprintf(canonical, sizeof(canonical), "%s\n%s\n\n", ad->cd.method, ad->cd.path);
    for (const char *at = names; *at; at += strcspn(at, ";"), at += *at == ';') {
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ";"), at);
        snprintf(canonical + strlen(canonical), sizeof(canonical) - strlen(canonical), "%s:%s\n",
                 name, cd_header(&ad->cd, name, value, sizeof(value)));
    }
    ad_hash(ad->cd.body, hash);
    snprintf(canonical + strlen(canonical), sizeof(canonical) - strlen(canonical), "\n%s\n%s",
             names, hash);
    ad_hash(canonical, hash);
    snprintf(scope, sizeof(scope), "%.8s/%s/secretsmanager/aws4_request", date, ad->region);
    snprintf(to_sign, sizeof(to_sign), "AWS4-HMAC-SHA256\n%s\n%s\n%s", date, scope, hash);
    key_len = snprintf((char *)key, sizeof(key), "AWS4%s", ad->secret);
    snprintf(want, sizeof(want), "%.8s", date);
    ad_hmac(key, &key_len, want);
    ad_hmac(key, &key_len, ad->region);
    ad_hmac(key, &key_len, "secretsmanager");
    ad_hmac(key, &key_len, "aws4_request");
    ad_hmac(key, &key_len, to_sign);
    ad_hex(key, (unsigned)key_len, expected);
    snprintf(want, sizeof(want),
             "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%s", ad->key_id, scope,
             names, expected);
    if (strcmp(want, authorization) != 0)
        return "wrong signature";
    return strcmp(names, ad->session ? "content-type;host;x-amz-date;x-amz-security-token;x-amz-"
                                       "target"
                                     : "content-type;host;x-amz-date;x-amz-target")
               ? "not all that counts is signed"
               : NULL;
}

/* ---- what it holds ---- */

static inline void ad_refuse(struct aws_double *ad, const char *code, const char *message)
{
    cd_say(&ad->cd, 400, "{\"__type\":\"com.amazonaws#%s\",\"Message\":\"%s\"}", code, message);
}

static inline struct ad_secret *ad_find(struct aws_double *ad, const char *name)
{
    for (int i = 0; i < ad->secret_count; i++) {
        if (!strcmp(ad->secrets[i].name, name))
            return &ad->secrets[i];
    }
    return NULL;
}

static inline struct ad_version *ad_version_of(struct ad_secret *secret, const char *id)
{
    for (int i = 0; secret && i < secret->version_count; i++) {
        if (!strcmp(secret->versions[i].id, id))
            return &secret->versions[i];
    }
    return NULL;
}

static inline char *ad_label_of(struct ad_version *version, const char *label)
{
    for (int i = 0; i < AD_LABELS; i++) {
        if (!strcmp(version->labels[i], label))
            return version->labels[i];
    }
    return NULL;
}

static inline struct ad_version *ad_labelled(struct ad_secret *secret, const char *label)
{
    for (int i = 0; secret && i < secret->version_count; i++) {
        if (ad_label_of(&secret->versions[i], label))
            return &secret->versions[i];
    }
    return NULL;
}

static inline void ad_put_label(struct ad_secret *secret, struct ad_version *to, const char *label)
{
    struct ad_version *from = ad_labelled(secret, label);

    if (from == to)
        return;
    if (from)
        *ad_label_of(from, label) = '\0';
    if (to)
        snprintf(ad_label_of(to, ""), 24, "%s", label);
    if (from && to && !strcmp(label, "AWSCURRENT"))
        ad_put_label(secret, from, "AWSPREVIOUS");
}

static inline struct ad_version *ad_add(struct aws_double *ad, struct ad_secret *secret,
                                        const char *id, const char *text, const char *label)
{
    struct ad_version *version = &secret->versions[secret->version_count++];

    assert_true(secret->version_count <= AD_VERSIONS);
    memset(version, 0, sizeof(*version));
    snprintf(version->id, sizeof(version->id), "%s", id);
    version->text = text ? strdup(text) : NULL;
    version->created = ad->now += 0.25;
    ad_put_label(secret, version, label);
    return version;
}

static inline struct ad_secret *ad_make(struct aws_double *ad, const char *name)
{
    struct ad_secret *secret = &ad->secrets[ad->secret_count++];

    assert_true(ad->secret_count <= AD_SECRETS);
    memset(secret, 0, sizeof(*secret));
    snprintf(secret->name, sizeof(secret->name), "%s", name);
    return secret;
}

static inline void ad_drop(struct aws_double *ad, struct ad_secret *secret)
{
    for (int i = 0; i < secret->version_count; i++)
        free(secret->versions[i].text);
    *secret = ad->secrets[--ad->secret_count];
}

/* As somebody else writes it. */
static inline void ad_put(struct aws_double *ad, const char *name, const char *text)
{
    struct ad_secret *secret = ad_find(ad, name);
    char id[80];

    snprintf(id, sizeof(id), "00000000-0000-4000-8000-%012d", ++ad->others);
    ad_add(ad, secret ? secret : ad_make(ad, name), id, text, "AWSCURRENT");
}

/* ---- actions ---- */

struct ad_call {
    yyjson_val *root;
    const char *name; /* SecretId or Name */
    struct ad_secret *secret;
};

static inline const char *ad_text(const struct ad_call *call, const char *name)
{
    const char *text = yyjson_get_str(yyjson_obj_get(call->root, name));

    return text ? text : "";
}

static inline void ad_not_found(struct aws_double *ad)
{
    ad_refuse(ad, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.");
}

static inline void ad_marked(struct aws_double *ad)
{
    ad_refuse(ad, "InvalidRequestException",
              "You can't perform this operation on the secret because it was marked for deletion.");
}

static inline void ad_get(struct aws_double *ad, const struct ad_call *call)
{
    static char quoted[CD_BYTES / 4];
    const char *id = ad_text(call, "VersionId"), *label = ad_text(call, "VersionStage");
    struct ad_version *version = *id ? ad_version_of(call->secret, id)
                                     : ad_labelled(call->secret, *label ? label : "AWSCURRENT");

    if (call->secret->is_deleted)
        ad_marked(ad);
    else if (*id && strlen(id) < 32)
        ad_refuse(ad, "InvalidParameterException", "The version's id is too short.");
    else if (!version || !version->text)
        ad_refuse(ad, "ResourceNotFoundException",
                  "Secrets Manager can't find the specified secret value.");
    else
        cd_say(&ad->cd, 200,
               "{\"ARN\":\"arn:aws:secretsmanager:x\",\"CreatedDate\":%.3f,\"Name\":\"%s\","
               "\"%s\":%s,\"VersionId\":\"%s\",\"VersionStages\":[\"AWSCURRENT\"]}",
               version->created, call->name, version->is_binary ? "SecretBinary" : "SecretString",
               cd_quoted(version->text, quoted, sizeof(quoted)), version->id);
}

static inline void ad_say_version(struct aws_double *ad, const struct ad_call *call, const char *id)
{
    cd_say(&ad->cd, 200,
           "{\"ARN\":\"arn:aws:secretsmanager:x\",\"Name\":\"%s\",\"VersionId\":\"%s\"}",
           call->name, id);
}

static inline void ad_put_value(struct aws_double *ad, const struct ad_call *call)
{
    const char *token = ad_text(call, "ClientRequestToken"), *text = ad_text(call, "SecretString");
    yyjson_val *stages = yyjson_obj_get(call->root, "VersionStages");
    struct ad_version *version = ad_version_of(call->secret, token);
    const char *label = stages ? yyjson_get_str(yyjson_arr_get_first(stages)) : "AWSCURRENT";

    if (strlen(token) != 36 || !*text || strlen(text) > 65536) {
        cd_fault(&ad->cd, "PutSecretValue");
        ad_refuse(ad, "InvalidParameterException", "wrong");
    } else if (call->secret->is_deleted) {
        ad_marked(ad);
    } else if (version && strcmp(version->text, text) != 0) {
        ad_refuse(ad, "ResourceExistsException", "That version exists with another value.");
    } else {
        if (!version)
            ad_add(ad, call->secret, token, text, label);
        ad_say_version(ad, call, token);
    }
}

static inline void ad_create(struct aws_double *ad, struct ad_call *call)
{
    const char *token = ad_text(call, "ClientRequestToken"), *text = ad_text(call, "SecretString");

    if (strlen(token) != 36 || !*text || strlen(text) > 65536 || *ad_text(call, "SecretId"))
        cd_fault(&ad->cd, "CreateSecret");
    if (call->secret && call->secret->is_deleted) {
        ad_refuse(ad, "InvalidRequestException",
                  "You can't create this secret because a secret with this name is already "
                  "scheduled for deletion.");
    } else if (ad->going) {
        ad->going--;
        ad_refuse(ad, "InvalidRequestException",
                  "You can't create this secret because a secret with this name is already "
                  "scheduled for deletion.");
    } else if (call->secret) {
        ad_refuse(ad, "ResourceExistsException", "The operation failed because the secret exists.");
    } else {
        snprintf(ad->kms_key, sizeof(ad->kms_key), "%s", ad_text(call, "KmsKeyId"));
        ad_add(ad, ad_make(ad, call->name), token, text, "AWSCURRENT");
        ad_say_version(ad, call, token);
    }
}

static inline void ad_describe(struct aws_double *ad, const struct ad_call *call)
{
    char versions[4096] = "";

    for (int i = 0; i < call->secret->version_count; i++) {
        struct ad_version *version = &call->secret->versions[i];
        char labels[128] = "";

        for (int j = 0; j < AD_LABELS; j++) {
            if (*version->labels[j])
                snprintf(labels + strlen(labels), sizeof(labels) - strlen(labels), "%s\"%s\"",
                         *labels ? "," : "", version->labels[j]);
        }
        if (*labels)
            snprintf(versions + strlen(versions), sizeof(versions) - strlen(versions),
                     "%s\"%s\":[%s]", *versions ? "," : "", version->id, labels);
    }
    cd_say(&ad->cd, 200, "{\"ARN\":\"arn:aws:secretsmanager:x\",%s%s%s%s\"Name\":\"%s\"}",
           call->secret->is_deleted ? "\"DeletedDate\":1764000000.5," : "",
           *versions ? "\"VersionIdsToStages\":{" : "", versions, *versions ? "}," : "",
           call->name);
    if (ad->races > 0 && ad->races--)
        ad_put(ad, call->name, "{\"api_key\":\"another's\"}");
}

static inline void ad_stage(struct aws_double *ad, const struct ad_call *call)
{
    const char *label = ad_text(call, "VersionStage"), *to = ad_text(call, "MoveToVersionId");
    const char *from = ad_text(call, "RemoveFromVersionId");
    struct ad_version *now = ad_labelled(call->secret, label);

    if (!*label || (!*to && !*from) || (*to && !ad_version_of(call->secret, to))) {
        cd_fault(&ad->cd, "UpdateSecretVersionStage");
        ad_refuse(ad, "InvalidParameterException", "wrong");
    } else if (now ? strcmp(now->id, from) != 0 : *from != '\0') {
        ad_refuse(ad, "InvalidParameterException",
                  "The parameter RemoveFromVersionId can't be empty, or is another version's.");
    } else {
        ad_put_label(call->secret, *to ? ad_version_of(call->secret, to) : NULL, label);
        cd_say(&ad->cd, 200, "{\"Name\":\"%s\"}", call->name);
        if (ad->lost > 0 && ad->lost--)
            cd_say(&ad->cd, 500, "{\"__type\":\"InternalServiceError\",\"message\":\"lost\"}");
    }
}

static inline void ad_delete(struct aws_double *ad, const struct ad_call *call)
{
    yyjson_val *days = yyjson_obj_get(call->root, "RecoveryWindowInDays");

    ad->was_forced = yyjson_get_bool(yyjson_obj_get(call->root, "ForceDeleteWithoutRecovery"));
    ad->recovery_days = yyjson_get_int(days);
    if (ad->was_forced == (days != NULL))
        cd_fault(&ad->cd, "DeleteSecret");
    if (call->secret->is_deleted) {
        ad_marked(ad);
        return;
    }
    if (ad->was_forced)
        ad_drop(ad, call->secret);
    else
        call->secret->is_deleted = true;
    cd_say(&ad->cd, 200, "{\"Name\":\"%s\",\"DeletionDate\":1764000000.5}", call->name);
}

/* AD_PAGE of them from where the token says. */
static inline void ad_list(struct aws_double *ad, const struct ad_call *call)
{
    yyjson_val *filter = yyjson_arr_get_first(yyjson_obj_get(call->root, "Filters"));
    const char *prefix = yyjson_get_str(yyjson_arr_get_first(yyjson_obj_get(filter, "Values")));
    int from = (int)strtol(ad_text(call, "NextToken"), NULL, 10), seen = 0, told = 0;
    char list[8192] = "";

    if (filter && (!yyjson_equals_str(yyjson_obj_get(filter, "Key"), "name") || !prefix))
        cd_fault(&ad->cd, "ListSecrets");
    for (int i = 0; i < ad->secret_count; i++) {
        struct ad_secret *secret = &ad->secrets[i];

        if (secret->is_deleted || (prefix && strncmp(secret->name, prefix, strlen(prefix)) != 0) ||
            seen++ < from || told == AD_PAGE)
            continue;
        snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s{\"Name\":\"%s\"}",
                 told++ ? "," : "", secret->name);
    }
    if (seen > from + told)
        cd_say(&ad->cd, 200, "{\"SecretList\":[%s],\"NextToken\":\"%d\"}", list, from + told);
    else
        cd_say(&ad->cd, 200, "{\"SecretList\":[%s]}", list);
}

/* Those with a label, in no order that means anything. */
static inline void ad_list_versions(struct aws_double *ad, const struct ad_call *call)
{
    int from = (int)strtol(ad_text(call, "NextToken"), NULL, 10), seen = 0, told = 0;
    char list[8192] = "";

    for (int i = 0; i < call->secret->version_count; i++) {
        struct ad_version *version = &call->secret->versions[i];
        bool is_current = ad_label_of(version, "AWSCURRENT") != NULL;

        if ((!is_current && !ad_label_of(version, "AWSPREVIOUS")) || seen++ < from ||
            told == AD_PAGE)
            continue;
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"VersionId\":\"%s\",\"VersionStages\":[\"%s\"],\"CreatedDate\":%.3f}",
                 told++ ? "," : "", version->id, is_current ? "AWSCURRENT" : "AWSPREVIOUS",
                 version->created);
    }
    if (seen > from + told)
        cd_say(&ad->cd, 200, "{\"Name\":\"x\",\"Versions\":[%s],\"NextToken\":\"%d\"}", list,
               from + told);
    else
        cd_say(&ad->cd, 200, "{\"Name\":\"x\",\"Versions\":[%s]}", list);
}

static inline void ad_act(struct aws_double *ad, const char *action, struct ad_call *call)
{
    if (!strcmp(action, "CreateSecret"))
        ad_create(ad, call);
    else if (!strcmp(action, "ListSecrets"))
        ad_list(ad, call);
    else if (!call->secret)
        ad_not_found(ad);
    else if (!strcmp(action, "GetSecretValue"))
        ad_get(ad, call);
    else if (!strcmp(action, "PutSecretValue"))
        ad_put_value(ad, call);
    else if (!strcmp(action, "DescribeSecret"))
        ad_describe(ad, call);
    else if (!strcmp(action, "UpdateSecretVersionStage"))
        ad_stage(ad, call);
    else if (!strcmp(action, "DeleteSecret"))
        ad_delete(ad, call);
    else if (!strcmp(action, "ListSecretVersionIds"))
        ad_list_versions(ad, call);
    else if (!strcmp(action, "RestoreSecret"))
        call->secret->is_deleted = false, cd_say(&ad->cd, 200, "{\"Name\":\"%s\"}", call->name);
    else
        cd_fault(&ad->cd, "no such action");
}

/* ---- logins ---- */

static inline void ad_new_session(struct aws_double *ad)
{
    static char session[64];

    snprintf(session, sizeof(session), "session-%d", ++ad->logins);
    ad->session = session;
    ad->is_expired = false;
}

static inline void ad_until(const struct aws_double *ad, char *until, size_t size)
{
    time_t at = (time_t)(atomic_load(ad->wall_us) / 1000000) + ad->life_s;
    struct tm parts;

    strftime(until, size, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &parts));
}

static inline void ad_say_keys(struct aws_double *ad, const char *code)
{
    char until[40];

    ad_new_session(ad);
    ad_until(ad, until, sizeof(until));
    cd_say(&ad->cd, 200,
           "{%s\"AccessKeyId\":\"%s\",\"SecretAccessKey\":\"%s\",\"Token\":\"%s\",\"Expiration\":"
           "\"%s\"}",
           code, ad->key_id, ad->secret, ad->session, until);
}

static inline void ad_sts(struct aws_double *ad)
{
    char action[64], version[32], role[128], name[64], token[256], until[40];

    cd_member(ad->cd.body, "Action", action, sizeof(action));
    cd_member(ad->cd.body, "Version", version, sizeof(version));
    cd_member(ad->cd.body, "RoleArn", role, sizeof(role));
    cd_member(ad->cd.body, "RoleSessionName", name, sizeof(name));
    cd_member(ad->cd.body, "WebIdentityToken", token, sizeof(token));
    if (strcmp(action, "AssumeRoleWithWebIdentity") != 0 || strcmp(version, "2011-06-15") != 0 ||
        !*name || strcmp(role, ad->role) != 0)
        cd_fault(&ad->cd, "STS");
    if (strcmp(token, ad->jwt) != 0) {
        snprintf(ad->cd.answer, sizeof(ad->cd.answer),
                 "HTTP/1.1 400 X\r\nConnection: close\r\n\r\n<ErrorResponse><Error><Type>Sender"
                 "</Type><Code>InvalidIdentityToken</Code><Message>Token is not ours</Message>"
                 "</Error></ErrorResponse>");
        return;
    }
    ad_new_session(ad);
    ad_until(ad, until, sizeof(until));
    snprintf(ad->cd.answer, sizeof(ad->cd.answer),
             "HTTP/1.1 200 X\r\nContent-Type: text/xml\r\nConnection: close\r\n\r\n"
             "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
             "<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey>"
             "<SessionToken>%s</SessionToken><Expiration>%s</Expiration></Credentials>"
             "</AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>",
             ad->key_id, ad->secret, ad->session, until);
}

/* True where it was such a request. */
static inline bool ad_log_in(struct aws_double *ad)
{
    bool is_get = !strcmp(ad->cd.method, "GET");

    if (!strcmp(ad->cd.path, "/sts/")) {
        ad_sts(ad);
    } else if (!strcmp(ad->cd.path, "/container")) {
        if (!is_get || !cd_header_is(&ad->cd, "Authorization", ad->jwt))
            cd_say(&ad->cd, 401, "{\"code\":\"AccessDenied\"}");
        else
            ad_say_keys(ad, "");
    } else if (!strcmp(ad->cd.path, "/latest/api/token")) {
        if (strcmp(ad->cd.method, "PUT") != 0 ||
            !cd_header_is(&ad->cd, "X-aws-ec2-metadata-token-ttl-seconds", "300"))
            cd_fault(&ad->cd, "IMDSv2");
        cd_say(&ad->cd, 200, "imds-token");
    } else if (!strncmp(ad->cd.path, "/latest/meta-data/iam/security-credentials/", 43)) {
        if (!is_get || !cd_header_is(&ad->cd, "X-aws-ec2-metadata-token", "imds-token"))
            cd_say(&ad->cd, 401, "unauthorized");
        else if (!ad->cd.path[43])
            cd_say(&ad->cd, 200, "gateway-role\n");
        else if (!strcmp(ad->cd.path + 43, "gateway-role"))
            ad_say_keys(ad, "\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",");
        else
            cd_say(&ad->cd, 404, "no such role");
    } else {
        return false;
    }
    return true;
}

/* ---- the server ---- */

static inline void ad_handle(struct cloud_double *cd)
{
    struct aws_double *ad = container_of(cd, struct aws_double, cd);
    char target[128], session[256];
    yyjson_doc *doc;
    struct ad_call call;

    if (ad_log_in(ad))
        return;
    cd_header(cd, "x-amz-target", target, sizeof(target));
    cd_header(cd, "x-amz-security-token", session, sizeof(session));
    if (strcmp(cd->method, "POST") != 0 || strcmp(cd->path, "/") != 0 ||
        strncmp(target, "secretsmanager.", 15) != 0 ||
        !cd_header_is(cd, "Content-Type", "application/x-amz-json-1.1")) {
        cd_fault(cd, "not the protocol");
        cd_say(cd, 404, "{}");
        return;
    }
    snprintf(ad->actions + strlen(ad->actions), sizeof(ad->actions) - strlen(ad->actions), "%s ",
             target + 15);
    if (ad->session && (ad->is_expired || strcmp(session, ad->session) != 0)) {
        ad_refuse(ad, "ExpiredTokenException", "The security token included has expired");
        return;
    }
    if (ad_check_signature(ad)) {
        ad_refuse(ad, "InvalidSignatureException", ad_check_signature(ad));
        return;
    }
    if (ad->refuse && !strcmp(ad->refuse, target + 15)) {
        ad_refuse(ad, "AccessDeniedException", "User is not authorized to perform it");
        return;
    }
    doc = yyjson_read(cd->body, strlen(cd->body), 0);
    call = (struct ad_call){.root = yyjson_doc_get_root(doc)};
    call.name = ad_text(&call, strcmp(target + 15, "CreateSecret") ? "SecretId" : "Name");
    call.secret = ad_find(ad, call.name);
    ad_act(ad, target + 15, &call);
    yyjson_doc_free(doc);
}

static inline struct aws_double *ad_open(void)
{
    struct aws_double *ad = calloc(1, sizeof(*ad));

    assert_non_null(ad);
    ad->key_id = "AKIDEXAMPLE";
    ad->secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    ad->region = "eu-west-1";
    ad->jwt = "jwt-1";
    ad->role = "arn:aws:iam::123456789012:role/gateway";
    ad->life_s = 3600;
    ad->now = 1763700000;
    cd_open(&ad->cd, ad_handle);
    return ad;
}

static inline void ad_close(struct aws_double **ad)
{
    while ((*ad)->secret_count)
        ad_drop(*ad, &(*ad)->secrets[0]);
    cd_close(&(*ad)->cd);
    free(*ad);
    *ad = NULL;
}

#endif
