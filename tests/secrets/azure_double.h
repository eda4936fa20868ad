/*
 * An Azure Key Vault, and a token server and identity endpoint beside it, strict as the real ones:
 * names count without regard to large and small letters, deleted secrets keep theirs until they are
 * recovered, and deleting and recovering take a while.
 */
#ifndef TESTS_SECRETS_AZURE_DOUBLE_H
#define TESTS_SECRETS_AZURE_DOUBLE_H

#include "cloud_double.h"

enum { ZD_SECRETS = 48, ZD_VERSIONS = 24, ZD_PAGE = 2 };

struct zd_version {
    char id[40], *text;
    unsigned created;
    bool is_disabled;
};

struct zd_secret {
    char name[160];
    bool is_deleted;
    int moving; /* so many requests until it is deleted, or recovered, for all to see */
    struct zd_version versions[ZD_VERSIONS];
    int count;
};

struct azure_double {
    struct cloud_double cd;
    /* How it is set up. */
    const char *forbid; /* a method that is answered by 403 */
    bool is_expired;    /* the token has ended: until the next is got */
    bool is_link_elsewhere;
    int slow;  /* how long a deletion or recovery takes, in requests */
    int races; /* so often somebody else sets a secret after it was read */
    int life_s;
    /* What it holds and saw. */
    struct zd_secret secrets[ZD_SECRETS];
    int secret_count, logins, ids, recovered;
    unsigned now;
    char token[64];
};

static inline void zd_refuse(struct azure_double *zd, int status, const char *code,
                             const char *inner, const char *message)
{
    cd_say(&zd->cd, status, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"%s%s%s}}", code, message,
           *inner ? ",\"innererror\":{\"code\":\"" : "", inner, *inner ? "\"}" : "");
}

static inline struct zd_secret *zd_find(struct azure_double *zd, const char *name)
{
    for (int i = 0; i < zd->secret_count; i++) {
        if (!strcasecmp(zd->secrets[i].name, name))
            return &zd->secrets[i];
    }
    return NULL;
}

static inline void zd_drop(struct azure_double *zd, struct zd_secret *secret)
{
    for (int i = 0; i < secret->count; i++)
        free(secret->versions[i].text);
    *secret = zd->secrets[--zd->secret_count];
}

/* As somebody else sets it. */
static inline struct zd_secret *zd_put(struct azure_double *zd, const char *name, const char *text)
{
    struct zd_secret *secret = zd_find(zd, name);
    struct zd_version *version;

    if (!secret) {
        secret = &zd->secrets[zd->secret_count++];
        assert_true(zd->secret_count <= ZD_SECRETS);
        memset(secret, 0, sizeof(*secret));
        snprintf(secret->name, sizeof(secret->name), "%s", name);
    }
    version = &secret->versions[secret->count++];
    assert_true(secret->count <= ZD_VERSIONS);
    *version = (struct zd_version){.text = strdup(text), .created = ++zd->now};
    snprintf(version->id, sizeof(version->id), "%08x%024x", ++zd->ids * 2654435761u, 7);
    return secret;
}

static inline void zd_say_version(struct azure_double *zd, const struct zd_secret *secret, int at)
{
    static char quoted[CD_BYTES / 4];
    const struct zd_version *version = &secret->versions[at];

    if (version->is_disabled)
        zd_refuse(zd, 403, "Forbidden", "SecretDisabled",
                  "Operation get is not allowed on a disabled secret.");
    else
        cd_say(&zd->cd, 200,
               "{\"value\":%s,\"contentType\":\"application/json\",\"id\":\"https://v.example/"
               "secrets/%s/%s\",\"attributes\":{\"enabled\":true,\"created\":%u}}",
               cd_quoted(version->text, quoted, sizeof(quoted)), secret->name, version->id,
               version->created);
}

static inline void zd_not_found(struct azure_double *zd)
{
    zd_refuse(zd, 404, "SecretNotFound", "", "A secret with that name was not found in this vault");
}

static inline void zd_get(struct azure_double *zd, const struct zd_secret *secret, const char *id)
{
    if (!secret || secret->is_deleted || !secret->count) {
        zd_not_found(zd);
        return;
    }
    for (int i = 0; i < secret->count; i++) {
        if (*id ? !strcmp(secret->versions[i].id, id) : i + 1 == secret->count) {
            zd_say_version(zd, secret, i);
            if (zd->races > 0 && zd->races--)
                zd_put(zd, secret->name, "{\"api_key\":\"another's\"}");
            return;
        }
    }
    if (strlen(id) == 32)
        zd_not_found(zd);
    else
        zd_refuse(zd, 400, "BadParameter", "", "The version is none");
}

static inline void zd_set(struct azure_double *zd, struct zd_secret *secret, const char *name)
{
    yyjson_doc *doc = yyjson_read(zd->cd.body, strlen(zd->cd.body), 0);
    const char *text = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "value"));

    if (!text || strlen(text) > 25600 || strlen(name) > 127 || !*name ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") !=
            strlen(name)) {
        cd_fault(&zd->cd, "set");
        zd_refuse(zd, 400, "BadParameter", "", "wrong");
    } else if (secret && secret->moving) {
        secret->moving--;
        zd_refuse(zd, 409, "Conflict",
                  secret->is_deleted ? "ObjectIsBeingDeleted" : "ObjectIsBeingRecovered",
                  "Secret is currently being moved.");
    } else if (secret && secret->is_deleted) {
        zd_refuse(zd, 409, "Conflict", "ObjectIsDeletedButRecoverable",
                  "Secret is currently in a deleted but recoverable state.");
    } else {
        secret = zd_put(zd, name, text);
        zd_say_version(zd, secret, secret->count - 1);
    }
    yyjson_doc_free(doc);
}

static inline void zd_delete(struct azure_double *zd, struct zd_secret *secret)
{
    if (!secret || secret->is_deleted) {
        zd_not_found(zd);
        return;
    }
    secret->is_deleted = true;
    secret->moving = zd->slow;
    cd_say(&zd->cd, 200, "{\"recoveryId\":\"https://v.example/deletedsecrets/%s\"}", secret->name);
}

static inline void zd_recover(struct azure_double *zd, struct zd_secret *secret)
{
    if (!secret || !secret->is_deleted) {
        zd_not_found(zd);
        return;
    }
    secret->is_deleted = false;
    secret->moving = zd->slow;
    zd->recovered++;
    cd_say(&zd->cd, 200, "{\"id\":\"https://v.example/secrets/%s\"}", secret->name);
}

/* ---- pages ---- */

static inline const char *zd_link(const struct azure_double *zd, const char *path, int from)
{
    static char link[600];

    if (from < 0)
        return "null";
    snprintf(link, sizeof(link), "\"http://127.0.0.1:%u%.400s?api-version=7.4&$skiptoken=%d\"",
             zd->is_link_elsewhere ? zd->cd.port + 1 : zd->cd.port, path, from);
    return link;
}

static inline void zd_list(struct azure_double *zd, const char *path)
{
    char token[32], list[8192] = "";
    int from, at = 0, told = 0;

    cd_member(cd_query(&zd->cd), "$skiptoken", token, sizeof(token));
    from = (int)strtol(token, NULL, 10);
    for (int i = 0; i < zd->secret_count; i++) {
        if (zd->secrets[i].is_deleted || at++ < from || told == ZD_PAGE)
            continue;
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"id\":\"https://v.example/secrets/%s\",\"attributes\":{\"enabled\":true}}",
                 told++ ? "," : "", zd->secrets[i].name);
    }
    cd_say(&zd->cd, 200, "{\"value\":[%s],\"nextLink\":%s}", list,
           zd_link(zd, path, at > from + told ? from + told : -1));
}

/* In no order that means anything: the oldest first. */
static inline void zd_versions(struct azure_double *zd, const struct zd_secret *secret,
                               const char *path)
{
    char token[32], list[8192] = "";
    int from, told = 0;

    if (!secret || secret->is_deleted) {
        zd_not_found(zd);
        return;
    }
    cd_member(cd_query(&zd->cd), "$skiptoken", token, sizeof(token));
    from = (int)strtol(token, NULL, 10);
    for (int i = from; i < secret->count && told < ZD_PAGE; i++)
        snprintf(list + strlen(list), sizeof(list) - strlen(list),
                 "%s{\"id\":\"https://v.example/secrets/%s/%s\",\"attributes\":{\"enabled\":%s,"
                 "\"created\":%u}}",
                 told++ ? "," : "", secret->name, secret->versions[i].id,
                 secret->versions[i].is_disabled ? "false" : "true", secret->versions[i].created);
    cd_say(&zd->cd, 200, "{\"value\":[%s],\"nextLink\":%s}", list,
           zd_link(zd, path, from + told < secret->count ? from + told : -1));
}

/* ---- the server ---- */

static inline void zd_say_token(struct azure_double *zd)
{
    snprintf(zd->token, sizeof(zd->token), "eyJ.token-%d", ++zd->logins);
    zd->is_expired = false;
    cd_say(&zd->cd, 200,
           "{\"access_token\":\"%s\",\"expires_in\":\"%d\",\"token_type\":\"Bearer\",\"resource\":"
           "\"https://vault.azure.net\"}",
           zd->token, zd->life_s);
}

/* True where it was such a request. */
static inline bool zd_log_in(struct azure_double *zd)
{
    char a[128], b[128], c[128];

    if (!strncmp(zd->cd.path, "/metadata/identity/oauth2/token?", 32)) {
        cd_member(cd_query(&zd->cd), "api-version", a, sizeof(a));
        cd_member(cd_query(&zd->cd), "resource", b, sizeof(b));
        cd_member(cd_query(&zd->cd), "client_id", c, sizeof(c));
        if (strcmp(a, "2018-02-01") != 0 || strcmp(b, "https://vault.azure.net") != 0 ||
            strcmp(c, "id-1") != 0 || !cd_header_is(&zd->cd, "Metadata", "true"))
            cd_fault(&zd->cd, "identity");
    } else if (!strcmp(zd->cd.path, "/tenant-1/oauth2/v2.0/token")) {
        cd_member(zd->cd.body, "scope", a, sizeof(a));
        cd_member(zd->cd.body, "client_secret", b, sizeof(b));
        cd_member(zd->cd.body, "client_id", c, sizeof(c));
        if (strcmp(a, "https://vault.azure.net/.default") != 0 || strcmp(c, "app-1") != 0)
            cd_fault(&zd->cd, "token");
        if (strcmp(b, "client-secret-1") != 0) {
            cd_say(&zd->cd, 401,
                   "{\"error\":\"invalid_client\",\"error_description\":\"AADSTS7000215: Invalid "
                   "client secret provided.\"}");
            return true;
        }
    } else {
        return false;
    }
    zd_say_token(zd);
    return true;
}

static inline void zd_with_token(struct azure_double *zd, char *path)
{
    const char *method = zd->cd.method;
    char name[300] = "", rest[128] = "", version[16];
    struct zd_secret *secret;

    cd_member(cd_query(&zd->cd), "api-version", version, sizeof(version));
    if (strcmp(version, "7.4") != 0)
        cd_fault(&zd->cd, "api-version");
    if (!strcmp(path, "/secrets") && !strcmp(method, "GET")) {
        zd_list(zd, path);
        return;
    }
    if (sscanf(path, "/secrets/%299[^/]/%127s", name, rest) < 1 &&
        sscanf(path, "/deletedsecrets/%299[^/]/recover", name) < 1)
        cd_fault(&zd->cd, "path");
    secret = zd_find(zd, name);
    if (!strncmp(path, "/deletedsecrets/", 16) && !strcmp(method, "POST"))
        zd_recover(zd, secret);
    else if (!strcmp(method, "GET") && !strcmp(rest, "versions"))
        zd_versions(zd, secret, path);
    else if (!strcmp(method, "GET"))
        zd_get(zd, secret, rest);
    else if (!strcmp(method, "PUT") && !*rest)
        zd_set(zd, secret, name);
    else if (!strcmp(method, "DELETE") && !*rest)
        zd_delete(zd, secret);
    else
        cd_fault(&zd->cd, "no such call");
}

static inline void zd_handle(struct cloud_double *cd)
{
    struct azure_double *zd = container_of(cd, struct azure_double, cd);
    char path[4096], want[128];

    if (zd_log_in(zd))
        return;
    snprintf(path, sizeof(path), "%.*s", (int)strcspn(cd->path, "?"), cd->path);
    snprintf(want, sizeof(want), "Bearer %s", zd->token);
    if (!cd_header_is(cd, "Authorization", want) || zd->is_expired)
        zd_refuse(zd, 401, "Unauthorized", "", "AKV10000: Request is missing a Bearer token.");
    else if (zd->forbid && !strcmp(zd->forbid, cd->method))
        zd_refuse(zd, 403, "Forbidden", "AccessDenied", "The user does not have that permission.");
    else
        zd_with_token(zd, path);
}

static inline struct azure_double *zd_open(void)
{
    struct azure_double *zd = calloc(1, sizeof(*zd));

    assert_non_null(zd);
    zd->life_s = 3600;
    zd->now = 1763700000;
    cd_open(&zd->cd, zd_handle);
    return zd;
}

static inline void zd_close(struct azure_double **zd)
{
    while ((*zd)->secret_count)
        zd_drop(*zd, &(*zd)->secrets[0]);
    cd_close(&(*zd)->cd);
    free(*zd);
    *zd = NULL;
}

#endif
