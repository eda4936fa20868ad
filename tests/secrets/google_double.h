/*
 * A Google Secret Manager, and a metadata and token server beside it, strict as the real ones:
 * versions are counted and never reused, sums are checked (by a table of its own), pages are short.
 */
#ifndef TESTS_SECRETS_GOOGLE_DOUBLE_H
#define TESTS_SECRETS_GOOGLE_DOUBLE_H

#include "cloud_double.h"

#include <openssl/evp.h>

enum { GD_SECRETS = 48, GD_VERSIONS = 24, GD_PAGE = 2 };

struct gd_version {
    char *text;        /* NULL: destroyed */
    const char *state; /* "ENABLED", ... */
};

struct gd_secret {
    char name[300];
    int born;
    struct gd_version versions[GD_VERSIONS]; /* from 1 */
    int count;
};

struct google_double {
    struct cloud_double cd;
    /* How it is set up. */
    const char *parent;
    const char *forbid; /* what a path ends with that is answered by 403 */
    int races;          /* so often somebody else adds a version before ours is added */
    bool is_expired;    /* the token has ended: until the next is got */
    bool is_sum_wrong;
    int life_s;
    /* What it holds and saw. */
    struct gd_secret secrets[GD_SECRETS];
    int secret_count, births, logins, destroyed;
    char token[64];
};

static inline void gd_refuse(struct google_double *gd, int code, const char *status,
                             const char *message)
{
    cd_say(&gd->cd, code, "{\"error\":{\"code\":%d,\"message\":\"%s\",\"status\":\"%s\"}}", code,
           message, status);
}

static inline struct gd_secret *gd_find(struct google_double *gd, const char *name)
{
    for (int i = 0; i < gd->secret_count; i++) {
        if (!strcmp(gd->secrets[i].name, name))
            return &gd->secrets[i];
    }
    return NULL;
}

static inline struct gd_secret *gd_make(struct google_double *gd, const char *name)
{
    struct gd_secret *secret = &gd->secrets[gd->secret_count++];
    char copy[300];

    assert_true(gd->secret_count <= GD_SECRETS);
    snprintf(copy, sizeof(copy), "%s", name);
    memset(secret, 0, sizeof(*secret));
    memcpy(secret->name, copy, sizeof(copy));
    secret->born = ++gd->births;
    return secret;
}

static inline void gd_drop(struct google_double *gd, struct gd_secret *secret)
{
    for (int i = 1; i <= secret->count; i++)
        free(secret->versions[i].text);
    *secret = gd->secrets[--gd->secret_count];
}

/* As somebody else adds it. */
static inline void gd_put(struct google_double *gd, const char *name, const char *text)
{
    struct gd_secret *secret = gd_find(gd, name);

    if (!secret)
        secret = gd_make(gd, name);
    assert_true(++secret->count < GD_VERSIONS);
    secret->versions[secret->count] = (struct gd_version){strdup(text), "ENABLED"};
}

static inline const char *gd_name(const struct google_double *gd, const struct gd_secret *secret,
                                  int number)
{
    static char name[600];

    snprintf(name, sizeof(name), "projects/123/secrets/%s/versions/%d", secret->name, number);
    (void)gd;
    return name;
}

static inline const char *gd_made(const struct gd_secret *secret, int number)
{
    static char made[64];

    snprintf(made, sizeof(made), "2026-11-20T10:%02d:%02d.123456Z", secret->born % 60, number);
    return made;
}

static inline uint32_t gd_sum(const char *text, size_t len)
{
    uint32_t table[256], sum = 0xffffffff;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int j = 0; j < 8; j++)
            table[i] = table[i] & 1 ? 0x82f63b78 ^ (table[i] >> 1) : table[i] >> 1;
    }
    for (size_t i = 0; i < len; i++)
        sum = table[(sum ^ (unsigned char)text[i]) & 0xff] ^ (sum >> 8);
    return ~sum;
}

/* ---- what can be asked of a secret ---- */

static inline void gd_access(struct google_double *gd, const struct gd_secret *secret, int number)
{
    static char data[CD_BYTES / 4];
    const struct gd_version *version = &secret->versions[number];
    size_t len;

    if (strcmp(version->state, "ENABLED") != 0) {
        gd_refuse(gd, 400, "FAILED_PRECONDITION", "Secret Version is in DESTROYED state.");
        return;
    }
    len = strlen(version->text);
    EVP_EncodeBlock((unsigned char *)data, (const unsigned char *)version->text, (int)len);
    cd_say(&gd->cd, 200, "{\"name\":\"%s\",\"payload\":{\"data\":\"%s\",\"dataCrc32c\":\"%u\"}}",
           gd_name(gd, secret, number), data,
           (unsigned)(gd_sum(version->text, len) + gd->is_sum_wrong));
}

static inline void gd_say_version(struct google_double *gd, const struct gd_secret *secret,
                                  int number)
{
    cd_say(&gd->cd, 200, "{\"name\":\"%s\",\"createTime\":\"%s\",\"state\":\"%s\",\"etag\":\"e\"}",
           gd_name(gd, secret, number), gd_made(secret, number), secret->versions[number].state);
}

static inline void gd_add(struct google_double *gd, struct gd_secret *secret)
{
    static char text[CD_BYTES / 4];
    yyjson_doc *doc = yyjson_read(gd->cd.body, strlen(gd->cd.body), 0);
    yyjson_val *payload = yyjson_obj_get(yyjson_doc_get_root(doc), "payload");
    const char *data = yyjson_get_str(yyjson_obj_get(payload, "data"));
    const char *sum = yyjson_get_str(yyjson_obj_get(payload, "dataCrc32c"));
    int len = data ? EVP_DecodeBlock((unsigned char *)text, (const unsigned char *)data,
                                     (int)strlen(data))
                   : 0;

    for (size_t i = data ? strlen(data) : 0; i && data[i - 1] == '='; i--)
        len--;
    if (len <= 0 || len > 65536 || !sum || strtoul(sum, NULL, 10) != gd_sum(text, (size_t)len)) {
        cd_fault(&gd->cd, "addVersion");
        gd_refuse(gd, 400, "INVALID_ARGUMENT", "wrong");
    } else {
        text[len] = '\0';
        if (gd->races > 0 && gd->races--)
            gd_put(gd, secret->name, "{\"api_key\":\"another's\"}");
        gd_put(gd, secret->name, text);
        gd_say_version(gd, secret, secret->count);
    }
    yyjson_doc_free(doc);
}

static inline void gd_destroy(struct google_double *gd, struct gd_secret *secret, int number)
{
    free(secret->versions[number].text);
    secret->versions[number] = (struct gd_version){NULL, "DESTROYED"};
    gd->destroyed++;
    gd_say_version(gd, secret, number);
}

static inline void gd_versions(struct google_double *gd, const struct gd_secret *secret)
{
    char token[32], list[8192] = "";
    int from;

    cd_member(cd_query(&gd->cd), "pageToken", token, sizeof(token));
    from = *token ? (int)strtol(token + 2, NULL, 10) : secret->count;
    for (int i = from; i > 0 && i > from - GD_PAGE; i--)
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"name\":\"%s\",\"createTime\":\"%s\",\"state\":\"%s\"}", *list ? "," : "",
                 gd_name(gd, secret, i), gd_made(secret, i), secret->versions[i].state);
    if (from > GD_PAGE)
        cd_say(&gd->cd, 200, "{\"versions\":[%s],\"nextPageToken\":\"/+%d\",\"totalSize\":9}", list,
               from - GD_PAGE);
    else
        cd_say(&gd->cd, 200, *list ? "{\"versions\":[%s]}" : "{}", list);
}

/* "versions/5:access": its number, and what is asked of it. */
static inline void gd_version(struct google_double *gd, struct gd_secret *secret, char *rest)
{
    char *action = strchr(rest, ':');
    int number;

    if (action)
        *action++ = '\0';
    number = !strcmp(rest, "latest") ? secret->count : (int)strtol(rest, NULL, 10);
    if (number < 1 || number > secret->count)
        gd_refuse(gd, strspn(rest, "0123456789latest") == strlen(rest) ? 404 : 400, "NOT_FOUND",
                  "Secret Version not found or has no versions.");
    else if (!action)
        gd_say_version(gd, secret, number);
    else if (!strcmp(action, "access"))
        gd_access(gd, secret, number);
    else if (!strcmp(action, "destroy") && !strcmp(gd->cd.method, "POST"))
        gd_destroy(gd, secret, number);
    else
        cd_fault(&gd->cd, "no such action");
}

/* What follows "secrets/". */
static inline void gd_secret(struct google_double *gd, char *rest)
{
    bool is_get = !strcmp(gd->cd.method, "GET"), is_post = !strcmp(gd->cd.method, "POST");
    size_t len = strcspn(rest, ":/");
    char name[300];
    struct gd_secret *secret;

    snprintf(name, sizeof(name), "%.*s", (int)len, rest);
    secret = gd_find(gd, name);
    rest += len;
    if (!secret)
        gd_refuse(gd, 404, "NOT_FOUND", "Secret not found.");
    else if (!*rest && !strcmp(gd->cd.method, "DELETE"))
        gd_drop(gd, secret), cd_say(&gd->cd, 200, "{}");
    else if (is_post && !strcmp(rest, ":addVersion"))
        gd_add(gd, secret);
    else if (is_get && !strcmp(rest, "/versions"))
        gd_versions(gd, secret);
    else if (!strncmp(rest, "/versions/", 10) && (is_get || is_post))
        gd_version(gd, secret, rest + 10);
    else
        cd_fault(&gd->cd, "no such call");
}

static inline void gd_create(struct google_double *gd)
{
    bool is_regional = strstr(gd->parent, "/locations/") != NULL;
    char name[300];

    cd_member(cd_query(&gd->cd), "secretId", name, sizeof(name));
    if (!*name || strlen(name) > 255 ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") !=
            strlen(name) ||
        strcmp(gd->cd.body, is_regional ? "{}" : "{\"replication\":{\"automatic\":{}}}") != 0) {
        cd_fault(&gd->cd, "create");
        gd_refuse(gd, 400, "INVALID_ARGUMENT", "wrong");
    } else if (gd_find(gd, name)) {
        gd_refuse(gd, 409, "ALREADY_EXISTS", "Secret already exists.");
    } else {
        gd_make(gd, name);
        cd_say(&gd->cd, 200, "{\"name\":\"projects/123/secrets/%s\",\"etag\":\"e\"}", name);
    }
}

static inline void gd_list(struct google_double *gd)
{
    char token[32], list[8192] = "";
    int from;

    cd_member(cd_query(&gd->cd), "pageToken", token, sizeof(token));
    from = *token ? (int)strtol(token + 2, NULL, 10) : 0;
    for (int i = from; i < gd->secret_count && i < from + GD_PAGE; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"name\":\"projects/123/secrets/%s\"}", *list ? "," : "", gd->secrets[i].name);
    if (from + GD_PAGE < gd->secret_count)
        cd_say(&gd->cd, 200, "{\"secrets\":[%s],\"nextPageToken\":\"/+%d\"}", list, from + GD_PAGE);
    else
        cd_say(&gd->cd, 200, *list ? "{\"secrets\":[%s]}" : "{}", list);
}

/* ---- the server ---- */

static inline void gd_say_token(struct google_double *gd)
{
    snprintf(gd->token, sizeof(gd->token), "ya29.token-%d", ++gd->logins);
    gd->is_expired = false;
    cd_say(&gd->cd, 200, "{\"access_token\":\"%s\",\"expires_in\":%d,\"token_type\":\"Bearer\"}",
           gd->token, gd->life_s);
}

static inline void gd_with_token(struct google_double *gd)
{
    char start[300], path[4096], want[128];
    size_t len = (size_t)snprintf(start, sizeof(start), "/v1/%s/secrets", gd->parent);

    snprintf(path, sizeof(path), "%.*s", (int)strcspn(gd->cd.path, "?"), gd->cd.path);
    snprintf(want, sizeof(want), "Bearer %s", gd->token);
    if (!cd_header_is(&gd->cd, "Authorization", want) || gd->is_expired) {
        gd_refuse(gd, 401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    } else if (strncmp(path, start, len) != 0) {
        cd_fault(&gd->cd, "not the project");
        gd_refuse(gd, 404, "NOT_FOUND", "no such page");
    } else if (gd->forbid && strlen(path) >= strlen(gd->forbid) &&
               !strcmp(path + strlen(path) - strlen(gd->forbid), gd->forbid)) {
        gd_refuse(gd, 403, "PERMISSION_DENIED", "Permission denied on resource.");
    } else if (path[len] == '/') {
        gd_secret(gd, path + len + 1);
    } else if (!strcmp(gd->cd.method, "POST")) {
        gd_create(gd);
    } else {
        gd_list(gd);
    }
}

static inline void gd_handle(struct cloud_double *cd)
{
    struct google_double *gd = container_of(cd, struct google_double, cd);
    char grant[128];

    if (!strcmp(cd->path, "/computeMetadata/v1/instance/service-accounts/default/token")) {
        if (strcmp(cd->method, "GET") != 0 || !cd_header_is(cd, "Metadata-Flavor", "Google"))
            cd_fault(cd, "metadata");
        gd_say_token(gd);
    } else if (!strcmp(cd->path, "/token")) {
        cd_member(cd->body, "grant_type", grant, sizeof(grant));
        if (strcmp(grant, "urn:ietf:params:oauth:grant-type:jwt-bearer") != 0)
            cd_fault(cd, "token");
        gd_say_token(gd);
    } else {
        gd_with_token(gd);
    }
}

static inline struct google_double *gd_open(void)
{
    struct google_double *gd = calloc(1, sizeof(*gd));

    assert_non_null(gd);
    gd->parent = "projects/my-project";
    gd->life_s = 3600;
    snprintf(gd->token, sizeof(gd->token), "ya29.token-0");
    cd_open(&gd->cd, gd_handle);
    return gd;
}

static inline void gd_close(struct google_double **gd)
{
    while ((*gd)->secret_count)
        gd_drop(*gd, &(*gd)->secrets[0]);
    cd_close(&(*gd)->cd);
    free(*gd);
    *gd = NULL;
}

#endif
