#include "conf/place.h"

#include "base/err.h"
#include "secrets/vault_store.h"

#define VAULT_SCHEME  "vault:"
#define FOLDER_SCHEME "dir:"
#define SEALED_WORD   "sealed"

/* Stores that are known of, and not built yet. */
static const struct span later[] = {SPAN_INIT("aws:"), SPAN_INIT("google:"), SPAN_INIT("azure:"),
                                    SPAN_INIT("k8s:")};

static bool is_later(struct span text)
{
    for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++) {
        if (span_has_prefix(text, later[i]))
            return true;
    }
    return false;
}

bool conf_place_is_stored(struct span text)
{
    return span_has_prefix(text, SPAN(VAULT_SCHEME)) || is_later(text);
}

int conf_place_read_stored(struct span text, struct conf_place *ret_place)
{
    struct span path = span_skip(text, sizeof(VAULT_SCHEME) - 1);

    *ret_place = (struct conf_place){.kind = CONF_STORE_VAULT, .text = text};
    if (is_later(text))
        return ERR_UNSUPPORTED;
    if (!span_has_prefix(text, SPAN(VAULT_SCHEME)) ||
        !vault_store_place(path, &ret_place->root, &ret_place->kv, &ret_place->path))
        return ERR_SYNTAX;
    return ret_place->path.len ? 0 : ERR_SYNTAX;
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
