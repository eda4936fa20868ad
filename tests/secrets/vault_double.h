/*
 * A Vault on a thread of its own, strict as the real one: it knows tokens, AppRole and Kubernetes
 * logins, namespaces, the mount's version, and both key-value engines with versions, check-and-set,
 * deleted versions, metadata and lists. It shares no code with the client but the JSON library.
 * What a test changes of it, it changes under the lock, or while nothing is under way.
 */
#ifndef TESTS_SECRETS_VAULT_DOUBLE_H
#define TESTS_SECRETS_VAULT_DOUBLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <yyjson.h>

enum { VD_BYTES = 1 << 20, VD_ENTRIES = 64, VD_VERSIONS = 16, VD_TOKENS = 64 };

struct vd_entry {
    char path[300];
    char *texts[VD_VERSIONS]; /* NULL: destroyed */
    bool is_deleted[VD_VERSIONS];
    int current;
    int born; /* when it was made */
};

struct vault_double {
    int listener;
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    /* How it is set up. */
    int kv;
    const char *name_space;       /* that requests must name; NULL: none may */
    const char *root_token;       /* NULL: there is none */
    const char *role, *secret_id; /* AppRole */
    const char *k8s_role, *jwt;
    int lease_s, renewed_s; /* renewed_s: what a renewal grants */
    bool is_renewable;
    bool is_sealed, is_cas_required, are_metadata_forbidden, is_all_forbidden;
    bool is_old;           /* tells no mounts */
    int races;             /* so often somebody else writes right after an entry is read */
    atomic_bool is_silent; /* takes requests, and says nothing until it is no more */
    int behind;            /* so many answers of 412 */
    const char *redirect;  /* all is answered by 307 to there */
    const char *canned;    /* an answer to the next KV request, whole */
    int version;           /* that this request asks for */
    /* What it holds. */
    char tokens[VD_TOKENS][64]; /* "": revoked */
    int token_count;
    struct vd_entry entries[VD_ENTRIES];
    int entry_count, births;
    /* What it saw. */
    int requests, logins, renewals, lookups, mounts, metadata_reads, data_reads, refusals;
    char request[VD_BYTES], head[VD_BYTES], body[VD_BYTES], answer[VD_BYTES];
    char last_path[1024];
};

/* ---- HTTP ---- */

static inline bool vd_read(struct vault_double *vd, int fd)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = recv(fd, vd->request + len, sizeof(vd->request) - len - 1, 0);
        char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        vd->request[len] = '\0';
        body = strstr(vd->request, "\r\n\r\n");
        if (!body)
            continue;
        length = strstr(vd->request, "Content-Length: ");
        if (!length || length > body ||
            len >= (size_t)(body + 4 - vd->request) + strtoul(length + 16, NULL, 10)) {
            snprintf(vd->body, sizeof(vd->body), "%s", body + 4);
            body[2] = '\0';
            snprintf(vd->head, sizeof(vd->head), "%s", vd->request);
            return true;
        }
    }
}

static inline void vd_say(struct vault_double *vd, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline void vd_say(struct vault_double *vd, int status, const char *format, ...)
{
    static char body[VD_BYTES / 2];
    va_list args;

    va_start(args, format);
    vsnprintf(body, sizeof(body), format, args);
    va_end(args);
    snprintf(vd->answer, sizeof(vd->answer),
             "HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             status, strlen(body), body);
}

static inline void vd_nothing(struct vault_double *vd)
{
    snprintf(vd->answer, sizeof(vd->answer), "HTTP/1.1 204 No Content\r\n\r\n");
}

/* A header's value, or "". */
static inline const char *vd_header(const struct vault_double *vd, const char *name)
{
    static char value[20000];
    char line[128];
    const char *at;
    size_t len;

    snprintf(line, sizeof(line), "\r\n%s: ", name);
    at = strstr(vd->head, line);
    if (!at)
        return "";
    at += strlen(line);
    len = strcspn(at, "\r");
    snprintf(value, sizeof(value), "%.*s", (int)len, at);
    return value;
}

/* ---- tokens ---- */

static inline const char *vd_new_token(struct vault_double *vd)
{
    char *token = vd->tokens[vd->token_count % VD_TOKENS];

    snprintf(token, sizeof(vd->tokens[0]), "hvs.token-%d", ++vd->token_count);
    return token;
}

static inline bool vd_knows(const struct vault_double *vd, const char *token)
{
    if (!*token)
        return false;
    if (vd->root_token && !strcmp(token, vd->root_token))
        return true;
    for (int i = 0; i < VD_TOKENS; i++) {
        if (!strcmp(token, vd->tokens[i]))
            return true;
    }
    return false;
}

static inline void vd_revoke_all(struct vault_double *vd)
{
    pthread_mutex_lock(&vd->lock);
    for (int i = 0; i < VD_TOKENS; i++)
        vd->tokens[i][0] = '\0';
    pthread_mutex_unlock(&vd->lock);
}

static inline void vd_log_in(struct vault_double *vd, const char *role_name, const char *role,
                             const char *proof_name, const char *proof)
{
    yyjson_doc *doc = yyjson_read(vd->body, strlen(vd->body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc);

    vd->logins++;
    if (yyjson_obj_size(root) != 2 || !role ||
        !yyjson_equals_str(yyjson_obj_get(root, role_name), role) ||
        !yyjson_equals_str(yyjson_obj_get(root, proof_name), proof)) {
        vd_say(vd, 400, "{\"errors\":[\"invalid role or secret ID\"]}");
    } else {
        vd_say(vd, 200,
               "{\"request_id\":\"r\",\"lease_id\":\"\",\"data\":null,\"auth\":{\"client_token\":"
               "\"%s\",\"accessor\":\"a\",\"lease_duration\":%d,\"renewable\":%s}}",
               vd_new_token(vd), vd->lease_s, vd->is_renewable ? "true" : "false");
    }
    yyjson_doc_free(doc);
}

static inline void vd_renew(struct vault_double *vd, const char *token)
{
    vd->renewals++;
    if (!vd->is_renewable)
        vd_say(vd, 400, "{\"errors\":[\"lease is not renewable\"]}");
    else
        vd_say(vd, 200,
               "{\"auth\":{\"client_token\":\"%s\",\"lease_duration\":%d,\"renewable\":true}}",
               token, vd->renewed_s);
}

/* No such token. */
static inline void vd_deny(struct vault_double *vd)
{
    vd->refusals++;
    vd_say(vd, 403, "{\"errors\":[\"permission denied\"]}");
}

/* None of its policies allows that. */
static inline void vd_forbid(struct vault_double *vd)
{
    vd->refusals++;
    vd_say(vd, 403, "{\"errors\":[\"1 error occurred:\\n\\t* permission denied\\n\\n\"]}");
}

/* ---- entries ---- */

static inline struct vd_entry *vd_find(struct vault_double *vd, const char *path)
{
    for (int i = 0; i < vd->entry_count; i++) {
        if (!strcmp(vd->entries[i].path, path))
            return &vd->entries[i];
    }
    return NULL;
}

static inline void vd_drop(struct vault_double *vd, struct vd_entry *entry)
{
    for (int i = 0; i < VD_VERSIONS; i++)
        free(entry->texts[i]);
    *entry = vd->entries[--vd->entry_count];
    memset(&vd->entries[vd->entry_count], 0, sizeof(*entry));
}

static inline struct vd_entry *vd_add(struct vault_double *vd, const char *path, const char *text)
{
    struct vd_entry *entry = vd_find(vd, path);
    int at;

    if (!entry) {
        assert_true(vd->entry_count < VD_ENTRIES);
        entry = &vd->entries[vd->entry_count++];
        snprintf(entry->path, sizeof(entry->path), "%s", path);
        entry->born = ++vd->births;
    }
    at = ++entry->current % VD_VERSIONS;
    free(entry->texts[at]);
    entry->texts[at] = strdup(text);
    entry->is_deleted[at] = false;
    return entry;
}

/* As somebody else writes it. */
static inline void vd_put(struct vault_double *vd, const char *path, const char *text)
{
    pthread_mutex_lock(&vd->lock);
    vd_add(vd, path, text);
    pthread_mutex_unlock(&vd->lock);
}

/* As somebody else deletes its last version. */
static inline void vd_delete(struct vault_double *vd, const char *path)
{
    struct vd_entry *entry;

    pthread_mutex_lock(&vd->lock);
    entry = vd_find(vd, path);
    assert_non_null(entry);
    entry->is_deleted[entry->current % VD_VERSIONS] = true;
    pthread_mutex_unlock(&vd->lock);
}

static inline void vd_list(struct vault_double *vd, char *folder)
{
    char keys[8192] = "", key[320];
    size_t len = strlen(folder);

    if (len && folder[len - 1] != '/')
        snprintf(folder + len++, 2, "/");
    for (int i = 0; i < vd->entry_count; i++) {
        const char *path = vd->entries[i].path;

        if (strncmp(path, folder, len) != 0)
            continue;
        path += len;
        snprintf(key, sizeof(key), "\"%.*s\"",
                 (int)(strcspn(path, "/") + (strchr(path, '/') != NULL)), path);
        if (!strstr(keys, key))
            snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "%s%s", *keys ? "," : "",
                     key);
    }
    if (*keys)
        vd_say(vd, 200, "{\"data\":{\"keys\":[%s]}}", keys);
    else
        vd_say(vd, 404, "{\"errors\":[]}");
}

static inline void vd_kv1(struct vault_double *vd, const char *method, char *path, bool is_list)
{
    struct vd_entry *entry = vd_find(vd, path);

    if (is_list) {
        vd_list(vd, path);
    } else if (!strcmp(method, "POST") && !strcmp(vd->body, "{}")) {
        vd_say(vd, 400, "{\"errors\":[\"missing data fields\"]}");
    } else if (!strcmp(method, "GET")) {
        vd->data_reads++;
        if (entry)
            vd_say(vd, 200, "{\"lease_duration\":2764800,\"data\":%s}", entry->texts[1]);
        else
            vd_say(vd, 404, "{\"errors\":[]}");
    } else if (!strcmp(method, "POST") && vd->body[0] == '{') {
        if (entry)
            vd_drop(vd, entry);
        vd_add(vd, path, vd->body);
        vd_nothing(vd);
    } else if (!strcmp(method, "DELETE")) {
        if (entry)
            vd_drop(vd, entry);
        vd_nothing(vd);
    } else {
        vd_say(vd, 405, "{\"errors\":[\"unsupported operation\"]}");
    }
}

/* version 0: the current one. */
static inline void vd_read_data(struct vault_double *vd, const struct vd_entry *entry, int version)
{
    int number = entry && !version ? entry->current : version, at = number % VD_VERSIONS;

    vd->data_reads++;
    if (!entry || number > entry->current || !entry->texts[at])
        vd_say(vd, 404, "{\"errors\":[]}");
    else if (entry->is_deleted[at])
        vd_say(vd, 404,
               "{\"data\":{\"data\":null,\"metadata\":{\"created_time\":\"c\",\"deletion_time\":"
               "\"2026-11-21T10:00:00Z\",\"destroyed\":false,\"version\":%d}}}",
               number);
    else
        vd_say(vd, 200,
               "{\"data\":{\"data\":%s,\"metadata\":{\"created_time\":\"c\",\"deletion_time\":\"\","
               "\"destroyed\":false,\"version\":%d}}}",
               entry->texts[at], number);
}

static inline void vd_write_data(struct vault_double *vd, const char *path,
                                 const struct vd_entry *entry)
{
    yyjson_doc *doc = yyjson_read(vd->body, strlen(vd->body), 0);
    yyjson_val *root = yyjson_doc_get_root(doc), *data = yyjson_obj_get(root, "data");
    yyjson_val *cas = yyjson_obj_get(yyjson_obj_get(root, "options"), "cas");
    int current = entry ? entry->current : 0;
    char *text;

    if (!yyjson_is_obj(data)) {
        vd_say(vd, 400, "{\"errors\":[\"no data provided\"]}");
    } else if (vd->is_cas_required && !cas) {
        vd_say(vd, 400, "{\"errors\":[\"check-and-set parameter required for this call\"]}");
    } else if (cas && yyjson_get_int(cas) != current) {
        vd_say(vd, 400,
               "{\"errors\":[\"check-and-set parameter did not match the current version\"]}");
    } else {
        text = yyjson_val_write(data, 0, NULL);
        entry = vd_add(vd, path, text);
        free(text);
        vd_say(vd, 200,
               "{\"data\":{\"created_time\":\"c\",\"custom_metadata\":null,\"deletion_time\":\"\","
               "\"destroyed\":false,\"version\":%d}}",
               entry->current);
    }
    yyjson_doc_free(doc);
}

/* The last few of them. */
static inline const char *vd_versions(const struct vd_entry *entry)
{
    static char text[4096];
    int first = entry->current > 8 ? entry->current - 8 : 1;

    text[0] = '\0';
    for (int i = first; i <= entry->current; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 "%s\"%d\":{\"created_time\":\"2026-11-20T10:%02d:%02d.123456789Z\","
                 "\"deletion_time\":\"%s\",\"destroyed\":false}",
                 i == first ? "" : ",", i, entry->born % 60, i % 60,
                 entry->is_deleted[i % VD_VERSIONS] ? "2026-11-21T10:00:00Z" : "");
    return text;
}

static inline void vd_metadata(struct vault_double *vd, const char *method, char *path,
                               bool is_list)
{
    struct vd_entry *entry = vd_find(vd, path);

    if (is_list) {
        vd_list(vd, path);
    } else if (vd->are_metadata_forbidden) {
        vd_forbid(vd);
    } else if (!strcmp(method, "DELETE")) {
        if (entry)
            vd_drop(vd, entry);
        vd_nothing(vd);
    } else if (strcmp(method, "GET") != 0) {
        vd_say(vd, 405, "{\"errors\":[\"unsupported operation\"]}");
    } else if (!entry) {
        vd->metadata_reads++;
        vd_say(vd, 404, "{\"errors\":[]}");
    } else {
        vd->metadata_reads++;
        vd_say(vd, 200,
               "{\"data\":{\"cas_required\":false,\"created_time\":\"b\",\"current_version\":%d,"
               "\"max_versions\":0,\"oldest_version\":0,\"versions\":{%s}}}",
               entry->current, vd_versions(entry));
    }
}

static inline void vd_kv2(struct vault_double *vd, const char *method, char *path, bool is_list)
{
    if (!strncmp(path, "metadata/", 9)) {
        vd_metadata(vd, method, path + 9, is_list);
    } else if (strncmp(path, "data/", 5) != 0) {
        vd_say(
            vd, 404,
            "{\"data\":null,\"warnings\":[\"Invalid path for a versioned K/V secrets engine. See "
            "the API docs for the appropriate API endpoints to use.\"]}");
    } else if (is_list) {
        vd_say(vd, 405, "{\"errors\":[\"1 error occurred:\\n\\t* unsupported operation\\n\\n\"]}");
    } else if (!strcmp(method, "GET")) {
        vd_read_data(vd, vd_find(vd, path + 5), vd->version);
        if (vd->races > 0 && vd->races--)
            vd_add(vd, path + 5, "{\"api_key\":\"another's\"}");
    } else if (!strcmp(method, "POST")) {
        vd_write_data(vd, path + 5, vd_find(vd, path + 5));
    } else {
        vd_say(vd, 405, "{\"errors\":[\"unsupported operation\"]}");
    }
}

/* ---- the server ---- */

static inline void vd_with_token(struct vault_double *vd, const char *method, char *path)
{
    char token[20000];
    char *query = strchr(path, '?');
    bool is_list = query && !strcmp(query, "?list=true");

    vd->version = query && !strncmp(query, "?version=", 9) ? (int)strtol(query + 9, NULL, 10) : 0;
    if (query)
        *query = '\0';
    snprintf(token, sizeof(token), "%s", vd_header(vd, "X-Vault-Token"));
    if (!vd_knows(vd, token)) {
        vd_deny(vd);
    } else if (!strcmp(path, "auth/token/renew-self") && !strcmp(method, "POST")) {
        vd_renew(vd, token);
    } else if (!strcmp(path, "auth/token/lookup-self") && !strcmp(method, "GET")) {
        vd->lookups++;
        vd_say(vd, 200, "{\"data\":{\"ttl\":%d,\"renewable\":%s,\"expire_time\":null}}",
               vd->lease_s, vd->is_renewable ? "true" : "false");
    } else if (!strcmp(path, "sys/internal/ui/mounts/secret") && !vd->is_old) {
        vd->mounts++;
        if (vd->kv == 2)
            vd_say(vd, 200,
                   "{\"data\":{\"options\":{\"version\":\"2\"},\"path\":\"secret/\",\"type\":\"kv\""
                   "}}");
        else
            vd_say(vd, 200, "{\"data\":{\"options\":null,\"path\":\"secret/\",\"type\":\"kv\"}}");
    } else if (strncmp(path, "secret/", 7) != 0 || vd->is_all_forbidden) {
        vd_forbid(vd);
    } else if (vd->canned) {
        snprintf(vd->answer, sizeof(vd->answer), "%s", vd->canned);
        vd->canned = NULL;
    } else {
        (vd->kv == 2 ? vd_kv2 : vd_kv1)(vd, method, path + 7, is_list);
    }
}

static inline void vd_answer(struct vault_double *vd)
{
    char method[16], path[1024];
    const char *name_space = vd->name_space ? vd->name_space : "";

    vd->requests++;
    if (sscanf(vd->head, "%15s /v1/%1023s HTTP/1.1", method, path) != 2) {
        vd_say(vd, 404, "{\"errors\":[\"no such page\"]}");
        return;
    }
    snprintf(vd->last_path, sizeof(vd->last_path), "%s", path);
    if (vd->redirect) {
        snprintf(vd->answer, sizeof(vd->answer),
                 "HTTP/1.1 307 X\r\nLocation: %s/v1/%s\r\nContent-Length: 0\r\n\r\n", vd->redirect,
                 path);
    } else if (vd->behind) {
        vd->behind--;
        vd_say(vd, 412, "{\"errors\":[\"required index state not present\"]}");
    } else if (vd->is_sealed) {
        vd_say(vd, 503, "{\"errors\":[\"Vault is sealed\"]}");
    } else if (strcmp(vd_header(vd, "X-Vault-Namespace"), name_space) != 0 ||
               strcmp(vd_header(vd, "X-Vault-Request"), "true") != 0) {
        vd_deny(vd);
    } else if (!strcmp(path, "auth/approle/login") && !strcmp(method, "POST")) {
        vd_log_in(vd, "role_id", vd->role, "secret_id", vd->secret_id);
    } else if (!strcmp(path, "auth/k8s/login") && !strcmp(method, "POST")) {
        vd_log_in(vd, "role", vd->k8s_role, "jwt", vd->jwt);
    } else {
        vd_with_token(vd, method, path);
    }
}

static inline void *vd_run(void *arg)
{
    struct vault_double *vd = arg;
    int fd;

    while ((fd = accept(vd->listener, NULL, NULL)) >= 0) {
        if (vd_read(vd, fd)) {
            pthread_mutex_lock(&vd->lock);
            vd_answer(vd);
            pthread_mutex_unlock(&vd->lock);
            while (atomic_load(&vd->is_silent))
                usleep(500);
            (void)!send(fd, vd->answer, strlen(vd->answer), MSG_NOSIGNAL);
        }
        close(fd);
    }
    return NULL;
}

static inline struct vault_double *vd_open(int kv)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct vault_double *vd = calloc(1, sizeof(*vd));
    socklen_t len = sizeof(addr);

    assert_non_null(vd);
    vd->kv = kv;
    vd->root_token = "root-token";
    vd->role = "role-1";
    vd->secret_id = "secret-id-1";
    vd->k8s_role = "gateway";
    vd->jwt = "jwt-1";
    vd->lease_s = vd->renewed_s = 3600;
    vd->is_renewable = true;
    pthread_mutex_init(&vd->lock, NULL);
    vd->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(vd->listener >= 0);
    assert_int_equal(bind(vd->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(vd->listener, 64), 0);
    assert_int_equal(getsockname(vd->listener, (struct sockaddr *)&addr, &len), 0);
    vd->port = ntohs(addr.sin_port);
    assert_int_equal(pthread_create(&vd->thread, NULL, vd_run, vd), 0);
    return vd;
}

/* Nobody answers there any more. Clients must be gone. */
static inline void vd_stop(struct vault_double *vd)
{
    if (vd->listener < 0)
        return;
    shutdown(vd->listener, SHUT_RDWR);
    pthread_join(vd->thread, NULL);
    close(vd->listener);
    vd->listener = -1;
}

static inline void vd_close(struct vault_double **vd)
{
    vd_stop(*vd);
    while ((*vd)->entry_count)
        vd_drop(*vd, &(*vd)->entries[0]);
    pthread_mutex_destroy(&(*vd)->lock);
    free(*vd);
    *vd = NULL;
}

#endif
