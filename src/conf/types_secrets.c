/* Where secrets are kept: the sealed file, Vault, and places in them. */
#include "conf/types.h"

#include <stdio.h>

#include "base/arena.h"
#include "base/err.h"
#include "conf/config.h"
#include "conf/hooks.h"
#include "conf/loading.h"
#include "conf/printing.h"
#include "secrets/secret_store.h"

#define SEAL_SCHEME "file:"
#define SEALED_FILE "bellwether.sealed"
#define NAMED_FILE  "bellwether.secrets"
#define JWT_FILE    "/var/run/secrets/kubernetes.io/serviceaccount/token"

/* ---- the seal key ---- */

static bool is_path(struct span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return false;
    }
    return text.len > 0 && text.len < 4096;
}

/* It is made where there is none, so that nothing is read here. */
static void read_seal_key(struct loading *loading, const struct conf_row *row,
                          const struct yaml_node *node, void *field)
{
    struct span text, path;

    if (!loading_text(loading, row, node, &text))
        return;
    path = span_skip(text, span_has_prefix(text, SPAN(SEAL_SCHEME)) ? sizeof(SEAL_SCHEME) - 1 : 0);
    if (path.len == text.len || !is_path(path))
        loading_refuse(loading, row, node, "names no file for the key");
    else
        *(struct span *)field = loading_keep_path(loading, path);
    loading_end_text(loading);
}

static void print_seal_key(struct printing *printing, const struct conf_row *row, const void *field)
{
    char text[sizeof(SEAL_SCHEME) + 8192];
    int len =
        snprintf(text, sizeof(text), SEAL_SCHEME "%.*s", SPAN_ARG(*(const struct span *)field));

    if (len > 0 && (size_t)len < sizeof(text))
        print_line(printing, row->name, span_of(text, (size_t)len));
}

static void tell_seal_key(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, SEAL_SCHEME "PATH, absolute or from the configuration's folder");
}

const struct conf_type conf_type_seal_key = {.name = "file of a key",
                                             .read = read_seal_key,
                                             .print = print_seal_key,
                                             .tell = tell_seal_key,
                                             .is_secret = true};

/* A file of that name in the folder of the other. */
static struct span beside(struct loading *loading, struct span other, struct span name)
{
    size_t len = other.len;
    struct span path;

    while (len > 0 && other.ptr[len - 1] != '/')
        len--;
    path = arena_printf(&loading->box->arena, "%.*s%.*s", (int)len, other.ptr, SPAN_ARG(name));
    if (!path.ptr)
        loading->err = ERR_NOMEM;
    return path;
}

/* What it holds cannot be kept in what it speaks of. */
void hook_secrets_prepare(struct loading *loading, struct span name, struct conf_mark mark,
                          void *object)
{
    (void)name, (void)mark, (void)object;
    loading->is_in_secrets = true;
}

void hook_secrets_finish(struct loading *loading, const struct yaml_node *node,
                         struct conf_mark mark, void *object)
{
    struct conf_secrets *secrets = object;

    (void)node, (void)mark;
    loading->is_in_secrets = false;
    secrets->is_sound = loading->is_sound;
    secrets->sealed_file = beside(loading, secrets->seal_key, SPAN(SEALED_FILE));
    secrets->named_file = beside(loading, secrets->seal_key, SPAN(NAMED_FILE));
}

/* ---- places ---- */

/* The pieces of the kept copy. */
static void keep_place(struct loading *loading, const struct conf_place *place,
                       struct conf_place *kept)
{
    struct span text = loading_keep(loading, place->text);

    if (!text.ptr)
        return;
    *kept = *place;
    kept->text = text;
    if (place->root.len)
        kept->root = span_of(text.ptr + (place->root.ptr - place->text.ptr), place->root.len);
    if (place->path.len)
        kept->path = span_of(text.ptr + (place->path.ptr - place->text.ptr), place->path.len);
}

/* What it needs of the file's section `secrets`. */
static bool check_kind(struct loading *loading, const struct yaml_node *node,
                       const struct conf_place *place)
{
    if (conf_secrets_has(&loading->config->secrets, place->kind))
        return true;
    loading_error(loading, node->mark,
                  "nothing says how that store is reached; allowed: secrets.%s says it",
                  conf_place_section(place->kind));
    return false;
}

static void read_place(struct loading *loading, const struct conf_row *row,
                       const struct yaml_node *node, void *field,
                       int (*read)(struct span text, struct conf_place *ret_place))
{
    struct conf_place place;
    struct span text;
    int err;

    if (!loading_text(loading, row, node, &text))
        return;
    err = read(text, &place);
    if (err)
        loading_refuse(loading, row, node, row->type->otherwise);
    else if (check_kind(loading, node, &place))
        keep_place(loading, &place, field);
    loading_end_text(loading);
}

static void read_keep_in(struct loading *loading, const struct conf_row *row,
                         const struct yaml_node *node, void *field)
{
    read_place(loading, row, node, field, conf_place_read);
}

static void print_place(struct printing *printing, const struct conf_row *row, const void *field)
{
    print_text_row(printing, row, &((const struct conf_place *)field)->text);
}

static void tell_keep_in(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, CONF_PLACE_ALLOWED);
}

const struct conf_type conf_type_keep_in = {.name = "folder of a store",
                                            .read = read_keep_in,
                                            .otherwise = "is no folder of a store",
                                            .print = print_place,
                                            .tell = tell_keep_in};

static int read_entry(struct span text, struct conf_place *ret_place)
{
    int err = conf_place_read(text, ret_place);

    return !err && ret_place->kind == CONF_STORE_SEALED ? ERR_SYNTAX : err;
}

static void read_stored_place(struct loading *loading, const struct conf_row *row,
                              const struct yaml_node *node, void *field)
{
    read_place(loading, row, node, field, read_entry);
}

static void tell_stored_place(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "vault:MOUNT/data/PATH, vault:MOUNT/PATH, aws:PATH, google:PATH, azure:PATH, "
                    "k8s:PATH, dir:/PATH of a file");
}

const struct conf_type conf_type_stored_place = {.name = "entry of a store",
                                                 .read = read_stored_place,
                                                 .otherwise = "is no entry of a store",
                                                 .print = print_place,
                                                 .tell = tell_stored_place};

/* ---- Vault ---- */

static bool is_vault_path(struct span text)
{
    return !text.len || secret_path_is_good(text);
}

/* "team/eu" and "team/eu/" are the same. */
static void read_vault_path(struct loading *loading, const struct conf_row *row,
                            const struct yaml_node *node, void *field)
{
    struct span *path = field, text;

    if (!loading_text(loading, row, node, &text))
        return;
    while (span_has_suffix(text, SPAN("/")))
        text.len--;
    if (is_vault_path(text))
        *path = loading_keep(loading, text);
    else
        loading_refuse(loading, row, node, row->type->otherwise);
    loading_end_text(loading);
}

static void tell_vault_path(const struct conf_row *row, struct buf *out)
{
    (void)row;
    buf_printf(out, "letters, digits and any of . _ -, with '/' between them");
}

const struct conf_type conf_type_vault_path = {.name = "path in Vault",
                                               .read = read_vault_path,
                                               .otherwise = "is no path",
                                               .print = print_text_row,
                                               .tell = tell_vault_path};

/* Which settings belong to which way of logging in. */
static const struct login_rule {
    struct span name;
    enum conf_vault_auth auth;
} login_rules[] = {
    {SPAN_INIT("token"), CONF_VAULT_TOKEN},
    {SPAN_INIT("token_file"), CONF_VAULT_TOKEN},
    {SPAN_INIT("role_id"), CONF_VAULT_APPROLE},
    {SPAN_INIT("secret_id"), CONF_VAULT_APPROLE},
    {SPAN_INIT("secret_id_file"), CONF_VAULT_APPROLE},
    {SPAN_INIT("role"), CONF_VAULT_KUBERNETES},
    {SPAN_INIT("jwt_file"), CONF_VAULT_KUBERNETES},
};

static void refuse_foreign(struct loading *loading, const struct yaml_node *node,
                           enum conf_vault_auth auth)
{
    static const char *const words[] = {[CONF_VAULT_TOKEN] = "token, token_file",
                                        [CONF_VAULT_APPROLE] = "role_id, secret_id, secret_id_file",
                                        [CONF_VAULT_KUBERNETES] = "role, jwt_file"};
    static const char *const names[] = {[CONF_VAULT_TOKEN] = "token",
                                        [CONF_VAULT_APPROLE] = "approle",
                                        [CONF_VAULT_KUBERNETES] = "kubernetes"};

    for (size_t i = 0; i < sizeof(login_rules) / sizeof(login_rules[0]); i++) {
        const struct yaml_item *item = yaml_find(node, login_rules[i].name);

        if (item && login_rules[i].auth != auth)
            loading_error(loading, item->mark, "auth %s has no %.*s; allowed: %s", names[auth],
                          SPAN_ARG(item->key), words[auth]);
    }
}

/* Exactly one of two. */
static void need_one(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                     struct span first, struct span second)
{
    const struct yaml_item *one = yaml_find(node, first), *other = yaml_find(node, second);

    if (one && other)
        loading_error(loading, other->mark, "%.*s stands beside %.*s; allowed: one of them",
                      SPAN_ARG(second), SPAN_ARG(first));
    else if (!one && !other)
        loading_error(loading, mark, "the %.*s is missing; allowed: %.*s or %.*s", SPAN_ARG(first),
                      SPAN_ARG(first), SPAN_ARG(second));
}

static void need(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                 struct span name, const char *example)
{
    if (!yaml_find(node, name))
        loading_error(loading, mark, "the %.*s is missing; allowed: %.*s: %s", SPAN_ARG(name),
                      SPAN_ARG(name), example);
}

void hook_vault_finish(struct loading *loading, const struct yaml_node *node, struct conf_mark mark,
                       void *object)
{
    struct conf_vault *vault = object;
    const struct yaml_item *auth = yaml_find(node, SPAN("auth"));

    need(loading, node, mark, SPAN("address"), "https://host:8200");
    /* Another word was complained of. */
    if (auth && !loading->is_sound)
        return;
    refuse_foreign(loading, node, vault->auth);
    switch (vault->auth) {
    case CONF_VAULT_TOKEN:
        need_one(loading, node, mark, SPAN("token"), SPAN("token_file"));
        break;
    case CONF_VAULT_APPROLE:
        need(loading, node, mark, SPAN("role_id"), "its id");
        need_one(loading, node, mark, SPAN("secret_id"), SPAN("secret_id_file"));
        break;
    case CONF_VAULT_KUBERNETES:
        need(loading, node, mark, SPAN("role"), "its name");
        if (!vault->jwt_file.len)
            vault->jwt_file = loading_keep(loading, SPAN(JWT_FILE));
        break;
    }
}
