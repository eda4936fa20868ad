#include "conf/place.h"

#include "base/err.h"
#include "secrets/vault_store.h"

#define VAULT_SCHEME  "vault:"
#define FOLDER_SCHEME "dir:"
#define SEALED_WORD   "sealed"

/* Stores whose paths stand as they are. */
static const struct scheme {
    struct span text;
    enum conf_store_kind kind;
} schemes[] = {
    {SPAN_INIT(VAULT_SCHEME), CONF_STORE_VAULT}, {SPAN_INIT("aws:"), CONF_STORE_AWS},
    {SPAN_INIT("google:"), CONF_STORE_GOOGLE},   {SPAN_INIT("azure:"), CONF_STORE_AZURE},
    {SPAN_INIT("k8s:"), CONF_STORE_KUBERNETES},
};

static const struct scheme *find_scheme(struct span text)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (span_has_prefix(text, schemes[i].text))
            return &schemes[i];
    }
    return NULL;
}

bool conf_place_is_stored(struct span text)
{
    return find_scheme(text) != NULL;
}

const char *conf_place_section(enum conf_store_kind kind)
{
    static const char *const names[CONF_STORE_KINDS] = {
        [CONF_STORE_SEALED] = "",
        [CONF_STORE_FOLDER] = "",
        [CONF_STORE_VAULT] = "vault",
        [CONF_STORE_AWS] = "aws",
        [CONF_STORE_GOOGLE] = "google",
        [CONF_STORE_AZURE] = "azure",
        [CONF_STORE_KUBERNETES] = "kubernetes",
    };

    return names[kind];
}

int conf_place_read_stored(struct span text, struct conf_place *ret_place)
{
    const struct scheme *scheme = find_scheme(text);
    struct span path;

    if (!scheme)
        return ERR_SYNTAX;
    path = span_skip(text, scheme->text.len);
    *ret_place = (struct conf_place){.kind = scheme->kind, .text = text, .path = path};
    if (scheme->kind == CONF_STORE_VAULT &&
        !vault_store_place(path, &ret_place->root, &ret_place->kv, &ret_place->path))
        return ERR_SYNTAX;
    return ret_place->path.len && secret_path_is_good(ret_place->path) ? 0 : ERR_SYNTAX;
}

/* "/run/keys": the store is /run, and keys stand below "keys" there. */
static int read_folder(struct span path, struct conf_place *place)
{
    size_t at;

    place->kind = CONF_STORE_FOLDER;
    while (span_has_suffix(path, SPAN("/")))
        path.len--;
    at = path.len;
    if (path.len > CONF_PLACE_MAX_BYTES || !span_has_prefix(path, SPAN("/")))
        return ERR_SYNTAX;
    for (size_t i = 0; i < path.len; i++) {
        if ((unsigned char)path.ptr[i] < ' ' || path.ptr[i] == 0x7f)
            return ERR_SYNTAX;
    }
    while (path.ptr[at - 1] != '/')
        at--;
    place->path = span_skip(path, at);
    place->root = span_of(path.ptr, at > 1 ? at - 1 : 1);
    return secret_path_is_good(place->path) ? 0 : ERR_SYNTAX;
}

int conf_place_read(struct span text, struct conf_place *ret_place)
{
    *ret_place = (struct conf_place){.kind = CONF_STORE_SEALED, .text = text};
    if (span_is_equal(text, SPAN(SEALED_WORD)))
        return 0;
    if (span_has_prefix(text, SPAN(FOLDER_SCHEME)))
        return read_folder(span_skip(text, sizeof(FOLDER_SCHEME) - 1), ret_place);
    return conf_place_read_stored(text, ret_place);
}
