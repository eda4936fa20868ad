/*
 * A Kubernetes cluster's API for Secrets, strict as the real one: names are DNS subdomains, every
 * change counts one resourceVersion for all, conflicts and preconditions are told, metadata alone
 * are given where they are asked for.
 */
#ifndef TESTS_SECRETS_KUBERNETES_DOUBLE_H
#define TESTS_SECRETS_KUBERNETES_DOUBLE_H

#include "cloud_double.h"

enum { KD_SECRETS = 48, KD_PAGE = 2 };

struct kd_secret {
    char name[300];
    char *data; /* the object, as JSON */
    unsigned version;
};

struct kubernetes_double {
    struct cloud_double cd;
    /* How it is set up. */
    const char *token;
    const char *forbid; /* a method that is answered by 403 */
    int races;          /* so often somebody else writes after metadata are read */
    bool is_expired;    /* a list that goes on has taken too long, once */
    /* What it holds and saw. */
    struct kd_secret secrets[KD_SECRETS];
    int secret_count;
    unsigned version;
    int whole_reads;
};

static inline void kd_refuse(struct kubernetes_double *kd, int status, const char *reason,
                             const char *message)
{
    cd_say(&kd->cd, status,
           "{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Failure\","
           "\"message\":\"%s\",\"reason\":\"%s\",\"code\":%d}",
           message, reason, status);
}

static inline struct kd_secret *kd_find(struct kubernetes_double *kd, const char *name)
{
    for (int i = 0; i < kd->secret_count; i++) {
        if (!strcmp(kd->secrets[i].name, name))
            return &kd->secrets[i];
    }
    return NULL;
}

static inline void kd_drop(struct kubernetes_double *kd, struct kd_secret *secret)
{
    free(secret->data);
    *secret = kd->secrets[--kd->secret_count];
    kd->version++;
}

/* As somebody else writes it: data is an object. */
static inline struct kd_secret *kd_put(struct kubernetes_double *kd, const char *name,
                                       const char *data)
{
    struct kd_secret *secret = kd_find(kd, name);

    if (!secret) {
        secret = &kd->secrets[kd->secret_count++];
        assert_true(kd->secret_count <= KD_SECRETS);
        memset(secret, 0, sizeof(*secret));
        snprintf(secret->name, sizeof(secret->name), "%s", name);
    }
    free(secret->data);
    secret->data = strdup(data);
    secret->version = ++kd->version;
    return secret;
}

/* RFC 1123, as the API server checks it. */
static inline bool kd_is_name(const char *name)
{
    size_t len = strlen(name);

    for (size_t i = 0; i < len; i++) {
        bool is_alnum = (name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9');
        bool is_edge = i == 0 || i + 1 == len || name[i - 1] == '.' || name[i + 1] == '.';

        if (!is_alnum && (is_edge || (name[i] != '-' && name[i] != '.')))
            return false;
    }
    return len > 0 && len <= 253;
}

static inline void kd_say(struct kubernetes_double *kd, int status, const struct kd_secret *secret)
{
    char accept[200];
    bool is_metadata;

    cd_header(&kd->cd, "Accept", accept, sizeof(accept));
    is_metadata = !strcmp(accept, "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
    if (!is_metadata && strcmp(accept, "application/json") != 0)
        cd_fault(&kd->cd, "Accept");
    kd->whole_reads += !is_metadata && !strcmp(kd->cd.method, "GET");
    cd_say(&kd->cd, status,
           "{\"kind\":\"%s\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"%s\","
           "\"resourceVersion\":\"%u\",\"uid\":\"u\"}%s%s}",
           is_metadata ? "PartialObjectMetadata" : "Secret", secret->name, secret->version,
           is_metadata ? "" : ",\"type\":\"Opaque\",\"data\":", is_metadata ? "" : secret->data);
    if (is_metadata && kd->races > 0 && kd->races--)
        kd_put(kd, secret->name, "{\"api_key\":\"b3RoZXI=\"}");
}

static inline void kd_not_found(struct kubernetes_double *kd)
{
    kd_refuse(kd, 404, "NotFound", "secrets not found");
}

/* What a body has: the data, and the version that it expects. */
struct kd_body {
    yyjson_doc *doc;
    const char *name, *version;
    char *data;
};

static inline bool kd_read_body(struct kubernetes_double *kd, struct kd_body *body)
{
    yyjson_val *root, *metadata, *data;

    body->doc = yyjson_read(kd->cd.body, strlen(kd->cd.body), 0);
    root = yyjson_doc_get_root(body->doc);
    metadata = yyjson_obj_get(root, "metadata");
    data = yyjson_obj_get(root, "data");
    body->name = yyjson_get_str(yyjson_obj_get(metadata, "name"));
    body->version = yyjson_get_str(yyjson_obj_get(metadata, "resourceVersion"));
    body->data = data ? yyjson_val_write(data, 0, NULL) : NULL;
    return cd_header_is(&kd->cd, "Content-Type", "application/json") && body->name && body->data &&
           yyjson_equals_str(yyjson_obj_get(root, "apiVersion"), "v1") &&
           yyjson_equals_str(yyjson_obj_get(root, "kind"), "Secret") &&
           yyjson_equals_str(yyjson_obj_get(root, "type"), "Opaque") && kd_is_name(body->name);
}

static inline void kd_write(struct kubernetes_double *kd, const char *name)
{
    bool is_new = !*name;
    struct kd_body body;
    struct kd_secret *secret;
    char version[16] = "";

    if (!kd_read_body(kd, &body) || (!is_new && strcmp(body.name, name) != 0) ||
        (is_new && body.version)) {
        cd_fault(&kd->cd, "body");
        kd_refuse(kd, 422, "Invalid", "wrong");
    } else {
        secret = kd_find(kd, body.name);
        if (secret)
            snprintf(version, sizeof(version), "%u", secret->version);
        if (is_new && secret)
            kd_refuse(kd, 409, "AlreadyExists", "secrets already exists");
        else if (!is_new && !secret)
            kd_not_found(kd);
        else if (body.version && strcmp(body.version, version) != 0)
            kd_refuse(kd, 409, "Conflict", "the object has been modified");
        else
            kd_say(kd, is_new ? 201 : 200, kd_put(kd, body.name, body.data));
    }
    free(body.data);
    yyjson_doc_free(body.doc);
}

static inline void kd_delete(struct kubernetes_double *kd, struct kd_secret *secret)
{
    yyjson_doc *doc = yyjson_read(kd->cd.body, strlen(kd->cd.body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *version =
        yyjson_get_str(yyjson_obj_get(yyjson_obj_get(root, "preconditions"), "resourceVersion"));

    if (*kd->cd.body &&
        (!version || !yyjson_equals_str(yyjson_obj_get(root, "kind"), "DeleteOptions")))
        cd_fault(&kd->cd, "DeleteOptions");
    if (!secret)
        kd_not_found(kd);
    else if (version && strtoul(version, NULL, 10) != secret->version)
        kd_refuse(kd, 409, "Conflict", "the ResourceVersion in the precondition does not match");
    else
        kd_drop(kd, secret), cd_say(&kd->cd, 200, "{\"kind\":\"Status\",\"status\":\"Success\"}");
    yyjson_doc_free(doc);
}

static inline void kd_list(struct kubernetes_double *kd)
{
    char token[32], list[8192] = "";
    int from;

    if (!cd_header_is(&kd->cd, "Accept",
                      "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"))
        cd_fault(&kd->cd, "a list of whole Secrets");
    if (cd_member(cd_query(&kd->cd), "continue", token, sizeof(token)) && kd->is_expired) {
        kd->is_expired = false;
        kd_refuse(kd, 410, "Expired", "The provided continue parameter is too old");
        return;
    }
    from = *token ? (int)strtol(token + 2, NULL, 10) : 0;
    for (int i = from; i < kd->secret_count && i < from + KD_PAGE; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"metadata\":{\"name\":\"%s\",\"resourceVersion\":\"%u\"}}", *list ? "," : "",
                 kd->secrets[i].name, kd->secrets[i].version);
    if (from + KD_PAGE < kd->secret_count)
        snprintf(token, sizeof(token), "a=%d", from + KD_PAGE);
    else
        token[0] = '\0';
    cd_say(&kd->cd, 200,
           "{\"kind\":\"PartialObjectMetadataList\",\"metadata\":{\"resourceVersion\":\"%u\","
           "\"continue\":\"%s\"},\"items\":[%s]}",
           kd->version, token, list);
}

static inline void kd_handle(struct cloud_double *cd)
{
    static const char start[] = "/api/v1/namespaces/llm/secrets";
    struct kubernetes_double *kd = container_of(cd, struct kubernetes_double, cd);
    char path[4096], want[128];
    const char *name = "";

    snprintf(path, sizeof(path), "%.*s", (int)strcspn(cd->path, "?"), cd->path);
    snprintf(want, sizeof(want), "Bearer %s", kd->token);
    if (!strncmp(path, start, strlen(start)) && path[strlen(start)] == '/')
        name = path + strlen(start) + 1;
    else if (strcmp(path, start) != 0)
        cd_fault(cd, "path");
    if (!cd_header_is(cd, "Authorization", want))
        kd_refuse(kd, 401, "Unauthorized", "Unauthorized");
    else if (kd->forbid && !strcmp(kd->forbid, cd->method))
        kd_refuse(kd, 403, "Forbidden", "secrets is forbidden: User cannot do that");
    else if (!strcmp(cd->method, "PUT") || (!strcmp(cd->method, "POST") && !*name))
        kd_write(kd, name);
    else if (!strcmp(cd->method, "DELETE"))
        kd_delete(kd, kd_find(kd, name));
    else if (strcmp(cd->method, "GET") != 0)
        cd_fault(cd, "method");
    else if (!*name)
        kd_list(kd);
    else if (!kd_find(kd, name))
        kd_not_found(kd);
    else
        kd_say(kd, 200, kd_find(kd, name));
}

static inline struct kubernetes_double *kd_open(void)
{
    struct kubernetes_double *kd = calloc(1, sizeof(*kd));

    assert_non_null(kd);
    kd->token = "token-1";
    kd->version = 1000;
    cd_open(&kd->cd, kd_handle);
    return kd;
}

static inline void kd_close(struct kubernetes_double **kd)
{
    while ((*kd)->secret_count)
        kd_drop(*kd, &(*kd)->secrets[0]);
    cd_close(&(*kd)->cd);
    free(*kd);
    *kd = NULL;
}

#endif
